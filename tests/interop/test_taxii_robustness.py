"""What TAXII 2.1 is silent on: odd objects, broken JSON, odd HTTP. From outside, over raw HTTP.

Each test leaves the hub serving: a fixture reads and writes once more after every one of them.
"""

from __future__ import annotations

import gzip
import http.client
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.interop.raw_http import (
    TAXII,
    Peer,
    envelope,
    ids,
    indicator,
    packed,
    status_of,
    without,
)

GOOD = json.dumps(indicator()).encode()


@pytest.fixture(autouse=True)
def _still_serving(peer: Peer) -> Iterator[None]:
    yield
    (made,) = peer.stored("rw1", indicator())
    query = [("match[id]", made["id"])]
    assert peer.get(peer.objects("rw1"), query).objects == [made]
    assert len(peer.get(f"{peer.collection('rw1')}manifest/", query).objects) == 1


# -- objects -----------------------------------------------------------------------------------


def named(object_type: str, **fields: Any) -> dict[str, Any]:
    """An object of any type with a new id."""
    return {"type": object_type, "id": f"{object_type}--{uuid.uuid4()}", **fields}


ODD = {
    "observable without any time": named("ipv4-addr", spec_version="2.1", value="192.0.2.7"),
    "observable without spec_version": named("file", name="x"),
    "marking with created only": named(
        "marking-definition",
        spec_version="2.1",
        created="2017-01-20T00:00:00.000Z",
        definition_type="statement",
        definition={"statement": "©"},
    ),
    "of STIX 2.0": without(indicator(), "spec_version", "pattern_type"),
    "custom type": named(
        "x-example-thing",
        spec_version="2.1",
        created="2026-01-01T00:00:00.000Z",
        modified="2026-01-01T00:00:00.000Z",
        x_field="☃",
    ),
    "unicode everywhere": indicator(name="\u202e\u0000 𝄞 é e\u0301", ключ=["値"]),
    "numbers": indicator(x=[0, -1, 1.5, 1e-7, 9007199254740991, 0.1]),
    "before 1970": indicator(modified="1969-01-01T00:00:00Z", created="1969-01-01T00:00:00Z"),
    "far precision": indicator(modified="2026-01-01T00:00:00.123456789Z"),
    "id of another uuid version": {
        **indicator(),
        "id": f"indicator--{uuid.uuid5(uuid.NAMESPACE_OID, str(uuid.uuid4()))}",
    },
}


@pytest.mark.parametrize("which", ODD)
def test_odd_objects_are_kept_as_they_came(peer: Peer, which: str) -> None:
    (made,) = peer.stored("rw1", ODD[which])
    one = peer.objects("rw1", made["id"])
    assert peer.get(one).objects == [made]
    (record,) = peer.get(f"{peer.collection('rw1')}manifest/", [("match[id]", made["id"])]).objects
    expected = made.get("modified") or made.get("created") or record["date_added"]
    assert record["version"] == expected
    assert peer.get(f"{one}versions/").json["versions"] == [expected]
    asked = peer.get(one, [("match[version]", expected)])
    assert asked.objects == [made]


POISON = {
    "modified is no time": indicator(modified="yesterday"),
    "modified of another day": indicator(modified="2026-02-30T00:00:00.000Z"),
    "modified is a number": indicator(modified=5),
    "modified is null": indicator(modified=None),
    "created is no time": indicator(created="never"),
    "created is missing": without(indicator(), "created"),
    "no id": without(indicator(), "id"),
    "id of another type": indicator(f"malware--{uuid.uuid4()}"),
    "id without uuid": indicator("indicator--1"),
    "id is a number": indicator(id=7),
    "id is an object": indicator(id={}),
    "id with a path": indicator("indicator--../../etc/passwd"),
    "unicode id": indicator("indicator--☃"),
    "no type": without(indicator(), "type"),
    "type is a list": indicator(type=[]),
    "strange spec_version": indicator(spec_version="9.9"),
    "spec_version is a number": indicator(spec_version=2.1),
    "a bundle": named("bundle", objects=[indicator()]),
    "empty": {},
}


@pytest.mark.parametrize("which", POISON)
def test_a_poison_object_is_a_failure_of_its_own(peer: Peer, which: str) -> None:
    """The others of its envelope are stored, and every later read of the collection works."""
    after = peer.mark("rw1")
    good = [indicator(), indicator()]
    answer = peer.post("rw1", good[0], POISON[which], good[1])
    assert answer.status == 202
    status = answer.json
    assert (status["success_count"], status["failure_count"]) == (2, 1)
    (failure,) = status["failures"]
    assert isinstance(failure["id"], str)
    assert isinstance(failure["version"], str)
    assert failure["message"]
    query = [("added_after", after), ("match[version]", "all")]
    assert peer.get(peer.objects("rw1"), query).objects == good
    assert ids(peer.get(f"{peer.collection('rw1')}manifest/", query).objects) == ids(good)
    assert peer.get(f"{peer.root}status/{status['id']}/").json == status


def test_an_envelope_of_failures_only(peer: Peer) -> None:
    after = peer.mark("rw1")
    status = peer.post("rw1", indicator(modified="x"), {}).json
    assert (status["total_count"], status["failure_count"]) == (2, 2)
    assert "successes" not in status
    assert peer.get(peer.objects("rw1"), [("added_after", after)]).json == {}


def test_a_thousand_objects_in_one_envelope(peer: Peer) -> None:
    after = peer.mark("rw2")
    made = peer.stored("rw2", *(indicator() for _ in range(1000)))
    page = peer.get(peer.objects("rw2"), [("added_after", after), ("limit", "1000")])
    assert page.objects == made
    assert page.json.get("more", False) is False


def test_a_large_and_a_deep_object(peer: Peer) -> None:
    large = indicator(description="a" * 2_000_000)
    deep: Any = 1
    for _ in range(50):
        deep = [deep]
    nested = indicator(x_deep=deep)
    for made in (large, nested):
        peer.stored("rw1", made)
        assert peer.get(peer.objects("rw1", made["id"])).objects == [made]


# -- JSON --------------------------------------------------------------------------------------

TRAPS = {
    "duplicate key in an object": b'{"objects":[{"id":"a","id":"b"}]}',
    "duplicate key in the envelope": b'{"objects":[],"objects":[' + GOOD + b"]}",
    "duplicate key, one escaped": b'{"objects":[' + GOOD[:-1] + b',"n\\u0061me":"x"}]}',
    "NaN": b'{"objects":[' + GOOD[:-1] + b',"x":NaN}]}',
    "Infinity": b'{"objects":[' + GOOD[:-1] + b',"x":-Infinity}]}',
    "1e999": b'{"objects":[' + GOOD[:-1] + b',"x":1e999}]}',
    "2^64": b'{"objects":[' + GOOD[:-1] + b',"x":18446744073709551616}]}',
    "2^53": b'{"objects":[' + GOOD[:-1] + b',"x":9007199254740992}]}',
    "lone surrogate": b'{"objects":[' + GOOD[:-1] + b',"x":"\\ud800"}]}',
    "lone surrogate in a key": b'{"objects":[' + GOOD[:-1] + b',"\\udc00":1}]}',
    "bad UTF-8": b'{"objects":[' + GOOD[:-1] + b',"x":"\xff"}]}',
    "surrogate in UTF-8": b'{"objects":[' + GOOD[:-1] + b',"x":"\xed\xa0\x80"}]}',
    "byte order mark": b"\xef\xbb\xbf" + b'{"objects":[' + GOOD + b"]}",
    "UTF-16": ('{"objects":[' + GOOD.decode() + "]}").encode("utf-16"),
    "100,000 deep": b'{"objects":[{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}",
    "cut off": b'{"objects":[' + GOOD,
    "two documents": b'{"objects":[' + GOOD + b"]}{}",
    "comment": b'{"objects":[' + GOOD + b"]/**/}",
    "trailing comma": b'{"objects":[' + GOOD + b",]}",
    "control character": b'{"objects":[' + GOOD[:-1] + b',"x":"\n"}]}',
    "empty": b"",
    "white space": b" \n ",
}


@pytest.mark.parametrize("which", TRAPS)
def test_json_traps_4xx_and_nothing_stored(peer: Peer, which: str) -> None:
    after = peer.mark("rw1")
    began = time.perf_counter()
    answer = peer.send("rw1", TRAPS[which])
    assert answer.status in (400, 422)
    assert answer.json["http_status"] == str(answer.status)
    assert time.perf_counter() - began < 5
    assert peer.get(peer.objects("rw1"), [("added_after", after)]).json == {}


# -- bodies ------------------------------------------------------------------------------------


def test_a_gzip_body(peer: Peer) -> None:
    made = indicator()
    answer = peer.send("rw1", packed(envelope(made)), ("Content-Encoding", "gzip"))
    assert answer.status == 202
    assert peer.get(peer.objects("rw1", made["id"])).objects == [made]


def test_a_gzip_bomb_413(peer: Peer) -> None:
    most = peer.get(peer.root).json["max_content_length"]
    bomb = gzip.compress(b'{"objects":[{"x":"' + b"a" * (40 * most))
    began = time.perf_counter()
    answer = peer.send("rw1", bomb, ("Content-Encoding", "gzip"))
    assert answer.status == 413
    assert time.perf_counter() - began < 10


def test_other_encodings_are_refused(peer: Peer) -> None:
    for coding, body, status in (
        ("br", b"x", 415),
        ("gzip, gzip", packed(packed(envelope(indicator()))), 415),
        ("gzip", b"not gzip", 400),
        ("gzip", packed(envelope(indicator()))[:-4], 400),
    ):
        assert peer.send("rw1", body, ("Content-Encoding", coding)).status == status, coding


def test_a_packed_answer_for_those_who_read_it(peer: Peer) -> None:
    (made,) = peer.stored("rw1", indicator(description="a" * 5000))
    path = peer.objects("rw1", made["id"])
    sent = [*peer.usual(), ("Accept-Encoding", "gzip")]
    answer = peer.ask("GET", path, headers=sent)
    assert answer.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(answer.body)) == peer.get(path).json
    for refused in ("identity", "gzip;q=0", "br"):
        sent = [*peer.usual(), ("Accept-Encoding", refused)]
        assert "content-encoding" not in peer.ask("GET", path, headers=sent).headers


def test_a_chunked_body(peer: Peer) -> None:
    made = indicator()
    body = envelope(made)
    parts = (body[:1], body[1:50], body[50:], b"")
    chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(part), part) for part in parts)
    head = peer.lines(
        f"POST {peer.objects('rw1')} HTTP/1.1", "Transfer-Encoding: chunked", "Connection: close"
    )
    assert status_of(peer.wire(head + chunks)) == 202
    assert peer.get(peer.objects("rw1", made["id"])).objects == [made]


def test_broken_chunks_store_nothing(peer: Peer) -> None:
    made = indicator()
    body = envelope(made)
    head = peer.lines(f"POST {peer.objects('rw1')} HTTP/1.1", "Transfer-Encoding: chunked")
    for chunks in (b"zz\r\n" + body, b"%x\r\n%s" % (len(body) + 9, body), b"-1\r\n\r\n"):
        assert status_of(peer.wire(head + chunks)) in (0, 400)
    assert peer.get(peer.objects("rw1", made["id"])).status == 404


def test_expect_100_continue(peer: Peer) -> None:
    body = envelope(indicator())
    head = peer.lines(
        f"POST {peer.objects('rw1')} HTTP/1.1",
        f"Content-Length: {len(body)}",
        "Expect: 100-continue",
        "Connection: close",
    )
    got = peer.wire(head + body)
    assert got.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert status_of(got.split(b"\r\n\r\n", 1)[1]) == 202


def test_a_connection_lives_on_after_errors(peer: Peer) -> None:
    connection = http.client.HTTPConnection(peer.host, peer.port, timeout=20)
    try:
        for method, path, body, status in (
            ("GET", "/nothing/", None, 404),
            ("POST", peer.objects("rw1"), b"{", 400),
            ("POST", peer.objects("ro"), envelope(indicator()), 403),
            ("PUT", peer.objects("rw1"), envelope(indicator()), 405),
            ("GET", f"{peer.objects('rw1')}?limit=0", None, 400),
            ("HEAD", peer.root, None, 200),
            ("POST", peer.objects("rw1"), envelope(indicator()), 202),
            ("GET", peer.root, None, 200),
        ):
            assert peer.ask_on(connection, method, path, body=body).status == status
    finally:
        connection.close()


# -- HTTP --------------------------------------------------------------------------------------


@pytest.mark.parametrize("length_first", [True, False])
def test_a_length_beside_chunks_ends_the_connection(peer: Peer, length_first: bool) -> None:
    """RFC 9112, section 6.1: refused or read by its chunks; nothing after it is served."""
    body = envelope(indicator())
    inner = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    for length in (5, len(chunks), len(chunks + inner)):
        fields = [f"Content-Length: {length}", "Transfer-Encoding: chunked"]
        head = peer.lines(
            f"POST {peer.objects('rw1')} HTTP/1.1", *(fields if length_first else fields[::-1])
        )
        got = peer.wire(head + chunks + inner, seconds=10)
        assert got.count(b"HTTP/1.1 ") == 1
        assert status_of(got) in (202, 400)
        assert b"\r\nconnection: close\r\n" in got


@pytest.mark.parametrize(
    "fields",
    [
        ("Content-Length: 2", "Content-Length: 3"),
        ("Content-Length: 2, 3",),
        ("Content-Length: +2",),
        ("Content-Length: 0x2",),
        ("Content-Length: -2",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: x",),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    ],
)
def test_lengths_that_are_none_400(peer: Peer, fields: tuple[str, ...]) -> None:
    head = peer.lines(f"POST {peer.objects('rw1')} HTTP/1.1", *fields)
    assert status_of(peer.wire(head + b"2\r\n{}\r\n0\r\n\r\n")) == 400


def test_one_host_400(peer: Peer) -> None:
    """RFC 9112, section 3.2."""
    for hosts in ("", "Host: a\r\nHost: b\r\n"):
        sent = f"GET {peer.root} HTTP/1.1\r\n{hosts}Authorization: {peer.basic}\r\n\r\n"
        assert status_of(peer.wire(sent.encode())) == 400, hosts


@pytest.mark.parametrize(
    "field", ["X: a\r\n folded", "X : space", "X\x00Y: nul", "NoColon", "X: a\x00b", "X: a\rb"]
)
def test_broken_headers_400(peer: Peer, field: str) -> None:
    assert status_of(peer.wire(peer.lines(f"GET {peer.root} HTTP/1.1", field))) == 400


def test_huge_headers_and_paths_4xx(peer: Peer) -> None:
    head = peer.lines(f"GET {peer.root} HTTP/1.1", "X-Long: " + "a" * 200_000)
    assert status_of(peer.wire(head)) in (400, 431)
    long = peer.lines(f"GET /{'a' * 100_000} HTTP/1.1")
    assert status_of(peer.wire(long)) in (400, 404, 414, 431)


def test_percent_encoded_paths_are_the_same(peer: Peer) -> None:
    (made,) = peer.stored("rw1", indicator())
    for path in (
        peer.objects("rw1", made["id"].replace("-", "%2D")),
        peer.objects("rw1", made["id"].replace("-", "%2d")),
        peer.objects("rw1", made["id"]).replace("objects", "%6Fbjects"),
    ):
        assert peer.get(path).objects == [made], path


def test_strange_paths_are_not_found(peer: Peer) -> None:
    for tail in (
        "%00",
        "%ff",
        "..",
        "%2e%2e",
        "%2F",
        "☃".encode().hex(),
        "' OR 1=1 --",
        "a" * 3000,
    ):
        path = peer.objects("rw1", tail.replace(" ", "%20"))
        answer = peer.get(path)
        assert answer.status == 404, tail
        assert answer.json["http_status"] == "404"


def test_an_empty_post_without_length(peer: Peer) -> None:
    head = peer.lines(f"POST {peer.objects('rw1')} HTTP/1.1", "Connection: close")
    assert status_of(peer.wire(head)) in (400, 411, 422)


def test_a_get_with_a_body_is_served_as_without(peer: Peer) -> None:
    sent = [*peer.usual(), ("Content-Type", TAXII)]
    assert peer.ask("GET", peer.root, headers=sent, body=b"{" * 1000).status == 200


def test_errors_never_echo_what_was_sent(peer: Peer) -> None:
    canary = "canary-7f3a"
    answers = [
        peer.get(peer.objects("rw1"), [("added_after", canary)]),
        peer.get(peer.objects("rw1"), [(f"match[{canary}]", "x")]),
        peer.get(f"{peer.root}{canary}/"),
        peer.send("rw1", json.dumps({canary: canary}).encode()),
        peer.ask("GET", peer.root, headers=[("Authorization", f"Bearer {canary}")]),
    ]
    for answer in answers:
        assert 400 <= answer.status < 500
        assert canary.encode() not in answer.body


def test_the_server_says_nothing_of_its_insides(peer: Peer) -> None:
    for path, caching in ((peer.root, "private, no-cache"), ("/nothing/", "no-store")):
        answer = peer.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == caching
        assert "python" not in answer.headers.get("server", "").lower()
