"""One request at a time: all layers, for many threads, while indicators change.

A `LiveMatcher` answers from one index; `swap` puts another in its place between two answers. Each
answer belongs wholly to one index. Patterns of several observations go on where they stood.

Events should come about in the order of their times. One that comes up to `lateness` seconds after
a younger one is judged as if it had come in time; a later one counts as late in the report.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol, TypeVar

from hub.match.compare import Test
from hub.match.facts import Indicator
from hub.match.fields import Kind
from hub.match.index.text import safe_test
from hub.match.limits import StateLimits, StateReport
from hub.match.mask import masked
from hub.match.plan import Atom, bands_of
from hub.match.reading import Reading
from hub.match.schema import LAYERS
from hub.match.segment import FormulaInfo
from hub.match.state import Tracker, Watch, joined
from hub.match.syntax import Comparison

LIVE_LIMITS: Final = StateLimits(lateness=60.0)
"""Requests of several front ends reach one matcher within a minute."""

_REMEMBERED: Final = 10_000
_T = TypeVar("_T")
_LAYER_OF: Final = {column: layer for layer, columns in LAYERS.items() for column in columns}


class Index(Protocol):
    """What a live matcher asks of the compiled indicators."""

    @property
    def watches(self) -> Sequence[Watch]:
        """The indicators whose patterns need several observations."""

    def find(self, reading: Reading, at: int) -> Sequence[tuple[int, int]]:
        """The formulas that hold on one event at that time, each with the atom to report."""

    def formula(self, number: int) -> FormulaInfo:
        """Tell whose a formula is."""

    def facts(self, indicator: int) -> Indicator:
        """The facts of an indicator."""

    def atom(self, number: int) -> Atom:
        """One test of one field."""


@dataclass(frozen=True, slots=True)
class LiveMatch:
    """An indicator that describes a request.

    Attributes:
        indicator_modified: microseconds since 1970.
        path, value: what was hit; the value is masked unless the matcher shows values.
        campaign_ids: the campaigns that the indicator indicates.
        marking: the TLP 2.0 label.
        band_hits: how many near-duplicate bands of the prompt the indicator names.
        several: the request completes a pattern of several observations.
    """

    indicator_id: str
    indicator_modified: int
    layer: str
    path: str
    value: str
    confidence: int | None
    publisher: str | None
    marking: str | None
    campaign_ids: tuple[str, ...]
    band_hits: int
    several: bool


class _Serving:
    """One index, with what was lately told of it; what few indicators hit, they hit often."""

    def __init__(self, index: Index, tracker: Tracker | None) -> None:
        self.index, self.tracker = index, tracker
        self.watches = index.watches
        self._infos: dict[int, FormulaInfo] = {}
        self._facts: dict[int, Indicator] = {}
        self._atoms: dict[int, Atom] = {}

    def info(self, formula: int) -> FormulaInfo:
        return _remembered(self._infos, formula, self.index.formula)

    def facts(self, indicator: int) -> Indicator:
        return _remembered(self._facts, indicator, self.index.facts)

    def atom(self, number: int) -> Atom:
        return _remembered(self._atoms, number, self.index.atom)


def _remembered(known: dict[int, _T], number: int, ask: Callable[[int], _T]) -> _T:
    found = known.get(number)
    if found is None:
        if len(known) >= _REMEMBERED:
            known.clear()
        found = known[number] = ask(number)
    return found


class LiveMatcher:
    """Matches single events; any number of threads may use it.

    Args:
        index: the compiled indicators.
        limits: for patterns of several observations; None: they are not followed.
        show_values: give the values that were hit in full.
    """

    def __init__(
        self,
        index: Index,
        *,
        limits: StateLimits | None = LIVE_LIMITS,
        show_values: bool = False,
    ) -> None:
        self._limits = limits
        self._show_values = show_values
        self._lock = threading.Lock()
        self._serving = self._served(index, None)

    @property
    def report(self) -> StateReport:
        """What following patterns of several observations held and lost."""
        tracker = self._serving.tracker
        return StateReport() if tracker is None else tracker.report

    def match(self, event: Mapping[str, Any]) -> list[LiveMatch]:
        """Find the indicators that describe one event and are valid at its time.

        Args:
            event: values by TRAFFIC column name.
        Returns:
            By indicator id, each once.
        Raises:
            SchemaError: the event has no time or id, or a value of another type.
        Source: STIX 2.1, section 9 (patterning) and section 4.7 (indicator).
        """
        reading = Reading(event)
        while True:
            serving = self._serving
            found = serving.index.find(reading, reading.time)
            if not found:
                return []
            answer = self._answer(serving, reading, found)
            if answer is not None:
                return answer

    def swap(self, index: Index) -> None:
        """Answer from another index from now on; no request waits for it.

        Patterns of several observations whose indicators are in both, in the same version, keep
        what they have seen.
        """
        with self._lock:
            self._serving = self._served(index, self._serving.tracker)

    def _served(self, index: Index, before: Tracker | None) -> _Serving:
        watches = index.watches
        follows = self._limits is not None and (len(watches) > 0 or before is not None)
        tracker = Tracker(watches, self._limits, before) if follows else None
        return _Serving(index, tracker)

    def _answer(
        self, serving: _Serving, reading: Reading, found: Sequence[tuple[int, int]]
    ) -> list[LiveMatch] | None:
        """The matches; None if the index was swapped before its patterns were followed."""
        alone: dict[int, int] = {}
        leaves: dict[int, int] = {}
        shown: dict[int, tuple[int, int]] = {}
        for number, atom in found:
            info = serving.info(number)
            if info.watch < 0:
                alone[info.indicator] = min(atom, alone.get(info.indicator, atom))
            else:
                leaves[info.watch] = leaves.get(info.watch, 0) | 1 << info.leaf
                first = (info.leaf, atom)
                shown[info.watch] = min(first, shown.get(info.watch, first))
        answer = [self._match(serving, reading, *one, several=False) for one in alone.items()]
        if leaves and serving.tracker is not None:
            completed = self._completed(serving, reading, leaves)
            if completed is None:
                return None
            for watch in completed:
                owner = serving.watches[watch].indicator
                answer.append(self._match(serving, reading, owner, shown[watch][1], several=True))
        answer.sort(key=lambda one: one.indicator_id)
        return answer

    def _completed(
        self, serving: _Serving, reading: Reading, leaves: Mapping[int, int]
    ) -> list[int] | None:
        tracker = serving.tracker
        assert tracker is not None
        grouped = [(watch, *_grouping(serving.watches[watch], reading)) for watch in leaves]
        with self._lock:
            if self._serving is not serving:
                return None
            completed = []
            for watch, group, value in grouped:
                if group is None or value is None:
                    tracker.report.ungrouped += 1
                elif tracker.observe(watch, leaves[watch], reading.time, group, value):
                    completed.append(watch)
            return completed

    def _match(
        self, serving: _Serving, reading: Reading, indicator: int, number: int, *, several: bool
    ) -> LiveMatch:
        facts, atom = serving.facts(indicator), serving.atom(number)
        field = atom.field
        values = reading.values(field)
        value = values[0]
        if len(values) > 1:
            test = _test(atom.comparison)
            value = next((one for one in values if test(one)), value)
        hits = 0
        if field.kind is Kind.BANDS:
            row = reading.bands()
            named = bands_of(atom.comparison)
            hits = 0 if row is None else sum(int(row[band]) == one for band, one in named)
        return LiveMatch(
            indicator_id=facts.indicator_id,
            indicator_modified=facts.modified,
            layer=facts.layer or _LAYER_OF[field.column],
            path=field.path,
            value=str(value) if self._show_values else masked(field, str(value)),
            confidence=facts.confidence,
            publisher=facts.publisher,
            marking=facts.marking,
            campaign_ids=facts.campaign_ids,
            band_hits=hits,
            several=several,
        )


@lru_cache(maxsize=4096)
def _test(comparison: Comparison) -> Test:
    return safe_test(comparison)


def _grouping(watch: Watch, reading: Reading) -> tuple[str | None, str | None]:
    """The event's group and the value to count; None where it shows none."""
    columns, counted = watch.group_columns, watch.distinct_column
    group = joined([reading.column(name) for name in columns]) if columns else ""
    return group, "" if counted is None else joined([reading.column(counted)])


__all__ = ["LIVE_LIMITS", "LiveMatch", "LiveMatcher"]
