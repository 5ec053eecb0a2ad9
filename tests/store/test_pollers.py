"""Contract: a poller beside concurrent writers sees each object once and in order.

The negative control is a store that takes its stamps before the write transaction: the same
check must catch it, or it would catch nothing.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from hub.store.appending import Writing
from hub.store.clock import wall_micros
from hub.store.interface import Store
from hub.store.records import Appended, Kind, NewObject
from hub.store.sqlite import SqliteStore
from hub.taxii.filters import EVERY, Filters
from hub.taxii.times import to_micros
from tests.store.conftest import make_object

_WRITERS = 4
_BATCHES = 12
_BATCH = 5


class _EarlyStamps(SqliteStore):
    """Stamps when the request comes in, as servers do that stamp before they commit."""

    _early = threading.local()

    def append(self, collection_id: str, items: Sequence[NewObject]) -> list[Appended]:
        self._early.stamp = wall_micros()
        # Where a real server parses, queues, or waits for the lock.
        time.sleep(0.002 * (int(items[0].id[-2:], 16) % 4))
        return super().append(collection_id, items)

    @contextlib.contextmanager
    def appending(self, collection_ids: Sequence[str]) -> Iterator[Writing]:
        with super().appending(collection_ids) as writing:
            before = writing.head(collection_ids[0]) or 0
            yield writing
            connection = writing._connection
            stored = connection.execute(
                "SELECT seq FROM object WHERE date_added > ?", (before,)
            ).fetchall()
            for number, (seq,) in enumerate(sorted(stored)):
                connection.execute(
                    "UPDATE OR IGNORE object SET date_added = ? WHERE seq = ?",
                    (self._early.stamp + number, seq),
                )


class _Traffic:
    """Writers and pollers on one collection, each in a thread, run to the end."""

    def __init__(self, store: Store, collection: str) -> None:
        self._store = store
        self._collection = collection
        self._done = threading.Event()
        self._seen: dict[str, list[str]] = {"small pages": [], "large pages": []}

    def run(self) -> str:
        """What is wrong with what the pollers saw; empty when nothing is."""
        with ThreadPoolExecutor(_WRITERS + len(self._seen)) as threads:
            pollers = [
                threads.submit(self._poll, habit, limit)
                for habit, limit in zip(self._seen, (3, 500), strict=True)
            ]
            writers = [threads.submit(self._write, number) for number in range(_WRITERS)]
            wait(writers)
            self._done.set()
        for work in (*writers, *pollers):
            work.result()
        rows = self._store.page(self._collection, Filters(versions=EVERY), 10_000).rows
        order = [row.id for row in rows]
        assert len(order) == _WRITERS * _BATCHES * _BATCH
        return ", ".join(
            f"{habit}: {len(order)} stored, {len(set(ids))} seen"
            for habit, ids in self._seen.items()
            if ids != order
        )

    def _write(self, writer: int) -> None:
        for batch in range(_BATCHES):
            first = (writer * _BATCHES + batch) * _BATCH
            items = [make_object(first + number) for number in range(_BATCH)]
            self._store.append(self._collection, items)

    def _poll(self, habit: str, limit: int) -> None:
        position: int | None = None
        for _ in _until(self._done):
            more = True
            while more:
                filters = Filters(position, versions=EVERY)
                page = self._store.page(self._collection, filters, limit)
                self._seen[habit].extend(row.id for row in page.rows)
                if page.last_added is not None:
                    position = to_micros(page.last_added)
                more = page.more


def _until(done: threading.Event) -> Iterator[None]:
    while not done.is_set():
        yield
    yield


def test_pollers_beside_writers_lose_nothing(opener: Any, tmp_path: Path) -> None:
    store = opener(tmp_path, None)
    try:
        assert _Traffic(store, _collection(store)).run() == ""
    finally:
        store.close()


def test_writers_in_two_stores_of_one_database_lose_nothing(opener: Any, tmp_path: Path) -> None:
    """As two processes do: neither knows of the other's last stamp but through the database."""
    one, two = opener(tmp_path, None), opener(tmp_path, None)
    try:
        collection = _collection(one)
        numbers = iter(range(10**6))
        stamps: list[int] = []
        for _ in range(40):
            for store in (one, two):
                [fate] = store.append(collection, [make_object(next(numbers))])
                stamps.append(fate.date_added)
        assert stamps == sorted(set(stamps))
        assert one.count(collection) == two.count(collection) == 80
    finally:
        one.close()
        two.close()


def test_stamping_before_the_transaction_is_caught(tmp_path: Path) -> None:
    found = ""
    for attempt in range(10):
        store = _EarlyStamps.open(tmp_path / str(attempt) / "hub.db")
        try:
            found = _Traffic(store, _collection(store)).run()
        finally:
            store.close()
        if found:
            break
    assert "seen" in found


def _collection(store: Store) -> str:
    org = store.create_org("Lab").id
    return store.create_collection(Kind.PLAIN, "t", owner_org=org).id
