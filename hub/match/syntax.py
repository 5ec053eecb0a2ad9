"""The typed form of a STIX pattern: what `hub.match.pattern.parse` returns.

Chains of AND and OR are one node with many operands; qualifiers wrap the expression they follow.
Source: STIX 2.1, section 9 (patterning).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

Value: TypeAlias = str | int | float | bool | bytes | datetime
Step: TypeAlias = str | int | None
"""A step of an object path: a key, a list index, or None for `[*]`."""

_BARE_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
KEYWORDS = frozenset(
    {"AND", "OR", "NOT", "FOLLOWEDBY", "LIKE", "MATCHES", "ISSUPERSET", "ISSUBSET", "EXISTS"}
    | {"LAST", "IN", "START", "STOP", "SECONDS", "true", "false", "WITHIN", "REPEATS", "TIMES"}
)
"""Words that the grammar keeps for itself: as a property name they must be quoted."""


class Operator(StrEnum):
    """A comparison operator; its value is its spelling in a pattern."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    IN = "IN"
    LIKE = "LIKE"
    MATCHES = "MATCHES"
    ISSUBSET = "ISSUBSET"
    ISSUPERSET = "ISSUPERSET"
    EXISTS = "EXISTS"


@dataclass(frozen=True, slots=True)
class ObjectPath:
    """A path into an object: `network-traffic:src_ref.value`."""

    object_type: str
    steps: tuple[Step, ...]

    @property
    def text(self) -> str:
        """The canonical spelling: keys are quoted only where the grammar needs it."""
        parts = [self.object_type, ":"]
        for number, step in enumerate(self.steps):
            if step is None:
                parts.append("[*]")
            elif isinstance(step, int):
                parts.append(f"[{step}]")
            else:
                parts.append("." if number else "")
                parts.append(step if _is_bare(step) else _quoted(step))
        return "".join(parts)


def _is_bare(key: str) -> bool:
    return _BARE_KEY.fullmatch(key) is not None and key not in KEYWORDS


def _quoted(key: str) -> str:
    escaped = key.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One property test.

    Attributes:
        negated: NOT stood before the operator (or before EXISTS).
        values: the literals: none for EXISTS, any number for IN, else exactly one.
        position: offset of the test in the pattern's text.
    """

    path: ObjectPath
    operator: Operator
    negated: bool
    values: tuple[Value, ...]
    position: int


@dataclass(frozen=True, slots=True)
class AllOf:
    """Comparisons joined by AND: all must hold on the same object."""

    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Comparisons joined by OR."""

    operands: tuple[Expression, ...]


Expression: TypeAlias = Comparison | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class Observation:
    """`[ expression ]`: one observation that satisfies the comparisons."""

    expression: Expression


@dataclass(frozen=True, slots=True)
class EachOf:
    """Observation expressions joined by AND: all hold, on distinct observations."""

    operands: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    """Observation expressions joined by OR."""

    operands: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class FollowedBy:
    """Both hold, on distinct observations, and all of `right` can be after all of `left`."""

    left: Pattern
    right: Pattern


@dataclass(frozen=True, slots=True)
class Within:
    """AllOf observations fit into some span of that many seconds."""

    inner: Pattern
    seconds: float


@dataclass(frozen=True, slots=True)
class Repeats:
    """The inner expression holds that many times, on distinct observations."""

    inner: Pattern
    times: int


@dataclass(frozen=True, slots=True)
class StartStop:
    """AllOf observations can lie in [start, stop), UTC."""

    inner: Pattern
    start: datetime
    stop: datetime


Pattern: TypeAlias = Observation | EachOf | OneOf | FollowedBy | Within | Repeats | StartStop
