"""Back-ups: one format for every engine, so that each restores into the other.

A back-up is one SQLite file in the hub's own schema, and the token key beside it. It is of one
moment while writers run: SQLite copies its file, PostgreSQL is read table by table in one snapshot.
A restored database has a new epoch, so that clients whose cursor is of the lost history resync.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from hub.errors import StoreError
from hub.store import migrations
from hub.store.keys import key_path, read_key, write_key
from hub.store.migrate import state, upgrade, upgrade_sqlite
from hub.store.opening import StoreTarget
from hub.store.sqlite.copying import copy_database, new_file
from hub.store.sqlite.database import connect, file_revision, wrapped

Report = Callable[[str, int], None]
"""Told a table's name, and how many of its rows are copied."""

_ROWS: Final = 1000
# They tell one incarnation of a database from another, not what it holds.
_INCARNATION: Final = frozenset({"epoch", "log_time"})
_MODULUS: Final = 1 << 256


def backup(target: StoreTarget, path: Path, *, progress: Report | None = None) -> None:
    """Write a back-up of a database, which may be in use, to a new file.

    Args:
        target: the database, at this release's schema.
        path: where to; the token key is written to `<path>.token-key`.
        progress: told how far it is.
    Raises:
        StoreError: there is a file already, either side fails, another schema.
    """
    say = progress or _silent
    if target.path is not None:
        copy_database(target.path, path, read_key(key_path(target.path)))
        return
    assert target.url is not None
    assert target.token_key is not None
    copy_out(target.url, read_key(target.token_key), path, say)


def copy_out(url: str, token_key: bytes, path: Path, progress: Report | None = None) -> None:
    """`backup` of PostgreSQL."""
    from hub.store.postgres.copying import snapshot

    say = progress or _silent
    with snapshot(url) as tables, new_file(path, token_key) as copy:
        _prepare(copy, path)
        for table, columns, rows in tables:
            marks = ", ".join("?" * len(columns))
            insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
            done = 0
            for portion in _portions(rows):
                copy.execute("BEGIN")
                copy.executemany(insert, portion)
                copy.execute("COMMIT")
                done += len(portion)
                say(table, done)


def restore(path: Path, target: StoreTarget, *, progress: Report | None = None) -> None:
    """Put a back-up in place of an absent or empty database, with a new epoch.

    A back-up of an older release is migrated on the way. Killed at any moment, it has not happened.

    Raises:
        StoreError: the back-up or its key is missing or damaged, the target is not empty, either
            side fails.
    """
    say = progress or _silent
    token_key = read_key(key_path(path))
    epoch = secrets.token_hex(8)
    if target.path is not None:
        copy_database(path, target.path, token_key, epoch=epoch)
        return
    assert target.url is not None
    assert target.token_key is not None
    if target.token_key.exists() and target.token_key.read_bytes() != token_key:
        raise StoreError(
            "there is another token key already",
            where=target.token_key.name,
            hint="move it away: the back-up brings its own",
        )
    from hub.store.postgres.copying import fill

    with _current(path) as source:
        upgrade(target)
        with _kept_key(target.token_key, token_key):
            fill(target.url, _tables(source, path), epoch, say)


@contextlib.contextmanager
def _kept_key(path: Path, token_key: bytes) -> Iterator[None]:
    """Write a key before what needs it is there: a full database without it would know no token.

    Whoever is killed in between left an empty database, and the key that the next try brings.
    """
    made = not path.exists()
    if made:
        write_key(path, token_key)
    try:
        yield
    except BaseException:
        if made:
            path.unlink(missing_ok=True)
        raise


def digest(target: StoreTarget) -> str:
    """A hash of all that a database holds, the same for the same contents in either engine.

    Epoch and time lease are left out; so is the order of rows, which has no meaning.
    """
    found = hashlib.sha256()
    with _read(target) as tables:
        for table, columns, rows in tables:
            count, total = 0, 0
            for row in rows:
                if table == "meta" and row[columns.index("name")] in _INCARNATION:
                    continue
                count += 1
                total += int.from_bytes(hashlib.sha256(_canonical(row)).digest())
            line = [table, columns, count, f"{total % _MODULUS:064x}"]
            found.update(json.dumps(line).encode() + b"\n")
    return found.hexdigest()


@contextlib.contextmanager
def _read(target: StoreTarget) -> Iterator[Iterator[Table]]:
    if target.path is not None:
        with contextlib.closing(connect(target.path)) as source:
            source.execute("BEGIN")
            yield _tables(source, target.path)
        return
    from hub.store.postgres.copying import snapshot

    assert target.url is not None
    with snapshot(target.url) as tables:
        yield tables


Table = tuple[str, list[str], Iterator[tuple[Any, ...]]]
"""Name, columns, rows; truth values as 0 and 1."""


def _tables(source: sqlite3.Connection, path: Path) -> Iterator[Table]:
    from hub.store.schema import metadata

    for table in metadata.sorted_tables:
        columns = [column.name for column in table.columns]
        yield table.name, columns, _selected(source, table.name, columns, path)


def _selected(
    source: sqlite3.Connection, table: str, columns: list[str], path: Path
) -> Iterator[tuple[Any, ...]]:
    try:
        yield from source.execute(f"SELECT {', '.join(columns)} FROM {table}")
    except sqlite3.Error as error:
        raise wrapped(error, path) from error


@contextlib.contextmanager
def _current(path: Path) -> Iterator[sqlite3.Connection]:
    """A back-up to read from, at this release's schema; an older one is migrated in a copy."""
    found = file_revision(path)
    if found is None:
        raise StoreError("this is no back-up of a hub", where=path.name)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        place = path
        if found != migrations.HEAD:
            state(StoreTarget(path=path))
            place = Path(folder) / "migrated.db"
            shutil.copyfile(path, place)
            upgrade_sqlite(lambda: connect(place), path.name)
        with contextlib.closing(connect(place)) as source:
            try:
                sound = source.execute("PRAGMA quick_check").fetchall() == [("ok",)]
            except sqlite3.Error as error:
                raise wrapped(error, path) from error
            if not sound:
                raise StoreError("the back-up is damaged", where=path.name)
            yield source


def _prepare(copy: sqlite3.Connection, path: Path) -> None:
    """The empty tables of this release's schema, in a file that is being filled."""
    partial = Path(copy.execute("PRAGMA database_list").fetchone()[2])
    upgrade_sqlite(lambda: connect(partial), path.name)
    # A file that is not whole has no name yet, so it need not last before the end.
    copy.execute("PRAGMA synchronous = OFF")


def _portions(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    portion: list[tuple[Any, ...]] = []
    for row in rows:
        portion.append(row)
        if len(portion) == _ROWS:
            yield portion
            portion = []
    if portion:
        yield portion


def _canonical(row: tuple[Any, ...]) -> bytes:
    # Lengths keep columns apart; the letter keeps a text from the bytes that it is encoded as.
    parts = []
    for value in row:
        if isinstance(value, bytes):
            octets = b"b" + value
        elif isinstance(value, str):
            octets = b"s" + value.encode()
        else:
            octets = b"n" if value is None else b"i%d" % value
        parts.append(b"%d:" % len(octets) + octets)
    return b"".join(parts)


def _silent(table: str, done: int) -> None:
    del table, done
