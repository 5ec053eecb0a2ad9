"""kill -9 of a real hub under writers and a poller.

Nothing acknowledged is lost, nothing is stored twice, and a poller sees each object once, in the
order in which a fresh reader finds them. The same check, run on a hub that acknowledges before it
commits, must fail: that is what shows that it can.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.hub_process import HubProcess
from tests.faults.stores import STORES, hub_on
from tests.faults.traffic import Load, Seen, problems

EARLY = "tests.faults.early_hub"


def drill(
    hub: HubProcess,
    kills: int,
    *,
    seed: int = 1,
    end: Callable[[HubProcess], object] = HubProcess.kill,
) -> tuple[Seen, list[str]]:
    """End the hub so often under load; what the clients saw, and what is stored."""
    chance = random.Random(seed)
    with hub:
        hub.stay()
        with Load(hub) as load:
            for _ in range(kills):
                load.progress()
                time.sleep(chance.uniform(0.02, 0.3))
                end(hub)
                hub.start()
            load.progress()
        stored = load.stored()
    return load.seen, stored


@pytest.mark.parametrize("store", STORES)
def test_two_kills_lose_nothing(tmp_path: Path, store: str) -> None:
    seen, stored = drill(hub_on(store, tmp_path / "hub"), 2)
    assert problems(seen, stored) == []
    assert len(stored) >= len(seen.acknowledged) > 0


@pytest.mark.drill
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("store", STORES)
def test_two_hundred_kills_lose_nothing(tmp_path: Path, store: str) -> None:
    seen, stored = drill(hub_on(store, tmp_path / "hub"), 200, seed=20)
    assert problems(seen, stored) == []
    assert len(stored) >= len(seen.acknowledged) > 0
    told = len(seen.acknowledged)
    print(f"200 kills, {store}: {told} acknowledged, {len(stored)} stored, none lost")


def test_orderly_stops_lose_nothing_and_end_well(tmp_path: Path) -> None:
    codes: list[int] = []

    def stop(hub: HubProcess) -> None:
        codes.append(hub.stop())
        hub.kill()

    seen, stored = drill(HubProcess(tmp_path / "hub"), 2, end=stop)
    assert problems(seen, stored) == []
    assert codes == [0, 0]


def test_the_check_catches_an_early_acknowledgement(tmp_path: Path) -> None:
    seen, stored = drill(hub_on("sqlite", tmp_path / "hub", launcher=EARLY), 3)
    assert any("acknowledged objects lost" in problem for problem in problems(seen, stored))


@pytest.mark.drill
def test_the_check_catches_it_on_postgres_too(tmp_path: Path) -> None:
    seen, stored = drill(hub_on("postgres", tmp_path / "hub", launcher=EARLY), 3)
    assert any("acknowledged objects lost" in problem for problem in problems(seen, stored))
