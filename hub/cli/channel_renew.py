"""`stillwatch channel renew`: re-issue what expires; made for a timer."""

from __future__ import annotations

from pathlib import Path

import click

from hub.cli.exits import ATTENTION
from hub.cli.names import channel_names
from hub.cli.options import desk_of, home_options, json_option, load_home, print_json
from hub.client.health import FINE, health
from hub.client.renewal import Renewed, renew


@click.command("renew")
@click.argument("name", required=False, shell_complete=channel_names)
@click.option("--if-needed", is_flag=True, help="Only what is due; without it the epoch rotates.")
@click.option("--quiet", is_flag=True, help="Say something only when there is something to say.")
@click.option("--new-card", is_flag=True, help="Make a new card; it also heals a forked chain.")
@click.option("--abandon-outbox", is_flag=True, help="Drop messages that the hub refuses.")
@home_options
@json_option
@click.pass_context
def renew_command(
    ctx: click.Context,
    name: str | None,
    if_needed: bool,
    quiet: bool,
    new_card: bool,
    abandon_outbox: bool,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Re-issue cards, manifest, epoch and fingerprint key; of all channels without a NAME.

    The exit code is 10 when something still expires within 14 days: then somebody else must act.
    """
    with load_home(home, passphrase_file) as opened:
        desk = desk_of(opened)
        names = (
            [name]
            if name
            else [
                each.name
                for each in opened.state.channels()
                if each.standing in ("owner", "member") and each.trusted is not None
            ]
        )
        done: list[Renewed] = []
        for index, each in enumerate(names):
            done.append(
                renew(
                    desk,
                    each,
                    force=not if_needed,
                    new_card=new_card and index == 0,
                    abandon=abandon_outbox,
                )
            )
        after = health(opened, now=desk.clock())
        warnings = {
            each.name: each.notes
            for each in after.channels
            if each.name in names and each.level != FINE
        }
        if as_json:
            print_json(
                {"renewed": {each.channel: each.done for each in done}, "warnings": warnings}
            )
        else:
            for each_done in done:
                for text in each_done.done:
                    click.echo(f"{each_done.channel}: {text}")
                if not each_done.done and not quiet:
                    click.echo(f"{each_done.channel}: nothing is due")
            for channel, notes in warnings.items():
                for text in notes:
                    click.echo(f"stillwatch: warning: {channel}: {text}", err=True)
    if warnings:
        ctx.exit(ATTENTION)
