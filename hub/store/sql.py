"""What the store's code asks of a database engine, so that it is written once for all of them.

Statements keep to what SQLite and PostgreSQL both read, with `?` or `:name` for values and neither
`?` nor `:` in anything else; truth values go in as bool and may come out as 0 and 1. Where the
engines part (row locks, bulk inserts, which index a page is read along), there is a method here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from typing import Any, Final, NamedTuple, Protocol

from hub.errors import InputError

LONGEST_NAME: Final = 200

Values = Mapping[str, Any] | Sequence[Any]


class Serial(Enum):
    """Which writers wait for each other, where the engine could run them side by side.

    RECORDS (accounts, collections, grants: whatever says nothing) look before they write, so one
    goes after the other. Givers of LOG_TIME have a turn of their own. OWN are writers that lock
    what they write themselves: heads of collections, the audit log.
    """

    RECORDS = 1
    LOG_TIME = 2
    OWN = 3


class Known(NamedTuple):
    """What is stored of an object: its greatest version, and the version that was asked for.

    `highest` is (specification version, version); `same` is (date_added, version as text, body), or
    None when that version is not there.
    """

    highest: tuple[str, int]
    same: tuple[int, str, bytes] | None


class Dialect(NamedTuple):
    """How an engine is told along which index to read.

    Args:
        hints: whether `INDEXED BY` names it. Where it does not, the planner is left no cheaper
            way: connections have sequential and bitmap scans switched off.
        arrays: whether a list is one value (`= ANY(:name)`), so that statements stay few.
        streams: whether rows come one by one, so that who has enough can stop.
    """

    hints: bool
    arrays: bool
    streams: bool


class Cursor(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""
        ...

    def fetchone(self) -> Any:
        """The next row as a tuple, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """The other rows as tuples."""
        ...


class Connection(Protocol):
    """A connection inside a write transaction."""

    def execute(self, statement: str, values: Values = ..., /) -> Cursor:
        """Run a statement. An engine may fail later for it, before the transaction has ended."""
        ...

    def many(self, statement: str, rows: Sequence[Sequence[Any]], /) -> None:
        """Run a statement once for each row of values."""
        ...

    def insert(
        self,
        table: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        /,
        *,
        replacing: str = "",
    ) -> None:
        """Insert rows, in as few round trips as the engine can.

        Args:
            table: its name.
            columns: their names.
            rows: values in the order of the columns.
            replacing: a unique column; a row that has the same value there gives way. No two of
                `rows` may have the same.
        """
        ...

    def lock_heads(self, keys: Sequence[int], /) -> dict[int, int | None]:
        """Keep other writers out of collections until the end; last_added by collection key."""
        ...

    def known(self, key: int, wanted: Sequence[tuple[str, str, int]], /) -> list[Known | None]:
        """What a collection holds of some (object id, specification version, version)."""
        ...

    def announce(self, collection_ids: Iterable[str], /) -> None:
        """Tell whoever listens, on the commit, that collections grew; a hint only."""
        ...


class Sql(Protocol):
    """A database with pooled readers; foreign errors come out as StoreError."""

    @property
    def token_key(self) -> bytes:
        """Key of the token hashes, which lies outside of the database."""
        ...

    @property
    def dialect(self) -> Dialect:
        """See `Dialect`."""
        ...

    def rows(self, statement: str, values: Values = ()) -> list[Any]:
        """Run one reading statement; tuples."""
        ...

    def row(self, statement: str, values: Values = ()) -> Any:
        """The first tuple of a reading statement, or None."""
        ...

    def reading(
        self, statement: str, values: Values = ()
    ) -> AbstractContextManager[Iterable[tuple[Any, ...]]]:
        """Run one reading statement; the block reads its tuples one by one."""
        ...

    def write(self, serial: Serial = Serial.RECORDS) -> AbstractContextManager[Connection]:
        """A write transaction: committed and durable when the block ends, else undone.

        Args:
            serial: whom to wait for. SQLite has one writer at a time whatever is said.
        """
        ...

    def lock_audit(self, connection: Any) -> None:
        """Let no other transaction append to the audit log before this one has ended."""
        ...


def replacement(columns: Sequence[str], key: str) -> str:
    """The end of an INSERT that takes the place of a row with the same `key`; "" without one."""
    if not key:
        return ""
    others = ", ".join(f"{column} = excluded.{column}" for column in columns if column != key)
    return f" ON CONFLICT ({key}) DO UPDATE SET {others}"


def require_org(connection: Connection, org_id: str) -> None:
    """Raise InputError unless the organisation exists."""
    if connection.execute("SELECT 1 FROM org WHERE id = ?", (org_id,)).fetchone() is None:
        raise InputError("there is no such organisation", where=org_id)


def checked_name(name: str) -> str:
    """A name for people to read. Raises InputError."""
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(f"a name is 1 to {LONGEST_NAME} printable characters", where="name")
    return name
