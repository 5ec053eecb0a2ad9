"""Word of other hub processes, by LISTEN on a connection of its own."""

from __future__ import annotations

import psycopg
from psycopg.rows import TupleRow

from hub.store.postgres.connection import CHANNEL
from hub.store.postgres.database import connect
from hub.store.postgres.errors import wrapped


class PostgresHints:
    """`interface.Hints`; for one thread."""

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self._connection = connection

    def wait(self, seconds: float) -> frozenset[str]:
        """See `Hints.wait`."""
        try:
            # One that has come brings those that came with it.
            found = self._connection.notifies(timeout=seconds, stop_after=1)
            return frozenset(notice.payload for notice in found)
        except psycopg.Error as error:
            raise wrapped(error) from error

    def close(self) -> None:
        """See `Hints.close`."""
        self._connection.close()


def listen(url: str) -> PostgresHints:
    """Begin to listen. Raises StoreError when the server cannot be reached."""
    connection = connect(url, application="stillwatch hints")
    try:
        connection.execute(f"LISTEN {CHANNEL}")
    except psycopg.Error as error:
        connection.close()
        raise wrapped(error) from error
    return PostgresHints(connection)
