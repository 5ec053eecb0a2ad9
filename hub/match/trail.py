"""Which events completed a pattern of several observations: kept only where that will be told.

A tracker holds no more of an event than its pattern can still need. A trail holds the events
themselves, so that those that completed the pattern can be named. Of them the fewest are named
that complete it with the last one, as far as that can be found quickly.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hub.match.limits import StateLimits
from hub.match.state import Tracker, Watch

_EACH: Final = 10_000
"""Events of one pattern and group that are kept; the newest."""
_ALL: Final = 500_000
_EVENT_BYTES: Final = 64 << 20
"""Whole events that wait to be explained."""
_FEW: Final = 32
"""So many events are thinned out one by one."""


class Step(NamedTuple):
    """An event that satisfies leaves of a pattern (bit k: the k-th); `moment` in microseconds."""

    event_id: str
    moment: int
    leaves: int
    value: Hashable


@dataclass(frozen=True, slots=True)
class Trail:
    """A completion, and the events that led to it, the last one included.

    Attributes:
        event: the last event, a row of TRAFFIC_SCHEMA.
    """

    watch: Watch
    source: str
    event: Mapping[str, Any]
    steps: Sequence[Step]

    def needed(self) -> list[Step]:
        """Events without which the last one would not have completed the pattern, and that one."""
        steps = list(self.steps)
        low, high = 0, len(steps) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self._completes(steps[middle:]):
                low = middle
            else:
                high = middle - 1
        steps = steps[low:]
        if len(steps) <= _FEW:
            for step in steps[:-1]:
                fewer = [one for one in steps if one is not step]
                if self._completes(fewer):
                    steps = fewer
        return steps

    def _completes(self, steps: Sequence[Step]) -> bool:
        tracker = Tracker([self.watch], StateLimits())
        held = [tracker.observe(0, one.leaves, one.moment, None, one.value) for one in steps]
        return held[-1]


class Trails:
    """The trails of a run.

    Args:
        most: completions that are remembered.
        event_id: only those that this event completes.
    """

    def __init__(self, most: int, event_id: str | None = None) -> None:
        self._most, self._event_id = most, event_id
        self._steps: OrderedDict[tuple[int, Hashable], deque[Step]] = OrderedDict()
        self._count = self._bytes = 0
        self._lock = threading.Lock()
        self._done: list[Trail] = []

    def events(self, events: pa.RecordBatch, rows: Any) -> pa.StructArray:
        """Some events as values of one column, null where there is no room or no need."""
        whole = pa.StructArray.from_arrays(events.columns, fields=list(events.schema))
        if self._event_id is not None:
            wanted = pc.equal(events.column("event_id"), self._event_id)
            hit = wanted.to_numpy(zero_copy_only=False)[rows]
            return whole.take(pa.array(np.where(hit, rows, 0), mask=~hit))
        taken = whole.take(pa.array(rows))
        with self._lock:
            if self._bytes + taken.nbytes > _EVENT_BYTES:
                return pa.nulls(len(rows), whole.type)
            self._bytes += taken.nbytes
        return taken

    def release(self, events: pa.Array) -> None:
        """Count events as no longer waiting."""
        if self._event_id is None and events.null_count < len(events):
            with self._lock:
                self._bytes = max(0, self._bytes - events.nbytes)

    def note(self, number: int, group: Hashable, step: Step, span: int | None) -> None:
        """Take the next event of a pattern and group; what is older than `span` cannot matter."""
        steps = self._steps.get((number, group))
        if steps is None:
            steps = self._steps[number, group] = deque()
        self._steps.move_to_end((number, group))
        steps.append(step)
        self._count += 1
        while len(steps) > _EACH or (span is not None and steps[0].moment < step.moment - span):
            steps.popleft()
            self._count -= 1
        while self._count > _ALL:
            _, gone = self._steps.popitem(last=False)
            self._count -= len(gone)

    def complete(
        self, number: int, group: Hashable, watch: Watch, source: str, event: Callable[[], Any]
    ) -> None:
        """The last event noted has completed the pattern of a group: its trail begins anew."""
        steps = self._steps.pop((number, group), deque())
        self._count -= len(steps)
        if self._event_id not in (None, steps[-1].event_id) or not self._most:
            return
        row = event()
        if row is not None:
            self._most -= 1
            self._done.append(Trail(watch, source, row, steps))

    def taken(self) -> list[Trail]:
        """The trails that have come to their end since the last call."""
        done, self._done = self._done, []
        return done
