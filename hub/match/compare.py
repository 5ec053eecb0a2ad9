"""What each comparison operator means for one value.

Numbers compare as numbers, strings by code point, times to the microsecond; a binary literal
compares with a string whose code points are all below 256, byte for byte; any other pair of types
is unequal and has no order. LIKE and MATCHES compare in normal form C. A negated test is the
opposite of the plain one, save that values without an order fail `<` and `NOT <` alike.

Source: STIX 2.1, sections 9.4 and 9.6 (comparison expressions and operators).
"""

from __future__ import annotations

import ipaddress
import operator
import re
import unicodedata
import warnings
from collections.abc import Callable
from datetime import datetime
from typing import Any, AnyStr, Final, TypeAlias

from hub.errors import InputError, PatternError
from hub.match.pattern import parse_time
from hub.match.syntax import Comparison, Operator, Value

Test: TypeAlias = Callable[[Any], bool]
"""Tells whether a JSON value (binary properties as bytes, times as datetime) passes."""
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_ORDERS: Final[dict[Operator, Callable[[Any, Any], bool]]] = {
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
}
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


def test_of(comparison: Comparison) -> Test:
    """Compile a comparison into a test of one value.

    Raises:
        PatternError: a MATCHES literal is no regular expression, an ISSUBSET literal no network.
    """
    if comparison.operator is Operator.EXISTS:
        return lambda value: not comparison.negated
    if comparison.operator in _ORDERS:
        return _ordered(comparison)
    plain = _plain(comparison)
    if not comparison.negated:
        return plain
    return lambda value: not plain(value)


def _plain(comparison: Comparison) -> Test:
    values = comparison.values
    match comparison.operator:
        case Operator.EQ:
            return lambda value: equal(value, values[0])
        case Operator.NE:
            return lambda value: not equal(value, values[0])
        case Operator.IN:
            return _membership(values)
        case Operator.LIKE:
            return _like(str(values[0]))
        case Operator.MATCHES:
            return _matches(str(values[0]), comparison.position)
        case _:
            return _subset(comparison)


def equal(value: Any, literal: Value) -> bool:
    """The standard's equality of a JSON value and a literal of a pattern.

    Raises:
        InputError: the literal is a time and the value a string that is none.
    """
    value, literal, comparable = _aligned(value, literal)
    return comparable and bool(value == literal)


def _aligned(value: Any, literal: Value) -> tuple[Any, Any, bool]:
    """Bring both to one type, if the standard lets them be compared."""
    if isinstance(literal, datetime):
        return (_moment(value) if isinstance(value, str) else value), literal, _is_time(value)
    if isinstance(value, bool) or isinstance(literal, bool):
        return value, literal, isinstance(value, bool) and isinstance(literal, bool)
    if isinstance(literal, bytes) or isinstance(value, bytes):
        left, right = _as_bytes(value), _as_bytes(literal)
        return left, right, left is not None and right is not None
    numbers = isinstance(value, int | float) and isinstance(literal, int | float)
    return value, literal, numbers or (isinstance(value, str) and isinstance(literal, str))


def _is_time(value: Any) -> bool:
    return isinstance(value, str | datetime)


def _moment(value: str) -> datetime:
    moment = parse_time(value)
    if moment is None:
        raise InputError("a pattern compares a property with a time, but its value is no timestamp")
    return moment


def _as_bytes(value: Any) -> bytes | None:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        try:
            return value.encode("latin-1")
        except UnicodeEncodeError:
            return None
    return None


def _ordered(comparison: Comparison) -> Test:
    order, literal = _ORDERS[comparison.operator], comparison.values[0]

    def test(value: Any) -> bool:
        left, right, comparable = _aligned(value, literal)
        if comparable and not isinstance(left, bool):
            return bool(order(left, right)) != comparison.negated
        # A string that is no byte string is "not less" than a binary literal; other pairs of
        # types have no order at all, and NOT does not give them one.
        mixed = {type(value), type(literal)} == {str, bytes}
        return mixed and comparison.negated

    return test


def _membership(values: tuple[Value, ...]) -> Test:
    if values and all(type(value) is str for value in values):
        strings = frozenset(values)
        return lambda value: (
            value in strings
            if isinstance(value, str)
            else any(equal(value, literal) for literal in values)
        )
    return lambda value: any(equal(value, literal) for literal in values)


def _like(pattern: str) -> Test:
    """`%` is any run of characters and `_` any one character, line ends included."""
    pattern = unicodedata.normalize("NFC", pattern)
    bytewise = all(ord(char) < 256 for char in pattern)
    parts = [_like_part(part) for part in pattern.split("%")]

    def test(value: Any) -> bool:
        if isinstance(value, bytes):
            return bytewise and _like_parts(parts, value.decode("latin-1"))
        if not isinstance(value, str):
            return False
        return _like_parts(parts, unicodedata.normalize("NFC", value))

    return test


def _like_part(part: str) -> re.Pattern[str]:
    return re.compile("".join("." if char == "_" else re.escape(char) for char in part), re.DOTALL)


def _like_parts(parts: list[re.Pattern[str]], value: str) -> bool:
    """Place each part at its leftmost: no choice needs to be taken back, as in one regex."""
    if len(parts) == 1:
        return parts[0].fullmatch(value) is not None
    first = parts[0].match(value)
    if first is None:
        return False
    at = first.end()
    for part in parts[1:-1]:
        found = part.search(value, at)
        if found is None:
            return False
        at = found.end()
    size = _length(parts[-1])
    return len(value) - size >= at and parts[-1].fullmatch(value, len(value) - size) is not None


def _length(part: re.Pattern[str]) -> int:
    """How many characters a part of a LIKE literal takes."""
    return len(re.sub(r"\\(.)", r"\1", part.pattern, flags=re.DOTALL))


def _compiled(regex: AnyStr) -> re.Pattern[AnyStr] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(regex)
    except (re.error, RecursionError, OverflowError):
        return None


def _matches(regex: str, position: int) -> Test:
    normal = unicodedata.normalize("NFC", regex)
    compiled = _compiled(normal)
    if compiled is None:
        raise PatternError(
            f"the regular expression of the test at offset {position} does not compile",
            position=position,
        )
    raw = _as_bytes(normal)
    binary = None if raw is None else _compiled(raw)

    def test(value: Any) -> bool:
        if isinstance(value, bytes):
            return binary is not None and binary.search(value) is not None
        if not isinstance(value, str):
            return False
        return compiled.search(unicodedata.normalize("NFC", value)) is not None

    return test


_OCTET: Final = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_QUAD: Final = re.compile(r"\.".join([_OCTET] * 4), re.ASCII)


def quad(text: str) -> int | None:
    """The 32 bits of a dotted quad, read much faster than `ipaddress` does; None if it is none."""
    found = _QUAD.fullmatch(text)
    if found is None:
        return None
    a, b, c, d = map(int, found.groups())
    return a << 24 | b << 16 | c << 8 | d


def network(text: str) -> Network | None:
    """Read an address or a CIDR block; IPv4-mapped IPv6 is IPv4; None if it is neither."""
    try:
        block = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    if isinstance(block, ipaddress.IPv6Network) and block.subnet_of(_MAPPED):
        inner = int(block.network_address) & 0xFFFFFFFF
        return ipaddress.IPv4Network((inner, block.prefixlen - 96))
    return block


def within(inner: Network, outer: Network) -> bool:
    """Tell whether every address of `inner` is in `outer`; a block is within itself."""
    if isinstance(inner, ipaddress.IPv4Network):
        return isinstance(outer, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, ipaddress.IPv6Network) and inner.subnet_of(outer)


def _subset(comparison: Comparison) -> Test:
    literal = network(str(comparison.values[0]))
    if literal is None:
        raise PatternError(
            f"{comparison.operator} at offset {comparison.position} needs an address or a block",
            position=comparison.position,
        )
    wants_subset = comparison.operator is Operator.ISSUBSET

    def test(value: Any) -> bool:
        block = network(value) if isinstance(value, str) else None
        if block is None:
            return False
        return within(block, literal) if wants_subset else within(literal, block)

    return test
