"""Hash tables from strings or 128-bit words to the keys of an index.

A bitmap of one hash bit a key turns away nearly every value that is not there. What passes goes to
a table with linear probing, five eighths full: each slot holds 32 bits of the hash and the key,
one machine word, and the value itself is compared last. Keys of equal values are chained in
ascending order by `links`, which is empty where no value repeats. Beside the values, that is 14 to
15 bytes a key, and 4 more where some repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from hub.fingerprint.jit import kernel
from hub.match.index.buffers import NO_KEYS, Bytes, Keys, Offsets, Rows, Whole, Words64, frozen
from hub.match.index.words import hash_bytes, hash_words, same_bytes

_LOW: Final = np.uint64(0xFFFFFFFF)
_HALF: Final = np.uint64(32)
_ONE: Final = np.uint64(1)
_SIX: Final = np.uint64(6)
_IN_WORD: Final = np.uint64(63)


@dataclass(frozen=True, slots=True)
class Table:
    """A filled table.

    Attributes:
        bits: the bitmap, a power of two of 64-bit words.
        slots: 32 bits of the hash above the key plus one; zero is an empty slot.
        links: of each key the next with the same value, or -1; empty if no value repeats.
    """

    bits: Words64
    slots: Words64
    links: Keys

    @classmethod
    def of(cls, count: int, fill: Callable[[Words64, Words64, Keys], bool]) -> Table:
        """Make a table of `count` keys.

        Args:
            fill: writes bits, slots and links, and tells whether any value repeats.
        """
        bits: Words64 = np.zeros(max(1, (1 << (8 * count - 1).bit_length()) // 64), np.uint64)
        slots: Words64 = np.zeros(count * 8 // 5 + 8, dtype=np.uint64)
        links: Keys = np.full(count, -1, dtype=np.int32)
        repeats = count > 0 and fill(bits, slots, links)
        return cls(frozen(bits), frozen(slots), frozen(links) if repeats else NO_KEYS)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.bits.nbytes + self.slots.nbytes + self.links.nbytes


def chain(key: Whole, links: Keys) -> Sequence[int]:
    """A key and those that are linked to it; none for -1."""
    if key < 0:
        return ()
    if not len(links):
        return (int(key),)
    found = []
    while key >= 0:
        found.append(int(key))
        key = np.int64(links[key])
    return found


@kernel
def _passes(hashed: np.uint64, bits: Words64) -> bool:
    word = bits[(hashed >> _SIX) & np.uint64(bits.size - 1)]
    passes: bool = (word >> (hashed & _IN_WORD)) & _ONE != 0
    return passes


@kernel
def _slot(hashed: np.uint64, slots: Words64) -> Whole:
    return np.int64(((hashed >> _HALF) * np.uint64(slots.size)) >> _HALF)


@kernel
def _mark(hashed: np.uint64, bits: Words64) -> None:
    bits[(hashed >> _SIX) & np.uint64(bits.size - 1)] |= _ONE << (hashed & _IN_WORD)


@kernel
def _seek_bytes(
    hashed: np.uint64,
    slots: Words64,
    data: Bytes,
    start: Whole,
    end: Whole,
    key_data: Bytes,
    key_offsets: Rows,
) -> Whole:
    """The slot that holds a string, or the empty one where it would be."""
    at: Whole = _slot(hashed, slots)
    while slots[at] != 0:
        entry = slots[at]
        if entry >> _HALF == hashed & _LOW:
            key = np.int64(entry & _LOW) - 1
            if same_bytes(data, start, end, key_data, key_offsets[key], key_offsets[key + 1]):
                break
        at = at + 1 if at + 1 < slots.size else 0
    return at


@kernel
def _seek_word(
    hashed: np.uint64,
    slots: Words64,
    high: np.uint64,
    low: np.uint64,
    key_high: Words64,
    key_low: Words64,
) -> Whole:
    """The slot that holds a word, or the empty one; `key_high` of one element is that of all."""
    at: Whole = _slot(hashed, slots)
    while slots[at] != 0:
        entry = slots[at]
        if entry >> _HALF == hashed & _LOW:
            key = np.int64(entry & _LOW) - 1
            if key_low[key] == low and key_high[key if key_high.size > 1 else 0] == high:
                break
        at = at + 1 if at + 1 < slots.size else 0
    return at


@kernel
def _put(
    at: Whole, hashed: np.uint64, key: Whole, bits: Words64, slots: Words64, links: Keys
) -> bool:
    """Place a key at the head of the chain of its slot; tell whether the slot was taken."""
    taken: bool = slots[at] != 0
    if taken:
        links[key] = np.int32(slots[at] & _LOW) - 1
    slots[at] = ((hashed & _LOW) << _HALF) | np.uint64(key + 1)
    _mark(hashed, bits)
    return taken


@kernel
def fill_bytes(
    data: Bytes, offsets: Rows, secret: Words64, bits: Words64, slots: Words64, links: Keys
) -> bool:
    """Fill a table with strings; tell whether any repeats."""
    repeats = False
    # From the last key to the first, so that chains ascend.
    for key in range(offsets.size - 2, -1, -1):
        start, end = offsets[key], offsets[key + 1]
        hashed = hash_bytes(data, start, end, secret)
        at = _seek_bytes(hashed, slots, data, start, end, data, offsets)
        repeats |= _put(at, hashed, key, bits, slots, links)
    return repeats


@kernel
def fill_words(
    high: Words64, low: Words64, secret: Words64, bits: Words64, slots: Words64, links: Keys
) -> bool:
    """Fill a table with 128-bit words; tell whether any repeats."""
    repeats = False
    for key in range(low.size - 1, -1, -1):
        top = high[key if high.size > 1 else 0]
        hashed = hash_words(top, low[key], secret)
        at = _seek_word(hashed, slots, top, low[key], high, low)
        repeats |= _put(at, hashed, key, bits, slots, links)
    return repeats


@kernel
def following(key: Whole, links: Keys) -> Whole:
    """The next key of the same value, or -1."""
    return np.int64(links[key]) if links.size else np.int64(-1)


@kernel
def _first_of_bytes(
    data: Bytes,
    start: Whole,
    end: Whole,
    secret: Words64,
    bits: Words64,
    slots: Words64,
    key_data: Bytes,
    key_offsets: Rows,
) -> Whole:
    """The first key of a string, or -1."""
    hashed = hash_bytes(data, start, end, secret)
    if not _passes(hashed, bits):
        return np.int64(-1)
    at = _seek_bytes(hashed, slots, data, start, end, key_data, key_offsets)
    return np.int64(slots[at] & _LOW) - 1


@kernel
def first_of_word(
    high: np.uint64,
    low: np.uint64,
    secret: Words64,
    bits: Words64,
    slots: Words64,
    key_high: Words64,
    key_low: Words64,
) -> Whole:
    """The first key of a 128-bit word, or -1."""
    hashed = hash_words(high, low, secret)
    if not _passes(hashed, bits):
        return np.int64(-1)
    at = _seek_word(hashed, slots, high, low, key_high, key_low)
    return np.int64(slots[at] & _LOW) - 1


@kernel
def probe_bytes(
    data: Bytes,
    offsets: Offsets,
    secret: Words64,
    bits: Words64,
    slots: Words64,
    links: Keys,
    key_data: Bytes,
    key_offsets: Rows,
    rows: Rows,
    keys: Keys,
) -> Whole:
    """Write the hits of N strings as far as they fit; how many there are."""
    found = 0
    for row in range(offsets.size - 1):
        start, end = np.int64(offsets[row]), np.int64(offsets[row + 1])
        key = _first_of_bytes(data, start, end, secret, bits, slots, key_data, key_offsets)
        while key >= 0:
            if found < rows.size:
                rows[found] = row
                keys[found] = key
            found += 1
            key = following(key, links)
    return found


@kernel
def probe_words(
    words: Words64,
    secret: Words64,
    bits: Words64,
    slots: Words64,
    links: Keys,
    key_high: Words64,
    key_low: Words64,
    rows: Rows,
    keys: Keys,
) -> Whole:
    """Write the hits of N 64-bit words as far as they fit; how many there are."""
    found = 0
    none = np.uint64(0)
    for row in range(words.size):
        key = first_of_word(none, words[row], secret, bits, slots, key_high, key_low)
        while key >= 0:
            if found < rows.size:
                rows[found] = row
                keys[found] = key
            found += 1
            key = following(key, links)
    return found


@kernel
def find_bytes(
    value: Any,
    secret: Words64,
    bits: Words64,
    slots: Words64,
    key_data: Bytes,
    key_offsets: Rows,
) -> Whole:
    """The first key of one string, or -1."""
    size = len(value)
    return _first_of_bytes(value, 0, size, secret, bits, slots, key_data, key_offsets)


@kernel
def find_word(
    high: Whole,
    low: Whole,
    secret: Words64,
    bits: Words64,
    slots: Words64,
    key_high: Words64,
    key_low: Words64,
) -> Whole:
    """The first key of one 128-bit word, given as signed halves, or -1."""
    return first_of_word(np.uint64(high), np.uint64(low), secret, bits, slots, key_high, key_low)
