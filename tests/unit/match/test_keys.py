"""Ids and times read by the column are what reading them one by one gives."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import InputError
from hub.match.keys import NO_TIME, find_keys, key_of, newest, read_keys, read_times, write_ids
from hub.match.plan import microseconds
from hub.model.identifiers import parse_timestamp

_uuids = st.uuids().map(str)
_ids = st.one_of(
    _uuids.map(lambda one: f"indicator--{one}"),
    _uuids.map(lambda one: f"indicator--{one.upper()}"),
    _uuids.map(lambda one: f"indicator--{one.replace('-', '0')}"),
    _uuids.map(lambda one: f"campaign--{one}"),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
)
_times = st.one_of(
    st.datetimes().map(lambda time: f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond:06d}Z"),
    st.from_regex(
        r"\A(0000|1900|2000|2024|2026)-(0[0-3]|1[0-3])-(00|28|29|30|31|32)T"
        r"(00|23|24):(00|59|60):(00|59|60)(\.[0-9]{1,9})?Z\Z"
    ),
    st.text("0123456789-T:.Z", min_size=18, max_size=24),
    st.just("2026-11-20T12:00:00.Z"),
)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(_ids, max_size=8))
def test_ids_are_written_as_they_were_read(ids: list[str]) -> None:
    odd: dict[bytes, str] = {}
    keys = read_keys(ids, "indicator", odd)
    assert write_ids(keys, "indicator", odd).to_pylist() == ids
    assert [key.tobytes() for key in keys] == [key_of(one, "indicator") for one in ids]
    assert len({key.tobytes() for key in keys}) == len(set(ids))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(_times, max_size=8))
def test_times_are_those_of_the_reader_of_timestamps(texts: list[str]) -> None:
    wanted = []
    for text in texts:
        try:
            wanted.append(microseconds(parse_timestamp(text)))
        except InputError:
            wanted.append(NO_TIME)
    assert read_times(texts).tolist() == wanted


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.binary(min_size=1, max_size=2), st.integers(0, 3)), max_size=20))
def test_the_newest_of_each_id_stands_in_order_and_is_found(rows: list[tuple[bytes, int]]) -> None:
    padded = [(name.ljust(8, b"\0").rjust(16, b"\xff"), version) for name, version in rows]
    keys = np.frombuffer(b"".join(key for key, _ in padded), dtype=np.uint8).reshape(-1, 16)
    order = newest(keys, np.asarray([version for _, version in rows], dtype=np.int64))
    best: dict[bytes, int] = {}
    for at, (key, version) in enumerate(padded):
        if key not in best or version >= padded[best[key]][1]:
            best[key] = at
    assert order.tolist() == [best[key] for key in sorted(best)]
    table = keys[order]
    assert find_keys(table, keys).tolist() == [sorted(best).index(key) for key, _ in padded]
    assert find_keys(table, np.zeros((1, 16), np.uint8)).tolist() == [-1]
