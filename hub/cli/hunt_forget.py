"""`stillwatch hunt forget`: customers and old days out of the event store."""

from __future__ import annotations

from pathlib import Path

import click

from hub.cli.hunt_options import open_store, store_option
from hub.cli.match_inputs import parse_moment
from hub.cli.match_words import counted
from hub.cli.options import home_option
from hub.errors import InputError


@click.command("forget")
@click.option(
    "--account", "accounts", multiple=True, metavar="ID", help="Drop all of this customer."
)
@click.option(
    "--accounts-from",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Drop all of the customers in a file, one account id on each line.",
)
@click.option("--before", metavar="TIME", help="Drop files that end before; UTC unless it says.")
@store_option
@home_option
def command(
    accounts: tuple[str, ...],
    accounts_from: Path | None,
    before: str | None,
    store: Path | None,
    home: Path,
) -> None:
    """Drop exchanges from the event store, and from the disk.

    The logs count as added still: adding them again does not bring back what was dropped.
    """
    moment = parse_moment(before, "--before")
    named = set(accounts) | _listed(accounts_from)
    if not named and moment is None:
        raise InputError("nothing is named to forget", hint="--account ID, or --before TIME")
    events = open_store(store, home)
    with events.locked():
        dropped = 0
        if moment is not None:
            dropped += events.drop_before(int(moment.timestamp() * 1_000_000))
        if named:
            dropped += events.forget(named)
    click.echo(f"{counted(dropped, 'exchange')} dropped")


def _listed(path: Path | None) -> set[str]:
    if path is None:
        return set()
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeError as error:
        raise InputError(
            "cannot be read as text", where=str(path), hint="UTF-8, one account id on each line"
        ) from error
    return {line.strip() for line in lines if line.strip()}
