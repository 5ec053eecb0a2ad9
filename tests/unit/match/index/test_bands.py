"""The table of bands beside a search of every pair."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.match.index.bands import BandIndex

# Few values, so that the same one comes in several bands and several times in one.
VALUES = st.one_of(st.integers(0, 3), st.integers(0, 2**64 - 1))
PAIRS = st.lists(st.tuples(st.integers(0, 15), VALUES), max_size=40)
ROWS = st.lists(st.lists(VALUES, min_size=16, max_size=16), max_size=8)


def expected(pairs: list[tuple[int, int]], row: list[int]) -> list[int]:
    return [k for k, (band, value) in enumerate(pairs) if value and row[band] == value]


@settings(max_examples=100, deadline=None)
@given(PAIRS, ROWS)
def test_every_equal_pair_is_found(pairs: list[tuple[int, int]], rows: list[list[int]]) -> None:
    bands = np.asarray([band for band, _ in pairs], dtype=np.uint8)
    values = np.asarray([value for _, value in pairs], dtype=np.uint64)
    table: NDArray[np.uint64] = np.asarray(rows, dtype=np.uint64).reshape(-1, 16)
    index = BandIndex.of(bands, values)
    found = sorted(zip(*(part.tolist() for part in index.probe(table)), strict=True))
    assert found == [(n, k) for n, row in enumerate(rows) for k in expected(pairs, row)]
    assert [sorted(index.find(row)) for row in table] == [expected(pairs, row) for row in rows]


def test_a_hundred_thousand_equal_pairs_are_no_long_search() -> None:
    count = 100_000
    index = BandIndex.of(np.full(count, 3, dtype=np.uint8), np.full(count, 9, dtype=np.uint64))
    row = np.full(16, 9, dtype=np.uint64)
    assert sorted(index.find(row)) == list(range(count))
    assert index.nbytes < 100 * count
    row[3] = 8
    assert index.find(row) == []
