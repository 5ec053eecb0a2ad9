"""The event store: exchanges of the last days in Parquet files by day, on the subscriber's disk.

One process at a time works with a store. Adding a log is all or nothing, and adding it again adds
only what is new in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hub.errors import ConflictError, InputError, StoreError
from hub.hunt import catalogue as catalogues
from hub.hunt.catalogue import Catalogue, Log, Part
from hub.hunt.compact import stored_schema
from hub.hunt.writer import DAY_US, EVENTS, PartWriter
from hub.traffic.reader import LogReader
from hub.traffic.source import Source

DAYS: Final = 30
"""How long exchanges are kept unless the operator says otherwise."""
MAX_DAYS: Final = 3650
_LOCK: Final = "lock"
_HEAD_BYTES: Final = 64 << 10
_BATCH_ROWS: Final = 65_536
_WAIT_S: Final = 10.0
_POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Added:
    """What adding one log did.

    Attributes:
        rows: exchanges that are new in the store.
        known: exchanges of the log that had been added before.
        expired: exchanges older than the store keeps.
    """

    rows: int
    known: int
    expired: int


class EventStore:
    """An event store on disk; make one with `create` or `open`, and work with it `locked`."""

    def __init__(self, path: Path, catalogue: Catalogue) -> None:
        self.path = path
        self.catalogue = catalogue

    @classmethod
    def exists(cls, path: Path) -> bool:
        """Whether an event store was made at that place."""
        return (path / catalogues.FILE).is_file()

    @classmethod
    def create(cls, path: Path, *, days: int = DAYS, texts: bool = False) -> EventStore:
        """Make an empty store.

        Args:
            path: a folder that is not there yet, or empty.
            days: how long exchanges are kept.
            texts: keep prompts as text, not only as hashes and bands.
        Raises:
            ConflictError: a store is there already.
            InputError: the folder holds something else, or `days` is out of range.
            StoreError: the disk refuses.
        """
        if cls.exists(path):
            raise ConflictError("an event store is here already", where=str(path))
        _check_days(days)
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise InputError("the folder is not empty", where=str(path))
            path.chmod(0o700)
            (path / EVENTS).mkdir(mode=0o700)
        except OSError as error:
            raise StoreError(f"cannot be made: {error.strerror}", where=str(path)) from error
        catalogue = Catalogue(catalogues.FORMAT, days, texts)
        catalogues.save(path, catalogue)
        return cls(path, catalogue)

    @classmethod
    def open(cls, path: Path) -> EventStore:
        """Open an existing store.

        Raises:
            InputError: there is none.
            StoreError: it cannot be read.
        """
        return cls(path, catalogues.load(path))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store alone, with its present catalogue; sweep what a killed run left.

        Raises:
            ConflictError: another process holds it for longer than we wait.
        """
        descriptor = os.open(self.path / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            _acquire(descriptor, self.path)
            self.catalogue = catalogues.load(self.path)
            self._sweep()
            yield
        finally:
            os.close(descriptor)

    def _sweep(self) -> None:
        named = {self.path / part.file for part in self.catalogue.parts}
        for file in (self.path / EVENTS).rglob("*"):
            if file.is_file() and file not in named:
                file.unlink(missing_ok=True)

    def keep_days(self, days: int) -> None:
        """Change how long exchanges are kept; `expire` then drops what is too old."""
        _check_days(days)
        self._save(msgspec.structs.replace(self.catalogue, days=days))

    def _save(self, catalogue: Catalogue) -> None:
        catalogues.save(self.path, catalogue)
        self.catalogue = catalogue

    def add(
        self,
        reader: LogReader,
        source: str,
        *,
        now: datetime,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Added:
        """Add the exchanges of a log; the caller holds the lock.

        Args:
            source: the log's name in matches.
            progress: takes the bytes of the log done so far.
        Raises:
            InputError: the log cannot be read.
            StoreError: the disk fails or is full; the store is as before.
        """
        before, head, size = self._known(reader.path)
        stat = reader.path.stat()
        if before is not None and (before.bytes, before.modified) == (
            stat.st_size,
            stat.st_mtime_ns,
        ):
            progress(stat.st_size)
            return Added(0, before.rows, 0)
        skip = 0 if before is None else before.rows
        oldest = _micros(now) - self.catalogue.days * DAY_US
        generation = self.catalogue.generation + 1
        writer = PartWriter(self.path, source, generation, texts=self.catalogue.texts)
        expired = 0
        with writer:
            for batch in reader.batches():
                progress(reader.bytes_read)
                new = batch.slice(min(skip, batch.num_rows))
                skip -= batch.num_rows - new.num_rows
                kept = new.filter(
                    pc.greater_equal(new.column("observed_at").cast(pa.int64()), oldest)
                )
                expired += new.num_rows - kept.num_rows
                writer.write(kept)
        log = Log(head, size, reader.rows, stat.st_size, stat.st_mtime_ns)
        self._save(
            msgspec.structs.replace(
                self.catalogue,
                generation=generation,
                parts=(*self.catalogue.parts, *writer.parts),
                logs=(*(one for one in self.catalogue.logs if one is not before), log),
            )
        )
        rows = sum(part.rows for part in writer.parts)
        return Added(rows, reader.rows - rows - expired, expired)

    def _known(self, path: Path) -> tuple[Log | None, str, int]:
        """The log as it was added before, and how it begins now: digest and length."""
        head = Source(path).head(_HEAD_BYTES)
        digests: dict[int, str] = {}
        found = None
        for log in self.catalogue.logs:
            if log.head_bytes <= len(head):
                if log.head_bytes not in digests:
                    digests[log.head_bytes] = _digest(head[: log.head_bytes])
                if digests[log.head_bytes] == log.head:
                    found = log if found is None or log.rows > found.rows else found
        return found, _digest(head), len(head)

    def parts(self, *, after: int = 0) -> list[Part]:
        """The files that came after a generation, by their first exchange."""
        found = [part for part in self.catalogue.parts if part.generation > after]
        return sorted(found, key=lambda part: (part.first, part.file))

    def read(self, part: Part, columns: Collection[str]) -> Iterator[pa.RecordBatch]:
        """The exchanges of one file, in batches, as they are stored: see `compact.expanded`.

        Args:
            columns: which of `stored_schema`; others are left out.
        Raises:
            StoreError: the file is damaged or gone.
        """
        path = self.path / part.file
        try:
            with pq.ParquetFile(path) as file:
                names = [name for name in file.schema_arrow.names if name in columns]
                yield from file.iter_batches(_BATCH_ROWS, columns=names, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise StoreError(
                "a file of the event store is damaged",
                where=part.file,
                hint="stillwatch hunt forget --before TIME drops it; a new --store takes all again",
            ) from error

    def expire(self, now: datetime) -> int:
        """Drop exchanges that are older than the store keeps; the caller holds the lock.

        Files are dropped whole, when their newest exchange is too old.

        Returns:
            How many exchanges were dropped.
        """
        return self.drop_before(_micros(now) - self.catalogue.days * DAY_US)

    def drop_before(self, moment: int) -> int:
        """Drop the files that end before a moment (microseconds since 1970); as `expire`."""
        gone = [part for part in self.catalogue.parts if part.last < moment]
        if gone:
            dropped = set(gone)
            kept = tuple(part for part in self.catalogue.parts if part not in dropped)
            self._save(msgspec.structs.replace(self.catalogue, parts=kept))
            self._sweep()
        return sum(part.rows for part in gone)

    def forget(self, accounts: Collection[str]) -> int:
        """Drop every exchange of some accounts; the caller holds the lock.

        Returns:
            How many exchanges were dropped.
        """
        wanted = pa.array(sorted(accounts), pa.string())
        texts = self.catalogue.texts
        parts: list[Part] = []
        forgotten = 0
        for part in self.catalogue.parts:
            hit = sum(
                int(pc.sum(pc.is_in(batch.column(0), wanted)).as_py() or 0)
                for batch in self.read(part, {"account_id"})
            )
            if not hit:
                parts.append(part)
                continue
            forgotten += hit
            with PartWriter(self.path, part.source, part.generation, texts=texts) as writer:
                for batch in self.read(part, stored_schema(texts=texts).names):
                    other = pc.invert(pc.is_in(batch.column("account_id"), wanted))
                    writer.write_stored(batch.filter(other))
            parts += writer.parts
        if forgotten:
            self._save(msgspec.structs.replace(self.catalogue, parts=tuple(parts)))
            self._sweep()
        return forgotten


def _check_days(days: int) -> None:
    if not 1 <= days <= MAX_DAYS:
        raise InputError(f"exchanges are kept for 1 to {MAX_DAYS} days")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def _acquire(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise ConflictError(
                    "another stillwatch process works with this event store", where=str(path)
                ) from None
            time.sleep(_POLL_S)
        else:
            return
