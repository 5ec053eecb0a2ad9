"""A day's number and a burst, against a plain count of what was let through."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.custody.quota import DAY, HOUR, QuotaExceededError, Rule, Usage, charge, quota_of
from hub.errors import InputError

NOON = 20_000 * DAY + 12 * HOUR
RULE = Rule(day=1_000, burst=300)


def test_a_new_member_has_everything() -> None:
    quota = quota_of(RULE, None, NOON)
    assert (quota.left, quota.burst_left) == (1_000, 300)
    assert quota.resets == NOON + 12 * HOUR


def test_a_burst_comes_back_evenly_within_an_hour() -> None:
    usage = charge(RULE, None, 300, NOON)
    with pytest.raises(QuotaExceededError, match="1 elements at once, and 0 of 300") as caught:
        charge(RULE, usage, 1, NOON)
    assert caught.value.retry_after == 12
    assert caught.value.hint is not None
    assert "12 s" in caught.value.hint
    with pytest.raises(QuotaExceededError):
        charge(RULE, usage, 1, NOON + 11)
    assert charge(RULE, usage, 1, NOON + 12).used == 301
    assert quota_of(RULE, usage, NOON + HOUR // 2).burst_left == 150
    assert quota_of(RULE, usage, NOON + HOUR).burst_left == 300


def test_a_day_ends_at_midnight_of_utc() -> None:
    usage = Usage(NOON - 12 * HOUR, 990, 0, NOON)
    with pytest.raises(QuotaExceededError, match="11 elements, and 10 of 1000 are left") as caught:
        charge(RULE, usage, 11, NOON)
    assert caught.value.retry_after == 12 * HOUR
    assert caught.value.quota.left == 10
    assert charge(RULE, usage, 11, NOON + 12 * HOUR).used == 11


def test_whoever_lacks_both_waits_for_the_later() -> None:
    late = NOON + 12 * HOUR - 5
    usage = Usage(NOON - 12 * HOUR, 1_000, 300 * HOUR, late)
    with pytest.raises(QuotaExceededError) as caught:
        charge(RULE, usage, 100, late)
    assert caught.value.retry_after == HOUR // 3
    assert charge(RULE, usage, 100, late + HOUR // 3).used == 100


def test_what_never_fits_says_so() -> None:
    with pytest.raises(QuotaExceededError) as caught:
        charge(RULE, None, 301, NOON)
    assert caught.value.retry_after is None
    assert caught.value.hint == "ask for fewer at once"
    with pytest.raises(QuotaExceededError) as caught:
        charge(Rule(day=0), None, 1, NOON)
    assert caught.value.retry_after is None


def test_a_clock_that_goes_back_gives_nothing_back() -> None:
    usage = charge(RULE, None, 300, NOON)
    for earlier in (NOON - 1, NOON - DAY, 0):
        quota = quota_of(RULE, usage, earlier)
        assert (quota.left, quota.burst_left) == (700, 0)
        with pytest.raises(QuotaExceededError):
            charge(RULE, usage, 1, earlier)


def test_a_rule_that_was_lowered_leaves_nothing_negative() -> None:
    usage = charge(RULE, None, 300, NOON)
    quota = quota_of(Rule(day=100, burst=10), usage, NOON)
    assert (quota.left, quota.burst_left) == (0, 0)


@pytest.mark.parametrize(("day", "burst"), [(-1, 1), (1, 0), (10**13, 1), (1, 10**13)])
def test_rules_are_bounded(day: int, burst: int) -> None:
    with pytest.raises(InputError):
        Rule(day, burst)


@given(st.lists(st.tuples(st.integers(0, 4_000), st.integers(1, 320)), max_size=40))
@settings(max_examples=50, deadline=None)
def test_never_more_than_the_rule_lets_through(steps: list[tuple[int, int]]) -> None:
    usage, now = None, NOON
    taken: list[tuple[int, int]] = []
    for wait, count in steps:
        now += wait
        try:
            usage = charge(RULE, usage, count, now)
        except QuotaExceededError as error:
            if error.retry_after is not None:
                # What it promises holds: then the same batch fits.
                charge(RULE, usage, count, now + error.retry_after)
                with pytest.raises(QuotaExceededError):
                    charge(RULE, usage, count, now + error.retry_after - 1)
            continue
        taken.append((now, count))
        days = [n for at, n in taken if at // DAY == now // DAY]
        assert sum(days) <= RULE.day
        for start, _ in taken:
            within = sum(n for at, n in taken if start <= at <= now)
            assert within <= RULE.burst + (now - start) * RULE.burst / HOUR + 1
