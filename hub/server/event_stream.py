"""One stream of server-sent events: what a collection's reader is told, for how long.

An event says up to where there is more, so that the last one is enough: a reader that takes them
slowly gets fewer and misses nothing. Its `id` is a cursor as `next` of a page, by which a stream
goes on after a break; one from before a restore of the hub is answered with `reset`.

Source: WHATWG HTML, section 9.2 (server-sent events).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hub.errors import AccessError, InputError, StoreError, TransportError
from hub.server.events import MOST_COUNTED, Broadcaster, Topic
from hub.server.refusals import TooManyFailuresError
from hub.settings import PushSettings
from hub.taxii import cursor
from hub.taxii.times import to_text

MEDIA_TYPE: Final = "text/event-stream"
_logger = logging.getLogger("stillwatch.events")
_RETRY: Final = b"retry: 2000\n\n"
_COMMENT: Final = b":\n\n"
_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # Proxies that gather an answer before they pass it on would gather for ever.
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"authorization"),
)


@dataclass(frozen=True, slots=True)
class Start:
    """Where a stream begins.

    Args:
        collection_id: what is followed.
        epoch: of the store.
        after: the reader has what was added up to then, microseconds UTC; None: it does not say.
        reset: why the position that it gave is none here; None when it is one.
    """

    collection_id: str
    epoch: str
    after: int | None = None
    reset: str | None = None

    @classmethod
    def of(
        cls, collection_id: str, epoch: str, last_event_id: str | None, added_after: int | None
    ) -> Start:
        """Read what a request says; the last event's id goes before `added_after`."""
        if not last_event_id:
            return cls(collection_id, epoch, added_after)
        try:
            found = cursor.decode(last_event_id, epoch=epoch, collection_id=collection_id)
        except InputError as error:
            return cls(collection_id, epoch, None, error.message)
        return cls(collection_id, epoch, found.position)


class _GoneError(Exception):
    """The client closed the connection."""


class EventStream(Response):
    """The answer that does not end by itself.

    Args:
        broadcaster: tells when to look.
        settings: rhythm.
        start: see `Start`.
        seconds: the stream ends after so long.
        account: whose place it takes.
        recheck: asks the rights again; raises when they are gone.
    """

    def __init__(
        self,
        broadcaster: Broadcaster,
        settings: PushSettings,
        start: Start,
        *,
        seconds: float,
        account: str,
        recheck: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(None, 200, media_type=None)
        self.raw_headers = list(_HEADERS)
        self._broadcaster = broadcaster
        self._settings = settings
        self._start = start
        self._account = account
        self._recheck = recheck
        self._seconds = seconds
        self._topic: Topic | None = None
        self._told: int | None = None
        self._stored = 0
        self._waiter: asyncio.Future[None] | None = None
        self._moved = False
        self._gone = False

    async def open(self) -> None:
        """Take a place and begin to follow, while a refusal can still be an answer of its own.

        Raises:
            TooManyStreamsError, BusyError: there is no place.
            StoreError: the store cannot be asked.
        """
        self._broadcaster.take(self._account)
        try:
            self._topic = await self._broadcaster.follow(self._start.collection_id, self._wake)
        except BaseException:
            self._broadcaster.give_back(self._account)
            raise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream that was opened; one that was not has headers only."""
        topic = self._topic
        leaving = None
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if topic is None:
                await send({"type": "http.response.body", "body": b""})
                return
            leaving = asyncio.ensure_future(self._watch(receive))
            await self._serve(topic, send)
        finally:
            if leaving is not None:
                leaving.cancel()
            if topic is not None:
                self._broadcaster.leave(topic, self._wake)
                self._broadcaster.give_back(self._account)

    async def _serve(self, topic: Topic, send: Send) -> None:
        try:
            try:
                await self._send(send, await self._opening(topic))
                reason = await self._go_on(topic, send)
            except StoreError:
                reason = "unavailable"
            await self._send(send, _event("end", None, {"reason": reason}), more=False)
        except _GoneError:
            pass
        except TimeoutError:
            # Whoever reads nothing learns nothing either; the server closes the connection.
            _logger.info("a stream of events was not read, and is closed")

    async def _watch(self, receive: Receive) -> None:
        """Notice that the client went away."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._wake()

    def _wake(self) -> None:
        self._moved = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _pause(self, seconds: float) -> None:
        """Wait until the topic moves or the time is over."""
        if self._moved or seconds <= 0:
            return
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(seconds, self._expire, self._waiter)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    @staticmethod
    def _expire(waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_result(None)

    async def _opening(self, topic: Topic) -> bytes:
        """The first bytes: where the stream stands, and what the reader lacks already."""
        start, head = self._start, topic.head
        self._told, self._stored = head, topic.stored
        first = _RETRY + self._position_event("open", head, {})
        reset = start.reset
        if reset is None and start.after is not None and (head is None or start.after > head):
            # Of a hub that lost what the reader has; equal positions are the usual case.
            reset = "the hub has nothing so new" if head is not None else None
        if reset is not None:
            return first + self._position_event("reset", head, {"reason": reset})
        if start.after is None or head is None or start.after >= head:
            return first
        count = await self._broadcaster.counted(topic.collection_id, start.after, head)
        return first + self._added(start.after, head, count)

    async def _go_on(self, topic: Topic, send: Send) -> str:
        """Tell what happens until the stream has to end; returns why."""
        settings, loop = self._settings, asyncio.get_running_loop()
        now = loop.time()
        end, beat, checked = now + self._seconds, now + settings.heartbeat_seconds, now
        while True:
            due = min(end, beat, checked + settings.rights_seconds)
            await self._pause(due - loop.time())
            now = loop.time()
            if self._gone:
                raise _GoneError
            if self._broadcaster.stopping:
                return "stopping"
            if now >= end:
                return "lifetime"
            news = self._moved and topic.head != self._told
            self._moved = False
            if now >= checked + settings.rights_seconds:
                ended = await self._ended()
                if ended is not None:
                    return ended
                checked = loop.time()
            if news and topic.head is not None:
                count = min(topic.stored - self._stored, MOST_COUNTED)
                after, self._told, self._stored = self._told, topic.head, topic.stored
                await self._send(send, self._added(after, topic.head, count))
                self._broadcaster.told += 1
                beat = loop.time() + settings.heartbeat_seconds
            elif now >= beat:
                await self._send(send, _COMMENT)
                beat = loop.time() + settings.heartbeat_seconds

    async def _ended(self) -> str | None:
        """Ask the rights again; why the stream has to end, or None."""
        try:
            await self._recheck()
        except (StoreError, TransportError, TooManyFailuresError):
            # Nobody can be asked now, which says nothing of the rights.
            return "unavailable"
        except AccessError:
            return "rights"
        return None

    async def _send(self, send: Send, body: bytes, *, more: bool = True) -> None:
        async with asyncio.timeout(self._settings.write_seconds):
            await send({"type": "http.response.body", "body": body, "more_body": more})

    def _added(self, after: int | None, head: int, count: int) -> bytes:
        data: dict[str, object] = {"count": count}
        if after is not None:
            data["added_after"] = to_text(after)
        return self._position_event("added", head, data)

    def _position_event(self, name: str, head: int | None, data: dict[str, object]) -> bytes:
        start = self._start
        said: dict[str, object] = {"collection": start.collection_id, **data}
        position = None
        if head is not None:
            said["head"] = to_text(head)
            position = cursor.encode(cursor.Cursor(head, start.epoch, start.collection_id))
        return _event(name, position, said)


def _event(name: str, position: str | None, data: dict[str, object]) -> bytes:
    lines = [] if position is None else [f"id: {position}"]
    lines += [f"event: {name}", f"data: {msgspec.json.encode(data).decode()}"]
    return ("\n".join(lines) + "\n\n").encode()
