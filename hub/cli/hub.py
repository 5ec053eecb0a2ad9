"""`stillwatch hub`: the group; each subcommand stands in a file of its own."""

from __future__ import annotations

import importlib
from typing import Final

import click

_COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "backup": ("hub.cli.hub_backup:backup", "Write a consistent copy while the hub serves."),
    "collection": ("hub.cli.hub_collection:collection", "Add, list and grant collections."),
    "dev": ("hub.cli.hub_dev:dev", "Serve a throw-away hub with one account, for integrators."),
    "init": ("hub.cli.hub_serve:init", "Make a data directory for a new hub."),
    "org": ("hub.cli.hub_org:org", "Add, list, bar and let in organisations."),
    "restore": ("hub.cli.hub_backup:restore", "Make a data directory from a backup."),
    "serve": ("hub.cli.hub_serve:serve", "Serve the hub until told to stop."),
    "token": ("hub.cli.hub_token:token", "Issue, list, rotate and revoke API tokens."),
    "verify": ("hub.cli.hub_backup:verify", "Check the audit log's chain and the database."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = _COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, name = entry[0].partition(":")
        found = getattr(importlib.import_module(module), name)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(_COMMANDS.items())])


@click.group(cls=_LazyGroup)
def command() -> None:
    """Run and administer a hub."""
