"""From a pattern to what a TRAFFIC batch can answer.

Every property test becomes an atom on one field of an event; equal atoms of all indicators are
one. What is left of a pattern is one formula of atoms for each object type: AND joins tests of the
same object, and an event has one object of each type. Of each formula a few *anchor* atoms are
chosen such that the formula can hold only where one of them does.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from hub.errors import InputError
from hub.fingerprint.prompts import PROFILE
from hub.match.compare import network
from hub.match.fields import FIELDS, Field, Kind
from hub.match.pattern import parse
from hub.match.syntax import (
    AllOf,
    AnyOf,
    Comparison,
    EachOf,
    Expression,
    FollowedBy,
    ObjectPath,
    Observation,
    OneOf,
    Operator,
    Pattern,
    Repeats,
    StartStop,
    Within,
)

ALWAYS: Final = -(2**62)
"""A time before every event, in microseconds since 1970."""
NEVER: Final = 2**62
"""A time after every event."""
MAX_TESTS: Final = 10_000
"""Comparisons in one pattern; a list of values in IN is one."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BAND: Final = re.compile(rf"{re.escape(PROFILE)}:(0\d|1[0-5]):([0-9a-f]{{16}})", re.ASCII)
_BY_TEXT: Final = frozenset(
    {Operator.LIKE, Operator.MATCHES, Operator.EXISTS}
    | {Operator.LT, Operator.LE, Operator.GT, Operator.GE}
)
"""Operators that read an address as mere text."""
_OBJECT_TYPES: Final = frozenset(field.object_type for field in FIELDS.values())
_WINDOW: Final = "llm-exchange:window."


@dataclass(frozen=True, slots=True)
class Atom:
    """One test of one field."""

    field: Field
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Both:
    """All operands hold."""

    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of the operands holds."""

    operands: tuple[Node, ...]


Node: TypeAlias = int | Both | Either
"""A formula; an integer is the number of an atom."""


@dataclass(frozen=True, slots=True)
class Formula:
    """One way for an event in [start, stop) (microseconds since 1970) to satisfy a pattern.

    Attributes:
        leaf: -1 if the event alone satisfies it, else which `[ ]` of the pattern, in reading order.
    """

    node: Node
    start: int
    stop: int
    leaf: int = -1


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled pattern.

    Attributes:
        formulas: any of them suffices; none if no TRAFFIC column can answer the pattern.
        paths: all object paths of the pattern, in its order.
        pattern: the tree over the formulas' leaves, if one observation cannot satisfy it.
        leaves: how many `[ ]` it has.
    """

    formulas: tuple[Formula, ...]
    paths: tuple[str, ...]
    pattern: Pattern | None = None
    leaves: int = 1


class Planner:
    """Compiles patterns into formulas over one list of distinct atoms."""

    def __init__(self) -> None:
        self.atoms: list[Atom] = []
        self._numbers: dict[object, int] = {}

    def plan(self, text: str) -> Plan:
        """Compile one pattern.

        Raises:
            PatternError: the text is not a pattern.
            InputError: the pattern can never hold, or is too wide to judge.
        """
        pattern = parse(text)
        formulas: list[Formula] = []
        paths: dict[str, None] = {}
        possible: list[bool] = []
        alone = _is_plain(pattern)
        found = observations(pattern)
        if sum(_size(expression) for expression, _, _ in found) > MAX_TESTS:
            raise InputError(f"has more than {MAX_TESTS:,} tests")
        for leaf, (written, start, stop) in enumerate(found):
            expression = canonical(written)
            comparisons = list(comparisons_of(expression))
            paths |= dict.fromkeys(_asked(comparison) for comparison in comparisons)
            possible.append(bool(_possible(expression)))
            types = dict.fromkeys(one.path.object_type for one in comparisons)
            for object_type in (one for one in types if one in _OBJECT_TYPES):
                node = self._node(expression, object_type)
                if node is not None:
                    formulas.append(Formula(node, start, stop, -1 if alone else leaf))
        if not satisfiable(pattern, iter(possible)):
            raise InputError("AND joins tests of different objects: no observation satisfies it")
        return Plan(tuple(formulas), tuple(paths), None if alone else pattern, len(found))

    def _node(self, expression: Expression, object_type: str) -> Node | None:
        """What remains when tests of other objects and of unseen paths never hold."""
        match expression:
            case Comparison():
                if expression.path.object_type != object_type or not answered(expression):
                    return None
                return self._atom(expression)
            case AllOf(operands):
                nodes = [self._node(operand, object_type) for operand in operands]
                known = tuple(node for node in nodes if node is not None)
                return Both(known) if len(known) == len(nodes) else None
            case AnyOf(operands):
                nodes = [self._node(operand, object_type) for operand in operands]
                known = tuple(node for node in nodes if node is not None)
                return (Either(known) if len(known) > 1 else known[0]) if known else None

    def _atom(self, comparison: Comparison) -> int:
        field = FIELDS[comparison.path.text]
        timed = any(isinstance(value, datetime) for value in comparison.values)
        if timed and field.kind is not Kind.TIME:
            raise InputError("compares a property that is no time with a time")
        return self._number(field, comparison)

    def _number(self, field: Field, comparison: Comparison) -> int:
        # 1, 1.0 and true are one key to Python, so the types belong to the key as well.
        types = tuple(type(value) for value in comparison.values)
        key = (field.path, comparison.operator, comparison.negated, comparison.values, types)
        number = self._numbers.setdefault(key, len(self.atoms))
        if number == len(self.atoms):
            self.atoms.append(Atom(field, comparison))
        return number


def _is_plain(pattern: Pattern) -> bool:
    """Tell whether one observation alone can satisfy the pattern, whatever way it is satisfied."""
    match pattern:
        case Observation():
            return True
        case OneOf(operands):
            return all(map(_is_plain, operands))
        case StartStop(inner) | Within(inner) | Repeats(inner, 1):
            return _is_plain(inner)
        case _:
            return False


def observations(pattern: Pattern) -> list[tuple[Expression, int, int]]:
    """The expressions in `[ ]`, in reading order, each with the times in which it may hold.

    An event is a moment, so START and STOP around several observations bind each of them.
    """
    match pattern:
        case Observation(expression):
            return [(expression, ALWAYS, NEVER)]
        case OneOf(operands) | EachOf(operands):
            return [found for operand in operands for found in observations(operand)]
        case FollowedBy(left, right):
            return [*observations(left), *observations(right)]
        case StartStop(inner, start, stop):
            return [
                (expression, max(first, microseconds(start)), min(last, microseconds(stop)))
                for expression, first, last in observations(inner)
            ]
        case Within(inner) | Repeats(inner):
            return observations(inner)


def satisfiable(pattern: Pattern, leaves: Iterator[bool]) -> bool:
    """Tell whether a pattern can hold, given which of its `[ ]` can, in reading order."""
    match pattern:
        case Observation():
            return next(leaves)
        case OneOf(operands):
            verdicts = [satisfiable(operand, leaves) for operand in operands]
            return any(verdicts)
        case EachOf(operands):
            verdicts = [satisfiable(operand, leaves) for operand in operands]
            return all(verdicts)
        case FollowedBy(left, right):
            # Both are asked, so that the leaves stay in step.
            first, second = satisfiable(left, leaves), satisfiable(right, leaves)
            return first and second
        case StartStop(inner) | Within(inner) | Repeats(inner):
            return satisfiable(inner, leaves)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _size(expression: Expression) -> int:
    """How many tests an expression has."""
    if isinstance(expression, Comparison):
        return 1
    return sum(map(_size, expression.operands))


def comparisons_of(expression: Expression) -> Iterator[Comparison]:
    """The tests of an expression, in its order."""
    if isinstance(expression, Comparison):
        yield expression
    else:
        for operand in expression.operands:
            yield from comparisons_of(operand)


def canonical(expression: Expression) -> Expression:
    """Spell addresses in the one way in which events hold them.

    An event's address is an `ipv4-addr` also where the log wrote it as IPv4-mapped IPv6.
    """
    if not isinstance(expression, Comparison):
        return replace(expression, operands=tuple(map(canonical, expression.operands)))
    field = FIELDS.get(expression.path.text)
    if field is None or field.kind is not Kind.ADDRESS or expression.operator in _BY_TEXT:
        return expression
    blocks = [network(value) if isinstance(value, str) else None for value in expression.values]
    values = tuple(
        value if block is None else str(block).removesuffix(f"/{block.max_prefixlen}")
        for value, block in zip(expression.values, blocks, strict=True)
    )
    if field.object_type == "ipv6-addr" and blocks and all(b and b.version == 4 for b in blocks):
        written = [str(value) for value in expression.values]
        if all(":" in value for value in written):
            path = ObjectPath("ipv4-addr", expression.path.steps)
            return replace(expression, path=path, values=values)
    return replace(expression, values=values)


def _possible(expression: Expression) -> frozenset[str]:
    """The object types of which one object could satisfy all of the expression."""
    match expression:
        case Comparison(path):
            return frozenset({path.object_type})
        case AllOf(operands):
            return frozenset.intersection(*map(_possible, operands))
        case AnyOf(operands):
            return frozenset.union(*map(_possible, operands))


def answered(comparison: Comparison) -> bool:
    """Tell whether some TRAFFIC column could answer the test.

    Absence cannot be seen in a log, and of near-duplicate bands only one profile is computed.
    """
    field = FIELDS.get(comparison.path.text)
    if field is None or (comparison.operator is Operator.EXISTS and comparison.negated):
        return False
    return not _foreign_bands(comparison, field)


def _foreign_bands(comparison: Comparison, field: Field) -> bool:
    looked_up = comparison.operator in {Operator.EQ, Operator.IN}
    return (
        field.kind is Kind.BANDS
        and looked_up
        and not comparison.negated
        and not bands_of(comparison)
    )


@functools.cache
def path_of(field: Field) -> ObjectPath:
    """The parsed path of a field."""
    read = parse(f"[EXISTS {field.path}]")
    assert isinstance(read, Observation)
    assert isinstance(read.expression, Comparison)
    return read.expression.path


def atoms_of(node: Node) -> Iterator[int]:
    """The numbers of a formula's atoms, in the order of the pattern."""
    if isinstance(node, int):
        yield node
    else:
        for operand in node.operands:
            yield from atoms_of(operand)


def _asked(comparison: Comparison) -> str:
    """The path as a report names it."""
    path = comparison.path.text
    if path.startswith(_WINDOW):
        return f"{path} (windows of accounts: stillwatch cluster answers it)"
    if answered(comparison) or path not in FIELDS:
        return path
    if comparison.operator is Operator.EXISTS:
        return f"NOT EXISTS {path}"
    return f"{path} (of a profile other than {PROFILE})"


def bands_of(comparison: Comparison) -> list[tuple[int, int]]:
    """The (band, value) pairs among the literals of a test."""
    found = (_BAND.fullmatch(value) for value in comparison.values if isinstance(value, str))
    return [(int(match[1]), int(match[2], 16)) for match in found if match]


__all__ = [
    "ALWAYS",
    "FIELDS",
    "MAX_TESTS",
    "NEVER",
    "Atom",
    "Both",
    "Either",
    "Field",
    "Formula",
    "Kind",
    "Node",
    "Plan",
    "Planner",
    "answered",
    "atoms_of",
    "bands_of",
    "canonical",
    "comparisons_of",
    "microseconds",
    "observations",
    "path_of",
    "satisfiable",
]
