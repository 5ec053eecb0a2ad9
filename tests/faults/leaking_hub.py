"""The negative control: a hub that keeps a little of every request, and a file of some.

Run as `python -m tests.faults.leaking_hub hub dev ...`. Nothing of this is in the package.
"""

from __future__ import annotations

import os
from typing import Final

from starlette.types import Receive, Scope, Send

from hub.cli.main import main
from hub.server.edge import Edge

KEPT_BYTES: Final = 64
EVERY: Final = 500
_kept: list[bytearray] = []
_serve = Edge.__call__


async def _keeping(self: Edge, scope: Scope, receive: Receive, send: Send) -> None:
    _kept.append(bytearray(KEPT_BYTES))
    if len(_kept) % EVERY == 0:
        os.open(os.devnull, os.O_RDONLY)
    await _serve(self, scope, receive, send)


if __name__ == "__main__":
    type.__setattr__(Edge, "__call__", _keeping)
    main()
