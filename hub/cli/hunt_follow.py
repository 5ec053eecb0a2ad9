"""`stillwatch hunt run --follow`: hunt for indicators the moment that they arrive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

from hub.cli.alarms import show_alarm
from hub.cli.pull_follow import ended_by_signals
from hub.client.follow import Round, follow
from hub.client.pulled import Pulled
from hub.client.reads import count_news
from hub.client.work import Desk
from hub.errors import StillwatchError, StoreError
from hub.hunt.store import EventStore

F = TypeVar("F", bound=Callable[..., Any])

_ONCE: Final = ("out", "since", "until", "fail_on_match", "dry_run", "everything")
"""Options of a single hunt, which make no sense for one that goes on."""


def follow_options(command: F) -> F:
    """`--follow` and `--interval`."""
    stay = click.option(
        "--follow", is_flag=True, help="Stay: pull when a hub has news, and hunt for what came."
    )
    interval = click.option(
        "--interval",
        type=click.FloatRange(1, 86_400),
        default=60.0,
        show_default=True,
        help="With --follow: seconds between looks without news, also for exchanges that were "
        "added.",
    )
    return stay(interval(command))


def refuse_with_follow(ctx: click.Context) -> None:
    """Refuse what belongs to a single hunt.

    Raises:
        click.UsageError: such an option was given.
    """
    for param in ctx.command.params:
        given = ctx.get_parameter_source(param.name or "") is not ParameterSource.DEFAULT
        if param.name in _ONCE and given:
            raise click.UsageError(f"{param.opts[0]} does not go with --follow.", ctx)


class Hunting:
    """Hunts after a pull that brought something, and when exchanges were added.

    Args:
        events: the event store.
        hunt: hunts once, and tells.
    """

    def __init__(self, events: EventStore, hunt: Callable[[], None]) -> None:
        self._events = events
        self._hunt = hunt
        self._generation: int | None = None
        self._owed = False

    def after(self, results: list[Pulled]) -> None:
        """Hunt if there is anything to hunt for.

        A hunt that fails is told and made up for at the next turn; only the first must not fail,
        for then somebody is there who can mend it.

        Raises:
            StoreError: the disk failed.
        """
        generation = EventStore.open(self._events.path).catalogue.generation
        first = self._generation is None
        arrived = any(each.messages for each in results)
        if not (first or arrived or self._owed or generation != self._generation):
            return
        self._owed = True
        try:
            self._hunt()
        except StoreError:
            raise
        except StillwatchError as error:
            if first:
                raise
            hint = f" ({error.hint})" if error.hint else ""
            click.echo(f"stillwatch: the hunt is put off: {error}{hint}", err=True)
        else:
            self._owed, self._generation = False, generation


def follow_and_hunt(
    desk: Desk, interval: float, events: EventStore, hunt: Callable[[], None]
) -> None:
    """Pull and hunt until told to end.

    Args:
        desk: the home and the network; all its channels are followed.
        interval: seconds between turns without news.
        events: the event store.
        hunt: hunts once, and tells.
    Raises:
        StoreError: the disk failed.
    """
    waking = ended_by_signals()
    hunting = Hunting(events, hunt)

    def take(found: Round) -> None:
        for each in found.results:
            for text in each.alarms:
                show_alarm(text, err=True)
            if each.problem:
                click.echo(f"{each.channel}: pull failed: {each.problem}", err=True)
        if not waking.ended:
            hunting.after(list(found.results))
        if not found.woken:
            # Not between an arrival and the hunt for it.
            count_news(desk, found.results)

    follow(desk, (), interval, waking, take)
