"""The negative control: a hub whose appender takes its stamps before it locks anything.

Run as `python -m tests.faults.early_stamps_hub hub dev ...`. Nothing of this is in the package.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence

from hub.cli.main import main
from hub.server import app
from hub.server.appender import Appender, Reviewed, Waiting
from hub.store import appending
from hub.store.clock import wall_micros

LONGEST_SECONDS = 0.03
"""Between a stamp and its transaction, in which the other process may commit a later one."""
_early: list[int] = []


class EarlyStamps(Appender):
    """Looks at the clock first, and waits for its turn afterwards."""

    def commit(self, gathered: Sequence[Waiting]) -> list[Reviewed]:
        # A thousand apart, with an offset of each process, so that two never take the same.
        _early[:] = [wall_micros() // 1_000 * 1_000 + os.getpid() % 2 * 500]
        time.sleep(random.uniform(0.0, LONGEST_SECONDS))
        return super().commit(gathered)


class _Placing(appending._Placing):
    def __init__(self, key: int, stamp: int) -> None:
        super().__init__(key, _early[0] if _early else stamp)


if __name__ == "__main__":
    vars(app)["Appender"] = EarlyStamps
    vars(appending)["_Placing"] = _Placing
    main()
