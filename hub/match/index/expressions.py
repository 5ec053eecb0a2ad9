"""What LIKE and MATCHES literals say about the texts that pass: required literals, spelling.

The standard library's own parse tree of a regular expression is the source, so that what is
derived holds for the exact test, which is `re`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from hub.match.index.backtracking import REPEATS, SRE, is_compiled_soon
from hub.match.index.backtracking import parsed as parse_tree
from hub.match.index.literals import MAX_PARTS, MIDDLE, NARROW
from hub.match.syntax import Comparison, Operator

_ZERO_WIDTH: Final = frozenset({SRE.AT, SRE.ASSERT, SRE.ASSERT_NOT})

MAX_ALTERNATIVES: Final = 32
_LONG_ENOUGH: Final = 16
_SELECTIVE: Final = 12
_FEW_HAVE: Final = 4

CASE_FRIENDS: Final = {0x130: "i", 0x131: "i", 0x17F: "s"}
"""The characters beyond ASCII, in normal form C, that a caseless ASCII letter matches."""

_BOUNDED_DOTS: Final = re.compile(r"(?<!\\)\.\{(?:\d+,)?(?:\d{3,}|[7-9]\d)\}")

# Spellings that both engines accept and read differently.
_READ_DIFFERENTLY: Final = re.compile(r"\[:|\[\[|\{,|\x00|\\[xu0-9]|\(\?[aLu]")


Alternatives: TypeAlias = tuple[tuple[bytes, bool], ...]


@dataclass(frozen=True, slots=True)
class Required:
    """Literals that must stand in every text that passes.

    Attributes:
        parts: of each part one literal must; UTF-8, each with whether the case of its ASCII
            letters is of no account.
        decides: the one literal's presence is the test itself.
    """

    parts: tuple[Alternatives, ...]
    decides: bool

    @property
    def selective(self) -> bool:
        """Whether few texts have them, as a single word would not be."""
        lengths = [min(len(one) for one, _ in part) for part in self.parts]
        if self.decides:
            return lengths[0] >= _FEW_HAVE
        return max(lengths) >= _SELECTIVE or sum(lengths) >= 2 * _SELECTIVE


def required(comparison: Comparison) -> Required | None:
    """The best required literals of a plain LIKE or MATCHES test; None if there are none."""
    text = unicodedata.normalize("NFC", str(comparison.values[0]))
    if comparison.operator is Operator.LIKE:
        return _of_like(text)
    parsed = parse_tree(text)
    if parsed is None:
        return None
    whole = _literally(parsed)
    if whole is not None:
        return Required((((whole, False),),), decides=True) if len(whole) >= NARROW else None
    walk = _Walk()
    walk.through(parsed, bool(parsed.state.flags & re.IGNORECASE))
    parts = walk.parts()
    return Required(parts, decides=False) if parts else None


def _of_like(text: str) -> Required | None:
    runs = [run.encode("utf-8", "replace") for run in re.split("[%_]", text)]
    decides = bool(re.fullmatch("%+[^%_]+%+", text, re.DOTALL))
    parts = _best([((run, False),) for run in runs if len(run) >= NARROW])
    return Required(parts, decides=decides) if parts else None


def _literally(parsed: Any) -> bytes | None:
    """The text that the expression looks for, if it is nothing but a text."""
    if parsed.state.flags & ~re.UNICODE or any(op is not SRE.LITERAL for op, _ in parsed):
        return None
    return _encoded([code for _, code in parsed])


def _encoded(codes: Iterable[int]) -> bytes | None:
    try:
        return "".join(map(chr, codes)).encode()
    except UnicodeEncodeError:
        return None


class _Walk:
    """Collects, along a sequence, the sets of literals of which one must occur."""

    def __init__(self) -> None:
        self._sets: list[Alternatives] = []
        self._run: list[int] = []
        self._caseless = False

    def through(self, items: Any, caseless: bool) -> None:
        """Read a sequence; `caseless` says what holds at its start."""
        for operation, argument in items:
            if operation is SRE.LITERAL:
                self._literal(argument, caseless)
            elif operation is SRE.SUBPATTERN:
                _, added, dropped, inner = argument
                mode = (caseless or bool(added & re.IGNORECASE)) and not dropped & re.IGNORECASE
                self.through(inner, mode)
            elif operation is SRE.ATOMIC_GROUP:
                self.through(argument, caseless)
            elif operation is SRE.BRANCH:
                self._flush()
                self._branch(argument[1], caseless)
            elif operation in REPEATS:
                if argument[0] > 0:
                    self.through(argument[2], caseless)
                self._flush()
            elif operation not in _ZERO_WIDTH:
                self._flush()

    def _literal(self, code: int, caseless: bool) -> None:
        if caseless != self._caseless:
            self._flush()
            self._caseless = caseless
        if (caseless and code >= 0x80) or 0xD800 <= code < 0xE000:
            self._flush()
        else:
            self._run.append(code)

    def _branch(self, branches: Any, caseless: bool) -> None:
        union: list[tuple[bytes, bool]] = []
        for branch in branches:
            walk = _Walk()
            walk.through(branch, caseless)
            parts = walk.parts()
            if not parts:
                return
            union += parts[0]
        if len(union) <= MAX_ALTERNATIVES:
            self._sets.append(tuple(union))

    def _flush(self) -> None:
        content = "".join(map(chr, self._run)).encode()
        if len(content) >= NARROW:
            self._sets.append(((content, self._caseless),))
        self._run = []

    def parts(self) -> tuple[Alternatives, ...]:
        """The best of what must occur, the most selective first."""
        self._flush()
        return _best(self._sets)


def _best(parts: Iterable[Alternatives]) -> tuple[Alternatives, ...]:
    """Short literals are common, and cost a pass over the text: only where there is no other."""
    ordered = sorted(dict.fromkeys(parts), key=_selectivity, reverse=True)
    longer = [part for part in ordered if _selectivity(part)[0] >= MIDDLE]
    return tuple((longer or ordered)[:MAX_PARTS])


def _selectivity(alternatives: Alternatives) -> tuple[int, int]:
    return min(min(len(one) for one, _ in alternatives), _LONG_ENOUGH), -len(alternatives)


def spelled(comparison: Comparison) -> str | None:
    """What Hyperscan is to look for; None if it reads that otherwise or compiles it for long."""
    text = unicodedata.normalize("NFC", str(comparison.values[0]))
    if comparison.operator is Operator.MATCHES:
        return text if is_compiled_soon(text) and not _READ_DIFFERENTLY.search(text) else None
    parts = re.split("%+", text)
    start = "" if parts[0] == "" and len(parts) > 1 else r"\A"
    end = "" if parts[-1] == "" and len(parts) > 1 else r"\z"
    inner = "(?s:.*)".join(_like_part(part) for part in parts if part)
    return f"{start}{inner}{end}"


def _like_part(part: str) -> str:
    return "".join(
        "(?s:.)" if char == "_" else char if _is_plain(char) else f"\\x{ord(char):02x}"
        for char in part
    )


def _is_plain(char: str) -> bool:
    return not char.isascii() or char.isalnum()


def widened(expression: str) -> str:
    """Let `.{0,200}` be `.*`: it proposes more, never less, and compiles a hundred times faster.

    Up to 69 the database is built fast enough, and finds faster.
    """
    return expression if "[" in expression else _BOUNDED_DOTS.sub(".*", expression)
