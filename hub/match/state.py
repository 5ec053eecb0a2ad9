"""Patterns of several observations over a stream of events.

A pattern is followed for each group of events by itself: for all events together, as the standard
says, or for each value of what the `indicator-controls` extension names in `group_by`. Each event
is one observation, made once, at its own time. A pattern completes at the first event with which
it holds on the events since it last completed; those are then spent, so that one long burst
completes a countable number of times.

The memory is bounded: what a WITHIN has made useless is dropped at once, and beyond the limits the
group that was hit longest ago goes first. What that loses is counted in the report.

Source: STIX 2.1, sections 9.2, 9.3 and 9.5; schemas/indicator-controls.json.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hub.errors import InputError
from hub.match.forms import Bag, Form, forms
from hub.match.limits import StateLimits, StateReport, Tally
from hub.match.progress import Progress, Starter
from hub.match.schema import PATHS
from hub.match.syntax import Pattern

_COLUMNS: Final = {path: column for column, paths in PATHS.items() for path in paths}
_SHORT: Final = {
    "account": "account_id",
    "org": "org_id",
    "organization": "org_id",
    "api_key": "api_key_id",
    "address": "client_ip",
    "source": "client_ip",
}
_MICROSECONDS: Final = 1_000_000
_SEPARATOR: Final = "\x1f"


@dataclass(frozen=True, slots=True)
class Watch:
    """An indicator whose pattern needs several observations.

    Attributes:
        indicator: the indicator's row in the index.
        pattern: its leaves are numbered as `hub.match.forms.leaves` lists them.
        modified: microseconds since 1970; with the id it names the version that is followed.
        group_by, count_distinct: as the `indicator-controls` extension has them.
    """

    indicator: int
    pattern: Pattern
    indicator_id: str
    modified: int
    group_by: tuple[str, ...] = ()
    count_distinct: str | None = None

    @property
    def key(self) -> tuple[str, int]:
        """The version of the indicator."""
        return self.indicator_id, self.modified

    @property
    def group_columns(self) -> tuple[str, ...]:
        """TRAFFIC columns by whose values the events are grouped.

        A group has one value of each of them, so what is counted by cannot be grouped by as well:
        it is counted.
        """
        columns = (column_of(name) for name in self.group_by)
        return tuple(one for one in dict.fromkeys(columns) if one != self.distinct_column)

    @property
    def distinct_column(self) -> str | None:
        """The TRAFFIC column whose different values count, or None: the events count."""
        return None if self.count_distinct is None else column_of(self.count_distinct)


def column_of(name: str) -> str:
    """The TRAFFIC column that `group_by` or `count_distinct` means: a column, a path or `account`.

    Raises:
        InputError: no column shows that.
    """
    column = _SHORT.get(name, _COLUMNS.get(name, name))
    if column not in PATHS or column == "prompt":
        raise InputError("groups or counts by what no column of traffic shows")
    return column


def joined(values: Sequence[Any]) -> str | None:
    """The values of an event as one text, of a list its first; None if one is absent."""
    flat = [(value[0] if value else None) if isinstance(value, list) else value for value in values]
    return None if any(one is None for one in flat) else _SEPARATOR.join(map(str, flat))


def watchable(watch: Watch) -> None:
    """Check that the pattern can be followed.

    Raises:
        InputError: it groups or counts by what no column shows, or counts different values in a
            pattern in which they mean nothing.
    """
    _ = watch.group_columns
    counts = watch.distinct_column is not None
    if counts and not all(isinstance(form, Bag) for form in forms(watch.pattern)):
        raise InputError("counts different values in a pattern of more than repetitions")


class Tracker:
    """Follows the patterns of all watches; for one thread at a time.

    Args:
        watches: their places are the numbers by which events are given to them.
        before: a tracker to go on from; what it saw of indicators that are here in the same
            version is taken over, and it must not be used any more.

    Attributes:
        report: kept up to date.
    """

    def __init__(
        self,
        watches: Sequence[Watch],
        limits: StateLimits | None = None,
        before: Tracker | None = None,
    ) -> None:
        self._limits = limits or StateLimits()
        self.report: StateReport = StateReport() if before is None else before.report
        self._watches = list(watches)
        self._groups: OrderedDict[tuple[int, Hashable], Progress] = OrderedDict()
        self._sweep_at = 1024
        self._check_at = min(self._sweep_at, self._limits.groups + 1)
        lateness = round(self._limits.lateness * _MICROSECONDS)
        self._tallies = [Tally(self._limits, self.report, lateness) for _ in watches]
        self._forms: list[tuple[Form, ...]] = []
        for watch in watches:
            self._forms.append(self._followed(watch))
        self._spans = [_span(found, lateness) for found in self._forms]
        self._starters = [
            [Starter(form, tally, distinct=watch.count_distinct is not None) for form in found]
            for watch, found, tally in zip(watches, self._forms, self._tallies, strict=True)
        ]
        if before is not None:
            self._take_over(before)

    def span(self, watch: int) -> int | None:
        """How long an event can matter to a watch, in microseconds; None: for ever."""
        return self._spans[watch]

    def _followed(self, watch: Watch) -> tuple[Form, ...]:
        """The forms of a pattern that the limits allow to follow."""
        found = forms(watch.pattern)
        kept = tuple(form for form in found if form.need <= self._room(form))
        if len(kept) < len(found):
            self.report.given_up[watch.indicator_id] = "needs more events than may be held"
        return kept

    def _take_over(self, before: Tracker) -> None:
        numbers = {watch.key: number for number, watch in enumerate(self._watches)}
        now = [numbers.get(watch.key) for watch in before._watches]
        for old, new in enumerate(now):
            if new is not None:
                self._tallies[new], self._forms[new] = before._tallies[old], before._forms[old]
                self._spans[new] = before._spans[old]
                self._starters[new] = before._starters[old]
        for (old, group), state in before._groups.items():
            new = now[old]
            if new is not None:
                self._groups[new, group] = state
        known = {watch.indicator_id for watch in self._watches}
        for gone in self.report.given_up.keys() - known:
            del self.report.given_up[gone]
        self.report.held = sum(group.size for group in self._groups.values())
        self.report.groups = len(self._groups)

    def _room(self, form: Form) -> int:
        if isinstance(form, Bag):
            counted = len(form.units) == 1 and form.window is None
            return form.need if counted else self._limits.hits_per_group
        return self._limits.searched

    def observe(
        self,
        watch: int,
        leaves: int,
        moment: int,
        group: Hashable = None,
        value: Hashable = None,
    ) -> bool:
        """Take an event that satisfies leaves of a watch's pattern.

        Args:
            watch: its place among the watches.
            leaves: bit k: the event satisfies leaf k.
            moment: microseconds since 1970.
            group: the event's values of `group_columns`; () or None for one group of all.
            value: the event's value of `distinct_column`.
        Returns:
            Whether the pattern holds with this event on those since it last held.
        """
        if not self._forms[watch]:
            return False
        key = (watch, group)
        state = self._groups.get(key)
        if state is None:
            state = self._groups[key] = self._begun(watch)
            self.report.groups = len(self._groups)
        else:
            self._groups.move_to_end(key)
        before = state.size
        try:
            done = state.push(moment, leaves, value)
        except InputError as error:
            self._give_up(watch, error)
            return False
        self.report.held += state.size - before
        if done:
            self._forget(key)
            self.report.completions += 1
        elif len(self._groups) >= self._check_at or self.report.held > self._limits.hits:
            self._keep_bounds(moment)
        return done

    def _begun(self, watch: int) -> Progress:
        parts = [starter.begun() for starter in self._starters[watch]]
        return parts[0] if len(parts) == 1 else _Alternatives(parts)

    def _forget(self, key: tuple[int, Hashable]) -> None:
        self.report.held -= self._groups.pop(key).size
        self.report.groups = len(self._groups)

    def _give_up(self, watch: int, error: InputError) -> None:
        self.report.given_up[self._watches[watch].indicator_id] = error.message
        self._forms[watch] = ()
        for key in [key for key in self._groups if key[0] == watch]:
            self._groups.pop(key)
        self.report.groups = len(self._groups)
        self.report.held = sum(group.size for group in self._groups.values())

    def _keep_bounds(self, moment: int) -> None:
        """Drop what windows have passed, then what was hit longest ago."""
        if len(self._groups) >= self._sweep_at:
            for key in [key for key in self._groups if self._is_over(key, moment)]:
                self._forget(key)
            # A sweep costs as much as there are groups, so the next waits until they have doubled.
            self._sweep_at = max(1024, 2 * len(self._groups))
            self._check_at = min(self._sweep_at, self._limits.groups + 1)
        while len(self._groups) > 1 and (
            len(self._groups) > self._limits.groups or self.report.held > self._limits.hits
        ):
            key = next(iter(self._groups))
            if not self._is_over(key, moment):
                self.report.evicted += max(1, self._groups[key].size)
            self._forget(key)

    def _is_over(self, key: tuple[int, Hashable], moment: int) -> bool:
        """Whether nothing in a group can matter for events from `moment` on."""
        span = self._spans[key[0]]
        return span is not None and self._groups[key].newest < moment - span


class _Alternatives:
    """The ways in which one pattern may hold, for one group of events."""

    __slots__ = ("_parts", "newest", "size")

    def __init__(self, parts: list[Progress]) -> None:
        self._parts = parts
        self.size = self.newest = 0

    def push(self, moment: int, leaves: int, value: Hashable) -> bool:
        """Take an event; any way that holds completes the pattern."""
        done = [part.push(moment, leaves, value) for part in self._parts]
        self.size = sum(part.size for part in self._parts)
        self.newest = max(part.newest for part in self._parts)
        return any(done)


def _span(found: tuple[Form, ...], lateness: int) -> int | None:
    """How long after its latest event a group can matter, in microseconds; None: for ever."""
    windows = [form.window for form in found if form.window is not None]
    return max(windows) + lateness if len(windows) == len(found) and windows else None


__all__ = ["StateLimits", "StateReport", "Tracker", "Watch", "column_of", "watchable"]
