"""A stop signal always ends the hub, whatever its clients do, and loses nothing acknowledged."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from hub.deadline import ABANDONED
from tests.faults.served_hub import NO_RATES, ServedHub
from tests.faults.slow_hub import FULL, GO, HOLD
from tests.faults.slow_hub import VARIABLE as HELD_BY
from tests.faults.stuck_hub import STICK
from tests.faults.stuck_hub import VARIABLE as STUCK_BY
from tests.faults.test_connections import opened
from tests.interop.raw_http import Peer, envelope, indicator, status_of

SHORT: Final = ("--shutdown-timeout", "5s", *NO_RATES)
WAITING: Final = 600
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


def appears(path: Path) -> None:
    """Wait for a file."""
    until = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until, path.name
        time.sleep(0.01)


def held(tmp_path: Path, launcher: str) -> ServedHub:
    """A hub whose event loop can be held."""
    return ServedHub(
        tmp_path / "hub",
        arguments=SHORT,
        launcher=launcher,
        environment={HELD_BY: str(tmp_path)},
    )


def stopped_while_busy(hub: ServedHub, folder: Path) -> list[str]:
    """Send SIGTERM while hundreds of requests wait, and break off most; what was acknowledged.

    The event loop is held until all that has been sent.
    """
    peer = Peer(hub)
    with opened(peer, 1, peer.lines(f"GET {HOLD} HTTP/1.1")), opened(peer, POSTS, b"") as posts:
        ids = posted(peer, posts)
        with opened(peer, WAITING, begun(peer)) as sockets:
            appears(folder / FULL)
            hub.process.send_signal(signal.SIGTERM)
            break_off(sockets)
        (folder / GO).touch()
        return [each for each, one in zip(ids, posts, strict=True) if answered(one) == 202]


def test_a_stop_is_heard_while_hundreds_break_off(tmp_path: Path) -> None:
    with held(tmp_path, "tests.faults.slow_hub") as hub:
        acknowledged = stopped_while_busy(hub, tmp_path)
        assert hub.process.wait(30) == 0
    assert acknowledged
    with ServedHub(tmp_path / "hub", arguments=SHORT, known=hub.known) as again:
        peer = Peer(again)
        for each in acknowledged:
            assert peer.get(peer.objects("rw1", each)).objects, each


def test_a_hub_that_does_not_hear_its_stop_is_caught(tmp_path: Path) -> None:
    with held(tmp_path, "tests.faults.deaf_hub") as hub:
        stopped_while_busy(hub, tmp_path)
        # It serves on as if nothing had been said.
        assert Peer(hub).get("/readyz").status == 200
        assert hub.stop() == 0


def stuck(tmp_path: Path, kind: str, seconds: float) -> ServedHub:
    """A hub in which something will hang, all of which is ended by force after so many seconds."""
    return ServedHub(
        tmp_path / "hub",
        arguments=("--shutdown-timeout", "1s", *NO_RATES),
        launcher="tests.faults.stuck_hub",
        environment={STUCK_BY: f"{kind}:{seconds}"},
    )


@pytest.mark.parametrize(
    ("kind", "code", "said"),
    [
        ("a request", 0, "some connections did not end in time"),
        ("the store's threads", 0, "the store's threads did not end in time"),
        ("the appender", 0, "the appender did not end in time"),
        ("a task that is not cancelled", ABANDONED, "what still runs is abandoned"),
        pytest.param(
            "a thread of the loop",
            ABANDONED,
            "what still runs is abandoned",
            marks=pytest.mark.drill,
        ),
    ],
)
def test_what_hangs_does_not_keep_a_hub(tmp_path: Path, kind: str, code: int, said: str) -> None:
    with stuck(tmp_path, kind, 3) as hub:
        peer = Peer(hub)
        kept = [indicator() for _ in range(2)]
        if kind != "the appender":
            peer.stored("rw1", *kept)
        with (
            opened(peer, 1, peer.lines(f"GET {STICK} HTTP/1.1")),
            opened(peer, 1, b"") as posts,
        ):
            if kind == "the appender":
                posted(peer, posts)
            time.sleep(0.5)
            assert hub.stop() == code
    assert said in hub.errors()
    if kind == "the appender":
        return
    with ServedHub(tmp_path / "hub", arguments=NO_RATES, known=hub.known) as again:
        peer = Peer(again)
        assert all(peer.get(peer.objects("rw1", each["id"])).objects for each in kept)


def test_a_hub_that_waits_for_what_hangs_is_caught(tmp_path: Path) -> None:
    with stuck(tmp_path, "a task that is not cancelled", 3600) as hub:
        peer = Peer(hub)
        with opened(peer, 1, peer.lines(f"GET {STICK} HTTP/1.1")):
            time.sleep(0.5)
            hub.process.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                hub.process.wait(5)
        hub.kill()
