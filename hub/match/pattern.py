"""A recursive-descent parser for the whole grammar of STIX 2.1 patterns.

It accepts what the grammar of the standard accepts, save what the standard's text forbids and no
matcher can use: dates that are not in the calendar, sets of mixed types, and a WITHIN or REPEATS
of zero. Every refusal is a `PatternError` that names the offset. Patterns come from strangers:
length, nesting and digits are bounded, and no refusal repeats the pattern's own text.

Source: STIX 2.1, section 9 and appendix B (grammar `STIXPattern.g4`).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn, TypeVar

from hub.errors import PatternError
from hub.match.syntax import (
    KEYWORDS,
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
    Step,
    Value,
    Within,
)

MAX_LENGTH: Final = 8 * 1024 * 1024
"""Characters in a pattern."""
MAX_DEPTH: Final = 64
"""Parentheses inside parentheses, FOLLOWEDBYs in a row and qualifiers in a row."""
MAX_DIGITS: Final = 400
"""Characters in a number."""

_T = TypeVar("_T")

# The order of the alternatives gives the longest match, as the standard's lexer does: numbers
# with a point before numbers without, prefixed literals before identifiers.
_TOKEN: Final = re.compile(
    r"""
      (?P<ws>[ \t\r\n\v\f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+
            |/\*.*?\*/|//[^\r\n]*)
    | (?P<time>t'\d{4}-(?:0[1-9]|1[012])-(?:0[1-9]|[12]\d|3[01])
              T(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?Z')
    | (?P<hex>h'(?:[a-fA-F0-9]{2})*')
    | (?P<binary>b'(?:[a-zA-Z0-9+/]{4})*(?:[a-zA-Z0-9+/]{4}|[a-zA-Z0-9+/]{3}=|[a-zA-Z0-9+/]{2}==)')
    | (?P<string>'[^'\\]*(?:\\['\\][^'\\]*)*')
    | (?P<float>[+-]?\d*\.\d+)
    | (?P<int>[+-]?(?:0|[1-9]\d*))
    | (?P<word>[a-zA-Z_][a-zA-Z0-9_-]*)
    | (?P<op>==|=|!=|<>|<=|>=|<|>)
    | (?P<mark>[\[\]().,:*])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_OPERATORS: Final = {
    "=": Operator.EQ,
    "==": Operator.EQ,
    "!=": Operator.NE,
    "<>": Operator.NE,
    "<": Operator.LT,
    "<=": Operator.LE,
    ">": Operator.GT,
    ">=": Operator.GE,
}
_TEXT_OPERATORS: Final = {
    "LIKE": Operator.LIKE,
    "MATCHES": Operator.MATCHES,
    "ISSUBSET": Operator.ISSUBSET,
    "ISSUPERSET": Operator.ISSUPERSET,
}
_BOOLEANS: Final = {"true": True, "false": False}
_LITERALS: Final = frozenset({"time", "hex", "binary", "string", "float", "int"})
_TIME: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?Z", re.ASCII)


def parse(text: str) -> Pattern:
    """Read a STIX 2.1 pattern.

    Raises:
        PatternError: the text is not a pattern; `position` is the offset of the first token that
            does not fit (the text's length when it ends too early).
    """
    if len(text) > MAX_LENGTH:
        raise PatternError(f"longer than {MAX_LENGTH} characters", position=MAX_LENGTH)
    parser = _Parser(text)
    pattern = parser.followed_by()
    if parser.kind != "end":
        parser.refuse("an operator, a qualifier or the end")
    return pattern


def parse_time(text: str) -> datetime | None:
    """Read a STIX timestamp, cut to microseconds; None if it is not one.

    A leap second is the first instant of the next minute.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(group) for group in found.groups()[:6])
    micros = int((found[7] or "")[:6].ljust(6, "0"))
    leap = 1 if second == 60 else 0
    try:
        moment = datetime(year, month, day, hour, minute, second - leap, micros, tzinfo=UTC)
        return moment + timedelta(seconds=leap)
    except (ValueError, OverflowError):
        return None


class _Parser:
    """One token of look-ahead over the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._depth = 0
        self._end = 0
        self.kind = ""
        self.token = ""
        self.position = 0
        self._next()

    def _next(self) -> None:
        while True:
            self.position = self._end
            if self.position == len(self._text):
                self.kind, self.token = "end", ""
                return
            found = _TOKEN.match(self._text, self.position)
            if found is None:
                raise PatternError(
                    f"no token of a pattern starts at offset {self.position}",
                    position=self.position,
                )
            self._end = found.end()
            if found.lastgroup != "ws":
                break
        self.kind = str(found.lastgroup)
        self.token = found.group()
        if self.kind == "word" and self.token in KEYWORDS:
            self.kind = "keyword"

    def refuse(self, expected: str) -> NoReturn:
        raise PatternError(f"expected {expected} at offset {self.position}", position=self.position)

    def _is(self, token: str) -> bool:
        return self.token == token and self.kind in {"keyword", "mark"}

    def _take(self, token: str) -> bool:
        if not self._is(token):
            return False
        self._next()
        return True

    def _expect(self, token: str) -> None:
        if not self._take(token):
            self.refuse(f"'{token}'")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise PatternError(
                f"nested deeper than {MAX_DEPTH} at offset {self.position}",
                position=self.position,
            )

    def _chain(self, keyword: str, operand: Callable[[], _T]) -> list[_T]:
        operands = [operand()]
        while self._take(keyword):
            operands.append(operand())
        return operands

    def followed_by(self) -> Pattern:
        operands = self._chain("FOLLOWEDBY", self._one_of)
        if len(operands) > MAX_DEPTH:
            raise PatternError(f"more than {MAX_DEPTH} FOLLOWEDBYs in a row", position=0)
        pattern = operands[0]
        for right in operands[1:]:
            pattern = FollowedBy(pattern, right)
        return pattern

    def _one_of(self) -> Pattern:
        operands = self._chain("OR", self._each_of)
        return operands[0] if len(operands) == 1 else OneOf(tuple(operands))

    def _each_of(self) -> Pattern:
        operands = self._chain("AND", self._observation)
        return operands[0] if len(operands) == 1 else EachOf(tuple(operands))

    def _observation(self) -> Pattern:
        pattern: Pattern
        if self._take("["):
            pattern = Observation(self._any())
            self._expect("]")
        elif self._take("("):
            self._deeper()
            pattern = self.followed_by()
            self._expect(")")
            self._depth -= 1
        else:
            self.refuse("'[' or '('")
        qualifiers = 0
        while self.kind == "keyword" and self.token in {"WITHIN", "REPEATS", "START"}:
            qualifiers += 1
            if qualifiers > MAX_DEPTH:
                self.refuse(f"at most {MAX_DEPTH} qualifiers")
            pattern = self._qualifier(pattern)
        return pattern

    def _qualifier(self, inner: Pattern) -> Pattern:
        if self._take("WITHIN"):
            if self.kind not in {"int", "float"} or self.token.startswith("-"):
                self.refuse("a positive number of seconds")
            # A whole number of more digits than a float has room for is endless.
            seconds = float(str(self._number()))
            if seconds <= 0:
                self.refuse("a number of seconds above zero")
            self._next()
            self._expect("SECONDS")
            return Within(inner, seconds)
        if self._take("REPEATS"):
            if self.kind != "int" or self.token.startswith("-"):
                self.refuse("a positive whole number")
            times = int(self._number())
            if times < 1:
                self.refuse("a number above zero")
            self._next()
            self._expect("TIMES")
            return Repeats(inner, times)
        self._expect("START")
        start = self._timestamp()
        self._expect("STOP")
        return StartStop(inner, start, self._timestamp())

    def _timestamp(self) -> datetime:
        if self.kind != "time":
            self.refuse("a timestamp such as t'2026-01-31T00:00:00Z'")
        value = self._literal()
        assert isinstance(value, datetime)
        return value

    def _any(self) -> Expression:
        operands = self._chain("OR", self._all)
        return operands[0] if len(operands) == 1 else AnyOf(tuple(operands))

    def _all(self) -> Expression:
        operands = self._chain("AND", self._test)
        return operands[0] if len(operands) == 1 else AllOf(tuple(operands))

    def _test(self) -> Expression:
        position = self.position
        if self._take("("):
            self._deeper()
            inner = self._any()
            self._expect(")")
            self._depth -= 1
            return inner
        if self._is("NOT") or self._is("EXISTS"):
            negated = self._take("NOT")
            self._expect("EXISTS")
            return Comparison(self._path(), Operator.EXISTS, negated, (), position)
        path = self._path()
        negated = self._take("NOT")
        if self.kind == "op":
            operator = _OPERATORS[self.token]
            self._next()
            ordered = operator not in {Operator.EQ, Operator.NE}
            if ordered and self.kind not in _LITERALS:
                self.refuse("a literal that has an order")
            return Comparison(path, operator, negated, (self._literal(),), position)
        if self._take("IN"):
            return Comparison(path, Operator.IN, negated, self._set(), position)
        if self.kind == "keyword" and self.token in _TEXT_OPERATORS:
            operator = _TEXT_OPERATORS[self.token]
            self._next()
            if self.kind != "string":
                self.refuse("a string")
            return Comparison(path, operator, negated, (self._literal(),), position)
        return self.refuse("a comparison operator")

    def _path(self) -> ObjectPath:
        if self.kind != "word":
            self.refuse("an object type")
        object_type = self.token
        self._next()
        self._expect(":")
        steps: list[Step] = [self._key()]
        while True:
            if self._take("."):
                steps.append(self._key())
            elif self._take("["):
                steps.append(self._index())
                self._expect("]")
            else:
                return ObjectPath(object_type, tuple(steps))

    def _key(self) -> str:
        if self.kind == "string":
            return str(self._literal())
        if self.kind != "word" or "-" in self.token:
            self.refuse("a property name (quoted, if it has a hyphen)")
        key = self.token
        self._next()
        return key

    def _index(self) -> int | None:
        if self._take("*"):
            return None
        if self.kind != "int":
            self.refuse("a list index or '*'")
        index = int(self._number())
        self._next()
        return index

    def _set(self) -> tuple[Value, ...]:
        position = self.position
        self._expect("(")
        if self._take(")"):
            return ()
        values = self._chain(",", self._literal)
        self._expect(")")
        kinds = {float if type(value) is int else type(value) for value in values}
        if len(kinds) > 1:
            raise PatternError(
                f"the set at offset {position} mixes types of literals", position=position
            )
        return tuple(values)

    def _number(self) -> int | float:
        if len(self.token) > MAX_DIGITS:
            self.refuse(f"a number of at most {MAX_DIGITS} digits")
        return int(self.token) if self.kind == "int" else float(self.token)

    def _literal(self) -> Value:
        value: Value
        if self.kind == "string":
            value = self.token[1:-1]
            if "\\" in value:
                value = re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
        elif self.kind in {"int", "float"}:
            value = self._number()
        elif self.kind == "keyword" and self.token in _BOOLEANS:
            value = _BOOLEANS[self.token]
        elif self.kind == "time":
            moment = parse_time(self.token[2:-1])
            if moment is None:
                self.refuse("a date that is in the calendar")
            value = moment
        elif self.kind == "hex":
            value = bytes.fromhex(self.token[2:-1])
        elif self.kind == "binary":
            value = base64.b64decode(self.token[2:-1])
        else:
            self.refuse("a literal")
        self._next()
        return value
