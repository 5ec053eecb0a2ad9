"""Numba kernel of template skeletons over a column; `hub.fingerprint.text.skeleton` says the same.

Source: schemas/fingerprint-v1.md, section 4.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from hub.fingerprint.jit import kernel
from hub.fingerprint.loads import word_at
from hub.fingerprint.masking import WORD, Bytes, Index, Offsets

_SPACE: Final = np.uint8(0x20)
_PAIR: Final = np.uint64((1 << 56) - 1)
"""The bytes of two slots and the space between them."""
_NUMS: Final = np.uint64(int.from_bytes(b"num num", "little"))
_STRS: Final = np.uint64(int.from_bytes(b"str str", "little"))
_URLS: Final = np.uint64(int.from_bytes(b"url url", "little"))
SPARE: Final = 8
"""Bytes of `out` beyond those of the texts, so that whole words may be read at its end."""


@kernel
def _words(data: Bytes, start: Index, end: Index, classes: Bytes, out: Bytes, at: Index) -> Index:
    """Write the words with one space between; returns where they end.

    Without a branch: no processor foresees where words end.
    """
    size = np.uint64(at)
    before = np.uint8(0)
    for i in range(np.uint64(start), np.uint64(end)):
        word = classes[data[i]] & WORD
        out[size] = data[i] if word else _SPACE
        size += np.uint64(word | before)
        before = word
    length = np.int64(size)
    if length > at and not before:
        length -= 1
    return length


@kernel
def _slots_in_a_row(out: Bytes, start: Index, end: Index) -> Index:
    """The first place where one slot's name may come twice, or `end`."""
    for i in range(start, end - 6):
        word = word_at(out, i) & _PAIR
        if (word == _NUMS) | (word == _STRS) | (word == _URLS):
            return i
    return end


@kernel
def _collapse(out: Bytes, start: Index, first: Index, end: Index) -> Index:
    """Let each run of one slot be one word, from some place on; returns the new end."""
    at = first
    i = first
    while i < end:
        if i + 7 <= end and (i == start or out[i - 1] == _SPACE):
            word = word_at(out, i) & _PAIR
            slots = (word == _NUMS) | (word == _STRS) | (word == _URLS)
            if slots and (i + 7 == end or out[i + 7] == _SPACE):
                i += 4
                continue
        out[at] = out[i]
        at += 1
        i += 1
    return at


@kernel
def skeleton_rows(
    data: Bytes, offsets: Offsets, classes: Bytes, out: Bytes, out_offsets: Offsets
) -> None:
    """Write the skeleton of each normalised text; `out` must hold SPARE bytes more than they do."""
    at: Index = 0
    for row in range(offsets.size - 1):
        begin = at
        at = _words(data, offsets[row], offsets[row + 1], classes, out, begin)
        first = _slots_in_a_row(out, begin, at)
        if first < at:
            at = _collapse(out, begin, first, at)
        out_offsets[row + 1] = at
