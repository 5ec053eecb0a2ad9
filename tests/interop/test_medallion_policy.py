"""A site that runs medallion over a hub's store lets nobody past ceilings, clearances, opt-ins."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.model.markings import TLP
from hub.store.medallion import HubBackend
from hub.store.records import Kind
from hub.store.sqlite import SqliteStore
from tests.unit.server.harness import indicator

ROOT = "stillwatch"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore.open(tmp_path / "hub.db")
    yield opened
    opened.close()


def readable(tmp_path: Path, org: str, collection: str) -> object:
    found = HubBackend(path=str(tmp_path / "hub.db"), org=org).get_collection(ROOT, collection)
    return None if found is None else found["can_read"]


@pytest.mark.parametrize(
    ("ceiling", "clearance", "wanted"),
    [
        (None, None, True),
        (TLP.GREEN, TLP.GREEN, True),
        (TLP.AMBER, TLP.GREEN, None),
        (None, TLP.RED, None),
    ],
)
def test_a_clearance_reaches_as_far_as_on_the_hub(
    store: SqliteStore, tmp_path: Path, ceiling: TLP | None, clearance: TLP | None, wanted: object
) -> None:
    lab, reader = store.create_org("lab").id, store.create_org("reader").id
    place = store.create_collection(Kind.PLAIN, "p", owner_org=lab).id
    store.set_ceiling(place, ceiling)
    store.set_grant(place, reader, can_read=True, can_write=False, clearance=clearance)
    assert readable(tmp_path, "reader", place) is wanted


def test_a_government_reads_its_own_alone(store: SqliteStore, tmp_path: Path) -> None:
    lab, ministry = store.create_org("lab").id, store.create_org("ministry", government=True).id
    place = store.create_collection(Kind.PLAIN, "p", owner_org=lab).id
    store.set_grant(place, ministry, can_read=True, can_write=False)
    store.open_to_government(place, opened=True)
    own = store.create_collection(Kind.PLAIN, "o", owner_org=ministry).id
    assert readable(tmp_path, "ministry", place) is None
    assert readable(tmp_path, "ministry", own) is True


def test_a_ceiling_holds_what_is_marked_higher_back(store: SqliteStore, tmp_path: Path) -> None:
    lab = store.create_org("lab").id
    place = store.create_collection(Kind.PLAIN, "p", owner_org=lab).id
    store.set_ceiling(place, TLP.AMBER)
    backend = HubBackend(path=str(tmp_path / "hub.db"), org="lab")
    red = indicator(2, object_marking_refs=[TLP.RED.id])
    posted = {"objects": [indicator(1), red]}
    status = backend.add_objects(ROOT, place, posted, datetime.now(UTC))
    assert (status["success_count"], status["failure_count"]) == (1, 1)
    assert status["failures"][0]["id"] == red["id"]
    assert "TLP:AMBER" in status["failures"][0]["message"]
    assert store.count(place) == 1
