"""TAXII 2.1 (OASIS Standard) from outside: resources, rights, headers, media types and errors.

Every test names the section whose MUST it checks. It speaks raw HTTP to a hub in a process of its
own and imports nothing of the hub. Filters and pages stand in `test_taxii_filters.py`, hostile and
odd requests in `test_taxii_robustness.py`.
"""

from __future__ import annotations

import re
import time
import uuid

import pytest

from tests.interop.raw_http import STIX, TAXII, Answer, Peer, envelope, ids, indicator

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
NAMES = ("rw1", "rw2", "ro", "wo")


def reads(peer: Peer, name: str, object_id: str) -> list[str]:
    """Paths of everything that reading a collection means."""
    one = peer.objects(name, object_id)
    return [peer.objects(name), f"{peer.collection(name)}manifest/", one, f"{one}versions/"]


def is_error(answer: Answer, status: int) -> bool:
    """Whether an answer is the standard's error message for a status."""
    body = answer.json
    return (
        answer.status == status
        and answer.headers["content-type"] == TAXII
        and isinstance(body["title"], str)
        and body["title"] != ""
        and body["http_status"] == str(status)
    )


# -- resources ---------------------------------------------------------------------------------


def test_4_1_discovery_at_its_fixed_path(peer: Peer) -> None:
    answer = peer.get("/taxii2/")
    body = answer.json
    assert answer.status == 200
    assert isinstance(body["title"], str)
    assert body["default"] in body["api_roots"]
    assert peer.hub.root in body["api_roots"]


def test_4_2_api_root_names_title_versions_and_length(peer: Peer) -> None:
    answer = peer.get(peer.root)
    body = answer.json
    assert answer.status == 200
    assert isinstance(body["title"], str)
    assert TAXII in body["versions"]
    assert isinstance(body["max_content_length"], int)
    assert body["max_content_length"] > 0


def test_5_1_collections_with_true_rights(peer: Peer) -> None:
    answer = peer.get(f"{peer.root}collections/")
    shown = {one["id"]: one for one in answer.json["collections"]}
    expected = {"rw1": (True, True), "rw2": (True, True), "ro": (True, False), "wo": (False, True)}
    for name, rights in expected.items():
        one = shown[peer.hub.line["collections"][name]]
        assert (one["can_read"], one["can_write"]) == rights
        assert isinstance(one["title"], str)
        assert STIX in one["media_types"]
        assert UUID4.fullmatch(one["id"])
    assert len(shown) == len(answer.json["collections"])


def test_5_2_a_collection_is_as_the_list_shows_it(peer: Peer) -> None:
    shown = {one["id"]: one for one in peer.get(f"{peer.root}collections/").json["collections"]}
    for name in NAMES:
        answer = peer.get(peer.collection(name))
        assert answer.status == 200
        assert answer.json == shown[peer.hub.line["collections"][name]]


def test_5_3_manifest_records(peer: Peer) -> None:
    after = peer.mark("rw1")
    made = peer.stored("rw1", indicator(), indicator())
    records = peer.get(f"{peer.collection('rw1')}manifest/", [("added_after", after)]).objects
    assert ids(records) == ids(made)
    for record, obj in zip(records, made, strict=True):
        assert TIMESTAMP.fullmatch(record["date_added"])
        assert record["version"] == obj["modified"]
        assert record["media_type"] == STIX


def test_5_4_objects_come_back_as_they_were_sent(peer: Peer) -> None:
    after = peer.mark("rw1")
    made = peer.stored("rw1", indicator(name="ünïcødé ☃ 𝄞", x_deep={"a": [1, 2.5, None, True]}))
    answer = peer.get(peer.objects("rw1"), [("added_after", after)])
    assert answer.status == 200
    assert answer.objects == made


def test_5_5_add_answers_202_with_a_consistent_status(peer: Peer) -> None:
    before = time.time()
    good, bad = indicator(), indicator(modified="yesterday")
    answer = peer.post("rw1", good, bad)
    assert answer.status == 202
    status = answer.json
    assert UUID4.fullmatch(status["id"])
    assert status["status"] in ("complete", "pending")
    counts = [status[f"{name}_count"] for name in ("success", "failure", "pending")]
    assert sum(counts) == status["total_count"] == 2
    assert [len(status.get(name, [])) for name in ("successes", "failures", "pendings")] == counts
    assert status["successes"][0] == {"id": good["id"], "version": good["modified"]}
    assert status["failures"][0]["id"] == bad["id"]
    assert status["failures"][0]["message"]
    assert TIMESTAMP.fullmatch(status["request_timestamp"])
    assert abs(time.time() - before) < 30


def test_4_3_status_can_be_read_again(peer: Peer) -> None:
    posted = peer.post("wo", indicator()).json
    answer = peer.get(f"{peer.root}status/{posted['id']}/")
    assert answer.status == 200
    assert answer.json == posted


def test_4_3_an_unknown_status_is_not_found(peer: Peer) -> None:
    for status_id in (str(uuid.uuid4()), "nothing", "%00", "a" * 3000):
        assert is_error(peer.get(f"{peer.root}status/{status_id}/"), 404), status_id


def test_5_6_one_object(peer: Peer) -> None:
    (made,) = peer.stored("rw1", indicator())
    answer = peer.get(peer.objects("rw1", made["id"]))
    assert answer.status == 200
    assert answer.objects == [made]
    assert answer.json.get("more", False) is False


def test_5_7_delete_answers_200_and_removes_every_version(peer: Peer) -> None:
    (first,) = peer.stored("rw1", indicator())
    peer.stored("rw1", indicator(first["id"], modified="2026-02-01T00:00:00.000Z"))
    path = peer.objects("rw1", first["id"])
    assert peer.ask("DELETE", path).status == 200
    for again in (path, f"{path}versions/"):
        assert is_error(peer.get(again), 404)
    assert is_error(peer.ask("DELETE", path), 404)


def test_5_7_delete_of_one_version_leaves_the_others(peer: Peer) -> None:
    (first,) = peer.stored("rw1", indicator())
    (second,) = peer.stored("rw1", indicator(first["id"], modified="2026-02-01T00:00:00.000Z"))
    path = peer.objects("rw1", first["id"])
    assert peer.ask("DELETE", path, [("match[version]", second["modified"])]).status == 200
    assert peer.get(path).objects == [first]
    assert peer.get(f"{path}versions/").json["versions"] == [first["modified"]]


def test_5_8_versions(peer: Peer) -> None:
    (first,) = peer.stored("rw1", indicator())
    peer.stored("rw1", indicator(first["id"], modified="2026-02-01T00:00:00.000Z"))
    answer = peer.get(f"{peer.objects('rw1', first['id'])}versions/")
    assert answer.status == 200
    assert answer.json["versions"] == [first["modified"], "2026-02-01T00:00:00.000Z"]


def test_3_7_no_results_is_an_empty_envelope(peer: Peer) -> None:
    answer = peer.get(peer.objects("ro"))
    assert (answer.status, answer.json) == (200, {})
    assert peer.get(f"{peer.collection('ro')}manifest/").json == {}


# -- who may -----------------------------------------------------------------------------------


def test_1_6_9_without_credentials_401_with_a_challenge(peer: Peer) -> None:
    for path in ("/taxii2/", peer.root, f"{peer.root}collections/", peer.objects("rw1")):
        answer = peer.ask("GET", path, headers=[("Accept", TAXII)])
        assert is_error(answer, 401)
        assert "Basic" in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    "value",
    [
        "Basic bm9ib2R5Om5vdGhpbmc=",
        "Bearer nothing",
        "Basic !!!",
        "Digest x=y",
        "Basic",
        "",
        "\xff",
    ],
)
def test_1_6_9_wrong_credentials(peer: Peer, value: str) -> None:
    answer = peer.ask("GET", peer.root, headers=[("Authorization", value), ("Accept", TAXII)])
    assert is_error(answer, 401)
    assert "www-authenticate" in answer.headers


def test_1_6_9_basic_is_read_in_any_case_and_bearer_too(peer: Peer) -> None:
    secret = peer.basic.split(" ")[1]
    for value in (f"basic {secret}", f"BASIC {secret}", f"Bearer {peer.hub.line['token']}"):
        answer = peer.ask("GET", peer.root, headers=[("Authorization", value), ("Accept", TAXII)])
        assert answer.status == 200, value


def test_5_5_posting_to_a_read_only_collection_403(peer: Peer) -> None:
    assert is_error(peer.post("ro", indicator()), 403)


def test_5_4_reading_a_write_only_collection_403(peer: Peer) -> None:
    (made,) = peer.stored("wo", indicator())
    for path in reads(peer, "wo", made["id"]):
        assert is_error(peer.get(path), 403), path


def test_5_7_delete_needs_both_rights(peer: Peer) -> None:
    (made,) = peer.stored("wo", indicator())
    for name in ("wo", "ro"):
        assert is_error(peer.ask("DELETE", peer.objects(name, made["id"])), 403), name


def test_5_a_collection_without_access_looks_like_none(peer: Peer) -> None:
    """Hidden, as 5.2 to 5.8 allow: not listed, and 404 wherever a missing one is 404."""
    hidden = peer.hub.line["collections"]["na"]
    missing = str(uuid.uuid4())
    listed = peer.get(f"{peer.root}collections/").json["collections"]
    assert hidden not in ids(listed)
    one = indicator()
    for tail in ("", "manifest/", "objects/", f"objects/{one['id']}/"):
        found = [peer.get(f"{peer.root}collections/{which}/{tail}") for which in (hidden, missing)]
        assert all(is_error(answer, 404) for answer in found), tail
        told = [{**answer.json, "error_id": ""} for answer in found]
        assert told[0] == told[1]
    assert is_error(peer.post("na", one), 404)
    assert is_error(peer.ask("DELETE", peer.objects("na", one["id"])), 404)


def test_5_6_an_unknown_object_404(peer: Peer) -> None:
    path = peer.objects("rw1", indicator()["id"])
    for asked in (path, f"{path}versions/"):
        assert is_error(peer.get(asked), 404)


def test_3_1_unknown_paths_404(peer: Peer) -> None:
    for path in ("/", "/nothing/", f"{peer.root}nothing/", "/other/collections/"):
        assert is_error(peer.get(path), 404), path


def test_3_1_other_methods_405_with_allow(peer: Peer) -> None:
    for method, path, allowed in (
        ("PUT", peer.objects("rw1"), {"GET", "HEAD", "POST"}),
        ("PATCH", peer.objects("rw1", indicator()["id"]), {"GET", "HEAD", "DELETE"}),
        ("POST", f"{peer.root}collections/", {"GET", "HEAD"}),
        ("DELETE", peer.collection("rw1"), {"GET", "HEAD"}),
    ):
        answer = peer.ask(method, path)
        assert is_error(answer, 405), (method, path)
        assert set(answer.headers["allow"].split(", ")) == allowed


# -- headers and media types -------------------------------------------------------------------


def test_1_6_8_every_answer_has_the_taxii_media_type(peer: Peer) -> None:
    (made,) = peer.stored("rw1", indicator())
    paths = ["/taxii2/", peer.root, f"{peer.root}collections/", peer.collection("rw1")]
    for path in [*paths, *reads(peer, "rw1", made["id"])]:
        answer = peer.get(path)
        assert (answer.status, answer.headers["content-type"]) == (200, TAXII), path
    assert peer.post("rw1", indicator()).headers["content-type"] == TAXII


@pytest.mark.parametrize(
    "accept",
    [
        "application/taxii+json;version=2.1",
        "application/taxii+json; version=2.1",
        "application/taxii+json ; version=2.1 ; charset=utf-8",
        'application/taxii+json;version="2.1"',
        "application/taxii+json",
        "Application/TAXII+JSON;Version=2.1",
        "application/taxii+json;version=2.0, application/taxii+json;version=2.1",
        "application/vnd.oasis.taxii+json, application/taxii+json;q=0.1",
        "text/html;q=0.9, application/taxii+json;version=2.1;q=0.001",
        "*/*",
        "text/html, */*;q=0.1",
        "application/*",
        ", ,application/taxii+json;version=2.1,",
    ],
)
def test_1_6_8_accept_that_admits(peer: Peer, accept: str) -> None:
    sent = [("Authorization", peer.basic), ("Accept", accept)]
    answer = peer.ask("GET", peer.root, headers=sent)
    assert (answer.status, answer.headers["content-type"]) == (200, TAXII)


def test_1_6_8_accept_missing_or_on_two_lines(peer: Peer) -> None:
    base = [("Authorization", peer.basic)]
    lines = [("Accept", "text/html"), ("Accept", TAXII)]
    for sent in (base, [*base, ("Accept", "")], [*base, *lines]):
        assert peer.ask("GET", peer.root, headers=sent).status == 200, sent


@pytest.mark.parametrize(
    "accept",
    [
        "application/json",
        "text/html",
        "application/taxii+json;version=2.0",
        "application/taxii+json;version=9",
        "application/taxii+json;version=2.10",
        "application/vnd.oasis.taxii+json; version=2.0",
        "application/stix+json;version=2.1",
        "application/taxii+json;version=2.1;q=0",
        "text/*",
        "application/taxii+json;version=2.1;q=0, */*",
    ],
)
def test_1_6_8_accept_that_does_not_406(peer: Peer, accept: str) -> None:
    sent = [("Authorization", peer.basic), ("Accept", accept)]
    paths = ["/taxii2/", peer.root, f"{peer.root}collections/", peer.collection("rw1")]
    for path in [*paths, peer.objects("rw1"), f"{peer.collection('rw1')}manifest/"]:
        assert is_error(peer.ask("GET", path, headers=sent), 406), path


def test_5_5_an_unacceptable_post_stores_nothing(peer: Peer) -> None:
    made = indicator()
    sent = [("Authorization", peer.basic), ("Accept", "text/html"), ("Content-Type", TAXII)]
    answer = peer.ask("POST", peer.objects("rw1"), headers=sent, body=envelope(made))
    assert is_error(answer, 406)
    assert peer.get(peer.objects("rw1", made["id"])).status == 404


@pytest.mark.parametrize(
    "content_type",
    [
        TAXII,
        "application/taxii+json",
        'application/taxii+json; version="2.1"',
        "APPLICATION/TAXII+JSON; version=2.1; charset=utf-8",
    ],
)
def test_5_5_content_type_that_is_read(peer: Peer, content_type: str) -> None:
    sent = [*peer.usual(), ("Content-Type", content_type)]
    answer = peer.ask("POST", peer.objects("rw1"), headers=sent, body=envelope(indicator()))
    assert answer.status == 202


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/json",
        "text/plain",
        STIX,
        "application/taxii+json;version=2.0",
        "application/taxii+json;version=3",
        "*/*",
        f"{TAXII}, text/plain",
    ],
)
def test_5_5_content_type_that_is_not_415(peer: Peer, content_type: str | None) -> None:
    made = indicator()
    sent = peer.usual()
    if content_type is not None:
        sent.append(("Content-Type", content_type))
    answer = peer.ask("POST", peer.objects("rw1"), headers=sent, body=envelope(made))
    assert is_error(answer, 415)
    assert peer.get(peer.objects("rw1", made["id"])).status == 404


def test_3_2_date_added_headers_on_every_page(peer: Peer) -> None:
    after = peer.mark("rw2")
    made = peer.stored("rw2", *(indicator() for _ in range(3)))
    records = peer.get(f"{peer.collection('rw2')}manifest/", [("added_after", after)]).objects
    first, last = records[0]["date_added"], records[-1]["date_added"]
    for path in (peer.objects("rw2"), f"{peer.collection('rw2')}manifest/"):
        headers = peer.get(path, [("added_after", after)]).headers
        assert headers["x-taxii-date-added-first"] == first
        assert headers["x-taxii-date-added-last"] == last
    one = peer.objects("rw2", made[1]["id"])
    for path in (one, f"{one}versions/"):
        headers = peer.get(path).headers
        assert headers["x-taxii-date-added-first"] == records[1]["date_added"]
        assert headers["x-taxii-date-added-last"] == records[1]["date_added"]


def test_3_1_head_is_get_without_the_body(peer: Peer) -> None:
    (made,) = peer.stored("rw1", indicator())
    for path in ("/taxii2/", peer.root, peer.objects("rw1", made["id"])):
        got, head = peer.get(path), peer.ask("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        for name in ("content-type", "content-length"):
            assert head.headers[name] == got.headers[name]


def test_3_1_the_trailing_slash_may_be_left_out(peer: Peer) -> None:
    (made,) = peer.stored("rw1", indicator())
    paths = ["/taxii2/", peer.root, f"{peer.root}collections/", peer.collection("rw1")]
    for path in [*paths, *reads(peer, "rw1", made["id"])]:
        answer = peer.get(path.removesuffix("/"))
        assert (answer.status, answer.json) == (200, peer.get(path).json), path
    short = peer.objects("rw1").removesuffix("/")
    answer = peer.ask("POST", short, headers=peer.usual(True), body=envelope(indicator()))
    assert answer.status == 202


def test_5_5_too_long_a_body_413(peer: Peer) -> None:
    most = peer.get(peer.root).json["max_content_length"]
    made = indicator(x_padding="a" * most)
    assert is_error(peer.post("rw1", made), 413)
    assert peer.get(peer.objects("rw1", made["id"])).status == 404


def test_4_2_a_body_of_the_announced_length_is_taken(peer: Peer) -> None:
    most = peer.get(peer.root).json["max_content_length"]
    made = indicator(x_padding="")
    made["x_padding"] = "a" * (most - len(envelope(made)))
    assert len(envelope(made)) == most
    assert peer.stored("rw1", made) == [made]
    assert peer.ask("DELETE", peer.objects("rw1", made["id"])).status == 200


@pytest.mark.parametrize(
    "body", [b"{}", b'{"objects":[]}', b'{"objects":{}}', b'{"objects":[1]}', b"[]", b'"x"', b"{"]
)
def test_5_5_what_is_no_envelope_4xx(peer: Peer, body: bytes) -> None:
    answer = peer.send("rw1", body)
    assert answer.status in (400, 422)
    assert is_error(answer, answer.status)


def test_5_5_the_same_object_again_succeeds_and_is_stored_once(peer: Peer) -> None:
    (made,) = peer.stored("rw1", indicator())
    stamp = peer.get(peer.objects("rw1", made["id"])).headers["x-taxii-date-added-last"]
    peer.stored("rw1", made)
    again = peer.get(peer.objects("rw1", made["id"]), [("match[version]", "all")])
    assert again.objects == [made]
    assert again.headers["x-taxii-date-added-last"] == stamp


def test_5_5_another_body_of_a_stored_version_fails_and_changes_nothing(peer: Peer) -> None:
    (made,) = peer.stored("rw1", indicator())
    status = peer.post("rw1", {**made, "name": "another"}).json
    assert (status["success_count"], status["failure_count"]) == (0, 1)
    assert peer.get(peer.objects("rw1", made["id"])).objects == [made]


def test_4_3_counts_with_one_object_twice_in_an_envelope(peer: Peer) -> None:
    made = indicator()
    status = peer.post("rw1", made, made).json
    assert (status["total_count"], status["success_count"]) == (2, 2)
    assert peer.get(peer.objects("rw1", made["id"])).objects == [made]
