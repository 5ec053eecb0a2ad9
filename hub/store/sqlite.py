"""The embedded store: one SQLite file in WAL mode, `synchronous=FULL`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


class SqliteStore:
    """`hub.store.interface.Store` on one SQLite file. Open it with `SqliteStore.open`."""

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        clock: Callable[[], int] | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> SqliteStore:
        """Open or create a database, migrating its schema to the newest.

        Beside it lies `<name>.token-key`, mode 0600, the key of the token hashes: made when the
        database is, and needed again to know the tokens.

        Args:
            path: the database file; its folder is made (mode 0700) when absent.
            clock: wall clock in microseconds UTC (for tests).
            monotonic: monotonic clock in seconds (for tests).
        Raises:
            StoreError: no database, one from a newer release, a failing disk, no token key.
        """
        raise NotImplementedError


def restore(backup: Path, path: Path) -> None:
    """Put a backup in place of an absent database, with a new epoch.

    Cursors given out before are refused afterwards, so that clients resync.

    Raises:
        StoreError: `path` exists, or the backup is damaged.
    """
    raise NotImplementedError
