"""A stop signal always ends the hub, whatever its clients do, and loses nothing acknowledged."""

from __future__ import annotations

import signal
import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.faults.served_hub import NO_RATES, ServedHub
from tests.faults.slow_hub import HELD_SECONDS, HOLD
from tests.faults.test_connections import opened
from tests.interop.raw_http import Peer, envelope, indicator, status_of

SHORT: Final = ("--shutdown-timeout", "5s", *NO_RATES)
WAITING: Final = 600
"""More than what wakes the event loop takes, about 280."""
POSTS: Final = 20
_RESET: Final = struct.pack("ii", 1, 0)


def begun(peer: Peer) -> bytes:
    """A request for objects."""
    return peer.lines(f"GET {peer.objects('rw1')} HTTP/1.1")


def posted(peer: Peer, posts: Sequence[socket.socket]) -> list[str]:
    """Post an object on each connection; the ids."""
    ids = []
    for one in posts:
        new = indicator()
        body = envelope(new)
        length = f"Content-Length: {len(body)}"
        one.sendall(peer.lines(f"POST {peer.objects('rw1')} HTTP/1.1", length) + body)
        ids.append(new["id"])
    return ids


def break_off(sockets: Sequence[socket.socket]) -> None:
    """End connections as a client does that dies."""
    for one in sockets:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        one.close()


def answered(one: socket.socket) -> int:
    """Status of what came on a connection; 0 when it ended without."""
    try:
        return status_of(one.recv(4096))
    except ConnectionError:
        return 0


def stopped_while_busy(hub: ServedHub) -> list[str]:
    """Send SIGTERM while hundreds of requests wait, and break off most; what was acknowledged.

    The event loop is held until all that has been sent.
    """
    peer = Peer(hub)
    with opened(peer, 1, peer.lines(f"GET {HOLD} HTTP/1.1")), opened(peer, POSTS, b"") as posts:
        time.sleep(HELD_SECONDS / 4)
        ids = posted(peer, posts)
        with opened(peer, WAITING, begun(peer)) as sockets:
            time.sleep(HELD_SECONDS / 4)
            hub.process.send_signal(signal.SIGTERM)
            break_off(sockets)
        return [each for each, one in zip(ids, posts, strict=True) if answered(one) == 202]


def test_a_stop_is_heard_while_hundreds_break_off(tmp_path: Path) -> None:
    data = tmp_path / "hub"
    with ServedHub(data, arguments=SHORT, launcher="tests.faults.slow_hub") as hub:
        acknowledged = stopped_while_busy(hub)
        assert hub.process.wait(30) == 0
    assert acknowledged
    with ServedHub(data, arguments=SHORT, known=hub.known) as again:
        peer = Peer(again)
        for each in acknowledged:
            assert peer.get(peer.objects("rw1", each)).objects, each


def test_a_hub_that_does_not_hear_its_stop_is_caught(tmp_path: Path) -> None:
    with ServedHub(tmp_path / "hub", arguments=SHORT, launcher="tests.faults.deaf_hub") as hub:
        stopped_while_busy(hub)
        # It serves on as if nothing had been said.
        assert Peer(hub).get("/readyz").status == 200
        assert hub.stop() == 0
