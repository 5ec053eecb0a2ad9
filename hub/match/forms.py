"""Patterns of several observations, brought into the few forms that are cheap to follow.

The observations here are events: points in time, each observed once, each satisfying some of the
pattern's `[ ]`. Most patterns are then one of two forms: a *bag* (so many of these and so many of
those, within some seconds, in any order) or a *chain* (one after another, within some seconds).
What is neither is a *tree*, and judged by search.

Source: STIX 2.1, sections 9.2, 9.3 and 9.5 (patterns, qualifiers, observation operators).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

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

MAX_POSITIONS: Final = 64
"""Events in a chain; a longer one is a tree."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_FIRST: Final = -(2**62)
_LAST: Final = 2**62

Span: TypeAlias = tuple[int, int, int]
"""Leaves (bit k: the k-th) that count in [start, stop), microseconds since 1970."""
Unit: TypeAlias = tuple[Span, ...]
"""What one event must satisfy: any of the spans."""


@dataclass(frozen=True, slots=True)
class Bag:
    """Every unit so many times, by different events, in any order.

    Attributes:
        window: the most microseconds from the first to the last; None: no matter when.
    """

    units: tuple[Unit, ...]
    wanted: tuple[int, ...]
    window: int | None

    @property
    def need(self) -> int:
        """How many events it takes."""
        return sum(self.wanted)


@dataclass(frozen=True, slots=True)
class Chain:
    """One event for each unit, none before the one for the unit before it."""

    units: tuple[Unit, ...]
    window: int | None

    @property
    def need(self) -> int:
        """How many events it takes."""
        return len(self.units)


@dataclass(frozen=True, slots=True)
class Tree:
    """Anything else: to be searched.

    Attributes:
        leaf_of: the number of the leaf by the identity of its expression.
        need: the least number of events that can satisfy the pattern.
    """

    pattern: Pattern
    window: int | None
    leaf_of: Mapping[int, int]
    need: int


Form: TypeAlias = Bag | Chain | Tree


def leaves(pattern: Pattern) -> tuple[Expression, ...]:
    """The `[ ]` of a pattern in the order of its text; leaf k is the k-th of them."""
    return tuple(leaf.expression for leaf in _observations(pattern))


def forms(pattern: Pattern) -> tuple[Form, ...]:
    """The alternatives of a pattern: it holds where any of them does."""
    leaf_of = {id(one.expression): number for number, one in enumerate(_observations(pattern))}
    return tuple(_Compiler(leaf_of).form(one) for one in _alternatives(pattern))


def microseconds_of(seconds: float) -> int | None:
    """A WITHIN in microseconds; None if it is longer than time can be told."""
    try:
        return timedelta(seconds=seconds) // timedelta(microseconds=1)
    except OverflowError:
        return None


def _observations(pattern: Pattern) -> Iterator[Observation]:
    match pattern:
        case Observation():
            yield pattern
        case EachOf(operands) | OneOf(operands):
            for operand in operands:
                yield from _observations(operand)
        case FollowedBy(left, right):
            yield from _observations(left)
            yield from _observations(right)
        case _:
            yield from _observations(pattern.inner)


def _alternatives(pattern: Pattern) -> list[Pattern]:
    """Take apart an OR at the top, under qualifiers too."""
    match pattern:
        case OneOf(operands):
            return [found for operand in operands for found in _alternatives(operand)]
        case Within(inner, seconds):
            return [Within(one, seconds) for one in _alternatives(inner)]
        case StartStop(inner, start, stop):
            return [StartStop(one, start, stop) for one in _alternatives(inner)]
        case _:
            return [pattern]


def least(pattern: Pattern) -> int:
    """How many different observations it takes at least."""
    match pattern:
        case Observation():
            return 1
        case OneOf(operands):
            return min(map(least, operands))
        case EachOf(operands):
            return sum(map(least, operands))
        case FollowedBy(left, right):
            return least(left) + least(right)
        case Repeats(inner, times):
            return times * least(inner)
        case _:
            return least(pattern.inner)


def is_timeless(unit: Unit) -> bool:
    """Whether it does not matter when an event satisfies the unit."""
    return len(unit) == 1 and unit[0][1:] == (_FIRST, _LAST)


def possible(tree: Tree, seen: int) -> bool:
    """Tell quickly that a pattern cannot hold, given the leaves that any event satisfies."""

    def holds(pattern: Pattern) -> bool:
        match pattern:
            case Observation(expression):
                return bool(seen >> tree.leaf_of[id(expression)] & 1)
            case EachOf(operands):
                return all(map(holds, operands))
            case OneOf(operands):
                return any(map(holds, operands))
            case FollowedBy(left, right):
                return holds(left) and holds(right)
            case _:
                return holds(pattern.inner)

    return holds(tree.pattern)


class _Compiler:
    def __init__(self, leaf_of: Mapping[int, int]) -> None:
        self._leaf_of = leaf_of

    def form(self, pattern: Pattern) -> Form:
        body, window, start, stop = pattern, None, _FIRST, _LAST
        while isinstance(body, Within | StartStop):
            if isinstance(body, StartStop):
                start, stop = max(start, _moment(body.start)), min(stop, _moment(body.stop))
            else:
                limit = microseconds_of(body.seconds)
                if limit is not None:
                    window = limit if window is None else min(window, limit)
            body = body.inner
        demands = self._demands(body, start, stop)
        if demands is not None:
            units, wanted = zip(*demands, strict=True)
            return Bag(units, wanted, None if sum(wanted) == 1 else window)
        chain = self._chain(body, start, stop)
        if chain is not None and len(chain) <= MAX_POSITIONS:
            return Chain(tuple(chain), window)
        return Tree(pattern, window, self._leaf_of, least(pattern))

    def _unit(self, pattern: Pattern, start: int, stop: int) -> Unit | None:
        """A pattern that needs exactly one observation, else None."""
        match pattern:
            case Observation(expression):
                spans = ((1 << self._leaf_of[id(expression)], start, stop),)
                return spans if start < stop else ()
            case OneOf(operands):
                parts = [self._unit(operand, start, stop) for operand in operands]
                known = [part for part in parts if part is not None]
                return _joined(known) if len(known) == len(parts) else None
            case StartStop(inner, first, last):
                return self._unit(inner, max(start, _moment(first)), min(stop, _moment(last)))
            case Within(inner, _) | Repeats(inner, 1):
                return self._unit(inner, start, stop)
            case _:
                return None

    def _demands(self, pattern: Pattern, start: int, stop: int) -> list[tuple[Unit, int]] | None:
        """Units and how often each is wanted, if nothing else matters."""
        unit = self._unit(pattern, start, stop)
        if unit is not None:
            return [(unit, 1)]
        match pattern:
            case EachOf(operands):
                parts = [self._demands(operand, start, stop) for operand in operands]
                known = [part for part in parts if part is not None]
                if len(known) < len(parts):
                    return None
                return [demand for part in known for demand in part]
            case Repeats(inner, times):
                inside = self._demands(inner, start, stop)
                return inside and [(unit, wanted * times) for unit, wanted in inside]
            case StartStop(inner, first, last):
                return self._demands(inner, max(start, _moment(first)), min(stop, _moment(last)))
            case _:
                return None

    def _chain(self, pattern: Pattern, start: int, stop: int) -> list[Unit] | None:
        if isinstance(pattern, FollowedBy):
            left, right = (self._chain(one, start, stop) for one in (pattern.left, pattern.right))
            return None if left is None or right is None else left + right
        demands = self._demands(pattern, start, stop)
        if demands is None or len(demands) > 1 or demands[0][1] > MAX_POSITIONS:
            return None
        return [demands[0][0]] * demands[0][1]


def _joined(units: list[Unit]) -> Unit:
    """Any of the units; those of the same time are one span."""
    bits: dict[tuple[int, int], int] = {}
    for unit in units:
        for leaf, start, stop in unit:
            bits[start, stop] = bits.get((start, stop), 0) | leaf
    return tuple((found, start, stop) for (start, stop), found in bits.items())


def _moment(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)
