"""TAXII 2.1 (OASIS Standard) from outside: order, filters and pages (sections 3.3 to 3.5).

As `test_taxii_conformance.py`, a test a rule, over raw HTTP to a hub in a process of its own.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.faults.hub_process import HubProcess
from tests.interop.raw_http import Answer, Peer, ids, indicator, without

OLDEST, MIDDLE, NEWEST = (f"2026-0{month}-01T00:00:00.000Z" for month in (1, 2, 3))


def malware(object_id: str) -> dict[str, Any]:
    """Another type."""
    return {
        **without(indicator(), "pattern", "pattern_type", "valid_from"),
        "type": "malware",
        "id": object_id.replace("indicator", "malware"),
        "is_family": False,
    }


def old_style(obj: dict[str, Any]) -> dict[str, Any]:
    """The object as STIX 2.0 writes it: without spec_version."""
    return without(obj, "spec_version", "pattern_type")


def three_versions(peer: Peer) -> list[dict[str, Any]]:
    """One object, stored in an order that is not that of its versions."""
    made = indicator(modified=MIDDLE)
    others = [indicator(made["id"], modified=stamp) for stamp in (NEWEST, OLDEST)]
    return peer.stored("rw1", made, *others)


def pages(peer: Peer, path: str, query: list[tuple[str, str]]) -> list[Answer]:
    """Every page, by `next`."""
    found = [peer.get(path, query)]
    while found[-1].json.get("more"):
        found.append(peer.get(path, [*query, ("next", found[-1].json["next"])]))
        assert len(found) < 100
    return found


# -- order and added_after ---------------------------------------------------------------------


def test_3_3_objects_and_manifest_by_date_added_ascending(peer: Peer) -> None:
    """Oldest addition first, whatever `created` and `modified` say."""
    after = peer.mark("rw1")
    made = [peer.stored("rw1", indicator(modified=stamp))[0] for stamp in (NEWEST, OLDEST, MIDDLE)]
    for tail in ("objects/", "manifest/"):
        answer = peer.get(peer.collection("rw1") + tail, [("added_after", after)])
        assert ids(answer.objects) == ids(made)
    stamps = [record["date_added"] for record in answer.objects]
    assert stamps == sorted(set(stamps))


def test_3_4_added_after_is_exclusive(peer: Peer) -> None:
    after = peer.mark("rw1")
    made = peer.stored("rw1", *(indicator() for _ in range(4)))
    manifest = f"{peer.collection('rw1')}manifest/"
    for record in peer.get(manifest, [("added_after", after)]).objects:
        query = [("added_after", record["date_added"])]
        rest = made[ids(made).index(record["id"]) + 1 :]
        assert ids(peer.get(peer.objects("rw1"), query).objects) == ids(rest)
        assert ids(peer.get(manifest, query).objects) == ids(rest)


def test_3_4_added_after_on_object_and_versions(peer: Peer) -> None:
    made = three_versions(peer)
    path = peer.objects("rw1", made[0]["id"])
    last = peer.get(path, [("match[version]", "all")]).headers["x-taxii-date-added-last"]
    for tail in ("", "versions/"):
        answer = peer.get(path + tail, [("added_after", last)])
        assert (answer.status, answer.json) == (200, {})


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123456789Z"])
def test_3_4_added_after_with_any_precision(peer: Peer, text: str) -> None:
    peer.stored("rw2", indicator())
    assert peer.get(peer.objects("rw2"), [("added_after", text)]).objects != []


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "",
        "2026-01-01",
        "2026-13-01T00:00:00Z",
        "2026-01-01T00:00:00",
        "1700000000",
        "2026-01-01T00:00:00+02:00",
        "2026-01-01T00:00:00Z\x00",
    ],
)
def test_3_4_added_after_that_is_no_timestamp_400(peer: Peer, text: str) -> None:
    for tail in ("objects/", "manifest/"):
        answer = peer.get(peer.collection("rw1") + tail, [("added_after", text)])
        assert (answer.status, answer.json["http_status"]) == (400, "400")


def test_3_4_added_after_in_the_future_is_empty(peer: Peer) -> None:
    answer = peer.get(peer.objects("rw1"), [("added_after", "2999-01-01T00:00:00.000Z")])
    assert (answer.status, answer.json) == (200, {})


# -- match -------------------------------------------------------------------------------------


def test_3_4_1_match_id(peer: Peer) -> None:
    made = peer.stored("rw1", *(indicator() for _ in range(3)))
    for tail in ("objects/", "manifest/"):
        path = peer.collection("rw1") + tail
        assert ids(peer.get(path, [("match[id]", made[1]["id"])]).objects) == [made[1]["id"]]
        two = f"{made[2]['id']},{made[0]['id']}"
        assert ids(peer.get(path, [("match[id]", two)]).objects) == ids([made[0], made[2]])
        assert peer.get(path, [("match[id]", indicator()["id"])]).json == {}


def test_3_4_1_match_type(peer: Peer) -> None:
    one = indicator()
    peer.stored("rw1", one, malware(one["id"]))
    both = f"{one['id']},{malware(one['id'])['id']}"
    for tail in ("objects/", "manifest/"):
        path = peer.collection("rw1") + tail
        for types, count in (("malware", 1), ("indicator,malware", 2), ("tool", 0)):
            query = [("match[id]", both), ("match[type]", types)]
            assert len(peer.get(path, query).objects) == count, types


def test_3_4_1_match_version_default_is_the_latest_alone(peer: Peer) -> None:
    made = three_versions(peer)
    one = peer.objects("rw1", made[0]["id"])
    for answer in (
        peer.get(peer.objects("rw1"), [("match[id]", made[0]["id"])]),
        peer.get(one),
        peer.get(one, [("match[version]", "last")]),
    ):
        assert [obj["modified"] for obj in answer.objects] == [NEWEST]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("first", [OLDEST]),
        ("last", [NEWEST]),
        ("first,last", [NEWEST, OLDEST]),
        ("all", [MIDDLE, NEWEST, OLDEST]),
        ("all,first", [MIDDLE, NEWEST, OLDEST]),
        (MIDDLE, [MIDDLE]),
        (MIDDLE.replace(".000", ""), [MIDDLE]),
        (f"{OLDEST},last", [NEWEST, OLDEST]),
        (f"{OLDEST},{MIDDLE}", [MIDDLE, OLDEST]),
        ("2020-01-01T00:00:00.000Z", []),
    ],
)
def test_3_4_1_match_version(peer: Peer, wanted: str, expected: list[str]) -> None:
    made = three_versions(peer)
    query = [("match[version]", wanted)]
    one = peer.get(peer.objects("rw1", made[0]["id"]), query)
    assert [obj["modified"] for obj in one.objects] == expected
    query.append(("match[id]", made[0]["id"]))
    assert [obj["modified"] for obj in peer.get(peer.objects("rw1"), query).objects] == expected
    manifest = peer.get(f"{peer.collection('rw1')}manifest/", query)
    assert [record["version"] for record in manifest.objects] == expected


@pytest.mark.parametrize("wanted", ["newest", "", "first,,last", "2026-01-01", "last,x"])
def test_3_4_1_match_version_that_is_none_400(peer: Peer, wanted: str) -> None:
    assert peer.get(peer.objects("rw1"), [("match[version]", wanted)]).status == 400


def test_3_4_1_match_spec_version_across_objects(peer: Peer) -> None:
    new, old = indicator(), old_style(indicator())
    peer.stored("rw1", new, old)
    asked = ("match[id]", f"{new['id']},{old['id']}")
    for tail in ("objects/", "manifest/"):
        path = peer.collection("rw1") + tail
        for spec, expected in (
            ("2.1", [new]),
            ("2.0", [old]),
            ("2.0,2.1", [new, old]),
            ("9.9", []),
        ):
            found = peer.get(path, [asked, ("match[spec_version]", spec)]).objects
            assert ids(found) == ids(expected), spec
        assert ids(peer.get(path, [asked]).objects) == ids([new, old])


def test_3_4_1_without_match_spec_version_only_the_latest_one_of_each_object(peer: Peer) -> None:
    """An object kept in two specification versions: the newer one's latest version, no other."""
    new = indicator(modified=OLDEST)
    newer = indicator(new["id"], modified=MIDDLE)
    old = old_style(indicator(new["id"], modified=NEWEST))
    peer.stored("rw1", new, newer, old)
    one = peer.objects("rw1", new["id"])
    assert peer.get(one).objects == [newer]
    assert peer.get(peer.objects("rw1"), [("match[id]", new["id"])]).objects == [newer]
    assert peer.get(one, [("match[version]", "all")]).objects == [new, newer]
    assert peer.get(one, [("match[version]", "first")]).objects == [new]
    assert peer.get(one, [("match[version]", NEWEST)]).json == {}
    assert peer.get(f"{one}versions/").json["versions"] == [OLDEST, MIDDLE]


def test_3_4_1_match_spec_version_then_match_version(peer: Peer) -> None:
    """`last` is the last of those of the wanted specification version."""
    old = [old_style(indicator(modified=OLDEST))]
    old.append({**old[0], "modified": MIDDLE})
    new = indicator(old[0]["id"], modified=NEWEST)
    peer.stored("rw1", *old, new)
    one = peer.objects("rw1", new["id"])
    wanted = ("match[spec_version]", "2.0")
    assert peer.get(one, [wanted]).objects == [old[1]]
    assert peer.get(one, [wanted, ("match[version]", "first")]).objects == [old[0]]
    assert peer.get(one, [wanted, ("match[version]", "all")]).objects == old
    assert peer.get(f"{one}versions/", [wanted]).json["versions"] == [OLDEST, MIDDLE]
    both = peer.get(one, [("match[spec_version]", "2.0,2.1"), ("match[version]", "all")])
    assert both.objects == [*old, new]


def test_3_4_1_one_version_in_both_specification_versions(peer: Peer) -> None:
    new = indicator()
    old = old_style(new)
    peer.stored("rw1", old, new)
    one = peer.objects("rw1", new["id"])
    assert peer.get(one).objects == [new]
    assert peer.get(one, [("match[spec_version]", "2.0")]).objects == [old]
    assert peer.get(one, [("match[spec_version]", "2.0,2.1")]).objects == [old, new]
    assert peer.get(f"{one}versions/").json["versions"] == [new["modified"]]
    both = peer.get(f"{one}versions/", [("match[spec_version]", "2.0,2.1")])
    assert both.json["versions"] == [new["modified"]]
    assert peer.ask("DELETE", one, [("match[spec_version]", "2.1")]).status == 200
    assert peer.get(one).objects == [old]
    assert peer.ask("DELETE", one).status == 200
    assert peer.get(one).status == 404


def test_3_4_filters_combine(peer: Peer) -> None:
    after = peer.mark("rw1")
    made = three_versions(peer)
    other = malware(made[0]["id"])
    peer.stored("rw1", other, indicator())
    query = [
        ("added_after", after),
        ("match[type]", "indicator,malware"),
        ("match[id]", f"{made[0]['id']},{other['id']}"),
        ("match[version]", "first,last"),
        ("match[spec_version]", "2.1"),
        ("limit", "10"),
    ]
    found = peer.get(peer.objects("rw1"), query).objects
    assert found == [made[1], made[2], other]


def test_3_4_1_percent_encoded_and_repeated_match(peer: Peer) -> None:
    made = peer.stored("rw1", indicator(), indicator())
    path = peer.objects("rw1")
    joined = ",".join(ids(made))
    spellings = (
        f"match%5Bid%5D={joined}",
        f"match[id]={joined}",
        f"match[id]={joined.replace(',', '%2C')}",
        f"match[id]={made[0]['id']}&match[id]={made[1]['id']}",
        f"match[id]={joined.replace('-', '%2D')}",
    )
    for spelling in spellings:
        answer = peer.get(f"{path}?{spelling}")
        assert ids(answer.objects) == ids(made), spelling


def test_3_4_a_match_field_that_is_unknown_400(peer: Peer) -> None:
    """Ignoring it would answer more than was asked for."""
    assert peer.get(peer.objects("rw1"), [("match[name]", "x")]).status == 400


def test_3_4_other_unknown_parameters_are_ignored(peer: Peer) -> None:
    (made,) = peer.stored("rw1", indicator())
    query = [("match[id]", made["id"]), ("utm", "x"), ("Limit", "0"), ("", "")]
    assert peer.get(peer.objects("rw1"), query).objects == [made]
    assert peer.get(peer.root, [("limit", "0")]).status == 200


# -- limit, more and next ----------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["0", "-1", "1.5", "many", "", "+1", "0x10", " 1", "1e3", "٣"])
def test_3_5_limit_that_is_no_positive_number_400(peer: Peer, limit: str) -> None:
    for tail in ("objects/", "manifest/"):
        assert peer.get(peer.collection("rw1") + tail, [("limit", limit)]).status == 400


@pytest.mark.parametrize("limit", ["1000000", "99999999999999999999999999"])
def test_3_5_a_huge_limit_is_the_servers_own(peer: Peer, limit: str) -> None:
    peer.stored("rw2", indicator())
    answer = peer.get(peer.objects("rw2"), [("limit", limit)])
    assert answer.status == 200
    assert answer.objects != []


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
def test_3_5_pages_give_each_object_once_in_order(peer: Peer, limit: int) -> None:
    after = peer.mark("rw1")
    made = peer.stored("rw1", *(indicator() for _ in range(7)))
    query = [("added_after", after), ("limit", str(limit))]
    found = pages(peer, peer.objects("rw1"), query)
    assert [obj for page in found for obj in page.objects] == made
    assert len(found) == -(-7 // limit)
    for page in found:
        assert 0 < len(page.objects) <= limit
        assert bool(page.json.get("more")) is ("next" in page.json)
    lasts = [page.headers["x-taxii-date-added-last"] for page in found]
    firsts = [page.headers["x-taxii-date-added-first"] for page in found]
    assert all(last < first for last, first in zip(lasts, firsts[1:], strict=False))


def test_3_5_next_can_be_repeated(peer: Peer) -> None:
    """A lost answer is asked for again, also after objects were added."""
    after = peer.mark("rw1")
    made = peer.stored("rw1", *(indicator() for _ in range(5)))
    query = [("added_after", after), ("limit", "2")]
    following = [*query, ("next", peer.get(peer.objects("rw1"), query).json["next"])]
    first = peer.get(peer.objects("rw1"), following)
    peer.stored("rw1", indicator())
    assert peer.get(peer.objects("rw1"), following).json == first.json
    assert first.objects == made[2:4]


def test_3_5_next_goes_on_with_and_without_the_other_filters(peer: Peer) -> None:
    after = peer.mark("rw1")
    made = peer.stored("rw1", *(indicator() for _ in range(4)))
    cursor = peer.get(peer.objects("rw1"), [("added_after", after), ("limit", "2")]).json["next"]
    for query in ([("next", cursor)], [("next", cursor), ("added_after", after)]):
        assert peer.get(peer.objects("rw1"), query).objects == made[2:]
    wanted = [("next", cursor), ("match[id]", made[3]["id"])]
    assert peer.get(peer.objects("rw1"), wanted).objects == made[3:]


def test_3_5_next_on_one_object(peer: Peer) -> None:
    made = three_versions(peer)
    query = [("match[version]", "all"), ("limit", "1")]
    found = pages(peer, peer.objects("rw1", made[0]["id"]), query)
    assert [obj for page in found for obj in page.objects] == made


def test_3_5_manifest_and_versions_page_by_next(peer: Peer) -> None:
    """Their endpoints take `next`; taxii2-client goes on by nothing else."""
    made = three_versions(peer)
    after = peer.mark("rw1")
    others = peer.stored("rw1", *(indicator() for _ in range(5)))
    query = [("added_after", after), ("limit", "2")]
    found = pages(peer, f"{peer.collection('rw1')}manifest/", query)
    assert [one["id"] for page in found for one in page.objects] == ids(others)
    path = f"{peer.objects('rw1', made[0]['id'])}versions/"
    listed = pages(peer, path, [("limit", "2")])
    assert [page.json["versions"] for page in listed] == [[MIDDLE, NEWEST], [OLDEST]]
    assert all(bool(page.json.get("more")) is ("next" in page.json) for page in (*found, *listed))


def test_3_5_manifest_and_versions_page_by_added_after(peer: Peer) -> None:
    """The standard's resources have no `next`: the last date added is where to go on."""
    made = three_versions(peer)
    after = peer.mark("rw1")
    others = peer.stored("rw1", *(indicator() for _ in range(5)))
    got: list[str] = []
    more = True
    while more:
        query = [("added_after", after), ("limit", "2")]
        page = peer.get(f"{peer.collection('rw1')}manifest/", query)
        got += ids(page.objects)
        more, after = page.json.get("more", False), page.headers["x-taxii-date-added-last"]
    assert got == ids(others)
    path = f"{peer.objects('rw1', made[0]['id'])}versions/"
    first = peer.get(path, [("limit", "2")])
    assert (first.json["more"], first.json["versions"]) == (True, [MIDDLE, NEWEST])
    rest = peer.get(path, [("added_after", first.headers["x-taxii-date-added-last"])])
    assert rest.json == {"more": False, "versions": [OLDEST]}


def test_3_5_a_tampered_next_400(peer: Peer) -> None:
    after = peer.mark("rw1")
    peer.stored("rw1", indicator(), indicator())
    cursor = peer.get(peer.objects("rw1"), [("added_after", after), ("limit", "1")]).json["next"]
    mangled = base64.urlsafe_b64encode(b"\x00" + base64.urlsafe_b64decode(cursor)[1:]).decode()
    wrong = [mangled, cursor[:-1], f"{cursor}A", cursor[::-1], "0", "", "a" * 5000, "\x00", "☃"]
    for text in wrong:
        answer = peer.get(peer.objects("rw1"), [("next", text)])
        assert (answer.status, answer.json["http_status"]) == (400, "400"), text
    # A place in one collection is none in another.
    assert peer.get(peer.objects("rw2"), [("next", cursor)]).status == 400


@pytest.mark.parametrize(
    ("name", "values"),
    [("limit", ("1", "2")), ("added_after", ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"))],
)
def test_3_4_a_scalar_with_two_values_400(peer: Peer, name: str, values: tuple[str, str]) -> None:
    path = peer.objects("rw1")
    assert peer.get(path, [(name, values[0]), (name, values[0])]).status == 200
    assert peer.get(path, [(name, value) for value in values]).status == 400


def test_3_5_objects_added_while_paging_come_at_the_end(peer: Peer) -> None:
    after = peer.mark("rw1")
    made = peer.stored("rw1", *(indicator() for _ in range(3)))
    query = [("added_after", after), ("limit", "2")]
    cursor = peer.get(peer.objects("rw1"), query).json["next"]
    made += peer.stored("rw1", indicator())
    assert peer.get(peer.objects("rw1"), [*query, ("next", cursor)]).objects == made[2:]


def test_3_5_an_object_deleted_between_pages_moves_nothing(peer: Peer) -> None:
    after = peer.mark("rw1")
    made = peer.stored("rw1", *(indicator() for _ in range(4)))
    query = [("added_after", after), ("limit", "2")]
    cursor = peer.get(peer.objects("rw1"), query).json["next"]
    assert peer.ask("DELETE", peer.objects("rw1", made[0]["id"])).status == 200
    assert peer.get(peer.objects("rw1"), [*query, ("next", cursor)]).objects == made[2:]


def test_3_5_next_survives_a_restart(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        peer = Peer(hub)
        made = peer.stored("rw1", *(indicator() for _ in range(4)))
        cursor = peer.get(peer.objects("rw1"), [("limit", "3")]).json["next"]
        hub.kill()
        hub.start()
        again = Peer(hub)
        assert again.get(again.objects("rw1"), [("next", cursor)]).objects == made[3:]
