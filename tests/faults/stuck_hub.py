"""A hub in which something hangs: run as `python -m tests.faults.stuck_hub hub serve ...`.

The variable `STUCK_HUB` says what, and after how many seconds the whole is ended by force. Nothing
of this is in the package.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette.types import Receive, Scope, Send

from hub import serving
from hub.cli.main import main
from hub.server import app
from hub.server.appender import Appender, Reviewed, Waiting
from hub.server.calls import StoreCalls
from hub.server.edge import Edge

STICK: Final = "/livez?stick"
VARIABLE: Final = "STUCK_HUB"
_LONG: Final = 3600.0


async def _request() -> None:
    await asyncio.sleep(_LONG)


async def _obstinate() -> None:
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(_LONG)


async def _thread() -> None:
    await asyncio.to_thread(time.sleep, _LONG)


_REQUESTS: Final[dict[str, Callable[[], Awaitable[None]]]] = {
    "a request": _request,
    "a task that is not cancelled": _obstinate,
    "a thread of the loop": _thread,
}


class StuckEdge(Edge):
    """A request for `STICK` hangs."""

    stuck: Callable[[], Awaitable[None]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `Edge`."""
        if scope["query_string"] == b"stick":
            await self.stuck()
        await super().__call__(scope, receive, send)


class StuckAppender(Appender):
    """Never commits."""

    def commit(self, gathered: Sequence[Waiting]) -> list[Reviewed]:
        """See `Appender`."""
        time.sleep(_LONG)
        return super().commit(gathered)


class StuckCalls(StoreCalls):
    """Its threads do not end."""

    def close(self) -> None:
        """See `StoreCalls`."""
        time.sleep(_LONG)


def stick(kind: str, seconds: float) -> None:
    """Have something hang in the hub of this process."""
    if kind in _REQUESTS:
        StuckEdge.stuck = staticmethod(_REQUESTS[kind])
        vars(app)["Edge"] = StuckEdge
    elif kind == "the appender":
        vars(app)["Appender"] = StuckAppender
    else:
        vars(app)["StoreCalls"] = StuckCalls
    vars(app).update(_COMMIT_SECONDS=0.5, _PART_SECONDS=0.5)
    vars(serving)["_CLOSING_SECONDS"] = seconds


if __name__ == "__main__":
    told, _, within = os.environ[VARIABLE].partition(":")
    stick(told, float(within))
    main()
