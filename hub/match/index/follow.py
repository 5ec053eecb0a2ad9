"""Which characters an expression may begin with, and so which may come after a part of it.

A repeat of characters that cannot stand behind it has one end only: every shorter run fails at its
next character. Sets are of ASCII characters one by one, and of all others by four kinds, as the
classes of `re` tell them apart; they may be too large, never too small.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Final

# The standard library's own reading of a regular expression; it has no public name.
SRE: Final[Any] = importlib.import_module("re._parser")
REPEATS: Final = frozenset({SRE.MAX_REPEAT, SRE.MIN_REPEAT, SRE.POSSESSIVE_REPEAT})

NOTHING: Final = 0
_ASCII: Final = 128
_DIGITS: Final = 1 << _ASCII
_LETTERS: Final = 1 << (_ASCII + 1)
_SPACES: Final = 1 << (_ASCII + 2)
_OTHERS: Final = 1 << (_ASCII + 3)
_BEYOND: Final = _DIGITS | _LETTERS | _SPACES | _OTHERS
ANYTHING: Final = (1 << _ASCII) - 1 | _BEYOND


def _ascii(chars: Sequence[str]) -> int:
    return sum(1 << ord(char) for char in chars)


_ALL: Final = [chr(point) for point in range(_ASCII)]
_WORD: Final = _ascii([c for c in _ALL if c.isalnum() or c == "_"]) | _DIGITS | _LETTERS
_DIGIT: Final = _ascii([c for c in _ALL if c.isdigit()]) | _DIGITS
_SPACE: Final = _ascii([c for c in _ALL if c.isspace()]) | _SPACES
_CLASSES: Final[dict[Any, int]] = {
    SRE.CATEGORY_WORD: _WORD,
    SRE.CATEGORY_NOT_WORD: ANYTHING & ~_WORD,
    SRE.CATEGORY_DIGIT: _DIGIT,
    SRE.CATEGORY_NOT_DIGIT: ANYTHING & ~_DIGIT,
    SRE.CATEGORY_SPACE: _SPACE,
    SRE.CATEGORY_NOT_SPACE: ANYTHING & ~_SPACE,
}


def characters(operation: Any, argument: Any) -> int | None:
    """The characters of an item that always takes one, or None for another item."""
    if operation is SRE.LITERAL:
        return _literal(argument)
    if operation in {SRE.ANY, SRE.NOT_LITERAL}:
        return ANYTHING
    return _members(argument) if operation is SRE.IN else None


def _literal(point: int) -> int:
    """A character in both cases, since flags may say so; some letters have a third beyond ASCII."""
    char = chr(point)
    found = _LETTERS if char.isalpha() else NOTHING
    for one in {char, char.lower(), char.upper(), char.swapcase()}:
        found |= 1 << ord(one) if len(one) == 1 and ord(one) < _ASCII else NOTHING
    return found if point < _ASCII else found | _BEYOND


def _members(items: Any) -> int:
    negated = items[0][0] is SRE.NEGATE
    found = whole = NOTHING
    for operation, argument in items[negated:]:
        if operation is SRE.CATEGORY:
            found |= _CLASSES.get(argument, ANYTHING)
            whole |= _CLASSES.get(argument, NOTHING)
        elif operation is SRE.RANGE:
            low, high = argument
            for point in range(low, min(high + 1, _ASCII)):
                found |= _literal(point)
                whole |= 1 << point
            found |= _BEYOND if high >= _ASCII else NOTHING
        elif operation is SRE.LITERAL:
            found |= _literal(argument)
            whole |= 1 << argument if argument < _ASCII else NOTHING
        else:
            return ANYTHING
    return ANYTHING & ~whole if negated else found


def firsts(items: Any, after: int) -> int:
    """What a sequence may begin with, where `after` are the characters that may follow it."""
    found = after
    for operation, argument in reversed(list(items)):
        own, skipped = _first(operation, argument)
        found = own | (found if skipped else NOTHING)
    return found


def _first(operation: Any, argument: Any) -> tuple[int, bool]:
    """What an item may begin with, and whether it may take nothing."""
    single = characters(operation, argument)
    if single is not None:
        return single, False
    if operation in REPEATS:
        own, empty = _of_parts([argument[2]])
        return own, empty or not argument[0]
    if operation is SRE.BRANCH:
        return _of_parts(argument[1])
    if operation is SRE.SUBPATTERN:
        return _of_parts([argument[-1]])
    if operation is SRE.ATOMIC_GROUP:
        return _of_parts([argument])
    if operation in {SRE.AT, SRE.ASSERT, SRE.ASSERT_NOT}:
        return NOTHING, True
    return ANYTHING, True


def _of_parts(parts: Sequence[Any]) -> tuple[int, bool]:
    found = [_walked(part) for part in parts]
    return _union(own for own, _ in found), any(empty for _, empty in found)


def _walked(items: Any) -> tuple[int, bool]:
    found = NOTHING
    for operation, argument in items:
        own, skipped = _first(operation, argument)
        found |= own
        if not skipped:
            return found, False
    return found, True


def _union(masks: Any) -> int:
    found = NOTHING
    for mask in masks:
        found |= mask
    return found
