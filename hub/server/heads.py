"""Where collections stand, looked up for many requests at once.

On a database server a look-up is a trip. Requests that arrive while one is under way wait for the
next, which asks for all of them together: each is answered by a statement that began after it came,
so it sees all that was committed before, and a thousand pollers cost the server what one costs.
"""

from __future__ import annotations

import asyncio

from hub.server.calls import StoreCalls
from hub.store.interface import Store
from hub.store.records import Position

_Found = dict[str, Position]


class Heads:
    """See the module's text; for one event loop.

    Args:
        store: where collections are.
        calls: runs look-ups.
    """

    def __init__(self, store: Store, calls: StoreCalls) -> None:
        self._store = store
        self._calls = calls
        self._turn = asyncio.Lock()
        self._wanted: set[str] = set()
        self._next: asyncio.Task[_Found] | None = None

    async def position(self, collection_id: str) -> Position | None:
        """Where a collection stands now; None when there is no such collection.

        Raises:
            StoreAwayError, BusyError: as `StoreCalls.long`.
        """
        asking = self._next
        if asking is None:
            asking = self._next = asyncio.create_task(self._ask())
            asking.add_done_callback(_retrieve)
        self._wanted.add(collection_id)
        # One request that goes away must not take the answer from the others.
        return (await asyncio.shield(asking)).get(collection_id)

    async def _ask(self) -> _Found:
        async with self._turn:
            wanted, self._wanted, self._next = self._wanted, set(), None
            return await self._calls.long(self._store.positions, list(wanted))


def _retrieve(asking: asyncio.Task[_Found]) -> None:
    # Whoever asked may be gone by the time it fails.
    if not asking.cancelled():
        asking.exception()
