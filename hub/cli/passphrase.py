"""`stillwatch passphrase`: change what opens the keys."""

from __future__ import annotations

from pathlib import Path

import click

from hub.cli.groups import ToldGroup
from hub.cli.options import given_passphrase, home_options, new_unlock
from hub.client import agent_link
from hub.client.home import Home
from hub.client.keyring import Unlock
from hub.client.unlock import BY_KEY_FILE, PASSPHRASE
from hub.errors import ConflictError


@click.group("passphrase", cls=ToldGroup)
def command() -> None:
    """Change what opens your keys."""


@command.command("change")
@click.option(
    "--new-passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="File holding the new passphrase, - for standard input; else you are asked.",
)
@click.option(
    "--key-file",
    is_flag=True,
    help="Open by a key file in the home from now on: whoever reads the folder reads the keys.",
)
@home_options
def change_command(
    new_passphrase_file: Path | None, key_file: bool, home: Path, passphrase_file: Path | None
) -> None:
    """Give the keys a new passphrase, or go from passphrase to key file and back.

    The present passphrase is asked for, also when an agent holds the home. The file is replaced
    at once: after a crash either the old one opens it or the new one.
    """
    before = Home.opens_with(home)
    if before == BY_KEY_FILE:
        unlock = Unlock.key_file()
        if key_file:
            raise ConflictError("the key file opens it already", where=str(home))
    else:
        unlock = Unlock.passphrase(given_passphrase(passphrase_file))
    with Home.open(home, unlock) as opened:
        chosen = new_unlock(
            key_file=key_file, passphrase_file=new_passphrase_file, text="New passphrase"
        )
        opened.rewrap(chosen)
    agent_link.forget(home)
    if chosen.kind == PASSPHRASE:
        click.echo(f"{home} opens with the new passphrase.")
    else:
        click.echo(f"{home} opens by its key file; keep the folder's mode 0700.")
    click.echo("Copies of the folder made before still open as before.")
