"""All rows of a database, out of one snapshot and into an empty one, by COPY."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow
from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, Table

from hub.errors import StoreError
from hub.store import migrations
from hub.store.postgres.database import connect, revision
from hub.store.postgres.errors import PLACE, wrapped
from hub.store.schema import metadata

_REPORT_ROWS: Final = 1000
_Rows = Iterator[tuple[str, list[str], Iterator[tuple[Any, ...]]]]


@contextlib.contextmanager
def snapshot(url: str) -> Iterator[_Rows]:
    """Every table's name, columns and rows, as of one moment, in an order that keys allow.

    Truth values come as 0 and 1. Raises StoreError.
    """
    with contextlib.closing(connect(url, application="stillwatch copy")) as connection:
        try:
            _check(connection)
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield (
                (table.name, [column.name for column in table.columns], _rows(connection, table))
                for table in metadata.sorted_tables
            )
        except psycopg.Error as error:
            raise wrapped(error) from error


def fill(url: str, tables: _Rows, epoch: str, progress: Callable[[str, int], None]) -> None:
    """Copy rows into the empty tables of a migrated database, in one transaction.

    Raises:
        StoreError: there are rows already, or the database fails.
    """
    with contextlib.closing(connect(url, application="stillwatch restore")) as connection:
        try:
            _check(connection)
            connection.execute("BEGIN")
            _require_empty(connection)
            known = {table.name: table for table in metadata.sorted_tables}
            for name, columns, rows in tables:
                _load(connection, known[name], columns, rows, progress)
            connection.execute(
                "INSERT INTO meta (name, value) VALUES ('epoch', %s)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (epoch,),
            )
            _continue_numbers(connection)
            connection.execute("COMMIT")
            # Statistics, so that the first reads are planned well.
            connection.execute("ANALYZE")
        except psycopg.Error as error:
            raise wrapped(error) from error


def _check(connection: psycopg.Connection[TupleRow]) -> None:
    if revision(connection) != migrations.HEAD:
        raise StoreError(
            "the database is not at this release's schema",
            where=PLACE,
            hint="run `stillwatch hub migrate`",
        )


def _require_empty(connection: psycopg.Connection[TupleRow]) -> None:
    for table in metadata.sorted_tables:
        if table.name == "meta":
            continue
        statement = sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier(table.name))
        if connection.execute(statement).fetchone() is not None:
            raise StoreError(
                "the database is not empty", where=PLACE, hint="restore into a new database"
            )


def _rows(connection: psycopg.Connection[TupleRow], table: Table) -> Iterator[tuple[Any, ...]]:
    columns = [
        sql.SQL("{}::int").format(sql.Identifier(column.name))
        if isinstance(column.type, Boolean)
        else sql.Identifier(column.name)
        for column in table.columns
    ]
    statement = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT BINARY)").format(
        sql.SQL(", ").join(columns), sql.Identifier(table.name)
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types([_type(column, truth="int4") for column in table.columns])
        yield from copy.rows()


def _load(
    connection: psycopg.Connection[TupleRow],
    table: Table,
    columns: list[str],
    rows: Iterator[tuple[Any, ...]],
    progress: Callable[[str, int], None],
) -> None:
    if table.name == "meta":
        rows = (row for row in rows if row[0] != "epoch")
    truths = [isinstance(table.c[name].type, Boolean) for name in columns]
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    if table.name == "meta":
        connection.execute("DELETE FROM meta")
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types([_type(table.c[name], truth="bool") for name in columns])
        done = 0
        for row in rows:
            copy.write_row(
                tuple(
                    bool(value) if truth and value is not None else value
                    for truth, value in zip(truths, row, strict=True)
                )
                if any(truths)
                else row
            )
            done += 1
            if done % _REPORT_ROWS == 0:
                progress(table.name, done)
    progress(table.name, done)


def _type(column: Column[Any], *, truth: str) -> str:
    if isinstance(column.type, Boolean):
        return truth
    if isinstance(column.type, LargeBinary):
        return "bytea"
    if isinstance(column.type, BigInteger):
        return "int8"
    return "int4" if isinstance(column.type, Integer) else "text"


def _continue_numbers(connection: psycopg.Connection[TupleRow]) -> None:
    """Let generated keys go on after those that were copied."""
    for table, column in (("collection", "key"), ("object", "seq")):
        connection.execute(
            sql.SQL(
                "SELECT setval(pg_get_serial_sequence({}, {}),"
                " (SELECT coalesce(max({}), 0) + 1 FROM {}), false)"
            ).format(
                sql.Literal(table),
                sql.Literal(column),
                sql.Identifier(column),
                sql.Identifier(table),
            )
        )
