"""Numba kernels that normalise a column of prompts; `hub.fingerprint.text` is their reference.

Rows of ASCII are done whole; other rows come in already folded, and folding ASCII bytes again
changes nothing. They work on Arrow's own buffers and hold no lock.
Source: schemas/fingerprint-v1.md, section 4.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hub.fingerprint.jit import kernel

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]
Index = int | np.int64

QUOTE_BYTES: Final = 512
WORST_GROWTH: Final = 3
"""A row of n bytes normalises to at most 3n + 5: a digit and a letter become `<num>` and it."""

WORD: Final = np.uint8(1)
_DIGIT: Final = np.uint8(2)
_JOINS: Final = np.uint8(4)
_URL_STOP: Final = np.uint8(8)
_URL_TRAIL: Final = np.uint8(16)
_OPENS: Final = np.uint8(32)
_CHUNK: Final = 2048


def _class_table() -> Bytes:
    table = np.zeros(256, dtype=np.uint8)
    for code in range(256):
        char = chr(code)
        if code >= 0x80 or char == "_" or (code < 0x80 and char.isalnum()):
            table[code] |= WORD
        if char in "0123456789":
            table[code] |= _DIGIT
        if char in ".,:/-":
            table[code] |= _JOINS
        if char in " \"'`<>()[]{}|\\^":
            table[code] |= _URL_STOP
        if char in ".,;:!?":
            table[code] |= _URL_TRAIL
        if char in "0123456789\"'`":
            table[code] |= _OPENS
    return table


def _fold_table() -> Bytes:
    table = np.arange(256, dtype=np.uint8)
    table[:0x21] = 0x20
    table[0x7F] = 0x20
    table[0x41:0x5B] += 0x20
    return table


CLASSES: Final = _class_table()
FOLDS: Final = _fold_table()
_NUM: Final = np.frombuffer(b"<num>", dtype=np.uint8)
_STR: Final = np.frombuffer(b"<str>", dtype=np.uint8)
_URL: Final = np.frombuffer(b"<url>", dtype=np.uint8)


_HTTP: Final = np.frombuffer(b"http://", dtype=np.uint8)
_HTTPS: Final = np.frombuffer(b"https://", dtype=np.uint8)
_WWW: Final = np.frombuffer(b"www.", dtype=np.uint8)


@kernel
def ascii_rows(data: Bytes, offsets: Offsets, out: NDArray[np.bool_]) -> bool:
    """Which rows hold ASCII only; returns whether all do."""
    every = True
    for row in range(offsets.size - 1):
        seen = np.uint8(0)
        for i in range(np.uint64(offsets[row]), np.uint64(offsets[row + 1])):
            seen |= data[i]
        out[row] = seen < 0x80
        every = every and out[row]
    return every


@kernel
def _fold(data: Bytes, start: Index, end: Index, folds: Bytes, out: Bytes) -> Index:
    """Fold one row into `out`, which must hold one byte more than the row; returns the length."""
    # Unsigned indices and no branch: half the time, since Numba then need not allow for negative
    # indices, and no processor foresees where words end.
    size = np.uint64(0)
    before = np.uint8(0x20)
    for i in range(np.uint64(start), np.uint64(end)):
        byte = folds[data[i]]
        out[size] = byte
        size += np.uint64((byte != 0x20) | (before != 0x20))
        before = byte
    length = np.int64(size)
    if length > 0 and out[length - 1] == 0x20:
        length -= 1
    out[length] = 0
    return length


@kernel
def _openings(
    text: Bytes, first: Index, last: Index, classes: Bytes, places: NDArray[np.int64]
) -> Index:
    """Collect the places in [first, last) where a slot may open; a byte must follow the last."""
    # Again without a branch.
    count = np.uint64(0)
    for i in range(np.uint64(first), np.uint64(last)):
        byte = text[i]
        following = text[i + np.uint64(1)]
        url = ((byte == 0x68) & (following == 0x74)) | ((byte == 0x77) & (following == 0x77))
        places[count] = i
        count += np.uint64(url | (classes[byte] & _OPENS != 0))
    return np.int64(count)


@kernel
def _number(text: Bytes, i: Index, size: Index, classes: Bytes) -> Index:
    while i < size and classes[text[i]] & _DIGIT:
        i += 1
    while i + 1 < size and classes[text[i]] & _JOINS and classes[text[i + 1]] & _DIGIT:
        i += 1
        while i < size and classes[text[i]] & _DIGIT:
            i += 1
    return i


@kernel
def _has(text: Bytes, i: Index, size: Index, expected: Bytes) -> bool:
    if i + expected.size > size:
        return False
    k = 0
    while k < expected.size and text[i + k] == expected[k]:
        k += 1
    return k == expected.size


@kernel
def _url(text: Bytes, i: Index, size: Index, classes: Bytes) -> Index:
    """End of the URL that begins at `i`, or `i`."""
    if i > 0 and classes[text[i - 1]] & WORD:
        return i
    body = i
    if _has(text, i, size, _HTTPS):
        body = i + _HTTPS.size
    elif _has(text, i, size, _HTTP):
        body = i + _HTTP.size
    elif _has(text, i, size, _WWW):
        body = i + _WWW.size
    if body == i:
        return i
    end = body
    while end < size and not classes[text[end]] & _URL_STOP:
        end += 1
    while end > body and classes[text[end - 1]] & _URL_TRAIL:
        end -= 1
    return end if end > body else i


@kernel
def _quoted(text: Bytes, i: Index, size: Index, classes: Bytes) -> Index:
    """End of the quoted text that begins at `i`, or `i`."""
    mark = text[i]
    single = mark == 0x27
    if single and (
        (i > 0 and classes[text[i - 1]] & WORD) or (i + 1 < size and text[i + 1] == 0x20)
    ):
        return i
    end = i + 1
    last = min(size, i + QUOTE_BYTES + 2)
    while end < last and text[end] != mark:
        end += 1
    if end >= last or end == i + 1:
        return i
    if single and end + 1 < size and classes[text[end + 1]] & WORD:
        return i
    return end + 1


@kernel
def _slot_end(text: Bytes, i: Index, size: Index, classes: Bytes) -> Index:
    """The end of the slot that opens at `i`, or `i` if none does."""
    byte = text[i]
    if classes[byte] & _DIGIT:
        return _number(text, i, size, classes)
    if byte == 0x22 or byte == 0x27 or byte == 0x60:
        return _quoted(text, i, size, classes)
    return _url(text, i, size, classes)


@kernel
def _copy(text: Bytes, start: Index, end: Index, out: Bytes, at: Index) -> Index:
    source, target = np.uint64(start), np.uint64(at)
    for k in range(np.uint64(end - start)):
        out[target + k] = text[source + k]
    return at + end - start


@kernel
def _mask(
    text: Bytes,
    size: Index,
    classes: Bytes,
    out: Bytes,
    at: Index,
    places: NDArray[np.int64],
) -> Index:
    """Write the masked text into `out` from `at`; returns where it ends.

    `text[size]` must be a zero, so that a look at the next byte is always allowed.
    """
    i: Index = 0
    for first in range(0, size, _CHUNK):
        count = _openings(text, first, min(first + _CHUNK, size), classes, places)
        for k in range(count):
            place = places[k]
            if place < i:
                continue
            end = _slot_end(text, place, size, classes)
            if end > place:
                at = _copy(text, i, place, out, at)
                byte = text[place]
                slot = _NUM if classes[byte] & _DIGIT else _URL if byte >= 0x61 else _STR
                for n in range(slot.size):
                    out[at + n] = slot[n]
                at += slot.size
                i = end
    return _copy(text, i, size, out, at)


@kernel
def normalise_rows(
    data: Bytes,
    offsets: Offsets,
    folds: Bytes,
    classes: Bytes,
    first: Index,
    out: Bytes,
    out_offsets: Offsets,
) -> Index:
    """Normalise rows from `first` on, until `out` might not hold the next one.

    `out_offsets[first]` says where to write. Returns the first row that was not done.
    """
    longest = 0
    for row in range(offsets.size - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    scratch = np.empty(longest + 1, np.uint8)
    places = np.empty(_CHUNK + 1, np.int64)
    for row in range(first, offsets.size - 1):
        length = offsets[row + 1] - offsets[row]
        at = out_offsets[row]
        if at + WORST_GROWTH * length + _NUM.size > out.size:
            return row
        size = _fold(data, offsets[row], offsets[row + 1], folds, scratch)
        out_offsets[row + 1] = _mask(scratch, size, classes, out, at, places)
    return offsets.size - 1
