"""From a pattern to what a TRAFFIC batch can answer.

Every property test becomes an atom on one field of an event; equal atoms of all indicators are
one. What is left of a pattern is one formula of atoms for each object type: AND joins tests of the
same object, and an event has one object of each type. Of each formula a few *anchor* atoms are
chosen such that the formula can hold only where one of them does.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from hub.errors import InputError
from hub.fingerprint.prompts import PROFILE
from hub.match.compare import network, quad
from hub.match.pattern import parse
from hub.match.schema import PATHS, TRAFFIC_SCHEMA
from hub.match.syntax import (
    AllOf,
    AnyOf,
    Comparison,
    Expression,
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

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BAND: Final = re.compile(rf"{re.escape(PROFILE)}:(0\d|1[0-5]):([0-9a-f]{{16}})", re.ASCII)
_BY_TEXT: Final = frozenset(
    {Operator.LIKE, Operator.MATCHES, Operator.EXISTS}
    | {Operator.LT, Operator.LE, Operator.GT, Operator.GE}
)
"""Operators that read an address as mere text."""
_SIMPLE_OPERATORS: Final = {"=": Operator.EQ, "ISSUBSET": Operator.ISSUBSET}
_COMMON_COLUMNS: Final = frozenset(
    {"provider_name", "request_model", "capability_focus", "email_domain_class"}
)


class Kind(enum.Enum):
    """How the values of a field are held and looked up."""

    TEXT = enum.auto()
    TEXTS = enum.auto()
    NUMBER = enum.auto()
    TIME = enum.auto()
    ADDRESS = enum.auto()
    BANDS = enum.auto()


_SIMPLE_KINDS: Final = frozenset({Kind.TEXT, Kind.TEXTS, Kind.ADDRESS})


@dataclass(frozen=True, slots=True)
class Field:
    """A STIX path that a TRAFFIC column answers.

    Attributes:
        derived: which feature of the column's value, or None for the value itself.
    """

    path: str
    object_type: str
    column: str
    kind: Kind
    derived: str | None = None


def _field(column: str, path: str) -> Field:
    object_type = path.partition(":")[0]
    if column == "client_ip":
        return Field(path, object_type, column, Kind.ADDRESS)
    if column == "prompt":
        feature = path.rpartition(".")[2]
        kind = Kind.BANDS if feature == "lsh_bands[*]" else Kind.TEXT
        return Field(path, object_type, column, kind, None if feature == "text" else feature)
    stored = str(TRAFFIC_SCHEMA.field(column).type)
    kinds = {"int64": Kind.NUMBER, "timestamp[us, tz=UTC]": Kind.TIME, "string": Kind.TEXT}
    return Field(path, object_type, column, kinds.get(stored, Kind.TEXTS))


FIELDS: Final[dict[str, Field]] = {
    path: _field(column, path) for column, paths in PATHS.items() for path in paths
}
"""The fields by the canonical spelling of their path."""


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
    """One way for an event in [start, stop) (microseconds since 1970) to satisfy a pattern."""

    node: Node
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled pattern.

    Attributes:
        formulas: any of them suffices; none if no TRAFFIC column can answer the pattern.
        paths: all object paths of the pattern, in its order.
    """

    formulas: tuple[Formula, ...]
    paths: tuple[str, ...]


class Planner:
    """Compiles patterns into formulas over one list of distinct atoms."""

    def __init__(self) -> None:
        self.atoms: list[Atom] = []
        self._numbers: dict[object, int] = {}
        self._paths: dict[str, ObjectPath] = {}

    def plan(self, text: str) -> Plan:
        """Compile one pattern.

        Raises:
            PatternError: the text is not a pattern.
            InputError: the pattern needs more than one observation, or can never hold.
        """
        simple = self._simple(text)
        if simple is not None:
            return simple
        pattern = parse(text)
        formulas: list[Formula] = []
        paths: dict[str, None] = {}
        possible = False
        for written, start, stop in _observations(pattern):
            expression = _canonical(written)
            comparisons = list(_comparisons(expression))
            paths |= dict.fromkeys(_asked(comparison) for comparison in comparisons)
            for object_type in dict.fromkeys(one.path.object_type for one in comparisons):
                possible = possible or _possible(expression, object_type)
                node = self._node(expression, object_type)
                if node is not None:
                    formulas.append(Formula(node, start, stop))
        if not possible:
            raise InputError("AND joins tests of different objects: no observation satisfies it")
        return Plan(tuple(formulas), tuple(paths))

    # One `=` or ISSUBSET is what nearly all indicators are; a full parse costs ten times as much.
    _SIMPLE: Final = re.compile(
        r"\[([a-z0-9-]+:[\w.]+(?:'[\w.-]+'[\w.]*)?(?:\[\*\][\w.]*)?) (=|ISSUBSET) '([^'\\]*)'\]",
        re.ASCII,
    )

    def _simple(self, text: str) -> Plan | None:
        found = self._SIMPLE.fullmatch(text)
        field = FIELDS.get(found[1]) if found else None
        if found is None or field is None or field.kind not in _SIMPLE_KINDS:
            return None
        if field.kind is Kind.ADDRESS and not _is_canonical(found[3], found[2], field):
            return None
        if field.path not in self._paths:
            read = parse(text)
            assert isinstance(read, Observation)
            assert isinstance(read.expression, Comparison)
            self._paths[field.path] = read.expression.path
        path, operator = self._paths[field.path], _SIMPLE_OPERATORS[found[2]]
        atom = self._number(field, Comparison(path, operator, False, (found[3],), 1))
        return Plan((Formula(atom, ALWAYS, NEVER),), (field.path,))

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


def _is_canonical(literal: str, operator: str, field: Field) -> bool:
    """Tell quickly that an address or a block needs no other spelling; False if in doubt."""
    address, _, length = literal.partition("/")
    if length and (operator == "=" or not length.isdecimal() or int(length) > 32):
        return False
    if field.object_type == "ipv4-addr":
        return quad(address) is not None
    block = network(address) if field.object_type == "ipv6-addr" else None
    return block is not None and f"{address}/128" == str(block)


def _observations(pattern: Pattern) -> list[tuple[Expression, int, int]]:
    """The expressions that one observation may satisfy, each with the times in which it may."""
    match pattern:
        case Observation(expression):
            return [(expression, ALWAYS, NEVER)]
        case OneOf(operands):
            return [found for operand in operands for found in _observations(operand)]
        case StartStop(inner, start, stop):
            return [
                (expression, max(first, microseconds(start)), min(last, microseconds(stop)))
                for expression, first, last in _observations(inner)
            ]
        case Within(inner, _) | Repeats(inner, 1):
            return _observations(inner)
        case _:
            raise InputError("needs observation operators, not answerable by this engine")


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _comparisons(expression: Expression) -> Iterator[Comparison]:
    if isinstance(expression, Comparison):
        yield expression
    else:
        for operand in expression.operands:
            yield from _comparisons(operand)


def _canonical(expression: Expression) -> Expression:
    """Spell addresses in the one way in which events hold them.

    An event's address is an `ipv4-addr` also where the log wrote it as IPv4-mapped IPv6.
    """
    if not isinstance(expression, Comparison):
        return replace(expression, operands=tuple(map(_canonical, expression.operands)))
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


def _possible(expression: Expression, object_type: str) -> bool:
    match expression:
        case Comparison(path):
            return path.object_type == object_type
        case AllOf(operands):
            return all(_possible(operand, object_type) for operand in operands)
        case AnyOf(operands):
            return any(_possible(operand, object_type) for operand in operands)


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


def _asked(comparison: Comparison) -> str:
    """The path as a report names it."""
    path = comparison.path.text
    if answered(comparison) or path not in FIELDS:
        return path
    if comparison.operator is Operator.EXISTS:
        return f"NOT EXISTS {path}"
    return f"{path} (of a profile other than {PROFILE})"


def bands_of(comparison: Comparison) -> list[tuple[int, int]]:
    """The (band, value) pairs among the literals of a test."""
    found = (_BAND.fullmatch(value) for value in comparison.values if isinstance(value, str))
    return [(int(match[1]), int(match[2], 16)) for match in found if match]


def answerable(node: Node, atoms: list[Atom], columns: Collection[str]) -> bool:
    """Tell whether the formula can hold on a source that fills only `columns`."""
    match node:
        case int():
            return atoms[node].field.column in columns
        case Both(operands):
            return all(answerable(operand, atoms, columns) for operand in operands)
        case Either(operands):
            return any(answerable(operand, atoms, columns) for operand in operands)


def anchors(node: Node, atoms: list[Atom]) -> tuple[int, frozenset[int]] | None:
    """Choose indexable atoms of which one must hold wherever the formula does.

    Returns:
        Their cost (the less, the more selective) and the atoms; None if there are none.
    """
    match node:
        case int():
            cost = _cost(atoms[node])
            return None if cost is None else (cost, frozenset({node}))
        case Both(operands):
            found = [anchors(operand, atoms) for operand in operands]
            return min((one for one in found if one), key=lambda one: one[0], default=None)
        case Either(operands):
            found = [anchors(operand, atoms) for operand in operands]
            known = [one for one in found if one]
            if len(known) < len(found):
                return None
            return max(cost for cost, _ in known), frozenset().union(*(a for _, a in known))


def is_sure(node: Node) -> bool:
    """Tell whether a hit on any anchor proves the formula."""
    return isinstance(node, int) or (
        isinstance(node, Either) and all(is_sure(operand) for operand in node.operands)
    )


def _cost(atom: Atom) -> int | None:
    comparison, kind = atom.comparison, atom.field.kind
    if comparison.negated:
        return None
    if comparison.operator in {Operator.LIKE, Operator.MATCHES}:
        return 5 if kind in {Kind.TEXT, Kind.TEXTS} else None
    if comparison.operator is Operator.ISSUBSET:
        return 2 if kind is Kind.ADDRESS else None
    if comparison.operator not in {Operator.EQ, Operator.IN}:
        return None
    wanted = (int, float) if kind is Kind.NUMBER else (str,)
    typed = all(isinstance(v, wanted) and not isinstance(v, bool) for v in comparison.values)
    if kind is Kind.TIME or not typed:
        return None
    return 4 if atom.field.column in _COMMON_COLUMNS else 1
