"""Statements of a write transaction on PostgreSQL, sent without waiting for each other."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import psycopg
from psycopg.rows import TupleRow

from hub.store.sql import Cursor, Known, Values, replacement

CHANNEL: Final = "stillwatch"
"""Where NOTIFY tells which collections grew."""
_TYPES: Final[Mapping[str, str]] = {
    "collection_key": "int8",
    "date_added": "int8",
    "object_id": "text",
    "object_type": "text",
    "spec_version": "text",
    "version": "int8",
    "version_text": "text",
    "is_last": "bool",
    "body": "bytea",
    "position": "int8",
    "digest": "bytea",
    "level": "int4",
    "hash": "bytea",
    "id": "text",
    "collection_id": "text",
    "org_id": "text",
    "created": "int8",
    "raw": "bytea",
}
_MARK: Final = re.compile(r"%|\?|:([a-z][a-z0-9]*)")
_LOCK_HEADS: Final = (
    "SELECT collection_key, last_added FROM collection_head"
    " WHERE collection_key = ANY(%s::int8[]) ORDER BY collection_key FOR UPDATE"
)
_KNOWN: Final = (
    "SELECT w.n, h.spec_version, h.version, s.date_added, s.version_text, s.body"
    " FROM unnest(%s::text[], %s::text[], %s::int8[]) WITH ORDINALITY"
    " AS w (object_id, spec_version, version, n)"
    " CROSS JOIN LATERAL (SELECT o.spec_version, o.version FROM object o"
    " WHERE o.collection_key = %s AND o.object_id = w.object_id"
    " ORDER BY o.spec_version DESC, o.version DESC LIMIT 1) h"
    " LEFT JOIN object s ON s.collection_key = %s AND s.object_id = w.object_id"
    " AND s.spec_version = w.spec_version AND s.version = w.version"
)
_ANNOUNCE: Final = f"SELECT pg_notify('{CHANNEL}', id) FROM unnest(%s::text[]) AS id"


@lru_cache(maxsize=512)
def translated(statement: str) -> bytes:
    """A statement of ours with psycopg's marks."""

    def mark(found: re.Match[str]) -> str:
        name = found.group(1)
        if name is not None:
            return f"%({name})s"
        return "%s" if found.group() == "?" else "%%"

    return _MARK.sub(mark, statement).encode()


@lru_cache(maxsize=64)
def _insertion(table: str, columns: tuple[str, ...], replacing: str) -> bytes:
    # One array a column: one statement of one shape for any number of rows.
    arrays = ", ".join(f"%b::{_TYPES[column]}[]" for column in columns)
    end = replacement(columns, replacing)
    names = ", ".join(columns)
    return f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays}){end}".encode()


class PostgresCursor:
    """`sql.Cursor` on a statement whose answer may still be on its way."""

    __slots__ = ("_cursor",)

    def __init__(self, cursor: psycopg.Cursor[TupleRow]) -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        """See `sql.Cursor.rowcount`."""
        # Fetching asks the server for its answer; one without rows has their number all the same.
        with contextlib.suppress(psycopg.ProgrammingError):
            if self._cursor.rowcount < 0:
                self._cursor.fetchone()
        return self._cursor.rowcount

    def fetchone(self) -> Any:
        """See `sql.Cursor.fetchone`."""
        return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        """See `sql.Cursor.fetchall`."""
        return self._cursor.fetchall()


class PostgresConnection:
    """`sql.Connection`, in a transaction and in pipeline mode."""

    __slots__ = ("_connection",)

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Values = (), /) -> Cursor:
        """See `sql.Connection.execute`."""
        return self._run(translated(statement), values)

    def many(self, statement: str, rows: Sequence[Sequence[Any]], /) -> None:
        """See `sql.Connection.many`."""
        if rows:
            self._connection.cursor().executemany(translated(statement), rows)

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
        if rows:
            arrays = [list(column) for column in zip(*rows, strict=True)]
            self._run(_insertion(table, tuple(columns), replacing), arrays)

    def lock_heads(self, keys: Sequence[int], /) -> dict[int, int | None]:
        """See `sql.Connection.lock_heads`; always in order of the keys, so that none deadlock."""
        return dict(self._run(_LOCK_HEADS, (list(keys),)).fetchall())

    def known(self, key: int, wanted: Sequence[tuple[str, str, int]], /) -> list[Known | None]:
        """See `sql.Connection.known`."""
        ids, spec_versions, versions = (list(column) for column in zip(*wanted, strict=True))
        found: list[Known | None] = [None] * len(wanted)
        rows = self._run(_KNOWN, (ids, spec_versions, versions, key, key)).fetchall()
        for number, spec_version, version, stamp, text, body in rows:
            same = None if stamp is None else (stamp, text, body)
            found[number - 1] = Known((spec_version, version), same)
        return found

    def announce(self, collection_ids: Iterable[str], /) -> None:
        """See `sql.Connection.announce`."""
        grown = list(collection_ids)
        if grown:
            self._run(_ANNOUNCE, (grown,))

    def _run(self, statement: str | bytes, values: Values) -> PostgresCursor:
        query = statement if isinstance(statement, bytes) else statement.encode()
        cursor = self._connection.cursor(binary=True)
        cursor.execute(query, values)
        return PostgresCursor(cursor)
