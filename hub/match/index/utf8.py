"""Which texts of a column may be searched as the bytes they are.

LIKE and MATCHES compare in normal form C. A text whose characters are all *stable* (of combining
class zero, unchanged by the normal form, and never joined to the one before) is in it already, by
the quick check of the Unicode Standard.
Source: Unicode Standard Annex 15, section 9.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Final

import numpy as np

from hub.fingerprint.jit import kernel
from hub.fingerprint.masking import Index
from hub.match.index.buffers import Bytes, Offsets, frozen
from hub.match.index.expressions import CASE_FRIENDS

PLAIN: Final = 0
"""ASCII without U+001C to U+001F, which only Python takes for white space."""
STABLE: Final = 1
"""UTF-8 in normal form C."""
OTHER: Final = 2
"""Anything else."""

_KNOWN: Final = 0x20000
_PICTURES: Final = range(0x1F000, 0x1FB00)


@kernel
def _point(data: Bytes, at: Index, end: Index) -> tuple[Index, int]:
    """The code point beyond ASCII at a place and its bytes; -1 where there is no valid one."""
    first = np.int64(data[at])
    size = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    if first < 0xC2 or first > 0xF4 or at + size > end:
        return -1, 1
    point = first & (0x7F >> size)
    for k in range(1, size):
        if data[at + k] & 0xC0 != 0x80:
            return -1, 1
        point = (point << 6) | np.int64(data[at + k] & 0x3F)
    least = 0x80 if size == 2 else 0x800 if size == 3 else 0x10000
    if point < least or point > 0x10FFFF or 0xD800 <= point < 0xE000:
        return -1, 1
    return point, size


@kernel
def _beyond(data: Bytes, begin: Index, end: Index, points: Bytes) -> int:
    at = begin
    while at < end:
        if data[at] < 0x80:
            at += 1
            continue
        point, size = _point(data, at, end)
        if point < 0 or point >= points.size or points[point] == OTHER:
            return OTHER
        at += size
    return STABLE


@kernel
def ascii_kinds(data: Bytes, offsets: Offsets, out: Bytes) -> int:
    """The kinds of texts of ASCII; the others become OTHER, and their number is returned."""
    others = 0
    for row in range(out.size):
        seen = np.uint8(0)
        separated = np.uint8(0)
        for at in range(np.uint64(offsets[row]), np.uint64(offsets[row + 1])):
            seen |= data[at]
            separated |= np.uint8(np.uint8(data[at] - np.uint8(0x1C)) < 4)
        out[row] = OTHER if seen >= 0x80 else STABLE if separated else PLAIN
        others += int(seen >= 0x80)
    return others


@kernel
def _kinds(data: Bytes, offsets: Offsets, points: Bytes, out: Bytes) -> None:
    for row in range(out.size):
        if out[row] == OTHER:
            begin, end = np.int64(offsets[row]), np.int64(offsets[row + 1])
            out[row] = _beyond(data, begin, end, points)


def kinds(data: Bytes, offsets: Offsets) -> Bytes:
    """The kind of each of N texts, given as bytes and N + 1 offsets."""
    out: Bytes = np.empty(len(offsets) - 1, dtype=np.uint8)
    # One form of the arguments, so that each kernel is compiled once.
    data, starts = frozen(data), frozen(offsets.astype(np.int64, copy=False))
    if ascii_kinds(data, starts, out):
        _kinds(data, starts, frozen(code_points()), out)
    return out


@cache
def code_points() -> Bytes:
    """STABLE or OTHER for each code point below 0x20000."""
    followers = {
        ord(parts[-1])
        for point in range(0x80, 0x10000)
        if len(parts := unicodedata.normalize("NFD", chr(point))) > 1
    }
    followers |= {*range(0x1161, 0x1176), *range(0x11A8, 0x11C3), *CASE_FRIENDS}
    points = np.full(_KNOWN, OTHER, dtype=np.uint8)
    for point in [*range(0x80, 0xD800), *range(0xE000, 0x10000), *_PICTURES]:
        char = chr(point)
        if point not in followers and _is_stable(char):
            points[point] = STABLE
    return points


def _is_stable(char: str) -> bool:
    return unicodedata.combining(char) == 0 and unicodedata.is_normalized("NFC", char)
