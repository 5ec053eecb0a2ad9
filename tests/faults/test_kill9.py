"""kill -9 of a real hub under writers and a poller.

Nothing acknowledged is lost, nothing is stored twice, and a poller sees each object once, in the
order in which a fresh reader finds them. The same check, run on a hub that acknowledges before it
commits, must fail: that is what shows that it can.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.faults.hub_process import HubProcess

TAXII = "application/taxii+json;version=2.1"
POSTERS = 4
BATCH = 5
PAGE = 50
TIMEOUT_SECONDS = 10.0


@dataclass
class Seen:
    """What the clients of the hub remember.

    Args:
        acknowledged: ids in answers with 202.
        polled: ids in the order in which the poller got them.
    """

    acknowledged: list[str] = field(default_factory=list)
    polled: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def problems(seen: Seen, stored: list[str]) -> list[str]:
    """What is wrong, judged by what the clients were told and what a fresh reader finds."""
    found = list(seen.odd)
    lost = set(seen.acknowledged) - set(stored)
    if lost:
        found.append(f"{len(lost)} acknowledged objects lost")
    found += [f"stored twice: {one}" for one, times in Counter(stored).items() if times > 1]
    found += [f"polled twice: {one}" for one, times in Counter(seen.polled).items() if times > 1]
    if seen.polled != stored:
        found.append("the poller saw other objects, or another order, than a fresh reader")
    return found


def envelope() -> dict[str, Any]:
    """Objects that nobody posted before."""
    return {
        "objects": [
            {
                "type": "note",
                "spec_version": "2.1",
                "id": f"note--{uuid.uuid4()}",
                "created": "2026-01-01T00:00:00.000Z",
                "modified": "2026-01-01T00:00:00.000Z",
                "content": "x" * 200,
                "object_refs": ["indicator--00000000-0000-4000-8000-000000000001"],
            }
            for _ in range(BATCH)
        ]
    }


def post_on(url: str, auth: tuple[str, str], seen: Seen, stop: threading.Event) -> None:
    """Post until told to stop; an envelope without an answer is posted again, unchanged."""
    headers = {"Content-Type": TAXII, "Accept": TAXII}
    with requests.Session() as session:
        session.auth = auth
        pending = envelope()
        while not stop.is_set():
            try:
                answer = session.post(url, json=pending, headers=headers, timeout=TIMEOUT_SECONDS)
            except requests.RequestException:
                stop.wait(0.02)
                continue
            if answer.status_code == 202 and answer.json()["success_count"] == BATCH:
                with seen.lock:
                    seen.acknowledged += [one["id"] for one in pending["objects"]]
                pending = envelope()
            elif answer.status_code != 503:
                with seen.lock:
                    seen.odd.append(f"a post was answered {answer.status_code}")


def read_on(
    session: requests.Session, url: str, position: str | None, into: list[str]
) -> str | None:
    """Read all pages after a position; the new position."""
    query: dict[str, str] = {"limit": str(PAGE), "match[version]": "all"}
    if position is not None:
        query["added_after"] = position
    while True:
        answer = session.get(url, params=query, headers={"Accept": TAXII}, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        page = answer.json()
        if not page.get("objects"):
            return position
        into += [one["id"] for one in page["objects"]]
        position = answer.headers["X-TAXII-Date-Added-Last"]
        query["added_after"] = position


def poll(url: str, auth: tuple[str, str], seen: Seen, stop: threading.Event) -> None:
    """Poll until told to stop, keeping only the position between polls."""
    position: str | None = None
    with requests.Session() as session:
        session.auth = auth
        while not stop.is_set():
            got: list[str] = []
            try:
                position = read_on(session, url, position, got)
            except requests.RequestException:
                # Pages of this round count as unread: the position did not move.
                stop.wait(0.02)
                continue
            seen.polled += got
            stop.wait(0.01)


def drill(
    data: Path,
    kills: int,
    *,
    launcher: str = "hub.cli",
    seed: int = 1,
    end: Callable[[HubProcess], object] = HubProcess.kill,
) -> tuple[Seen, list[str]]:
    """End the hub so often under load; what the clients saw, and what is stored."""
    chance = random.Random(seed)
    seen, stop = Seen(), threading.Event()
    hub = HubProcess(data, launcher=launcher)
    with hub:
        hub.port = int(hub.root.split(":")[2].split("/")[0])
        url = hub.objects("rw1")
        threads = [
            threading.Thread(target=post_on, args=(url, hub.auth, seen, stop))
            for _ in range(POSTERS)
        ]
        threads.append(threading.Thread(target=poll, args=(url, hub.auth, seen, stop)))
        for thread in threads:
            thread.start()
        try:
            for _ in range(kills):
                wait_for_progress(seen)
                time.sleep(chance.uniform(0.05, 0.4))
                end(hub)
                hub.start()
            wait_for_progress(seen)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        stored: list[str] = []
        with requests.Session() as session:
            session.auth = hub.auth
            # What came between the poller's last look and the posters' end.
            position = None
            rest: list[str] = []
            position = read_on(session, url, position, rest)
            assert position is not None
            stored = rest
            seen.polled += stored[len(seen.polled) :]
    return seen, stored


def wait_for_progress(seen: Seen) -> None:
    """Wait until the hub has acknowledged something more."""
    before, deadline = len(seen.acknowledged), time.monotonic() + 60
    while len(seen.acknowledged) < before + POSTERS * BATCH:
        assert time.monotonic() < deadline, "the hub stores nothing any more"
        time.sleep(0.01)


def test_two_kills_lose_nothing(tmp_path: Path) -> None:
    seen, stored = drill(tmp_path / "hub", 2)
    assert problems(seen, stored) == []
    assert len(stored) >= len(seen.acknowledged) > 0


@pytest.mark.drill
@pytest.mark.timeout(900)
def test_twenty_kills_lose_nothing(tmp_path: Path) -> None:
    seen, stored = drill(tmp_path / "hub", 20, seed=20)
    assert problems(seen, stored) == []
    assert len(stored) >= len(seen.acknowledged) > 0


def test_orderly_stops_lose_nothing_and_end_well(tmp_path: Path) -> None:
    codes: list[int] = []

    def stop(hub: HubProcess) -> None:
        codes.append(hub.stop())
        hub.kill()

    seen, stored = drill(tmp_path / "hub", 2, end=stop)
    assert problems(seen, stored) == []
    assert codes == [0, 0]


def test_the_check_catches_an_early_acknowledgement(tmp_path: Path) -> None:
    seen, stored = drill(tmp_path / "hub", 3, launcher="tests.faults.early_hub")
    assert any("acknowledged objects lost" in problem for problem in problems(seen, stored))
