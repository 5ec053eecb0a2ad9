"""The reader of one log file: TRAFFIC batches out, and an account of what was left out."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa

from hub.match.schema import TRAFFIC_SCHEMA
from hub.traffic.assemble import assemble
from hub.traffic.decode import Decoder
from hub.traffic.problems import EXAMPLES, Problems, Tally
from hub.traffic.source import Source

BATCH_ROWS: Final = 16_384
"""Rows of a batch; more gain no speed, and hold more Python objects at once."""
_ALWAYS: Final = ("observed_at", "event_id")


class LogReader:
    """Streams one log file in bounded memory; made by `hub.traffic.formats.open_log`.

    Attributes:
        path, format_name: the file and the format it is read as.
        tally: what was left out; the properties below show its parts.
        seen: non-null values per TRAFFIC column, so far.
        rows: rows given out so far.
    """

    def __init__(
        self, source: Source, decoder: Decoder, format_name: str, *, examples: int = EXAMPLES
    ) -> None:
        self.format_name = format_name
        self.tally = Tally.showing(examples)
        self._examples = examples
        self.seen: dict[str, int] = {}
        self.rows = 0
        self._source = source
        self._decoder = decoder

    @property
    def path(self) -> Path:
        """The file."""
        return self._source.path

    @property
    def columns(self) -> frozenset[str]:
        """TRAFFIC columns that this format can show."""
        return self._decoder.columns

    @property
    def unused(self) -> tuple[str, ...]:
        """Fields of a generic format that fill no column: perhaps `--map` should name them."""
        return self._decoder.unused

    @property
    def rejects(self) -> Problems:
        """Lines that gave no row: malformed, too long, without a usable time."""
        return self.tally.rejects

    @property
    def damage(self) -> str | None:
        """What is wrong with the file itself, so that an unknown part of it was not read."""
        return self.tally.rejects.damage

    @property
    def field_problems(self) -> Problems:
        """Fields of kept rows that were set to null, such as a bad address."""
        return self.tally.field_problems

    @property
    def skipped(self) -> int:
        """Well-formed records that describe no exchange, such as foreign spans."""
        return self.tally.skipped

    @property
    def naive_times(self) -> int:
        """Rows whose time named no zone and was read as UTC."""
        return self.tally.naive_times

    @property
    def bytes_total(self) -> int:
        """Size of the file as stored (compressed)."""
        return self._source.size

    @property
    def bytes_read(self) -> int:
        """Bytes of the file consumed, for progress."""
        return self._source.read

    @property
    def glimpsed(self) -> frozenset[str]:
        """Columns that were not asked for, of which some value was seen."""
        return frozenset(self.tally.glimpsed)

    def batches(
        self, rows: int = BATCH_ROWS, columns: Collection[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Give TRAFFIC_SCHEMA batches of at most `rows` rows and about 64 MiB of log.

        A damaged line, record or end of stream is counted in `rejects`, never raised. Each call
        begins anew at the file's start, with new counts.

        Args:
            columns: the columns that are needed, beside time and id; others come as null.
        Raises:
            InputError: the disk fails, or the file was exchanged for one that is no log.
        """
        self.tally = Tally.showing(self._examples)
        self.seen = {}
        self.rows = 0
        wanted = TRAFFIC_SCHEMA.names if columns is None else {*_ALWAYS, *columns}
        for piece in self._decoder.pieces(rows, self.tally, wanted):
            batch = assemble(piece, self.tally, self.path.name)
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                shown = len(column) - column.null_count
                if shown:
                    self.seen[name] = self.seen.get(name, 0) + shown
            self.rows += batch.num_rows
            if batch.num_rows:
                yield batch
