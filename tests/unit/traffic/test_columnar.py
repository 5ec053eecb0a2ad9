"""Whole columns that need no care, told from those that do, as value by value."""

from __future__ import annotations

import ipaddress

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import InputError
from hub.fingerprint import normalise
from hub.traffic import columnar

_groups = st.lists(st.sampled_from([0, 0, 1, 0xAB, 0xFFFF, 0x1000]), min_size=8, max_size=8)
_sixes = _groups.map(lambda words: ipaddress.IPv6Address(bytes.fromhex("%04x" * 8 % (*words,))))
_addresses = st.one_of(
    st.integers(0, 2**32 - 1).map(lambda bits: str(ipaddress.IPv4Address(bits))),
    _sixes.map(str),
    _sixes.map(lambda six: six.exploded),
    _sixes.map(lambda six: str(six).upper()),
    _sixes.map(lambda six: f"::ffff:{six.packed[0]}.2.3.4"),
    st.text("0123456789abF:. ", max_size=20),
)


def _is_canonical(text: str) -> bool:
    try:
        return normalise.ip(text) == text
    except InputError:
        return False


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.none() | _addresses, max_size=30))
def test_strange_addresses_are_those_that_normalising_changes(texts: list[str | None]) -> None:
    for kind in (pa.string(), pa.large_string()):
        column = pa.array([None, "::1", *texts], kind).slice(2)
        assert columnar.strange_addresses(column).tolist() == [
            row for row, text in enumerate(texts) if text is not None and not _is_canonical(text)
        ]


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.none() | st.text(max_size=2), max_size=10))
def test_empty_texts_are_seen_and_nulls_are_none(texts: list[str | None]) -> None:
    column = pa.array(["", *texts]).slice(1)
    assert columnar.has_empty(column) is any(text == "" for text in texts)


_items = st.none() | st.sampled_from(["a", "email:x.2026q4:00", " a", "a ", "", "\u00a0a", "a\x1f"])


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.none() | st.lists(_items, max_size=3), max_size=6))
def test_tidy_lists_are_those_that_stripping_leaves_alone(rows: list[list[str] | None]) -> None:
    column = pa.array([[""], *rows], pa.list_(pa.string())).slice(1)
    tidy = all(
        row is None or (row and all(item and item.strip() == item for item in row)) for row in rows
    )
    assert columnar.tidy_lists(column) is tidy


@pytest.mark.parametrize(
    "column", [pa.array(["a"]), pa.array([[1]]), pa.array([[["a"]]])], ids=["text", "int", "deep"]
)
def test_other_types_are_no_tidy_lists(column: pa.Array) -> None:
    assert columnar.tidy_lists(column) is False
