"""Tens of thousands of polls: memory and descriptors of the hub stay where they are.

The suite counts descriptors and what Python holds over some thousand polls; the drill measures
memory over 44,000. The control keeps 64 bytes of each request, and opens a file now and then.
"""

from __future__ import annotations

import re
import socket
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.faults.hub_process import HubProcess
from tests.faults.process_facts import descriptors, memory
from tests.interop.raw_http import Peer, indicator

POLLS: Final = 44_000
WARMING: Final = 16_000
STEP: Final = 1_000
AT_ONCE: Final = 50
GROWTH_KIB: Final = 1.0
_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)\r\n")


class Poller:
    """Asks on one connection, many requests at once, as fast as the hub answers."""

    def __init__(self, peer: Peer) -> None:
        path = peer.objects("rw1")
        kinds = [
            *[f"GET {path}?added_after=2100-01-01T00:00:00Z HTTP/1.1"] * 7,
            *[f"GET {path}?limit=10 HTTP/1.1"] * 2,
            f"GET {path}?limit=none HTTP/1.1",
        ]
        requests = [peer.lines(kinds[number % len(kinds)]) for number in range(AT_ONCE)]
        self._sent = b"".join(requests)
        self._socket = socket.create_connection((peer.host, peer.port), timeout=30)
        self._file = self._socket.makefile("rb")

    def poll(self, count: int) -> None:
        """Ask so often; every answer is read to its end."""
        for _ in range(count // AT_ONCE):
            self._socket.sendall(self._sent)
            for _ in range(AT_ONCE):
                self._answer()

    def _answer(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self._file.readline()
            assert line, "the hub closed the connection"
            head += line
        assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400")), head[:100]
        length = _LENGTH.search(head)
        assert length is not None
        self._file.read(int(length[1]))

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()


@dataclass(frozen=True)
class Soaked:
    """What became of a hub.

    Args:
        kib_per_step: growth of memory for each 1,000 polls, in KiB.
        files: descriptors that it has more.
    """

    kib_per_step: float
    files: int


def soak(hub: HubProcess, warming: int, polls: int) -> Soaked:
    """Warm up, then poll and look at memory after each thousand."""
    peer, pid = Peer(hub), hub.process.pid
    peer.stored("rw1", *(indicator() for _ in range(50)))
    poller = Poller(peer)
    poller.poll(warming)
    files, kib = descriptors(pid), []
    for _ in range(polls // STEP):
        poller.poll(STEP)
        kib.append(memory(pid).now)
    grown = descriptors(pid) - files
    poller.close()
    # The slope that half of all pairs of a later and an earlier figure exceed (Theil and Sen): one
    # step of the allocator counts for little, a leak for all of its size.
    slopes = [
        (kib[later] - kib[earlier]) / (later - earlier)
        for later in range(len(kib))
        for earlier in range(later)
    ]
    # A single step has no slope.
    return Soaked(statistics.median(slopes or [0.0]), grown)


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        assert soak(hub, STEP // 2, STEP).files == 0
    with HubProcess(tmp_path / "control", launcher="tests.faults.leaking_hub") as hub:
        assert soak(hub, STEP // 2, STEP).files > 0


@pytest.mark.drill
@pytest.mark.timeout(1800)
def test_forty_four_thousand_polls(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        found = soak(hub, WARMING, POLLS)
    with HubProcess(tmp_path / "control", launcher="tests.faults.leaking_hub") as hub:
        control = soak(hub, WARMING, POLLS)
    print(
        f"{POLLS} polls: {found.kib_per_step:.2f} KiB per {STEP}, {found.files} descriptors more; "
        f"control {control.kib_per_step:.1f} KiB, {control.files} descriptors"
    )
    assert found.kib_per_step < GROWTH_KIB
    assert found.files == 0
    assert control.kib_per_step > 10 * GROWTH_KIB
    assert control.files > 0
