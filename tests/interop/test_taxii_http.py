"""HTTP as clients, proxies and attackers really speak it, byte by byte, to a hub's process.

What two servers on a request's way might read differently is refused and ends its connection. Two
things the server beneath decides before we see the request, both as RFC 9112 allows: a bare LF ends
a header line (section 2.2), and of a length beside chunks the chunks alone count, after which the
connection is closed (section 6.1).

Source: RFC 9110 and 9112; TAXII 2.1, sections 1.6 and 3.2.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.interop.raw_http import TAXII, Answer, Peer, envelope, indicator, status_of

INNER = b"GET /livez HTTP/1.1\r\nHost: inner.example\r\n\r\n"
LAST = INNER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
PATIENCE = 20.0
"""Seconds for connections that end by themselves."""
OWN = frozenset({"x-request-id", "date"})


@pytest.fixture(autouse=True)
def _still_serving(peer: Peer) -> Iterator[None]:
    yield
    assert peer.get(peer.root).status == 200


def chunked(body: bytes) -> bytes:
    """The body as one chunk and the end."""
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


def posting(peer: Peer, *fields: str, version: str = "1.1") -> bytes:
    """The head of a POST to rw1."""
    return peer.lines(f"POST {peer.objects('rw1')} HTTP/{version}", *fields)


def getting(peer: Peer, *fields: str, target: str | None = None, version: str = "1.1") -> bytes:
    """The head of a GET of the API root."""
    return peer.lines(f"GET {target or peer.root} HTTP/{version}", *fields)


def hosted(peer: Peer, *hosts: str, version: str = "1.1") -> bytes:
    """A GET with these Host fields."""
    lines = [f"GET {peer.root} HTTP/{version}", *(f"Host: {host}" for host in hosts)]
    lines += [f"Authorization: {peer.basic}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1")


def statuses(raw: bytes) -> list[int]:
    """Status codes of all answers on a connection."""
    return [int(part.split(b" ", 2)[1]) for part in raw.split(b"HTTP/1.")[1:]]


def refused(raw: bytes, *codes: int) -> bool:
    """Whether there is one answer, of these codes, and the connection ends with it."""
    return statuses(raw) in [[code] for code in codes or (400,)] and (
        b"\r\nconnection: close\r\n" in raw.lower()
    )


# -- framing -----------------------------------------------------------------------------------

FIELDS = {
    "two lengths": ("Content-Length: 4", "Content-Length: 5"),
    "two lengths in one": ("Content-Length: 4, 5",),
    "the same length twice in one": ("Content-Length: 4, 4",),
    "a length on a folded line": ("Content-Length:\r\n 4",),
    "a coding on a folded line": ("Transfer-Encoding:\r\n chunked",),
    "a coding that ends in chunked": ("Transfer-Encoding: xchunked",),
    "a quoted coding": ('Transfer-Encoding: "chunked"',),
    "a coding and a comma": ("Transfer-Encoding: chunked,",),
    "a comma and a coding": ("Transfer-Encoding: ,chunked",),
    "a coding with a parameter": ("Transfer-Encoding: chunked;q=1",),
    "an empty coding": ("Transfer-Encoding:", "Content-Length: 4"),
    "a coding after a vertical tab": ("Transfer-Encoding: \x0bchunked",),
    "a coding with a space before its colon": ("Transfer-Encoding : chunked",),
    "two codings": ("Transfer-Encoding: gzip, chunked",),
    "the coding twice": ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "identity": ("Transfer-Encoding: identity",),
}


@pytest.mark.parametrize("which", FIELDS)
def test_framing_that_two_servers_read_differently_400(peer: Peer, which: str) -> None:
    sent = posting(peer, *FIELDS[which]) + chunked(envelope(indicator())) + INNER
    assert refused(peer.wire(sent, seconds=PATIENCE), 400)


@pytest.mark.parametrize("separator", ["\r\n", "\n"])
@pytest.mark.parametrize("length_first", [True, False])
def test_nothing_behind_a_length_beside_chunks_is_served(
    peer: Peer, length_first: bool, separator: str
) -> None:
    """However the second field is brought in: a bare LF does not hide it."""
    made = indicator()
    body = chunked(envelope(made))
    fields = [f"Content-Length: {len(body + INNER)}", "Transfer-Encoding: chunked"]
    joined = separator.join(fields if length_first else fields[::-1])
    got = peer.wire(posting(peer, joined) + body + INNER, seconds=PATIENCE)
    assert refused(got, 202, 400)


CHUNKS = {
    "no number": b"zz\r\n{}\r\n0\r\n\r\n",
    "0x": b"0x2\r\n{}\r\n0\r\n\r\n",
    "negative": b"-2\r\n{}\r\n0\r\n\r\n",
    "signed": b"+2\r\n{}\r\n0\r\n\r\n",
    "beyond 64 bits": b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "no line end behind the data": b"2\r\n{}XX0\r\n\r\n",
    "data longer than said": b"1\r\n{}\r\n0\r\n\r\n",
    "bare LF": b"2\n{}\n0\n\n",
    "LF in an extension": b"2;a\nb\r\n{}\r\n0\r\n\r\n",
    "20 KB of extension": b"2;" + b"a" * 20_000 + b"\r\n{}\r\n0\r\n\r\n",
    "empty size": b"\r\n{}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("which", CHUNKS)
def test_chunks_that_are_none_400(peer: Peer, which: str) -> None:
    got = posting(peer, "Transfer-Encoding: chunked") + CHUNKS[which] + INNER
    assert refused(peer.wire(got, seconds=PATIENCE), 400)


def test_trailers_change_nothing(peer: Peer) -> None:
    made = indicator()
    body = chunked(envelope(made))[:-2]
    trailers = b"Content-Length: 3\r\nAuthorization: none\r\nContent-Type: text/html\r\n\r\n"
    head = posting(peer, "Transfer-Encoding: chunked", "Trailer: Content-Length")
    assert statuses(peer.wire(head + body + trailers + LAST, seconds=PATIENCE)) == [202, 200]
    assert peer.get(peer.objects("rw1", made["id"])).objects == [made]


# -- request lines and headers -----------------------------------------------------------------

LINES = {
    "no version": "GET {root}",
    "0.9": "GET {root} HTTP/0.9",
    "1.2": "GET {root} HTTP/1.2",
    "2.0": "GET {root} HTTP/2.0",
    "lower case": "GET {root} http/1.1",
    "two spaces": "GET  {root} HTTP/1.1",
    "a tab": "GET\t{root} HTTP/1.1",
    "NUL": "GET {root}\x00 HTTP/1.1",
    "a space in the path": "GET {root}a b HTTP/1.1",
    "asterisk": "OPTIONS * HTTP/1.1",
    "authority": "CONNECT hub.example:80 HTTP/1.1",
    "no method": " {root} HTTP/1.1",
}


@pytest.mark.parametrize("which", LINES)
def test_request_lines_that_are_none_400(peer: Peer, which: str) -> None:
    sent = peer.lines(LINES[which].format(root=peer.root)) + INNER
    assert refused(peer.wire(sent, seconds=PATIENCE), 400)


def test_absolute_targets_are_read_as_their_paths(peer: Peer) -> None:
    """RFC 9112, section 3.2.2: every server reads them."""
    for base in ("http://hub.example", "https://hub.example", "http://other.example:81"):
        sent = getting(peer, "Connection: close", target=base + peer.root)
        assert statuses(peer.wire(sent, seconds=PATIENCE)) == [200], base


HOSTS = (
    ("",),
    (),
    ("a", "a"),
    ("a", "b"),
    ("a b",),
    ("a/b",),
    ("a@b",),
    ("a,b",),
    ("a:99999",),
    ("a:x",),
    ("\xff",),
    ("[::1",),
    ("http://a",),
    ("a" * 300,),
)


@pytest.mark.parametrize("hosts", HOSTS)
def test_hosts_that_are_none_400(peer: Peer, hosts: tuple[str, ...]) -> None:
    assert refused(peer.wire(hosted(peer, *hosts), seconds=PATIENCE), 400)


@pytest.mark.parametrize(
    "host", ["hub.example", "HUB.example:8427", "192.0.2.1", "[2001:db8::1]:1"]
)
def test_hosts_of_every_form(peer: Peer, host: str) -> None:
    assert statuses(peer.wire(hosted(peer, host), seconds=PATIENCE)) == [200]


def test_http_1_0(peer: Peer) -> None:
    """Without a Host and a connection that is kept; chunks it does not know."""
    got = peer.wire(hosted(peer, version="1.0") * 2)
    assert statuses(got) == [200]
    assert refused(peer.wire(hosted(peer, "a", "b", version="1.0")), 400)
    sent = posting(peer, "Transfer-Encoding: chunked", version="1.0")
    assert refused(peer.wire(sent + chunked(envelope(indicator()))), 400)


def test_headers_beyond_the_cap_431(peer: Peer) -> None:
    assert refused(peer.wire(getting(peer, "X-Long: " + "a" * 100_000)), 431)
    assert refused(peer.wire(getting(peer, *(f"X-{n}: a" for n in range(1000)))), 431)
    assert refused(peer.wire(getting(peer, target="/" + "a" * 100_000)), 414, 431)
    long = getting(peer, "Connection: close", "X-Long: " + "a" * 30_000)
    assert statuses(peer.wire(long, seconds=PATIENCE)) == [200]


def test_requests_in_a_row_are_answered_in_order(peer: Peer) -> None:
    """Pipelined: each with its own answer, also behind a body and behind an error."""
    body = envelope(indicator())
    sent = getting(peer) + getting(peer, target="/nothing/")
    sent += posting(peer, f"Content-Length: {len(body)}") + body
    sent += posting(peer, "Transfer-Encoding: chunked") + chunked(b"{") + LAST
    assert statuses(peer.wire(sent, seconds=PATIENCE)) == [200, 404, 202, 400, 200]


def test_expect_is_answered_before_the_body_or_refused(peer: Peer) -> None:
    """Who waits for leave to send learns that he may not before he sends."""
    body = envelope(indicator())
    fields = (f"Content-Length: {len(body)}", "Expect: 100-continue")
    sent = posting(peer, *fields, "Connection: close") + body
    assert statuses(peer.wire(sent, seconds=PATIENCE)) == [100, 202]
    head = peer.lines(f"POST {peer.objects('ro')} HTTP/1.1", *fields)
    refusal = peer.wire(head, seconds=PATIENCE)
    assert refused(refusal, 403)


# -- methods and paths -------------------------------------------------------------------------


def everything(peer: Peer) -> list[str]:
    """Every path that GET is served at, with both outcomes."""
    (made,) = peer.stored("rw1", indicator())
    status = peer.post("rw1", indicator()).json["id"]
    one = peer.objects("rw1", made["id"])
    return [
        "/taxii2/",
        peer.root,
        f"{peer.root}about/",
        f"{peer.root}openapi.json/",
        f"{peer.root}status/{status}/",
        f"{peer.root}collections/",
        peer.collection("rw1"),
        peer.collection("na"),
        f"{peer.collection('rw2')}manifest/",
        peer.objects("rw2"),
        f"{peer.objects('rw2')}?limit=0",
        peer.objects("wo"),
        one,
        f"{one}versions/",
        f"{peer.root}nothing/",
        f"{peer.root}channels/{uuid.uuid4()}/checkpoint/",
    ]


def compared(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in OWN}


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_head_is_get_without_the_body_everywhere(peer: Peer, encoding: str) -> None:
    """RFC 9110, section 9.3.2: the same status and header fields, Content-Length too."""
    sent = [*peer.usual(), ("Accept-Encoding", encoding)]
    for path in everything(peer):
        got, head = (peer.ask(method, path, headers=sent) for method in ("GET", "HEAD"))
        assert (head.status, head.body) == (got.status, b""), path
        assert compared(head) == compared(got), path
        assert int(got.headers["content-length"]) == len(got.body), path


def test_with_or_without_the_slash_and_never_a_redirect(peer: Peer) -> None:
    for path in everything(peer):
        if "?" not in path:
            both = [peer.get(path), peer.get(path.removesuffix("/"))]
            assert both[0].status == both[1].status, path
            assert both[0].status in (200, 403, 404), path


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PUT", "PATCH", "get", "QUERY"])
def test_a_method_that_a_resource_does_not_know_405(peer: Peer, method: str) -> None:
    for path in everything(peer):
        if peer.get(path).status != 404:
            answer = peer.ask(method, path)
            assert answer.status == 405, path
            allowed = answer.headers["allow"].split(", ")
            assert {"GET", "HEAD"} <= set(allowed), path
            assert allowed == sorted(allowed)


def test_a_slash_that_is_encoded_is_no_slash(peer: Peer) -> None:
    for path in (
        f"{peer.root}collections%2F",
        f"{peer.root.rstrip('/')}%2fcollections/",
        peer.collection("rw1").replace("/collections/", "/collections%2F"),
    ):
        assert peer.get(path).status == 404, path


def test_headers_that_stand_twice(peer: Peer) -> None:
    made = indicator()
    usual = peer.usual()
    for twice in (
        [("Content-Type", TAXII), ("Content-Type", "text/html")],
        [("Content-Type", "text/html"), ("Content-Type", TAXII)],
        [("Content-Type", TAXII), ("Content-Encoding", "identity"), ("Content-Encoding", "gzip")],
    ):
        answer = peer.ask(
            "POST", peer.objects("rw1"), headers=[*usual, *twice], body=envelope(made)
        )
        assert answer.status == 415, twice
    both = [*usual, ("Authorization", f"Bearer {peer.hub.line['token']}")]
    assert peer.ask("GET", peer.root, headers=both).status == 401
    assert peer.get(peer.objects("rw1", made["id"])).status == 404


@pytest.mark.parametrize(
    ("charset", "status"), [("utf-8", 202), ('"UTF-8"', 202), ("latin-1", 415), ("utf-16", 415)]
)
def test_a_body_is_utf_8(peer: Peer, charset: str, status: int) -> None:
    sent = [*peer.usual(), ("Content-Type", f"{TAXII};charset={charset}")]
    body = envelope(indicator())
    assert peer.ask("POST", peer.objects("rw1"), headers=sent, body=body).status == status


def test_status_of_reads_the_first_answer(peer: Peer) -> None:
    """The tests above would pass with any answer if this did not tell them apart."""
    one, two = (peer.wire(getting(peer) + more, seconds=1.0) for more in (b"", INNER))
    assert (status_of(one), statuses(two)) == (200, [200, 200])
    assert not refused(one, 200)
    assert not refused(two, 200, 400)
