"""Writes exchanges to the Parquet files of an event store, one for each day."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hub.errors import StoreError
from hub.hunt.catalogue import Part
from hub.hunt.compact import compact, stored_schema
from hub.match.schema import STORED_FEATURES

EVENTS: Final = "events"
"""The folder of the files, below the store."""
DAY_US: Final = 86_400_000_000
_OPEN_FILES: Final = 64
_HELD_ROWS: Final = 262_144
_GROUP_ROWS: Final = 131_072
# Values that repeat gain by a dictionary; of hashes and ids it would only cost.
_PLAIN: Final = frozenset(
    {"observed_at", "event_id", "prompt", "input_tokens", "output_tokens"}
    | {field.name for field in STORED_FEATURES.values()}
)


class PartWriter:
    """Writes the files of one log, one for each day; they count once the catalogue names them."""

    def __init__(self, store: Path, source: str, generation: int, *, texts: bool) -> None:
        self.parts: list[Part] = []
        self._store = store
        self._source = source
        self._generation = generation
        self._texts = texts
        self._held = 0
        self._open: dict[int, _DayFile] = {}

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        for day in list(self._open):
            self._finish(day, whole=kind is None)

    def write(self, events: pa.RecordBatch) -> None:
        """Add exchanges, TRAFFIC_SCHEMA."""
        if events.num_rows:
            self.write_stored(compact(events, texts=self._texts))

    def write_stored(self, events: pa.RecordBatch) -> None:
        """Add exchanges as the store holds them."""
        days = events.column("observed_at").cast(pa.int64()).to_numpy() // DAY_US
        for day in np.unique(days).tolist():
            of_day = events if (days == day).all() else events.filter(pa.array(days == day))
            if day not in self._open and len(self._open) >= _OPEN_FILES:
                self._finish(next(iter(self._open)), whole=True)
            if day not in self._open:
                self._open[day] = _DayFile(self._store, day, stored_schema(texts=self._texts))
            self._open[day].write(of_day)
        self._held += events.num_rows
        if self._held >= _HELD_ROWS:
            for file in self._open.values():
                file.flush()
            self._held = 0

    def _finish(self, day: int, *, whole: bool) -> None:
        file = self._open.pop(day)
        file.close()
        if whole:
            self.parts.append(file.part(self._source, self._generation))


class _DayFile:
    """A Parquet file that is being written."""

    def __init__(self, store: Path, day: int, schema: pa.Schema) -> None:
        name = datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")
        self._file = f"{EVENTS}/{name}/{secrets.token_hex(8)}.parquet"
        self._path = store / self._file
        self._rows = 0
        self._first, self._last = 2**62, -(2**62)
        self._held: list[pa.RecordBatch] = []
        self._filled: set[str] = set()
        with _disk(self._path):
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            self._out = os.fdopen(descriptor, "wb")
            self._writer: Any = pq.ParquetWriter(
                self._out,
                schema,
                compression="zstd",
                use_dictionary=[name for name in schema.names if name not in _PLAIN],
            )

    def write(self, events: pa.RecordBatch) -> None:
        """Hold exchanges of the day until the next flush."""
        times = pc.min_max(events.column("observed_at").cast(pa.int64())).as_py()
        self._first = min(self._first, times["min"])
        self._last = max(self._last, times["max"])
        self._rows += events.num_rows
        self._filled |= {
            name
            for name, column in zip(events.schema.names, events.columns, strict=True)
            if column.null_count < len(column)
        }
        self._held.append(events)

    def flush(self) -> None:
        """Write what is held as a row group."""
        if self._held:
            with _disk(self._path):
                self._writer.write_table(
                    pa.Table.from_batches(self._held), row_group_size=_GROUP_ROWS
                )
            self._held = []

    def close(self) -> None:
        """Write what is held, and make it last."""
        try:
            self.flush()
        finally:
            with _disk(self._path), self._out:
                self._writer.close()
                self._out.flush()
                os.fsync(self._out.fileno())

    def part(self, source: str, generation: int) -> Part:
        """What the catalogue says of the file."""
        return Part(
            file=self._file,
            source=source,
            rows=self._rows,
            bytes=self._path.stat().st_size,
            first=self._first,
            last=self._last,
            generation=generation,
            columns=tuple(sorted(self._filled)),
        )


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot be written: {error.strerror or 'I/O error'}",
            where=str(path),
            hint="free some space, or keep fewer days: stillwatch hunt add --days N",
        ) from error
