"""The guard on the clock that stamps."""

from __future__ import annotations

import pytest

from hub.errors import StoreError
from hub.store.clock import GuardedClock, steady_seconds, wall_micros


class _Clocks:
    def __init__(self) -> None:
        self.wall = 1_790_000_000_000_000
        self.steady = 5.0

    def guarded(self) -> GuardedClock:
        return GuardedClock(lambda: self.wall, lambda: self.steady)


@pytest.mark.parametrize("jump", [-3600, -61, 61, 7200, -86_400])
def test_a_jump_stops_the_stamps_until_it_is_undone(jump: int) -> None:
    clocks = _Clocks()
    guard = clocks.guarded()
    clocks.wall += jump * 1_000_000
    with pytest.raises(StoreError, match="clock jumped") as caught:
        guard.now()
    assert caught.value.hint
    assert guard.seconds() == clocks.wall // 1_000_000
    clocks.wall -= jump * 1_000_000
    assert guard.now() == clocks.wall


@pytest.mark.parametrize("slew", [-59, 0, 59])
def test_time_that_passes_on_both_clocks_is_fine(slew: int) -> None:
    clocks = _Clocks()
    guard = clocks.guarded()
    clocks.wall += (86_400 * 30 + slew) * 1_000_000
    clocks.steady += 86_400 * 30
    assert guard.now() == clocks.wall


def test_the_real_clocks_agree() -> None:
    guard = GuardedClock(wall_micros, steady_seconds)
    one, other = guard.now(), guard.now()
    assert 0 <= other - one < 60_000_000
