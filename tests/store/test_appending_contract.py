"""Contract: an open transaction sees what was stored before it, and keeps others out until its end.

The collection's lock is what several processes stand on: between looking and storing nobody else
may store. Two stores on one database play two processes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hub.errors import InputError, StoreError
from hub.store.interface import Store
from hub.store.records import Batch, Kind, NewObject, Outcome, StatusRecord
from hub.taxii.filters import EVERY, Filters
from tests.store.conftest import Make, Opener, make_object


@pytest.fixture
def pair(opener: Opener, tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    """Two stores of one database."""
    one, two = opener(tmp_path, None), opener(tmp_path, None)
    yield one, two
    one.close()
    two.close()


def _channel(store: Store) -> str:
    return store.create_collection(Kind.CHANNEL, "c", owner_org=store.create_org("Lab").id).id


def test_what_is_stored_is_read_before_more_is_stored(
    store: Store, collection: str, make: Make
) -> None:
    with store.appending([collection]) as writing:
        assert writing.head(collection) is None
        assert list(writing.messages(collection, None)) == []
        first = writing.append(Batch(collection, [make(1), make(2)]))
        assert writing.head(collection) == first[1].date_added
        second = writing.append(Batch(collection, [make(2), make(3)]))
        assert [fate.outcome for fate in second] == [Outcome.DUPLICATE, Outcome.STORED]
        assert [raw for _, raw in writing.messages(collection, None)] == [
            make(number).raw for number in (1, 2, 3)
        ]
        assert list(writing.messages(collection, first[0].date_added)) == [
            (first[1].date_added, make(2).raw),
            (second[1].date_added, make(3).raw),
        ]
    assert store.head(collection) == second[1].date_added
    assert store.count(collection) == 3


def test_many_messages_are_read_in_order(store: Store, collection: str, make: Make) -> None:
    fates = store.append(collection, [make(number) for number in range(250)])
    with store.appending([collection]) as writing:
        found = list(writing.messages(collection, fates[9].date_added))
    assert [stamp for stamp, _ in found] == [fate.date_added for fate in fates[10:]]


def test_an_exception_undoes_everything(store: Store, make: Make) -> None:
    channel = _channel(store)
    store.append(channel, [make(1)])
    before = store.head(channel)

    def fail() -> None:
        record = StatusRecord("s", channel, "o", 1, b"{}")
        with store.appending([channel]) as writing:
            writing.append(Batch(channel, [make(2)], lambda fates: record))
            raise InputError("refused")

    with pytest.raises(InputError, match="refused"):
        fail()
    assert store.head(channel) == before
    assert store.log_size(channel) == store.count(channel) == store.verify_log(channel) == 1
    assert store.get_status("s") is None
    assert store.append(channel, [make(2)])[0].outcome is Outcome.STORED


def test_several_posts_share_a_transaction(store: Store, collection: str, make: Make) -> None:
    """They are stored in their order, each with the fates of its own objects."""
    other = _channel_of(store)
    told: list[int] = []

    def status(name: str) -> Callable[..., StatusRecord]:
        def record(fates: object) -> StatusRecord:
            assert isinstance(fates, list)
            told.append(len(fates))
            return StatusRecord(name, collection, "o", 1, b"{}")

        return record

    batches = [
        Batch(collection, [make(1), make(2)], status("a")),
        Batch(other, [make(1)], status("b")),
        Batch(collection, [make(2), make(3, modified=None, type="artifact")], status("c")),
        Batch(other, [], status("d")),
    ]
    with store.appending([collection, other, collection]) as writing:
        fates = writing.append_all(batches)
    outcomes = [[fate.outcome.value for fate in found] for found in fates]
    assert outcomes == [["stored", "stored"], ["stored"], ["duplicate", "stored"], []]
    assert told == [2, 1, 2, 0]
    assert fates[2][0] == fates[0][1]._replace(outcome=Outcome.DUPLICATE)
    assert all(store.get_status(name) for name in "abcd")
    assert store.verify_log(other) == 1


def _channel_of(store: Store) -> str:
    return store.create_collection(Kind.CHANNEL, "c", owner_org=store.orgs()[0].id).id


def test_a_transaction_is_for_its_collections_and_its_time(
    store: Store, collection: str, make: Make
) -> None:
    with pytest.raises(InputError), store.appending(["0" * 36]):
        pass
    with store.appending([collection]) as writing, pytest.raises(InputError):
        writing.append(Batch(_channel_of_nobody(), [make(1)]))
    asks: list[Callable[[], object]] = [
        lambda: writing.head(collection),
        lambda: list(writing.messages(collection, None)),
        lambda: writing.append(Batch(collection, [make(1)])),
    ]
    for ask in asks:
        with pytest.raises(StoreError, match="ended"):
            ask()
    assert store.count(collection) == 0


def _channel_of_nobody() -> str:
    return "00000000-0000-4000-8000-000000000000"


def test_nobody_stores_between_looking_and_storing(pair: tuple[Store, Store]) -> None:
    """Each writer stores the number of what it saw: without the lock two would see the same."""
    collection = _channel(pair[0])

    def write(writer: int) -> None:
        for _ in range(12):
            with pair[writer % 2].appending([collection]) as writing:
                seen = len(list(writing.messages(collection, None)))
                item: NewObject = make_object(seen)
                assert writing.append(Batch(collection, [item]))[0].outcome is Outcome.STORED

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))
    assert list(pair[1].raw_messages(collection)) == [make_object(n).raw for n in range(48)]
    assert pair[0].verify_log(collection) == 48


def test_deleting_beside_writers_keeps_one_last_version(pair: tuple[Store, Store]) -> None:
    collection = _channel(pair[0])
    times = [f"2026-01-{day:02}T00:00:00Z" for day in range(1, 25)]

    def write(store: Store) -> None:
        for time in times:
            store.append(collection, [make_object(1, modified=time)])

    writers = [threading.Thread(target=write, args=(store,)) for store in pair]
    for writer in writers:
        writer.start()
    for _ in range(15):
        pair[0].delete(collection, make_object(1).id, EVERY)
    for writer in writers:
        writer.join()
    pair[1].append(collection, [make_object(1, modified="2026-02-01T00:00:00Z")])
    [last] = pair[0].page(collection, Filters(), 9).rows
    assert last.version == "2026-02-01T00:00:00Z"


def test_the_audit_chain_holds_with_several_writers(pair: tuple[Store, Store]) -> None:
    def write(writer: int) -> None:
        for number in range(15):
            pair[writer % 2].audit("event", detail={"writer": f"{writer}.{number}"})

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))
    assert pair[0].verify_audit() == 60
    assert len({row.detail["writer"] for row in pair[1].audit_rows()}) == 60
