"""The events that completed a pattern of several observations, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from hub.match import trail
from hub.match.run import Run
from hub.match.trail import Trail, Trails
from tests.unit.match.test_run import FakeIndex, _events, _watch

_MANY = [(n, n % 2) for n in range(200)]


def _trails(
    pattern: str, events: list[tuple[int, int]], trails: Trails | None = None, **more: Any
) -> list[Trail]:
    controls = {name: more.pop(name) for name in ("group_by", "count_distinct") if name in more}
    run = Run(FakeIndex([_watch(1, pattern, **controls)]), None, trails or Trails(10))
    batch = _events(events, **more)
    for first in range(0, len(batch), 7):
        run.match(batch.slice(first, 7), source="log")
    run.finish()
    return run.trails()


def _needed(found: Trail) -> list[str]:
    return [step.event_id for step in found.needed()]


@pytest.mark.parametrize(
    ("pattern", "events", "needed"),
    [
        ("([x:n = 0] FOLLOWEDBY [x:n = 1]) WITHIN 5 SECONDS", [0, 0, 9, 1], ["e1", "e3"]),
        ("[x:n = 0] REPEATS 3 TIMES WITHIN 5 SECONDS", [0, 9, 0, 9, 0], ["e0", "e2", "e4"]),
        ("[x:n = 0] REPEATS 3 TIMES", [0, 9, 0, 9, 0], ["e0", "e2", "e4"]),
        ("[x:n = 0] AND [x:n = 1]", [1, 1, 1, 0], ["e2", "e3"]),
        ("[x:n = 2] OR ([x:n = 0] AND [x:n = 1])", [0, 0, 2], ["e2"]),
    ],
)
def test_the_fewest_latest_events_are_named(
    pattern: str, events: list[int], needed: list[str]
) -> None:
    [found] = _trails(pattern, list(enumerate(events)))
    assert _needed(found) == needed
    assert found.event["event_id"] == needed[-1]
    assert found.event["asn"] == events[-1]
    assert found.source == "log"


def test_of_very_many_events_those_are_named_that_had_to_be() -> None:
    [found] = _trails("[x:n = 0] REPEATS 100 TIMES WITHIN 500 SECONDS", _MANY)
    assert _needed(found) == [f"e{n}" for n in range(0, 200, 2)]
    assert [one.leaves for one in found.needed()] == [1] * 100


def test_each_group_has_its_own_trail() -> None:
    accounts = ["a", "b", "a", "b", "b"]
    found = _trails(
        "[x:n = 0] REPEATS 2 TIMES",
        [(n, 0) for n in range(5)],
        group_by=("account",),
        account_id=accounts,
    )
    assert [_needed(one) for one in found] == [["e0", "e2"], ["e1", "e3"]]


def test_equal_values_count_once_in_a_trail_too() -> None:
    [found] = _trails(
        "[x:n = 0] REPEATS 2 TIMES WITHIN 5 SECONDS",
        [(n, 0) for n in range(4)],
        count_distinct="user-account:user_id",
        account_id=["a", "a", "a", "b"],
    )
    assert _needed(found) == ["e2", "e3"]


def test_only_so_many_are_remembered_or_those_of_one_event() -> None:
    events = [(n, 0) for n in range(40)]
    pattern = "[x:n = 0] REPEATS 2 TIMES"
    assert len(_trails(pattern, events, Trails(3))) == 3
    [found] = _trails(pattern, events, Trails(3, "e31"))
    assert _needed(found) == ["e30", "e31"]
    assert _trails(pattern, events, Trails(3, "e30")) == []


def test_what_waits_to_be_told_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [(n, 0) for n in range(40)]
    monkeypatch.setattr(trail, "_EVENT_BYTES", 0)
    assert _trails("[x:n = 0] REPEATS 2 TIMES", events) == []
    monkeypatch.undo()
    monkeypatch.setattr(trail, "_EACH", 5)
    [found] = _trails("[x:n = 0] REPEATS 40 TIMES", events)
    assert len(found.steps) == 5
    monkeypatch.setattr(trail, "_ALL", 4)
    trails = Trails(10)
    _trails("[x:n = 0] REPEATS 30 TIMES WITHIN 900 SECONDS", events[:20], trails)
    assert trails._count <= 4


def test_what_was_told_gives_its_room_back() -> None:
    trails = Trails(10)
    _trails("[x:n = 0] REPEATS 2 TIMES", _MANY, trails)
    assert trails._bytes == 0
