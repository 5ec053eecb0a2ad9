"""Generic Parquet: columns named as TRAFFIC's or mapped; read by row groups, in small batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
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
_VALUE_BYTES: Final = 8 << 20


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

    @property
    def columns(self) -> frozenset[str]:
        return frozenset(self.fields) | {"event_id"}

    def pieces(self, rows: int, tally: Tally) -> Iterator[Piece]:
        """Raw columns; a damaged row group is counted and left out."""
        self.source.read = 0
        with _open(self.source) as file:
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
            lines = np.arange(first, first + batch.num_rows, dtype=np.int64)
            first += batch.num_rows
            yield Piece({c: batch.column(f) for c, f in self.fields.items()}, lines)


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
            fields = generic.resolve(head.mapping, file.schema_arrow.names, str(source.path))
        return _Decoder(source, fields)


FORMAT: Final = _Parquet()
