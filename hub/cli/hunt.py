"""`stillwatch hunt`: the group; each subcommand stands in a file of its own."""

from __future__ import annotations

from typing import Final

import click

from hub.cli.lazy import LazyGroup

_COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "add": ("hub.cli.hunt_add:command", "Add logs to the event store; again adds what is new."),
    "forget": ("hub.cli.hunt_forget:command", "Drop customers or old exchanges from the store."),
    "run": ("hub.cli.hunt_run:command", "Look for new indicators in old exchanges."),
    "status": ("hub.cli.hunt_status:command", "Show what the event store holds, and what is due."),
}


@click.group(cls=LazyGroup, table=_COMMANDS)
def command() -> None:
    """Look for indicators that arrive today in the exchanges of the last month.

    The event store keeps of each exchange only what indicators can ask about; of prompts their
    hashes and near-duplicate bands, not their text. It lies on this machine, for its owner alone,
    and what is older than its days is dropped.
    """
