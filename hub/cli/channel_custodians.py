"""`stillwatch channel custodians`: who evaluates a channel's oblivious tokens."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from hub.channel.custodians import MAX_HEAD, Custodian, parse_row_text
from hub.cli.names import channel_names
from hub.cli.options import (
    count_of,
    desk_of,
    home_options,
    iso,
    json_option,
    load_home,
    print_json,
    utc,
)
from hub.client import evaluations
from hub.client.custodians import Custodians, Way
from hub.client.forms import forms_of
from hub.client.home import Home
from hub.client.rows import ChannelRow
from hub.client.stating import state_custodians
from hub.errors import InputError
from hub.model.codec import Json

_FILE: Final = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command("custodians")
@click.argument("name", shell_complete=channel_names)
@click.option(
    "--row",
    "rows",
    type=_FILE,
    multiple=True,
    help="Owners: a file with the row that a custodian's operator handed over; give it twice.",
)
@click.option(
    "--custodian", default=None, help="Whose way the following options change; else both."
)
@click.option("--ca-file", type=_FILE, help="Certificates to trust in place of the system's.")
@click.option(
    "--client-cert",
    type=_FILE,
    help="PEM file with certificate and key, for a custodian that asks for one.",
)
@click.option(
    "--allow-plain-http", is_flag=True, help="Take http: to another machine of a trusted network."
)
@click.option("--forget", is_flag=True, help="Drop what they evaluated for us; it is asked again.")
@home_options
@json_option
def custodians_command(
    name: str,
    rows: tuple[Path, ...],
    custodian: str | None,
    ca_file: Path | None,
    client_cert: Path | None,
    allow_plain_http: bool,
    forget: bool,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """List a channel's custodians and our quota there; state them; change the way to them.

    A kind of identifier that the channel's policy wants oblivious is published and matched with
    the help of both. Each operator prints a row for the live fingerprint key; an owner states the
    two, and members have them with their next pull.
    """
    with load_home(home, passphrase_file) as opened:
        if rows:
            state_custodians(desk_of(opened), name, [_row(path) for path in rows])
        channel = opened.state.channel(name)
        if ca_file or client_cert or allow_plain_http:
            way = Way(_absolute(ca_file), _absolute(client_cert), allow_plain_http)
            _put_ways(opened, channel, custodian, way)
        if forget:
            with opened.locked():
                evaluations.forget(opened, channel.channel_id)
        document = _document(opened, channel)
    if as_json:
        print_json(document)
    else:
        _show(document)


def _row(path: Path) -> Custodian:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_HEAD + 1)
        return parse_row_text(data.decode())
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeError:
        raise InputError("not the row of a custodian", where=str(path)) from None
    except InputError as error:
        raise InputError(
            f"not the row of a custodian: {error}",
            where=str(path),
            hint="its operator prints it: stillwatch custodian key row",
        ) from error


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())


def _put_ways(home: Home, channel: ChannelRow, custodian: str | None, way: Way) -> None:
    held = Custodians(home.state, channel.channel_id)
    names = sorted({row.custodian_id for row in held.all()})
    wanted = names if custodian is None else [each for each in names if each == custodian]
    if not wanted:
        known = ", ".join(names) or "none"
        raise InputError(f"no such custodian of this channel; known: {known}", where="--custodian")
    with home.locked():
        for each in wanted:
            held.put_way(each, way)


def _document(home: Home, channel: ChannelRow) -> Json:
    held, now = Custodians(home.state, channel.channel_id), int(time.time())
    live = {each.key_id: each.live for each in home.fingerprint_secrets(channel.channel_id)}
    forms = forms_of(home, channel)
    found = []
    for row in held.all():
        told = held.told(row.custodian_id, now)
        found.append(
            {
                "id": row.custodian_id,
                "url": row.url,
                "fingerprint_key": row.key_id,
                "live": live.get(row.key_id, False),
                "expires": iso(row.expires),
                "expires_at": row.expires,
                "evaluated": len(evaluations.Evaluations(home, channel.channel_id, row)),
                "quota_left": None if told is None else told.quota.left,
                "quota_day": None if told is None else told.quota.day,
            }
        )
    return {
        "channel": channel.name,
        "channel_id": channel.channel_id,
        "forms": {kind: forms.of(kind) for kind in sorted(forms.stated)},
        "kept_keyed": list(forms.overruled),
        "custodians": found,
        "live_key": next((each for each, is_live in live.items() if is_live), None),
    }


def _show(document: Json) -> None:
    forms = ", ".join(f"{kind} {form}" for kind, form in document["forms"].items())
    click.echo(f"{document['channel']}: {forms or 'every kind'}{'; others' if forms else ''} keyed")
    # A custodian's operator needs both: `custodian channel add`, `custodian key new`.
    click.echo(f"  channel id {document['channel_id']}")
    if document["live_key"]:
        click.echo(f"  fingerprint key {document['live_key']}")
    rows: Sequence[Json] = document["custodians"]
    if not rows:
        click.echo("  no custodians")
    for row in rows:
        standing = "live" if row["live"] else "older tokens only"
        click.echo(f"  {row['id']}  {row['url']}")
        click.echo(f"    {row['fingerprint_key']} ({standing}), until {utc(row['expires_at'])}")
        left = row["quota_left"]
        quota = "quota not told today" if left is None else f"{left:,} of {row['quota_day']:,} left"
        click.echo(f"    {count_of(row['evaluated'], 'identifier')} evaluated for us; {quota}")
    if document["live_key"] and document["live_key"] not in {
        row["fingerprint_key"] for row in rows
    }:
        click.echo("  no custodians serve it yet")
