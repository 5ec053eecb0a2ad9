"""Where a client stands: the X-TAXII headers of empty pages; what collections say of themselves.

The standard (TAXII 2.1, section 3.2) wants the headers on every page, but not what they are on an
empty one. Clients take the last one as their next `added_after`, so that it must neither skip what
comes nor send them back to the beginning.
"""

from __future__ import annotations

import uuid

import pytest

from tests.interop.raw_http import STIX, Answer, Peer, ids, indicator, without

FIRST, LAST = "x-taxii-date-added-first", "x-taxii-date-added-last"
BEGINNING = "1970-01-01T00:00:00.000000Z"


def both(answer: Answer) -> set[str]:
    assert answer.status == 200
    return {answer.headers[FIRST], answer.headers[LAST]}


def places(peer: Peer, name: str) -> list[str]:
    (made,) = peer.stored(name, indicator())
    one = peer.objects(name, made["id"])
    return [peer.objects(name), f"{peer.collection(name)}manifest/", one, f"{one}versions/"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000000Z"),
        ("2999-01-01T00:00:00.5Z", "2999-01-01T00:00:00.500000Z"),
        ("2999-01-01T00:00:00.123456789Z", "2999-01-01T00:00:00.123456Z"),
    ],
)
def test_3_2_an_empty_page_repeats_added_after(peer: Peer, given: str, told: str) -> None:
    for path in places(peer, "rw1"):
        answer = peer.get(path, [("added_after", given)])
        assert answer.json == {}
        assert both(answer) == {told}, path


def test_3_2_an_empty_collection_begins_at_the_beginning(peer: Peer) -> None:
    for path in (peer.objects("ro"), f"{peer.collection('ro')}manifest/"):
        assert both(peer.get(path)) == {BEGINNING}


def test_3_2_an_empty_page_behind_next_stands_where_next_does(peer: Peer) -> None:
    """What the second page would have held is deleted before it is asked for."""
    after = peer.mark("rw2")
    made = peer.stored("rw2", *(indicator() for _ in range(3)))
    query = [("added_after", after), ("limit", "2")]
    page = peer.get(peer.objects("rw2"), query)
    assert ids(page.objects) == ids(made[:2])
    assert peer.ask("DELETE", peer.objects("rw2", made[2]["id"])).status == 200
    cursor = ("next", page.json["next"])
    for asked in ([*query, cursor], [cursor], [("limit", "2"), cursor]):
        empty = peer.get(peer.objects("rw2"), asked)
        assert empty.json == {}
        assert both(empty) == {page.headers[LAST]}
    ahead = [("added_after", "2999-01-01T00:00:00Z"), cursor]
    assert both(peer.get(peer.objects("rw2"), ahead)) == {"2999-01-01T00:00:00.000000Z"}


def test_3_2_polling_by_the_last_header_gives_each_object_once(peer: Peer) -> None:
    """With empty polls between, with and without `next`, and never a step back."""
    stand, got, made = peer.mark("rw2"), [], []
    for number in (0, 3, 0, 0, 5, 1, 0):
        made += peer.stored("rw2", *(indicator() for _ in range(number))) if number else []
        more = True
        query = [("added_after", stand), ("limit", "2")]
        while more:
            page = peer.get(peer.objects("rw2"), query)
            got += ids(page.objects)
            assert page.headers[LAST] >= stand
            stand, more = page.headers[LAST], page.json.get("more", False)
            query = [("added_after", stand), ("limit", "2")]
    assert got == ids(made)


def test_5_2_1_a_collection_names_every_media_type_that_it_stores(peer: Peer) -> None:
    shown = peer.get(peer.collection("rw1")).json["media_types"]
    assert shown[0] == STIX
    after = peer.mark("rw1")
    older = without(indicator(), "spec_version", "pattern_type")
    observable = {"type": "file", "id": f"file--{uuid.uuid4()}", "name": "x"}
    peer.stored("rw1", older, indicator(), observable)
    records = peer.get(f"{peer.collection('rw1')}manifest/", [("added_after", after)]).objects
    assert {record["media_type"] for record in records} == set(shown)
