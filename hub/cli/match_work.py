"""Decoding and matching of one log on several cores, in the order of the log."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hub.match.plan import microseconds
from hub.match.run import Run
from hub.match.schema import MATCH_SCHEMA
from hub.traffic.accounts import AccountTable
from hub.traffic.decode import Bounds

R = TypeVar("R")

_AHEAD: Final = 2
"""Blocks beyond one for each core that may be decoded before the first of them is reported."""
_BATCHES: Final = 1 << 12
"""More batches than one block can hold."""


@dataclass(frozen=True)
class Window:
    """The times between which exchanges are looked at."""

    since: datetime | None
    until: datetime | None

    @property
    def bounds(self) -> Bounds | None:
        """The window for a reader; None if it holds all times."""
        if self.since is None and self.until is None:
            return None
        given = {"since": self.since, "until": self.until}
        return Bounds(**{name: microseconds(one) for name, one in given.items() if one is not None})

    def cut(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows at or after `since` and before `until`."""
        for moment, test in ((self.since, pc.greater_equal), (self.until, pc.less)):
            if moment is not None:
                bound = pa.scalar(moment, pa.timestamp("us", tz="UTC"))
                batch = batch.filter(test(batch.column("observed_at"), bound))
        return batch


@dataclass(frozen=True)
class Matching:
    """What matching any block of any log needs.

    Attributes:
        run: the pass over all logs.
        keep: whether batches with matches are kept, so that these can be explained.
    """

    run: Run
    accounts: AccountTable | None
    window: Window
    show_values: bool
    keep: bool = False


@dataclass
class Outcome:
    """What one block gave.

    Attributes:
        matches: MATCH_SCHEMA, one table for each batch.
        events: the batch of each table, if they are kept.
        joined: exchanges that gained something from the customer table.
        seen: non-null values per column.
        read: bytes of the log consumed when the block was cut.
    """

    rows: int = 0
    outside: int = 0
    joined: int = 0
    seen: dict[str, int] = field(default_factory=dict)
    first: datetime | None = None
    last: datetime | None = None
    matches: list[pa.Table] = field(default_factory=list)
    events: list[pa.RecordBatch] = field(default_factory=list)
    read: int = 0

    def add(self, later: Outcome) -> None:
        """Add the counts of a later block; its matches stay with it."""
        self.rows += later.rows
        self.outside += later.outside
        self.joined += later.joined
        for name, count in later.seen.items():
            self.seen[name] = self.seen.get(name, 0) + count
        if later.first is not None and later.last is not None:
            self.first = later.first if self.first is None else min(self.first, later.first)
            self.last = later.last if self.last is None else max(self.last, later.last)


def match_block(
    matching: Matching,
    source: str,
    number: int,
    read: int,
    task: Callable[[], list[pa.RecordBatch]],
) -> Outcome:
    """Decode and match one block.

    Args:
        number: the block's place in the pass, which orders exchanges of the same time.
    """
    outcome = Outcome(read=read)
    for place, whole in enumerate(task()):
        batch = matching.window.cut(whole)
        outcome.outside += whole.num_rows - batch.num_rows
        if not batch.num_rows:
            continue
        if matching.accounts is not None:
            batch, known = _enriched(matching.accounts, batch)
            outcome.joined += known
        _count(outcome, batch)
        matches = matching.run.match(
            batch,
            source=source,
            show_values=matching.show_values,
            position=number * _BATCHES + place,
        )
        if matches.num_rows:
            outcome.matches.append(matches)
            if matching.keep:
                outcome.events.append(batch)
    return outcome


def _count(outcome: Outcome, batch: pa.RecordBatch) -> None:
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if column.null_count < len(column):
            outcome.seen[name] = outcome.seen.get(name, 0) + len(column) - column.null_count
    outcome.rows += batch.num_rows
    extent = pc.min_max(batch.column("observed_at")).as_py()
    first, last = extent["min"], extent["max"]
    outcome.first = first if outcome.first is None else min(outcome.first, first)
    outcome.last = last if outcome.last is None else max(outcome.last, last)


def _enriched(accounts: AccountTable, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, int]:
    """The batch with its customers' columns, and how many rows gained any."""
    full = accounts.enrich(batch)
    gained = np.zeros(batch.num_rows, np.bool_)
    for before, after in zip(batch.columns, full.columns, strict=True):
        if after.null_count < before.null_count:
            new = pc.and_(before.is_null(), after.is_valid())
            gained |= new.to_numpy(zero_copy_only=False)
    return full, int(gained.sum())


def in_order(pool: Executor | None, jobs: int, steps: Iterator[Callable[[], R]]) -> Iterator[R]:
    """Run steps in a pool, and give what they return in their order, whichever ends first.

    Args:
        pool: None runs them here, one after the other.
        jobs: how many the pool runs at once; only a few more are taken from `steps` ahead.
    """
    if pool is None:
        for step in steps:
            yield step()
        return
    running: collections.deque[Future[R]] = collections.deque()
    try:
        for step in steps:
            running.append(pool.submit(step))
            if len(running) >= jobs + _AHEAD:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        for future in running:
            future.cancel()


def steps(
    matching: Matching,
    source: str,
    first: int,
    tasks: Iterator[Callable[[], list[pa.RecordBatch]]],
    read: Callable[[], int],
) -> Iterator[Callable[[], Outcome]]:
    """The steps that match a log whose blocks are numbered from `first` on."""
    for number, task in enumerate(tasks, first):
        yield partial(match_block, matching, source, number, read(), task)


def by_source(completed: pa.Table) -> dict[str, pa.Table]:
    """The matches that end a pass, log by log."""
    names = pc.unique(completed["source"]).to_pylist()
    return {
        name: completed.filter(pc.equal(completed["source"], name)).cast(MATCH_SCHEMA)
        for name in names
    }
