"""A custodian's folder: who it is, the key that seals its secrets, and its database.

Nothing here knows of a second custodian: two custodians are two folders of two operators.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from hub.channel.primitives import rest
from hub.channel.primitives.hash import label
from hub.errors import AccessError, ConflictError, InputError, StoreError, VerificationError

DATABASE: Final = "custodian.db"
KEY_FILE: Final = "sealing.key"
WRAPPED_FILE: Final = "sealing.wrapped"
_CONTEXT: Final = label("custodian sealing key")
_MAX_FILE: Final = 4_096
_KEY_SIZE: Final = 32
_VERSION: Final = 1
_TABLES: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    """
    CREATE TABLE channel (
      channel_id TEXT PRIMARY KEY, owner_roots TEXT NOT NULL, trusted BLOB,
      revision INTEGER NOT NULL, added_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE evaluation_key (
      channel_id TEXT NOT NULL, key_id TEXT NOT NULL, public_key BLOB NOT NULL, sealed BLOB,
      created INTEGER NOT NULL, expires INTEGER NOT NULL, destroyed_at INTEGER,
      PRIMARY KEY (channel_id, key_id)
    ) STRICT
    """,
    """
    CREATE TABLE rule (
      channel_id TEXT NOT NULL, member TEXT NOT NULL, day INTEGER NOT NULL, burst INTEGER NOT NULL,
      PRIMARY KEY (channel_id, member)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE usage (
      channel_id TEXT NOT NULL, member TEXT NOT NULL, day_start INTEGER NOT NULL,
      used INTEGER NOT NULL, spent INTEGER NOT NULL, at INTEGER NOT NULL,
      noted_day INTEGER NOT NULL, PRIMARY KEY (channel_id, member)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE nonce (
      nonce TEXT PRIMARY KEY, ts INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX nonce_ts ON nonce (ts)",
    """
    CREATE TABLE audit (
      position INTEGER PRIMARY KEY, row BLOB NOT NULL, hash TEXT NOT NULL
    ) STRICT
    """,
)


@dataclass(frozen=True)
class Unlock:
    """How the sealing key is reached: by a passphrase, or by a key file in the folder.

    Args:
        passphrase: None for the key file.
    """

    passphrase: str | None = None


class Folder:
    """An opened folder; one thread uses it at a time.

    Args:
        path: the folder.
        database: its connection, in autocommit.
        sealing_key: 32 bytes; None where only what is public is needed.
    """

    def __init__(self, path: Path, database: sqlite3.Connection, sealing_key: bytes | None) -> None:
        self.path = path
        self._db = database
        self._sealing_key = sealing_key
        self.custodian_id = self.meta("id")
        self.url = self.meta("url")

    @classmethod
    def create(cls, path: Path, custodian_id: str, url: str, unlock: Unlock) -> Self:
        """Make a folder of mode 0700 for a new custodian.

        Raises:
            ConflictError: one is there.
            StoreError: the disk refuses.
        """
        if (path / DATABASE).exists():
            raise ConflictError("a custodian is already here", where=str(path))
        key = rest.new_key()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
            if unlock.passphrase is None:
                _write(path / KEY_FILE, key.hex().encode() + b"\n")
            else:
                wrapped = rest.wrap_with_passphrase(key, unlock.passphrase, context=_CONTEXT)
                _write(path / WRAPPED_FILE, wrapped)
            os.close(os.open(path / DATABASE, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except OSError as error:
            raise StoreError(f"cannot be made: {error.strerror}", where=str(path)) from error
        database = _connect(path)
        with _wrapped(path):
            database.execute("BEGIN IMMEDIATE")
            for table in _TABLES:
                database.execute(table)
            values = [("id", custodian_id), ("url", url)]
            database.executemany("INSERT INTO meta VALUES (?,?)", values)
            database.execute(f"PRAGMA user_version={_VERSION}")
            database.execute("COMMIT")
        return cls(path, database, key)

    @classmethod
    def open(cls, path: Path, unlock: Unlock | None) -> Self:
        """Open a folder.

        Args:
            path: the folder.
            unlock: None where only what is public is needed.
        Raises:
            InputError: no custodian is there.
            AccessError: the sealing key does not open, or others can read it.
            StoreError: the disk refuses, or a newer release made it.
        """
        if not (path / DATABASE).is_file():
            raise InputError(
                "there is no custodian here", where=str(path), hint="stillwatch custodian init"
            )
        key = None if unlock is None else _sealing_key(path, unlock)
        database = _connect(path)
        with _wrapped(path):
            version = int(database.execute("PRAGMA user_version").fetchone()[0])
        if version != _VERSION:
            database.close()
            raise StoreError(f"has version {version}, not {_VERSION}", where=str(path))
        return cls(path, database, key)

    @staticmethod
    def has_key_file(path: Path) -> bool:
        """Whether the folder opens without a passphrase."""
        return (path / KEY_FILE).is_file()

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    # -- secrets ---------------------------------------------------------------------------------

    def seal(self, secret: bytes, context: bytes) -> bytes:
        """Encrypt a secret for the database."""
        return rest.wrap_with_key(secret, self._need_key(), context=context)

    def unseal(self, sealed: bytes, context: bytes) -> bytes:
        """What `seal` was given.

        Raises:
            StoreError: it was altered, or sealed in another folder.
        """
        try:
            return rest.unwrap_with_key(sealed, self._need_key(), context=context)
        except (InputError, VerificationError) as error:
            raise StoreError("a sealed key does not open", where=str(self.path)) from error

    def _need_key(self) -> bytes:
        if self._sealing_key is None:
            raise AccessError("the custodian's folder was opened without its key")
        return self._sealing_key

    # -- database --------------------------------------------------------------------------------

    def run(self, sql: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        """One statement.

        Raises:
            StoreError: the database failed.
        """
        with _wrapped(self.path):
            return self._db.execute(sql, values)

    def rows(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """Every row of a query.

        Raises:
            StoreError: the database failed.
        """
        with _wrapped(self.path):
            return self._db.execute(sql, values).fetchall()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is stored, durably, or nothing of it.

        Raises:
            StoreError: the database failed.
        """
        with _wrapped(self.path):
            self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            with _wrapped(self.path):
                self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def vacuum(self) -> None:
        """Write the database anew, without the pages that nobody uses any more."""
        self.run("VACUUM")

    def meta(self, name: str) -> str:
        """A setting.

        Raises:
            StoreError: it is not there.
        """
        found = self.rows("SELECT value FROM meta WHERE name=?", (name,))
        if not found:
            raise StoreError(f"has no {name}", where=str(self.path))
        return str(found[0][0])


def _connect(path: Path) -> sqlite3.Connection:
    uri = f"{(path / DATABASE).absolute().as_uri()}?mode=rw"
    with _wrapped(path):
        # The service makes the connection in one thread and uses it in another, never in both.
        database = sqlite3.connect(
            uri, uri=True, isolation_level=None, timeout=30.0, check_same_thread=False
        )
        # No write-ahead log: it would keep what was overwritten. What is deleted becomes zeros.
        database.execute("PRAGMA journal_mode=TRUNCATE")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("PRAGMA secure_delete=ON")
    return database


@contextlib.contextmanager
def _wrapped(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"the database failed: {error}", where=str(path)) from error


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sealing_key(path: Path, unlock: Unlock) -> bytes:
    name = KEY_FILE if unlock.passphrase is None else WRAPPED_FILE
    try:
        file = path / name
        if file.stat().st_mode & 0o077:
            raise AccessError(
                "can be read by other accounts", where=str(file), hint=f"chmod 600 {file}"
            )
        content = file.read_bytes()[:_MAX_FILE]
    except OSError as error:
        raise AccessError(
            f"cannot be read: {error.strerror}",
            where=str(path / name),
            hint="--passphrase-file FILE" if unlock.passphrase is None else None,
        ) from error
    try:
        if unlock.passphrase is None:
            key = bytes.fromhex(content.decode("ascii").strip())
        else:
            key = rest.unwrap_with_passphrase(content, unlock.passphrase, context=_CONTEXT)
    except (ValueError, InputError, VerificationError):
        # The cause might quote what was typed.
        raise AccessError("the sealing key does not open", where=str(path / name)) from None
    if len(key) != _KEY_SIZE:
        raise AccessError("the sealing key is damaged", where=str(path / name))
    return key
