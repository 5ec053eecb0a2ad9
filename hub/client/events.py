"""Reading a stream of server-sent events, of which nothing is trusted but that something is new.

Source: WHATWG HTML, section 9.2.6 (interpreting an event stream).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from hub.errors import TransportError

_MOST: Final = 64 * 1024
"""Bytes of one event."""


class NoEventsError(TransportError):
    """The server does not tell of news; it has to be asked."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Args:
        name: `open`, `added`, `reset` or `end`.
        id: by which a stream is taken up again; None when it has none.
        data: its text.
    """

    name: str
    id: str | None
    data: str


def read_events(pieces: Iterable[bytes], *, where: str) -> Iterator[Event]:
    """The events of a stream, each as soon as it is whole; comments are passed over.

    Args:
        pieces: the body as it arrives.
        where: the URL, for errors.
    Raises:
        TransportError: an event is too long.
    """
    rest = b""
    lines: list[str] = []
    size = 0
    for piece in pieces:
        *whole, rest = (rest + piece).replace(b"\r\n", b"\n").split(b"\n")
        if len(rest) > _MOST:
            raise TransportError("an event is too long", where=where)
        for raw in whole:
            size += len(raw)
            if size > _MOST:
                raise TransportError("an event is too long", where=where)
            if raw:
                lines.append(raw.decode("utf-8", "replace"))
                continue
            event = _event(lines)
            lines, size = [], 0
            if event is not None:
                yield event


def _event(lines: Iterable[str]) -> Event | None:
    name, last, data = "message", None, []
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "id" and value.isascii() and value.isprintable():
            last = value
        elif field == "data":
            data.append(value)
    return Event(name, last, "\n".join(data)) if data else None
