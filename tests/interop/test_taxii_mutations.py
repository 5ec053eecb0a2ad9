"""Requests with bytes changed, cut out and put in: whatever comes, no server error and no silence.

What the hub owes to a request that it cannot read is a 4xx or the end of the connection.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.hub_process import HubProcess
from tests.interop.raw_http import Peer, envelope, indicator

SEED = 20260101
PATIENCE = 0.2
"""Seconds of silence after which a connection that stays open is left."""
PIECES = (
    *(b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b";", b",", b'"', b"\\", b"\xff", b"-1"),
    *(b"%00", b"%2f", b"%", b"/", b"//", b"?", b"#", b"..", b"[", b"]", b"{", b"}", b"a" * 3000),
    *(b"&limit=1", b"&next=x", b"HTTP/1.0", b"HTTP/2", b"0\r\n\r\n", b"Host: a\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Content-Length: 0\r\n", b"Content-Length: 99\r\n"),
    *(b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n"),
    *(b"Upgrade: h2c\r\n", b"Range: bytes=0-1\r\n", b"If-None-Match: *\r\n"),
    *(b"Accept-Encoding: zstd\r\n", b"Last-Event-ID: x\r\n"),
)


def requests(peer: Peer) -> list[bytes]:
    """Requests as clients send them, the last ones of their connections."""
    last = "Connection: close"
    (made,) = peer.stored("rw1", indicator())
    body, one = envelope(indicator()), made["id"]
    posting = f"POST {peer.objects('rw1')} HTTP/1.1"
    return [
        peer.lines(f"GET {peer.root}about/ HTTP/1.1", last),
        peer.lines(f"GET {peer.objects('rw1')}?limit=2&match[id]={one} HTTP/1.1", last),
        peer.lines(f"HEAD {peer.objects('rw1', one)}versions/ HTTP/1.1", last),
        peer.lines(f"DELETE {peer.objects('rw2', one)}?match[version]=all HTTP/1.1", last),
        peer.lines(f"GET {peer.collection('rw1')}events/?seconds=0 HTTP/1.1", last),
        peer.lines(posting, last, f"Content-Length: {len(body)}") + body,
        peer.lines(posting, last, "Transfer-Encoding: chunked")
        + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body),
    ]


def mutations(originals: list[bytes], number: int) -> Iterator[bytes]:
    """So many requests, each with up to six changes; always the same ones."""
    chance = random.Random(SEED)
    for _ in range(number):
        raw = bytearray(chance.choice(originals))
        for _ in range(chance.choice((1, 1, 2, 3, 6))):
            at, kind = chance.randrange(len(raw)), chance.random()
            if kind < 0.4:
                raw[at:at] = chance.choice(PIECES)
            elif kind < 0.6:
                raw[at] = chance.randrange(256)
            elif kind < 0.8:
                del raw[at : at + chance.choice((1, 2, 5, 40))]
            else:
                raw[at : at + chance.randrange(1, 20)] = chance.choice(PIECES)
            raw = raw or bytearray(b"x")
        yield bytes(raw)


def examine(peer: Peer, originals: list[bytes], number: int) -> tuple[Counter[int], list[bytes]]:
    """How often each status came (0: none), and the requests that made the hub fail."""
    seen: Counter[int] = Counter()
    faults = []
    for raw in mutations(originals, number):
        got = peer.wire(raw, seconds=PATIENCE)
        statuses = [int(part[2:5]) for part in got.split(b"HTTP/1.")[1:] if part[2:5].isdigit()]
        seen.update(statuses or [0])
        if any(status >= 500 for status in statuses):
            faults.append(raw)
    return seen, faults


def drill(peer: Peer, number: int) -> Counter[int]:
    seen, faults = examine(peer, requests(peer), number)
    assert faults == []
    assert peer.hub.process.poll() is None
    assert peer.get(peer.root).status == 200
    # They reach the hub's own code and not only the parser beneath.
    assert len(set(seen) - {0, 400}) >= 3, seen
    return seen


def test_mutated_requests(peer: Peer) -> None:
    drill(peer, 50)


@pytest.mark.drill
def test_many_mutated_requests(peer: Peer) -> None:
    print(drill(peer, 5000))


def test_a_hub_that_fails_is_found_out(tmp_path: Path) -> None:
    """The negative control: its `about` answers 500."""
    with HubProcess(tmp_path / "hub", launcher="tests.interop.planted_hub") as hub:
        peer = Peer(hub)
        _, faults = examine(peer, requests(peer)[:1], 20)
    assert faults
