"""Whole copies of a database in one file: what every back-up is, of either engine."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from hub.errors import StoreError
from hub.store.keys import key_path, write_key
from hub.store.sqlite.database import connect, wrapped


def copy_database(source: Path, target: Path, token_key: bytes, epoch: str | None = None) -> None:
    """Copy a database to a new single file, with its token key beside it.

    Args:
        source: a database, also one that is being written.
        target: a file that is not there yet.
        token_key: of the token hashes in it.
        epoch: put into the copy in place of its own, when it starts another history.
    Raises:
        StoreError: the target exists, either side's disk fails, the source is damaged.
    """
    with new_file(target, token_key) as copy:
        try:
            with contextlib.closing(connect(source)) as reader:
                reader.backup(copy)
        except sqlite3.Error as error:
            raise wrapped(error, source) from error
        if epoch is not None:
            copy.execute("UPDATE meta SET value = ? WHERE name = 'epoch'", (epoch,))


@contextlib.contextmanager
def new_file(target: Path, token_key: bytes) -> Iterator[sqlite3.Connection]:
    """A new database for the block to fill; it has its name, and its key, once it is whole.

    Raises:
        StoreError: the target exists, the disk fails, what was written is damaged.
    """
    partial = target.with_name(target.name + ".partial")
    if target.exists() or key_path(target).exists():
        raise StoreError("there is a file already", where=target.name, hint="choose another path")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600))
        with contextlib.closing(connect(partial)) as copy:
            yield copy
            copy.execute("PRAGMA journal_mode = DELETE")
            copy.execute("PRAGMA synchronous = FULL")
            if copy.execute("PRAGMA quick_check").fetchall() != [("ok",)]:
                raise StoreError("the copied database is damaged", where=target.name)
        # What was written with fewer syncs on the way must last before it has its name.
        _sync(partial)
        write_key(key_path(target), token_key)
        partial.rename(target)
        _sync(target.parent)
    except sqlite3.Error as error:
        raise wrapped(error, target) from error
    except OSError as error:
        raise StoreError(f"cannot be written ({error.strerror})", where=target.name) from error
    finally:
        partial.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
