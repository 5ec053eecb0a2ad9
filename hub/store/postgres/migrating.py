"""Migrating PostgreSQL while hubs use it: one migrator, short locks, long work beforehand."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Final

import psycopg
from alembic import command
from alembic.config import Config
from psycopg.rows import TupleRow
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, StaticPool

from hub.errors import StoreError
from hub.store.postgres.database import LOCKS, check_server, connect, revision
from hub.store.postgres.errors import PLACE, wrapped
from hub.store.steps import Progress, Report, Step, alembic_config, require_known, scripts, step_of

_LOCK_WAIT: Final = "1s"
"""How long a change of the schema may keep others waiting behind it, before it steps back."""
_TRIES: Final = 60
_LOCKED: Final = "55P03"


class Online:
    """What a migration works with beforehand: short transactions, and somebody to report to.

    Each transaction that is committed must leave what a next run goes on from.
    """

    def __init__(self, url: str, step: Step, say: Report) -> None:
        self._engine = _engine(url, pooled=True)
        self._step = step
        self._say = say

    @contextlib.contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction that waits for no lock longer than a moment. Raises StoreError."""
        try:
            with self._engine.begin() as connection:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
                yield connection
        except DBAPIError as error:
            raise _wrapped(error) from error

    def report(self, done: int, total: int | None) -> None:
        """Say how far it is."""
        self._say(Progress(self._step, done, total))

    def close(self) -> None:
        """Let go of the connection."""
        self._engine.dispose()


def upgrade_postgres(url: str, to: str, say: Report) -> None:
    """See `hub.store.migrate.upgrade`."""
    with _alone(url) as guard:
        current = revision(guard)
        require_known(current, PLACE)
        for script in scripts(current, to):
            step = step_of(script)
            say(Progress(step))
            online = getattr(script.module, "online", None)
            if online is not None:
                with contextlib.closing(Online(url, step, say)) as work:
                    online(work)
            _changed(url, command.upgrade, script.revision)


def downgrade_postgres(url: str, number: str) -> None:
    """Undo one migration. See `hub.store.migrate.downgrade`."""
    with _alone(url):
        _changed(url, command.downgrade, f"{number}-1")


@contextlib.contextmanager
def _alone(url: str) -> Iterator[psycopg.Connection[TupleRow]]:
    """A connection in autocommit mode that holds the migrators' lock; a killed one lets it go."""
    with contextlib.closing(connect(url, application="stillwatch migrate")) as connection:
        try:
            check_server(connection, unsafe=True)
            row = connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCKS,)).fetchone()
            if row != (True,):
                raise StoreError(
                    "another process is migrating this database",
                    where=PLACE,
                    hint="wait until it has ended",
                )
            yield connection
        except psycopg.Error as error:
            raise wrapped(error) from error


def _changed(url: str, change: Callable[[Config, str], None], to: str) -> None:
    """Run a change of the schema in one transaction, as often as it takes to get its locks."""
    engine = _engine(url, pooled=False)
    try:
        for attempt in range(_TRIES):
            try:
                with engine.begin() as connection:
                    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
                    change(alembic_config(connection), to)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) != _LOCKED or attempt == _TRIES - 1:
                    raise _wrapped(error) from error
                # Those who queued behind us go on now.
                time.sleep(0.2)
            else:
                return
    finally:
        engine.dispose()


def _engine(url: str, *, pooled: bool) -> Engine:
    return create_engine(
        "postgresql+psycopg://",
        creator=lambda: _transactional(url),
        poolclass=StaticPool if pooled else NullPool,
    )


def _wrapped(error: DBAPIError) -> Exception:
    return wrapped(error.orig if isinstance(error.orig, Exception) else error)


def _transactional(url: str) -> psycopg.Connection[TupleRow]:
    connection = connect(url, application="stillwatch migrate")
    connection.autocommit = False
    return connection
