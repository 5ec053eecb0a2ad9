"""`Store` on one SQLite file, put together."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from hub.store.accounts import Accounts
from hub.store.breakglass import BreakGlasses
from hub.store.clock import GuardedClock, steady_seconds, wall_micros
from hub.store.collections import Collections
from hub.store.contents import Contents
from hub.store.interface import Hints
from hub.store.keys import key_path, read_key
from hub.store.logins import Logins
from hub.store.members import Members
from hub.store.sqlite.copying import copy_database
from hub.store.sqlite.database import SqliteDatabase


class SqliteStore(Contents, Collections, Accounts, Members, Logins, BreakGlasses):
    """`hub.store.interface.Store` on one SQLite file. Open it with `SqliteStore.open`."""

    remote = False
    _database: SqliteDatabase

    def __init__(self, database: SqliteDatabase, clock: GuardedClock, epoch: str) -> None:
        self._database = database
        self._clock = clock
        self._keys: dict[str, int] = {}
        self._logged: dict[str, bool] = {}
        self.epoch = epoch

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        clock: Callable[[], int] = wall_micros,
        steady: Callable[[], float] = steady_seconds,
    ) -> SqliteStore:
        """Open or create a database, migrating its schema to the newest.

        Beside it lies `<name>.token-key`, mode 0600, the key of the token hashes: made when the
        database is, and needed again to know the tokens.

        Args:
            path: the database file; its folder is made (mode 0700) when absent.
            clock: wall clock in microseconds UTC.
            steady: a clock that nobody sets, in seconds.
        Raises:
            StoreError: no database, one from a newer release, a failing disk, no token key.
        """
        database = SqliteDatabase.open(path)
        row = database.row("SELECT value FROM meta WHERE name = 'epoch'")
        return cls(database, GuardedClock(clock, steady), str(row[0]))

    def hints(self) -> Hints | None:
        """See `HintStore.hints`: heads are asked for instead, in microseconds."""
        return None

    def changes(self) -> int:
        """See `Store.changes`."""
        return self._database.changes()

    def ping(self) -> None:
        """See `Store.ping`."""
        self._database.row("SELECT value FROM meta WHERE name = 'epoch'")

    def backup(self, path: Path) -> None:
        """See `Store.backup`; the token key is copied beside it."""
        copy_database(self._database.path, path, self._database.token_key)

    def close(self) -> None:
        """See `Store.close`."""
        self._database.close()


def restore(backup: Path, path: Path) -> None:
    """Put a backup, and its token key, in place of an absent database, with a new epoch.

    Cursors given out before are refused afterwards, so that clients resync.

    Raises:
        StoreError: `path` exists, or the backup is missing or damaged.
    """
    copy_database(backup, path, read_key(key_path(backup)), epoch=secrets.token_hex(8))
