"""A stored index is read whole or not at all."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import InputError
from hub.match import saved
from hub.match.engine import IndicatorIndex
from tests.unit.match.test_updates import EVENTS, IDS, PATTERNS, _answers, _indicator, _link

OBJECTS = [
    *(_indicator(f"{IDS[0][:-2]}{n:02d}", one, 1, revoked=False) for n, one in enumerate(PATTERNS)),
    _indicator(IDS[2], PATTERNS[0], 1, revoked=True),
    _indicator(IDS[4], PATTERNS[0], 1, revoked=False),
    _indicator(IDS[3], PATTERNS[0], 1, revoked=True),
    _link(1, IDS[4], 1, 1, revoked=False),
    _link(2, IDS[4], 2, 1, revoked=False),
    {"type": "indicator"},
]
INDEX = IndicatorIndex.build(OBJECTS)
DATA = INDEX.to_bytes()
HEAD = len(saved.MAGIC) + 2 + 32


def _sealed(payload: bytes) -> bytes:
    """The payload with a checksum that fits, as a forger would write it."""
    return DATA[: HEAD - 32] + hashlib.sha256(payload).digest() + payload


def test_what_is_read_answers_as_what_was_written() -> None:
    read = IndicatorIndex.from_bytes(DATA)
    assert _answers(read) == _answers(INDEX)
    assert read.match(EVENTS, source="log").num_rows > 0
    assert read.to_bytes() == DATA
    more = [_indicator(IDS[2], PATTERNS[3], 2, revoked=False)]
    assert _answers(read.updated(more)) == _answers(INDEX.updated(more))


def test_nothing_can_be_stored_too() -> None:
    empty = IndicatorIndex.from_bytes(IndicatorIndex.build([]).to_bytes())
    assert len(empty) == 0
    assert empty.match(EVENTS, source="log").num_rows == 0


def _without_batches() -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, saved._TABLES["forms"]):
        pass
    return bytes(sink.getvalue())


NO_BATCH = _without_batches()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no compiled index"),
        (b"PAR1" * 100, "no compiled index"),
        (b"stillwatch-inde", "no compiled index"),
        (DATA[:16] + struct.pack("<H", 2) + DATA[18:], "another version"),
        (DATA[:HEAD], "damaged"),
        (DATA[:-1], "damaged"),
        (DATA + b"\0", "damaged"),
        (_sealed(DATA[HEAD:-9]), "malformed"),
        (_sealed(DATA[HEAD:] + b"\0"), "malformed"),
        (_sealed(b"\xff" * 64), "malformed"),
        (_sealed(struct.pack("<Q", len(NO_BATCH)) + NO_BATCH), "malformed"),
    ],
)
def test_foreign_and_cut_bytes_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        IndicatorIndex.from_bytes(data)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.integers(0, 8 * len(DATA) - 1))
def test_any_bit_flip_is_refused(bit: int) -> None:
    data = bytearray(DATA)
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InputError):
        IndicatorIndex.from_bytes(bytes(data))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 8 * (len(DATA) - HEAD) - 1), min_size=1, max_size=3))
def test_forged_bytes_never_crash(bits: list[int]) -> None:
    payload = bytearray(DATA[HEAD:])
    for bit in bits:
        payload[bit // 8] ^= 1 << bit % 8
    try:
        index = IndicatorIndex.from_bytes(_sealed(bytes(payload)))
    except InputError:
        return
    assert index.match(EVENTS, source="log").schema == INDEX.match(EVENTS, source="log").schema


def test_offsets_of_an_empty_table_are_not_trusted() -> None:
    empty = IndicatorIndex.build([]).to_bytes()
    for at in range(len(empty) - 512, len(empty)):
        payload = bytearray(empty[HEAD:])
        payload[at - HEAD] ^= 1
        try:
            index = IndicatorIndex.from_bytes(_sealed(bytes(payload)))
        except InputError:
            continue
        assert index.match(EVENTS, source="log").num_rows == 0


def _changed(table: str, column: str, change: Any) -> bytes:
    """The index with one column of one table changed."""
    parts = []
    for name, batch in saved._tables(memoryview(DATA)[HEAD:]):
        if name == table:
            values = change(batch.column(column).to_pylist())
            at = batch.schema.get_field_index(column)
            batch = batch.set_column(
                at, batch.schema.field(at), pa.array(values, batch.schema.field(at).type)
            )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        data = sink.getvalue().to_pybytes()
        parts += [struct.pack("<Q", len(data)), data]
    return _sealed(b"".join(parts))


@pytest.mark.parametrize(
    ("table", "column", "change"),
    [
        ("forms", "form", lambda found: found[::-1]),
        ("words", "word", lambda found: [found[0]] * len(found)),
        ("sets", "campaigns", lambda found: [[99] for _ in found]),
        ("links", "target", lambda found: [99 for _ in found]),
        ("complex", "row", lambda found: [row + 1 for row in found]),
        ("complex", "pattern", lambda found: [None for _ in found]),
        ("nets", "family", lambda found: [5 for _ in found]),
        ("nets", "length", lambda found: [200 for _ in found]),
        ("nets", "high", lambda found: [1 for _ in found]),
        ("indicators", "key", lambda found: found[::-1]),
        ("indicators", "form", lambda found: [254 for _ in found]),
        ("indicators", "form", lambda found: [0 for _ in found]),
        ("indicators", "publisher", lambda found: [-1 for _ in found]),
        ("indicators", "layer", lambda found: [99 for _ in found]),
        ("indicators", "marking", lambda found: [99 for _ in found]),
        ("indicators", "confidence", lambda found: [101 for _ in found]),
        ("indicators", "sets", lambda found: [99 for _ in found]),
        ("indicators", "text", lambda found: [[] for _ in found]),
        ("indicators", "text", lambda found: [[b"x"] for _ in found]),
        ("indicators", "band_hits", lambda found: [2 for _ in found]),
        ("dead", "key", lambda found: found[::-1]),
    ],
)
def test_numbers_that_lead_nowhere_are_refused(table: str, column: str, change: Any) -> None:
    with pytest.raises(InputError, match="malformed"):
        IndicatorIndex.from_bytes(_changed(table, column, change))


def test_the_size_of_an_indicator_is_bounded() -> None:
    count = 20_000
    objects = (
        _indicator(
            f"indicator--{n:08x}-0000-4000-8000-000000000000",
            f"[user-account:user_id = 'account-{n:08d}']",
            1,
            revoked=False,
        )
        for n in range(count)
    )
    segment = IndicatorIndex.build(objects).segments[0]
    assert segment.text_bytes == count * len("account-00000000")
    assert (segment.nbytes - segment.text_bytes) / count < 95
    assert np.all(np.diff(segment.owner) > 0)
