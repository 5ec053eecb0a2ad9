"""The negative control: a hub that logs the headers and bodies of requests at DEBUG.

Run as `python -m tests.e2e.indiscreet hub serve ...`. Nothing of this is in the package.
"""

from __future__ import annotations

import logging

from starlette.types import Receive, Scope, Send

from hub.cli.main import main
from hub.server.edge import Edge

_logger = logging.getLogger("stillwatch.server")
_serve = Edge.__call__


async def _telling(self: Edge, scope: Scope, receive: Receive, send: Send) -> None:
    _logger.debug("headers %r, query %r", scope["headers"], scope["query_string"])
    await _serve(self, scope, receive, send)


if __name__ == "__main__":
    type.__setattr__(Edge, "__call__", _telling)
    main()
