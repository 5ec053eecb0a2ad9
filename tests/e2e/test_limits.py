"""Every limit of the hub is pushed against: here on a real process, or by the test that is named.

A limit without either fails the first test, so that none is added that nothing holds to.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Final, cast

import pytest
import requests

from hub.errors import StoreAwayError
from hub.server.calls import StoreCalls
from hub.server.refusals import BusyError
from hub.settings import HubLimits
from hub.store.interface import Store
from tests.faults.hub_process import REPOSITORY
from tests.faults.process_facts import descriptors
from tests.faults.served_hub import NO_RATES, ServedHub
from tests.interop.raw_http import Answer, Peer, envelope, indicator, status_of

SMALL: Final = (
    *("--max-body", "64KiB", "--max-depth", "8", "--max-values", "2000", "--max-envelope", "10"),
    *("--page-limit", "4", "--page-default", "2", "--body-timeout", "1s"),
    *("--header-timeout", "1s", "--max-headers", "8KiB", "--max-connections", "40"),
    *("--login-failures", "3", "--login-window", "2s", "--stream-lifetime", "1s"),
    *NO_RATES,
)
ELSEWHERE: Final = {
    "batch_objects": "tests/unit/server/test_appender.py::test_posts_that_gather_share_a_commit",
    "account_rate": "tests/unit/server/test_rates.py::test_an_account_over_its_rate_harms_nobody",
    "account_burst": "tests/unit/server/test_rates.py::test_a_burst_then_the_rate",
    "address_rate": "tests/unit/server/test_rates.py::test_an_address_over_its_rate_is_refused",
    "address_burst": "tests/unit/server/test_rates.py::test_an_address_over_its_rate_is_refused",
    "streams": "tests/unit/server/test_events.py::test_places_are_limited",
    "account_streams": "tests/unit/server/test_events.py::test_places_are_limited",
    "segment_bytes": "tests/unit/server/test_segments.py::test_memory_is_bounded",
    "snapshot_bytes": "tests/unit/server/test_snapshots.py::test_the_disk_that_frames_take_is",
    "status_seconds": "tests/store/test_objects_contract.py::test_",
    "drain_seconds": "tests/e2e/test_hub_operations.py::test_the_drain_ends_by_itself",
}


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """A hub with small limits."""
    place: Path = tmp_path_factory.mktemp("limits") / "hub"
    with ServedHub(place, arguments=SMALL) as hub:
        found = Peer(hub)
        found.stored("rw1", *(indicator() for _ in range(8)))
        yield found


def _content_length(peer: Peer) -> None:
    assert peer.get(peer.root).json["max_content_length"] == 64 * 1024
    assert peer.post("rw1", indicator(x_padding="a" * 60_000)).status == 202
    assert peer.post("rw1", indicator(x_padding="a" * 65_536)).status == 413


def _json_depth(peer: Peer) -> None:
    for depth, status in ((4, 202), (9, 400)):
        nested = json.loads("[" * depth + "]" * depth)
        assert peer.post("rw1", indicator(x_nested=nested)).status == status


def _json_values(peer: Peer) -> None:
    assert peer.post("rw1", indicator(x_list=[1] * 1900)).status == 202
    assert peer.post("rw1", indicator(x_list=[1] * 2100)).status == 413


def _envelope_objects(peer: Peer) -> None:
    assert peer.post("rw1", *(indicator() for _ in range(10))).status == 202
    assert peer.post("rw1", *(indicator() for _ in range(11))).status == 422


def _page_objects(peer: Peer) -> None:
    assert len(peer.get(peer.objects("rw1"), [("limit", "100")]).objects) == 4


def _default_page_objects(peer: Peer) -> None:
    assert len(peer.get(peer.objects("rw1")).objects) == 2


def _body_seconds(peer: Peer) -> None:
    begun = peer.lines(f"POST {peer.objects('rw1')} HTTP/1.1", "Content-Length: 100") + b"{"
    assert status_of(peer.wire(begun, seconds=15)) == 408


def _header_milliseconds(peer: Peer) -> None:
    with socket.create_connection((peer.host, peer.port), timeout=15) as waiting:
        waiting.sendall(b"GET /livez HTTP/1.1\r\n")
        assert waiting.recv(4096) == b""


def _header_bytes(peer: Peer) -> None:
    for size, statuses in ((7_000, (200,)), (9_000, (400, 431))):
        sent = peer.lines(f"GET {peer.root} HTTP/1.1", f"X-Long: {'a' * size}", "Connection: close")
        assert status_of(peer.wire(sent, seconds=15)) in statuses


def _connections(peer: Peer) -> None:
    before = descriptors(peer.hub.process.pid)
    waiting = [socket.create_connection((peer.host, peer.port), timeout=15) for _ in range(60)]
    try:
        most = 0
        # Until the first have been closed for their silence and the last have been let in.
        for each in waiting:
            most = max(most, descriptors(peer.hub.process.pid) - before)
            assert each.recv(1) == b""
        assert 20 < most <= 40
    finally:
        for each in waiting:
            each.close()


def _auth_failures(peer: Peer) -> None:
    wrong = [("X-API-Key", "nobody")]
    statuses = [peer.ask("GET", peer.root, headers=wrong).status for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert peer.get(peer.root).status == 200


def _auth_window_seconds(peer: Peer) -> None:
    wrong = [("X-API-Key", "nobody")]
    for _ in range(4):
        refused = peer.ask("GET", peer.root, headers=wrong)
    assert refused.status == 429
    time.sleep(float(refused.headers["retry-after"]))
    assert peer.ask("GET", peer.root, headers=wrong).status == 401


def _stream_seconds(peer: Peer) -> None:
    with requests.get(
        f"http://{peer.host}:{peer.port}{peer.collection('rw1')}events/",
        headers={"Authorization": peer.basic, "Accept": "text/event-stream"},
        timeout=20,
        stream=True,
    ) as stream:
        assert stream.status_code == 200
        # Ends by itself, and well: requests raises for a stream that breaks off.
        assert b"".join(stream.iter_content(None)) is not None


PUSHED: Final[dict[str, Callable[[Peer], None]]] = {
    "content_length": _content_length,
    "json_depth": _json_depth,
    "json_values": _json_values,
    "envelope_objects": _envelope_objects,
    "page_objects": _page_objects,
    "default_page_objects": _default_page_objects,
    "body_seconds": _body_seconds,
    "header_milliseconds": _header_milliseconds,
    "header_bytes": _header_bytes,
    "connections": _connections,
    "auth_failures": _auth_failures,
    "auth_window_seconds": _auth_window_seconds,
    "stream_seconds": _stream_seconds,
}
BELOW: Final = {
    "backlog",
    "queue_objects",
    "queue_bytes",
    "retry_after_seconds",
    "store_threads",
    "store_waiting",
    "store_seconds",
    "shutdown_seconds",
}


def test_every_limit_is_pushed_against() -> None:
    named = {one.name for one in fields(HubLimits)}
    assert named == {*PUSHED, *ELSEWHERE, *BELOW}
    for place in ELSEWHERE.values():
        file, _, test = place.partition("::")
        assert f"\ndef {test}" in (REPOSITORY / file).read_text(), place


@pytest.mark.parametrize("limit", sorted(PUSHED))
def test_the_limit_holds(peer: Peer, limit: str) -> None:
    PUSHED[limit](peer)


def test_the_backlog_reaches_the_kernel(tmp_path: Path) -> None:
    """Behind a full house a connection waits in the kernel, and what is beyond that is refused."""
    few = ("--max-connections", "1", "--backlog", "128", "--header-timeout", "1m", *NO_RATES)
    with ServedHub(tmp_path / "hub", arguments=few) as hub:
        port, stood = Peer(hub).port, 0
        waiting: list[socket.socket] = []
        try:
            for _ in range(300):
                waiting.append(socket.create_connection(("127.0.0.1", port), timeout=0.3))
                stood += 1
        except TimeoutError:
            pass
        finally:
            for each in waiting:
                each.close()
        assert 128 <= stood < 140


@pytest.mark.parametrize("full", ["objects", "bytes"])
def test_a_flood_is_answered_503_and_loses_nothing(tmp_path: Path, full: str) -> None:
    sizes = ("20", "64MiB") if full == "objects" else ("100000", "1MiB")
    words = ("--queue-objects", sizes[0], "--queue-size", sizes[1], "--retry-after", "7s")
    padding = "a" * (10 if full == "objects" else 60_000)
    with ServedHub(tmp_path / "hub", arguments=(*words, *NO_RATES)) as hub:
        peer = Peer(hub)
        bodies = [[indicator(x_padding=padding) for _ in range(5)] for _ in range(40)]
        with closing(sqlite3.connect(tmp_path / "hub" / "hub.db", isolation_level=None)) as lock:
            # Nothing can be stored meanwhile.
            lock.execute("BEGIN IMMEDIATE")
            with ThreadPoolExecutor(40) as pool:
                posted = [pool.submit(peer.post, "rw1", *objects) for objects in bodies]
                while sum(one.done() for one in posted) < 20:
                    time.sleep(0.02)
                assert peer.get(peer.objects("rw1")).status == 200
                lock.execute("ROLLBACK")
                answers = [one.result() for one in posted]
        _judge_flood(peer, bodies, answers)


def _judge_flood(peer: Peer, bodies: list[list[dict[str, object]]], answers: list[Answer]) -> None:
    assert {one.status for one in answers} == {202, 503}
    for answer in answers:
        if answer.status == 503:
            assert answer.headers["retry-after"] == "7"
    taken = [objects for objects, one in zip(bodies, answers, strict=True) if one.status == 202]
    stored = peer.get(peer.objects("rw1"), [("limit", "1000")]).objects
    assert {one["id"] for one in stored} == {one["id"] for objects in taken for one in objects}
    assert peer.send("rw1", envelope(indicator())).status == 202


def test_a_stop_does_not_wait_for_ever(tmp_path: Path) -> None:
    words = ("--shutdown-timeout", "1s", "--body-timeout", "1h", *NO_RATES)
    with ServedHub(tmp_path / "hub", arguments=words) as hub:
        peer = Peer(hub)
        begun = peer.lines(f"POST {peer.objects('rw1')} HTTP/1.1", "Content-Length: 100") + b"{"
        with socket.create_connection((peer.host, peer.port), timeout=15) as waiting:
            waiting.sendall(begun)
            assert peer.get(peer.root).status == 200
            hub.process.send_signal(signal.SIGTERM)
            hub.process.wait(20)


class _Remote:
    """A store whose calls take as long as an event says."""

    remote = True

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.running = 0
        self.most = 0
        self._lock = threading.Lock()

    def call(self) -> None:
        """One call."""
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.go_on.wait(20)
        with self._lock:
            self.running -= 1


def test_calls_to_a_database_are_bounded_in_number_and_time() -> None:
    store = _Remote()
    limits = replace(HubLimits(), store_threads=3, store_waiting=5, store_seconds=0.2)

    async def play() -> list[object]:
        calls = StoreCalls(cast("Store", store), limits)
        try:
            running = [asyncio.create_task(calls.long(store.call)) for _ in range(8)]
            return await asyncio.gather(*running, return_exceptions=True)
        finally:
            store.go_on.set()
            calls.close()

    ends = asyncio.run(play())
    kinds = [type(one) for one in ends]
    assert kinds.count(BusyError) == 3
    assert kinds.count(StoreAwayError) == 5
    assert store.most == 3
