"""`Store` on one PostgreSQL database, put together."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from hub.store.accounts import Accounts
from hub.store.breakglass import BreakGlasses
from hub.store.clock import GuardedClock, steady_seconds, wall_micros
from hub.store.collections import Collections
from hub.store.contents import Contents
from hub.store.interface import Hints
from hub.store.logins import Logins
from hub.store.members import Members
from hub.store.postgres.database import POOL_SIZE, PostgresDatabase
from hub.store.postgres.hints import listen


class PostgresStore(Contents, Collections, Accounts, Members, Logins, BreakGlasses):
    """`hub.store.interface.Store` on PostgreSQL. Open it with `hub.store.opening.open_store`."""

    remote = True
    _database: PostgresDatabase

    def __init__(
        self, database: PostgresDatabase, clock: GuardedClock, epoch: str, url: str
    ) -> None:
        self._database = database
        self._clock = clock
        self._url = url
        self._keys: dict[str, int] = {}
        self._logged: dict[str, bool] = {}
        self.epoch = epoch

    @classmethod
    def open(
        cls,
        url: str,
        token_key: bytes,
        *,
        pool_size: int = POOL_SIZE,
        unsafe: bool = False,
        clock: Callable[[], int] = wall_micros,
        steady: Callable[[], float] = steady_seconds,
    ) -> PostgresStore:
        """Open a migrated database.

        Raises:
            InputError: the URL is malformed.
            StoreError: see `PostgresDatabase.open`.
        """
        database = PostgresDatabase.open(url, token_key, pool_size=pool_size, unsafe=unsafe)
        try:
            with database.write() as connection:
                connection.execute(
                    "INSERT INTO meta (name, value) VALUES ('epoch', ?) ON CONFLICT DO NOTHING",
                    (secrets.token_hex(8),),
                )
                row = connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
        except BaseException:
            database.close()
            raise
        return cls(database, GuardedClock(clock, steady), str(row[0]), url)

    def hints(self) -> Hints | None:
        """See `HintStore.hints`: word comes by NOTIFY, from the transaction that stored."""
        return listen(self._url)

    def pool(self) -> Mapping[str, int]:
        """Figures of the pool of connections: `size`, `available`, `waiting`."""
        return self._database.used()

    def changes(self) -> None:
        """See `Store.changes`: to ask the server costs as much as what it would save."""

    def ping(self) -> None:
        """See `Store.ping`."""
        self._database.row("SELECT value FROM meta WHERE name = 'epoch'")

    def backup(self, path: Path) -> None:
        """See `Store.backup`: a SQLite file; the token key is written beside it."""
        from hub.store.transfer import copy_out

        copy_out(self._url, self._database.token_key, path)

    def close(self) -> None:
        """See `Store.close`."""
        self._database.close()
