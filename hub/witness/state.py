"""What a witness remembers, in one SQLite file: its name, its logs, and how far it cosigned each.

A witness that forgets may cosign a second history. So a log that is removed and added again is
gone on with, and the file must not be put back from a copy: make a new witness instead.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hub.channel.log.note import KeyType, parse_key
from hub.channel.log.tree import EMPTY_ROOT
from hub.errors import ConflictError, InputError, StoreError

MAX_REFUSED: Final = 100
"""Contradicting checkpoints that are kept for each log, newest first."""

_VERSION: Final = 1
_BUSY_SECONDS: Final = 10.0
_SCHEMA: Final = """
CREATE TABLE witness (name TEXT NOT NULL);
CREATE TABLE log (
    origin TEXT PRIMARY KEY,
    verifier_key TEXT NOT NULL,
    active INTEGER NOT NULL,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    checkpoint TEXT,
    cosigned INTEGER
);
CREATE TABLE refused (
    number INTEGER PRIMARY KEY,
    origin TEXT NOT NULL REFERENCES log (origin),
    time INTEGER NOT NULL,
    checkpoint TEXT NOT NULL,
    UNIQUE (origin, checkpoint)
);
"""
_LOG: Final = "SELECT origin, verifier_key, active, size, root, checkpoint, cosigned FROM log"


@dataclass(frozen=True, slots=True)
class Log:
    """One log and the last checkpoint of it that was cosigned.

    Args:
        origin: its name.
        verifier_key: its key.
        active: whether checkpoints are taken.
        size: number of leaves, 0 before the first.
        root: root of the tree over them.
        checkpoint: the note, None before the first.
        cosigned: when, seconds UTC.
    """

    origin: str
    verifier_key: str
    active: bool
    size: int
    root: bytes
    checkpoint: str | None
    cosigned: int | None


class State:
    """See the module's text. Make one with `create`, else `open` it."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self.name = name
        self._connection = connection
        self._lock = threading.Lock()

    @classmethod
    def create(cls, path: Path, name: str) -> State:
        """A new file of mode 0600.

        Raises:
            ConflictError: there is one already.
            StoreError: it cannot be written.
        """
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError as error:
            raise ConflictError("there is a witness already", where=str(path)) from error
        except OSError as error:
            raise StoreError(f"cannot be made: {error.strerror}", where=str(path)) from error
        with _wrapped(path):
            connection = _connect(path)
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
            connection.execute("INSERT INTO witness (name) VALUES (?)", (name,))
        return cls(connection, name)

    @classmethod
    def open(cls, path: Path) -> State:
        """An existing file.

        Raises:
            StoreError: there is none: it must not be made anew; or it is of another release.
        """
        if not path.exists():
            raise StoreError(
                "the witness's memory is missing",
                where=str(path),
                hint="without it this witness must not sign again: make a new one with a new key",
            )
        with _wrapped(path):
            connection = _connect(path)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != _VERSION:
                connection.close()
                raise StoreError("was made by another release", where=str(path))
            row = connection.execute("SELECT name FROM witness").fetchone()
        if row is None:
            connection.close()
            raise StoreError("is not whole", where=str(path), hint="remove it and begin anew")
        return cls(connection, str(row[0]))

    def add_log(self, verifier_key: str) -> Log:
        """Take a log; one that was removed goes on where it was.

        Raises:
            InputError: not the verifier key of a log.
            ConflictError: the log is known with another key.
        """
        key = parse_key(verifier_key, KeyType.LOG)
        with self._transaction() as connection:
            known = connection.execute(f"{_LOG} WHERE origin = ?", (key.name,)).fetchone()
            if known is not None and known[1] != key.text:
                raise ConflictError("this log is known with another key", where=key.name)
            connection.execute(
                "INSERT INTO log (origin, verifier_key, active, size, root) VALUES (?, ?, 1, 0, ?)"
                " ON CONFLICT (origin) DO UPDATE SET active = 1",
                (key.name, key.text, EMPTY_ROOT),
            )
            row = connection.execute(f"{_LOG} WHERE origin = ?", (key.name,)).fetchone()
        return _log(row)

    def remove_log(self, origin: str) -> None:
        """Take no more checkpoints of a log; what was cosigned stays remembered.

        Raises:
            InputError: there is no such log.
        """
        with self._transaction() as connection:
            changed = connection.execute("UPDATE log SET active = 0 WHERE origin = ?", (origin,))
            if changed.rowcount != 1:
                raise InputError("there is no such log", where=origin)

    def logs(self) -> list[Log]:
        """All logs, by origin, also those that were removed."""
        return [_log(row) for row in self._rows(f"{_LOG} ORDER BY origin")]

    def log(self, origin: str) -> Log | None:
        """One log, unless it is unknown or was removed."""
        rows = self._rows(f"{_LOG} WHERE origin = ? AND active", (origin,))
        return _log(rows[0]) if rows else None

    def advance(self, seen: Log, size: int, root: bytes, checkpoint: str, now: int) -> bool:
        """Remember a checkpoint, if the log is still where the proof began; durable on return.

        Args:
            seen: the log as it was when the checkpoint was judged.
            size: of the checkpoint.
            root: likewise.
            checkpoint: the note.
            now: seconds UTC.
        Returns:
            Whether nobody else was faster; else nothing is changed.
        """
        with self._transaction() as connection:
            changed = connection.execute(
                "UPDATE log SET size = ?, root = ?, checkpoint = ?, cosigned = ?"
                " WHERE origin = ? AND active AND size = ? AND root = ?",
                (size, root, checkpoint, now, seen.origin, seen.size, seen.root),
            )
            return changed.rowcount == 1

    def refuse(self, origin: str, checkpoint: str, now: int) -> None:
        """Keep a checkpoint that its log signed and that contradicts what was cosigned."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO refused (origin, time, checkpoint) VALUES (?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (origin, now, checkpoint),
            )
            connection.execute(
                "DELETE FROM refused WHERE origin = ? AND number NOT IN (SELECT number FROM refused"
                " WHERE origin = ? ORDER BY number DESC LIMIT ?)",
                (origin, origin, MAX_REFUSED),
            )

    def refused(self, origin: str) -> list[str]:
        """The checkpoints that `refuse` kept, oldest first."""
        rows = self._rows(
            "SELECT checkpoint FROM refused WHERE origin = ? ORDER BY number", (origin,)
        )
        return [str(row[0]) for row in rows]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _rows(self, statement: str, values: tuple[object, ...] = ()) -> list[Any]:
        with self._lock, _wrapped():
            return self._connection.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _wrapped():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")


@contextlib.contextmanager
def _wrapped(path: Path | None = None) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        where = "witness.db" if path is None else str(path)
        raise StoreError(f"the witness's memory failed ({error})", where=where) from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode = WAL")
    # A cosignature that is out must not be forgotten in a power cut.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _log(row: Any) -> Log:
    return Log(row[0], row[1], bool(row[2]), *row[3:])
