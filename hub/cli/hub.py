"""`stillwatch hub`: the group; each subcommand stands in a file of its own."""

from __future__ import annotations

from typing import Final

import click

from hub.cli.lazy import LazyGroup

_COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "account": (
        "hub.cli.hub_account:account",
        "Add and bar people and services, bind what they log in with.",
    ),
    "audit": ("hub.cli.hub_audit:audit", "Export the audit log, verify an export."),
    "backup": ("hub.cli.hub_backup:backup", "Write a consistent copy while the hub serves."),
    "break-glass": (
        "hub.cli.hub_breakglass:break_glass",
        "Let two administrators open contents for one of them.",
    ),
    "collection": ("hub.cli.hub_collection:collection", "Add, list and grant collections."),
    "dev": ("hub.cli.hub_dev:dev", "Serve a throw-away hub with one account, for integrators."),
    "init": ("hub.cli.hub_serve:init", "Make a data directory for a new hub."),
    "log": ("hub.cli.hub_log:log", "Show the logs of channels, their keys and witnesses."),
    "migrate": ("hub.cli.hub_migrate:migrate", "Bring the database to this release's schema."),
    "openapi": ("hub.cli.hub_openapi:openapi", "Print the OpenAPI document of the HTTP interface."),
    "org": ("hub.cli.hub_org:org", "Add, list, bar and let in organisations."),
    "probe": ("hub.cli.hub_probe:probe", "Ask a running hub whether it is ready to serve."),
    "restore": ("hub.cli.hub_backup:restore", "Make a data directory from a backup."),
    "role": ("hub.cli.hub_role:role", "Show roles, and give them to accounts."),
    "search": ("hub.cli.hub_search:search", "Look for known plaintext in what the hub keeps."),
    "serve": ("hub.cli.hub_serve:serve", "Serve the hub until told to stop."),
    "snapshot": ("hub.cli.hub_snapshot:snapshot", "Cut what collections hold into frames."),
    "token": ("hub.cli.hub_token:token", "Issue, list, rotate and revoke API tokens."),
    "verify": ("hub.cli.hub_backup:verify", "Recompute the audit chain, every log and hash."),
}


@click.group(cls=LazyGroup, table=_COMMANDS)
def command() -> None:
    """Run and administer a hub."""
