"""Who waits for news of which collection, and how they learn of it.

One broadcaster a process keeps for each collection that somebody follows where it stands, and wakes
the streams when it moved. It learns of that from this process's own posts at once, from those of
other processes by hints (LISTEN/NOTIFY) where the store has such, and by asking the store every now
and then: hints may get lost, the store's answer is the truth. Streams hold no thread and no
connection to the database, and what waits for a slow reader is one position, never a queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final, TypeVar

from hub.errors import StoreError
from hub.server.closing import in_a_thread
from hub.server.refusals import BusyError, TooManyStreamsError
from hub.settings import HubLimits, PushSettings
from hub.store.interface import Store

MOST_COUNTED: Final = 10_000
"""An event counts so many objects at most."""

T = TypeVar("T")

_logger = logging.getLogger("stillwatch.events")
_HINT_SECONDS: Final = 0.5
_RECONNECT_SECONDS: Final = (0.5, 10.0)


@dataclass(slots=True, eq=False)
class Topic:
    """One collection that somebody follows.

    Args:
        collection_id: of it.
        head: its greatest date_added, microseconds UTC; None while it is empty.
        known: whether the store was asked yet.
        stored: objects that arrived since the topic began, for counts between two moments.
        wakes: one call for each stream.
    """

    collection_id: str
    head: int | None = None
    known: bool = False
    stored: int = 0
    wakes: set[Callable[[], None]] = field(default_factory=set)


class Broadcaster:
    """See the module's text.

    Args:
        store: where collections stand.
        settings: how often it is asked.
        limits: how many may listen.
        pool: threads for a store that is not on this machine.
    """

    def __init__(
        self, store: Store, settings: PushSettings, limits: HubLimits, pool: Executor
    ) -> None:
        self._store = store
        self._settings = settings
        self._limits = limits
        self._pool = pool
        self._topics: dict[str, Topic] = {}
        self._streams: Counter[str] = Counter()
        self._touched: set[str] = set()
        self._woken = asyncio.Event()
        self._looking = asyncio.Lock()
        self._stopping = False
        self._ended = threading.Event()
        self._task: asyncio.Task[None] | None = None
        self._listener: threading.Thread | None = None
        self.told = 0

    # -- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to look and to listen; called inside the event loop."""
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._run())
        self._listener = threading.Thread(
            target=self._listen, name="stillwatch-hints", args=(loop,), daemon=True
        )
        self._listener.start()

    def stop(self) -> None:
        """End every stream and take no more: the first step on the way down."""
        self._stopping = True
        for topic in self._topics.values():
            _wake(topic)

    async def close(self) -> None:
        """Stop looking and listening."""
        self.stop()
        self._ended.set()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._listener is not None:
            await in_a_thread(self._listener.join)

    @property
    def stopping(self) -> bool:
        """Whether streams have to end."""
        return self._stopping

    @property
    def streams(self) -> int:
        """How many are open."""
        return self._streams.total()

    @property
    def topics(self) -> int:
        """How many collections somebody follows."""
        return len(self._topics)

    # -- streams -------------------------------------------------------------------------------

    def take(self, account: str) -> None:
        """Take one of the places for streams; `give_back` ends it.

        Raises:
            TooManyStreamsError: this account has too many.
            BusyError: all are taken, or the hub is stopping.
        """
        retry = {"retry-after": str(self._limits.retry_after_seconds)}
        if self._stopping:
            raise BusyError("the hub is stopping", headers=retry)
        if self._streams[account] >= self._limits.account_streams:
            raise TooManyStreamsError(
                f"an account may have {self._limits.account_streams} streams of events open",
                hint="close one, or follow from one program for all",
                headers={"retry-after": str(max(1, int(self._settings.heartbeat_seconds)))},
            )
        if self.streams >= self._limits.streams:
            raise BusyError("too many streams of events are open", headers=retry)
        self._streams[account] += 1

    def give_back(self, account: str) -> None:
        """Let another stream have the place."""
        self._streams[account] -= 1
        if not self._streams[account]:
            del self._streams[account]

    async def follow(self, collection_id: str, wake: Callable[[], None]) -> Topic:
        """Have `wake` called whenever the collection moves, until `leave`.

        Returns:
            The topic, as up to date as the store is.
        Raises:
            StoreError: it cannot be asked.
        """
        # First who follows, then where it stands: what moves in between wakes them too.
        topic = self._topics.setdefault(collection_id, Topic(collection_id))
        topic.wakes.add(wake)
        try:
            await self._look([collection_id])
        except BaseException:
            self.leave(topic, wake)
            raise
        return topic

    def leave(self, topic: Topic, wake: Callable[[], None]) -> None:
        """Take a stream off; nobody looks at a collection that nobody follows."""
        topic.wakes.discard(wake)
        if not topic.wakes and self._topics.get(topic.collection_id) is topic:
            del self._topics[topic.collection_id]

    async def counted(self, collection_id: str, after: int | None, until: int) -> int:
        """How many objects lie between two positions, up to `MOST_COUNTED`."""
        return await self._ask(self._store.added, collection_id, after, until, MOST_COUNTED)

    # -- news ----------------------------------------------------------------------------------

    def touch(self, collection_id: str) -> None:
        """Say that a collection may have grown; called inside the event loop."""
        if collection_id in self._topics:
            self._touched.add(collection_id)
            self._woken.set()

    def _touch_all(self, collection_ids: Collection[str]) -> None:
        for each in collection_ids:
            self.touch(each)

    async def _run(self) -> None:
        settings = self._settings
        every = settings.poll_seconds if self._store.remote else settings.local_poll_seconds
        loop = asyncio.get_running_loop()
        due = loop.time() + every
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._woken.wait()
            self._woken.clear()
            wanted, self._touched = self._touched, set()
            if loop.time() >= due:
                wanted = set(self._topics)
                due = loop.time() + every
            if wanted:
                try:
                    await self._look(wanted)
                except StoreError as error:
                    fields = {"cause": error.message}
                    _logger.warning("cannot look for news", extra={"fields": fields})
                # What comes meanwhile makes one event.
                await asyncio.sleep(settings.gather_seconds)

    async def _look(self, collection_ids: Iterable[str]) -> None:
        async with self._looking:
            known = {each: topic for each in collection_ids if (topic := self._topics.get(each))}
            before = {each: topic.head for each, topic in known.items() if topic.known}
            for each, (head, more) in (await self._ask(self._news, list(known), before)).items():
                topic = known[each]
                moved = topic.known and head != topic.head
                topic.head, topic.known = head, True
                topic.stored += more
                if moved:
                    _wake(topic)

    def _news(
        self, collection_ids: Sequence[str], before: Mapping[str, int | None]
    ) -> dict[str, tuple[int | None, int]]:
        """The heads of collections, and how much came since those before."""
        found: dict[str, tuple[int | None, int]] = {}
        for each, position in self._store.positions(collection_ids).items():
            more = 0
            if each in before and position.head is not None and position.head != before[each]:
                more = self._store.added(each, before[each], position.head, MOST_COUNTED)
            found[each] = (position.head, more)
        return found

    async def _ask(self, work: Callable[..., T], *args: object) -> T:
        if not self._store.remote:
            return work(*args)
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    # -- hints ---------------------------------------------------------------------------------

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Pass on what other processes say; in a thread of its own, one for all streams."""
        first, most = _RECONNECT_SECONDS
        pause = first
        while not self._ended.is_set():
            try:
                hints = self._store.hints()
                if hints is None:
                    return
                with contextlib.closing(hints):
                    while not self._ended.is_set():
                        heard = hints.wait(_HINT_SECONDS)
                        pause = first
                        if heard:
                            loop.call_soon_threadsafe(self._touch_all, heard)
            except StoreError as error:
                fields = {"cause": error.message}
                _logger.warning("hints of other processes are lost", extra={"fields": fields})
                self._ended.wait(pause)
                pause = min(2 * pause, most)


def _wake(topic: Topic) -> None:
    for wake in list(topic.wakes):
        wake()
