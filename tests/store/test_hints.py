"""News between processes on one store: by word, and by looking when the word is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hub.errors import StoreError
from hub.server.events import Broadcaster
from hub.settings import HubLimits, PushSettings
from hub.store.interface import Hints, Store
from hub.store.records import Kind
from tests.store.conftest import STORES, Make, Opener

SLOW = PushSettings(poll_seconds=30.0, local_poll_seconds=30.0)
"""So slow that only a word can be in time."""
QUICK = PushSettings(poll_seconds=0.2, local_poll_seconds=0.05)


@pytest.fixture
def other(opener: Opener, store: Store, tmp_path: Path) -> Iterator[Store]:
    """The same data as another process sees it."""
    opened = opener(tmp_path, None)
    yield opened
    opened.close()


def told(store: Store, other: Store, collection: str, make: Make, settings: PushSettings) -> float:
    """Seconds from an append in one process to the wake of a stream in another; -1 for never."""

    async def play(pool: ThreadPoolExecutor) -> float:
        broadcaster = Broadcaster(store, settings, HubLimits(), pool)
        broadcaster.start()
        woken = asyncio.Event()
        topic = await broadcaster.follow(collection, woken.set)
        # The listener's connection stands a moment later.
        await asyncio.sleep(1.0)
        began = time.monotonic()
        (fate,) = await asyncio.to_thread(other.append, collection, [make(1)])
        try:
            await asyncio.wait_for(woken.wait(), 5)
        except TimeoutError:
            return -1
        else:
            assert topic.head == fate.date_added
            assert topic.stored == 1
            return time.monotonic() - began
        finally:
            broadcaster.leave(topic, woken.set)
            await broadcaster.close()

    with ThreadPoolExecutor(2) as pool:
        return asyncio.run(play(pool))


def test_word_of_another_process(tmp_path: Path, make: Make) -> None:
    """On PostgreSQL long before anybody would have looked."""
    opener = STORES["postgres"]
    store, other = opener(tmp_path, None), opener(tmp_path, None)
    try:
        org = store.create_org("lab").id
        collection = _collection(store, org)
        assert 0 <= told(store, other, collection, make, SLOW) < 5
    finally:
        store.close()
        other.close()


def _collection(store: Store, org: str) -> str:
    return store.create_collection(Kind.PLAIN, "p", owner_org=org).id


def test_lost_word_is_made_up_for_by_looking(
    store: Store, other: Store, collection: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(store), "hints", lambda self: None)
    assert told(store, other, collection, make, QUICK) >= 0


def test_without_word_and_looking_nothing_is_told(
    store: Store, other: Store, collection: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check of the two checks above."""
    monkeypatch.setattr(type(store), "hints", lambda self: None)
    assert told(store, other, collection, make, SLOW) == -1


def test_a_broken_connection_is_made_again(
    store: Store, other: Store, collection: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What listened is gone twice; the third connection hears."""
    if not store.remote:
        monkeypatch.setattr(type(store), "remote", True)
    failures = iter((True, True))
    heard = type(store).hints

    class Deaf:
        """Breaks off at the first wait."""

        def wait(self, seconds: float) -> frozenset[str]:
            """Fail."""
            raise StoreError("the connection is gone")

        def close(self) -> None:
            """Nothing is open."""

    class Word:
        """Says at each wait that the collection grew."""

        def wait(self, seconds: float) -> frozenset[str]:
            """One collection."""
            time.sleep(0.05)
            return frozenset({collection})

        def close(self) -> None:
            """Nothing is open."""

    def hints(self: Store) -> Hints | None:
        if next(failures, False):
            return Deaf()
        return heard(self) or Word()

    monkeypatch.setattr(type(store), "hints", hints)
    monkeypatch.setattr("hub.server.events._RECONNECT_SECONDS", (0.01, 0.02))
    assert 0 <= told(store, other, collection, make, SLOW) < 5
