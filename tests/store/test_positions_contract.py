"""Heads and generations: what cached pages and streams of events stand on."""

from __future__ import annotations

from hub.store.interface import Store
from hub.store.records import Batch, Kind, Position
from hub.taxii.filters import EVERY, LAST, VersionFilter
from tests.store.conftest import Make

_LATER = "2026-02-01T00:00:00.000Z"
_EARLIER = "2025-02-01T00:00:00.000Z"


def _generation(store: Store, collection: str) -> int:
    return store.positions([collection])[collection].generation


def test_positions_of_several_collections(store: Store, org: str, make: Make) -> None:
    one, other = (
        store.create_collection(Kind.PLAIN, title, owner_org=org).id for title in ("one", "other")
    )
    fates = store.append(one, [make(1), make(2)])
    found = store.positions([one, other, "no such collection"])
    assert found == {one: Position(fates[-1].date_added, 0), other: Position(None, 0)}
    assert found[one].head == store.head(one)
    assert store.positions([]) == {}


def test_what_only_adds_leaves_the_generation(store: Store, collection: str, make: Make) -> None:
    store.append(collection, [make(1), make(2)])
    store.append(collection, [make(1), make(3), make(2, name="another body")])
    store.append(collection, [make(1, modified=_EARLIER)])
    store.append(collection, [make(4, type="artifact", modified=None)])
    assert _generation(store, collection) == 0


def test_a_newer_version_raises_the_generation(store: Store, collection: str, make: Make) -> None:
    store.append(collection, [make(1), make(2)])
    store.append(collection, [make(3), make(1, modified=_LATER)])
    assert _generation(store, collection) == 1
    # Within one batch too: a page may end between the two.
    store.append_batches([Batch(collection, [make(5), make(5, modified=_LATER)])])
    assert _generation(store, collection) == 2


def test_a_deletion_raises_the_generation(store: Store, collection: str, make: Make) -> None:
    one = make(1)
    store.append(collection, [one, make(2)])
    assert store.delete(collection, make(9).id, EVERY) == 0
    assert store.delete(collection, one.id, VersionFilter(last=False, times=frozenset({5}))) == 0
    assert _generation(store, collection) == 0
    head = store.head(collection)
    assert store.delete(collection, one.id, LAST) == 1
    assert store.positions([collection])[collection] == Position(head, 1)


def test_counting_what_was_added(store: Store, collection: str, make: Make) -> None:
    stamps = [fate.date_added for fate in store.append(collection, [make(n) for n in range(5)])]
    assert store.added(collection, None, stamps[-1], 100) == 5
    assert store.added(collection, stamps[0], stamps[3], 100) == 3
    assert store.added(collection, stamps[0], stamps[3], 2) == 2
    assert store.added(collection, stamps[4], stamps[4], 100) == 0
    store.delete(collection, make(2).id, EVERY)
    assert store.added(collection, None, stamps[-1], 100) == 4
    assert store.added("no such collection", None, stamps[-1], 100) == 0
