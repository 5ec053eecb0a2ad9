"""`stillwatch custodian`: the group; each subcommand stands in a file of its own."""

from __future__ import annotations

from typing import Final

import click

from hub.cli.lazy import LazyGroup

_COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "audit": ("hub.cli.custodian_audit:audit_command", "Show or check the audit of use."),
    "channel": ("hub.cli.custodian_channel:command", "Add and list the channels served."),
    "init": ("hub.cli.custodian_serve:init", "Make a folder for a new custodian."),
    "key": ("hub.cli.custodian_key:command", "Make, list, print and destroy keys."),
    "quota": ("hub.cli.custodian_quota:quota_command", "Show or set what members may ask."),
    "serve": ("hub.cli.custodian_serve:serve", "Serve the custodian until told to stop."),
}


@click.group(cls=LazyGroup, table=_COMMANDS)
def command() -> None:
    """Run one of a channel's two custodians of oblivious tokens.

    A custodian sees neither identifiers nor tokens. Two custodians of one channel must be run by
    two organisations: whoever held both keys could enumerate with the channel's fingerprint key.
    """
