"""Exact tables of strings, numbers and bands, beside dictionaries."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.match.index.bands import BandIndex
from hub.match.index.exact import ExactIndex, NumberIndex
from hub.match.index.postings import Postings

_words = st.text("abé\x00 ", max_size=20)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(_words, unique=True, max_size=40), st.lists(st.none() | _words, max_size=40))
def test_strings_are_found_as_in_a_dictionary(keys: list[str], values: list[str | None]) -> None:
    numbers = {key: number for number, key in enumerate(keys)}
    values = [*values, *keys[:3]]
    for kind in (pa.string(), pa.large_string()):
        rows, found = ExactIndex(keys).probe(pa.array(["skipped", *values], kind).slice(1))
        assert dict(zip(rows.tolist(), found.tolist(), strict=True)) == {
            row: numbers[value] for row, value in enumerate(values) if value in numbers
        }


def test_a_hash_is_never_taken_for_the_string(monkeypatch: pytest.MonkeyPatch) -> None:
    index = ExactIndex(["held"])
    # Put another string behind the hash, as a collision would.
    index._data = np.frombuffer(b"else", dtype=np.uint8)
    rows, _ = index.probe(pa.array(["held", "else"]))
    assert rows.tolist() == []


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, min_size=1, max_size=20),
    st.lists(st.none() | st.integers(-3, 3), max_size=20),
)
def test_numbers_are_found_as_in_a_dictionary(keys: list[int], values: list[int | None]) -> None:
    keys = list(dict.fromkeys([*keys, 0, 2]))
    values = [*values, *keys]
    rows, found = NumberIndex(keys).probe(pa.array(values, pa.int64()))
    assert dict(zip(rows.tolist(), found.tolist(), strict=True)) == {
        row: keys.index(value) for row, value in enumerate(values) if value in keys
    }


def test_bands_are_found_only_in_their_own_band() -> None:
    pairs = [(0, 7), (1, 7), (15, 2**64 - 1), (3, 9)]
    table = np.zeros((3, 16), dtype=np.uint64)
    table[0, 0] = table[0, 2] = 7
    table[2, 15] = 2**64 - 1
    table[2, 1] = 7
    rows, keys = BandIndex(pairs).probe(table)
    assert sorted(zip(rows.tolist(), keys.tolist(), strict=True)) == [(0, 0), (2, 1), (2, 2)]


def test_bands_outgrow_the_first_guess_of_room() -> None:
    table = np.full((2_000, 16), 5, dtype=np.uint64)
    rows, _ = BandIndex([(band, 5) for band in range(16)]).probe(table)
    assert len(rows) == 32_000


def test_postings_give_each_key_all_its_numbers() -> None:
    postings = Postings([2, 0, 2, 2], [10, 11, 12, 13], 3)
    rows, numbers = postings.expand((np.array([5, 6, 7]), np.array([2, 1, 0], dtype=np.int32)))
    assert list(zip(rows.tolist(), numbers.tolist(), strict=True)) == [
        (5, 10),
        (5, 12),
        (5, 13),
        (7, 11),
    ]
