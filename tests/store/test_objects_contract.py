"""Contract: objects come out as they went in, in one order, by the filters asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.errors import InputError, StoreError
from hub.store.interface import Store
from hub.store.records import Appended, Batch, Kind, NewObject, Outcome, StatusRecord
from hub.taxii.filters import EVERY, LAST, Filters, VersionFilter
from hub.taxii.times import to_micros, to_text

Make = Callable[..., NewObject]
_V1 = "2026-01-01T00:00:00.000Z"
_V2 = "2026-01-02T00:00:00.000Z"
_V3 = "2026-01-03T00:00:00.000Z"


def _ids(store: Store, collection: str, **wanted: Any) -> list[str]:
    page = store.page(collection, Filters(**wanted), 100)
    return [row.id for row in page.rows]


def test_bytes_come_out_as_they_went_in(store: Store, collection: str, make: Make) -> None:
    raw = b'{ "id" : "x",\t"\xc3\xa9":1.50 ,"a":"\\u00e9" }\n'
    item = replace(make(1), raw=raw)
    [fate] = store.append(collection, [item])
    assert fate.outcome is Outcome.STORED
    assert [row.raw for row in store.page(collection, Filters(), 5).rows] == [raw]
    assert list(store.raw_messages(collection)) == [raw]


def test_stamps_are_unique_and_rising_even_when_the_clock_stands_or_turns_back(
    store: Store, collection: str, make: Make, clocks: Any
) -> None:
    fates = store.append(collection, [make(n) for n in range(5)])
    clocks.move(-30)
    fates += store.append(collection, [make(n) for n in range(5, 8)])
    clocks.move(90)
    fates += store.append(collection, [make(9)])
    stamps = [fate.date_added for fate in fates]
    assert stamps[0] == 1_790_000_000_000_000
    assert stamps == sorted(set(stamps))
    assert stamps[7] == stamps[0] + 7
    assert stamps[8] == 1_790_000_060_000_000
    assert store.head(collection) == stamps[8]


@pytest.mark.parametrize("jump", [-3600, 7200, -86_400])
def test_a_clock_that_jumped_stops_writing_but_not_reading(
    store: Store, collection: str, make: Make, clocks: Any, jump: int
) -> None:
    store.append(collection, [make(1)])
    clocks.wall += jump * 1_000_000
    with pytest.raises(StoreError):
        store.append(collection, [make(2)])
    assert _ids(store, collection) == [make(1).id]
    clocks.wall -= jump * 1_000_000
    assert store.append(collection, [make(2)])[0].outcome is Outcome.STORED


def test_order_holds_when_the_hub_starts_with_an_earlier_clock(
    opener: Any, tmp_path: Path, make: Make, clocks: Any
) -> None:
    collection = ""
    stamps: list[int] = []
    for number, hours in enumerate((0, -24, 2, -1)):
        clocks.wall += hours * 3_600_000_000
        opened = opener(tmp_path, clocks)
        if not collection:
            org = opened.create_org("Lab").id
            collection = opened.create_collection(Kind.PLAIN, "t", owner_org=org).id
        stamps.append(opened.append(collection, [make(number)])[0].date_added)
        opened.close()
    assert stamps == sorted(set(stamps))


def test_the_first_body_of_a_version_wins(store: Store, collection: str, make: Make) -> None:
    first = make(1, name="a")
    reordered = replace(first, raw=b" " + first.raw.replace(b"\n", b""))
    other = make(1, name="b")
    [stored] = store.append(collection, [first])
    fates = store.append(collection, [first, reordered, other])
    outcomes = [fate.outcome for fate in fates]
    assert outcomes == [Outcome.DUPLICATE, Outcome.DUPLICATE, Outcome.CONFLICT]
    assert [fate.ok for fate in fates] == [True, True, False]
    assert {fate.date_added for fate in fates} == {stored.date_added}
    assert [row.raw for row in store.page(collection, Filters(), 5).rows] == [first.raw]
    assert store.count(collection) == 1


def test_true_and_one_are_different_bodies(store: Store, collection: str, make: Make) -> None:
    store.append(collection, [make(1, revoked=True)])
    [fate] = store.append(collection, [make(1, revoked=1)])
    assert fate.outcome is Outcome.CONFLICT


def test_one_batch_may_hold_an_object_twice(store: Store, collection: str, make: Make) -> None:
    fates = store.append(collection, [make(1), make(1), make(1, name="other"), make(2)])
    assert [fate.outcome.value for fate in fates] == ["stored", "duplicate", "conflict", "stored"]
    assert store.count(collection) == 2


def test_equal_times_written_differently_are_one_version(
    store: Store, collection: str, make: Make
) -> None:
    store.append(collection, [make(1, modified="2026-01-01T00:00:00Z")])
    [fate] = store.append(collection, [make(1, modified="2026-01-01T00:00:00.000Z")])
    assert fate.outcome is Outcome.CONFLICT
    assert fate.version == "2026-01-01T00:00:00Z"


def test_an_object_without_version_has_its_date_added(
    store: Store, collection: str, make: Make
) -> None:
    item = make(1, modified=None, type="artifact")
    [fate] = store.append(collection, [item])
    assert fate.version == to_text(fate.date_added)
    [again] = store.append(collection, [item])
    assert (again.outcome, again.version) == (Outcome.DUPLICATE, fate.version)
    at = VersionFilter(last=False, times=frozenset({fate.date_added}))
    assert _ids(store, collection, versions=at) == [item.id]
    assert store.manifest(collection, Filters(), 5).rows[0].version == fate.version


def test_versions_are_chosen_by_version_not_by_arrival(
    store: Store, collection: str, make: Make
) -> None:
    arrival = [make(1, modified=_V2), make(1, modified=_V3), make(1, modified=_V1), make(2)]
    store.append(collection, arrival)

    def chosen(wanted: VersionFilter) -> list[tuple[str, str]]:
        rows = store.manifest(collection, Filters(versions=wanted), 9).rows
        return [(row.id[-1], row.version) for row in rows]

    assert chosen(LAST) == [("1", _V3), ("2", _V1)]
    assert chosen(VersionFilter(first=True, last=False)) == [("1", _V1), ("2", _V1)]
    assert chosen(VersionFilter(first=True)) == [("1", _V3), ("1", _V1), ("2", _V1)]
    assert chosen(EVERY) == [("1", _V2), ("1", _V3), ("1", _V1), ("2", _V1)]
    at = VersionFilter(last=False, times=frozenset({to_micros(_V2)}))
    assert chosen(at) == [("1", _V2)]
    assert chosen(VersionFilter(last=False)) == []
    every = store.versions(collection, arrival[0].id, Filters(), 9)
    assert [row.version for row in every.rows] == [_V2, _V3, _V1]


def test_filters_combine(store: Store, collection: str, make: Make) -> None:
    items = [
        make(1),
        make(2, type="campaign"),
        make(3, spec_version="2.0"),
        make(4, type="campaign"),
    ]
    fates = store.append(collection, items)
    ids = [item.id for item in items]
    assert _ids(store, collection) == ids
    assert _ids(store, collection, types=frozenset({"campaign"})) == [ids[1], ids[3]]
    assert _ids(store, collection, spec_versions=frozenset({"2.0"})) == [ids[2]]
    assert _ids(store, collection, ids=frozenset({ids[3], ids[0], "x"})) == [ids[0], ids[3]]
    assert _ids(store, collection, added_after=fates[1].date_added) == ids[2:]
    both = _ids(
        store,
        collection,
        added_after=fates[1].date_added,
        types=frozenset({"campaign", "indicator"}),
        ids=frozenset(ids[1:]),
        spec_versions=frozenset({"2.1"}),
    )
    assert both == [ids[3]]
    assert _ids(store, collection, added_after=fates[3].date_added) == []


_FIRST = VersionFilter(first=True, last=False)
_AT_V3 = VersionFilter(last=False, times=frozenset({to_micros(_V3)}))


@pytest.mark.parametrize(
    ("spec_versions", "versions", "expected"),
    [
        ((), LAST, [("2.1", _V2)]),
        ((), EVERY, [("2.1", _V1), ("2.1", _V2)]),
        ((), _FIRST, [("2.1", _V1)]),
        ((), _AT_V3, []),
        (("2.1",), LAST, [("2.1", _V2)]),
        (("2.0",), LAST, [("2.0", _V3)]),
        (("2.0",), _FIRST, [("2.0", _V1)]),
        (("2.0",), EVERY, [("2.0", _V3), ("2.0", _V1)]),
        (("2.0",), _AT_V3, [("2.0", _V3)]),
        (("2.0", "2.1"), LAST, [("2.0", _V3)]),
        (("2.0", "2.1"), _FIRST, [("2.1", _V1), ("2.0", _V1)]),
        (("2.0", "2.1"), EVERY, [("2.0", _V3), ("2.1", _V1), ("2.1", _V2), ("2.0", _V1)]),
    ],
)
@pytest.mark.parametrize("by_id", [True, False])
def test_specification_versions_of_one_object(
    store: Store,
    collection: str,
    make: Make,
    spec_versions: tuple[str, ...],
    versions: VersionFilter,
    expected: list[tuple[str, str]],
    by_id: bool,
) -> None:
    """Without the filter the newest one counts; `first` and `last` choose among the wanted."""
    arrival = (("2.0", _V3), ("2.1", _V1), ("2.1", _V2), ("2.0", _V1))
    items = [make(1, spec_version=spec, modified=version) for spec, version in arrival]
    for item in items:
        assert store.append(collection, [item])[0].outcome is Outcome.STORED
    wanted = Filters(
        ids=frozenset({items[0].id}) if by_id else frozenset(),
        spec_versions=frozenset(spec_versions),
        versions=versions,
    )
    rows = store.manifest(collection, wanted, 9).rows
    assert [(row.spec_version, row.version) for row in rows] == expected
    assert list(store.raw_messages(collection)) == [item.raw for item in items]


def test_deleting_the_newest_specification_version_uncovers_the_older(
    store: Store, collection: str, make: Make
) -> None:
    old, new = (make(1, spec_version=spec) for spec in ("2.0", "2.1"))
    store.append(collection, [new, old])
    assert [row.raw for row in store.page(collection, Filters(), 9).rows] == [new.raw]
    assert store.delete(collection, new.id, EVERY, frozenset({"2.1"})) == 1
    assert [row.raw for row in store.page(collection, Filters(), 9).rows] == [old.raw]
    store.append(collection, [new])
    assert [row.raw for row in store.page(collection, Filters(), 9).rows] == [new.raw]
    assert store.delete(collection, new.id, EVERY) == 2
    assert not store.has_object(collection, new.id)


@pytest.mark.parametrize("versions", [LAST, EVERY, VersionFilter(first=True)])
def test_pages_follow_each_other_and_repeat(
    store: Store, collection: str, make: Make, versions: VersionFilter
) -> None:
    items = [make(n) for n in range(7)]
    fates = store.append(collection, items)
    after = fates[0].date_added
    wanted = Filters(added_after=after, versions=versions)
    first = store.page(collection, wanted, 3)
    assert first.more
    assert first.first_added == to_text(fates[1].date_added)
    assert first.last_added == to_text(fates[3].date_added)
    second = store.page(collection, replace(wanted, next=first.next), 3)
    assert [row.id for row in (*first.rows, *second.rows)] == [item.id for item in items[1:]]
    assert (second.more, second.next) == (False, None)
    assert store.page(collection, replace(wanted, next=first.next), 3) == second
    alone = store.page(collection, Filters(next=first.next), 3)
    assert alone.rows == second.rows
    empty = store.page(collection, Filters(added_after=fates[6].date_added), 3)
    assert (list(empty.rows), empty.more, empty.first_added) == ([], False, None)


def test_a_page_ends_before_it_grows_too_heavy(store: Store, collection: str, make: Make) -> None:
    items = [make(n, note="x" * 1000) for n in range(5)]
    store.append(collection, items)
    size = len(items[0].raw)
    sizes: list[int] = []
    filters = Filters()
    while True:
        page = store.page(collection, filters, 100, max_bytes=2 * size)
        sizes.append(len(page.rows))
        if not page.more:
            break
        filters = Filters(next=page.next)
    assert sizes == [2, 2, 1]
    one = store.page(collection, Filters(), 100, max_bytes=1)
    assert [row.id for row in one.rows] == [items[0].id]
    assert one.more
    assert len(store.page(collection, Filters(), 100, max_bytes=5 * size).rows) == 5


def test_a_cursor_of_elsewhere_is_refused(
    store: Store, collection: str, make: Make, org: str
) -> None:
    other = store.create_collection(Kind.PLAIN, "Other", owner_org=org).id
    store.append(collection, [make(1), make(2)])
    cursor = store.page(collection, Filters(), 1).next
    for text in (cursor, "AAAA", "not base64 at all!"):
        with pytest.raises(InputError) as caught:
            store.page(other, Filters(next=text), 1)
        assert caught.value.where == "next"


def test_deletion_takes_the_versions_asked_for(store: Store, collection: str, make: Make) -> None:
    items = [make(1, modified=version) for version in (_V1, _V2, _V3)]
    store.append(collection, [*items, make(2)])
    head = store.head(collection)
    assert store.delete(collection, items[0].id, LAST) == 1
    assert _ids(store, collection) == [items[1].id, make(2).id]
    assert store.page(collection, Filters(), 9).rows[0].version == _V2
    at = VersionFilter(last=False, times=frozenset({to_micros(_V1)}))
    assert store.delete(collection, items[0].id, at, frozenset({"2.0"})) == 0
    assert store.delete(collection, items[0].id, EVERY) == 2
    assert not store.has_object(collection, items[0].id)
    assert store.delete(collection, items[0].id, EVERY) == 0
    assert store.head(collection) == head
    [again] = store.append(collection, [items[2]])
    assert again.outcome is Outcome.STORED
    assert head is not None
    assert again.date_added > head


def test_collections_do_not_mix(store: Store, collection: str, make: Make, org: str) -> None:
    other = store.create_collection(Kind.PLAIN, "Other", owner_org=org).id
    results = store.append_batches(
        [Batch(other, [make(1), make(2)]), Batch(collection, [make(1, name="b")])]
    )
    assert [[fate.outcome.value for fate in fates] for fates in results] == [
        ["stored", "stored"],
        ["stored"],
    ]
    assert (store.count(other), store.count(collection)) == (2, 1)
    assert store.delete(other, make(1).id, EVERY) == 1
    assert store.has_object(collection, make(1).id)


def test_unknown_collections(store: Store, collection: str, make: Make) -> None:
    nowhere = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(InputError):
        store.append(nowhere, [make(1)])
    with pytest.raises(InputError):
        store.append_batches([Batch(collection, [make(1)]), Batch(nowhere, [make(2)])])
    assert store.count(collection) == 0, "a batch beside a refused one was kept"
    assert store.page(nowhere, Filters(), 5).rows == []
    assert store.manifest(nowhere, Filters(), 5).rows == []
    assert not store.has_object(nowhere, make(1).id)
    assert store.head(nowhere) is None
    assert store.count(nowhere) == 0
    assert list(store.raw_messages(nowhere)) == []


def test_a_status_is_kept_by_the_same_commit(
    store: Store, collection: str, make: Make, org: str
) -> None:
    def status(fates: list[Appended] | Any) -> StatusRecord:
        return StatusRecord("s1", collection, org, 5, str(len(fates)).encode())

    store.append_batches([Batch(collection, [make(1), make(2)], status)])
    found = store.get_status("s1")
    assert found == StatusRecord("s1", collection, org, 5, b"2")

    def broken(fates: object) -> StatusRecord:
        raise RuntimeError("the caller's own fault")

    with pytest.raises(RuntimeError):
        store.append_batches([Batch(collection, [make(3)], broken)])
    assert store.count(collection) == 2


def test_statuses_are_replaced_and_pruned(store: Store) -> None:
    store.put_status(StatusRecord("a", "c", "o", 5, b"pending"))
    store.put_status(StatusRecord("a", "c", "o", 5, b"complete"))
    store.put_status(StatusRecord("b", "c", "o", 9, b"x"))
    found = store.get_status("a")
    assert found is not None
    assert found.raw == b"complete"
    assert store.prune_statuses(9) == 1
    assert store.get_status("a") is None
    assert store.get_status("b") is not None


def test_replay_goes_over_many_pages(store: Store, collection: str, make: Make) -> None:
    items = [make(n, modified=None, type="artifact") for n in range(1_203)]
    store.append(collection, items)
    assert list(store.raw_messages(collection)) == [item.raw for item in items]


def test_reopening_finds_everything(opener: Any, tmp_path: Path, make: Make) -> None:
    first = opener(tmp_path, None)
    org = first.create_org("Lab").id
    collection = first.create_collection(Kind.PLAIN, "t", owner_org=org).id
    first.append(collection, [make(1), make(2)])
    page = first.page(collection, Filters(), 1)
    epoch = first.epoch
    first.close()
    first.close()
    second = opener(tmp_path, None)
    try:
        assert second.epoch == epoch
        following = second.page(collection, Filters(next=page.next), 1)
        assert [row.id for row in following.rows] == [make(2).id]
        second.ping()
    finally:
        second.close()


def test_a_batch_larger_than_any_socket_buffer(store: Store, org: str, make: Make) -> None:
    collection = store.create_collection(Kind.CHANNEL, "c", owner_org=org).id
    items = [make(number, note="x" * 60_000) for number in range(300)]
    fates = store.append_batches([Batch(collection, items), Batch(collection, items)])
    assert [fate.outcome for fate in fates[1]] == [Outcome.DUPLICATE] * 300
    assert store.verify_log(collection) == store.count(collection) == 300
