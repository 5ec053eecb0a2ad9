"""`stillwatch channel leave`: stop taking part, and ask the owners to be removed."""

from __future__ import annotations

from pathlib import Path

import click

from hub.cli.names import channel_names
from hub.cli.options import desk_of, home_options, json_option, load_home, print_json
from hub.cli.proposal_view import confirm
from hub.client.guards import free_text
from hub.client.leaving import leave
from hub.errors import InputError


@click.command("leave")
@click.argument("name", shell_complete=channel_names)
@click.option("--reason", default="", help="Why, for the members.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@home_options
@json_option
def leave_command(
    name: str,
    reason: str,
    yes: bool,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Leave a channel: nothing is pulled or published from now on, and its keys are erased here.

    The owners see your request and remove you; until then others go on counting you in. What you
    opened stays here until `channel forget`.
    """
    if len(reason) > 1000 or (reason and free_text(reason)):
        raise InputError("too long, or it names somebody", where="--reason")
    with load_home(home, passphrase_file) as opened:
        channel = opened.state.channel(name)
        confirm(f"Leave {channel.name}, and erase its keys from this home?", yes=yes)
        problem = leave(desk_of(opened), name, reason)
    if as_json:
        print_json({"left": channel.name, "owners_told": problem is None, "problem": problem})
        return
    click.echo(f"Left {channel.name}.")
    if problem is None:
        click.echo("The owners see it with their next pull.")
    else:
        click.echo(f"Tell an owner yourself: {problem}.")
