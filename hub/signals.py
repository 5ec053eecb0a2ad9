"""Signals that reach an event loop however busy it is.

asyncio's own handlers learn of a signal from the socket pair that also wakes the loop for other
threads. A server's threads write a byte there for each request, some three hundred fill it, and a
signal that comes then is lost for good: a hub with a thousand busy connections never heard that it
should stop. Here signals have a pair of their own, which nobody else writes to.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Final

_MOST_READ: Final = 4096


@contextlib.contextmanager
def heard(calls: Mapping[signal.Signals, Callable[[], None]]) -> Iterator[None]:
    """Have the running event loop call these when signals come; in the main thread only.

    Args:
        calls: signal -> what to call. Several of one that come together may count once.
    """
    loop = asyncio.get_running_loop()
    by_number = {int(number): call for number, call in calls.items()}
    reader, writer = socket.socketpair()

    def read() -> None:
        for number in reader.recv(_MOST_READ):
            by_number.get(number, _nothing)()

    with reader, writer:
        for end in (reader, writer):
            end.setblocking(False)
        loop.add_reader(reader, read)
        # That it is full means that many wait to be heard already.
        former_end = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        former = {number: signal.signal(number, _noted) for number in calls}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(former_end)
            loop.remove_reader(reader)


def _noted(number: int, frame: FrameType | None) -> None:
    """The number has been written before this is called; without a handler it would not be."""
    del number, frame


def _nothing() -> None:
    pass
