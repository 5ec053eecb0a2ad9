"""Prompt text in normal form: the same bytes from every spelling of one template.

Three steps, all frozen: `fold` (Unicode, case, white space), `mask` (numbers, quoted text and URLs
become slots) and `template` (the words alone). `hub.fingerprint.masking` and
`hub.fingerprint.skeletons` do the same over whole columns; this module is what it is compared with.
Source: schemas/fingerprint-v1.md, section 4.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from hub.fingerprint.unicode14 import unassigned

_SPACE: Final = " "

# Default_Ignorable_Code_Point of Unicode 14.0: invisible, so they must not tell two texts apart.
_IGNORABLE: Final = (
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)
_DOUBLE_QUOTES: Final = frozenset(
    {0x00AB, 0x00BB, 0x201C, 0x201D, 0x201E, 0x201F, 0x300C, 0x300D, 0x300E, 0x300F}
)
_SINGLE_QUOTES: Final = frozenset({0x2018, 0x2019, 0x201A, 0x201B, 0x2039, 0x203A})
# Control characters, white space and the punctuation that NFKC leaves outside ASCII.
_SPACES: Final = (
    (0x0000, 0x0020),
    (0x007F, 0x00B9),
    (0x00BB, 0x00BF),
    (0x00D7, 0x00D7),
    (0x00F7, 0x00F7),
    (0x1680, 0x1680),
    (0x2000, 0x2070),
    (0x3000, 0x3004),
    (0x3008, 0x3020),
    (0x3030, 0x3030),
)
# Scripts written without spaces between words: each of their characters is a word.
_UNSPACED: Final = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3005, 0x3007),
    (0x3021, 0x302F),
    (0x3031, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


_MEMO: Final = 20_000  # entries; a hostile log must not make the tables grow to all of Unicode


def _within(code_point: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(first <= code_point <= last for first, last in ranges)


class _Table(dict[int, str]):
    """A translation of characters outside ASCII, worked out as they are met."""

    def __init__(self, rule: Callable[[int], str]) -> None:
        super().__init__()
        self._rule = rule

    def __missing__(self, code_point: int) -> str:
        result = self._rule(code_point)
        if len(self) < _MEMO:
            self[code_point] = result
        return result

    def apply(self, text: str) -> str:
        """The text translated; where few characters change, by replacing just those."""
        changed = {
            char: result
            for char in set(_NOT_ASCII.findall(text))
            if (result := self[ord(char)]) != char
        }
        if len(changed) > _FEW:
            return text.translate(self)
        for char, result in changed.items():
            text = text.replace(char, result)
        return text


def _rule_before(code_point: int) -> str:
    """Before normalising: invisible characters go, unassigned ones become a space."""
    if _within(code_point, _IGNORABLE):
        return ""
    return _SPACE if unassigned(code_point) else chr(code_point)


def _rule_after(code_point: int) -> str:
    """After case folding: quotes, separators, and room round unspaced characters."""
    if code_point in _DOUBLE_QUOTES:
        return '"'
    if code_point in _SINGLE_QUOTES:
        return "'"
    if _within(code_point, _SPACES):
        return _SPACE
    return f" {chr(code_point)} " if _within(code_point, _UNSPACED) else chr(code_point)


_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_FEW: Final = 12
_before: Final = _Table(_rule_before)
_after: Final = _Table(_rule_after)

_ASCII: Final = bytes(0x20 if c <= 0x20 or c == 0x7F else ord(chr(c).lower()) for c in range(128))
_ASCII_FOLD: Final = _ASCII + bytes(range(128, 256))


def fold(text: str) -> bytes:
    """Step 1: NFKC and case folding as of Unicode 14.0, one space between words, trimmed; UTF-8.

    Quotation marks become `"` or `'`, other punctuation outside ASCII and control characters a
    space, invisible characters vanish, characters of scripts without spaces stand alone.
    Lone surrogates count as unassigned, so any `str` is accepted.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _before.apply(text)).casefold()
        text = _after.apply(unicodedata.normalize("NFKC", text))
    return b" ".join(text.encode().translate(_ASCII_FOLD).split())


_WORD: Final = rb"0-9A-Za-z_\x80-\xff"
_URL_END: Final = rb" \"'`<>()\[\]{}|\\^"
# Every alternative begins with a literal, so that `re` skips to the next byte that can open a slot.
_OPENINGS: Final = (
    rb"h(?<![%b]h)ttps?://[^%b]*[^%b.,;:!?]" % (_WORD, _URL_END, _URL_END),
    rb"w(?<![%b]w)ww\.[^%b]*[^%b.,;:!?]" % (_WORD, _URL_END, _URL_END),
    rb"\"[^\"]{1,512}\"",
    rb"'(?<![%b]')(?! )[^']{1,512}'(?![%b])" % (_WORD, _WORD),
    rb"`[^`]{1,512}`",
    *(rb"%d[0-9]*(?:[.,:/-][0-9]+)*" % digit for digit in range(10)),
)
_SLOT: Final = re.compile(b"|".join(_OPENINGS))
_SPLIT: Final = re.compile(rb"[%b]+" % _WORD)
_SLOT_OF: Final = {
    ord(first): slot
    for openings, slot in (("hw", b"<url>"), ("\"'`", b"<str>"), ("0123456789", b"<num>"))
    for first in openings
}


def _slot(match: re.Match[bytes]) -> bytes:
    return _SLOT_OF[match[0][0]]


def mask(folded: bytes) -> bytes:
    """Step 2: URLs become `<url>`, quoted text `<str>`, numbers `<num>`.

    Args:
        folded: what `fold` returned.
    Returns:
        UTF-8 with the slots in place, one left-to-right pass.
    """
    return _SLOT.sub(_slot, folded)


def prompt(text: str) -> str:
    """The normalised prompt: folded, then masked."""
    return mask(fold(text)).decode()


def words(normalised: bytes) -> list[bytes]:
    """Maximal runs of ASCII letters, digits, `_` and bytes above 0x7F; slots give their name."""
    return _SPLIT.findall(normalised)


_SLOTS: Final = frozenset({b"num", b"str", b"url"})


def skeleton(found: list[bytes]) -> bytes:
    """Words with one space between, runs of one slot collapsed."""
    kept: list[bytes] = []
    for word in found:
        if not (kept and word in _SLOTS and kept[-1] == word):
            kept.append(word)
    return b" ".join(kept)


def template(text: str) -> str:
    """The template skeleton: the normalised prompt's words with one space between.

    Runs of one slot collapse, so that a list of three numbers and one of four are alike.
    """
    return skeleton(words(mask(fold(text)))).decode()
