"""A hub whose event loop can be held, so that what wakes it for other threads fills meanwhile.

Run as `python -m tests.faults.slow_hub hub serve ...`. Nothing of this is in the package.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Final

from starlette.types import Receive, Scope, Send

from hub import serving
from hub.cli.main import main
from hub.server import app
from hub.server.edge import Edge

HOLD: Final = "/livez?hold"
VARIABLE: Final = "SLOW_HUB"
"""Names a folder, in which are:"""
FULL: Final = "full"
"""Made when more calls of other threads wait than what wakes the event loop takes."""
GO: Final = "go"
"""The event loop is held until this is there."""
_FULL: Final = 500
"""The socket pair takes about 280 bytes."""
_MOST_SECONDS: Final = 30.0


class SlowEdge(Edge):
    """Holds the event loop when asked to."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `Edge`."""
        if scope["query_string"] == b"hold":
            _hold(Path(os.environ[VARIABLE]))
        await super().__call__(scope, receive, send)


def _hold(folder: Path) -> None:
    waiting = vars(asyncio.get_running_loop())["_ready"]
    until = time.monotonic() + _MOST_SECONDS
    while not (folder / GO).exists() and time.monotonic() < until:
        if len(waiting) > _FULL:
            (folder / FULL).touch()
        time.sleep(0.01)


def slow_down() -> None:
    """Have the hub of this process be slow, on asyncio's own loop: uvloop has another pipe."""
    vars(app)["Edge"] = SlowEdge
    vars(serving)["_loop_factory"] = lambda: None


if __name__ == "__main__":
    slow_down()
    main()
