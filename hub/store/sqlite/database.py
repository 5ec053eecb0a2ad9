"""One SQLite file: one writing connection, pooled readers, foreign errors wrapped."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from hub.errors import StoreAwayError, StoreError
from hub.store import migrations
from hub.store.keys import key_path, make_key, read_key
from hub.store.sql import Connection, Cursor, Dialect, Known, Serial, Values, replacement
from hub.store.sqlite.turns import Turns

BUSY_SECONDS: Final = 10.0
"""How long a writer waits for another process's transaction."""
TURN_SECONDS: Final = 5.0
"""How long it stands in line before that."""
_CHECKPOINT_PAGES: Final = 4000
_HINTS: Final[Mapping[int, tuple[str, str]]] = {
    sqlite3.SQLITE_FULL: ("the disk is full", "free space on the hub's disk; reading goes on"),
    sqlite3.SQLITE_IOERR: ("the disk failed", "look at the system log and the hub's disk"),
    sqlite3.SQLITE_READONLY: (
        "the database cannot be written",
        "look at the file's owner and mode, and whether the disk is mounted read-only",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "the database cannot be opened",
        "look at the folder's owner and mode",
    ),
    sqlite3.SQLITE_BUSY: ("another process keeps the database locked", "try again"),
    sqlite3.SQLITE_CORRUPT: ("the database is damaged", "restore the last backup"),
    sqlite3.SQLITE_NOTADB: ("the file is not a database", "look at the path given"),
}


def wrapped(error: sqlite3.Error, path: Path) -> StoreError:
    """Our error for one of SQLite's; the statement's values are not in it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    message, hint = _HINTS.get(code, (f"the database failed ({error})", "see the hub's log"))
    # Another process writes for longer than we wait: the same call may well succeed later.
    family = StoreAwayError if code == sqlite3.SQLITE_BUSY else StoreError
    return family(message, where=path.name, hint=hint)


_DIALECT: Final = Dialect(hints=True, arrays=False, streams=True)
_INSERT_ROWS: Final = 64
# Most objects that are posted are new, so which are not is asked for all of them at once.
_STORED: Final = (
    "SELECT wanted.key FROM json_each(?) AS wanted WHERE EXISTS"
    " (SELECT 1 FROM object INDEXED BY ux_object_version"
    " WHERE collection_key = ? AND object_id = wanted.value)"
)
_HIGHEST: Final = (
    "SELECT spec_version, version FROM object INDEXED BY ux_object_version"
    " WHERE collection_key = ? AND object_id = ?"
    " ORDER BY spec_version DESC, version DESC LIMIT 1"
)
_SAME: Final = (
    "SELECT date_added, version_text, body FROM object"
    " WHERE collection_key = ? AND object_id = ? AND spec_version = ? AND version = ?"
)
_HEAD: Final = "SELECT last_added FROM collection_head WHERE collection_key = ?"


@lru_cache(maxsize=256)
def _insertion(table: str, columns: tuple[str, ...], rows: int, replacing: str) -> str:
    marks = f"({', '.join('?' * len(columns))})"
    values = ", ".join([marks] * rows)
    end = replacement(columns, replacing)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values}{end}"


class SqliteConnection:
    """`sql.Connection` on one connection, between BEGIN IMMEDIATE and COMMIT."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Values = (), /) -> Cursor:
        """See `sql.Connection.execute`."""
        return self._connection.execute(statement, values)

    def many(self, statement: str, rows: Sequence[Sequence[Any]], /) -> None:
        """See `sql.Connection.many`."""
        self._connection.executemany(statement, rows)

    def insert(
        self,
        table: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        /,
        *,
        replacing: str = "",
    ) -> None:
        """See `sql.Connection.insert`."""
        # Each statement gives other threads a chance to run, and may then wait for them; so many
        # rows go into one.
        for first in range(0, len(rows), _INSERT_ROWS):
            part = rows[first : first + _INSERT_ROWS]
            statement = _insertion(table, tuple(columns), len(part), replacing)
            self._connection.execute(statement, [value for row in part for value in row])

    def lock_heads(self, keys: Sequence[int], /) -> dict[int, int | None]:
        """See `sql.Connection.lock_heads`; BEGIN IMMEDIATE has locked everything."""
        return {key: self._connection.execute(_HEAD, (key,)).fetchone()[0] for key in keys}

    def known(self, key: int, wanted: Sequence[tuple[str, str, int]], /) -> list[Known | None]:
        """See `sql.Connection.known`."""
        execute = self._connection.execute
        found: list[Known | None] = [None] * len(wanted)
        ids = json.dumps([object_id for object_id, _, _ in wanted])
        for (number,) in execute(_STORED, (ids, key)).fetchall():
            version = wanted[number]
            highest = execute(_HIGHEST, (key, version[0])).fetchone()
            found[number] = Known(highest, execute(_SAME, (key, *version)).fetchone())
        return found

    def announce(self, collection_ids: Iterable[str], /) -> None:
        """Nothing: who waits on SQLite asks for the heads."""


class SqliteDatabase:
    """Connections to one migrated database file. Make it with `SqliteDatabase.open`."""

    dialect = _DIALECT

    def __init__(
        self, path: Path, writer: sqlite3.Connection, turns: Turns, token_key: bytes
    ) -> None:
        self.path = path
        self._turns = turns
        self.token_key = token_key
        self._writer = writer
        self._write_lock = threading.RLock()
        self._idle: deque[sqlite3.Connection] = deque()
        self._all: list[sqlite3.Connection] = [writer]
        self._pool_lock = threading.Lock()
        self._changes_lock = threading.Lock()
        self._watching: sqlite3.Connection | None = None
        self._closed = False

    @classmethod
    def open(cls, path: Path) -> SqliteDatabase:
        """Open or create, and migrate. Raises StoreError."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = not path.exists()
            if new:
                # Made here so that nobody else's umask decides who may read it.
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            turns = Turns.beside(path, TURN_SECONDS)
        except OSError as error:
            raise StoreError(
                f"the database cannot be made ({error.strerror})",
                where=path.name,
                hint="look at the folder's owner and mode",
            ) from error
        writer: sqlite3.Connection | None = None
        try:
            token_key = _token_key(path)
            writer = connect(path)
            writer.execute("PRAGMA journal_mode = WAL")
            writer.execute("PRAGMA synchronous = FULL")
            writer.execute("PRAGMA foreign_keys = ON")
            writer.execute("PRAGMA secure_delete = ON")
            writer.execute("PRAGMA journal_size_limit = 67108864")
            # 16 MiB: pages of an index that many batches touch are then written once for them all.
            writer.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            if _revision(writer) != migrations.HEAD:
                _migrate(path)
            writer.execute(
                "INSERT INTO meta (name, value) VALUES ('epoch', ?) ON CONFLICT DO NOTHING",
                (secrets.token_hex(8),),
            )
        except (sqlite3.Error, StoreError) as error:
            turns.close()
            if writer is not None:
                writer.close()
            if isinstance(error, sqlite3.Error):
                raise wrapped(error, path) from error
            raise
        return cls(path, writer, turns, token_key)

    @contextlib.contextmanager
    def write(self, serial: Serial = Serial.RECORDS) -> Iterator[SqliteConnection]:
        """See `sql.Sql.write`."""
        with self._write_lock:
            self._check_open()
            with self._turns.taken():
                yield from self._transaction()

    def _transaction(self) -> Iterator[SqliteConnection]:
        connection = self._writer
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield SqliteConnection(connection)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise wrapped(error, self.path) from error
        finally:
            # Also for a COMMIT that failed: SQLite undoes some errors by itself, not all.
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def reading(self, statement: str, values: Values = ()) -> Iterator[Iterator[tuple[Any, ...]]]:
        """Run one reading statement; the block reads its tuples one by one."""
        connection = self._take()
        try:
            with contextlib.closing(connection.execute(statement, values)) as cursor:
                yield cursor
        except sqlite3.Error as error:
            raise wrapped(error, self.path) from error
        finally:
            self._idle.append(connection)

    def rows(self, statement: str, values: Values = ()) -> list[Any]:
        """Run one reading statement; tuples."""
        connection = self._take()
        try:
            return connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise wrapped(error, self.path) from error
        finally:
            self._idle.append(connection)

    def row(self, statement: str, values: Values = ()) -> Any:
        """The first tuple of a reading statement, or None."""
        found = self.rows(statement, values)
        return found[0] if found else None

    def changes(self) -> int:
        """A number that is another after any commit, of whatever process."""
        with self._changes_lock:
            if self._watching is None:
                # One that never writes: a connection does not count its own commits.
                self._watching = self._take()
            try:
                return int(self._watching.execute("PRAGMA data_version").fetchone()[0])
            except sqlite3.Error as error:
                raise wrapped(error, self.path) from error

    def lock_audit(self, connection: Connection) -> None:
        """Nothing: a write transaction has the whole file to itself."""

    def close(self) -> None:
        """Close every connection; again is fine. Nothing may be running."""
        with self._write_lock, self._pool_lock:
            self._closed = True
            self._watching = None
            self._idle.clear()
            for connection in reversed(self._all):
                connection.close()
            self._all.clear()
            self._turns.close()

    def _take(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            pass
        with self._pool_lock:
            self._check_open()
            try:
                connection = connect(self.path)
                connection.execute("PRAGMA query_only = ON")
            except sqlite3.Error as error:
                raise wrapped(error, self.path) from error
            self._all.append(connection)
            return connection

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the store is closed", where=self.path.name)


def _token_key(path: Path) -> bytes:
    # Only an empty database gets a new key: a lost one must not pass for a new one.
    if not key_path(path).exists() and path.stat().st_size == 0:
        with contextlib.suppress(FileExistsError):
            make_key(key_path(path))
    return read_key(key_path(path))


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode, for whoever needs one of his own."""
    connection = sqlite3.connect(
        path,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        # The pool hands a connection to one thread at a time.
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cache_size = -16000")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _revision(connection: sqlite3.Connection) -> str | None:
    known = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
    ).fetchone()
    if known is None:
        return None
    found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if found is None else str(found[0])


def file_revision(path: Path) -> str | None:
    """The schema's revision of a file, None when it has none. Raises StoreError."""
    if not path.exists():
        return None
    try:
        with contextlib.closing(connect(path)) as connection:
            return _revision(connection)
    except sqlite3.Error as error:
        raise wrapped(error, path) from error


def _migrate(path: Path) -> None:
    # Imported on use: a hub at the newest schema starts without SQLAlchemy and Alembic.
    from hub.store.migrate import upgrade_sqlite

    upgrade_sqlite(lambda: connect(path), path.name)
