"""Posters and a poller on a real hub, what they remember, and the judgement over it."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import requests

from tests.faults.hub_process import HubProcess

TAXII: Final = "application/taxii+json;version=2.1"
POSTERS: Final = 8
BATCH: Final = 5
PAGE: Final = 50
TIMEOUT_SECONDS: Final = 20.0
PROGRESS_SECONDS: Final = 60.0


@dataclass
class Seen:
    """What the clients of the hub remember.

    Args:
        acknowledged: ids in answers with 202.
        polled: ids in the order in which the poller got them.
        statuses: how often posts were answered with which code.
        odd: answers that should not have been.
    """

    acknowledged: list[str] = field(default_factory=list)
    polled: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
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


def envelope(size: int = 200) -> dict[str, Any]:
    """Objects that nobody posted before, of so many characters."""
    return {
        "objects": [
            {
                "type": "note",
                "spec_version": "2.1",
                "id": f"note--{uuid.uuid4()}",
                "created": "2026-01-01T00:00:00.000Z",
                "modified": "2026-01-01T00:00:00.000Z",
                "content": "x" * size,
                "object_refs": ["indicator--00000000-0000-4000-8000-000000000001"],
            }
            for _ in range(BATCH)
        ]
    }


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


class Load:
    """Posters and one poller, for as long as the context lasts.

    Args:
        hub: a started development hub; it may be ended and started again at its port meanwhile.
        refusals: codes that a post may be answered with; the envelope is posted again.
        size: characters in each object.
        posters: how many.
    """

    def __init__(
        self,
        hub: HubProcess,
        *,
        refusals: frozenset[int] = frozenset({503}),
        size: int = 200,
        posters: int = POSTERS,
    ) -> None:
        self.seen = Seen()
        self._hub = hub
        self._url = hub.objects("rw1")
        self._auth = hub.auth
        self._refusals = refusals
        self._size = size
        self._posters = posters
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        targets = [*([self._post] * self._posters), self._poll]
        self._threads = [threading.Thread(target=target) for target in targets]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _post(self) -> None:
        """Post until told to stop; an envelope without an answer is posted again, unchanged."""
        headers = {"Content-Type": TAXII, "Accept": TAXII}
        with requests.Session() as session:
            session.auth = self._auth
            pending = envelope(self._size)
            while not self._stop.is_set():
                try:
                    answer = session.post(
                        self._url, json=pending, headers=headers, timeout=TIMEOUT_SECONDS
                    )
                except requests.RequestException:
                    self._stop.wait(0.02)
                    continue
                if self._note(answer, pending):
                    pending = envelope(self._size)
                elif answer.status_code != 202:
                    self._stop.wait(0.02)

    def _note(self, answer: requests.Response, pending: dict[str, Any]) -> bool:
        with self.seen.lock:
            self.seen.statuses[answer.status_code] += 1
            if answer.status_code == 202 and answer.json()["success_count"] == BATCH:
                self.seen.acknowledged += [one["id"] for one in pending["objects"]]
                return True
            if answer.status_code not in self._refusals:
                self.seen.odd.append(f"a post was answered {answer.status_code}")
        return False

    def _poll(self) -> None:
        """Poll until told to stop, keeping only the position between polls."""
        position: str | None = None
        with requests.Session() as session:
            session.auth = self._auth
            while not self._stop.is_set():
                got: list[str] = []
                try:
                    position = read_on(session, self._url, position, got)
                except requests.RequestException:
                    # Pages of this round count as unread: the position did not move.
                    self._stop.wait(0.02)
                    continue
                self.seen.polled += got
                self._stop.wait(0.01)

    def progress(self) -> None:
        """Wait until the hub has acknowledged something more."""
        before, deadline = len(self.seen.acknowledged), time.monotonic() + PROGRESS_SECONDS
        while len(self.seen.acknowledged) < before + POSTERS * BATCH:
            assert time.monotonic() < deadline, f"nothing is stored any more: {self.seen.statuses}"
            time.sleep(0.01)

    def refused(self, code: int) -> None:
        """Wait until a post is answered with a code once more."""
        before, deadline = self.seen.statuses[code], time.monotonic() + PROGRESS_SECONDS
        while self.seen.statuses[code] == before:
            assert time.monotonic() < deadline, f"no {code}: {self.seen.statuses}"
            time.sleep(0.01)

    def caught_up(self) -> None:
        """Wait until the poller has seen whatever is acknowledged."""
        deadline = time.monotonic() + PROGRESS_SECONDS
        while not set(self.seen.acknowledged) <= set(self.seen.polled):
            assert time.monotonic() < deadline, "the poller does not get everything"
            time.sleep(0.05)

    def stored(self) -> list[str]:
        """After the context's end: what a fresh reader finds; the poller catches up by it."""
        found: list[str] = []
        with requests.Session() as session:
            session.auth = self._auth
            read_on(session, self._url, None, found)
        # What came between the poller's last look and the posters' end.
        self.seen.polled += found[len(self.seen.polled) :]
        return found
