"""Where calls to the store run, and what happens to them while a database server is away.

A look-up in a file takes microseconds, less than handing it to a thread, so short calls run on the
event loop. A call to a database server waits for a network: it always runs in a thread, so that a
server that is away or does not answer never stops the loop. After a call that failed because of
that, others fail at once, and one in half a second is let through to see whether it is back.
Threads get a copy of the context, so that what is logged there names the request.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from hub.errors import StoreAwayError, StoreError
from hub.server.refusals import BusyError
from hub.settings import HubLimits
from hub.store.interface import Store

P = ParamSpec("P")
T = TypeVar("T")

_TRY_SECONDS: Final = 0.5
_PING_SECONDS: Final = 2.0
_COMMIT_SECONDS: Final = 30.0
_LOCAL_THREADS: Final = 4


class NotHereError(Exception):
    """Control flow: a short call found that it has long work to do, so a thread must do it."""


def on_event_loop() -> bool:
    """Whether this thread runs an event loop, which long work would stop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _Homecoming:
    """Brings what other threads finish to the event loop: what ends together, by one wake-up."""

    def __init__(self) -> None:
        self._ended: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        self._woken = False

    async def result(self, work: Future[T]) -> T:
        """What the work gives; who stops waiting for it cancels it."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[T] = loop.create_future()
        work.add_done_callback(partial(self._arrived, loop, waiting))
        try:
            return await waiting
        except asyncio.CancelledError:
            work.cancel()
            raise

    def _arrived(
        self, loop: asyncio.AbstractEventLoop, waiting: asyncio.Future[T], work: Future[T]
    ) -> None:
        self._ended.append((waiting, work))
        # Whoever clears the mark looks at the queue after that, so nothing stays behind in it.
        if not self._woken and not loop.is_closed():
            self._woken = True
            loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._woken = False
        while self._ended:
            waiting, work = self._ended.popleft()
            if waiting.done():
                continue
            if work.cancelled():
                waiting.cancel()
            elif (error := work.exception()) is not None:
                waiting.set_exception(error)
            else:
                waiting.set_result(work.result())


class StoreCalls:
    """See the module's text.

    Args:
        store: `remote` says whether it is a server.
        limits: number of threads, how many calls may wait for one, and how long one may take.
        monotonic: clock in seconds.
    """

    def __init__(
        self,
        store: Store,
        limits: HubLimits,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._remote = store.remote
        self._limits = limits
        self._monotonic = monotonic
        threads = limits.store_threads if self._remote else _LOCAL_THREADS
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="stillwatch-store")
        self._homecoming = _Homecoming()
        self._pinger = ThreadPoolExecutor(1, thread_name_prefix="stillwatch-ping")
        self._ping: asyncio.Future[None] | None = None
        self._running = 0
        self._next_try: float | None = None

    async def short(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what takes microseconds on a file.

        Raises:
            StoreAwayError: the database server cannot be reached.
            BusyError: too many calls wait for it.
        """
        if not self._remote:
            try:
                return work(*args, **kwargs)
            except NotHereError:
                pass
        return await self.long(work, *args, **kwargs)

    async def long(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what takes longer, or waits for other writers, in a thread. Raises as `short`."""
        loop = asyncio.get_running_loop()
        self._admit()
        self._running += 1
        running = loop.run_in_executor(
            self.pool, partial(copy_context().run, work, *args, **kwargs)
        )
        running.add_done_callback(self._ended)
        if not self._remote:
            return await running
        try:
            async with asyncio.timeout(self._limits.store_seconds):
                # A thread cannot be stopped: it goes on by itself when nobody waits any more.
                return await asyncio.shield(running)
        except TimeoutError:
            self._next_try = self._monotonic() + _TRY_SECONDS
            raise StoreAwayError(
                "the database does not answer in time", hint="try again in a moment"
            ) from None

    async def patiently(self, commit: Future[T]) -> T:
        """Wait for what the appender commits.

        Raises:
            StoreAwayError: the database server does not answer; it may have committed all the same.
        """
        if not self._remote:
            return await self._homecoming.result(commit)
        try:
            async with asyncio.timeout(_COMMIT_SECONDS):
                return await self._homecoming.result(commit)
        except TimeoutError:
            raise StoreAwayError(
                "the database does not answer in time",
                hint="post the same objects again: storing them twice does no harm",
            ) from None

    async def ready(self) -> bool:
        """Whether the store can be read now; on a server that hangs, false after two seconds.

        Those who ask wait for three: they shall hear that it is the store.
        """
        loop = asyncio.get_running_loop()
        if self._ping is None or self._ping.done():
            self._ping = loop.run_in_executor(self._pinger, self._store.ping)
            self._ping.add_done_callback(_retrieve)
        try:
            async with asyncio.timeout(_PING_SECONDS):
                await asyncio.shield(self._ping)
        except (StoreError, TimeoutError):
            return False
        self._next_try = None
        return True

    def close(self) -> None:
        """Wait for what runs; what a server that is away keeps waiting is left behind."""
        self._pinger.shutdown(wait=not self._remote, cancel_futures=True)
        self.pool.shutdown(wait=not self._remote or self._next_try is None, cancel_futures=True)

    def _admit(self) -> None:
        if self._remote and self._next_try is not None:
            now = self._monotonic()
            if now < self._next_try:
                raise StoreAwayError("the database cannot be reached", hint="try again in a moment")
            self._next_try = now + _TRY_SECONDS
        if self._running >= self._limits.store_waiting:
            raise BusyError("too many requests wait for the store")

    def _ended(self, call: asyncio.Future[T]) -> None:
        self._running -= 1
        if call.cancelled():
            return
        if isinstance(call.exception(), StoreAwayError):
            self._next_try = self._monotonic() + _TRY_SECONDS
        else:
            self._next_try = None


def _retrieve(call: asyncio.Future[None]) -> None:
    if not call.cancelled():
        call.exception()
