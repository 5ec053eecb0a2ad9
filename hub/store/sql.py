"""What the engine-neutral parts of a store ask of its database.

Statements keep to what SQLite and PostgreSQL both read, with `?` for values and neither `?` nor `%`
in anything else; truth values go in as bool and may come out as 0 and 1.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from hub.errors import InputError

LONGEST_NAME: Final = 200


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

    def execute(self, statement: str, values: tuple[object, ...] = ..., /) -> Cursor:
        """Run a statement."""
        ...


class Sql(Protocol):
    """A database with pooled readers; foreign errors come out as StoreError."""

    @property
    def token_key(self) -> bytes:
        """Key of the token hashes."""
        ...

    def rows(self, statement: str, values: tuple[object, ...] = ()) -> list[Any]:
        """Run one reading statement; tuples."""
        ...

    def row(self, statement: str, values: tuple[object, ...] = ()) -> Any:
        """The first tuple of a reading statement, or None."""
        ...

    def write(self) -> AbstractContextManager[Connection]:
        """A write transaction: committed and durable when the block ends, else undone."""
        ...

    def lock_audit(self, connection: Connection) -> None:
        """Let no other transaction append to the audit log before this one has ended."""
        ...


def require_org(connection: Connection, org_id: str) -> None:
    """Raise InputError unless the organisation exists."""
    if connection.execute("SELECT 1 FROM org WHERE id = ?", (org_id,)).fetchone() is None:
        raise InputError("there is no such organisation", where=org_id)


def checked_name(name: str) -> str:
    """A name for people to read. Raises InputError."""
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(f"a name is 1 to {LONGEST_NAME} printable characters", where="name")
    return name
