"""One PostgreSQL database: a bounded pool of connections, foreign errors wrapped."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolClosed

from hub.errors import InputError, StoreError
from hub.store import migrations
from hub.store.postgres.connection import PostgresConnection, translated
from hub.store.postgres.errors import PLACE, is_away, wrapped
from hub.store.sql import Dialect, Serial, Values

POOL_SIZE: Final = 12
"""Connections of one hub process at most."""
WAIT_SECONDS: Final = 3.0
"""How long a call waits for a connection."""
CONNECT_SECONDS: Final = 3
STATEMENT_SECONDS: Final = 30
LOCK_SECONDS: Final = 10
_OLDEST_SERVER: Final = 140000
_RECONNECT_SECONDS: Final = 8.0
_IDLE_IN_TRANSACTION_SECONDS: Final = 60
# Keys of advisory locks, "swh" and a number; `migrate` has one of its own.
LOCKS: Final = 0x73776800
_SERIAL_KEY: Final = {Serial.RECORDS: LOCKS + 1, Serial.LOG_TIME: LOCKS + 2}
_AUDIT_KEY: Final = LOCKS + 3
_SETTINGS: Final[Mapping[str, str]] = {
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "lock_timeout": f"{LOCK_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{_IDLE_IN_TRANSACTION_SECONDS}s",
    # Pages are read along the index that the statement was written for: statistics that are old
    # or missing must not turn a poll into a scan of the collection. Where there is no other way
    # (objects by their ids are sorted), "off" still lets it be.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
}
_DURABLE: Final = frozenset({"on", "remote_apply", "remote_write"})
_CONFIGURE: Final = (
    "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS s (name, value)"
)
_Connection = psycopg.Connection[TupleRow]


class PostgresDatabase:
    """`sql.Sql` on PostgreSQL. Make it with `PostgresDatabase.open`."""

    dialect = Dialect(hints=False, arrays=True, streams=False)

    def __init__(self, pool: ConnectionPool[_Connection], token_key: bytes) -> None:
        self.token_key = token_key
        self._pool = pool
        self._closed = False

    @classmethod
    def open(
        cls, url: str, token_key: bytes, *, pool_size: int = POOL_SIZE, unsafe: bool = False
    ) -> PostgresDatabase:
        """Look at the server and the schema, then open the pool.

        Args:
            url: `postgresql://...`, or libpq's keywords.
            token_key: key of the token hashes.
            pool_size: connections at most.
            unsafe: take a server that does not sync what it commits.
        Raises:
            InputError: the URL is malformed.
            StoreError: no such server or database, a schema of another release, a server that
                could lose what it acknowledged.
        """
        with contextlib.closing(connect(url)) as first:
            try:
                check_server(first, unsafe=unsafe)
                _check_schema(first)
            except psycopg.Error as error:
                raise wrapped(error) from error
        pool = ConnectionPool(
            url,
            connection_class=_Connection,
            kwargs=_arguments(),
            configure=_configure,
            min_size=1,
            max_size=pool_size,
            timeout=WAIT_SECONDS,
            reconnect_timeout=_RECONNECT_SECONDS,
            open=False,
            name="stillwatch",
        )
        pool.open()
        return cls(pool, token_key)

    def rows(self, statement: str, values: Values = ()) -> list[Any]:
        """See `sql.Sql.rows`."""
        query = translated(statement)
        try:
            return self._fetch(query, values)
        except InputError:
            # What no text of a database can hold is equal to nothing in it.
            return self._fetch(query, _storable(values))

    def row(self, statement: str, values: Values = ()) -> Any:
        """See `sql.Sql.row`."""
        found = self.rows(statement, values)
        return found[0] if found else None

    @contextlib.contextmanager
    def reading(self, statement: str, values: Values = ()) -> Iterator[Iterable[tuple[Any, ...]]]:
        """See `sql.Sql.reading`; all rows have come when the block begins."""
        yield self.rows(statement, values)

    @contextlib.contextmanager
    def write(self, serial: Serial = Serial.RECORDS) -> Iterator[PostgresConnection]:
        """See `sql.Sql.write`."""
        connection = self._begun()
        try:
            with connection.pipeline():
                key = _SERIAL_KEY.get(serial)
                if key is not None:
                    connection.execute("SELECT pg_advisory_xact_lock(%s::int8)", (key,))
                yield PostgresConnection(connection)
                ended = connection.execute("COMMIT")
            if ended.statusmessage != "COMMIT":
                raise StoreError("the database undid the transaction", where=PLACE)
        except (psycopg.Error, UnicodeEncodeError) as error:
            raise wrapped(error) from error
        finally:
            self._give_back(connection)

    def lock_audit(self, connection: PostgresConnection) -> None:
        """See `sql.Sql.lock_audit`."""
        connection.execute("SELECT pg_advisory_xact_lock(?)", (_AUDIT_KEY,))

    def used(self) -> Mapping[str, int]:
        """Figures of the pool: `size`, `available`, `waiting`, for metrics."""
        found = self._pool.get_stats()
        return {
            "size": found.get("pool_size", 0),
            "available": found.get("pool_available", 0),
            "waiting": found.get("requests_waiting", 0),
        }

    def close(self) -> None:
        """Close every connection; again is fine."""
        if not self._closed:
            self._closed = True
            self._pool.close()

    def _fetch(self, query: bytes, values: Values) -> list[Any]:
        while True:
            connection = self._take()
            try:
                return connection.execute(query, values, binary=True).fetchall()
            except (psycopg.Error, UnicodeEncodeError) as error:
                if not is_away(error):
                    raise wrapped(error) from error
                # The server went, and perhaps came back: the next one is as old, or new. When no
                # new one can be made, `_take` gives up.
                connection.close()
            finally:
                self._give_back(connection)

    def _begun(self) -> _Connection:
        """A connection that answers, in a transaction."""
        while True:
            connection = self._take()
            try:
                connection.execute("BEGIN")
            except psycopg.Error as error:
                away = is_away(error)
                if away:
                    connection.close()
                self._give_back(connection)
                if not away:
                    raise wrapped(error) from error
            else:
                return connection

    def _take(self) -> _Connection:
        if self._closed:
            raise StoreError("the store is closed", where=PLACE)
        try:
            return self._pool.getconn()
        except PoolClosed as error:
            raise StoreError("the store is closed", where=PLACE) from error
        except psycopg.Error as error:
            raise wrapped(error) from error

    def _give_back(self, connection: _Connection) -> None:
        if connection.info.transaction_status is not TransactionStatus.IDLE:
            # A connection that cannot even do that is one that the pool replaces.
            with contextlib.suppress(psycopg.Error):
                connection.execute("ROLLBACK")
        self._pool.putconn(connection)


def connect(url: str, *, application: str = "stillwatch") -> _Connection:
    """A connection of its own, outside of the pool, in autocommit mode.

    Raises:
        InputError: the URL is malformed; nothing of it is in the message.
        StoreError: no such server or database.
    """
    try:
        psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # The cause quotes the URL, and the URL may hold a password.
        raise InputError(
            "not a PostgreSQL URL",
            where=PLACE,
            hint="write it as postgresql://user@host:5432/name",
        ) from None
    try:
        return psycopg.connect(url, **_arguments(application))
    except psycopg.Error as error:
        raise _unreached(error) from error


def check_server(connection: _Connection, *, unsafe: bool = False) -> None:
    """Refuse a server on which the hub cannot keep its promises. Raises StoreError."""
    if connection.info.server_version < _OLDEST_SERVER:
        raise StoreError("PostgreSQL 14 or newer is needed", where=PLACE)
    row = connection.execute(
        "SELECT current_setting('server_encoding'), current_setting('fsync'),"
        " current_setting('synchronous_commit'), pg_is_in_recovery()"
    ).fetchone()
    assert row is not None
    encoding, fsync, synchronous, standby = row
    if encoding != "UTF8":
        raise StoreError(
            f"the database's encoding is {encoding}, not UTF8",
            where=PLACE,
            hint="make it with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
        )
    if standby:
        raise StoreError(
            "the database server is a standby", where=PLACE, hint="name the primary server"
        )
    if fsync != "on" and not unsafe:
        raise StoreError(
            "the database server does not sync what it commits (fsync is off)",
            where=PLACE,
            hint="set fsync = on; acknowledged objects would be lost with the power",
        )
    if synchronous not in _DURABLE and not unsafe:
        raise StoreError(
            f"synchronous_commit is {synchronous}: commits would be acknowledged before they last",
            where=PLACE,
            hint="set synchronous_commit = on for the hub's role",
        )


def revision(connection: _Connection) -> str | None:
    """The schema's revision, None for a database without one."""
    row = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
    if row is None or row[0] is None:
        return None
    found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if found is None else str(found[0])


def database_revision(url: str) -> str | None:
    """The schema's revision of a database. Raises as `connect`."""
    with contextlib.closing(connect(url)) as connection:
        try:
            return revision(connection)
        except psycopg.Error as error:
            raise wrapped(error) from error


def _check_schema(connection: _Connection) -> None:
    found = revision(connection)
    if found == migrations.HEAD:
        return
    if found is not None and found > migrations.HEAD:
        raise StoreError(
            "the database was made by a newer release", where=PLACE, hint="install that release"
        )
    raise StoreError(
        "the database has no schema" if found is None else "the database's schema is older",
        where=PLACE,
        hint="run `stillwatch hub migrate`",
    )


def _unreached(error: psycopg.Error) -> Exception:
    # libpq gives no SQLSTATE for what the server said while connecting; its words have no secrets,
    # but the role's and the database's names, so only their kind is kept.
    text = str(error)
    for words, state in (
        ("does not exist", "3D000" if "database" in text.partition("FATAL")[2] else "28000"),
        ("authentication failed", "28P01"),
        ("no pg_hba.conf entry", "28000"),
        ("too many clients", "53300"),
    ):
        if words in text:
            return wrapped(psycopg.errors.lookup(state)(""))
    return wrapped(error)


def _configure(connection: _Connection) -> None:
    connection.execute(_CONFIGURE, (list(_SETTINGS), list(_SETTINGS.values())))


def _arguments(application: str = "stillwatch") -> dict[str, Any]:
    return {
        "autocommit": True,
        "connect_timeout": CONNECT_SECONDS,
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 2,
        "tcp_user_timeout": 10_000,
        "application_name": application,
        "client_encoding": "UTF8",
    }


def _storable(values: Values) -> Values:
    if isinstance(values, Mapping):
        return {name: _or_null(value) for name, value in values.items()}
    return [_or_null(value) for value in values]


def _or_null(value: Any) -> Any:
    if isinstance(value, list):
        return [_or_null(element) for element in value]
    if isinstance(value, str):
        return value if "\0" not in value and _encodes(value) else None
    return value


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
