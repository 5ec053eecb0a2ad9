"""`stillwatch channel forget`: erase a channel from this home."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hub.cli.names import channel_names
from hub.cli.options import desk_of, home_options, json_option, load_home, print_json
from hub.client.membership import forget
from hub.errors import AccessError


@click.command("forget")
@click.argument("name", shell_complete=channel_names)
@click.option("--yes", is_flag=True, help="Do not ask.")
@home_options
@json_option
def forget_command(
    name: str, yes: bool, home: Path, passphrase_file: Path | None, as_json: bool
) -> None:
    """Erase a channel from this home: its keys and everything that they opened.

    Nobody else is told. Of a channel that is yours, the only copy of the owner's view goes.
    """
    with load_home(home, passphrase_file) as opened:
        channel = opened.state.channel(name)
        if not yes:
            if not sys.stdin.isatty():
                raise AccessError("not confirmed", where=channel.name, hint="--yes")
            if channel.standing == "owner":
                click.echo("You own this channel: nobody else can invite or renew.", err=True)
            if not click.confirm(f"Erase {channel.name} from {home}?", err=True):
                raise AccessError("not erased", where=channel.name)
        forget(desk_of(opened), channel.name)
    if as_json:
        print_json({"forgotten": channel.name})
        return
    click.echo(f"{channel.name} is gone from {home}; the hub and the members were not told.")
