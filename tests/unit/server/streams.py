"""A reader of a stream of events, without sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from starlette.types import Message

from tests.unit.server.harness import House


@dataclass(frozen=True)
class Event:
    """One event; a comment has the name `:`."""

    name: str
    id: str | None
    data: Any


def parse(text: str) -> list[Event]:
    """What a reader makes of whole blocks (WHATWG HTML, section 9.2.6)."""
    events = []
    for block in text.split("\n\n")[:-1]:
        if block.startswith(":"):
            events.append(Event(":", None, None))
            continue
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        if "event" in fields:
            events.append(Event(fields["event"], fields.get("id"), json.loads(fields["data"])))
    return events


class Reader:
    """Asks for a stream and takes what comes; `blocked` readers take nothing more.

    Use it inside the house's loop: `async with Reader(house, collection) as reader`.
    """

    def __init__(self, house: House, collection: str, query: str = "", **options: Any) -> None:
        self._house = house
        self._path = f"/stillwatch/collections/{collection}/events/"
        self._query = query
        self._who = options.pop("who", "owner")
        self._headers = {"x-api-key": house.tokens[self._who], **options.pop("headers", {})}
        self._method = options.pop("method", "GET")
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._left = asyncio.Event()
        self._asked = False
        self._text = ""
        self._ended = False
        self.read = asyncio.Event()
        self.read.set()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    async def __aenter__(self) -> Self:
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": self._method,
            "scheme": "http",
            "path": self._path,
            "raw_path": self._path.encode(),
            "query_string": self._query.encode(),
            "root_path": "",
            "headers": [
                (name.encode(), value.encode())
                for name, value in {"host": "hub.example", **self._headers}.items()
            ],
            "client": ("192.0.2.1", 50000),
            "server": ("hub.example", 80),
        }
        self.task = asyncio.create_task(self._house.app(scope, self._receive, self._send))
        start = await asyncio.wait_for(self._messages.get(), 10)
        self.status = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        self.read.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(self.task, 10)

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await self.read.wait()
        self._messages.put_nowait(message)

    async def next(self, seconds: float = 10) -> Event:
        """The next event or comment. Raises TimeoutError; EOFError at the end of the stream."""
        async with asyncio.timeout(seconds):
            while True:
                head, found, rest = self._text.partition("\n\n")
                if found:
                    self._text = rest
                    events = parse(head + found)
                    if events:
                        return events[0]
                    continue
                if self._ended:
                    raise EOFError
                message = await self._messages.get()
                self._text += message.get("body", b"").decode()
                self._ended = not message.get("more_body")

    async def event(self, seconds: float = 10) -> Event:
        """The next event that is no comment."""
        while (found := await self.next(seconds)).name == ":":
            pass
        return found
