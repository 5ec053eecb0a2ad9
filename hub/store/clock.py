"""The clock that stamps date_added, and the guard that refuses to when it jumped."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from hub.errors import StoreError

MAX_DRIFT_SECONDS: Final = 60.0


def wall_micros() -> int:
    """Wall clock in microseconds UTC."""
    return time.time_ns() // 1000


def steady_seconds() -> float:
    """A clock that nobody sets, in seconds; where there is one, it runs on during suspend."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class GuardedClock:
    """Wall time, as long as it runs beside the steady clock.

    A clock set back would hold date_added still near the last stamp; one set ahead would push
    it into a future from which it cannot come back. Either is for an operator to sort out.

    Args:
        wall: microseconds UTC.
        steady: seconds from any start.
    """

    def __init__(self, wall: Callable[[], int], steady: Callable[[], float]) -> None:
        self._wall = wall
        self._steady = steady
        self._start = wall() / 1e6 - steady()

    def now(self) -> int:
        """Microseconds UTC.

        Raises:
            StoreError: the clocks parted by more than a minute since the store was opened.
        """
        wall = self._wall()
        drift = wall / 1e6 - self._steady() - self._start
        if abs(drift) > MAX_DRIFT_SECONDS:
            raise StoreError(
                f"the system clock jumped by {drift:+.0f} s; nothing is stored until it is right",
                where="clock",
                hint="set the clock right, or restart the hub if it is right now",
            )
        return wall

    def seconds(self) -> int:
        """Whole seconds UTC, unguarded, for records that order nothing."""
        return self._wall() // 1_000_000
