"""What a refused log-in takes says nothing about the token that was tried.

Welch's t over the times of two kinds of wrong tokens, tried in random order over one connection.
"""

from __future__ import annotations

import math
import random
import socket
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.members import Work, end, free_port, serve

pytestmark = pytest.mark.drill

_SAMPLES: Final = 10_000
_FEW: Final = 400
_MOST: Final = 4.5
_SLOWEST: Final = 0.1
"""Share of the slowest samples of each kind that is left out: pauses of the machine."""


def welch(one: Sequence[float], other: Sequence[float]) -> float:
    """Welch's t of two samples."""
    spread = statistics.variance(one) / len(one) + statistics.variance(other) / len(other)
    return (statistics.fmean(one) - statistics.fmean(other)) / math.sqrt(spread)


def timings(port: int, kinds: Mapping[str, str], samples: int) -> dict[str, list[float]]:
    """Seconds that a refusal takes, for each kind of wrong token; keep-alive, shuffled."""
    requests = {
        kind: (
            f"GET /stillwatch/collections/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Bearer {token}\r\n\r\n"
        ).encode()
        for kind, token in kinds.items()
    }
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    order = [kind for kind in kinds for _ in range(samples)]
    random.Random(7).shuffle(order)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for kind in order:
            began = time.perf_counter()
            connection.sendall(requests[kind])
            answer = connection.recv(65_536)
            found[kind].append(time.perf_counter() - began)
            assert answer.startswith(b"HTTP/1.1 401"), answer[:200]
    return {
        kind: sorted(times)[: int(len(times) * (1 - _SLOWEST))] for kind, times in found.items()
    }


@dataclass
class Launched(Work):
    """Commands of another program than the shipped one."""

    launcher: str = "hub.cli"

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", self.launcher, *words]


def measured(tmp_path: Path, samples: int, launcher: str = "hub.cli") -> dict[str, float]:
    """Welch's t of each kind of wrong token against a wrong secret behind a known prefix."""
    work = Launched(tmp_path, free_port(), launcher)
    work.run("none", "hub", "init", "--data", "hub")
    token = Path(work.token("lab")).read_text()
    mark, prefix, secret = token.split("_")
    kinds = {
        "wrong at the end": f"{mark}_{prefix}_{secret[:-1]}{_other(secret[-1])}",
        "wrong at the start": f"{mark}_{prefix}_{_other(secret[0])}{secret[1:]}",
        "unknown prefix": f"{mark}_{'a' * len(prefix)}_{secret}",
    }
    free = ("--login-failures", "10000000", "--account-rate", "0", "--address-rate", "0")
    process = serve(work, *free, "--no-access-log")
    try:
        timings(work.port, kinds, 100)
        found = timings(work.port, kinds, samples)
    finally:
        end(process)
    first, *others = found
    return {kind: welch(found[first], found[kind]) for kind in others}


def _other(digit: str) -> str:
    return "1" if digit == "0" else "0"


def test_refusals_take_the_same_time(tmp_path: Path) -> None:
    found = measured(tmp_path, _SAMPLES)
    print(found)
    assert max(map(abs, found.values())) < _MOST, found


def test_a_hub_that_hashes_for_known_prefixes_only_is_caught(tmp_path: Path) -> None:
    """The control: so few samples already show the leak of a hash."""
    found = measured(tmp_path, _FEW, "tests.faults.leaky_hub")
    assert abs(found["unknown prefix"]) > _MOST, found
