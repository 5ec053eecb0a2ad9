"""`stillwatch witness`: the group; each subcommand stands in a file of its own."""

from __future__ import annotations

from typing import Final

import click

from hub.cli.lazy import LazyGroup

_COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "init": ("hub.cli.witness_serve:init", "Make a folder and a key for a new witness."),
    "key": ("hub.cli.witness_log:key", "Show the verifier key that manifests name."),
    "log": ("hub.cli.witness_log:log", "Add, list and remove the logs that it cosigns."),
    "serve": ("hub.cli.witness_serve:serve", "Serve the witness until told to stop."),
}


@click.group(cls=LazyGroup, table=_COMMANDS)
def command() -> None:
    """Run a witness that cosigns the logs of hubs."""
