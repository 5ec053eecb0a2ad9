"""Opening the store that a hub was told to use, whichever engine it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from hub.errors import InputError
from hub.store.clock import steady_seconds, wall_micros
from hub.store.interface import Store


@dataclass(frozen=True, slots=True)
class StoreTarget:
    """Where a hub's state is: a SQLite file, or a PostgreSQL database.

    Args:
        path: of SQLite, the file; the token key lies beside it.
        url: of PostgreSQL; `repr` hides it, because it may hold a password.
        token_key: of PostgreSQL, the file with the key of the token hashes (32 bytes).
        pool_size: of PostgreSQL, connections of one process at most; None for the usual number.
        unsafe: of PostgreSQL, take a server that does not sync what it commits.
    """

    path: Path | None = None
    url: str | None = None
    token_key: Path | None = None
    pool_size: int | None = None
    unsafe: bool = False

    def __post_init__(self) -> None:
        if (self.path is None) == (self.url is None):
            raise InputError("a store is either a file or a database URL", where="database")
        if self.url is not None and self.token_key is None:
            raise InputError("a database needs the file of its token key", where="database")

    def __repr__(self) -> str:
        place = f"path={str(self.path)!r}" if self.path is not None else "url=<hidden>"
        return f"StoreTarget({place})"


def open_store(
    target: StoreTarget,
    *,
    clock: Callable[[], int] = wall_micros,
    steady: Callable[[], float] = steady_seconds,
) -> Store:
    """Open a store.

    SQLite is made when absent and migrated. PostgreSQL is neither: several processes stand on it,
    and its owner says when (`hub.store.migrate`).

    Args:
        target: where it is.
        clock: wall clock in microseconds UTC.
        steady: a clock that nobody sets, in seconds.
    Raises:
        InputError: psycopg is not installed, or the URL is malformed.
        StoreError: no database, a schema of another release, no token key, a failing disk.
    """
    if target.path is not None:
        from hub.store.sqlite import SqliteStore

        return SqliteStore.open(target.path, clock=clock, steady=steady)
    assert target.url is not None
    assert target.token_key is not None
    from hub.store.keys import read_key

    require_psycopg()
    from hub.store.postgres.database import POOL_SIZE
    from hub.store.postgres.store import PostgresStore

    return PostgresStore.open(
        target.url,
        read_key(target.token_key),
        pool_size=target.pool_size or POOL_SIZE,
        unsafe=target.unsafe,
        clock=clock,
        steady=steady,
    )


def require_psycopg() -> None:
    """Raise InputError unless the driver of PostgreSQL is installed."""
    missing = [name for name in ("psycopg", "psycopg_pool") if find_spec(name) is None]
    if missing:
        raise InputError(
            "the driver of PostgreSQL is not installed",
            where="database",
            hint="install stillwatch[postgres]",
        )
