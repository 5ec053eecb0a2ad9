"""Limits of rate: for each account and each address, with bursts, bounded in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.server.rates import Rate, network
from hub.server.refusals import TooManyRequestsError
from hub.settings import HubLimits, HubSettings
from tests.unit.server.harness import House

POLL = "/stillwatch/"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def granted(rate: Rate, key: str, times: int) -> int:
    """How many of so many requests at once are let through."""
    count = 0
    for _ in range(times):
        try:
            rate.take(key)
        except TooManyRequestsError:
            continue
        count += 1
    return count


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    rate = Rate(10.0, 5, "account", monotonic=clock)
    assert granted(rate, "a", 20) == 5
    clock.now += 0.31
    assert granted(rate, "a", 20) == 3
    clock.now += 3600
    assert granted(rate, "a", 20) == 5
    assert granted(rate, "b", 3) == 3


@settings(max_examples=50, deadline=None)
@given(
    steps=st.lists(st.tuples(st.floats(0, 2), st.integers(1, 30)), min_size=1, max_size=20),
    per_second=st.sampled_from([0.5, 3.0, 50.0]),
    burst=st.integers(1, 20),
)
def test_never_more_than_burst_and_rate_allow(
    steps: list[tuple[float, int]], per_second: float, burst: int
) -> None:
    clock = Clock()
    rate = Rate(per_second, burst, "account", monotonic=clock)
    passed, count = 0.0, 0
    for pause, times in steps:
        clock.now += pause
        passed += pause
        count += granted(rate, "a", times)
        assert count <= burst + passed * per_second + 0.01


def test_a_refusal_says_when_to_come_again() -> None:
    clock = Clock()
    rate = Rate(0.1, 1, "address", monotonic=clock)
    rate.take("a")
    with pytest.raises(TooManyRequestsError, match="this address") as caught:
        rate.take("a")
    clock.now += float(caught.value.headers["retry-after"])
    rate.take("a")


def test_no_limit() -> None:
    rate = Rate(0, 1, "account")
    assert granted(rate, "a", 10_000) == 10_000
    assert rate.known == 0


def test_memory_is_bounded_under_a_flood_of_addresses() -> None:
    clock = Clock()
    rate = Rate(1.0, 5, "address", monotonic=clock, most=100)
    for number in range(1000):
        rate.take(str(number))
        assert rate.known <= 100
    clock.now += 10
    rate.take("late")
    for number in range(100):
        rate.take(f"later {number}")
    assert rate.known <= 100


def test_an_ipv6_site_is_one_address() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff") != network("2001:db8:0:1::1")
    assert network("::ffff:192.0.2.7") == network("192.0.2.7") == "192.0.2.7"
    assert network("fe80::1%eth0") == network("fe80::2")
    assert network("unknown") == "unknown"
    assert network("a:b") == "a:b"


def test_an_account_over_its_rate_harms_nobody_else(tmp_path: Path) -> None:
    limits = replace(HubLimits(), account_rate=0.001, account_burst=3)
    with House(tmp_path, HubSettings(limits=limits)) as house:
        house.org("other")
        statuses = [house.ask("GET", POLL).status for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        refused = house.ask("GET", POLL)
        assert int(refused.headers["retry-after"]) > 0
        assert refused.json["http_status"] == "429"
        assert house.ask("GET", POLL, who="other").status == 200
        # A refusal costs nothing, so that who keeps to Retry-After is let in.
        assert house.ask("GET", "/livez", who=None).status == 200


def test_an_address_over_its_rate_is_refused_before_anything_is_looked_up(tmp_path: Path) -> None:
    limits = replace(HubLimits(), address_rate=0.001, address_burst=2)
    with House(tmp_path, HubSettings(limits=limits)) as house:
        assert [house.ask("GET", POLL, who=None).status for _ in range(3)] == [401, 401, 429]
        assert house.ask("GET", POLL).status == 429
        assert house.ask("GET", POLL, client="192.0.2.9").status == 200
        for probe in ("/livez", "/readyz/"):
            assert house.ask("GET", probe, who=None).status == 200
