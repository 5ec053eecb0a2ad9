"""Lookup of near-duplicate bands: 64-bit values, each in its own one of 16 bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hub.fingerprint.jit import kernel
from hub.match.index.buffers import Bytes, Hits, Keys, Rows, growing

Words64 = NDArray[np.uint64]
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_BITS_PER_VALUE: Final = 16


@kernel
def _mixed(band: int, value: np.uint64) -> np.uint64:
    return (value ^ ((np.uint64(band) + np.uint64(1)) * _GOLDEN)) * _GOLDEN


@kernel
def _fill(
    bands: Bytes, values: Words64, shift: np.uint64, bits: Bytes, heads: Keys, following: Keys
) -> None:
    mask = heads.size - 1
    for key in range(values.size - 1, -1, -1):
        hashed = _mixed(bands[key], values[key]) >> shift
        bits[hashed >> np.uint64(3)] |= np.uint8(1) << np.uint8(hashed & np.uint64(7))
        at = np.int64(hashed) & mask
        while heads[at] >= 0:
            head = heads[at]
            if values[head] == values[key] and bands[head] == bands[key]:
                break
            at = (at + 1) & mask
        # Equal values form a list, or thousands of them would make every probe long.
        following[key] = heads[at]
        heads[at] = key


@kernel
def _probe(
    table: Words64,
    bands: Bytes,
    values: Words64,
    shift: np.uint64,
    bits: Bytes,
    heads: Keys,
    following: Keys,
    rows: Rows,
    keys: Keys,
) -> int:
    mask = heads.size - 1
    found = 0
    for row in range(table.shape[0]):
        for band in range(table.shape[1]):
            value = table[row, band]
            hashed = _mixed(band, value) >> shift
            if not (bits[hashed >> np.uint64(3)] >> np.uint8(hashed & np.uint64(7))) & 1:
                continue
            at = np.int64(hashed) & mask
            while heads[at] >= 0:
                key = heads[at]
                if values[key] == value and bands[key] == band:
                    while key >= 0 and value != 0:
                        if found < rows.size:
                            rows[found] = row
                            keys[found] = key
                        found += 1
                        key = following[key]
                    break
                at = (at + 1) & mask
    return found


class BandIndex:
    """A list of (band, value) pairs, which may repeat; key k is the k-th of them."""

    def __init__(self, pairs: Sequence[tuple[int, int]]) -> None:
        bands: Bytes = np.asarray([band for band, _ in pairs], dtype=np.uint8)
        values: Words64 = np.asarray([value for _, value in pairs], dtype=np.uint64)
        self._build(bands, values)

    @classmethod
    def of(cls, bands: Bytes, values: Words64) -> BandIndex:
        """Index N pairs; the arrays are kept, not copied.

        Args:
            bands: N numbers, 0 to 15.
            values: N values; 0, which no prompt has, is never found.
        """
        made = cls.__new__(cls)
        made._build(bands, values)
        return made

    def _build(self, bands: Bytes, values: Words64) -> None:
        self._bands, self._values = bands, values
        power = max(10, (_BITS_PER_VALUE * len(values)).bit_length())
        self._shift = np.uint64(64 - power)
        self._bits: Bytes = np.zeros(1 << (power - 3), dtype=np.uint8)
        self._heads: Keys = np.full(
            1 << max(4, (3 * len(values) // 2).bit_length()), -1, dtype=np.int32
        )
        self._following: Keys = np.full(len(values), -1, dtype=np.int32)
        _fill(bands, values, self._shift, self._bits, self._heads, self._following)

    @property
    def nbytes(self) -> int:
        """Bytes held beside the bands and values themselves."""
        return self._bits.nbytes + self._heads.nbytes + self._following.nbytes

    def probe(self, table: Words64) -> Hits:
        """Find the pairs in a table of N rows and 16 bands (zero: the prompt has no bands)."""
        return self._probed(table, max(1024, len(table)))

    def find(self, row: Words64) -> list[int]:
        """The keys of the 16 bands of one prompt."""
        keys: list[int] = self._probed(row.reshape(1, -1), 32)[1].tolist()
        return keys

    def _probed(self, table: Words64, room: int) -> Hits:
        return growing(
            room,
            lambda rows, keys: _probe(
                table,
                self._bands,
                self._values,
                self._shift,
                self._bits,
                self._heads,
                self._following,
                rows,
                keys,
            ),
        )
