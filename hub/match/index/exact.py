"""Exact lookup of strings and whole numbers.

A hit on the hash is compared with the literal itself, so an answer is never a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from hub.match.index.buffers import (
    NO_HITS,
    Bytes,
    Hits,
    Rows,
    Words64,
    frozen,
    growing,
    only_valid,
    over_dictionary,
    string_buffers,
)
from hub.match.index.table import (
    Table,
    chain,
    fill_bytes,
    fill_words,
    find_bytes,
    find_word,
    probe_bytes,
    probe_words,
)
from hub.match.index.words import SECRET


class ExactIndex:
    """N strings, which may repeat; key k is the k-th of them."""

    def __init__(self, strings: Sequence[str]) -> None:
        encoded = [string.encode("utf-8", "surrogatepass") for string in strings]
        offsets: Rows = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(one) for one in encoded], out=offsets[1:])
        self._hold(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets)

    @classmethod
    def of(cls, data: Bytes, offsets: Rows) -> ExactIndex:
        """Index strings in one buffer, which is kept, not copied.

        Args:
            data: their bytes (UTF-8).
            offsets: N + 1 ascending offsets into `data`.
        """
        index = cls.__new__(cls)
        index._hold(data, offsets)
        return index

    def _hold(self, data: Bytes, offsets: Rows) -> None:
        self._data: Bytes = frozen(data)
        self._offsets: Rows = frozen(offsets)
        self._table = Table.of(
            len(offsets) - 1,
            lambda *table: fill_bytes(self._data, self._offsets, SECRET, *table),
        )

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @property
    def nbytes(self) -> int:
        """Bytes held beside the literals and their offsets."""
        return self._table.nbytes

    def probe(self, values: Any) -> Hits:
        """Find which of N strings are in the set, by row and then by key.

        Args:
            values: Arrow strings, large strings, or a dictionary of either; nulls allowed.
        """
        if pa.types.is_dictionary(values.type):
            return over_dictionary(self.probe, values)
        if len(values) == 0 or len(self) == 0:
            return NO_HITS
        data, offsets = string_buffers(values)
        table = self._table
        held = (SECRET, table.bits, table.slots, table.links, self._data, self._offsets)
        found = growing(len(values), lambda r, k: probe_bytes(data, offsets, *held, r, k))
        return only_valid(values, found)

    def find(self, value: bytes) -> Sequence[int]:
        """The keys of one string (UTF-8), ascending."""
        table = self._table
        first = find_bytes(value, SECRET, table.bits, table.slots, self._data, self._offsets)
        return chain(first, table.links)


class NumberIndex:
    """N 64-bit whole numbers, which may repeat; key k is the k-th of them."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._hold(np.asarray(numbers, dtype=np.int64))

    @classmethod
    def of(cls, numbers: Rows) -> NumberIndex:
        """Index an array of numbers, which is kept, not copied."""
        index = cls.__new__(cls)
        index._hold(numbers)
        return index

    def _hold(self, numbers: Rows) -> None:
        self._high: Words64 = frozen(np.zeros(1, dtype=np.uint64))
        self._low: Words64 = frozen(numbers).view(np.uint64)
        self._table = Table.of(
            len(numbers), lambda *table: fill_words(self._high, self._low, SECRET, *table)
        )

    def __len__(self) -> int:
        return len(self._low)

    @property
    def nbytes(self) -> int:
        """Bytes held beside the numbers."""
        return self._table.nbytes

    def probe(self, values: Any) -> Hits:
        """Find which of N numbers (Arrow int64, nulls allowed) are in the set."""
        if len(values) == 0 or len(self) == 0:
            return NO_HITS
        filled = values.fill_null(0) if values.null_count else values
        low: Words64 = frozen(filled.to_numpy(zero_copy_only=False)).view(np.uint64)
        table = self._table
        held = (SECRET, table.bits, table.slots, table.links, self._high, self._low)
        return only_valid(values, growing(len(low), lambda r, k: probe_words(low, *held, r, k)))

    def find(self, value: int) -> Sequence[int]:
        """The keys of one number, ascending; none for a number beyond 64 bits."""
        if not -(2**63) <= value < 2**63:
            return ()
        table = self._table
        held = (SECRET, table.bits, table.slots, self._high, self._low)
        return chain(find_word(0, value, *held), table.links)
