"""TAXII 2.1 over HTTP, endpoint by endpoint, as sections 4 and 5 of the standard say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.store.records import Kind
from tests.unit.server.harness import TAXII, House, indicator

ROOT = "/stillwatch/"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as made:
        yield made


@pytest.fixture
def rw(house: House) -> str:
    return house.plain(owner="rw")


def objects(collection: str) -> str:
    return f"{ROOT}collections/{collection}/objects/"


def test_discovery_names_the_api_root(house: House) -> None:
    answer = house.ask("GET", "/taxii2/")
    assert answer.status == 200
    assert answer.headers["content-type"] == TAXII
    assert answer.json["default"] == "http://hub.example/stillwatch/"
    assert answer.json["default"] in answer.json["api_roots"]


def test_api_root_announces_version_and_size(house: House) -> None:
    answer = house.ask("GET", ROOT)
    assert answer.json["versions"] == [TAXII]
    assert answer.json["max_content_length"] == house.settings.limits.content_length


def test_collections_lists_what_may_be_known(house: House) -> None:
    house.org("reader")
    seen = house.plain(reader="r", owner="rw")
    house.plain(owner="rw")
    listed = house.ask("GET", f"{ROOT}collections/", who="reader").json["collections"]
    assert [(one["id"], one["can_read"], one["can_write"]) for one in listed] == [
        (seen, True, False)
    ]
    house.org("stranger")
    assert house.ask("GET", f"{ROOT}collections/", who="stranger").json == {}


def test_collection_by_id_and_alias(house: House) -> None:
    made = house.store.create_collection(
        Kind.PLAIN, "named", owner_org=house.owner.id, alias="feed"
    )
    house.store.set_grant(made.id, house.owner.id, can_read=True, can_write=True)
    for name in (made.id, "feed"):
        assert house.ask("GET", f"{ROOT}collections/{name}/").json["id"] == made.id


def test_post_then_status_then_get(house: House, rw: str) -> None:
    posted = house.post(rw, indicator(1), indicator(2))
    assert posted.status == 202
    assert posted.headers["content-type"] == TAXII
    status = posted.json
    assert (status["status"], status["total_count"], status["success_count"]) == ("complete", 2, 2)
    assert (status["failure_count"], status["pending_count"]) == (0, 0)
    assert "failures" not in status
    later = house.ask("GET", f"{ROOT}status/{status['id']}/")
    assert later.json == status
    page = house.ask("GET", objects(rw)).json
    assert page["objects"] == [indicator(1), indicator(2)]
    assert page["more"] is False


def test_status_is_for_its_poster(house: House, rw: str) -> None:
    house.org("other")
    status_id = house.post(rw, indicator(1)).json["id"]
    assert house.ask("GET", f"{ROOT}status/{status_id}/", who="other").status == 404
    assert house.ask("GET", f"{ROOT}status/{'0' * 36}/").status == 404


def test_one_bad_object_does_not_spoil_the_others(house: House, rw: str) -> None:
    bad = [
        indicator(10, modified="yesterday"),
        {**indicator(11), "type": "malware"},
        {**indicator(12), "id": "indicator--x"},
        {**indicator(13), "spec_version": "9.9"},
        {**indicator(15), "spec_version": ["2.1"]},
        {**indicator(14), "created": 7},
        {"no": "id"},
        {"type": "bundle", "id": "bundle--" + indicator(1)["id"][11:], "objects": []},
    ]
    posted = house.post(rw, indicator(1), *bad, indicator(2))
    assert posted.status == 202
    assert posted.json["success_count"] == 2
    assert posted.json["failure_count"] == len(bad)
    assert all(one["id"] and one["version"] and one["message"] for one in posted.json["failures"])
    assert house.ask("GET", objects(rw)).json["objects"] == [indicator(1), indicator(2)]


def test_same_body_again_succeeds_another_body_fails(house: House, rw: str) -> None:
    house.post(rw, indicator(1))
    again = house.post(rw, indicator(1)).json
    assert (again["success_count"], again["failure_count"]) == (1, 0)
    other = house.post(rw, {**indicator(1), "name": "another"}).json
    assert (other["success_count"], other["failure_count"]) == (0, 1)
    assert house.ask("GET", objects(rw)).json["objects"] == [indicator(1)]


def test_paging_gives_each_object_once_in_order(house: House, rw: str) -> None:
    house.post(rw, *(indicator(number) for number in range(25)))
    got: list[str] = []
    query = {"limit": "10"}
    while True:
        answer = house.ask("GET", objects(rw), query=query)
        page = answer.json
        assert len(page["objects"]) <= 10
        assert (
            answer.headers["x-taxii-date-added-first"] <= answer.headers["x-taxii-date-added-last"]
        )
        got += [one["name"] for one in page["objects"]]
        if not page["more"]:
            break
        repeated = house.ask("GET", objects(rw), query={**query, "next": page["next"]})
        query["next"] = page["next"]
        assert repeated.json == house.ask("GET", objects(rw), query=query).json
    assert got == [f"number {number}" for number in range(25)]


def test_added_after_is_exclusive(house: House, rw: str) -> None:
    house.post(rw, indicator(1))
    first = house.ask("GET", objects(rw))
    last = first.headers["x-taxii-date-added-last"]
    empty = house.ask("GET", objects(rw), query={"added_after": last})
    assert empty.status == 200
    assert empty.json == {}
    assert empty.headers["x-taxii-date-added-last"] == last
    house.post(rw, indicator(2))
    assert house.ask("GET", objects(rw), query={"added_after": last}).json["objects"] == [
        indicator(2)
    ]


def test_match_filters(house: House, rw: str) -> None:
    newer = indicator(1, modified="2026-02-01T00:00:00.000Z")
    malware = {
        "type": "malware",
        "spec_version": "2.1",
        "id": "malware--" + indicator(9)["id"][11:],
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "name": "m",
        "is_family": False,
    }
    house.post(rw, indicator(1), newer, malware)

    def asked(**query: str) -> list[str]:
        page = house.ask(
            "GET", objects(rw), query={f"match[{name}]": value for name, value in query.items()}
        ).json
        return [one["modified"][:7] + one["type"] for one in page.get("objects", [])]

    assert asked() == ["2026-02indicator", "2026-01malware"]
    assert asked(version="all", type="indicator") == ["2026-01indicator", "2026-02indicator"]
    assert asked(version="first", id=newer["id"]) == ["2026-01indicator"]
    assert asked(version="2026-01-01T00:00:00.000Z", type="indicator") == ["2026-01indicator"]
    assert asked(type="malware,tool") == ["2026-01malware"]
    assert asked(spec_version="2.0") == []


def test_object_versions_manifest_and_delete(house: House, rw: str) -> None:
    newer = indicator(1, modified="2026-02-01T00:00:00.000Z")
    house.post(rw, indicator(1), newer, indicator(2))
    path = f"{objects(rw)}{newer['id']}/"
    assert house.ask("GET", path).json["objects"] == [newer]
    every = house.ask("GET", path, query={"match[version]": "all"})
    assert every.json["objects"] == [indicator(1), newer]
    versions = house.ask("GET", f"{path}versions/")
    assert versions.json["versions"] == [indicator(1)["modified"], newer["modified"]]
    assert "x-taxii-date-added-first" in versions.headers
    manifest = house.ask("GET", f"{ROOT}collections/{rw}/manifest/")
    assert [one["version"] for one in manifest.json["objects"]] == [
        newer["modified"],
        indicator(2)["modified"],
    ]
    assert {"id", "date_added", "version", "media_type"} == set(manifest.json["objects"][0])
    gone = house.ask("DELETE", path, query={"match[version]": newer["modified"]})
    assert (gone.status, gone.body) == (200, b"")
    assert house.ask("GET", path).json["objects"] == [indicator(1)]
    assert house.ask("DELETE", path).status == 200
    for method in ("GET", "DELETE"):
        assert house.ask(method, path).status == 404
    assert house.ask("GET", f"{path}versions/").status == 404


def test_read_only_and_write_only(house: House) -> None:
    read_only, write_only = house.plain(owner="r"), house.plain(owner="w")
    path = indicator(1)["id"]
    assert house.post(read_only, indicator(1)).status == 403
    assert house.post(write_only, indicator(1)).status == 202
    for tail in ("objects/", "manifest/", f"objects/{path}/", f"objects/{path}/versions/"):
        assert house.ask("GET", f"{ROOT}collections/{write_only}/{tail}").status == 403, tail
    assert house.ask("DELETE", f"{objects(read_only)}{path}/").status == 403
    assert house.ask("DELETE", f"{objects(write_only)}{path}/").status == 403


@pytest.mark.parametrize(
    "accept",
    [
        "application/taxii+json;version=2.1",
        "application/taxii+json; version=2.1",
        'application/taxii+json; version="2.1"',
        "application/taxii+json",
        "APPLICATION/TAXII+JSON;VERSION=2.1",
        "text/html, application/taxii+json;version=2.1;q=0.5",
        "*/*",
        "application/*;q=0.1",
    ],
)
def test_accept_that_admits(house: House, accept: str) -> None:
    answer = house.ask("GET", ROOT, headers={"accept": accept})
    assert answer.status == 200
    assert answer.headers["content-type"] == TAXII


@pytest.mark.parametrize(
    "accept",
    [
        "application/xml",
        "application/json",
        "application/taxii+json;version=2.0",
        "application/vnd.oasis.taxii+json; version=2.0",
        "application/taxii+json;version=2.1;q=0",
        "text/html, application/xml;q=0.9",
    ],
)
def test_accept_that_does_not(house: House, rw: str, accept: str) -> None:
    for path in ("/taxii2/", ROOT, f"{ROOT}collections/", objects(rw)):
        answer = house.ask("GET", path, headers={"accept": accept})
        assert answer.status == 406, path
        assert answer.json["http_status"] == "406"


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "text/plain", "application/taxii+json;version=2.0", "application/xml", ""],
)
def test_wrong_content_type_stores_nothing(house: House, rw: str, content_type: str) -> None:
    answer = house.ask(
        "POST",
        objects(rw),
        headers={"content-type": content_type},
        body=json.dumps({"objects": [indicator(1)]}).encode(),
    )
    assert answer.status == 415
    assert house.store.count(rw) == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "many"),
        ("added_after", "yesterday"),
        ("match[version]", "newest"),
        ("match[name]", "x"),
        ("next", "made up"),
    ],
)
def test_bad_filters_are_refused(house: House, rw: str, name: str, value: str) -> None:
    answer = house.ask("GET", objects(rw), query={name: value})
    assert answer.status == 400
    assert answer.json["title"]


def test_limit_is_capped_not_refused(house: House, rw: str) -> None:
    house.post(rw, indicator(1))
    assert house.ask("GET", objects(rw), query={"limit": "999999999"}).status == 200


def test_unknown_paths_and_methods(house: House, rw: str) -> None:
    for path in ("/", "/nowhere/", "/other/collections/", f"{ROOT}collections/{rw}/nothing/"):
        assert house.ask("GET", path).status == 404, path
    answer = house.ask("PUT", objects(rw))
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert answer.headers["content-type"] == TAXII
    assert house.ask("POST", f"{ROOT}collections/").status == 405


def test_trailing_slash_and_head(house: House, rw: str) -> None:
    house.post(rw, indicator(1))
    with_slash = house.ask("GET", objects(rw))
    without = house.ask("GET", objects(rw).rstrip("/"))
    assert without.json == with_slash.json
    head = house.ask("HEAD", objects(rw))
    assert (head.status, head.raw) == (200, b"")
    for name in ("content-length", "content-type", "x-taxii-date-added-last"):
        assert head.headers[name] == with_slash.headers[name]


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_large_pages_are_compressed(house: House, rw: str, coding: str) -> None:
    house.post(rw, *(indicator(number) for number in range(20)))
    plain = house.ask("GET", objects(rw))
    packed = house.ask("GET", objects(rw), headers={"accept-encoding": f"{coding}, identity"})
    assert packed.headers["content-encoding"] == coding
    assert len(packed.raw) < len(plain.raw) / 3
    assert packed.body == plain.body
    refused = house.ask("GET", objects(rw), headers={"accept-encoding": f"{coding};q=0"})
    assert "content-encoding" not in refused.headers
