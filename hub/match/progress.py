"""How far the events of one group have come towards a pattern of several observations.

Every class here follows one form for one group of events. `push` takes the next event and tells
whether the form holds on what was seen since it was made; then it has done its work. Events
should come in the order of their times; those that are no older than the *lateness* are judged as
if they had come in time.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Hashable, Iterable
from datetime import timedelta
from itertools import groupby
from typing import Final, Protocol

from hub.errors import InputError
from hub.match.bags import Burst, Collected, Count, Distinct, Masks, Pool
from hub.match.binding import Binder, Interval, can_meet
from hub.match.forms import EPOCH, Bag, Chain, Form, Tree, possible
from hub.match.limits import Tally
from hub.match.syntax import Expression

_NEVER: Final = -(2**62)
_RECENT: Final = 64
"""Events that a chain keeps apart for those that come late or at the same time."""


class Progress(Protocol):
    """The state of one form and one group: `size` events are held, the latest of time `newest`."""

    size: int
    newest: int

    def push(self, moment: int, leaves: int, value: Hashable) -> bool:
        """Take an event of that time that satisfies these leaves (bit k: the k-th)."""


class Starter:
    """Begins the state of one form, for one group after another.

    Args:
        distinct: events of the same value count as one (bags only).
    """

    def __init__(self, form: Form, tally: Tally, *, distinct: bool) -> None:
        self._form, self._tally, self._distinct = form, tally, distinct
        self._masks = Masks(() if isinstance(form, Tree) else form.units)

    def begun(self) -> Progress:
        """The state before any event."""
        match self._form:
            case Tree():
                return _Search(self._form, self._tally)
            case Chain():
                return _Steps(self._form, self._masks, self._tally)
            case Bag(units):
                return self._bag(self._form, single=len(units) == 1 and not self._distinct)

    def _bag(self, bag: Bag, *, single: bool) -> Progress:
        if bag.window is None:
            if single:
                return Count(bag.units[0], bag.wanted[0])
            return Collected(bag, self._masks, distinct=self._distinct)
        if single:
            return Burst(bag, self._tally)
        kind = Distinct if self._distinct else Pool
        return kind(bag, self._masks, self._tally)


class _Steps:
    """A chain: for each of its beginnings, the latest time at which one can have begun.

    Events of one time have no order, so they are given out together; those within the lateness
    are kept apart, for what may still come between them.
    """

    __slots__ = ("_before", "_chain", "_masks", "_now", "_recent", "_tally", "newest", "size")

    def __init__(self, chain: Chain, masks: Masks, tally: Tally) -> None:
        self.size, self.newest = 0, _NEVER
        self._chain, self._masks, self._tally = chain, masks, tally
        # Place k: the latest start of k units in a row, before the recent events and with them.
        self._before = self._now = [_NEVER] * (len(chain.units) + 1)
        self._recent: list[tuple[int, int]] = []

    def push(self, moment: int, leaves: int, value: Hashable) -> bool:
        mask = self._masks.of(moment, leaves)
        if not mask:
            return False
        if moment > self.newest:
            self.newest, before = moment, self._now
            self._now = self._after_one(before, moment, mask)
            if self._tally.lateness:
                self._recent.append((moment, mask))
                self._settle(moment - self._tally.lateness)
            else:
                self._before, self._recent = before, [(moment, mask)]
                self.size = 1
            return self._now[-1] > _NEVER
        if moment < self.newest - self._tally.lateness:
            self._tally.report.late += 1
            return False
        insort(self._recent, (moment, mask))
        held, self._now = False, self._before
        for at, masks in _by_time(self._recent):
            self._now = self._after(self._now, at, masks)
            held = held or self._now[-1] > _NEVER
        return held

    def _settle(self, horizon: int) -> None:
        """Fold in what nothing can come before any more."""
        recent = self._recent
        while recent[0][0] < horizon or len(recent) > _RECENT:
            at = recent[0][0]
            same = bisect_left(recent, (at + 1, -1))
            if same == len(recent):
                break
            self._before = self._after(self._before, at, [mask for _, mask in recent[:same]])
            del recent[:same]
        self.size = len(recent)

    def _after_one(self, begun: list[int], at: int, mask: int) -> list[int]:
        """What one event adds that shares its time with no other."""
        window = self._chain.window
        oldest = _NEVER if window is None else at - window
        after = begun.copy()
        for done in range(len(begun) - 1):
            if mask >> done & 1:
                start = at if done == 0 else begun[done]
                if start >= oldest and start > after[done + 1]:
                    after[done + 1] = start
        return after

    def _after(self, begun: list[int], at: int, masks: list[int]) -> list[int]:
        """What events of one time add."""
        window = self._chain.window
        oldest = _NEVER if window is None else at - window
        after = [start if start >= oldest else _NEVER for start in begun]
        for done in range(len(begun) - 1):
            start = at if done == 0 else begun[done]
            if start <= _NEVER or start < oldest:
                continue
            for reached in range(done + 1, min(done + len(masks), len(begun) - 1) + 1):
                if not _in_a_row(masks, done, reached):
                    break
                after[reached] = max(after[reached], start)
        return after


def _by_time(events: Iterable[tuple[int, int]]) -> list[tuple[int, list[int]]]:
    return [(at, [mask for _, mask in same]) for at, same in groupby(events, lambda one: one[0])]


def _in_a_row(masks: list[int], first: int, last: int) -> bool:
    """Tell whether different events satisfy the units first..last-1."""
    if last - first == 1:
        return any(mask >> first & 1 for mask in masks)
    counts: dict[int, int] = {}
    for mask in masks:
        counts[mask] = counts.get(mask, 0) + 1
    serving = [frozenset(m for m in counts if m >> unit & 1) for unit in range(first, last)]
    return can_meet([(one, 1) for one in serving], counts)


class _Search:
    """Any pattern: the events themselves, searched at each of them that may settle it."""

    def __init__(self, tree: Tree, tally: Tally) -> None:
        self.size, self.newest = 0, _NEVER
        self._tree, self._tally = tree, tally
        self._events: list[tuple[int, int]] = []

    def push(self, moment: int, leaves: int, value: Hashable) -> bool:
        self.newest = max(moment, self.newest)
        horizon = self.newest - self._tally.lateness
        if moment < horizon:
            self._tally.report.late += 1
            return False
        insort(self._events, (moment, leaves))
        self._drop(horizon)
        enough = len(self._events) >= self._tree.need
        return enough and possible(self._tree, self._seen()) and self._holds()

    def _seen(self) -> int:
        """The leaves that any of the events satisfies."""
        seen = 0
        for _, leaves in self._events:
            seen |= leaves
        return seen

    def _drop(self, horizon: int) -> None:
        useless = 0
        if self._tree.window is not None:
            useless = bisect_left(self._events, (horizon - self._tree.window, -1))
        over = len(self._events) - useless - self._tally.limits.searched
        if over > 0:
            self._tally.report.evicted += over
            useless += over
        del self._events[:useless]
        self.size = len(self._events)

    def _holds(self) -> bool:
        """Search.

        Raises:
            InputError: too many assignments.
        """
        counts: dict[tuple[int, int], int] = {}
        for event in self._events:
            counts[event] = counts.get(event, 0) + 1
        distinct = list(counts)
        moments = [EPOCH + timedelta(microseconds=moment) for moment, _ in distinct]
        intervals = [
            Interval(moment, moment, counts[event])
            for moment, event in zip(moments, distinct, strict=True)
        ]

        def select(expression: Expression) -> frozenset[int]:
            leaf = self._tree.leaf_of[id(expression)]
            return frozenset(n for n, (_, bits) in enumerate(distinct) if bits >> leaf & 1)

        binder = Binder(intervals, select, self._tally.limits.steps)
        try:
            return binder.holds(self._tree.pattern)
        finally:
            self._charge(binder.steps)

    def _charge(self, steps: int) -> None:
        tally, limits = self._tally, self._tally.limits
        tally.steps += steps
        tally.report.steps += steps
        if tally.steps > limits.steps_per_pattern or tally.report.steps > limits.steps_in_all:
            raise InputError("its search takes too many steps")
