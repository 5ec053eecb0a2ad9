"""From keys to the things that hang on them: compressed rows of small numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hub.match.index.buffers import Hits, Keys


class Postings:
    """An immutable multimap from keys 0..n-1 to numbers."""

    def __init__(self, keys: Sequence[int], numbers: Sequence[int], size: int) -> None:
        """Take pairs (key, number); `size` is the number of keys."""
        key_array = np.asarray(keys, dtype=np.int64)
        order = np.argsort(key_array, kind="stable")
        self._numbers: Keys = np.asarray(numbers, dtype=np.int32)[order]
        self._starts = np.zeros(size + 1, dtype=np.int64)
        np.cumsum(np.bincount(key_array, minlength=size), out=self._starts[1:])
        self._one_each = bool(np.all(np.diff(self._starts) == 1))

    def expand(self, hits: Hits) -> Hits:
        """Replace the key of each hit by its numbers, one hit each."""
        rows, keys = hits
        if len(rows) == 0:
            return rows, self._numbers[:0]
        if self._one_each:
            return rows, self._numbers[keys]
        starts = self._starts[keys]
        counts = self._starts[keys + 1] - starts
        ends = np.cumsum(counts)
        within = np.arange(int(ends[-1])) - np.repeat(ends - counts, counts)
        return np.repeat(rows, counts), self._numbers[np.repeat(starts, counts) + within]
