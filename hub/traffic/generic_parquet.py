"""Generic Parquet: columns named as TRAFFIC's or mapped; read by row groups, in small batches."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hub.errors import InputError
from hub.traffic import generic
from hub.traffic.assemble import Piece
from hub.traffic.decode import BATCH_BYTES, Bounds, Head, Task, in_order
from hub.traffic.parquet_pages import longest_value
from hub.traffic.problems import Tally
from hub.traffic.source import Source
from hub.traffic.times import LAST

_MAGIC: Final = b"PAR1"
_FOOTER_BYTES: Final = 64 << 20
_COLUMNS: Final = 10_000
_EXPANDED_BYTES: Final = 256 << 20
"""The most that one step of reading may expand to."""
_TASK_BYTES: Final = 64 << 20
"""A row group that may expand to more is not decoded by one task: it would hold all of it."""


def _open(source: Source, metadata: Any = None) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(
            source.path,
            metadata=metadata,
            thrift_string_size_limit=_FOOTER_BYTES,
            thrift_container_size_limit=1_000_000,
            pre_buffer=False,
        )
        if len(file.schema_arrow.names) > _COLUMNS:
            raise InputError(f"more than {_COLUMNS} columns", where=str(source.path))
    except (pa.ArrowException, OSError) as error:
        raise InputError("not a whole Parquet file", where=str(source.path)) from error
    return file


@dataclass(frozen=True, slots=True)
class _Group:
    """A row group, and what reading it may take.

    Attributes:
        first: the number of its first row in the file.
        used: TRAFFIC column to the field that fills it, of those that are read.
        size: rows of a piece.
        step: rows that are safely decoded at once.
        small: whether all of it may be held.
    """

    number: int
    rows: int
    first: int
    used: Mapping[str, str]
    size: int
    step: int
    small: bool


@dataclass
class _Decoder:
    source: Source
    fields: dict[str, str]
    unused: tuple[str, ...]
    bounds: Bounds | None = None

    def within(self, bounds: Bounds) -> _Decoder:
        """The same, but row groups of other times are only counted, by their statistics."""
        return replace(self, bounds=bounds)

    @property
    def columns(self) -> frozenset[str]:
        return frozenset(self.fields) | {"event_id"}

    def tasks(self, rows: int, tally: Tally, wanted: Collection[str]) -> Iterator[Task]:
        """One task for each row group; large ones are decoded as they are cut."""
        self.source.read = 0
        used = {column: field for column, field in self.fields.items() if column in wanted}
        with _open(self.source) as file:
            metadata, kinds = file.metadata, file.schema_arrow
        moments = _Moments.of(kinds, self.fields["observed_at"])
        groups = metadata.num_row_groups
        first = 1
        for number in range(groups):
            chunks = metadata.row_group(number)
            tally.glimpsed |= _shown(chunks, self.fields, self.fields.keys() - used.keys())
            if self._is_outside(chunks, moments):
                tally.outside += chunks.num_rows
                tally.naive_times += 0 if moments is None or moments.zoned else chunks.num_rows
            else:
                group = self._group(chunks, number, rows, first, used)
                read = partial(self._pieces, group, metadata)
                if group.small:
                    yield read
                else:
                    yield from in_order(read(tally))
            first += max(0, chunks.num_rows)
            self.source.read = self.source.size * (number + 1) // groups

    def _is_outside(self, chunks: Any, moments: _Moments | None) -> bool:
        if self.bounds is None or moments is None:
            return False
        span = moments.span(chunks)
        return span is not None and (span[1] < self.bounds.since or span[0] >= self.bounds.until)

    def _group(
        self, chunks: Any, number: int, rows: int, first: int, used: Mapping[str, str]
    ) -> _Group:
        names = set(used.values())
        count = chunks.num_rows
        stored = longest = most = 0
        with self.source.path.open("rb") as file:
            for at in range(chunks.num_columns):
                chunk = chunks.column(at)
                if chunk.path_in_schema.split(".")[0] in names:
                    value = longest_value(file, chunk)
                    stored += chunk.total_uncompressed_size
                    longest += value
                    most += chunk.total_uncompressed_size + value * chunk.num_values
        each = max(1, stored // max(1, count))
        size = max(1, min(rows, BATCH_BYTES // each))
        step = max(1, min(size, _EXPANDED_BYTES // max(1, longest)))
        return _Group(number, count, first, used, size, step, most <= _TASK_BYTES)

    def _pieces(self, group: _Group, metadata: Any, tally: Tally) -> Iterator[Piece]:
        """Raw columns; of a damaged row group what is left is counted and left out."""
        given = 0
        try:
            with _open(self.source, metadata) as file:
                for piece in _decoded(file, group):
                    given += len(piece.lines)
                    yield piece
        except (pa.ArrowException, OSError):
            lost = max(1, group.rows - given)
            reason = f"row group {group.number} is damaged"
            tally.rejects.broken(group.first + given, reason, "the others were read", lost)


@dataclass(frozen=True, slots=True)
class _Moments:
    """A column of timestamps, whose statistics tell between which times its rows lie.

    Attributes:
        zoned: whether the times name a zone.
    """

    name: str
    unit: str
    zoned: bool

    @classmethod
    def of(cls, schema: pa.Schema, name: str) -> _Moments | None:
        """None where the column is no timestamp: its values may be read in several ways."""
        kind = schema.field(name).type
        if not pa.types.is_timestamp(kind) or schema.names.count(name) > 1:
            return None
        return cls(name, kind.unit, kind.tz is not None)

    def span(self, group: Any) -> tuple[int, int] | None:
        """The first and last time of a row group, in microseconds; None where a row may have none.

        A row group whose statistics would make rows unusable is read, so that these are counted.
        """
        for number in range(group.num_columns):
            chunk = group.column(number)
            if chunk.path_in_schema == self.name:
                found = chunk.statistics if chunk.is_stats_set else None
                if found is None or not found.has_min_max or found.physical_type != "INT64":
                    return None
                if not found.has_null_count or found.null_count:
                    return None
                first, last = (_micros(raw, self.unit) for raw in (found.min_raw, found.max_raw))
                return (first, last) if 0 < first <= last < LAST else None
        return None


def _micros(raw: int, unit: str) -> int:
    return raw // 1000 if unit == "ns" else raw * {"s": 1_000_000, "ms": 1000, "us": 1}[unit]


def _decoded(file: pq.ParquetFile, group: _Group) -> Iterator[Piece]:
    names = sorted(set(group.used.values()))
    first = group.first
    held: list[pa.RecordBatch] = []
    count = weight = 0
    for batch in file.iter_batches(group.step, [group.number], names, use_threads=False):
        for part in _parts(batch):
            held.append(part)
            count += part.num_rows
            weight += part.nbytes
            if count + group.step > group.size or weight >= BATCH_BYTES:
                yield _piece(held, first, group.used)
                first += count
                count = weight = 0
                held = []
    if held:
        yield _piece(held, first, group.used)


def _piece(held: list[pa.RecordBatch], first: int, used: Mapping[str, str]) -> Piece:
    lines = np.arange(first, first + sum(b.num_rows for b in held), dtype=np.int64)
    return Piece(
        {
            column: _joined([batch.column(field) for batch in held])
            for column, field in used.items()
        },
        lines,
    )


def _joined(arrays: list[pa.Array]) -> pa.Array:
    return arrays[0] if len(arrays) == 1 else pa.concat_arrays(arrays)


def _shown(
    group: pq.RowGroupMetaData, fields: Mapping[str, str], unread: Collection[str]
) -> set[str]:
    """Those of the columns that are not read of which the footer says no row is null in all."""
    filled = set()
    for number in range(group.num_columns if unread else 0):
        chunk = group.column(number)
        nulls = chunk.statistics.null_count if chunk.is_stats_set else None
        if nulls is None or nulls < chunk.num_values:
            filled.add(chunk.path_in_schema.split(".")[0])
    return {column for column in unread if fields[column] in filled}


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch so that its dictionaries, written out, stay within `BATCH_BYTES`."""
    if not any(pa.types.is_dictionary(column.type) for column in batch.columns):
        yield batch
        return
    sizes = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        if pa.types.is_dictionary(column.type) and _is_text(column.type.value_type):
            lengths = pc.binary_length(column.dictionary)
            each = pc.fill_null(lengths.take(column.indices), 0)
            sizes += each.to_numpy(zero_copy_only=False)
    ends = np.cumsum(sizes)
    start = 0
    while start < batch.num_rows:
        limit = BATCH_BYTES + (int(ends[start - 1]) if start else 0)
        stop = max(start + 1, int(np.searchsorted(ends, limit, side="right")))
        part = batch.slice(start, stop - start)
        yield pa.RecordBatch.from_arrays(
            [_written_out(column) for column in part.columns], names=part.schema.names
        )
        start = stop


def _written_out(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)
    )


class _Parquet:
    name = "parquet"
    title = "generic Parquet"
    generic = True

    def recognises(self, head: Head) -> bool:
        """Whether the file begins as Parquet does."""
        return head.data.startswith(_MAGIC)

    def open(self, source: Source, head: Head) -> _Decoder:
        """Make a decoder of one file, by the column names in its footer."""
        if source.packing != "plain":
            raise InputError(
                f"Parquet inside {source.packing} cannot be read in place",
                where=str(source.path),
                hint="unpack it first",
            )
        with _open(source) as file:
            schema = file.schema_arrow
            fields = generic.resolve(head.mapping, schema.names, str(source.path))
        return _Decoder(source, fields, generic.unused(schema.names, fields.values()))


FORMAT: Final = _Parquet()
