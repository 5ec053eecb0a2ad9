"""Showing alarms: what is wrong, since when, and what to do about it."""

from __future__ import annotations

import re
from typing import Final

import click

from hub.cli.options import utc
from hub.client.transparency import NO_QUORUM, ROLLBACK, SPLIT_VIEW, STALE, UNLISTED, WITHHELD

_AUDIT: Final = "stillwatch channel audit {name} lists the proofs; show them to the other members"
_HINTS: Final = {
    NO_QUORUM: "ask who runs the witnesses (stillwatch witness log list); if one is gone for good, "
    "an owner: stillwatch channel log {name} --accept --witness KEY, or --no-witness",
    STALE: "compare the clocks, then ask the hub's operator",
    ROLLBACK: _AUDIT,
    SPLIT_VIEW: _AUDIT,
    UNLISTED: _AUDIT,
    WITHHELD: _AUDIT,
}


def hint_of(text: str) -> str | None:
    """What to do about an alarm, or None: the alarm says itself, or a person must judge."""
    found = re.match(f"(.*?): ({'|'.join(_HINTS)}): ", text)
    return _HINTS[found[2]].format(name=found[1]) if found else None


def show_alarm(text: str, *, err: bool, since: int | None = None) -> None:
    """Print an alarm.

    Args:
        since: when it was raised, UTC seconds.
    """
    when = "" if since is None else f"{utc(since)}: "
    click.secho(f"ALARM: {when}{text}", err=err, bold=True, fg="red")
    hint = hint_of(text)
    if hint is not None:
        click.echo(f"  try: {hint}", err=err)
