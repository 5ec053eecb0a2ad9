"""medallion's backend tests, by their names, against a hub's process (see `medallion_suite`)."""

from __future__ import annotations

import re
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.faults.hub_process import HubProcess
from tests.interop import medallion_suite as suite
from tests.interop.raw_http import TAXII, Answer, Peer, envelope, ids, indicator

NUMBER = 73


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    data: Path = tmp_path_factory.mktemp("medallion-suite") / "hub"
    suite.seed(data)
    with HubProcess(data) as hub:
        yield Peer(hub)


def ask(peer: Peer, place: str, query: str = "", *, name: str = "full") -> Answer:
    """GET a place below a collection, without the slash at the end, as the originals do."""
    below = place if place in ("objects", "manifest") else f"objects/{place}"
    answer = peer.get(f"{peer.collection(name)}{below}", parse_qsl(query))
    assert answer.headers["content-type"] == TAXII
    return answer


def page(peer: Peer, place: str, query: str = "", *, name: str = "full") -> Any:
    answer = ask(peer, place, query, name=name)
    assert answer.status == 200
    return answer.json


def dates(answer: Answer) -> tuple[str, str]:
    return answer.headers["x-taxii-date-added-first"], answer.headers["x-taxii-date-added-last"]


def spec_of(row: dict[str, Any]) -> str:
    """Of an object, or of its line in the manifest."""
    named = str(row.get("media_type", "")).rpartition("=")[2]
    return named or str(row.get("spec_version", "2.0"))


@pytest.mark.parametrize("name", suite.READS)
def test_one_read(backend: Peer, name: str) -> None:
    read = suite.READS[name]
    answer = ask(backend, read.place, read.query)
    assert answer.status == 200
    body = answer.json
    if read.empty:
        assert body == {}
        return
    assert body == {} or body["more"] is False
    if read.place.endswith("versions"):
        found = body["versions"]
        assert read.found in (None, tuple(found))
    else:
        found = body.get("objects", [])
        assert read.found in (None, tuple(ids(found)))
        versions = [row.get("version") or row.get("modified", row.get("created")) for row in found]
        assert read.versions in (None, tuple(versions))
        assert read.spec is None or {spec_of(row) for row in found} == {read.spec}
        held = dict(zip(ids(found), versions, strict=True))
        assert {name: held.get(name, wanted) for name, wanted in read.holds.items()} == read.holds
    assert read.number in (None, len(found))
    assert read.added in (None, dates(answer))


@pytest.mark.parametrize(
    ("wanted", "version"),
    [
        (suite.SITE_VERSIONS[1], suite.SITE_VERSIONS[1]),
        ("first", suite.SITE_VERSIONS[0]),
        ("last", suite.SITE_VERSIONS[2]),
    ],
)
def test_get_object_version_single(backend: Peer, wanted: str, version: str) -> None:
    body = page(backend, suite.SITE, f"match[version]={wanted}")
    assert [(obj["id"], obj["modified"]) for obj in body["objects"]] == [(suite.SITE, version)]
    assert body["more"] is False


# -- resources ---------------------------------------------------------------------------------


def test_server_discovery(backend: Peer) -> None:
    answer = backend.get("/taxii2/")
    assert (answer.status, answer.headers["content-type"]) == (200, TAXII)
    assert answer.json["api_roots"] == [backend.hub.root]


def test_get_api_root_information(backend: Peer) -> None:
    answer = backend.get(backend.root)
    assert (answer.status, answer.headers["content-type"]) == (200, TAXII)
    assert answer.json["title"] == "Stillwatch development hub"


def test_get_status(backend: Peer) -> None:
    answer = backend.get(f"{backend.root}status/{suite.STATUS}")
    assert (answer.status, answer.headers["content-type"]) == (200, TAXII)
    assert {"successes", "failures", "pendings"} <= set(answer.json)


def test_get_collections(backend: Peer) -> None:
    answer = backend.get(f"{backend.root}collections/")
    assert (answer.status, answer.headers["content-type"]) == (200, TAXII)
    made = backend.hub.line["collections"]
    shown = set(made.values()) - {made["na"]}
    assert set(ids(answer.json["collections"])) == shown
    assert len(made) == 5


# -- pages -------------------------------------------------------------------------------------


def walk(peer: Peer, place: str, query: str) -> list[Answer]:
    """All pages, by `next`."""
    answers = [ask(peer, place, query)]
    while answers[-1].json.get("more"):
        answers.append(ask(peer, place, f"{query}&next={answers[-1].json['next']}"))
    return answers


def test_get_objects_limit(backend: Peer) -> None:
    pages = walk(backend, "objects", "limit=3")
    found = [ids(answer.objects) for answer in pages]
    assert found == [
        [suite.RELATIONSHIP, suite.HASH, suite.MARKING],
        [suite.MALWARE, suite.SITE],
    ]
    assert [dates(answer) for answer in pages] == [
        (suite.FIRST_ADDED, suite.MARKING_ADDED),
        (suite.MALWARE_ADDED, suite.SITE_ADDED[2]),
    ]


def test_get_object_limit(backend: Peer) -> None:
    (last,) = walk(backend, suite.SITE, "limit=1")
    assert dates(last) == (suite.SITE_ADDED[2], suite.SITE_ADDED[2])
    pages = walk(backend, suite.SITE, "match[version]=all&limit=2")
    found = [[obj["modified"] for obj in answer.objects] for answer in pages]
    assert found == [list(suite.SITE_VERSIONS[:2]), [suite.SITE_VERSIONS[2]]]
    assert dates(pages[0]) == suite.SITE_ADDED[:2]
    assert dates(pages[1]) == (suite.SITE_ADDED[2], suite.SITE_ADDED[2])


def test_get_manifest_limit(backend: Peer) -> None:
    pages = walk(backend, "manifest", "limit=2")
    assert [len(answer.objects) for answer in pages] == [2, 2, 1]
    for answer in pages:
        rows = answer.objects
        assert dates(answer) == (rows[0]["date_added"], rows[-1]["date_added"])


def test_get_version_limit(backend: Peer) -> None:
    pages = walk(backend, f"{suite.SITE}/versions", "limit=1")
    found = [answer.json["versions"] for answer in pages]
    assert found == [[version] for version in suite.SITE_VERSIONS]
    assert [dates(answer) for answer in pages] == [(one, one) for one in suite.SITE_ADDED]


def test_get_version_added_after(backend: Peer) -> None:
    place = f"{suite.RELATIONSHIP}/versions"
    assert page(backend, place, "added_after=2014-05-08T09:00:00Z") == {}
    body = page(backend, place, "added_after=2014-05-08T08:00:00Z")
    assert (body["more"], len(body["versions"])) == (False, 1)


def test_object_pagination_changing_params_400(backend: Peer) -> None:
    """There a change of filters is refused; here `next` goes on from its place with new ones."""
    pages = walk(backend, "objects", "match[version]=all&limit=2")
    assert [len(answer.objects) for answer in pages] == [2, 2, 2, 1]
    cursor = pages[1].json["next"]
    changed = page(backend, "objects", f"match[version]=first&limit=2&next={cursor}")
    assert ids(changed["objects"]) == [suite.MARKING, suite.MALWARE]
    refused = ask(backend, "objects", f"match[version]=all&limit=2&next={cursor[:-2]}AA")
    assert refused.status == 400


def test_object_pagination_bad_limit_value_400(backend: Peer) -> None:
    assert ask(backend, "objects", "limit=-20").status == 400


# -- adding and deleting -----------------------------------------------------------------------


def remove(peer: Peer, object_id: str, *query: tuple[str, str]) -> None:
    path = f"{peer.objects('added')}{object_id}"
    answer = peer.ask("DELETE", path, query)
    assert (answer.status, answer.headers["content-type"]) == (200, TAXII)


def versions(peer: Peer, object_id: str) -> list[str]:
    body = page(peer, f"{object_id}/versions", name="added")
    assert body["more"] is False
    return list(body["versions"])


def test_add_and_delete_object(backend: Peer) -> None:
    made = indicator()
    posted = backend.post("added", made)
    assert (posted.status, posted.headers["content-type"]) == (202, TAXII)
    assert made in page(backend, "objects", name="added")["objects"]
    wanted = f"match[id]={made['id']}"
    assert page(backend, "objects", wanted, name="added")["objects"] == [made]
    status = backend.get(f"{backend.root}status/{posted.json['id']}/")
    assert (status.status, status.json["success_count"]) == (200, 1)
    assert ids(page(backend, "manifest", wanted, name="added")["objects"]) == [made["id"]]
    remove(backend, made["id"])
    assert ask(backend, made["id"], name="added").status == 404
    assert backend.get(f"{backend.collection('added')}manifest/{made['id']}").status == 404


def test_delete_objects_version(backend: Peer) -> None:
    object_id = f"course-of-action--{uuid.uuid4()}"
    years = ("2014", "2015", "2016", "2018", "2019")
    made = [f"{year}-01-27T13:49:53.935Z" for year in years]
    base = {
        "type": "course-of-action",
        "spec_version": "2.1",
        "id": object_id,
        "created": made[0],
        "name": "a course of action",
    }
    posted = backend.post("added", *({**base, "modified": version} for version in made))
    assert posted.json["success_count"] == 5
    assert versions(backend, object_id) == made
    for wanted, gone in ((made[3], made[3]), ("first", made[0]), ("last", made[4])):
        remove(backend, object_id, ("match[version]", wanted))
        made.remove(gone)
        assert versions(backend, object_id) == made
    remove(backend, object_id, ("match[version]", "all"))
    assert ask(backend, f"{object_id}/versions", name="added").status == 404


def test_delete_objects_spec_version(backend: Peer) -> None:
    newer = indicator()
    older = {**newer, "modified": "2027-01-27T13:49:53.935Z", "spec_version": "2.0"}
    assert backend.post("added", newer, older).json["success_count"] == 2
    remove(backend, newer["id"], ("match[spec_version]", "2.0"))
    assert versions(backend, newer["id"]) == [newer["modified"]]
    remove(backend, newer["id"], ("match[spec_version]", "2.1"))
    assert ask(backend, f"{newer['id']}/versions", name="added").status == 404


def test_SCO_versioning(backend: Peer) -> None:
    artifact = {
        "type": "artifact",
        "spec_version": "2.1",
        "id": f"artifact--{uuid.uuid4()}",
        "mime_type": "application/zip",
        "encryption_algorithm": "mime-type-indicated",
        "decryption_key": "correct horse",
    }
    assert backend.post("added", artifact).status == 202
    for query in (
        "match[version]=all",
        "match[version]=first",
        "match[version]=last",
        "added_after=2017-01-27T13:49:53.935Z",
    ):
        assert page(backend, artifact["id"], query, name="added")["objects"] == [artifact], query
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert page(backend, artifact["id"], f"added_after={now}", name="added") == {}


def test_object_already_present(backend: Peer) -> None:
    made = indicator()
    for _ in range(2):
        status = backend.post("added", made).json
        assert "failures" not in status
        assert ids(status["successes"]) == [made["id"]]
    other = {name: value for name, value in made.items() if name != "modified"}
    status = backend.post("added", made, other).json
    assert (status["success_count"], status["failure_count"]) == (1, 1)


# -- refusals ----------------------------------------------------------------------------------


def anonymous(peer: Peer, path: str) -> int:
    return peer.ask("GET", path, headers=[("Accept", TAXII)]).status


def test_get_api_root_information_not_existent(backend: Peer) -> None:
    assert backend.get("/trustgroup2/").status == 404


def test_get_collection_not_existent(backend: Peer) -> None:
    assert backend.get(f"{backend.root}collections/{suite.UNKNOWN}/").status == 404


def test_get_collections_401(backend: Peer) -> None:
    assert anonymous(backend, f"{backend.root}collections/") == 401


def test_get_collections_404(backend: Peer) -> None:
    assert backend.get("/carbon1/collections/").status == 404


def test_get_collection_404(backend: Peer) -> None:
    assert backend.get(f"/carbon1/collections/{suite.UNKNOWN}/").status == 404


def test_get_status_401(backend: Peer) -> None:
    assert anonymous(backend, f"{backend.root}status/2223/") == 401


def test_get_status_404(backend: Peer) -> None:
    assert backend.get(f"{backend.root}status/22101993/").status == 404


def test_get_object_manifest_401(backend: Peer) -> None:
    assert anonymous(backend, f"{backend.root}collections/24042009/manifest/") == 401


def test_get_object_manifest_403(backend: Peer) -> None:
    assert ask(backend, "manifest", name="wo").status == 403
    assert ask(backend, "manifest", name="na").status == 404


def test_get_object_manifest_404(backend: Peer) -> None:
    assert backend.get(f"{backend.root}collections/24042009/manifest/").status == 404


def test_get_object_401(backend: Peer) -> None:
    assert anonymous(backend, backend.objects("full", f"malware--{uuid.uuid4()}")) == 401


def test_get_object_403(backend: Peer) -> None:
    assert ask(backend, f"indicator--{uuid.uuid4()}", name="wo").status == 403
    assert ask(backend, f"indicator--{uuid.uuid4()}", name="na").status == 404


def test_get_object_404(backend: Peer) -> None:
    assert ask(backend, f"malware--{uuid.uuid4()}").status == 404


def test_get_or_add_objects_401(backend: Peer) -> None:
    path = backend.objects("added")
    assert anonymous(backend, path) == 401
    sent = [("Accept", TAXII), ("Content-Type", TAXII)]
    assert backend.ask("POST", path, headers=sent, body=envelope(indicator())).status == 401


def test_get_or_add_objects_404(backend: Peer) -> None:
    path = f"{backend.root}collections/{suite.UNKNOWN}/objects/"
    assert backend.get(path).status == 404
    sent = backend.usual(True)
    assert backend.ask("POST", path, headers=sent, body=envelope(indicator())).status == 404


def test_get_or_add_objects_422(backend: Peer) -> None:
    """An object where an envelope belongs."""
    answer = backend.send("added", envelope(indicator())[len('{"objects": [') : -2])
    assert (answer.status, answer.headers["content-type"]) == (422, TAXII)
    assert answer.json["http_status"] == "422"


# -- the account of the account ----------------------------------------------------------------


def test_all_of_them_are_accounted_for() -> None:
    here = {name for name in vars(sys.modules[__name__]) if re.match("test_", name)}
    own = {"test_one_read", "test_all_of_them_are_accounted_for"}
    held = {*suite.READS, *(here - own)}
    assert not set(suite.READS) & here
    assert set(suite.ADAPTED) <= held
    assert not set(suite.IMPOSSIBLE) & held
    assert len(held) + len(suite.IMPOSSIBLE) == NUMBER
