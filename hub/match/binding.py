"""Which observations can stand for which parts of a pattern.

A pattern holds if its observation expressions can each be given an observation of their own, and
their times can be chosen so that the qualifiers hold. Times are intervals (first to last
observed), and `number_observed` says how many distinct observations an interval stands for.

Both temporal rules become restrictions of the observations that may be used:

- WITHIN n holds for a set of intervals if some window of n seconds touches them all, and then the
  window that starts at the earliest end touches them all. So it is enough to try the windows that
  start at an end.
- A FOLLOWEDBY B holds if the latest start in A is not after the earliest end in B. So it is enough
  to try each start as the border.

What remains is to give out observations: a flow from observations (as many as were observed) to
demands (one for a test, n for a repeated test).

Source: STIX 2.1, sections 9.2, 9.3 and 9.5 (patterns, qualifiers, observation operators).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from hub.errors import InputError
from hub.match.syntax import (
    EachOf,
    Expression,
    FollowedBy,
    Observation,
    OneOf,
    Pattern,
    Repeats,
    StartStop,
    Within,
)

MAX_STEPS: Final = 1_000_000
"""Assignments tried before the question is given up as too hard."""

Usable: TypeAlias = frozenset[int]
Demand: TypeAlias = tuple[Usable, int]


@dataclass(frozen=True, slots=True)
class Interval:
    """When an observation was made (UTC), and how often."""

    first: datetime
    last: datetime
    count: int


class Binder:
    """Search for one assignment of observations to a pattern.

    Args:
        intervals: the observations, by index.
        select: which of them satisfy the comparisons of one `[ ]`.
        max_steps: after how many tried assignments the question is given up.

    Attributes:
        steps: assignments tried so far.
    """

    def __init__(
        self,
        intervals: Sequence[Interval],
        select: Callable[[Expression], Usable],
        max_steps: int = MAX_STEPS,
    ) -> None:
        self.steps = 0
        self._intervals = intervals
        self._select = select
        self._max_steps = max_steps
        self._cache: dict[int, Usable] = {}

    def holds(self, pattern: Pattern) -> bool:
        """Tell whether any assignment satisfies the pattern.

        Raises:
            InputError: `max_steps` assignments did not settle it.
        """
        everything = frozenset(range(len(self._intervals)))
        return any(True for _ in self._choices(pattern, everything, ()))

    def _matching(self, observation: Observation) -> Usable:
        key = id(observation)
        if key not in self._cache:
            self._cache[key] = self._select(observation.expression)
        return self._cache[key]

    def _single(self, pattern: Pattern, usable: Usable) -> Usable | None:
        """The observations that satisfy a pattern which needs exactly one, else None."""
        match pattern:
            case Observation():
                return self._matching(pattern) & usable
            case OneOf(operands):
                parts = [self._single(operand, usable) for operand in operands]
                known = [part for part in parts if part is not None]
                return frozenset().union(*known) if len(known) == len(parts) else None
            case StartStop(inner, start, stop):
                return self._single(inner, self._during(usable, start, stop))
            case Within(inner, _):
                return self._single(inner, usable)
            case Repeats(inner, 1):
                return self._single(inner, usable)
            case _:
                return None

    def _choices(
        self, pattern: Pattern, usable: Usable, demands: tuple[Demand, ...]
    ) -> Iterator[tuple[Demand, ...]]:
        """Extend `demands` in every way that satisfies the pattern and can be met together."""
        if not usable:
            return
        single = self._single(pattern, usable)
        if single is not None:
            yield from self._extended(demands, (single, 1))
            return
        match pattern:
            case OneOf(operands):
                for operand in operands:
                    yield from self._choices(operand, usable, demands)
            case EachOf(operands):
                yield from self._sequence(operands, usable, demands)
            case Repeats():
                yield from self._repeated(pattern, usable, demands)
            case Within(inner, seconds):
                for window in self._windows(usable, seconds):
                    self._step(1)
                    yield from self._choices(inner, window, demands)
            case StartStop(inner, start, stop):
                yield from self._choices(inner, self._during(usable, start, stop), demands)
            case FollowedBy():
                yield from self._followed(pattern, usable, demands)

    def _followed(
        self, pattern: FollowedBy, usable: Usable, demands: tuple[Demand, ...]
    ) -> Iterator[tuple[Demand, ...]]:
        for before, after in self._borders(usable):
            self._step(1)
            for taken in self._choices(pattern.left, before, demands):
                yield from self._choices(pattern.right, after, taken)

    def _repeated(
        self, pattern: Repeats, usable: Usable, demands: tuple[Demand, ...]
    ) -> Iterator[tuple[Demand, ...]]:
        unit = self._single(pattern.inner, usable)
        if unit is not None:
            yield from self._extended(demands, (unit, pattern.times))
        elif pattern.times <= sum(self._intervals[index].count for index in usable):
            yield from self._sequence((pattern.inner,) * pattern.times, usable, demands)

    def _sequence(
        self, operands: Sequence[Pattern], usable: Usable, demands: tuple[Demand, ...]
    ) -> Iterator[tuple[Demand, ...]]:
        """Satisfy all operands; iterative, so that many repetitions need no deep stack."""
        stack = [self._choices(operands[0], usable, demands)]
        while stack:
            taken = next(stack[-1], None)
            if taken is None:
                stack.pop()
            elif len(stack) == len(operands):
                yield taken
            else:
                stack.append(self._choices(operands[len(stack)], usable, taken))

    def _extended(
        self, demands: tuple[Demand, ...], demand: Demand
    ) -> Iterator[tuple[Demand, ...]]:
        self._step(1 + len(demands))
        extended = (*demands, demand)
        used = {index for usable, _ in extended for index in usable}
        if demand[0] and can_meet(extended, {i: self._intervals[i].count for i in used}):
            yield extended

    def _step(self, count: int) -> None:
        self.steps += count
        if self.steps > self._max_steps:
            raise InputError("the pattern's repetitions are too many to judge on these bundles")

    def _windows(self, usable: Usable, seconds: float) -> Iterator[Usable]:
        seen: set[Usable] = set()
        for start in sorted({self._intervals[index].last for index in usable}):
            try:
                end = start + timedelta(seconds=seconds)
            except OverflowError:
                end = datetime.max.replace(tzinfo=start.tzinfo)
            window = frozenset(
                index
                for index in usable
                if self._intervals[index].last >= start and self._intervals[index].first <= end
            )
            if window not in seen:
                seen.add(window)
                yield window

    def _borders(self, usable: Usable) -> Iterator[tuple[Usable, Usable]]:
        for border in sorted({self._intervals[index].first for index in usable}):
            before = frozenset(i for i in usable if self._intervals[i].first <= border)
            after = frozenset(i for i in usable if self._intervals[i].last >= border)
            yield before, after

    def _during(self, usable: Usable, start: datetime, stop: datetime) -> Usable:
        if start >= stop:
            return frozenset()
        return frozenset(
            index
            for index in usable
            if self._intervals[index].last >= start and self._intervals[index].first < stop
        )


def can_meet(demands: Sequence[Demand], counts: dict[int, int]) -> bool:
    """Tell whether every demand gets as many observations as it wants, none of them given twice.

    Maximum flow by augmenting paths from demands to observations.

    Args:
        demands: which observations serve each, and how many it wants.
        counts: how often each of these observations may be given; used up by the search.
    """
    left = counts
    given: list[dict[int, int]] = [{} for _ in demands]
    for number, (usable, wanted) in enumerate(demands):
        for index in usable:
            share = min(wanted, left[index])
            if share:
                given[number][index] = share
                left[index] -= share
                wanted -= share
        while wanted:
            moved = _augment(demands, given, left, number, wanted)
            if not moved:
                return False
            wanted -= moved
    return True


def _augment(
    demands: Sequence[Demand],
    given: list[dict[int, int]],
    left: dict[int, int],
    number: int,
    wanted: int,
) -> int:
    """Take an observation from an earlier demand that can be served by another one.

    Returns:
        How many observations demand `number` gained.
    """
    came_from: dict[int, tuple[int, int]] = {}
    seen, queue = {number}, [number]
    for demand in queue:
        for index in demands[demand][0]:
            if left[index]:
                return _shift(given, left, came_from, demand, index, wanted)
            for other in range(len(given)):
                if other not in seen and given[other].get(index):
                    seen.add(other)
                    came_from[other] = (demand, index)
                    queue.append(other)
    return 0


def _shift(
    given: list[dict[int, int]],
    left: dict[int, int],
    came_from: dict[int, tuple[int, int]],
    demand: int,
    index: int,
    wanted: int,
) -> int:
    path, step = [], demand
    while step in came_from:
        taker, shared = came_from[step]
        path.append((step, taker, shared))
        step = taker
    amount = min([wanted, left[index], *(given[giver][shared] for giver, _, shared in path)])
    left[index] -= amount
    given[demand][index] = given[demand].get(index, 0) + amount
    for giver, taker, shared in path:
        given[giver][shared] -= amount
        given[taker][shared] = given[taker].get(shared, 0) + amount
    return amount
