"""Bringing a database to another schema: both engines, up and down, while hubs run.

A migration is a module of `hub.store.migrations.versions` with `upgrade` and `downgrade`, which run
in one short transaction. One that has much to do has also

- `online(connection, report)`: what takes long on PostgreSQL, done before `upgrade` in transactions
  of its own that lock no table against writers. It may be killed at any moment and begun again.
- `IRREVERSIBLE`: why there is no way back, if there is none.

SQLite takes each whole migration in its one write transaction, so a killed one has not happened.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from alembic import command
from alembic.util import CommandError
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from hub.errors import InputError, StoreError
from hub.store import migrations
from hub.store.opening import StoreTarget, require_psycopg
from hub.store.steps import (
    BASE,
    Progress,
    Report,
    State,
    Step,
    alembic_config,
    newer,
    require_known,
    scripts,
    step_of,
)

__all__ = ["BASE", "Progress", "Report", "State", "Step", "downgrade", "state", "upgrade"]


def state(target: StoreTarget) -> State:
    """Look at a database's schema; changes nothing. Raises as `upgrade`."""
    current = _current(target)
    require_known(current, _name(target))
    pending = tuple(map(step_of, scripts(current, migrations.HEAD)))
    return State(current, migrations.HEAD, pending)


def upgrade(
    target: StoreTarget, *, to: str = migrations.HEAD, progress: Report | None = None
) -> State:
    """Bring a database to a newer schema.

    Kill it at any moment and start it again. On PostgreSQL, hubs of the older release may go on
    meanwhile; a second `upgrade` of the same database is refused while the first runs.

    Args:
        target: the database.
        to: a revision.
        progress: told of each step, and how far it is.
    Raises:
        InputError: no such revision, a malformed URL, no driver.
        StoreError: the schema is of a newer release, another process migrates, the database fails.
    """
    say = progress or _silent
    if target.path is not None and not target.path.exists():
        # Whoever opens the store makes the file, with its mode and its key.
        raise StoreError("there is no database", where=target.path.name, hint="run hub init first")
    pending = scripts(state(target).current, to)
    if target.path is not None:
        for script in pending:
            say(Progress(step_of(script)))
        if pending:
            upgrade_sqlite(_connector(target.path), target.path.name, to=to)
    else:
        assert target.url is not None
        from hub.store.postgres.migrating import upgrade_postgres

        upgrade_postgres(target.url, to, say)
    return state(target)


def downgrade(target: StoreTarget, *, to: str, progress: Report | None = None) -> State:
    """Bring a database back to an older schema; what only the newer one holds is lost.

    Take a back-up before, and stop every hub.

    Args:
        target: the database.
        to: a revision, or `BASE` for no tables at all.
        progress: told of each step.
    Raises:
        InputError: no such older revision; a step on the way has no way back.
        StoreError: see `upgrade`.
    """
    say = progress or _silent
    current = state(target).current
    if current is None:
        raise InputError("the database has no tables", where="to")
    steps = scripts(None if to == BASE else to, current)[::-1]
    if not steps and to != current:
        raise InputError(f"{to} is newer than {current}, which the database has", where="to")
    for script in steps:
        reason = getattr(script.module, "IRREVERSIBLE", None)
        if reason is not None:
            raise InputError(
                f"there is no way back from {script.revision}: {reason}",
                where="to",
                hint="restore the back-up that was made before the upgrade",
            )
    for script in steps:
        say(Progress(step_of(script)))
        if target.path is not None:
            with _sqlite_connection(_connector(target.path), target.path.name) as connection:
                command.downgrade(alembic_config(connection), "-1")
        else:
            assert target.url is not None
            from hub.store.postgres.migrating import downgrade_postgres

            downgrade_postgres(target.url, script.revision)
    return state(target)


def upgrade_sqlite(
    connect: Callable[[], sqlite3.Connection], name: str, *, to: str = "head"
) -> None:
    """Bring a SQLite database to a newer schema, in one transaction.

    Args:
        connect: opens it in autocommit mode.
        name: what to call the database in errors.
        to: a revision.
    Raises:
        StoreError: the schema is of a newer release, or the disk fails.
    """
    with _sqlite_connection(connect, name) as connection:
        command.upgrade(alembic_config(connection), to)


@contextlib.contextmanager
def _sqlite_connection(
    connect: Callable[[], sqlite3.Connection], name: str
) -> Iterator[Connection]:
    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # The driver would begin only at the first INSERT; two starting hubs must queue here.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    try:
        with engine.begin() as connection:
            yield connection
    except CommandError as error:
        raise newer(name) from error
    except DBAPIError as error:
        raise StoreError("the schema cannot be migrated", where=name) from error
    finally:
        engine.dispose()


def _connector(path: Path) -> Callable[[], sqlite3.Connection]:
    return lambda: sqlite3.connect(path, isolation_level=None)


def _current(target: StoreTarget) -> str | None:
    if target.path is not None:
        from hub.store.sqlite.database import file_revision

        return file_revision(target.path)
    require_psycopg()
    from hub.store.postgres.database import database_revision

    assert target.url is not None
    return database_revision(target.url)


def _name(target: StoreTarget) -> str:
    return "database" if target.path is None else target.path.name


def _silent(progress: Progress) -> None:
    del progress
