"""`stillwatch channel repost`: give a restored hub back what it lost."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from hub.cli.exits import ATTENTION
from hub.cli.names import channel_names
from hub.cli.options import count_of, desk_of, home_options, json_option, load_home, print_json
from hub.cli.progress import progress
from hub.client.repost import Reposted, repost


@click.command("repost")
@click.argument("name", shell_complete=channel_names)
@click.option("--dry-run", is_flag=True, help="Count what would be posted, and post nothing.")
@home_options
@json_option
@click.pass_context
def repost_command(
    ctx: click.Context,
    name: str,
    dry_run: bool,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Post again what a hub lacks that was restored from an older copy.

    Every member runs it, in any order, and again until it says that the hub holds everything that
    this home sent; then an owner runs `channel log NAME --accept`. Nothing is made anew: the same
    bytes are posted, for 90 days and up to 256 MiB of each channel, and owners post the manifests
    that they signed and everybody's cards.

    The exit code is 10 while the hub lacks something.
    """
    with load_home(home, passphrase_file) as opened:
        desk = desk_of(opened)
        with progress("messages") as advance:
            found = repost(desk, name, dry_run=dry_run, advance=advance)
    if as_json:
        print_json({**dataclasses.asdict(found), "complete": found.complete, "dry_run": dry_run})
    else:
        _show(found, dry_run=dry_run)
    if not found.complete:
        ctx.exit(ATTENTION)


def _show(found: Reposted, *, dry_run: bool) -> None:
    name = found.channel
    if dry_run and found.lacking:
        click.echo(f"{name}: {count_of(found.lacking, 'message')} would be posted again")
    elif found.posted:
        click.echo(f"{name}: posted {count_of(found.posted, 'message')} again")
    if found.complete:
        click.echo(f"{name}: the hub holds everything that this home sent")
    if found.ended:
        said = "is" if found.ended == 1 else "are"
        click.echo(
            f"{name}: {count_of(found.ended, 'message')} of a key that has ended {said} given up"
        )
    if found.gone:
        click.echo(
            f"{name}: the hub lacks {count_of(found.gone, 'older message')} whose bytes are not "
            "kept here any more"
        )
    if found.waiting and not dry_run:
        click.echo(f"{name}: the hub does not take {count_of(found.waiting, 'message')} yet")
        for reason in found.reasons:
            click.echo(f"  {reason}")
    if not found.complete and not dry_run:
        click.echo(
            "Every member runs this command, owners first; then run it again. When all have, and "
            "it stays: publishers go on with\n"
            f"  stillwatch channel renew {name} --new-card --abandon-outbox\n"
            "and publish their files again."
        )
