"""A hub whose wall clock is ahead by what a file says, in seconds: for drills without libfaketime.

Run as `python -m tests.faults.set_clock hub dev ...` with CLOCK_FILE in the environment. With
CLOCK_MANNER=free it is the negative control: nobody guards the clock, and date_added follows it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from hub.cli.main import main
from hub.store import appending, clock

_FILE = Path(os.environ["CLOCK_FILE"])
_REAL = time.time_ns


def shifted() -> int:
    """Nanoseconds UTC, as the file has it."""
    return _REAL() + int(float(_FILE.read_text() or 0) * 1e9)


def _without_head(*numbers: int) -> int:
    """In place of `max(head + 1, now)`: the clock alone."""
    return numbers[-1]


if __name__ == "__main__":
    vars(time)["time_ns"] = shifted
    vars(time)["time"] = lambda: shifted() / 1e9
    if os.environ.get("CLOCK_MANNER") == "free":
        type.__setattr__(clock.GuardedClock, "now", lambda self: self._wall())
        vars(appending)["max"] = _without_head
    main()
