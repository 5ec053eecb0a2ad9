"""Two hub processes on one database, many writers, and pollers that must miss nothing.

Every object that was acknowledged is there once, and each poller saw every object once, in the
order in which a fresh reader finds them, whichever process answered which of its polls. The same
check, run on hubs that take stamps before they lock the collection's head, must fail.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from tests.faults.hub_pair import STORES, Pair, pair
from tests.faults.traffic import BATCH, PAGE, TAXII, TIMEOUT_SECONDS, envelope

WRITERS = 16
POLLERS = 3


@dataclass
class Traffic:
    """What the clients of two hub processes remember.

    Args:
        acknowledged: ids in answers with 202.
        polled: of each poller, the ids in the order in which it got them.
        odd: answers that nobody should get.
    """

    acknowledged: list[str] = field(default_factory=list)
    polled: list[list[str]] = field(default_factory=lambda: [[] for _ in range(POLLERS)])
    odd: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)

    def write(self, urls: Iterator[str], auth: tuple[str, str], until: float) -> None:
        """Post until the time is over, each envelope to the next process."""
        headers = {"Content-Type": TAXII, "Accept": TAXII}
        with requests.Session() as session:
            session.auth = auth
            while time.monotonic() < until:
                body = envelope()
                answer = session.post(
                    next(urls), json=body, headers=headers, timeout=TIMEOUT_SECONDS
                )
                with self.lock:
                    if answer.status_code == 202 and answer.json()["success_count"] == BATCH:
                        self.acknowledged += [one["id"] for one in body["objects"]]
                    elif answer.status_code != 503:
                        self.odd.append(f"a post was answered {answer.status_code}")

    def poll(self, number: int, urls: Iterator[str], auth: tuple[str, str]) -> None:
        """Poll until all writers have ended and nothing more comes."""
        seen, position = self.polled[number], None
        with requests.Session() as session:
            session.auth = auth
            while True:
                last = self.ended.is_set()
                got, position = _page(session, next(urls), position)
                seen += got
                if last and not got:
                    return


def _page(
    session: requests.Session, url: str, position: str | None
) -> tuple[list[str], str | None]:
    query = {"limit": str(PAGE), "match[version]": "all"}
    if position is not None:
        query["added_after"] = position
    answer = session.get(url, params=query, headers={"Accept": TAXII}, timeout=TIMEOUT_SECONDS)
    answer.raise_for_status()
    found = [one["id"] for one in answer.json().get("objects", [])]
    return found, answer.headers["X-TAXII-Date-Added-Last"] if found else position


def run(both: Pair, seconds: float) -> list[str]:
    """Let everybody work for so long; what is wrong with what they saw."""
    traffic = Traffic()
    urls = both.objects("rw1")
    until = time.monotonic() + seconds
    # Each client begins at another process, and turns to the next one with each request.
    turns = (
        itertools.cycle(urls[one % len(urls) :] + urls[: one % len(urls)]) for one in range(99)
    )
    writers = [
        threading.Thread(target=traffic.write, args=(next(turns), both.auth, until))
        for _ in range(WRITERS)
    ]
    pollers = [
        threading.Thread(target=traffic.poll, args=(number, next(turns), both.auth))
        for number in range(POLLERS)
    ]
    for thread in (*writers, *pollers):
        thread.start()
    for thread in writers:
        thread.join()
    traffic.ended.set()
    for thread in pollers:
        thread.join()
    fresh: list[str] = []
    with requests.Session() as session:
        session.auth = both.auth
        position = None
        while True:
            got, position = _page(session, urls[0], position)
            if not got:
                break
            fresh += got
    return _problems(traffic, fresh)


def _problems(traffic: Traffic, stored: list[str]) -> list[str]:
    found = sorted(set(traffic.odd))
    assert len(traffic.acknowledged) > WRITERS * BATCH, "nothing was going on"
    lost = len(set(traffic.acknowledged) - set(stored))
    if lost:
        found.append(f"{lost} acknowledged objects are not stored")
    if len(set(stored)) != len(stored):
        found.append("an object is stored twice")
    for number, polled in enumerate(traffic.polled):
        missed, twice = len(set(stored) - set(polled)), len(polled) - len(set(polled))
        if missed or twice:
            found.append(f"poller {number} missed {missed} and saw {twice} twice")
        elif polled != stored:
            found.append(f"poller {number} saw another order")
    print(f"{len(stored)} stored, {len(traffic.acknowledged)} acknowledged; {found or 'all well'}")
    return found


@pytest.mark.parametrize("store", STORES)
def test_pollers_of_two_processes_miss_nothing(store: str, tmp_path: Path) -> None:
    with pair(store, tmp_path) as both:
        assert run(both, 3.0) == []


@pytest.mark.drill
@pytest.mark.timeout(600)
@pytest.mark.parametrize("store", STORES)
def test_for_a_minute(store: str, tmp_path: Path) -> None:
    with pair(store, tmp_path) as both:
        assert run(both, 60.0) == []


@pytest.mark.parametrize("store", ["postgresql", pytest.param("sqlite", marks=pytest.mark.drill)])
def test_stamps_taken_before_the_lock_are_caught(store: str, tmp_path: Path) -> None:
    found: list[str] = []
    with pair(store, tmp_path, launcher="tests.faults.early_stamps_hub") as both:
        for _ in range(5):
            found = run(both, 2.0)
            if found:
                break
    assert any("missed" in problem for problem in found)
