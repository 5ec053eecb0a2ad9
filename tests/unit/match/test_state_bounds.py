"""What following patterns of several observations may cost is bounded, and what is lost is told."""

from __future__ import annotations

from typing import Any

import pytest

from hub.errors import InputError
from hub.match.forms import Bag, Chain, Tree, forms, leaves
from hub.match.limits import StateLimits
from hub.match.pattern import parse
from hub.match.state import Tracker, Watch, column_of, watchable

SECOND = 1_000_000
A, B = 1, 2


def _watch(pattern: str, number: int = 1, **controls: Any) -> Watch:
    return Watch(0, parse(pattern), f"indicator--{number}", 0, **controls)


def _tracker(pattern: str, **limits: Any) -> Tracker:
    return Tracker([_watch(pattern)], StateLimits(**limits))


def _form(pattern: str) -> type:
    [form] = forms(parse(pattern))
    return type(form)


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("[x:n = 0] REPEATS 5 TIMES WITHIN 60 SECONDS", Bag),
        ("([x:n = 0] REPEATS 5 TIMES WITHIN 60 SECONDS) WITHIN 5 SECONDS", Bag),
        ("([x:n = 0] AND [x:n = 1]) REPEATS 5 TIMES WITHIN 60 SECONDS", Bag),
        ("([x:n = 0] OR [x:n = 1]) REPEATS 5 TIMES", Bag),
        ("([x:n = 0] FOLLOWEDBY [x:n = 1] REPEATS 2 TIMES) WITHIN 60 SECONDS", Chain),
        ("[x:n = 0] FOLLOWEDBY [x:n = 1] WITHIN 60 SECONDS", Chain),
        ("[x:n = 0] FOLLOWEDBY ([x:n = 1] FOLLOWEDBY [x:n = 2])", Chain),
        ("([x:n = 0] REPEATS 3 TIMES WITHIN 5 SECONDS) REPEATS 2 TIMES WITHIN 60 SECONDS", Tree),
        ("([x:n = 0] AND [x:n = 1]) FOLLOWEDBY [x:n = 2]", Tree),
        (" FOLLOWEDBY ".join(["[x:n = 0] REPEATS 3 TIMES"] * 30), Tree),
    ],
)
def test_what_is_common_has_a_cheap_form(pattern: str, wanted: type) -> None:
    assert _form(pattern) is wanted


def test_leaves_are_numbered_in_the_order_of_the_text() -> None:
    pattern = "([x:n = 0] AND [x:n = 1] OR [x:n = 2]) FOLLOWEDBY ([x:n = 3] REPEATS 2 TIMES)"
    found = [getattr(one, "values", None) for one in leaves(parse(pattern))]
    assert found == [(0,), (1,), (2,), (3,)]


def test_a_mere_count_holds_no_events() -> None:
    tracker = _tracker("[x:n = 0] REPEATS 1000000000 TIMES")
    assert not any(tracker.observe(0, A, n) for n in range(1000))
    assert (tracker.report.held, tracker.report.given_up) == (0, {})


def test_what_needs_more_than_may_be_held_is_told_and_not_followed() -> None:
    watches = [
        _watch("[x:n = 0] REPEATS 1000000000 TIMES WITHIN 60 SECONDS", 1),
        _watch("([x:n = 0] REPEATS 9 TIMES WITHIN 5 SECONDS) REPEATS 1000000 TIMES", 2),
        _watch("([x:n = 0] AND [x:n = 1] REPEATS 999999999 TIMES) OR [x:n = 0]", 3),
    ]
    tracker = Tracker(watches)
    reason = "needs more events than may be held"
    assert tracker.report.given_up == {f"indicator--{n}": reason for n in (1, 2, 3)}
    assert [tracker.observe(n, 0b111, 0) for n in range(3)] == [False, False, True]


def test_a_window_drops_what_it_has_passed() -> None:
    tracker = _tracker("[x:n = 0] REPEATS 100 TIMES WITHIN 5 SECONDS")
    for second in range(1000):
        tracker.observe(0, A, second * SECOND)
        assert tracker.report.held <= 6
    assert tracker.report.evicted == 0


def test_a_chain_holds_no_more_than_its_steps() -> None:
    tracker = _tracker("[x:n = 0] FOLLOWEDBY [x:n = 1]")
    assert not any(tracker.observe(0, B, n) for n in range(1000))
    assert not any(tracker.observe(0, A, n) for n in range(1000, 2000))
    assert tracker.report.held <= 3
    assert tracker.observe(0, B, 2000)
    assert tracker.report.held == 0


@pytest.mark.parametrize(
    "pattern",
    [
        "[x:n = 0] REPEATS 50 TIMES WITHIN 10 SECONDS",
        "([x:n = 0] REPEATS 50 TIMES AND [x:n = 1]) WITHIN 10 SECONDS",
        "([x:n = 0] AND [x:n = 0] REPEATS 2 TIMES WITHIN 9 SECONDS) FOLLOWEDBY [x:n = 1]",
    ],
)
def test_a_group_forgets_its_oldest_events_beyond_its_room(pattern: str) -> None:
    tracker = _tracker(pattern, hits_per_group=52, searched=52, lateness=1000.0)
    for second in range(500):
        tracker.observe(0, A, second * SECOND)
        assert tracker.report.held <= 52
    assert (tracker.report.completions, tracker.report.evicted) == (0, 448)


def test_the_group_hit_longest_ago_goes_first() -> None:
    tracker = _tracker("[x:n = 0] REPEATS 2 TIMES WITHIN 999 SECONDS", groups=3)
    for number, group in enumerate("abcad"):
        tracker.observe(0, A, number, group)
        tracker.observe(0, B, number, group)
    assert tracker.report.groups <= 3
    assert tracker.report.evicted == 1
    assert tracker.observe(0, A, 10, "d")
    assert not tracker.observe(0, A, 11, "b")


def test_all_groups_together_hold_no_more_than_allowed() -> None:
    tracker = _tracker("[x:n = 0] REPEATS 9 TIMES WITHIN 999 SECONDS", hits=20)
    for number in range(100):
        tracker.observe(0, A, number, number % 10)
        assert tracker.report.held <= 20
    assert tracker.report.evicted + tracker.report.held + 9 * tracker.report.completions == 100


def test_groups_whose_window_has_passed_are_no_loss() -> None:
    tracker = _tracker("[x:n = 0] REPEATS 2 TIMES WITHIN 5 SECONDS")
    for number in range(10_000):
        tracker.observe(0, A, number * SECOND, number)
    assert tracker.report.groups < 2_100
    assert tracker.report.evicted == 0


def test_a_search_without_end_is_given_up() -> None:
    hard = "([x:n = 0] REPEATS 3 TIMES WITHIN 0.1 SECONDS) REPEATS 20 TIMES WITHIN 99 SECONDS"
    easy = "([x:n = 0] AND [x:n = 1]) FOLLOWEDBY [x:n = 0]"
    watches = [_watch(hard, 1), _watch(hard, 2), _watch(easy, 3)]
    tracker = Tracker(watches, StateLimits(steps_per_pattern=2_000, steps_in_all=3_000))
    told = []
    for number in range(600):
        told += [tracker.observe(n, A, number * SECOND // 7) for n in range(2)]
    assert not any(told)
    reason = "its search takes too many steps"
    assert tracker.report.given_up == {"indicator--1": reason, "indicator--2": reason}
    assert 3_000 < tracker.report.steps < 23_000
    assert tracker.report.held == 0
    assert not any(tracker.observe(2, 0b111, moment) for moment in range(2))
    assert not tracker.observe(2, 0b111, 2)
    assert "indicator--3" in tracker.report.given_up


def test_events_older_than_the_lateness_are_counted() -> None:
    tracker = _tracker("[x:n = 0] REPEATS 2 TIMES WITHIN 99 SECONDS", lateness=5.0)
    assert not tracker.observe(0, A, 100 * SECOND)
    assert not tracker.observe(0, A, 94 * SECOND)
    assert tracker.report.late == 1
    assert tracker.observe(0, A, 95 * SECOND)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("account", "account_id"),
        ("account_id", "account_id"),
        ("user-account:user_id", "account_id"),
        ("ipv4-addr:value", "client_ip"),
        ("asn", "asn"),
    ],
)
def test_what_is_grouped_by_is_a_column(name: str, column: str) -> None:
    assert column_of(name) == column


@pytest.mark.parametrize(
    ("pattern", "controls"),
    [
        ("[x:n = 0] REPEATS 2 TIMES", {"group_by": ("payment",)}),
        ("[x:n = 0] REPEATS 2 TIMES", {"group_by": ("prompt",)}),
        ("[x:n = 0] REPEATS 2 TIMES", {"count_distinct": "x:absent"}),
        ("[x:n = 0] FOLLOWEDBY [x:n = 1]", {"count_distinct": "user-account:user_id"}),
    ],
)
def test_controls_that_mean_nothing_are_refused(pattern: str, controls: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        watchable(_watch(pattern, **controls))


def test_what_is_counted_by_cannot_be_grouped_by_as_well() -> None:
    watch = _watch(
        "[x:n = 0] REPEATS 2 TIMES",
        group_by=("account", "asn"),
        count_distinct="user-account:user_id",
    )
    watchable(watch)
    assert (watch.group_columns, watch.distinct_column) == (("asn",), "account_id")


@pytest.mark.parametrize("window", ["", " WITHIN 10 SECONDS"])
def test_different_values_count(window: str) -> None:
    tracker = Tracker(
        [_watch(f"([x:n = 0] REPEATS 2 TIMES AND [x:n = 1]){window}", count_distinct="asn")]
    )
    events = [(A, "p"), (A, "p"), (B, "p"), (A, "q"), (B, "q"), (A, "p"), (A, "r")]
    told = [tracker.observe(0, mask, n * SECOND, "", one) for n, (mask, one) in enumerate(events)]
    assert told == [False] * 6 + [True]


def test_a_value_counts_at_its_latest_time() -> None:
    watch = _watch("[x:n = 0] REPEATS 2 TIMES WITHIN 5 SECONDS", count_distinct="asn")
    tracker = Tracker([watch])
    told = [
        tracker.observe(0, A, second * SECOND, "", one)
        for second, one in [(0, "p"), (4, "p"), (8, "q"), (20, "p"), (26, "q")]
    ]
    assert told == [False, False, True, False, False]


def test_a_late_event_does_not_make_its_value_older() -> None:
    watch = _watch("[x:n = 0] REPEATS 2 TIMES WITHIN 5 SECONDS", count_distinct="asn")
    tracker = Tracker([watch], StateLimits(lateness=10.0))
    assert not tracker.observe(0, A, 8 * SECOND, "", "p")
    assert not tracker.observe(0, A, 3 * SECOND, "", "p")
    assert tracker.observe(0, A, 12 * SECOND, "", "q")
