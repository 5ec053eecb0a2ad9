"""Generic Parquet: columns named as TRAFFIC's or mapped; read by row groups, in small batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hub.errors import InputError
from hub.traffic import generic
from hub.traffic.assemble import Piece
from hub.traffic.decode import BATCH_BYTES, Head
from hub.traffic.problems import Tally
from hub.traffic.source import Source

_MAGIC: Final = b"PAR1"
_FOOTER_BYTES: Final = 64 << 20
_COLUMNS: Final = 10_000


def _open(source: Source, dictionaries: Sequence[str] = ()) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(
            source.path,
            read_dictionary=list(dictionaries),
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
    texts: list[str]

    @property
    def columns(self) -> frozenset[str]:
        return frozenset(self.fields) | {"event_id"}

    def pieces(self, rows: int, tally: Tally) -> Iterator[Piece]:
        """Raw columns; a damaged row group is counted and left out."""
        self.source.read = 0
        with _open(self.source, self.texts) as file:
            groups = file.metadata.num_row_groups
            first = 1
            for number in range(groups):
                group = file.metadata.row_group(number)
                try:
                    yield from self._group(file, number, rows, first)
                except (pa.ArrowException, OSError):
                    tally.rejects.add(
                        first, f"row group {number} is damaged", max(1, group.num_rows)
                    )
                first += max(0, group.num_rows)
                self.source.read = self.source.size * (number + 1) // groups

    def _group(self, file: pq.ParquetFile, number: int, rows: int, first: int) -> Iterator[Piece]:
        group = file.metadata.row_group(number)
        each = max(1, group.total_byte_size // max(1, group.num_rows))
        size = max(1, min(rows, BATCH_BYTES // each))
        names = sorted(set(self.fields.values()))
        for batch in file.iter_batches(size, [number], names, use_threads=False):
            for part in _parts(batch):
                lines = np.arange(first, first + part.num_rows, dtype=np.int64)
                first += part.num_rows
                yield Piece({c: part.column(f) for c, f in self.fields.items()}, lines)


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch so that its texts, written out, stay within `BATCH_BYTES`.

    A dictionary holds a long text once however many rows show it: a few kilobytes of file can
    stand for terabytes of text.
    """
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
        yield batch.slice(start, stop - start)
        start = stop


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
            texts = [name for name in set(fields.values()) if _is_text(schema.field(name).type)]
        return _Decoder(source, fields, texts)


FORMAT: Final = _Parquet()
