"""Lookup of near-duplicate bands: 64-bit values, each in its own one of 16 bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hub.fingerprint.jit import kernel
from hub.match.index.buffers import Hits, Keys, Rows

Words64 = NDArray[np.uint64]
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


@kernel
def _slot(band: int, value: np.uint64, mask: int) -> np.int64:
    mixed = (value ^ (np.uint64(band) * _GOLDEN)) * _GOLDEN
    return np.int64((mixed >> np.uint64(20)) & np.uint64(mask))


@kernel
def _fill(bands: Keys, values: Words64, slots: Keys) -> None:
    mask = slots.size - 1
    for key in range(values.size):
        at = _slot(bands[key], values[key], mask)
        while slots[at] >= 0:
            at = (at + 1) & mask
        slots[at] = key


@kernel
def _probe(
    table: Words64, bands: Keys, values: Words64, slots: Keys, rows: Rows, keys: Keys
) -> int:
    mask = slots.size - 1
    found = 0
    for row in range(table.shape[0]):
        for band in range(table.shape[1]):
            value = table[row, band]
            if value == 0:
                continue
            at = _slot(band, value, mask)
            while slots[at] >= 0:
                key = slots[at]
                if values[key] == value and bands[key] == band:
                    if found < rows.size:
                        rows[found] = row
                        keys[found] = key
                    found += 1
                    break
                at = (at + 1) & mask
    return found


class BandIndex:
    """A set of distinct (band, value) pairs; key k is the k-th of them."""

    def __init__(self, pairs: Sequence[tuple[int, int]]) -> None:
        self._bands: Keys = np.asarray([band for band, _ in pairs], dtype=np.int32)
        self._values: Words64 = np.asarray([value for _, value in pairs], dtype=np.uint64)
        size = 1 << max(4, (2 * len(pairs)).bit_length())
        self._slots: Keys = np.full(size, -1, dtype=np.int32)
        _fill(self._bands, self._values, self._slots)

    def probe(self, table: Words64) -> Hits:
        """Find the pairs in a table of N rows and 16 bands (zero: the prompt has no bands)."""
        room = max(1024, len(table))
        while True:
            rows: Rows = np.empty(room, dtype=np.int64)
            keys: Keys = np.empty(room, dtype=np.int32)
            found = _probe(table, self._bands, self._values, self._slots, rows, keys)
            if found <= room:
                return rows[:found], keys[:found]
            room = found
