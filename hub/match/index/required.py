"""Literals that every text must have that passes a LIKE or MATCHES test.

The standard library's own parse tree of a regular expression is the source, so that what is
derived holds for the exact test, which is `re`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from hub.match.index.backtracking import parsed
from hub.match.index.follow import REPEATS, SRE
from hub.match.index.literals import MAX_PARTS, NARROW, SHORT
from hub.match.syntax import Comparison, Operator

_ZERO_WIDTH: Final = frozenset({SRE.AT, SRE.ASSERT, SRE.ASSERT_NOT})
_CLASSES: Final = {SRE.CATEGORY_DIGIT: "0123456789", SRE.CATEGORY_SPACE: " \t\n\r\f\v"}
"""What these match in a text of `utf8.PLAIN`."""

_RARER: Final = re.compile(rb"[^a-zA-Z\s]")

MAX_ALTERNATIVES: Final = 32
_MAX_CLASS: Final = 20
_LONG_ENOUGH: Final = 16
_TOGETHER: Final = 14
_SELECTIVE: Final = 8.0
_FEW_HAVE: Final = 4

Alternatives: TypeAlias = tuple[tuple[bytes, bool], ...]
Choice: TypeAlias = tuple[str, ...]
"""The texts of which one stands at some place."""


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
        if self.decides:
            return _shortest(self.parts[0]) >= _FEW_HAVE
        if max(map(_shortest, self.parts)) < SHORT:
            return False
        return sum(_strength(part) for part in self.parts) >= _SELECTIVE


def required(comparison: Comparison, *, plain: bool = False) -> Required | None:
    """The best required literals of a plain LIKE or MATCHES test; None if there are none.

    Args:
        plain: only texts of `utf8.PLAIN` will be searched for them.
    """
    text = unicodedata.normalize("NFC", str(comparison.values[0]))
    if comparison.operator is Operator.LIKE:
        return _of_like(text)
    tree = parsed(text)
    if tree is None:
        return None
    whole = _literally(tree)
    if whole is not None:
        return Required((((whole, False),),), decides=True) if len(whole) >= NARROW else None
    walk = _Walk(plain=plain)
    walk.through(tree, bool(tree.state.flags & re.IGNORECASE))
    parts = walk.parts()
    return Required(parts, decides=False) if parts else None


def _of_like(text: str) -> Required | None:
    runs = [run.encode("utf-8", "replace") for run in re.split("[%_]", text)]
    decides = bool(re.fullmatch("%+[^%_]+%+", text, re.DOTALL))
    parts = _best([((run, False),) for run in runs if len(run) >= NARROW])
    return Required(parts, decides=decides) if parts else None


def _literally(tree: Any) -> bytes | None:
    """The text that the expression looks for, if it is nothing but a text."""
    if tree.state.flags & ~re.UNICODE or any(op is not SRE.LITERAL for op, _ in tree):
        return None
    try:
        return "".join(chr(code) for _, code in tree).encode()
    except UnicodeEncodeError:
        return None


class _Walk:
    """Collects, along a sequence, the sets of literals of which one must occur."""

    def __init__(self, *, plain: bool) -> None:
        self._plain = plain
        self._sets: list[Alternatives] = []
        self._run: list[Choice] = []
        self._caseless = False

    def through(self, items: Any, caseless: bool) -> None:
        """Read a sequence; `caseless` says what holds at its start."""
        for operation, argument in items:
            if operation is SRE.SUBPATTERN:
                _, added, dropped, inner = argument
                mode = (caseless or bool(added & re.IGNORECASE)) and not dropped & re.IGNORECASE
                self.through(inner, mode)
            elif operation is SRE.ATOMIC_GROUP:
                self.through(argument, caseless)
            elif operation in REPEATS:
                self._repeat(argument[0], argument[2], caseless)
            elif operation not in _ZERO_WIDTH:
                choice = self._choice(operation, argument, caseless)
                if choice is not None:
                    self._follow(choice, caseless)
                else:
                    self._flush()
                    if operation is SRE.BRANCH:
                        self._branch(argument[1], caseless)

    def _repeat(self, least: int, inner: Any, caseless: bool) -> None:
        if least > 0:
            self.through(inner, caseless)
        self._flush()
        if least > 0 and len(inner) == 1 and inner[0][0] in _SINGLE:
            # The last time is right before what follows.
            self.through(inner, caseless)

    def _choice(self, operation: Any, argument: Any, caseless: bool) -> Choice | None:
        """The few texts of which one stands here, or None."""
        if operation is SRE.BRANCH:
            return self._branches(argument[1], caseless)
        if operation is SRE.LITERAL:
            codes = [argument]
        elif operation is SRE.IN:
            codes = self._members(argument)
        else:
            return None
        if not codes or any(0xD800 <= code < 0xE000 for code in codes):
            return None
        if caseless and max(codes) >= 0x80:
            return None
        chars = map(chr, codes)
        return tuple(dict.fromkeys(char.lower() if caseless else char for char in chars))

    def _members(self, members: Any) -> list[int]:
        """The characters of a class if they are few, or none."""
        codes: list[int] = []
        for operation, argument in members:
            if operation is SRE.LITERAL:
                codes.append(argument)
            elif operation is SRE.RANGE and argument[1] - argument[0] < _MAX_CLASS:
                codes += range(argument[0], argument[1] + 1)
            elif operation is SRE.CATEGORY and self._plain and argument in _CLASSES:
                codes += map(ord, _CLASSES[argument])
            else:
                return []
        return codes if len(codes) <= _MAX_CLASS else []

    def _branches(self, branches: Any, caseless: bool) -> Choice | None:
        """The texts of all branches, where each is nothing but a choice of some."""
        found: list[str] = []
        for branch in branches:
            texts: Choice = ("",)
            for operation, argument in branch:
                choice = self._choice(operation, argument, caseless)
                if choice is None or len(texts) * len(choice) > MAX_ALTERNATIVES:
                    return None
                texts = _crossed(texts, choice)
            found += texts
        return tuple(dict.fromkeys(found)) if len(found) <= MAX_ALTERNATIVES else None

    def _follow(self, choice: Choice, caseless: bool) -> None:
        if caseless != self._caseless:
            self._flush()
            self._caseless = caseless
        if len(choice) == 1 and self._run and len(self._run[-1]) == 1:
            self._run[-1] = (self._run[-1][0] + choice[0],)
        else:
            self._run.append(choice)

    def _branch(self, branches: Any, caseless: bool) -> None:
        union: list[tuple[bytes, bool]] = []
        for branch in branches:
            walk = _Walk(plain=self._plain)
            walk.through(branch, caseless)
            parts = walk.parts()
            if not parts:
                return
            union += parts[0]
        if len(union) <= MAX_ALTERNATIVES:
            self._sets.append(tuple(union))

    def _flush(self) -> None:
        texts = _stretch(self._run)
        if texts:
            self._sets.append(tuple((text.encode(), self._caseless) for text in texts))
        self._run = []

    def parts(self) -> tuple[Alternatives, ...]:
        """The best of what must occur, the most selective first."""
        self._flush()
        return _best(self._sets)


_SINGLE: Final = frozenset({SRE.LITERAL, SRE.IN})


def _crossed(left: Choice, right: Choice) -> Choice:
    return tuple(dict.fromkeys(one + other for one in left for other in right))


def _stretch(run: Sequence[Choice]) -> Choice:
    """The texts of the stretch of adjoining choices that is worth most; none if all are short."""
    best: Choice = ()
    value = (0, 0.0)
    for first in range(len(run)):
        texts: Choice = ("",)
        for choice in run[first:]:
            if len(texts) * len(choice) > MAX_ALTERNATIVES:
                break
            texts = _crossed(texts, choice)
            length = min(len(text.encode()) for text in texts)
            worth = min(length, SHORT), min(length, _LONG_ENOUGH) - _spread(len(texts))
            if length >= NARROW and worth > value:
                best, value = texts, worth
    return best


def _best(parts: Iterable[Alternatives]) -> tuple[Alternatives, ...]:
    """Short literals are common, and cost a pass over the text: only where there is no other."""
    ordered = sorted(dict.fromkeys(parts), key=_selectivity, reverse=True)
    longer = [part for part in ordered if _shortest(part) >= SHORT]
    if not longer:
        return tuple(ordered[:MAX_PARTS])
    enough = 1
    while enough < min(len(longer), MAX_PARTS):
        if sum(map(_strength, longer[:enough])) >= _TOGETHER:
            break
        enough += 1
    return tuple(longer[:enough])


def _selectivity(part: Alternatives) -> tuple[float, int]:
    return min(_strength(part), _LONG_ENOUGH), -len(part)


def _strength(part: Alternatives) -> float:
    """In letters of one literal; a digit or sign tells as much as three."""
    weights = (len(one) + 2 * len(_RARER.findall(one)) for one, _ in part)
    return min(weights) - _spread(len(part))


def _shortest(part: Alternatives) -> int:
    return min(len(one) for one, _ in part)


def _spread(count: int) -> float:
    """How many bytes of a literal as many alternatives outweigh: a byte of text tells 2 bits."""
    return math.log2(count) / 2
