"""Compiled indicators as bytes: Arrow IPC tables with a version and a checksum.

Stored are facts, values and the patterns of complex indicators, not the indexes: building these
from columns takes milliseconds, and nothing that is read can lead outside of an array. A checksum
tells damage; it does not prove who wrote the bytes, so everything is checked after it as well.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hub.errors import InputError
from hub.match.contents import Contents, Dead
from hub.match.draft import COMPLEX, FIRST_ADDRESS, FORMS, TEXT, Draft, Nets, Source, holds_address
from hub.match.facts import MARKINGS, UNSURE, Facts, Problem, Words
from hub.match.keys import KeyTable, sortable
from hub.match.links import CampaignSets, Links

MAGIC: Final = b"stillwatch-index"
VERSION: Final = 1
_HEAD: Final = struct.Struct(f"<{len(MAGIC)}sH32s")
_LENGTH: Final = struct.Struct("<Q")
# What reading Arrow tables that somebody forged may raise.
_MALFORMED: Final = (
    # A generator turns StopIteration into RuntimeError.
    *(pa.ArrowException, OSError, RuntimeError, struct.error),
    *(ValueError, IndexError, OverflowError),
)

_KEY: Final = pa.binary(16)
_STRINGS: Final = pa.list_(pa.string())
_TABLES: Final = {
    "forms": pa.schema([("form", pa.string())]),
    "words": pa.schema([("word", pa.string())]),
    "sets": pa.schema([("campaigns", pa.list_(pa.int32()))]),
    "odd": pa.schema([("key", _KEY), ("id", pa.string())]),
    "nameless": pa.schema([("reason", pa.string())]),
    "dead": pa.schema([("key", _KEY), ("version", pa.int64()), ("reason", pa.string())]),
    "links": pa.schema(
        [("key", _KEY), ("version", pa.int64()), ("source", _KEY), ("target", pa.int32())]
    ),
    "complex": pa.schema(
        [
            ("row", pa.int64()),
            ("pattern", pa.large_string()),
            ("group_by", _STRINGS),
            ("count_distinct", pa.string()),
        ]
    ),
    "nets": pa.schema(
        [
            ("family", pa.uint8()),
            ("high", pa.uint64()),
            ("low", pa.uint64()),
            ("length", pa.uint8()),
        ]
    ),
    "indicators": pa.schema(
        [
            ("key", _KEY),
            ("modified", pa.int64()),
            ("start", pa.int64()),
            ("stop", pa.int64()),
            ("confidence", pa.int8()),
            ("publisher", pa.int32()),
            ("marking", pa.int8()),
            ("layer", pa.int32()),
            ("band_hits", pa.uint8()),
            ("form", pa.uint8()),
            ("text", TEXT),
            ("sets", pa.int32()),
        ]
    ),
}
_NULLABLE: Final = frozenset({("dead", "reason"), ("complex", "count_distinct")})
_FORM_NAMES: Final = [f"{field.path} {operator}" for field, operator in FORMS]


def to_bytes(contents: Contents) -> bytes:
    """Write an index; what newer versions hide of it is left out."""
    columns = _columns(contents)
    parts: list[bytes] = []
    for name, schema in _TABLES.items():
        found = [
            column if isinstance(column, pa.Array) else pa.array(column, field.type)
            for column, field in zip(columns[name], schema, strict=True)
        ]
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_batch(pa.record_batch(found, schema=schema))
        data = sink.getvalue().to_pybytes()
        parts += [_LENGTH.pack(len(data)), data]
    payload = b"".join(parts)
    return _HEAD.pack(MAGIC, VERSION, hashlib.sha256(payload).digest()) + payload


def _columns(contents: Contents) -> dict[str, list[Any]]:
    draft, sets = contents.draft(range(len(contents.segments)))
    facts, links, dead = draft.facts, contents.links, contents.dead
    sources = draft.sources.values()
    reasons = [dead.reasons.get(key.tobytes()) for key in dead.keys]
    times = [facts.modified, facts.start, facts.stop]
    codes = [facts.confidence, facts.publisher, facts.marking, facts.layer, facts.band_hits]
    return {
        "forms": [_FORM_NAMES],
        "words": [contents.words.known()],
        "sets": [contents.sets.sets],
        "odd": [list(contents.odd), list(contents.odd.values())],
        "nameless": [[problem.reason for problem in contents.nameless]],
        "dead": [_packed(dead.keys), dead.versions, reasons],
        "links": [_packed(links.keys), links.versions, _packed(links.sources), links.targets],
        "complex": [
            list(draft.sources),
            [one.pattern for one in sources],
            [one.group_by for one in sources],
            [one.count_distinct for one in sources],
        ],
        "nets": [draft.nets.family, draft.nets.high, draft.nets.low, draft.nets.length],
        "indicators": [_packed(facts.keys), *times, *codes, draft.forms, draft.text, sets],
    }


def _packed(keys: KeyTable) -> Any:
    buffer = pa.py_buffer(np.ascontiguousarray(keys))
    return pa.FixedSizeBinaryArray.from_buffers(_KEY, len(keys), [None, buffer])


def from_bytes(data: bytes, scans: int) -> Contents:
    """Read what `to_bytes` wrote.

    Args:
        scans: how many formulas may go without an index.
    Raises:
        InputError: it is damaged, foreign or of another version.
    """
    if len(data) < _HEAD.size:
        raise InputError("is no compiled index")
    magic, version, checksum = _HEAD.unpack_from(data)
    if magic != MAGIC:
        raise InputError("is no compiled index")
    if version != VERSION:
        raise InputError("is a compiled index of another version: compile the indicators again")
    if hashlib.sha256(memoryview(data)[_HEAD.size :]).digest() != checksum:
        raise InputError("is a damaged compiled index: compile the indicators again")
    try:
        tables = dict(_tables(memoryview(data)[_HEAD.size :]))
        return _contents(tables, scans)
    except _MALFORMED as error:
        raise InputError("is a malformed compiled index: compile the indicators again") from error


def _tables(payload: memoryview) -> Iterator[tuple[str, pa.RecordBatch]]:
    at = 0
    for name, schema in _TABLES.items():
        (length,) = _LENGTH.unpack_from(payload, at)
        at += _LENGTH.size
        part = payload[at : at + length]
        at += length
        with pa.ipc.open_stream(pa.py_buffer(part)) as reader:
            _require(len(part) == length and reader.schema.equals(schema))
            batch = reader.read_next_batch()
        batch.validate(full=True)
        if not len(batch):
            # Arrow checks no offset where there are no rows, and aborts the process later.
            batch = pa.RecordBatch.from_pylist([], schema=schema)
        for field, column in zip(schema, batch.columns, strict=True):
            _require(column.null_count == 0 or (name, field.name) in _NULLABLE)
            if pa.types.is_list(field.type) or pa.types.is_large_list(field.type):
                _require(column.flatten().null_count == 0)
        yield name, batch
    _require(at == len(payload))


def _require(holds: object) -> None:
    if not holds:
        raise ValueError("a table that does not fit")


def _contents(tables: dict[str, pa.RecordBatch], scans: int) -> Contents:
    _require(tables["forms"].column(0).to_pylist() == _FORM_NAMES)
    known = tables["words"].column(0).to_pylist()
    words = Words(known)
    _require(len(words) == len(known) + 1)
    sets = CampaignSets()
    for numbers in tables["sets"].column(0).to_pylist():
        _require(all(0 < number < len(words) for number in numbers))
        sets.number(tuple(numbers))
    _require(len(sets.sets) == len(tables["sets"]))
    draft, linked = _draft(tables, words, sets)
    odd = dict(zip(*(column.to_pylist() for column in tables["odd"].columns), strict=True))
    nameless = tables["nameless"].column(0).to_pylist()
    contents = Contents(
        (),
        (),
        (),
        _dead(tables["dead"]),
        _links(tables["links"], len(words)),
        sets,
        words,
        odd,
        tuple(Problem("", reason) for reason in nameless),
    )
    if not len(draft):
        return contents
    return replace(contents.with_segment(draft, scans), linked=(linked,))


def _draft(
    tables: dict[str, pa.RecordBatch], words: Words, sets: CampaignSets
) -> tuple[Draft, Any]:
    table = tables["indicators"]
    keys = _keys(table, "key")
    _require(_is_ascending(keys))
    facts = Facts(
        keys,
        *(_numbers(table, name) for name in table.schema.names[1:9]),
    )
    forms, linked = _numbers(table, "form"), _numbers(table, "sets")
    _require(np.all((facts.confidence >= UNSURE) & (facts.confidence <= 100)))
    _require(np.all((facts.marking >= 0) & (facts.marking <= len(MARKINGS))))
    for codes, count in (
        (facts.publisher, len(words)),
        (facts.layer, len(words)),
        (linked, len(sets.sets)),
    ):
        _require(np.all((codes >= 0) & (codes < count)))
    _require(np.all((forms < len(FORMS)) | (forms == COMPLEX)))
    _require(np.all((forms == COMPLEX) | (facts.band_hits < 2)))
    nets = Nets(*(_numbers(tables["nets"], name) for name in tables["nets"].schema.names))
    bits = np.where(nets.family == 4, 32, 128)
    _require(np.all(((nets.family == 4) | (nets.family == 6)) & (nets.length <= bits)))
    _require(np.all((nets.family == 6) | ((nets.high == 0) & (nets.low < 2**32))))
    _require(len(nets.family) == np.count_nonzero(holds_address(forms)))
    text = table.column("text")
    sizes = pc.list_value_length(text).to_numpy(zero_copy_only=False)
    _require(np.array_equal(sizes > 0, forms < FIRST_ADDRESS))
    return Draft(facts, forms, text, nets, _sources(tables, forms)), linked


def _sources(tables: dict[str, pa.RecordBatch], forms: Any) -> dict[int, Source]:
    rows, patterns, groups, distinct = (one.to_pylist() for one in tables["complex"].columns)
    _require(rows == np.flatnonzero(forms == COMPLEX).tolist())
    return {
        row: Source(pattern, tuple(group), counted)
        for row, pattern, group, counted in zip(rows, patterns, groups, distinct, strict=True)
    }


def _dead(table: pa.RecordBatch) -> Dead:
    keys = _keys(table, "key")
    _require(_is_ascending(keys))
    reasons = table.column("reason").to_pylist()
    told = {key.tobytes(): why for key, why in zip(keys, reasons, strict=True) if why is not None}
    return Dead(keys, _numbers(table, "version"), told)


def _links(table: pa.RecordBatch, words: int) -> Links:
    keys, targets = _keys(table, "key"), _numbers(table, "target")
    _require(_is_ascending(keys) and np.all((targets >= 0) & (targets < words)))
    return Links(keys, _numbers(table, "version"), _keys(table, "source"), targets)


def _numbers(table: pa.RecordBatch, name: str) -> Any:
    return table.column(name).to_numpy(zero_copy_only=False)


def _keys(table: pa.RecordBatch, name: str) -> KeyTable:
    column = table.column(name)
    if not len(column):
        return np.zeros((0, 16), dtype=np.uint8)
    data = np.frombuffer(column.buffers()[1], dtype=np.uint8)
    start = 16 * column.offset
    return data[start : start + 16 * len(column)].reshape(-1, 16)


def _is_ascending(keys: KeyTable) -> bool:
    column = sortable(keys) if len(keys) else np.zeros(0, dtype="S16")
    return bool(np.all(column[1:] > column[:-1]))
