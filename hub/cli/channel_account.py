"""`stillwatch channel account`: another token or certificate for a channel's hub."""

from __future__ import annotations

from pathlib import Path

import click

from hub.cli.account_options import Login, account_of, account_options
from hub.cli.names import channel_names
from hub.cli.options import desk_of, home_options, load_home
from hub.client.registration import register


@click.command("account")
@click.argument("name", shell_complete=channel_names)
@account_options
@home_options
def account_command(
    name: str,
    login: Login,
    home: Path,
    passphrase_file: Path | None,
) -> None:
    """Change the account on a channel's hub, as after a rotation of its token.

    It is tried first, and stored only when the hub takes it.
    """
    with load_home(home, passphrase_file) as opened:
        channel = opened.state.channel(name)
        known = opened.account(channel.api_root)
        account = account_of(opened, channel.api_root, login.plainly(known.allow_plain_http))
        with opened.locked():
            register(desk_of(opened), account)
        click.echo(f"The account on {channel.api_root} is changed.")
