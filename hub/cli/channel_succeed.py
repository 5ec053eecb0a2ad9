"""`stillwatch channel succeed`: a new channel in the place of one whose owners' keys are lost."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import click

from hub.channel.card import fingerprint_words
from hub.cli.account_options import Login, account_of, account_options
from hub.cli.hub_data import refuse_existing
from hub.cli.init import words_text
from hub.cli.names import channel_names
from hub.cli.options import (
    desk_of,
    home_options,
    json_option,
    load_home,
    print_json,
)
from hub.client.keyring import write_private
from hub.client.succession import Successor, succeed
from hub.client.transport import discover


@click.command("succeed")
@click.argument("old", shell_complete=channel_names)
@click.argument("name")
@click.option("--collection", required=True, help="Id or title of an empty collection on the hub.")
@click.option("--hub", "api_root", default=None, help="Another hub than the old channel's.")
@click.option("--days", type=click.IntRange(1, 90), default=30, show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="A new folder for the invitations, one file of mode 0600 for each member.",
)
@account_options
@home_options
@json_option
def succeed_command(
    old: str,
    name: str,
    collection: str,
    api_root: str | None,
    days: int,
    out: Path,
    login: Login,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Open a channel NAME in the place of OLD, and invite every member of it anew.

    For a channel that can change no more, because its owners' roots are lost. The new one names
    the old, but nothing is carried over by trust: everybody compares words with everybody again.
    """
    refuse_existing(out)
    with load_home(home, passphrase_file) as opened:
        before = opened.state.channel(old)
        known = opened.account(before.api_root) if api_root is None else None
        account = account_of(
            opened,
            api_root or before.api_root,
            login.plainly(known is not None and known.allow_plain_http),
        )
        if api_root is not None:
            account = dataclasses.replace(account, api_root=discover(account, opened.settings))
        done = succeed(desk_of(opened), old, name, account, collection, lifetime_s=days * 86_400)
        files = _write(done, out)
        words = fingerprint_words(opened.keyring.root_id)
        if as_json:
            print_json(
                {
                    "channel": done.channel.name,
                    "channel_id": done.channel.channel_id,
                    "succeeds": before.channel_id,
                    "invitations": {member: str(path) for member, path in files.items()},
                    "words": list(words),
                }
            )
            return
        click.echo(f"Opened {name} ({done.channel.channel_id[:16]}…) in the place of {old}.")
        for member, path in files.items():
            click.echo(f"  {done.names.get(member, member)}: {path}")
        click.echo("Hand each over by a way that the hub's operator does not control.")
        click.echo("Your words, for those whom you invite:")
        click.echo(words_text(words))


def _write(done: Successor, out: Path) -> dict[str, Path]:
    out.mkdir(mode=0o700)
    files: dict[str, Path] = {}
    for member, invitation in done.invitations.items():
        called = "-".join(re.findall(r"[a-z0-9]+", done.names.get(member, "").lower()))[:40]
        path = out / f"{called or 'member'}-{member[-8:]}.invitation"
        write_private(path, invitation.text.encode() + b"\n")
        files[member] = path
    return files
