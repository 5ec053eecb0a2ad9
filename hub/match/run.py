"""One pass over logs: stateless answers at once, those of several observations at the end.

Batches may come from several threads and in any order. What satisfies a leaf of a pattern is held
back, and brought into the order of time before the patterns are followed: not the events are
sorted, but the few hits. Where more are held back than the limits allow, the older half is
followed right away; in a log that is in order nothing is lost by that, and what comes later with
an older time is counted as late. With `StateLimits.eager` that is done much earlier, but only where
those that came last are no older than those that are followed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hub.match.columns import Batch
from hub.match.index.buffers import Keys, Rows
from hub.match.limits import StateLimits, StateReport
from hub.match.schema import MATCH_SCHEMA
from hub.match.segment import Hits, LeafHits
from hub.match.state import Tracker, Watch, joined
from hub.match.trail import Step, Trail, Trails

ROWS: Final = 65_536
_KEPT: Final = ("event_id", "source", "layer", "path", "value", "account_id")
"""Columns of a match that differ from event to event; the others are the indicator's."""
_REPEATED: Final = frozenset({"source", "layer", "path"})
_MANY_LEAVES: Final = 62
_AT_ONCE: Final = 1 << 17
"""Events that are followed in one go: while they are, they are Python's objects."""


class Index(Protocol):
    """What a run asks of the compiled indicators."""

    @property
    def watches(self) -> Sequence[Watch]:
        """The indicators whose patterns need several observations."""

    def hits(self, batch: Batch) -> Hits:
        """Find the events in which a formula holds."""

    def split(self, hits: Hits) -> tuple[Hits, LeafHits]:
        """Part hits of formulas that decide alone from those of leaves."""

    def report(
        self, batch: Batch, hits: Hits, *, source: str, show_values: bool = False
    ) -> pa.RecordBatch:
        """One MATCH row for each event and indicator."""

    def rows(
        self, batch: Batch, hits: Hits, *, source: str, show_values: bool = False
    ) -> pa.RecordBatch:
        """The MATCH row of each hit."""


@dataclass(frozen=True, slots=True)
class _Held:
    """Events that satisfy leaves, one row for each event and watch.

    Attributes:
        order: the place of the event in the log: batch and row.
        leaves: bit k: leaf k is satisfied.
        columns: `_KEPT`, `group` and `distinct`, and the whole `event` where there are trails.
    """

    times: Rows
    order: Rows
    watch: Keys
    leaves: NDArray[Any]
    columns: pa.RecordBatch

    def __len__(self) -> int:
        return len(self.times)

    def at(self, places: Any) -> _Held:
        taken = self.columns.take(pa.array(places, pa.int64()))
        return _Held(
            self.times[places], self.order[places], self.watch[places], self.leaves[places], taken
        )


@dataclass(slots=True)
class _Waiting:
    parts: list[_Held] = field(default_factory=list)
    count: int = 0
    done: list[pa.RecordBatch] = field(default_factory=list)
    facts: dict[int, pa.RecordBatch] = field(default_factory=dict)
    followed_until: int = -(2**62)
    batches: int = 0
    leaf_events: int = 0
    check_at: int = 2**62


class Run:
    """Matches the batches of one pass over logs against one index.

    Args:
        trails: takes which events complete the patterns, if that will be told.

    Attributes:
        report: what following patterns of several observations held and lost.
    """

    def __init__(
        self, index: Index, limits: StateLimits | None = None, trails: Trails | None = None
    ) -> None:
        self._index, self._trails = index, trails
        self._limits = limits or StateLimits()
        self._watches = list(index.watches)
        self._tracker = Tracker(self._watches, self._limits)
        self._lock = threading.Lock()
        self._state = _Waiting()
        if self._limits.eager is not None:
            self._state.check_at = self._limits.eager

    @property
    def held_back(self) -> int:
        """How many events satisfied a leaf of a pattern of several observations, so far."""
        return self._state.leaf_events

    @property
    def report(self) -> StateReport:
        """The report of the tracker."""
        return self._tracker.report

    def match(
        self,
        events: pa.RecordBatch | pa.Table,
        *,
        source: str,
        show_values: bool = False,
        position: int | None = None,
    ) -> pa.Table:
        """Find the events that single observations describe; any thread may call it.

        Args:
            events: TRAFFIC_SCHEMA, N rows.
            source: the name of the log.
            show_values: write the values that were hit in full.
            position: the batch's place in the log, which orders events of the same time; without
                it, they are in the order of the calls.
        Returns:
            MATCH_SCHEMA, one row per (event, indicator), by event row then indicator id.
        Raises:
            SchemaError: no time or id in some event, or a column of another type.
        """
        with self._lock:
            self._state.batches += 1
            place = self._state.batches if position is None else position
        table = pa.Table.from_batches([events]) if isinstance(events, pa.RecordBatch) else events
        out, first = [], 0
        for part in table.to_batches(max_chunksize=ROWS):
            batch = Batch(part)
            alone, leaves = self._index.split(self._index.hits(batch))
            out.append(self._index.report(batch, alone, source=source, show_values=show_values))
            if len(leaves.watch):
                order = np.int64(place) << 32 | np.arange(first, first + len(batch))
                self._hold(batch, leaves, order, source, show_values=show_values)
            first += len(batch)
        return pa.Table.from_batches(out, schema=MATCH_SCHEMA)

    def _hold(
        self, batch: Batch, leaves: LeafHits, order: Rows, source: str, *, show_values: bool
    ) -> None:
        hits = leaves.hits
        sorting = np.lexsort((hits.atom, leaves.leaf, leaves.watch, hits.rows))
        rows, watch = hits.rows[sorting], leaves.watch[sorting]
        new = np.ones(len(rows), dtype=np.bool_)
        new[1:] = (rows[1:] != rows[:-1]) | (watch[1:] != watch[:-1])
        starts = np.flatnonzero(new)
        rows, watch = rows[starts], watch[starts]
        masks = np.bitwise_or.reduceat(_bits(leaves.leaf[sorting]), starts)
        hits = hits.at(sorting[starts])
        found = self._index.rows(batch, hits, source=source, show_values=show_values)
        group, distinct = self._grouping(batch, rows, watch)
        columns = pa.RecordBatch.from_arrays(
            [_compact(found.column(name), name) for name in _KEPT] + [group, distinct],
            names=[*_KEPT, "group", "distinct"],
        )
        if self._trails is not None:
            columns = columns.append_column("event", self._trails.events(batch.events, rows))
        held = _Held(batch.times[rows], order[rows], watch, masks, columns)
        known = pc.and_(group.is_valid(), distinct.is_valid()).to_numpy(zero_copy_only=False)
        with self._lock:
            self.report.ungrouped += int(np.count_nonzero(~known))
            self._keep(held if known.all() else held.at(np.flatnonzero(known)), found, watch)

    def _grouping(self, batch: Batch, rows: Rows, watch: Keys) -> tuple[Any, Any]:
        """The group and the value to count of each event; null where the event shows none."""
        groups = np.full(len(rows), "", dtype=object)
        values = np.full(len(rows), "", dtype=object)
        for number in np.unique(watch).tolist():
            one = self._watches[number]
            at = np.flatnonzero(watch == number)
            if one.group_columns:
                groups[at] = _texts(batch, one.group_columns, rows[at])
            if one.distinct_column is not None:
                values[at] = _texts(batch, (one.distinct_column,), rows[at])
        return pa.array(groups, pa.string()), pa.array(values, pa.string())

    def _keep(self, held: _Held, found: pa.RecordBatch, watch: Keys) -> None:
        state = self._state
        state.leaf_events += len(watch)
        for number, at in zip(*np.unique(watch, return_index=True), strict=True):
            if int(number) not in state.facts:
                state.facts[int(number)] = found.slice(int(at), 1)
        late = held.times < state.followed_until
        if late.any():
            self.report.late += int(np.count_nonzero(late))
            held = held.at(np.flatnonzero(~late))
        state.parts.append(held)
        state.count += len(held)
        if state.count > min(self._limits.waiting, state.check_at):
            self._follow_older()

    def _follow_older(self) -> None:
        """Follow the patterns over the older half, where too many wait or they are in order."""
        state, eager = self._state, self._limits.eager
        times = np.concatenate([part.times for part in state.parts])
        middle = int(np.partition(times, len(times) // 2)[len(times) // 2])
        if state.count > self._limits.waiting:
            # Where very many share one time, there is no middle to part them by.
            self._follow(middle if middle > times.min() else int(times.max()) + 1)
        elif times[-(len(times) // 4) :].min() >= middle > times.min():
            self._follow(middle)
        if eager is not None:
            state.check_at = state.count + eager

    def _follow(self, until: int) -> None:
        """Follow the patterns over what is older than that, as much at once as `_AT_ONCE`."""
        while self._state.parts:
            times = np.concatenate([part.times for part in self._state.parts])
            times = times[times < until]
            if len(times) <= _AT_ONCE:
                break
            bound = np.partition(times, _AT_ONCE)[_AT_ONCE]
            younger = times[times > bound]
            if not len(younger):
                break
            self._follow_part(int(bound) if bound > times.min() else int(younger.min()))
        self._follow_part(until)

    def _follow_part(self, until: int) -> None:
        state = self._state
        waiting = state.parts
        state.parts, old = [], []
        for part in waiting:
            young = part.times >= until
            if young.any():
                state.parts.append(part.at(np.flatnonzero(young)))
            old.append(part.at(np.flatnonzero(~young)))
        state.count = sum(len(part) for part in state.parts)
        state.followed_until = until
        times, order, watch = (
            np.concatenate([getattr(part, name) for part in old] or [np.zeros(0, np.int64)])
            for name in ("times", "order", "watch")
        )
        numbers = np.concatenate([np.arange(len(part)) for part in old] or [times])
        owners = np.repeat(np.arange(len(old)), [len(part) for part in old])
        sorting = np.lexsort((watch, order, times))
        texts = [_sorted(old, name, sorting) for name in ("group", "distinct")]
        masks = [mask for part in old for mask in part.leaves.tolist()]
        completed: list[tuple[int, int]] = []
        observe = self._tracker.observe
        note = None if self._trails is None else self._noting(old, self._trails)
        for place, one, moment, group, value in zip(
            sorting.tolist(),
            watch[sorting].tolist(),
            times[sorting].tolist(),
            *texts,
            strict=True,
        ):
            done = observe(one, masks[place], moment, group, value)
            if done:
                completed.append((int(owners[place]), int(numbers[place])))
            if note is not None:
                at = int(owners[place]), int(numbers[place])
                note(one, group, (moment, masks[place], value), at, done)
        if self._trails is not None:
            for part in old:
                self._trails.release(part.columns.column("event"))
        if completed:
            state.done.append(self._rows(old, completed))

    def _noting(self, parts: list[_Held], trails: Trails) -> Callable[..., None]:
        """What puts each event into its trail, and ends the trail where the pattern holds."""
        ids = [part.columns.column("event_id").to_pylist() for part in parts]

        def note(
            one: int, group: str, seen: tuple[int, int, str], at: tuple[int, int], done: bool
        ) -> None:
            owner, number = at
            moment, leaves, value = seen
            step = Step(ids[owner][number], moment, leaves, value)
            trails.note(one, group, step, self._tracker.span(one))
            if done:
                held = parts[owner].columns
                source = held.column("source")[number].as_py()
                event = held.column("event")[number]
                trails.complete(one, group, self._watches[one], source, event.as_py)

        return note

    def _rows(self, parts: list[_Held], completed: list[tuple[int, int]]) -> pa.RecordBatch:
        """The MATCH rows of completions, each at the event that completed it."""
        by_owner: dict[int, list[int]] = {}
        places = []
        for owner, number in completed:
            places.append((owner, len(by_owner.setdefault(owner, []))))
            by_owner[owner].append(number)
        begins: dict[int, int] = {}
        built: list[pa.RecordBatch] = []
        for owner, numbers in by_owner.items():
            begins[owner] = sum(one.num_rows for one in built)
            built.append(self._rows_of(parts[owner].at(numbers)))
        order = [begins[owner] + at for owner, at in places]
        joined = pa.Table.from_batches(built, schema=MATCH_SCHEMA).take(pa.array(order))
        return joined.combine_chunks().to_batches()[0]

    def _rows_of(self, held: _Held) -> pa.RecordBatch:
        watches, which = np.unique(held.watch, return_inverse=True)
        facts = pa.Table.from_batches([self._state.facts[int(number)] for number in watches])
        facts = facts.take(pa.array(which))
        columns = []
        for wanted in MATCH_SCHEMA:
            if wanted.name == "observed_at":
                column = pa.array(held.times)
            elif wanted.name in _KEPT:
                column = held.columns.column(wanted.name)
            else:
                column = facts.column(wanted.name).combine_chunks()
            columns.append(column.cast(wanted.type))
        return pa.RecordBatch.from_arrays(columns, schema=MATCH_SCHEMA)

    def drain(self) -> pa.Table:
        """Take the completions found so far, for a caller that will not hold them all."""
        with self._lock:
            done, self._state.done = self._state.done, []
        return pa.Table.from_batches(done, schema=MATCH_SCHEMA).combine_chunks()

    def trails(self) -> list[Trail]:
        """Take the trails of the completions found since the last call."""
        with self._lock:
            return [] if self._trails is None else self._trails.taken()

    def finish(self) -> pa.Table:
        """Follow the patterns over all that is still held back.

        Returns:
            MATCH_SCHEMA, one row per completion that was not drained, by the time of the event
            that completed it.
        """
        with self._lock:
            if self._state.count:
                self._follow(2**62)
        return self.drain()


def _sorted(parts: Sequence[_Held], name: str, sorting: Rows) -> list[str]:
    if not parts:
        return []
    joined_parts = pa.chunked_array([part.columns.column(name) for part in parts])
    texts: list[str] = joined_parts.take(pa.array(sorting)).to_pylist()
    return texts


def _bits(leaves: Keys) -> NDArray[Any]:
    """Each leaf as a bit; beyond 62 leaves as Python's own integers."""
    if int(leaves.max()) < _MANY_LEAVES:
        return np.int64(1) << leaves.astype(np.int64)
    return np.asarray([1 << leaf for leaf in leaves.tolist()], dtype=object)


def _compact(column: Any, name: str) -> Any:
    return column.dictionary_encode() if name in _REPEATED else column


def _texts(batch: Batch, columns: Sequence[str], rows: Rows) -> list[str | None]:
    """The values of columns in some rows as one text each; None where one of them is absent."""
    taken = []
    for name in columns:
        column = batch.column(name)
        if column is None:
            return [None] * len(rows)
        taken.append(column.take(pa.array(rows)).to_pylist())
    if len(taken) == 1 and pa.types.is_string(batch.column(columns[0]).type):
        texts: list[str | None] = taken[0]
        return texts
    return [joined(values) for values in zip(*taken, strict=True)]


__all__ = ["Run"]
