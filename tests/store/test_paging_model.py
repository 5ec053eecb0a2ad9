"""Contract: whatever is written, deleted and restarted meanwhile, paging and the log miss nothing.

The model is a list in order of arrival. Pollers of several habits (following `next`, or asking
`added_after` the last date they saw, with small and large pages) go on at any moment.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from hub.store.interface import Store
from hub.store.objects import version_key
from hub.store.records import Kind, NewObject, Outcome
from hub.taxii.filters import EVERY, LAST, Filters, VersionFilter
from hub.taxii.times import to_micros
from tests.store.conftest import STORES, Clocks, give_back_databases, make_object

_TIMES = [f"2026-01-0{day}T00:00:00.000Z" for day in (1, 2, 3)]


@dataclass
class _Stored:
    date_added: int
    item: NewObject

    @property
    def key(self) -> tuple[str, int]:
        return self.item.id, version_key(self.item.version)


@dataclass
class _Poller:
    """Remembers what it saw and where it goes on."""

    filters: Filters
    by_next: bool
    limit: int
    position: int = -1
    seen: list[int] = field(default_factory=list)


class PagingMachine(RuleBasedStateMachine):
    """One collection, its model, and pollers between writes."""

    store_name = "sqlite"

    @initialize()
    def open(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._clocks = Clocks()
        self._store = self._reopened()
        org = self._store.create_org("Lab").id
        self._collection = self._store.create_collection(Kind.CHANNEL, "t", owner_org=org).id
        self._rows: list[_Stored] = []
        self._leaves: list[bytes] = []
        self._pollers = [
            _Poller(Filters(versions=EVERY), by_next=True, limit=2),
            _Poller(Filters(versions=EVERY), by_next=False, limit=3),
            _Poller(Filters(versions=EVERY, types=frozenset({"campaign"})), by_next=True, limit=1),
        ]

    def _reopened(self) -> Store:
        return STORES[self.store_name](Path(self._folder.name), self._clocks)

    @rule(
        numbers=st.lists(
            st.tuples(
                st.integers(0, 5),
                st.sampled_from([None, *_TIMES]),
                st.sampled_from(["indicator", "campaign"]),
                st.booleans(),
            ),
            max_size=5,
        ),
        passed=st.integers(-40, 40),
    )
    def append(self, numbers: list[tuple[int, str | None, str, bool]], passed: int) -> None:
        self._clocks.wall += passed * 1_000_000 if passed > 0 else passed
        self._clocks.steady += max(passed, 0)
        items = [
            make_object(number, modified=time, type=kind, revoked=revoked)
            for number, time, kind, revoked in numbers
        ]
        for item, fate in zip(items, self._store.append(self._collection, items), strict=True):
            known = {row.key: row for row in self._rows}.get((item.id, version_key(item.version)))
            if known is None:
                assert fate.outcome is Outcome.STORED
                self._rows.append(_Stored(fate.date_added, item))
                self._leaves.append(hashlib.sha256(item.raw).digest())
            else:
                same = known.item.raw == item.raw
                assert fate.outcome is (Outcome.DUPLICATE if same else Outcome.CONFLICT)
                assert fate.date_added == known.date_added

    @rule(number=st.integers(0, 5), wanted=st.sampled_from([LAST, EVERY]))
    def delete(self, number: int, wanted: VersionFilter) -> None:
        object_id = make_object(number).id
        versions = [row.key[1] for row in self._rows if row.item.id == object_id]
        gone = set(versions) if wanted is EVERY else {max(versions)} if versions else set()
        assert self._store.delete(self._collection, object_id, wanted) == len(gone)
        self._rows = [
            row for row in self._rows if row.item.id != object_id or row.key[1] not in gone
        ]

    @rule(which=st.integers(0, 2))
    def poll(self, which: int) -> None:
        poller = self._pollers[which]
        filters = replace(
            poller.filters, added_after=None if poller.position < 0 else poller.position
        )
        expected = [
            row
            for row in self._rows
            if row.date_added > poller.position
            and (not filters.types or row.item.type in filters.types)
        ]
        while True:
            page = self._store.page(self._collection, filters, poller.limit)
            wanted, expected = expected[: poller.limit], expected[poller.limit :]
            assert [(row.date_added, row.raw) for row in page.rows] == [
                (row.date_added, row.item.raw) for row in wanted
            ]
            poller.seen.extend(row.date_added for row in page.rows)
            assert page.more == bool(expected)
            if page.rows:
                poller.position = page.rows[-1].date_added
            if not page.more:
                break
            if poller.by_next:
                filters = replace(filters, next=page.next)
            else:
                assert page.last_added is not None
                filters = replace(filters, added_after=to_micros(page.last_added))

    @rule()
    def restart(self) -> None:
        self._store.close()
        self._store = self._reopened()

    @invariant()
    def each_poller_sees_each_object_once_and_in_order(self) -> None:
        for poller in getattr(self, "_pollers", []):
            assert poller.seen == sorted(set(poller.seen))

    @invariant()
    def the_latest_versions_are_the_greatest(self) -> None:
        if not hasattr(self, "_rows"):
            return
        latest: dict[str, _Stored] = {}
        for row in self._rows:
            known = latest.get(row.item.id)
            if known is None or row.key[1] > known.key[1]:
                latest[row.item.id] = row
        expected = sorted(row.date_added for row in latest.values())
        page = self._store.page(self._collection, Filters(), 100)
        assert [row.date_added for row in page.rows] == expected

    @invariant()
    def the_log_is_everything_ever_stored(self) -> None:
        if hasattr(self, "_leaves"):
            size = self._store.log_size(self._collection)
            assert self._store.log_digests(self._collection, 0, size) == self._leaves

    def teardown(self) -> None:
        if hasattr(self, "_store"):
            assert self._store.verify_log(self._collection) == len(self._leaves)
            self._store.close()
            give_back_databases(Path(self._folder.name))
            self._folder.cleanup()


@pytest.mark.parametrize("name", sorted(STORES))
def test_paging_agrees_with_the_model(name: str) -> None:
    class Machine(PagingMachine):
        store_name = name

    # Each example of PostgreSQL empties a database and opens it several times.
    examples = 60 if name == "sqlite" else 12
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples, stateful_step_count=25, deadline=None, derandomize=True
        ),
    )
    assert Machine.store_name == name
