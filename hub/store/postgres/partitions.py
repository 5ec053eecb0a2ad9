"""A table of its own for a collection that has grown big (above some ten million objects).

`object` becomes a table partitioned by collection: a big collection's rows lie in a partition of
their own, all others in `object_rest`. Every index and every uniqueness begins with the collection,
so that nothing else changes: statements are pruned to one partition, whose indexes are as small as
the collection, and vacuum, REINDEX and statistics are its own too.

Readers go on. Writers of the collection wait, and are told to come back, while its rows are moved.
"""

from __future__ import annotations

import contextlib
import time
from typing import Final

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from hub.errors import InputError
from hub.store.postgres.database import LOCKS, connect
from hub.store.postgres.errors import wrapped

_TRIES: Final = 60
# The rows are moved by then, so it is worth a quarter of an hour.
_ATTACH_TRIES: Final = 150
_ATTACH_PAUSE: Final = 5.0
_INDEXES: Final = {
    "ux_object_added": "object_rest_added",
    "ux_object_version": "object_rest_version",
    "ix_object_last": "object_rest_last",
}
_IS_PARTITIONED: Final = "SELECT 1 FROM pg_class WHERE oid = 'object'::regclass AND relkind = 'p'"
_SPLIT: Final = (
    "ALTER TABLE object RENAME TO object_rest",
    *(f"ALTER INDEX {old} RENAME TO {new}" for old, new in _INDEXES.items()),
    "CREATE TABLE object (LIKE object_rest INCLUDING DEFAULTS) PARTITION BY LIST (collection_key)",
    "CREATE UNIQUE INDEX ux_object_added ON object (collection_key, date_added)",
    """CREATE UNIQUE INDEX ux_object_version
    ON object (collection_key, object_id, spec_version, version)""",
    "CREATE INDEX ix_object_last ON object (collection_key, date_added, object_type) WHERE is_last",
    # Its indexes are taken over as they are.
    "ALTER TABLE object ATTACH PARTITION object_rest DEFAULT",
)


def partitioned(url: str) -> list[str]:
    """Ids of the collections that have a table of their own. Raises StoreError."""
    with contextlib.closing(connect(url)) as connection:
        try:
            rows = connection.execute(
                "SELECT c.id FROM collection c JOIN pg_class t ON t.relname = 'object_c' || c.key"
                " JOIN pg_inherits i ON i.inhrelid = t.oid"
                " WHERE i.inhparent = 'object'::regclass ORDER BY c.key"
            ).fetchall()
        except psycopg.Error as error:
            raise wrapped(error) from error
    return [row[0] for row in rows]


def partition(url: str, collection_id: str) -> int:
    """Move a collection's rows into a table of their own; returns how many.

    Killed at any moment, it has happened or not; done again, nothing is left to do.

    Raises:
        InputError: no such collection.
        StoreError: the database fails, or others keep it locked.
    """
    with contextlib.closing(connect(url, application="stillwatch partition")) as connection:
        try:
            # One at a time, and not beside a migration.
            connection.execute("SELECT pg_advisory_lock(%s)", (LOCKS,))
            row = connection.execute(
                "SELECT key FROM collection WHERE id = %s", (collection_id,)
            ).fetchone()
            if row is None:
                raise InputError("there is no such collection", where=collection_id)
            if connection.execute(_IS_PARTITIONED).fetchone() is None:
                _split(connection)
            if collection_id in partitioned(url):
                return 0
            return _move(connection, int(row[0]))
        except psycopg.Error as error:
            raise wrapped(error) from error


def _split(connection: psycopg.Connection[TupleRow]) -> None:
    """Put a partitioned table above the one there is: names change, no row is touched."""
    for attempt in range(_TRIES):
        try:
            with connection.transaction():
                connection.execute("SET LOCAL lock_timeout = '1s'")
                for statement in _SPLIT:
                    connection.execute(statement.encode())
        except psycopg.errors.LockNotAvailable:
            if attempt == _TRIES - 1:
                raise
            # Those who queued behind us go on now.
            time.sleep(0.2)
        else:
            return


def _move(connection: psycopg.Connection[TupleRow], key: int) -> int:
    names = {"own": sql.Identifier(f"object_c{key}"), "key": sql.Literal(key)}

    def run(statement: str) -> int:
        return connection.execute(sql.SQL(statement).format(**names)).rowcount

    with connection.transaction():
        # Writers of this collection wait here, as for one another.
        run("SELECT 1 FROM collection_head WHERE collection_key = {key} FOR UPDATE")
        run("CREATE TABLE {own} (LIKE object INCLUDING DEFAULTS)")
        moved = run("INSERT INTO {own} SELECT * FROM object WHERE collection_key = {key}")
        run("CREATE UNIQUE INDEX ON {own} (collection_key, date_added)")
        run("CREATE UNIQUE INDEX ON {own} (collection_key, object_id, spec_version, version)")
        run("CREATE INDEX ON {own} (collection_key, date_added, object_type) WHERE is_last")
        # Stated first, so that attaching need not read the new table.
        run("ALTER TABLE {own} ADD CONSTRAINT own CHECK (collection_key = {key})")
        run("DELETE FROM object_rest WHERE collection_key = {key}")
        attach = sql.SQL("ALTER TABLE object ATTACH PARTITION {own} FOR VALUES IN ({key})")
        _attach(connection, attach.format(**names))
        run("ALTER TABLE {own} DROP CONSTRAINT own")
    run("ANALYZE {own}")
    return moved


def _attach(connection: psycopg.Connection[TupleRow], statement: sql.Composed) -> None:
    """Attach a filled table, inside of the transaction that filled it.

    That waits for everybody who reads, a back-up for minutes, and all others would queue behind it.
    """
    for attempt in range(_ATTACH_TRIES):
        try:
            with connection.transaction():
                connection.execute("SET LOCAL lock_timeout = '1s'")
                connection.execute(statement)
        except psycopg.errors.LockNotAvailable:
            if attempt == _ATTACH_TRIES - 1:
                raise
            time.sleep(_ATTACH_PAUSE)
        else:
            return
