"""A run over logs: hits are brought into the order of time, and held in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.match.columns import Batch
from hub.match.forms import leaves
from hub.match.limits import StateLimits
from hub.match.pattern import parse
from hub.match.run import Run
from hub.match.schema import MATCH_SCHEMA, TRAFFIC_SCHEMA
from hub.match.segment import Hits, LeafHits
from hub.match.state import Watch
from tests.unit.match.test_state import Event, by_the_standard, common, moments, satisfied

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class FakeIndex:
    """Indicators whose leaves test `x:n`, which the column `asn` holds; one formula a leaf."""

    def __init__(self, watches: Sequence[Watch]) -> None:
        self.watches = watches
        self._leaves = [
            (number, leaf, one)
            for number, watch in enumerate(watches)
            for leaf, one in enumerate(leaves(watch.pattern))
        ]

    def hits(self, batch: Batch) -> Hits:
        values = batch.column("asn").to_pylist()
        found = [
            (row, formula)
            for formula, (_, _, one) in enumerate(self._leaves)
            for row, value in enumerate(values)
            if satisfied((one,), value)
        ]
        rows, formulas = (np.asarray([pair[k] for pair in found], np.int64) for k in range(2))
        return Hits(rows, formulas.astype(np.int32), np.zeros(len(rows), np.int32))

    def split(self, hits: Hits) -> tuple[Hits, LeafHits]:
        watch, leaf = (
            np.asarray([self._leaves[f][k] for f in hits.formula.tolist()], np.int32)
            for k in range(2)
        )
        return hits.at(np.zeros(0, np.int64)), LeafHits(hits, watch, leaf)

    def report(
        self, batch: Batch, hits: Hits, *, source: str, show_values: bool = False
    ) -> pa.RecordBatch:
        return self.rows(batch, hits, source=source, show_values=show_values)

    def rows(
        self, batch: Batch, hits: Hits, *, source: str, show_values: bool = False
    ) -> pa.RecordBatch:
        events = [batch.column(name) for name in ("event_id", "observed_at", "account_id")]
        found = [
            {
                "event_id": events[0][row].as_py(),
                "observed_at": events[1][row].as_py(),
                "source": source,
                "indicator_id": self.watches[self._leaves[formula][0]].indicator_id,
                "indicator_modified": NOON,
                "layer": "network",
                "path": "x:n",
                "value": "shown" if show_values else "masked",
                "account_id": None if events[2] is None else events[2][row].as_py(),
                "campaign_ids": [],
            }
            for row, formula in zip(hits.rows.tolist(), hits.formula.tolist(), strict=True)
        ]
        return pa.RecordBatch.from_pylist(found, schema=MATCH_SCHEMA)


def _watch(number: int, pattern: str, **controls: Any) -> Watch:
    return Watch(number, parse(pattern), f"indicator--{number}", 0, **controls)


def _events(events: list[Event], **more: Any) -> pa.RecordBatch:
    rows = [
        {
            "event_id": f"e{number}",
            "observed_at": NOON + timedelta(seconds=tenths / 10),
            "asn": n,
            **{name: values[number] for name, values in more.items()},
        }
        for number, (tenths, n) in enumerate(events)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=TRAFFIC_SCHEMA)


def _found(table: pa.Table) -> list[tuple[str, str]]:
    return [(row["event_id"], row["indicator_id"]) for row in table.to_pylist()]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(common, min_size=1, max_size=3), moments, st.data())
def test_a_run_finds_what_the_standard_says_of_the_events_in_order(
    patterns: list[str], events: list[Event], data: st.DataObject
) -> None:
    index = FakeIndex([_watch(*one) for one in enumerate(patterns)])
    batch, run = _events(events), Run(index)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=3)))
    edges = list(zip([0, *cuts], [*cuts, len(events)], strict=True))
    for position in data.draw(st.permutations(range(len(edges)))):
        first, last = edges[position]
        run.match(batch.slice(first, last - first), source="log", position=position)
    order = sorted(range(len(events)), key=lambda place: events[place][0])
    expected = [
        (place, f"e{order[place]}", f"indicator--{number}")
        for number, pattern in enumerate(patterns)
        for place in by_the_standard(pattern, [events[one] for one in order])
    ]
    assert _found(run.finish()) == [one[1:] for one in sorted(expected)]


def test_a_completion_names_the_event_that_completed_it() -> None:
    run = Run(FakeIndex([_watch(1, "[x:n = 0] REPEATS 2 TIMES WITHIN 5 SECONDS")]))
    events = _events([(0, 0), (60, 0), (70, 0)], account_id=["a", "b", "c"])
    stateless = run.match(events, source="log", show_values=True)
    assert stateless.num_rows == 0
    assert stateless.schema == MATCH_SCHEMA
    [row] = run.finish().to_pylist()
    assert (row["event_id"], row["account_id"]) == ("e2", "c")
    assert row["observed_at"] == NOON + timedelta(seconds=7)
    assert (row["source"], row["path"], row["value"]) == ("log", "x:n", "shown")
    assert run.finish().num_rows == 0


def test_events_are_counted_for_each_account_where_the_publisher_says_so() -> None:
    pattern = "[x:n = 0] REPEATS 2 TIMES WITHIN 5 SECONDS"
    run = Run(FakeIndex([_watch(1, pattern, group_by=("account",)), _watch(2, pattern)]))
    events = _events([(n, 0) for n in range(5)], account_id=["a", "b", None, "b", "a"])
    run.match(events, source="log")
    assert _found(run.finish()) == [
        ("e1", "indicator--2"),
        ("e3", "indicator--1"),
        ("e3", "indicator--2"),
        ("e4", "indicator--1"),
    ]
    assert run.report.ungrouped == 1


def test_different_values_are_counted_where_the_publisher_says_so() -> None:
    pattern = "[x:n = 0] REPEATS 3 TIMES WITHIN 5 SECONDS"
    controls = {"group_by": ("account",), "count_distinct": "user-account:user_id"}
    run = Run(FakeIndex([_watch(1, pattern, **controls)]))
    events = _events([(n, 0) for n in range(7)], account_id=["a", "a", "b", "a", "b", None, "c"])
    run.match(events, source="log")
    assert _found(run.finish()) == [("e6", "indicator--1")]


def test_threads_may_match_batches_in_any_order() -> None:
    index = FakeIndex([_watch(1, "([x:n = 0] FOLLOWEDBY [x:n = 1]) WITHIN 1 SECONDS")])
    events = [(n, n % 3) for n in range(300)]
    batch, run = _events(events), Run(index)
    with ThreadPoolExecutor(4) as pool:
        parts = [batch.slice(first, 30) for first in range(0, 300, 30)]
        list(pool.map(lambda n: run.match(parts[n], source="log", position=n), range(9, -1, -1)))
    assert [one for one, _ in _found(run.finish())] == [f"e{n}" for n in range(1, 300, 3)]


def test_a_log_in_order_loses_nothing_where_few_hits_may_wait() -> None:
    index = FakeIndex([_watch(1, "[x:n = 0] REPEATS 7 TIMES WITHIN 5 SECONDS")])
    batch, run = _events([(n, 0) for n in range(1000)]), Run(index, StateLimits(waiting=50))
    drained = []
    for first in range(0, 1000, 20):
        run.match(batch.slice(first, 20), source="log")
        drained += _found(run.drain())
        assert run._state.count <= 50
    assert 0 < len(drained) < 142
    found = [one for one, _ in drained + _found(run.finish())]
    assert found == [f"e{n}" for n in range(6, 1000, 7)]
    assert (run.report.late, run.report.evicted) == (0, 0)


def test_what_comes_too_late_is_counted() -> None:
    index = FakeIndex([_watch(1, "[x:n = 0] REPEATS 2 TIMES WITHIN 5 SECONDS")])
    batch, run = _events([(n * 100, 0) for n in range(100)]), Run(index, StateLimits(waiting=50))
    run.match(batch.slice(20, 80), source="log")
    run.match(batch.slice(0, 20), source="log")
    assert run.finish().num_rows == 0
    assert run.report.late == 20


def test_events_of_one_time_do_not_wait_for_ever() -> None:
    index = FakeIndex([_watch(1, "[x:n = 0] REPEATS 2 TIMES")])
    run = Run(index, StateLimits(waiting=5))
    run.match(_events([(0, 0)] * 20), source="log")
    assert run._state.count == 0
    assert run.finish().num_rows == 10


def test_a_pattern_may_have_more_leaves_than_a_word_has_bits() -> None:
    pattern = " AND ".join([*["[x:n >= 0]"] * 70, "[x:n = 1]"])
    index = FakeIndex([_watch(1, pattern)])
    run = Run(index)
    run.match(_events([(n, 0) for n in range(80)] + [(90, 1)]), source="log")
    assert _found(run.finish()) == [("e80", "indicator--1")]


def test_a_log_in_order_is_followed_early_and_one_in_disorder_is_not() -> None:
    index = FakeIndex([_watch(1, "[x:n = 0] REPEATS 7 TIMES WITHIN 5 SECONDS")])
    whole = _events([(n, 0) for n in range(1000)])
    parts = [whole.slice(first, 20) for first in range(0, 1000, 20)]
    early = {}
    for name, order in (("first to last", parts), ("last to first", parts[::-1])):
        run = Run(index, StateLimits(eager=50))
        for part in order:
            run.match(part, source="log")
        early[name] = run.drain().num_rows
        assert early[name] + run.finish().num_rows == 142
        assert run.report.late == 0
    assert early["first to last"] > 120
    assert early["last to first"] == 0


@pytest.mark.parametrize("at_once", [1 << 17, 100, 2])
def test_what_waits_is_followed_a_part_at_a_time(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.match.run._AT_ONCE", at_once)
    run = Run(FakeIndex([_watch(1, "[x:n = 0] REPEATS 7 TIMES WITHIN 5 SECONDS")]))
    ends: list[int] = []
    real = run._follow_part

    def watched(until: int) -> None:
        ends.append(until)
        real(until)

    monkeypatch.setattr(run, "_follow_part", watched)
    run.match(_events([(n // 3, 0) for n in range(1000)]), source="log")
    assert _found(run.finish()) == [(f"e{n}", "indicator--1") for n in range(6, 1000, 7)]
    assert (len(ends) > 1) is (at_once < 1000)
    assert ends == sorted(ends)
