"""Clocks that are set wrong under a running hub: one hour back, two hours on, a day back.

While wall and steady clock have parted nothing is stored: 507 that names the clock; reading goes
on. A clock set right again, or a restart, ends that. Whatever the clock does, the order of arrival
holds: pollers miss nothing. The control follows its clock, and loses objects to pollers.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import requests

from tests.faults.hub_process import HubProcess
from tests.faults.stores import STORES, hub_on
from tests.faults.tools import faketime_library
from tests.faults.traffic import TAXII, TIMEOUT_SECONDS, Load, envelope, problems

HOUR = 3600
JUMPS = (-HOUR, 2 * HOUR, -24 * HOUR)
REFUSALS = frozenset({503, 507})


def with_own_clock(file: Path, manner: str = "guarded") -> HubProcess:
    """A hub whose clock the test sets, without any tool."""
    file.write_text("0")
    environment = {"CLOCK_FILE": str(file), "CLOCK_MANNER": manner}
    return HubProcess(
        file.with_name("hub"), launcher="tests.faults.set_clock", environment=environment
    )


def with_faketime(file: Path, store: str) -> HubProcess:
    """A hub under libfaketime."""
    file.write_text("+0")
    environment = {
        "LD_PRELOAD": str(faketime_library()),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1",
    }
    return hub_on(store, file.with_name("hub"), environment=environment)


def set_to(file: Path, seconds: int) -> None:
    """Let the hub's clock be off by so much, at once."""
    partial = file.with_suffix(".new")
    partial.write_text(f"{seconds:+d}")
    partial.rename(file)


def refusal(hub: HubProcess) -> str:
    """What a post is answered while the clock is wrong."""
    answer = requests.post(
        hub.objects("rw1"),
        json=envelope(),
        headers={"Content-Type": TAXII, "Accept": TAXII},
        auth=hub.auth,
        timeout=TIMEOUT_SECONDS,
    )
    assert answer.status_code == 507
    assert answer.json()["details"]["where"] == "clock"
    return str(answer.json()["description"])


def drill(tmp_path: Path, store: str) -> str:
    """Set the clock wrong in each way, under load, with and without restarts."""
    file = tmp_path / "clock"
    hub = with_faketime(file, store)
    with hub:
        hub.stay()
        with Load(hub, refusals=REFUSALS) as load:
            for jump in JUMPS:
                load.progress()
                set_to(file, jump)
                load.refused(507)
                assert f"jumped by {jump:+d} s" in refusal(hub)
                load.caught_up()
                set_to(file, 0)
                load.progress()
                # An operator who restarts while the clock is wrong: it is believed from then on.
                set_to(file, jump)
                hub.kill()
                hub.start()
                load.progress()
                set_to(file, 0)
                hub.kill()
                hub.start()
                load.progress()
        assert problems(load.seen, load.stored()) == []
    return f"clock {JUMPS}, {store}: {dict(load.seen.statuses)}, order held"


def test_a_clock_that_jumps_stops_writing_only(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    hub = with_own_clock(file)
    with hub:
        hub.stay()
        with Load(hub, refusals=REFUSALS) as load:
            load.progress()
            set_to(file, -HOUR)
            load.refused(507)
            assert "nothing is stored until it is right" in refusal(hub)
            hub.kill()
            hub.start()
            load.progress()
        assert problems(load.seen, load.stored()) == []


def test_a_hub_that_follows_its_clock_is_caught(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    with with_own_clock(file, "free") as hub:
        with Load(hub, refusals=REFUSALS) as load:
            load.progress()
            # Until the poller has seen something: what comes before that is lost to it.
            while not load.seen.polled:
                time.sleep(0.01)
            set_to(file, -HOUR)
            load.progress()
        found = problems(load.seen, load.stored())
    assert "the poller saw other objects, or another order, than a fresh reader" in found


@pytest.mark.drill
@pytest.mark.parametrize("store", STORES)
def test_clocks_set_by_libfaketime(tmp_path: Path, store: str) -> None:
    print(drill(tmp_path, store))
