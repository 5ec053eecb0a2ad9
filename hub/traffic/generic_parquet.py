"""Generic Parquet: columns named as TRAFFIC's or mapped; read by row groups, in small batches."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hub.errors import InputError
from hub.traffic import generic
from hub.traffic.assemble import Piece
from hub.traffic.decode import BATCH_BYTES, Head, Task, in_order
from hub.traffic.problems import Tally
from hub.traffic.source import Source

_MAGIC: Final = b"PAR1"
_FOOTER_BYTES: Final = 64 << 20
_COLUMNS: Final = 10_000
_PAGE_HEADER: Final = 16
_DICTIONARY_PAGE: Final = 2
_EXPANDED_BYTES: Final = 256 << 20
"""The most that one step of reading may expand to."""


def _open(source: Source) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(
            source.path,
            thrift_string_size_limit=_FOOTER_BYTES,
            thrift_container_size_limit=1_000_000,
            pre_buffer=False,
        )
        if len(file.schema_arrow.names) > _COLUMNS:
            raise InputError(f"more than {_COLUMNS} columns", where=str(source.path))
    except (pa.ArrowException, OSError) as error:
        raise InputError("not a whole Parquet file", where=str(source.path)) from error
    return file


@dataclass
class _Decoder:
    source: Source
    fields: dict[str, str]
    unused: tuple[str, ...]

    @property
    def columns(self) -> frozenset[str]:
        return frozenset(self.fields) | {"event_id"}

    def tasks(self, rows: int, tally: Tally, wanted: Collection[str]) -> Iterator[Task]:
        """One task for each piece."""
        return in_order(self.pieces(rows, tally, wanted))

    def pieces(self, rows: int, tally: Tally, wanted: Collection[str]) -> Iterator[Piece]:
        """Raw columns; a damaged row group is counted and left out."""
        self.source.read = 0
        used = {column: field for column, field in self.fields.items() if column in wanted}
        with _open(self.source) as file:
            groups = file.metadata.num_row_groups
            first = 1
            for number in range(groups):
                group = file.metadata.row_group(number)
                given = 0
                tally.glimpsed |= _shown(group, self.fields, self.fields.keys() - used.keys())
                try:
                    for piece in self._group(file, number, rows, first, used):
                        given += len(piece.lines)
                        yield piece
                except (pa.ArrowException, OSError):
                    lost = max(1, group.num_rows - given)
                    tally.rejects.broken(
                        first + given,
                        f"row group {number} is damaged",
                        "the others were read",
                        lost,
                    )
                first += max(0, group.num_rows)
                self.source.read = self.source.size * (number + 1) // groups

    def _group(
        self, file: pq.ParquetFile, number: int, rows: int, first: int, used: Mapping[str, str]
    ) -> Iterator[Piece]:
        group = file.metadata.row_group(number)
        each = max(1, group.total_byte_size // max(1, group.num_rows))
        size = max(1, min(rows, BATCH_BYTES // each))
        names = sorted(set(used.values()))
        step = max(1, min(size, _EXPANDED_BYTES // max(1, self._largest_dictionary(group, names))))
        held: list[pa.RecordBatch] = []
        count = weight = 0
        for batch in file.iter_batches(step, [number], names, use_threads=False):
            for part in _parts(batch):
                held.append(part)
                count += part.num_rows
                weight += part.nbytes
                if count + step > size or weight >= BATCH_BYTES:
                    yield _piece(held, first, used)
                    first += count
                    count = weight = 0
                    held = []
        if held:
            yield _piece(held, first, used)

    def _largest_dictionary(self, group: pq.RowGroupMetaData, wanted: Collection[str]) -> int:
        """Bytes of the largest dictionary among the columns that are read."""
        largest = 0
        with self.source.path.open("rb") as file:
            for number in range(group.num_columns):
                chunk = group.column(number)
                if chunk.path_in_schema.split(".")[0] in wanted:
                    starts = (chunk.dictionary_page_offset, chunk.data_page_offset)
                    file.seek(min(start for start in starts if start is not None))
                    size = _dictionary_size(file.read(_PAGE_HEADER))
                    largest = max(largest, chunk.total_uncompressed_size if size is None else size)
        return largest


def _piece(held: list[pa.RecordBatch], first: int, used: Mapping[str, str]) -> Piece:
    lines = np.arange(first, first + sum(b.num_rows for b in held), dtype=np.int64)
    return Piece(
        {
            column: pa.concat_arrays([batch.column(field) for batch in held])
            for column, field in used.items()
        },
        lines,
    )


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


def _dictionary_size(header: bytes) -> int | None:
    """The unpacked size of a dictionary page, 0 for a page of another kind, None if unreadable.

    A dictionary holds a long text once however many rows show it: a few kilobytes of file can
    stand for terabytes of text, and no figure of the footer says so.

    Source: Apache Parquet, PageHeader: field 1 `type`, field 2 `uncompressed_page_size`, both
    i32 in Thrift's compact protocol (0x15, then a zigzag varint).
    """
    fields: list[int] = []
    at = 0
    while len(fields) < 2:
        if header[at : at + 1] != b"\x15":
            return None
        value = shift = 0
        while True:
            at += 1
            if at >= len(header) or shift > 28:
                return None
            value |= (header[at] & 0x7F) << shift
            shift += 7
            if header[at] < 0x80:
                break
        fields.append((value >> 1) ^ -(value & 1))
        at += 1
    kind, size = fields
    return max(0, size) if kind == _DICTIONARY_PAGE else 0


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch so that its dictionaries, written out, stay within `BATCH_BYTES`."""
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
