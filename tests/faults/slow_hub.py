"""A hub whose event loop can be held, so that what wakes it for other threads fills meanwhile.

Run as `python -m tests.faults.slow_hub hub serve ...`. Nothing of this is in the package.
"""

from __future__ import annotations

import time
from typing import Final

from starlette.types import Receive, Scope, Send

from hub.cli.main import main
from hub.server import app
from hub.server.edge import Edge

HOLD: Final = "/livez?hold"
HELD_SECONDS: Final = 2.0


class SlowEdge(Edge):
    """Holds the event loop when asked to."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `Edge`."""
        if scope["query_string"] == b"hold":
            time.sleep(HELD_SECONDS)
        await super().__call__(scope, receive, send)


def slow_down() -> None:
    """Have the hub of this process be slow."""
    vars(app)["Edge"] = SlowEdge


if __name__ == "__main__":
    slow_down()
    main()
