"""Exact lookup of strings and whole numbers.

Strings hash to 64 bits into an open-addressing table at most half full; a hit on the hash is
compared byte for byte, so an answer is never a guess. The hash is seeded per process: whoever
writes the traffic cannot make values collide on purpose.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hub.fingerprint.jit import kernel
from hub.match.index.buffers import Bytes, Hits, Keys, Offsets, Rows, only_valid, string_buffers

Hashes = NDArray[np.uint64]

_SEED: Final = np.uint64(secrets.randbits(64))
_K1: Final = np.uint64(0x9E3779B97F4A7C15)
_K2: Final = np.uint64(0xBF58476D1CE4E5B9)
_EMPTY: Final = np.uint64(0)


@kernel
def hash_bytes(data: Bytes, start: int, end: int, seed: np.uint64) -> np.uint64:
    """Hash `data[start:end]`, eight bytes at a time; never zero, which marks an empty slot."""
    state = seed ^ (np.uint64(end - start) * _K1)
    i = start
    while i + 8 <= end:
        word = np.uint64(0)
        for k in range(8):
            word |= np.uint64(data[i + k]) << np.uint64(8 * k)
        state = (state ^ word) * _K1
        state ^= state >> np.uint64(32)
        i += 8
    word = np.uint64(0)
    shift = np.uint64(0)
    while i < end:
        word |= np.uint64(data[i]) << shift
        shift += np.uint64(8)
        i += 1
    state = (state ^ word) * _K2
    state ^= state >> np.uint64(29)
    state *= _K1
    state ^= state >> np.uint64(32)
    return state if state != _EMPTY else np.uint64(1)


@kernel
def _fill(data: Bytes, offsets: Offsets, seed: np.uint64, slots: Hashes, slot_keys: Keys) -> None:
    mask = slots.size - 1
    for key in range(offsets.size - 1):
        hashed = hash_bytes(data, offsets[key], offsets[key + 1], seed)
        at = np.int64(hashed & np.uint64(mask))
        while slots[at] != _EMPTY:
            at = (at + 1) & mask
        slots[at] = hashed
        slot_keys[at] = key


@kernel
def _same(data: Bytes, start: int, end: int, other: Bytes, first: int, last: int) -> bool:
    if end - start != last - first:
        return False
    k = 0
    while k < end - start and data[start + k] == other[first + k]:
        k += 1
    return k == end - start


@kernel
def _probe(
    data: Bytes,
    offsets: Offsets,
    seed: np.uint64,
    slots: Hashes,
    slot_keys: Keys,
    key_data: Bytes,
    key_offsets: Rows,
    rows: Rows,
    keys: Keys,
) -> int:
    mask = slots.size - 1
    found = 0
    for row in range(offsets.size - 1):
        start, end = offsets[row], offsets[row + 1]
        hashed = hash_bytes(data, start, end, seed)
        at = np.int64(hashed & np.uint64(mask))
        while slots[at] != _EMPTY:
            if slots[at] == hashed:
                key = slot_keys[at]
                if _same(data, start, end, key_data, key_offsets[key], key_offsets[key + 1]):
                    rows[found] = row
                    keys[found] = key
                    found += 1
                    break
            at = (at + 1) & mask
    return found


class ExactIndex:
    """A set of distinct strings; key k is the k-th of them."""

    def __init__(self, strings: Sequence[str]) -> None:
        encoded = [string.encode("utf-8", "surrogatepass") for string in strings]
        self._offsets: Rows = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(one) for one in encoded], out=self._offsets[1:])
        self._data: Bytes = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        size = 1 << max(4, (2 * len(encoded)).bit_length())
        self._slots: Hashes = np.zeros(size, dtype=np.uint64)
        self._slot_keys: Keys = np.zeros(size, dtype=np.int32)
        _fill(self._data, self._offsets, _SEED, self._slots, self._slot_keys)

    def probe(self, values: Any) -> Hits:
        """Find which of N strings (Arrow string or large_string) are in the set."""
        data, offsets = string_buffers(values)
        rows: Rows = np.empty(len(values), dtype=np.int64)
        keys: Keys = np.empty(len(values), dtype=np.int32)
        found = _probe(
            data,
            offsets,
            _SEED,
            self._slots,
            self._slot_keys,
            self._data,
            self._offsets,
            rows,
            keys,
        )
        return only_valid(values, (rows[:found], keys[:found]))


class NumberIndex:
    """A set of distinct 64-bit whole numbers; key k is the k-th of them."""

    def __init__(self, numbers: Sequence[int]) -> None:
        unsorted = np.asarray(numbers, dtype=np.int64)
        self._keys: Keys = np.argsort(unsorted).astype(np.int32)
        self._numbers: Rows = unsorted[self._keys]

    def probe(self, values: Any) -> Hits:
        """Find which of N numbers (Arrow int64) are in the set."""
        numbers = values.fill_null(0).to_numpy(zero_copy_only=False)
        at = np.searchsorted(self._numbers, numbers)
        at[at == len(self._numbers)] = 0
        rows: Rows = np.flatnonzero(self._numbers[at] == numbers)
        return only_valid(values, (rows, self._keys[at[rows]]))
