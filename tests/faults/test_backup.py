"""Back up a full hub under writers, restore into both engines, and compare.

The copy is of one moment: of every writer's numbered objects it has the first so many, and log and
objects agree. What is restored has the digest of the copy. Controls: a file that is copied with the
system's means while writers run, and a copy that lacks one row.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from hub.errors import StoreError, VerificationError
from hub.store.interface import Store
from hub.store.opening import StoreTarget, open_store
from hub.store.records import Kind
from hub.store.transfer import backup, digest, restore
from hub.taxii.filters import EVERY, Filters
from tests import postgres
from tests.faults.stores import STORES
from tests.store.conftest import make_object

WRITERS: Final = 3
BATCH: Final = 5
PORTION: Final = 5000


def target(store: str, folder: Path) -> StoreTarget:
    """A new, migrated, empty database."""
    folder.mkdir()
    if store == "postgres":
        return postgres.target(folder)
    found = StoreTarget(path=folder / "hub.db")
    open_store(found).close()
    return found


def absent(store: str, folder: Path) -> StoreTarget:
    """Where nothing is yet."""
    folder.mkdir()
    if store == "postgres":
        return StoreTarget(url=postgres.empty_database(), token_key=folder / "token-key")
    return StoreTarget(path=folder / "hub.db")


def filled(store: Store, rows: int) -> list[str]:
    """Collections of the writers; the first holds so many rows already."""
    org = store.create_org("Lab").id
    made = [
        store.create_collection(Kind.CHANNEL, str(number), owner_org=org).id
        for number in range(WRITERS)
    ]
    for first in range(0, rows, PORTION):
        numbers = range(10**7 + first, 10**7 + min(first + PORTION, rows))
        store.append(made[0], [make_object(number, note="x" * 100) for number in numbers])
    return made


def all_ids(store: Store, collection: str) -> set[str]:
    """Of everything in a collection, page by page."""
    found: set[str] = set()
    filters = Filters(versions=EVERY)
    while True:
        page = store.manifest(collection, filters, PORTION)
        found |= {row.id for row in page.rows}
        if not page.more:
            return found
        filters = replace(filters, next=page.next)


@contextmanager
def writing(store: Store, collections: list[str]) -> Iterator[list[int]]:
    """Writers append numbered objects meanwhile; gives how many each has been acknowledged."""
    stop, done = threading.Event(), [0] * len(collections)

    def write(which: int) -> None:
        while not stop.is_set():
            first = done[which]
            items = [make_object(first + number) for number in range(BATCH)]
            store.append(collections[which], items)
            done[which] = first + BATCH

    threads = [threading.Thread(target=write, args=(which,)) for which in range(len(collections))]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def one_moment(copy: StoreTarget, collections: list[str], rows: int, before: list[int]) -> None:
    """Assert that a copy is whole, of one moment, and not older than when it was begun.

    Raises:
        VerificationError: log and objects differ.
    """
    store = open_store(copy)
    try:
        for which, collection in enumerate(collections):
            held = rows if which == 0 else 0
            count = store.count(collection) - held
            assert count >= before[which], "what was acknowledged before is not in the copy"
            assert count % BATCH == 0, "half of an append"
            ids = {make_object(number).id for number in range(count)}
            found = all_ids(store, collection)
            assert ids <= found, "a later object without an earlier one"
            assert store.verify_log(collection) == len(found) == count + held
    finally:
        store.close()


def drill(name: str, folder: Path, rows: int) -> str:
    """Fill, back up under writers, restore into both; what it took."""
    source = target(name, folder / "source")
    store = open_store(source)
    began = time.monotonic()
    try:
        collections = filled(store, rows)
        full = time.monotonic()
        with writing(store, collections) as done:
            while min(done) < 4 * BATCH:
                time.sleep(0.01)
            before = list(done)
            backup(source, folder / "backup.db")
            after = sum(done) - sum(before)
        copied = time.monotonic()
    finally:
        store.close()
    copy = StoreTarget(path=folder / "backup.db")
    known = digest(copy)
    for engine in STORES:
        again = absent(engine, folder / f"into-{engine}")
        restore(folder / "backup.db", again)
        assert digest(again) == known, f"restored into {engine}, it is another"
        one_moment(again, collections, rows, before)
    ended = time.monotonic()
    _lack_a_row(folder / "backup.db")
    assert digest(copy) != known
    with pytest.raises(AssertionError):
        one_moment(copy, collections, rows, before)
    return (
        f"{name}, {rows} rows: filled in {full - began:.0f} s, backed up in {copied - full:.0f} s "
        f"while {after} objects were stored, restored twice and read in {ended - copied:.0f} s"
    )


def _lack_a_row(path: Path) -> None:
    """The control: a copy without one of its rows must be told from it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM object WHERE seq = (SELECT max(seq) FROM object)")
        connection.commit()


@pytest.mark.parametrize("name", STORES)
def test_a_backup_under_writers_is_of_one_moment(tmp_path: Path, name: str) -> None:
    drill(name, tmp_path, 500)


def test_a_file_copied_under_writers_is_caught(tmp_path: Path) -> None:
    """What `cp` makes of the database file lacks what is in its write-ahead log."""
    source = target("sqlite", tmp_path / "source")
    assert source.path is not None
    store = open_store(source)
    try:
        collections = filled(store, 500)
        with writing(store, collections) as done:
            while min(done) < 4 * BATCH:
                time.sleep(0.01)
            before = list(done)
            shutil.copy(source.path, tmp_path / "copy.db")
    finally:
        store.close()
    shutil.copy(f"{source.path}.token-key", tmp_path / "copy.db.token-key")
    with pytest.raises((AssertionError, StoreError, VerificationError)):
        one_moment(StoreTarget(path=tmp_path / "copy.db"), collections, 500, before)


@pytest.mark.drill
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", STORES)
def test_a_million_rows(tmp_path: Path, name: str) -> None:
    print(drill(name, tmp_path, 1_000_000))
