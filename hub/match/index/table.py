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
from typing import Any, Final, TypeAlias

import numpy as np

from hub.fingerprint.jit import kernel
from hub.match.index.buffers import NO_KEYS, Bytes, Keys, Offsets, Rows, Whole, Words64, frozen
from hub.match.index.words import (
    Secret,
    address,
    hash_bytes,
    hash_words,
    key_at,
    put_key,
    put_word,
    same_bytes,
    word_at,
)

View: TypeAlias = tuple[Whole, Whole, Whole, Whole, Whole, Whole]
"""A table inside a kernel: addresses of bits, slots and links, each with its size."""
Strings: TypeAlias = tuple[Whole, Whole]
"""Strings inside a kernel: addresses of their bytes, and of their 64-bit offsets."""
Pairs: TypeAlias = tuple[Whole, Whole, Whole]
"""128-bit words: the address of the upper halves, the step to the next (0: all are the first),
and the address of the lower halves."""

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
def _view(bits: Words64, slots: Words64, links: Keys) -> View:
    """A table as the parts of a kernel take it."""
    return address(bits), bits.size, address(slots), slots.size, address(links), links.size


@kernel
def _pairs(high: Words64, low: Words64) -> Pairs:
    """Words as the parts of a kernel take them; `high` of one element is that of all."""
    return address(high), 8 if high.size > 1 else 0, address(low)


@kernel
def _secret_of(secret: Words64) -> Secret:
    """The secret of the hash as the parts of a kernel take it."""
    return secret[0], secret[1], secret[2]


@kernel
def _bit(hashed: np.uint64, table: View) -> Whole:
    """The address of the word of the bitmap that holds a hash's bit."""
    return table[0] + 8 * np.int64((hashed >> _SIX) & np.uint64(table[1] - 1))


@kernel
def _passes(hashed: np.uint64, table: View) -> bool:
    passes: bool = (word_at(_bit(hashed, table)) >> (hashed & _IN_WORD)) & _ONE != 0
    return passes


@kernel
def _slot(hashed: np.uint64, table: View) -> Whole:
    """The address of the slot where a search begins."""
    return table[2] + 8 * np.int64(((hashed >> _HALF) * np.uint64(table[3])) >> _HALF)


@kernel
def _seek_bytes(hashed: np.uint64, table: View, start: Whole, size: Whole, held: Strings) -> Whole:
    """The address of the slot that holds a string, or of the empty one where it would be."""
    at = _slot(hashed, table)
    end = table[2] + 8 * table[3]
    while True:
        entry = word_at(at)
        if entry == 0:
            return at
        if entry >> _HALF == hashed & _LOW:
            offset = held[1] + 8 * (np.int64(entry & _LOW) - 1)
            first, last = np.int64(word_at(offset)), np.int64(word_at(offset + 8))
            if last - first == size and same_bytes(start, held[0] + first, size):
                return at
        at = at + 8 if at + 8 < end else table[2]


@kernel
def _seek_word(
    hashed: np.uint64, table: View, high: np.uint64, low: np.uint64, held: Pairs
) -> Whole:
    """The address of the slot that holds a word, or of the empty one where it would be."""
    at = _slot(hashed, table)
    end = table[2] + 8 * table[3]
    while True:
        entry = word_at(at)
        if entry == 0:
            return at
        if entry >> _HALF == hashed & _LOW:
            key = np.int64(entry & _LOW) - 1
            if word_at(held[2] + 8 * key) == low and word_at(held[0] + held[1] * key) == high:
                return at
        at = at + 8 if at + 8 < end else table[2]


@kernel
def _put(at: Whole, hashed: np.uint64, key: Whole, table: View) -> bool:
    """Place a key at the head of the chain of its slot; tell whether the slot was taken."""
    before = word_at(at)
    taken: bool = before != 0
    if taken:
        put_key(table[4] + 4 * key, np.uint64(np.int64(before & _LOW) - 1))
    put_word(at, ((hashed & _LOW) << _HALF) | np.uint64(key + 1))
    bit = _bit(hashed, table)
    put_word(bit, word_at(bit) | (_ONE << (hashed & _IN_WORD)))
    return taken


@kernel
def fill_bytes(
    data: Bytes, offsets: Rows, secret: Words64, bits: Words64, slots: Words64, links: Keys
) -> bool:
    """Fill a table with strings; tell whether any repeats."""
    repeats = False
    table, words = _view(bits, slots, links), _secret_of(secret)
    held = (address(data), address(offsets))
    # From the last key to the first, so that chains ascend.
    for number in range(offsets.size - 2, -1, -1):
        start, size = held[0] + offsets[number], offsets[number + 1] - offsets[number]
        hashed = hash_bytes(start, size, words)
        at = _seek_bytes(hashed, table, start, size, held)
        repeats |= _put(at, hashed, number, table)
    return repeats


@kernel
def fill_words(
    high: Words64, low: Words64, secret: Words64, bits: Words64, slots: Words64, links: Keys
) -> bool:
    """Fill a table with 128-bit words; tell whether any repeats."""
    repeats = False
    table, words, held = _view(bits, slots, links), _secret_of(secret), _pairs(high, low)
    for number in range(low.size - 1, -1, -1):
        top, bottom = word_at(held[0] + held[1] * number), low[number]
        hashed = hash_words(top, bottom, words)
        at = _seek_word(hashed, table, top, bottom, held)
        repeats |= _put(at, hashed, number, table)
    return repeats


@kernel
def _following(key: Whole, table: View) -> Whole:
    """The next key of the same value, or -1."""
    return key_at(table[4] + 4 * key) if table[5] > 0 else np.int64(-1)


@kernel
def _first_of_bytes(start: Whole, size: Whole, secret: Secret, table: View, held: Strings) -> Whole:
    """The first key of a string, or -1."""
    hashed = hash_bytes(start, size, secret)
    if not _passes(hashed, table):
        return np.int64(-1)
    return np.int64(word_at(_seek_bytes(hashed, table, start, size, held)) & _LOW) - 1


@kernel
def _first_of_word(
    high: np.uint64, low: np.uint64, secret: Secret, table: View, held: Pairs
) -> Whole:
    """The first key of a 128-bit word, or -1."""
    hashed = hash_words(high, low, secret)
    if not _passes(hashed, table):
        return np.int64(-1)
    return np.int64(word_at(_seek_word(hashed, table, high, low, held)) & _LOW) - 1


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
) -> int:
    """Write the hits of N strings as far as they fit; how many there are."""
    found = 0
    table, words = _view(bits, slots, links), _secret_of(secret)
    held, base = (address(key_data), address(key_offsets)), address(data)
    for row in range(offsets.size - 1):
        start = np.int64(offsets[row])
        size = np.int64(offsets[row + 1]) - start
        number = _first_of_bytes(base + start, size, words, table, held)
        while number >= 0:
            if found < rows.size:
                rows[found] = row
                keys[found] = number
            found += 1
            number = _following(number, table)
    return found


@kernel
def probe_words(
    values: Words64,
    secret: Words64,
    bits: Words64,
    slots: Words64,
    links: Keys,
    key_high: Words64,
    key_low: Words64,
    rows: Rows,
    keys: Keys,
) -> int:
    """Write the hits of N 64-bit words as far as they fit; how many there are."""
    found = 0
    table, words, held = _view(bits, slots, links), _secret_of(secret), _pairs(key_high, key_low)
    for row in range(values.size):
        number = _first_of_word(np.uint64(0), values[row], words, table, held)
        while number >= 0:
            if found < rows.size:
                rows[found] = row
                keys[found] = number
            found += 1
            number = _following(number, table)
    return found


@kernel
def probe_pairs(
    version: Whole,
    family: Bytes,
    high: Words64,
    low: Words64,
    secret: Words64,
    bits: Words64,
    slots: Words64,
    links: Keys,
    key_high: Words64,
    key_low: Words64,
    rows: Rows,
    keys: Keys,
) -> int:
    """Write the hits of those of N 128-bit words whose family is `version`; how many there are."""
    found = 0
    table, words, held = _view(bits, slots, links), _secret_of(secret), _pairs(key_high, key_low)
    for row in range(low.size):
        if family[row] != version:
            continue
        number = _first_of_word(high[row], low[row], words, table, held)
        while number >= 0:
            if found < rows.size:
                rows[found] = row
                keys[found] = number
            found += 1
            number = _following(number, table)
    return found


@kernel
def find_bytes(
    value: Any, secret: Words64, bits: Words64, slots: Words64, key_data: Bytes, key_offsets: Rows
) -> int:
    """The first key of one string, or -1."""
    table = (address(bits), bits.size, address(slots), slots.size, np.int64(0), 0)
    held = (address(key_data), address(key_offsets))
    return int(_first_of_bytes(address(value), len(value), _secret_of(secret), table, held))


@kernel
def find_word(
    high: int,
    low: int,
    secret: Words64,
    bits: Words64,
    slots: Words64,
    key_high: Words64,
    key_low: Words64,
) -> int:
    """The first key of one 128-bit word, given as signed halves, or -1."""
    table = (address(bits), bits.size, address(slots), slots.size, np.int64(0), 0)
    held = _pairs(key_high, key_low)
    return int(_first_of_word(np.uint64(high), np.uint64(low), _secret_of(secret), table, held))
