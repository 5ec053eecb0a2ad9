"""Patterns of several observations complete exactly where the standard's semantics say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.match import evaluate
from hub.match.forms import leaves
from hub.match.pattern import parse
from hub.match.state import StateLimits, Tracker, Watch
from hub.match.syntax import Comparison, Expression

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOON_US = int(NOON.timestamp()) * 1_000_000
SECOND = 1_000_000
WIDE = StateLimits(steps=10_000_000, steps_per_pattern=1_000_000_000)

# An event is (its time in tenths of a second after noon, its n).
Event = tuple[int, int]


def watch(pattern: str, **controls: Any) -> Watch:
    return Watch(0, parse(pattern), "indicator--1", 0, **controls)


def observed(events: list[Event]) -> list[dict[str, Any]]:
    """The events as one bundle, each an observation of its own."""
    objects: list[dict[str, Any]] = []
    for number, (tenths, n) in enumerate(events):
        moment = (NOON + timedelta(seconds=tenths / 10)).isoformat().replace("+00:00", "Z")
        objects += [
            {
                "type": "observed-data",
                "id": f"observed-data--{number}",
                "number_observed": 1,
                "first_observed": moment,
                "last_observed": moment,
                "object_refs": [f"x--{number}"],
            },
            {"type": "x", "id": f"x--{number}", "n": n},
        ]
    return [{"type": "bundle", "id": "bundle--1", "objects": objects}]


def satisfied(expressions: tuple[Expression, ...], n: int) -> int:
    """Which of the leaves (see `LEAVES`) an event of that n satisfies, bit by bit."""
    mask = 0
    for number, expression in enumerate(expressions):
        assert isinstance(expression, Comparison)
        value = expression.values[0]
        assert isinstance(value, int)
        holds = {"=": n == value, "<": n < value, ">=": n >= value}
        mask |= holds[expression.operator.value] << number
    return mask


def completions(pattern: str, events: list[Event], limits: StateLimits = WIDE) -> list[int]:
    """The places of the events that complete the pattern, as the tracker finds them."""
    tracker, one = Tracker([watch(pattern)], limits), leaves(parse(pattern))
    found = []
    for place, (tenths, n) in enumerate(events):
        mask = satisfied(one, n)
        if mask and tracker.observe(0, mask, NOON_US + tenths * SECOND // 10):
            found.append(place)
    assert tracker.report.given_up == {}
    assert tracker.report.evicted == tracker.report.late == 0
    return found


def by_the_standard(pattern: str, events: list[Event]) -> list[int]:
    """The same, by the reference: the shortest stretches of events on which the pattern holds."""
    found, begin = [], 0
    for place in range(len(events)):
        if evaluate(pattern, observed(events[begin : place + 1])):
            found.append(place)
            begin = place + 1
    return found


LEAVES = ["[x:n = 0]", "[x:n = 1]", "[x:n = 2]", "[x:n < 2]", "[x:n >= 1]"]
MOMENTS = [(NOON + timedelta(seconds=k / 2)).isoformat().replace("+00:00", "Z") for k in range(8)]
_qualifiers = st.one_of(
    st.sampled_from([0.5, 1, 2.5]).map(lambda seconds: f" WITHIN {seconds} SECONDS"),
    st.integers(1, 3).map(lambda times: f" REPEATS {times} TIMES"),
    st.tuples(st.sampled_from(MOMENTS), st.sampled_from(MOMENTS)).map(
        lambda times: f" START t'{times[0]}' STOP t'{times[1]}'"
    ),
)
patterns = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" AND ", " OR ", " FOLLOWEDBY "]), inner).map(
            lambda parts: f"({''.join(parts)})"
        ),
        st.tuples(inner, _qualifiers).map("".join),
    ),
    max_leaves=5,
)
_chains = st.lists(
    st.tuples(st.sampled_from(LEAVES), st.sampled_from(["", " REPEATS 2 TIMES"])).map("".join),
    min_size=2,
    max_size=4,
).map(" FOLLOWEDBY ".join)
_bags = st.lists(
    st.tuples(st.sampled_from(LEAVES), st.sampled_from(["", " REPEATS 2 TIMES"])).map("".join),
    min_size=1,
    max_size=3,
).map(" AND ".join)
common = st.tuples(
    st.one_of(_chains, _bags),
    st.sampled_from(["", " REPEATS 2 TIMES", " WITHIN 2 SECONDS"]),
    st.sampled_from(["", " WITHIN 1 SECONDS", " WITHIN 2.5 SECONDS", " WITHIN 1 SECONDS"]),
).map(lambda parts: f"({parts[0]}){parts[1]}{parts[2]}")
_bursts = st.tuples(
    st.sampled_from(LEAVES), st.integers(2, 4), st.sampled_from([0.5, 1, 1.5, 2, 3])
).map(lambda parts: f"{parts[0]} REPEATS {parts[1]} TIMES WITHIN {parts[2]} SECONDS")
everything = st.one_of(patterns, common, _bursts)
# Mostly half seconds, so that events often lie on the very edge of a window.
_tenths = st.one_of(st.integers(0, 10).map(lambda half: 5 * half), st.integers(0, 50))
moments = st.lists(st.tuples(_tenths, st.integers(0, 3)), min_size=1, max_size=16)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(everything, moments.map(sorted))
def test_completions_are_the_first_prefixes_on_which_the_pattern_holds(
    pattern: str, events: list[Event]
) -> None:
    assert completions(pattern, events) == by_the_standard(pattern, events)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(everything, moments)
def test_events_within_the_lateness_are_judged_as_if_in_time(
    pattern: str, events: list[Event]
) -> None:
    limits = StateLimits(steps=10_000_000, steps_per_pattern=1_000_000_000, lateness=5)
    assert completions(pattern, events, limits) == by_the_standard(pattern, events)


@pytest.mark.parametrize(
    ("pattern", "events"),
    [
        ("[x:n = 0] REPEATS 4 TIMES WITHIN 1 SECONDS", [(0, 0), (5, 0), (10, 0), (10, 0)]),
        ("([x:n = 0] AND [x:n = 1]) WITHIN 1 SECONDS", [(0, 0), (10, 1)]),
        ("([x:n = 0] FOLLOWEDBY [x:n = 1]) WITHIN 1 SECONDS", [(0, 0), (10, 1)]),
        (
            "(([x:n = 0] AND [x:n = 1]) FOLLOWEDBY [x:n = 2]) WITHIN 1 SECONDS",
            [(0, 0), (0, 1), (10, 2)],
        ),
    ],
)
def test_a_window_reaches_to_its_very_edge(pattern: str, events: list[Event]) -> None:
    last, n = events[-1]
    assert completions(pattern, events) == [len(events) - 1]
    assert completions(pattern, [*events[:-1], (last + 1, n)]) == []
