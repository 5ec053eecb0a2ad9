"""Search of many literals and regular expressions in texts.

One Hyperscan database holds them all where the module is installed. It only proposes: each
proposal is judged by the exact test of the comparison. What Hyperscan cannot read, and rows with
characters on whose classes it and Python differ, are searched with `re`, as everything is where
the module is missing. Expressions over which Python's backtracking might take forever are judged
by Hyperscan alone, and refused without it.
"""

from __future__ import annotations

import importlib
import re
import threading
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hub.errors import PatternError
from hub.match.compare import Test, test_of
from hub.match.index.buffers import Hits, string_buffers
from hub.match.syntax import Comparison, Operator

# Characters on whose classes (\w, \s, \d, upper and lower case) Hyperscan's older Unicode tables
# and Python's agree; a test compares every one of them.
_SETTLED: Final = (
    "\x00-\x1b\x20-\u055f\u0590-\u05ee\u05f0-\u085f\u0900-\u09fb\u0e00-\u0e7f\u2000-\u2bff"
    "\u3000-\u312d\u3400-\u4db5\u4e00-\u9fcc\uac00-\ud7a3\ue000-\ufaff\ufe00-\uffff"
    "\U0001f000-\U0001faff"
)
UNSETTLED: Final = re.compile(f"[^{_SETTLED}]")

_BOUNDED_DOTS: Final = re.compile(r"(?<!\\)\.\{\d*,?\d+\}")

# Spellings that both engines accept and read differently.
_READ_DIFFERENTLY: Final = re.compile(r"\[:|\[\[|\{,|\x00|\\[xu0-9]|\(\?[aLu]")

# The standard library's own reading of a regular expression; it has no public name.
_SRE: Final[Any] = importlib.import_module("re._parser")
_REPEATS: Final = frozenset({_SRE.MAX_REPEAT, _SRE.MIN_REPEAT})


class Backend(Protocol):
    """Proposes the expressions that a text may satisfy."""

    def candidates(self, text: bytes) -> list[int]:
        """Numbers of the expressions that search finds in the text (UTF-8)."""


class TextIndex:
    """A list of distinct LIKE and MATCHES tests; key k is the k-th of them."""

    def __init__(self, comparisons: Sequence[Comparison]) -> None:
        self._tests: list[Test] = [safe_test(comparison) for comparison in comparisons]
        hyperscan = _hyperscan()
        expressions = [_expression(comparison) for comparison in comparisons]
        everything = range(len(comparisons))
        self._by_scan = [
            k for k in everything if hyperscan and _compiles(hyperscan, expressions[k])
        ]
        scanned = set(self._by_scan)
        self._by_re = [k for k in everything if k not in scanned]
        self._hyperscan = hyperscan
        self._chosen = [_widened(str(expressions[k])) for k in self._by_scan]
        self._ascii = self._database(unicode=False)

    @cached_property
    def _unicode(self) -> Backend | None:
        """Compiled when the first text beyond ASCII comes: it takes far longer."""
        return self._database(unicode=True)

    def _database(self, *, unicode: bool) -> Backend | None:
        """All expressions in one; None if there are none, or too many for one database."""
        if not self._chosen:
            return None
        try:
            return _Hyperscan(self._hyperscan, self._chosen, unicode=unicode)
        except self._hyperscan.error:
            return None

    def probe(self, values: Any) -> Hits:
        """Find which tests each of N strings (Arrow, nulls allowed) passes."""
        rows: list[int] = []
        keys: list[int] = []
        values = _sound(values)
        data, offsets = string_buffers(values)
        bounds = (offsets - offsets[0]).tolist()
        content = data[offsets[0] : offsets[-1]].tobytes()
        missing = set(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False)).tolist())
        for row in range(len(values)):
            if row in missing:
                continue
            found = self._passed(content[bounds[row] : bounds[row + 1]])
            if found:
                rows += [row] * len(found)
                keys += found
        return np.asarray(rows, dtype=np.int64), np.asarray(keys, dtype=np.int32)

    def _passed(self, content: bytes) -> list[int]:
        text: str | None = None
        if content.isascii() and not _SEPARATORS.search(content):
            proposed = self._propose(self._ascii, content)
        else:
            text = unicodedata.normalize("NFC", content.decode())
            unsettled = UNSETTLED.search(text) is not None
            proposed = self._by_scan if unsettled else self._propose(self._unicode, text.encode())
        if self._by_re:
            proposed = [*proposed, *self._by_re]
        if not proposed:
            return proposed
        if text is None:
            text = content.decode("ascii")
        return [k for k in sorted(proposed) if self._tests[k](text)]

    def _propose(self, backend: Backend | None, content: bytes) -> list[int]:
        if backend is None:
            return self._by_scan
        return [self._by_scan[number] for number in backend.candidates(content)]


_SEPARATORS: Final = re.compile(rb"[\x1c-\x1f]")


def _sound(values: Any) -> Any:
    """The same strings, with U+FFFD for bytes that are not UTF-8."""
    if len(values) == 0 or pc.all(pc.string_is_ascii(values)).as_py():
        return values
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        binary = values.cast(pa.large_binary())
        texts = [
            None if raw is None else raw.decode("utf-8", "replace") for raw in binary.to_pylist()
        ]
        return pa.array(texts, pa.large_string())
    return values


def _hyperscan() -> Any:
    """The optional module, or None."""
    try:
        return importlib.import_module("hyperscan")
    except ImportError:
        return None


class _Hyperscan:
    """One compiled database; scans of one database take turns, for they share its scratch."""

    def __init__(self, module: Any, expressions: Sequence[str], *, unicode: bool) -> None:
        self._database = module.Database()
        flags = [_flags(module, unicode=unicode)] * len(expressions)
        self._database.compile(
            expressions=[expression.encode() for expression in expressions],
            ids=list(range(len(expressions))),
            elements=len(expressions),
            flags=flags,
        )
        self._lock = threading.Lock()
        self._found: list[int] = []
        self._note: Callable[..., None] = lambda number, *_: self._found.append(number)

    def candidates(self, text: bytes) -> list[int]:
        with self._lock:
            self._found = []
            self._database.scan(text, match_event_handler=self._note)
            return self._found


def _flags(module: Any, *, unicode: bool) -> int:
    flags = int(module.HS_FLAG_SINGLEMATCH) | int(module.HS_FLAG_ALLOWEMPTY)
    if unicode:
        flags |= int(module.HS_FLAG_UTF8) | int(module.HS_FLAG_UCP)
    return flags


def _widened(expression: str) -> str:
    """Let `.{0,200}` be `.*`: it proposes more, never less, and compiles a hundred times faster."""
    return expression if "[" in expression else _BOUNDED_DOTS.sub(".*", expression)


def _compiles(module: Any, expression: str | None) -> bool:
    if expression is None:
        return False
    if _LITERAL.fullmatch(expression):
        return True
    try:
        _Hyperscan(module, [_widened(expression)], unicode=False)
    except module.error:
        return False
    return True


_LITERAL: Final = re.compile(r"(?:[A-Za-z0-9]|\\x[0-9a-f]{2}){1,1000}")


def _expression(comparison: Comparison) -> str | None:
    """What Hyperscan is to look for, or None if it would read the text in another way."""
    text = unicodedata.normalize("NFC", str(comparison.values[0]))
    if comparison.operator is Operator.MATCHES:
        return None if _READ_DIFFERENTLY.search(text) else text
    parts = re.split("%+", text)
    body = "(?s:.*)".join(_like_part(part) for part in parts)
    start = "" if parts[0] == "" and len(parts) > 1 else r"\A"
    end = "" if parts[-1] == "" and len(parts) > 1 else r"\z"
    inner = "(?s:.*)".join(_like_part(part) for part in parts if part) if body else ""
    return f"{start}{inner}{end}"


def _like_part(part: str) -> str:
    return "".join(
        "(?s:.)" if char == "_" else char if _is_plain(char) else f"\\x{ord(char):02x}"
        for char in part
    )


def _is_plain(char: str) -> bool:
    return not char.isascii() or char.isalnum()


def safe_test(comparison: Comparison) -> Test:
    """Compile a test whose time is bounded by the length of the value.

    Raises:
        PatternError: the regular expression may take exponential time, and there is no Hyperscan
            to bound it, or it cannot read it; or what `test_of` raises.
    """
    test = test_of(comparison)
    if not explodes(comparison):
        return test
    backend = _alone(comparison)
    if backend is None:
        raise PatternError(
            "the regular expression may take exponential time", position=comparison.position
        )

    def bounded(value: Any) -> bool:
        if not isinstance(value, str):
            return comparison.negated
        text = unicodedata.normalize("NFC", value).encode("utf-8", "replace")
        return bool(backend.candidates(text)) != comparison.negated

    return bounded


def _alone(comparison: Comparison) -> Backend | None:
    """A database of exactly this expression, if Hyperscan is there and reads it as Python does."""
    module, expression = _hyperscan(), _expression(comparison)
    if module is None or expression is None:
        return None
    try:
        return _Hyperscan(module, [expression], unicode=True)
    except module.error:
        return None


def explodes(comparison: Comparison) -> bool:
    """Tell whether backtracking over a MATCHES literal may take exponential time.

    So it may where an unbounded repeat holds another one; many such expressions are harmless, but
    nothing cheap tells which.
    """
    if comparison.operator is not Operator.MATCHES:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _nested(_SRE.parse(str(comparison.values[0])), inside=False)
    except (re.error, RecursionError, OverflowError):
        return False


def _nested(items: Any, *, inside: bool) -> bool:
    for operation, argument in items:
        if operation in _REPEATS:
            unbounded = argument[1] > 1000
            if (inside and unbounded) or _nested(argument[2], inside=inside or unbounded):
                return True
        elif any(_nested(part, inside=inside) for part in _subpatterns(argument)):
            return True
    return False


def _subpatterns(argument: Any) -> list[Any]:
    if isinstance(argument, _SRE.SubPattern):
        return [argument]
    if isinstance(argument, list | tuple):
        return [found for part in argument for found in _subpatterns(part)]
    return []
