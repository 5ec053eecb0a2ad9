"""Names for the shell's completion: read from the local state, without keys and without network."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from hub.cli.options import HOME_VARIABLE
from hub.client.home import Home
from hub.client.state import State
from hub.errors import StillwatchError


def channel_names(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Channels that this home is in."""
    state = _state(ctx)
    if state is None:
        return []
    try:
        return _items({each.name: each.standing for each in state.channels()}, incomplete)
    finally:
        state.close()


def campaign_names(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Campaigns that this home has opened."""
    state = _state(ctx)
    if state is None:
        return []
    try:
        names = {str(row.body.get("name", "")): "" for row in state.objects(types=("campaign",))}
        return _items(names, incomplete)
    finally:
        state.close()


def _items(names: dict[str, str], incomplete: str) -> list[CompletionItem]:
    wanted = incomplete.casefold()
    return [
        CompletionItem(name, help=text or None)
        for name, text in sorted(names.items())
        if name.casefold().startswith(wanted)
    ]


def _state(ctx: click.Context) -> State | None:
    """The state of the home that the command line names so far; None where there is none."""
    given = ctx.params.get("home") or os.environ.get(HOME_VARIABLE)
    home = Path(given) if given else Path.home() / ".stillwatch"
    if not Home.exists(home):
        return None
    try:
        return State.open(home / Home.STATE_FILE)
    except StillwatchError:
        # Whoever presses a key to complete a word wants no error there.
        return None
