"""Pages that are kept ready never tell what is no longer so; what is kept is bounded."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.server.segments import Key, Segment, Segments, key_of
from hub.settings import HubLimits, HubSettings, PushSettings
from hub.store.objects import new_object
from hub.store.records import Position
from hub.store.sqlite import SqliteStore
from hub.taxii.filters import EVERY, LAST, Filters, VersionFilter
from tests.unit.server.harness import Answer, House, indicator

LIMIT = 4
LATER = "2026-02-01T00:00:00.000Z"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path, kept(LIMIT)) as made:
        yield made


def kept(limit: int) -> HubSettings:
    limits = HubLimits(page_objects=limit, default_page_objects=limit)
    return HubSettings(limits=limits, push=PushSettings(segment_from=0))


def segments(house: House) -> Segments:
    found = house.app.state.segments
    assert isinstance(found, Segments)
    return found


def read(house: House, collection: str, **query: str) -> Answer:
    path = f"/stillwatch/collections/{collection}/objects/"
    return house.ask("GET", path, query=query, headers={"accept-encoding": "zstd"})


def names(answer: Answer) -> list[str]:
    return [each["name"] for each in answer.json.get("objects", [])]


def test_a_full_page_is_made_once(house: House) -> None:
    collection = house.plain(owner="rw")
    house.post(collection, *(indicator(number) for number in range(LIMIT + 1)))
    first, second = read(house, collection), read(house, collection)
    assert (first.raw, first.headers["etag"]) == (second.raw, second.headers["etag"])
    assert first.headers["x-taxii-date-added-last"] == second.headers["x-taxii-date-added-last"]
    assert (segments(house).hits, segments(house).misses) == (1, 1)
    # The next page is not full, and what is stored later belongs to it.
    rest = read(house, collection, next=first.json["next"])
    house.post(collection, indicator(9))
    assert names(read(house, collection, next=first.json["next"])) == [*names(rest), "number 9"]


def test_codings_are_kept_apart(house: House) -> None:
    collection = house.plain(owner="rw")
    house.post(collection, *(indicator(number) for number in range(LIMIT + 1)))
    path = f"/stillwatch/collections/{collection}/objects/"
    bodies = [
        house.ask("GET", path, headers={"accept-encoding": each}).body
        for each in ("zstd", "gzip", "identity") * 2
    ]
    assert len(set(bodies)) == 1
    assert segments(house).hits == 3


def test_a_deleted_object_is_in_no_kept_page(house: House, tmp_path: Path) -> None:
    """Also when another process deletes it."""
    collection = house.plain(owner="rw")
    house.post(collection, *(indicator(number) for number in range(LIMIT + 2)))
    held = read(house, collection)
    other = SqliteStore.open(tmp_path / "hub.db")
    other.delete(collection, indicator(1)["id"], EVERY)
    other.close()
    assert names(read(house, collection)) == ["number 0", "number 2", "number 3", "number 4"]
    path = f"/stillwatch/collections/{collection}/objects/"
    sent = {"accept-encoding": "zstd", "if-none-match": held.headers["etag"]}
    assert house.ask("GET", path, headers=sent).status == 200


def test_a_superseded_version_is_in_no_kept_page(house: House, tmp_path: Path) -> None:
    collection = house.plain(owner="rw")
    house.post(collection, *(indicator(number) for number in range(LIMIT + 2)))
    read(house, collection)
    other = SqliteStore.open(tmp_path / "hub.db")
    newer = indicator(1, modified=LATER, name="newer")
    other.append(collection, [new_object(newer, json.dumps(newer).encode())])
    other.close()
    assert "number 1" not in names(read(house, collection))
    # The same through this process.
    house.post(collection, indicator(0, modified=LATER, name="newer too"))
    assert "number 0" not in names(read(house, collection))


def test_what_forgets_generations_is_caught(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of the two checks above: without the generation a page would be stale."""
    true = house.store.positions

    def blind(collection_ids: Any) -> dict[str, Position]:
        found = true(collection_ids)
        return {each: position._replace(generation=0) for each, position in found.items()}

    monkeypatch.setattr(house.store, "positions", blind)
    collection = house.plain(owner="rw")
    house.post(collection, *(indicator(number) for number in range(LIMIT + 2)))
    read(house, collection)
    house.store.delete(collection, indicator(1)["id"], EVERY)
    assert "number 1" in names(read(house, collection))


def test_rights_are_asked_of_a_kept_page(house: House) -> None:
    org = house.org("reader")
    collection = house.plain(owner="rw", reader="r")
    house.post(collection, *(indicator(number) for number in range(LIMIT + 1)))
    path = f"/stillwatch/collections/{collection}/objects/"
    assert house.ask("GET", path, who="reader").status == 200
    house.store.set_grant(collection, org.id, can_read=False, can_write=False)
    assert house.ask("GET", path, who="reader").status == 404


@pytest.mark.parametrize(
    ("filters", "is_kept"),
    [
        (Filters(), True),
        (Filters(types=frozenset({"indicator"})), True),
        (Filters(spec_versions=frozenset({"2.1"})), True),
        (Filters(spec_versions=frozenset({"2.0"})), False),
        (Filters(spec_versions=frozenset({"2.0", "2.1"})), False),
        (Filters(ids=frozenset({"indicator--1"})), False),
        (Filters(versions=EVERY), False),
        (Filters(versions=VersionFilter(first=True)), False),
        (Filters(types=frozenset(f"x-{number}" for number in range(5))), False),
    ],
)
def test_which_pages_are_kept(filters: Filters, is_kept: bool) -> None:
    assert (key_of("e", "c", 0, filters, None, 10) is not None) is is_kept


KEY = Key("e", "c", 0, None, 10, frozenset(), frozenset())


def segment(size: int) -> Segment:
    return Segment(bytes(size), "zstd", '"t"', "f", "l", 1, size)


def test_memory_is_bounded_and_the_oldest_goes() -> None:
    kept = Segments(10_000, 10)
    for position in range(5):
        kept.keep(replace(KEY, position=position), segment(2000))
        kept.find(replace(KEY, position=0), "zstd")
    assert kept.bytes <= 10_000
    assert kept.find(replace(KEY, position=0), "zstd") is not None
    assert kept.find(replace(KEY, position=1), "zstd") is None
    assert kept.find(replace(KEY, position=4), "zstd") is not None
    kept.keep(replace(KEY, position=9), segment(20_000))
    kept.keep(replace(KEY, position=10), segment(5))
    assert kept.find(replace(KEY, position=9), "zstd") is None
    assert kept.find(replace(KEY, position=10), "zstd") is None


def test_pages_of_an_earlier_generation_go() -> None:
    kept = Segments(100_000, 10)
    kept.keep(KEY, segment(100))
    kept.keep(replace(KEY, collection_id="other"), segment(100))
    kept.keep(replace(KEY, generation=1, position=5), segment(100))
    # One that was being made when another process deleted something.
    kept.keep(replace(KEY, position=6), segment(100))
    assert kept.find(KEY, "zstd") is None
    assert kept.find(replace(KEY, position=6), "zstd") is None
    assert kept.find(replace(KEY, collection_id="other"), "zstd") is not None
    assert kept.bytes < 3000


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 9), st.integers(1, 4)),
        st.tuples(st.just("delete"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("read"), st.integers(0, 3), st.just(0)),
    ),
    min_size=4,
    max_size=25,
)


@given(OPERATIONS)
@settings(max_examples=25, deadline=None)
def test_what_is_kept_equals_what_is_made_anew(operations: list[tuple[str, int, int]]) -> None:
    """Whatever is added, superseded and deleted: each page is what the store would give now."""
    with tempfile.TemporaryDirectory() as folder, House(Path(folder), kept(2)) as house:
        collection = house.plain(owner="rw")
        house.post(collection, *(indicator(number) for number in range(5)))
        for what, number, version in operations:
            if what == "add":
                modified = f"2026-0{version}-02T00:00:00.000Z"
                house.post(collection, indicator(number, modified=modified, name=f"{version}"))
            elif what == "delete":
                house.store.delete(collection, indicator(number)["id"], EVERY)
            cursor: dict[str, str] = {}
            for _ in range(number if what == "read" else 0):
                page = read(house, collection, **cursor).json
                if not page.get("more"):
                    break
                cursor = {"next": page["next"]}
            shown = read(house, collection, **cursor).json.get("objects", [])
            asked = Filters(versions=LAST, next=cursor.get("next"))
            true = [json.loads(row.raw) for row in house.store.page(collection, asked, 2).rows]
            assert shown == true
