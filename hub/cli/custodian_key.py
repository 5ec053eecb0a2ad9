"""`stillwatch custodian key`: the custodian's evaluation keys."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from hub.cli.custodian_data import data_option, find_channel, opened, passphrase_option, unlock_of
from hub.cli.groups import ToldGroup
from hub.cli.hub_data import json_option, moment, refuse_existing, show
from hub.custody.keys import DEFAULT_DAYS, destroy_key, keys_of, new_key, rows_of
from hub.errors import AccessError, InputError, StoreError

_OUT = click.Path(path_type=Path, dir_okay=False)


@click.group("key", cls=ToldGroup)
def command() -> None:
    """Make, list, print and destroy keys."""


@command.command("new")
@click.argument("channel")
@click.argument("fingerprint_key")
@click.option("--days", type=click.IntRange(1, 400), default=DEFAULT_DAYS, show_default=True)
@click.option("--out", type=_OUT, help="Write the row to a file as well.")
@data_option
@passphrase_option
@json_option
def new(
    channel: str,
    fingerprint_key: str,
    days: int,
    out: Path | None,
    data: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Make the key that serves one fingerprint key of a channel, and print its row.

    The row is public: hand it to the channel's owner, who states it together with the other
    custodian's: stillwatch channel custodians.
    """
    refuse_existing(out)
    with opened(data, unlock_of(data, passphrase_file)) as folder:
        channel = find_channel(folder, channel)
        row = new_key(folder, channel, fingerprint_key, now=int(time.time()), days=days)
    _write(out, row.text)
    show({"channel": channel, "row": row.to_json()}, [row.text], as_json=as_json)


@command.command("row")
@click.argument("channel")
@click.argument("fingerprint_key")
@click.option("--out", type=_OUT, help="Write the row to a file as well.")
@data_option
@json_option
def row_command(
    channel: str, fingerprint_key: str, out: Path | None, data: Path, as_json: bool
) -> None:
    """Print the row of a live key again."""
    refuse_existing(out)
    with opened(data) as folder:
        channel = find_channel(folder, channel)
        rows = rows_of(folder, channel, int(time.time()))
    found = [row for row in rows if row.key_id == fingerprint_key]
    if not found:
        raise InputError(
            "no live key serves it", where=fingerprint_key, hint="stillwatch custodian key list"
        )
    _write(out, found[0].text)
    show({"channel": channel, "row": found[0].to_json()}, [found[0].text], as_json=as_json)


@command.command("list")
@data_option
@json_option
def list_command(data: Path, as_json: bool) -> None:
    """List the keys, destroyed ones too."""
    now = int(time.time())
    with opened(data) as folder:
        found = keys_of(folder)
    document = {
        "keys": [
            {
                "channel": row.channel,
                "key": row.key_id,
                "public_key": row.public_key.hex(),
                "state": row.state(now),
                "created": moment(row.created),
                "expires": moment(row.expires),
                "destroyed": None if row.destroyed_at is None else moment(row.destroyed_at),
            }
            for row in found
        ]
    }
    lines = [
        f"{row.key_id}  {row.state(now)}  expires {moment(row.expires)}  {row.public_key.hex()}"
        for row in found
    ]
    show(document, lines or ["There is no key."], as_json=as_json)


@command.command("destroy")
@click.argument("channel")
@click.argument("fingerprint_key")
@click.option("--why", default="by the operator", show_default=True, help="For the audit.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
@json_option
def destroy(
    channel: str, fingerprint_key: str, why: str, yes: bool, data: Path, as_json: bool
) -> None:
    """Destroy a key: overwrite it, and write the database anew without it.

    From then on nobody can make or look up tokens under that fingerprint key, not even to match
    live indicators. Back-ups of the folder hold the sealed key until you destroy them too.
    """
    if not yes:
        if not sys.stdin.isatty():
            raise AccessError("not confirmed", where=fingerprint_key, hint="--yes")
        if not click.confirm(f"Destroy the key for {fingerprint_key}?", err=True):
            raise AccessError("not destroyed", where=fingerprint_key)
    with opened(data) as folder:
        channel = find_channel(folder, channel)
        row = destroy_key(folder, channel, fingerprint_key, now=int(time.time()), why=why)
    show(
        {"channel": channel, "key": row.key_id, "destroyed": moment(row.destroyed_at)},
        [f"The key for {row.key_id} is destroyed. Destroy the back-ups that hold it too."],
        as_json=as_json,
    )


def _write(out: Path | None, text: str) -> None:
    if out is None:
        return
    try:
        out.write_text(f"{text}\n")
    except OSError as error:
        raise StoreError(f"cannot be written: {error.strerror}", where=str(out)) from error
