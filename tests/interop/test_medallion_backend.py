"""A medallion process over `HubBackend`, asked by taxii2-client and plain HTTP."""

from __future__ import annotations

import inspect
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from medallion.backends.base import Backend
from taxii2client.v21 import ApiRoot, Collection, Server, as_pages

from hub.store.medallion import HubBackend
from hub.store.records import Kind, StatusRecord
from hub.store.sqlite import SqliteStore
from hub.taxii.filters import Filters
from hub.taxii.times import to_text
from tests.interop.medallion_process import PASSWORD, USER, medallion

_HEADERS = {"Accept": "application/taxii+json;version=2.1"}
_POST = {**_HEADERS, "Content-Type": "application/taxii+json;version=2.1"}


@dataclass(frozen=True)
class _Site:
    url: str
    store: SqliteStore
    plain: str
    granted: str
    channel: str
    hidden: str

    @property
    def root(self) -> str:
        return f"{self.url}/stillwatch/"

    def collection(self, collection_id: str) -> Collection:
        url = f"{self.root}collections/{collection_id}/"
        return Collection(url, user=USER, password=PASSWORD)

    def get(self, path: str, **query: str) -> requests.Response:
        return requests.get(
            self.root + path, params=query, headers=_HEADERS, auth=(USER, PASSWORD), timeout=20
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Site]:
    folder = tmp_path_factory.mktemp("medallion")
    store = SqliteStore.open(folder / "hub.db")
    lab = store.create_org("Example Lab").id
    other = store.create_org("Other").id
    plain = store.create_collection(Kind.PLAIN, "Plain", owner_org=lab, alias="feed").id
    granted = store.create_collection(Kind.PLAIN, "Granted", owner_org=other).id
    store.set_grant(granted, lab, can_read=True, can_write=False)
    channel = store.create_collection(Kind.CHANNEL, "Channel", owner_org=lab).id
    hidden = store.create_collection(Kind.PLAIN, "Hidden", owner_org=other).id
    backend = {
        "module": "hub.store.medallion",
        "module_class": "HubBackend",
        "path": str(folder / "hub.db"),
        "org": "Example Lab",
        "title": "Example hub",
    }
    with medallion(folder, backend, page=40) as url:
        yield _Site(url, store, plain, granted, channel, hidden)
    store.close()


def _indicator(number: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{uuid.uuid4()}",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "pattern": f"[ipv4-addr:value = '192.0.2.{number % 256}']",
        "pattern_type": "stix",
        "valid_from": "2026-01-01T00:00:00Z",
        **fields,
    }


def test_every_method_of_the_interface_is_there() -> None:
    wanted = inspect.getmembers(Backend, inspect.isfunction)
    assert len(wanted) == 11
    for name, method in wanted:
        ours = list(inspect.signature(getattr(HubBackend, name)).parameters)
        assert ours == list(inspect.signature(method).parameters), name


def test_discovery_and_collections(site: _Site) -> None:
    server = Server(f"{site.url}/taxii2/", user=USER, password=PASSWORD)
    assert server.title == "Example hub"
    assert isinstance(server.default, ApiRoot)
    assert server.default.max_content_length == 10 * 1024 * 1024
    rights = {one.id: (one.can_read, one.can_write) for one in server.default.collections}
    assert rights == {
        site.plain: (True, True),
        site.granted: (True, False),
        site.channel: (True, False),
    }


def test_what_is_posted_is_pulled_page_by_page(site: _Site) -> None:
    collection = site.collection(site.plain)
    objects = [_indicator(number) for number in range(95)]
    status = collection.add_objects({"objects": objects})
    assert (status.status, status.success_count, status.failure_count) == ("complete", 95, 0)
    assert {one["id"] for one in status.successes} == {one["id"] for one in objects}
    ids = ",".join(one["id"] for one in objects)
    pulled: list[Any] = []
    for page in as_pages(collection.get_objects, per_request=30):
        pulled.extend(page["objects"])
    known = [one for one in pulled if one["id"] in ids]
    assert known == objects
    kept = site.store.page(site.plain, Filters(ids=frozenset({objects[0]["id"]})), 5)
    assert json.loads(kept.rows[0].raw) == objects[0]
    root = ApiRoot(site.root, user=USER, password=PASSWORD)
    assert root.get_status(status.id).success_count == 95


def test_what_the_hub_stored_is_served_from_where_it_was_left(site: _Site) -> None:
    collection = site.collection(site.plain)
    collection.add_objects({"objects": [_indicator()]})
    head = site.store.head(site.plain)
    assert head is not None
    late = _indicator()
    collection.add_objects({"objects": [late]})
    found = site.get(f"collections/{site.plain}/objects/", added_after=to_text(head))
    assert [one["id"] for one in found.json()["objects"]] == [late["id"]]
    added = to_text(site.store.head(site.plain) or 0)
    assert found.headers["X-TAXII-Date-Added-First"] == added
    assert found.headers["X-TAXII-Date-Added-Last"] == added
    assert site.get(f"collections/{site.plain}/objects/", added_after=added).json() == {}


def test_versions_manifest_filters_and_deletion(site: _Site) -> None:
    collection = site.collection(site.plain)
    old = _indicator()
    new = {**old, "modified": "2026-02-01T00:00:00.000Z"}
    campaign = {**_indicator(), "type": "campaign", "id": f"campaign--{uuid.uuid4()}"}
    collection.add_objects({"objects": [old, new, campaign]})
    object_id = old["id"]
    assert collection.get_object(object_id)["objects"] == [new]
    assert collection.get_object(object_id, version="first")["objects"] == [old]
    assert collection.get_object(object_id, version="all")["objects"] == [old, new]
    assert collection.object_versions(object_id)["versions"] == [
        old["modified"],
        new["modified"],
    ]
    manifest = collection.get_manifest(id=[object_id, campaign["id"]], type="campaign")
    [record] = manifest["objects"]
    assert record["media_type"] == "application/stix+json;version=2.1"
    assert record["version"] == campaign["modified"]
    collection.delete_object(object_id, version="last")
    assert collection.get_object(object_id)["objects"] == [old]
    collection.delete_object(object_id)
    gone = site.get(f"collections/{site.plain}/objects/{object_id}/")
    assert gone.status_code == 404


def test_a_failure_is_told_by_object_and_spoils_nothing(site: _Site) -> None:
    collection = site.collection(site.plain)
    good = _indicator()
    collection.add_objects({"objects": [good]})
    other_body = {**good, "name": "changed"}
    broken = {**_indicator(), "modified": "soon"}
    status = collection.add_objects({"objects": [good, other_body, broken, _indicator()]})
    assert (status.success_count, status.failure_count) == (2, 2)
    assert [one["id"] for one in status.failures] == [good["id"], broken["id"]]
    assert collection.get_object(good["id"])["objects"] == [good]
    assert site.get(f"collections/{site.plain}/objects/").status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"objects": []}', 422),
        ("[]", 422),
        ('{"objects": 5}', 422),
        ("not json", 400),
        ('{"objects": [5, {"id": NaN}]}', 202),
    ],
)
def test_bodies_that_are_no_envelopes(site: _Site, body: str, code: int) -> None:
    before = site.store.count(site.plain)
    answer = requests.post(
        f"{site.root}collections/{site.plain}/objects/",
        data=body,
        headers=_POST,
        auth=(USER, PASSWORD),
        timeout=20,
    )
    assert answer.status_code == code
    assert site.store.count(site.plain) == before
    assert code != 202 or answer.json()["failure_count"] == 2


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"added_after": "yesterday"}, "added_after"),
        ({"next": "made-up"}, "next"),
        ({"match[version]": "newest"}, "match[version]"),
    ],
)
def test_bad_filters_are_named(site: _Site, query: dict[str, str], word: str) -> None:
    answer = site.get(f"collections/{site.plain}/objects/", **query)
    assert answer.status_code == 400
    assert word in answer.json()["description"]


def test_protocol_messages_cannot_be_written_behind_the_hubs_back(site: _Site) -> None:
    for collection_id, code in ((site.channel, 403), (site.granted, 403), (site.hidden, 404)):
        answer = requests.post(
            f"{site.root}collections/{collection_id}/objects/",
            json={"objects": [_indicator()]},
            headers=_POST,
            auth=(USER, PASSWORD),
            timeout=20,
        )
        assert answer.status_code == code
        assert site.store.count(collection_id) == 0
    assert site.get(f"collections/{site.hidden}/objects/").status_code == 404
    assert site.get("status/nobody/").status_code == 404
    wrong = requests.get(f"{site.root}", headers=_HEADERS, auth=(USER, "wrong"), timeout=20)
    assert wrong.status_code == 401


def test_a_status_is_its_posters_own(site: _Site) -> None:
    lab, other = (org.id for org in site.store.orgs())
    site.store.put_status(StatusRecord("ours", site.plain, lab, 1, b'{"id":"ours"}'))
    site.store.put_status(StatusRecord("theirs", site.plain, other, 1, b'{"id":"theirs"}'))
    assert site.get("status/ours/").json() == {"id": "ours"}
    assert site.get("status/theirs/").status_code == 404


def test_an_object_that_is_not_there(site: _Site) -> None:
    missing = f"indicator--{uuid.uuid4()}"
    base = f"collections/{site.plain}/objects/{missing}/"
    assert site.get(base).status_code == 404
    assert site.get(base + "versions/").status_code == 404
    deletion = requests.delete(
        site.root + base, headers=_HEADERS, auth=(USER, PASSWORD), timeout=20
    )
    assert deletion.status_code == 404
