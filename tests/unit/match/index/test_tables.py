"""Bulk indexes with repeats, beside dictionaries and `ipaddress`; one value and whole columns."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.match.index.buffers import Hits, growing, over_lists
from hub.match.index.cidr import PrefixIndex, parse_addresses
from hub.match.index.exact import ExactIndex, NumberIndex

_words = st.text("ab\x00é", max_size=4) | st.text("a", min_size=15, max_size=34)
_lists = st.lists(_words, max_size=30)


def _index(words: Sequence[str]) -> ExactIndex:
    encoded = [word.encode() for word in words]
    offsets = np.cumsum([3, *map(len, encoded)], dtype=np.int64)
    # A buffer may hold more than the strings.
    return ExactIndex.of(np.frombuffer(b"xyz" + b"".join(encoded), dtype=np.uint8), offsets)


def _pairs(hits: Hits) -> list[tuple[int, int]]:
    return list(zip(hits[0].tolist(), hits[1].tolist(), strict=True))


def _expected(keys: Sequence[object], values: Sequence[object]) -> list[tuple[int, int]]:
    return [
        (row, key)
        for row, value in enumerate(values)
        for key, held in enumerate(keys)
        if value is not None and held == value
    ]


@settings(max_examples=100, derandomize=True, deadline=None)
@given(_lists, st.lists(st.none() | _words, max_size=20))
def test_every_key_of_a_string_is_found(keys: list[str], values: list[str | None]) -> None:
    index, values = _index(keys), [*values, *keys[:5]]
    for kind in (pa.string(), pa.large_string()):
        column = pa.array(["a", None, *values], kind).slice(2)
        assert _pairs(index.probe(column)) == _expected(keys, values)
        assert _pairs(index.probe(column.dictionary_encode())) == _expected(keys, values)
    for value in [*keys, "a", "", "absent"]:
        assert list(index.find(value.encode())) == [k for k, key in enumerate(keys) if key == value]
    assert len(index) == len(keys)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(_lists, st.lists(st.none() | st.lists(st.none() | _words, max_size=4), max_size=8))
def test_lists_are_found_by_their_items(
    keys: list[str], rows: list[list[str | None] | None]
) -> None:
    column = pa.array([["a"], None, *rows, keys[:3]], pa.list_(pa.string())).slice(2)
    found = _pairs(over_lists(_index(keys).probe, column))
    assert found == [
        (row, key)
        for row, items in enumerate([*rows, keys[:3]])
        for item in items or []
        for key, held in enumerate(keys)
        if held == item
    ]


def test_a_null_that_spans_bytes_is_not_found() -> None:
    offsets, data = pa.py_buffer(np.array([0, 1, 2], np.int32)), pa.py_buffer(b"aa")
    column = pa.Array.from_buffers(pa.string(), 2, [pa.py_buffer(b"\x02"), offsets, data])
    assert column.to_pylist() == [None, "a"]
    assert _pairs(_index(["a"]).probe(column)) == [(1, 0)]
    coded = pa.DictionaryArray.from_arrays(pa.array([0, None, 1]), pa.array(["a", None]))
    assert _pairs(_index(["a"]).probe(coded)) == [(0, 0)]
    lists = pa.ListArray.from_arrays(
        pa.array([0, 1, 2]), pa.array(["a", "a"]), mask=pa.array([True, False])
    )
    assert _pairs(over_lists(_index(["a"]).probe, lists)) == [(1, 0)]


def test_many_literals_fit_their_table_and_its_budget() -> None:
    count = 20_000
    digits = np.char.zfill(np.arange(count).astype(str), 8)
    data = np.frombuffer("".join(digits.tolist()).encode(), dtype=np.uint8)
    index = ExactIndex.of(data, np.arange(count + 1, dtype=np.int64) * 8)
    rows, keys = index.probe(pa.array(digits.tolist()))
    assert rows.tolist() == keys.tolist() == list(range(count))
    assert index.nbytes <= 16 * count


def test_a_literal_that_repeats_often_is_one_chain() -> None:
    """Fifty thousand times over, each must not be a step of the search for the next."""
    count = 50_000
    ends = np.zeros(2 * count + 1, dtype=np.int64)
    ends[1::2] = ends[2::2] = np.arange(1, count + 1)
    # Every other literal is empty, the rest are one "a".
    index = ExactIndex.of(np.full(count, 97, np.uint8), ends)
    assert list(index.find(b"a")) == list(range(0, 2 * count, 2))
    assert list(index.find(b"")) == list(range(1, 2 * count, 2))


_numbers = st.integers(-3, 3) | st.sampled_from([2**63 - 1, -(2**63)])


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(_numbers, max_size=12), st.lists(st.none() | _numbers, max_size=12))
def test_every_key_of_a_number_is_found(keys: list[int], values: list[int | None]) -> None:
    index = NumberIndex.of(np.asarray(keys, dtype=np.int64))
    column = pa.array([1, None, *values], pa.int64()).slice(2)
    assert _pairs(index.probe(column)) == _expected(keys, values)
    for value in (-3, 0, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1):
        assert list(index.find(value)) == [k for k, key in enumerate(keys) if key == value]


_nets = st.one_of(
    st.tuples(st.sampled_from([0, 1, 0xC0000200, 0xC0000280, 2**32 - 1]), st.integers(0, 32)).map(
        lambda pair: ipaddress.IPv4Network(pair, strict=False)
    ),
    st.tuples(
        st.sampled_from([0, 1, 0x20010DB8 << 96, (0x20010DB8 << 96) + (1 << 64), 2**128 - 1]),
        st.sampled_from([0, 1, 32, 63, 64, 65, 127, 128]),
    ).map(lambda pair: ipaddress.IPv6Network(pair, strict=False)),
)
_Net = ipaddress.IPv4Network | ipaddress.IPv6Network


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(_nets, max_size=25), st.integers(0, 2**32 - 1))
def test_all_prefixes_of_an_address_are_found(nets: list[_Net], noise: int) -> None:
    first = [int(net.network_address) for net in nets]
    # Bits beyond the length do not count.
    spare = [noise & ((1 << (net.max_prefixlen - net.prefixlen)) - 1) for net in nets]
    index = PrefixIndex.of(
        np.asarray([net.version for net in nets], dtype=np.uint8),
        np.asarray([one >> 64 for one in first], dtype=np.uint64),
        np.asarray(
            [(one | s) & (2**64 - 1) for one, s in zip(first, spare, strict=True)], np.uint64
        ),
        np.asarray([net.prefixlen for net in nets], dtype=np.uint8),
    )
    texts = [str(net[at]) for net in nets[:8] for at in (0, -1)]
    texts += ["192.0.2.200", "::ffff:192.0.2.0", "0.0.0.0", "255.255.255.255", "2001:db8::", "no"]
    addresses = parse_addresses(pa.array([*texts, None]))
    rows, keys = index.probe(addresses)
    assert np.all(np.diff(rows) >= 0)
    expected = {
        (row, key)
        for row, text in enumerate(texts[:-1])
        for key, net in enumerate(nets)
        if _plain(text) in net
    }
    assert sorted(_pairs((rows, keys))) == sorted(expected)
    for row in range(len(texts) - 1):
        family, high = int(addresses.family[row]), int(addresses.high[row])
        found = index.find(family, high, int(addresses.low[row]))
        assert sorted(found) == [key for at, key in sorted(expected) if at == row]


def _plain(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def test_prefixes_of_no_family_hold_nothing() -> None:
    ones = np.ones(1, dtype=np.uint64)
    index = PrefixIndex.of(np.zeros(1, np.uint8), ones, ones, np.zeros(1, np.uint8))
    assert len(index.probe(parse_addresses(pa.array(["::1", "0.0.0.1"])))[0]) == 0
    assert list(index.find(4, 0, 1)) == []


def test_coded_addresses_are_parsed_by_the_dictionary() -> None:
    coded = pa.DictionaryArray.from_arrays(
        pa.array([1, None, 0, 1]), pa.array(["192.0.2.1", "2001:db8::1", "junk"])
    )
    plain, found = parse_addresses(coded.dictionary_decode()), parse_addresses(coded)
    assert found.family.tolist() == plain.family.tolist() == [6, 0, 4, 6]
    assert found.high[[0, 2]].tolist() == plain.high[[0, 2]].tolist()
    assert found.low[[0, 2]].tolist() == plain.low[[0, 2]].tolist()
    nothing = pa.DictionaryArray.from_arrays(
        pa.array([None], pa.int32()), pa.array([], pa.string())
    )
    assert parse_addresses(nothing).family.tolist() == [0]


@pytest.mark.parametrize("found", [0, 1, 2, 7])
def test_a_search_gets_the_room_that_it_asks_for(found: int) -> None:
    def search(rows: np.ndarray, keys: np.ndarray) -> int:
        rows[: min(found, len(rows))] = 5
        keys[: min(found, len(keys))] = 6
        return found

    assert _pairs(growing(1, search)) == [(5, 6)] * found
