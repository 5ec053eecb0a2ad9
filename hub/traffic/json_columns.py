"""JSON lines to Arrow columns by kernel; what is out of the ordinary goes line by line.

The law is that both ways give the same rows, rejects and counts. A line that the kernel notes as
odd is parsed as every line would be without it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from hub.fingerprint.jit import kernel
from hub.match.schema import TRAFFIC_SCHEMA
from hub.traffic import json_fields, json_walk
from hub.traffic.assemble import Piece
from hub.traffic.json_fields import Bytes, Fields, Found, Longs
from hub.traffic.json_tokens import unescape
from hub.traffic.problems import Tally
from hub.traffic.vectors import copy_bytes

MAX_KEYS: Final = 62
_TIME: Final = pa.timestamp("us", tz="UTC")
_texts = msgspec.json.Decoder(list[Any])


def takes(name: str) -> int:
    """What a TRAFFIC column takes."""
    kind = TRAFFIC_SCHEMA.field(name).type
    if pa.types.is_timestamp(kind):
        return json_fields.AS_TIME
    if pa.types.is_integer(kind):
        return json_fields.AS_NUMBER
    return json_fields.AS_LIST if pa.types.is_list(kind) else json_fields.AS_TEXT


@dataclass(frozen=True)
class Layout:
    """Which field of a line fills which column.

    Args:
        columns: the columns to fill; the time stands first.
        paths: TRAFFIC column and the keys on the way to the field, outermost first.
        kinds: what a column takes that is none of TRAFFIC's.
        inner: what objects on the way are: `INNER` or `NO_TEXT`.
    """

    columns: tuple[str, ...]
    paths: tuple[tuple[str, tuple[str, ...]], ...]
    kinds: Mapping[str, int] = field(default_factory=dict)
    inner: int = json_fields.INNER

    @classmethod
    def of(
        cls, paths: Sequence[tuple[str, tuple[str, ...]]], wanted: Collection[str]
    ) -> Layout | None:
        """A layout of the wanted columns, None where the kernel has no room for the keys."""
        names = dict.fromkeys(name for name, _ in paths if name in wanted)
        ordered = sorted(names, key=lambda name: name != "observed_at")
        layout = cls(tuple(ordered), tuple(paths))
        return layout if ordered and layout.tree is not None else None

    @cached_property
    def tree(self) -> tuple[Fields, tuple[str, ...]] | None:
        """The keys for the kernel, and the column that each of them is of."""
        keys: list[tuple[int, bytes]] = []
        columns: list[int] = []
        owners: list[str] = []
        for name, path in self.paths:
            node = 0
            for step, text in enumerate(path):
                key = (node, text.encode("utf-8", "surrogatepass"))
                leaf = step + 1 == len(path)
                if key not in keys:
                    keys.append(key)
                    columns.append(self._column(name) if leaf else self.inner)
                    owners.append(name)
                elif leaf or columns[keys.index(key)] != self.inner:
                    return None  # one field for two columns, or a field inside a field
                node = keys.index(key) + 1
        if len(keys) > MAX_KEYS:
            return None
        return self._fields(keys, columns), tuple(owners)

    def takes(self, name: str) -> int:
        """What a column takes."""
        return self.kinds[name] if name in self.kinds else takes(name)

    def _column(self, name: str) -> int:
        return self.columns.index(name) if name in self.columns else json_fields.GLIMPSED

    def _fields(self, keys: Sequence[tuple[int, bytes]], columns: Sequence[int]) -> Fields:
        texts = [text for _, text in keys]
        arena = np.frombuffer(b"".join(texts) + bytes(8), np.uint8)
        offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
        table = np.zeros(4 * MAX_KEYS, np.int64)
        for number, (node, text) in enumerate(keys):
            hashed = json_fields.key_hash(arena.ctypes.data, int(offsets[number]), len(text), node)
            slot = int(hashed) & (table.size - 1)
            while table[slot]:
                slot = (slot + 1) & (table.size - 1)
            table[slot] = number + 1
        told = [
            (
                int(offsets[number]),
                len(text),
                node,
                column,
                self.takes(self.columns[column]) if column >= 0 else -1,
            )
            for number, ((node, text), column) in enumerate(zip(keys, columns, strict=True))
        ]
        return Fields(arena, np.array(told, np.int64), table)


@dataclass(frozen=True)
class Pass:
    """What the kernel made of some lines.

    Attributes:
        piece: the columns of the lines that it could read.
        odd: number and data of the lines that it left, in order.
    """

    piece: Piece
    odd: list[tuple[int, bytes]]


def passes(
    data: memoryview, line: int, count: int, longest: int, rows: int, layout: Layout, tally: Tally
) -> Iterator[Pass]:
    """Read a block of whole lines, at most `rows` of them at a time.

    Args:
        line, count: the number of the first line, and how many line feeds there are.
        longest: a longer line, in bytes, is left as odd.
    """
    assert layout.tree is not None
    fields, owners = layout.tree
    raw = np.frombuffer(data, np.uint8)
    raw.flags.writeable = False
    utf8 = _is_utf8(data)
    found = _room(len(layout.columns), min(rows, count + 1))
    at = number = 0
    while at < len(data):
        json_walk.walk(raw, at, number, utf8, longest, *fields, *found)
        read, odd, at, number, glimpsed, naive = found.totals[:6].tolist()
        tally.naive_times += naive
        for key, owner in enumerate(owners):
            if glimpsed >> key & 1:
                tally.glimpsed.add(owner)
        columns = {
            name: _column(raw, found.cells[position, :read], layout.takes(name))
            for position, name in enumerate(layout.columns)
        }
        yield Pass(
            Piece(columns, found.lines[:read] + line),
            [(line + n, bytes(data[a:b])) for a, b, n in found.odd[:odd].tolist()],
        )


def _room(columns: int, rows: int) -> Found:
    return Found(
        np.empty((columns, rows, 2), np.int64),
        np.empty(rows, np.int64),
        np.empty((rows, 3), np.int64),
        np.zeros(json_fields.TOTALS, np.int64),
    )


def _is_utf8(data: memoryview) -> bool:
    """Checked by Arrow, which holds no lock meanwhile."""
    offsets = pa.py_buffer(np.array([0, len(data)], np.int64))
    whole = pa.LargeStringArray.from_buffers(1, offsets, pa.py_buffer(data))
    try:
        whole.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _column(raw: Bytes, cells: Longs, kind: int) -> Any:
    if kind in (json_fields.AS_LIST, json_fields.AS_JSON):
        return _lists(raw, cells)
    shown = cells[:, 1] != json_fields.ABSENT
    validity = None if shown.all() else pa.py_buffer(np.packbits(shown, bitorder="little"))
    if kind in (json_fields.AS_TEXT, json_fields.AS_STRING):
        offsets = np.zeros(len(cells) + 1, np.int64)
        room = pa.allocate_buffer(_room_of_texts(cells))
        _gather(raw, cells, offsets, np.frombuffer(room, np.uint8))
        return pa.LargeStringArray.from_buffers(len(cells), pa.py_buffer(offsets), room, validity)
    numbers = pa.py_buffer(cells[:, 0].copy())
    return pa.Array.from_buffers(
        _TIME if kind == json_fields.AS_TIME else pa.int64(), len(cells), [validity, numbers]
    )


@kernel
def _room_of_texts(cells: Longs) -> int:
    total = 0
    for row in range(cells.shape[0]):
        if cells[row, 1]:
            total += (cells[row, 1] >> 3) - cells[row, 0]
    return total


@kernel
def _gather(raw: Bytes, cells: Longs, offsets: Longs, out: Bytes) -> None:
    """Write the texts of a column one after the other."""
    to = 0
    source, size, target = raw.ctypes.data, raw.size, out.ctypes.data
    for row in range(cells.shape[0]):
        start, end = cells[row, 0], cells[row, 1] >> 3
        kind = cells[row, 1] & 7
        if kind == json_fields.PLAIN:
            copy_bytes(target, to, source, start, end - start)
            to += end - start
        elif kind == json_fields.ESCAPED:
            to = unescape(source, start, end, size, target, to)
        offsets[row + 1] = to


def _lists(raw: Bytes, cells: Longs) -> list[Any]:
    """Nested values are read by the ordinary parser, those of all lines at once."""
    view = raw.data
    spans = [
        view[start : told >> 3] if told & 7 == json_fields.NESTED else b"null"
        for start, told in cells.tolist()
    ]
    return _texts.decode(b"[" + b",".join(spans) + b"]")
