"""Indicators over the event store: a pass over the columns that they ask about."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from hub.hunt.catalogue import Part
from hub.hunt.compact import expanded
from hub.hunt.store import EventStore
from hub.match.engine import IndicatorIndex
from hub.match.limits import StateReport
from hub.match.plan import ALWAYS, NEVER
from hub.match.run import Run
from hub.match.schema import LAYERS, STORED_FEATURES
from hub.traffic.accounts import AccountTable

_AHEAD: Final = 2
"""Batches that wait for each worker: what bounds the memory of a hunt."""


@dataclass(frozen=True, slots=True)
class Window:
    """The times that are looked at: from `since`, before `until`; microseconds since 1970."""

    since: int = ALWAYS
    until: int = NEVER

    def holds(self, part: Part) -> bool:
        """Whether any exchange of a file may lie in the window."""
        return self.since <= part.last and part.first < self.until

    def cut(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """The exchanges in the window."""
        times = events.column("observed_at").cast(pa.int64())
        extent = pc.min_max(times).as_py()
        if not events.num_rows or (self.since <= extent["min"] and extent["max"] < self.until):
            return events
        inside = pc.and_(pc.greater_equal(times, self.since), pc.less(times, self.until))
        return events.filter(inside)


def columns(index: IndicatorIndex, accounts: AccountTable | None) -> frozenset[str]:
    """The columns of the store that a hunt with these indicators reads."""
    names = {name for name in index.columns if name != "prompt"}
    for field in index.fields:
        kept = STORED_FEATURES.get(field.derived or "")
        names.add(field.column if kept is None else kept.name)
    return frozenset(names if accounts is None else names.union(LAYERS["account"]))


def search(
    store: EventStore,
    parts: Sequence[Part],
    index: IndicatorIndex,
    *,
    accounts: AccountTable | None = None,
    window: Window | None = None,
    show_values: bool = False,
    jobs: int = 1,
    progress: Callable[[int], None] = lambda rows: None,
    followed: Callable[[StateReport], None] = lambda report: None,
) -> Iterator[pa.Table]:
    """Match the exchanges of some files of the store.

    Args:
        accounts: customer table, joined in memory: the store keeps no tokens.
        jobs: how many batches are matched at once.
        progress: takes the number of exchanges looked at since its last call.
        followed: takes, at the end, what following patterns over several exchanges lost.
    Yields:
        MATCH_SCHEMA tables in the order of the files, patterns over several exchanges as they are
        known to hold: most of them last.
    Raises:
        StoreError: a file of the store is damaged or gone.
    """
    run = index.run()
    wanted = columns(index, accounts)
    window = window or Window()

    def matched(events: pa.RecordBatch, source: str, position: int) -> tuple[pa.Table, int]:
        batch = expanded(window.cut(events))
        if accounts is not None and batch.num_rows:
            batch = accounts.enrich(batch)
        return run.match(
            batch, source=source, show_values=show_values, position=position
        ), events.num_rows

    with ThreadPoolExecutor(jobs) as pool:
        waiting: deque[Future[tuple[pa.Table, int]]] = deque()
        position = itertools.count()
        for part in parts:
            if not window.holds(part):
                progress(part.rows)
                continue
            for events in store.read(part, wanted):
                waiting.append(pool.submit(matched, events, part.source, next(position)))
                if len(waiting) > _AHEAD * jobs:
                    yield _taken(waiting, progress)
                    yield from _drained(run)
        while waiting:
            yield _taken(waiting, progress)
    yield run.finish()
    followed(run.report)


def _drained(run: Run) -> Iterator[pa.Table]:
    """Completions so far: a long hunt must not gather them."""
    completed = run.drain()
    if completed.num_rows:
        yield completed


def _taken(
    waiting: deque[Future[tuple[pa.Table, int]]], progress: Callable[[int], None]
) -> pa.Table:
    table, rows = waiting.popleft().result()
    progress(rows)
    return table
