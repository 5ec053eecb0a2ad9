"""The match file: Parquet or JSON lines with MATCH_SCHEMA's names, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from hub.errors import InputError, StoreError
from hub.match.schema import MATCH_SCHEMA

_SUFFIXES: Final = (".parquet", ".jsonl")


class MatchSink(Protocol):
    """Takes matches batch by batch."""

    def write(self, matches: pa.Table) -> None:
        """Add MATCH_SCHEMA rows.

        Raises:
            StoreError: the disk fails or is full.
        """
        ...

    def close(self) -> None:
        """Write what is still held."""
        ...


class _Nothing:
    def write(self, matches: pa.Table) -> None:
        """Drop them: only the report was asked for."""

    def close(self) -> None:
        """There is nothing to close."""


class _Parquet:
    def __init__(self, file: BinaryIO, where: str, schema: pa.Schema) -> None:
        self._where = where
        self._schema = schema
        with _disk(where):
            self._writer: Any = pq.ParquetWriter(file, schema, compression="zstd")

    def write(self, matches: pa.Table) -> None:
        with _disk(self._where):
            self._writer.write_table(matches.cast(self._schema))

    def close(self) -> None:
        with _disk(self._where):
            self._writer.close()


class _Jsonl:
    def __init__(self, file: BinaryIO, where: str, schema: pa.Schema) -> None:
        self._file = file
        self._where = where
        self._times = [one.name for one in schema if pa.types.is_timestamp(one.type)]
        self._encoder = msgspec.json.Encoder()

    def write(self, matches: pa.Table) -> None:
        for batch in matches.to_batches():
            rows = batch.to_pylist()
            for row in rows:
                for name in self._times:
                    row[name] = iso(row[name])
            with _disk(self._where):
                self._file.write(self._encoder.encode_lines(rows))

    def close(self) -> None:
        with _disk(self._where):
            self._file.flush()


def iso(moment: datetime) -> str:
    """A UTC time as STIX writes it, to the microsecond."""
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


@contextlib.contextmanager
def _disk(where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write matches: {error.strerror or 'I/O error'}",
            where=where,
            hint="free some space, or name another folder",
        ) from error


def check_output(path: Path | None) -> None:
    """Refuse an output that cannot be written, before any log is read.

    Raises:
        InputError: its name ends in neither .parquet nor .jsonl, or its folder is not there.
    """
    if path is None:
        return
    if path.suffix not in _SUFFIXES:
        raise InputError("the name must end in .parquet or .jsonl", where=f"--out {path}")
    if not path.parent.is_dir():
        raise InputError("no such folder", where=f"--out {path.parent}")


@contextlib.contextmanager
def match_sink(path: Path | None, schema: pa.Schema = MATCH_SCHEMA) -> Iterator[MatchSink]:
    """A sink for matches, or for rows of another schema.

    The file appears under its name only when the block ends well. It is readable by its owner
    alone: matches name customers.

    Raises:
        StoreError: the disk fails or is full; nothing is left behind.
    """
    if path is None:
        yield _Nothing()
        return
    where = str(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with _disk(where):
            descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            kind = _Parquet if path.suffix == ".parquet" else _Jsonl
            sink = kind(file, where, schema)
            try:
                yield sink
            except BaseException:
                with contextlib.suppress(StoreError):
                    sink.close()
                raise
            sink.close()
            with _disk(where):
                file.flush()
                os.fsync(file.fileno())
        with _disk(where):
            part.replace(path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
