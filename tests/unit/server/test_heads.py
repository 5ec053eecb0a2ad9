"""Many requests share one look-up, and each sees what was stored before it came."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import cast

from hub.errors import StoreAwayError
from hub.server.calls import StoreCalls
from hub.server.heads import Heads
from hub.settings import HubLimits
from hub.store.interface import Store
from hub.store.records import Position


class _Remote:
    """A store whose look-ups wait until they may go on."""

    remote = True

    def __init__(self) -> None:
        self.head = 1
        self.asked: list[list[str]] = []
        self.go = threading.Event()
        self.away = False

    def positions(self, wanted: Sequence[str]) -> dict[str, Position]:
        self.asked.append(sorted(wanted))
        found = {one: Position(self.head, 0) for one in wanted if one != "absent"}
        self.go.wait(10)
        if self.away:
            raise StoreAwayError("away")
        return found


async def _until_asked(store: _Remote, times: int) -> None:
    async with asyncio.timeout(10):
        while len(store.asked) < times:
            await asyncio.sleep(0.001)


def _heads(store: _Remote) -> tuple[Heads, StoreCalls]:
    calls = StoreCalls(cast("Store", store), HubLimits())
    return Heads(cast("Store", store), calls), calls


def test_who_comes_during_a_look_up_waits_for_the_next() -> None:
    store = _Remote()

    async def play() -> None:
        heads, calls = _heads(store)
        first = asyncio.create_task(heads.position("a"))
        await _until_asked(store, 1)
        store.head = 2
        later = [asyncio.create_task(heads.position(one)) for one in ("a", "b", "a", "absent")]
        await asyncio.sleep(0)
        later[2].cancel()
        store.go.set()
        assert await first == Position(1, 0)
        assert await later[0] == await later[1] == Position(2, 0)
        assert await later[3] is None
        calls.close()

    asyncio.run(play())
    assert store.asked == [["a"], ["a", "absent", "b"]]


def test_a_server_that_is_away_fails_all_that_wait() -> None:
    store = _Remote()

    async def play() -> None:
        heads, calls = _heads(store)
        store.away = True
        store.go.set()
        for failed in await asyncio.gather(
            *(heads.position(one) for one in "abc"), return_exceptions=True
        ):
            assert isinstance(failed, StoreAwayError)
        calls.close()

    asyncio.run(play())
