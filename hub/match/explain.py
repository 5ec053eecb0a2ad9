"""Why an indicator describes an event, or does not: clause by clause, as the standard judges it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa

from hub.errors import InputError
from hub.match.columns import Batch
from hub.match.compare import network
from hub.match.draft import Source
from hub.match.facts import Indicator
from hub.match.fields import FIELDS, Field, Kind
from hub.match.index.text import safe_test
from hub.match.mask import masked
from hub.match.pattern import parse
from hub.match.plan import NEVER, answered, canonical, comparisons_of, observations
from hub.match.schema import STORED_FEATURES, TRAFFIC_SCHEMA
from hub.match.segment import Segment
from hub.match.syntax import Comparison
from hub.match.trail import Step
from hub.model.identifiers import timestamp

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN: Final = 8
"""Literals of a list that are shown."""
_EVENTS: Final = 100
"""Other events that are told."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One comparison of the pattern, in its order.

    Attributes:
        leaf: which `[ ]` of the pattern it is in.
        literals, values: what the pattern wants and what the event has, masked; of a long list the
            first ones.
        verdict: `holds`, `fails`, `absent` (the event shows no such value) or `not answerable` (no
            log shows it).
        anchored: whether an index found the event by this comparison.
    """

    leaf: int
    path: str
    operator: str
    negated: bool
    literals: tuple[str, ...]
    values: tuple[str, ...]
    verdict: str
    anchored: bool


@dataclass(frozen=True, slots=True)
class OtherEvent:
    """An event that, with others, completed a pattern of several observations.

    Attributes:
        leaves: which `[ ]` of the pattern it satisfies.
    """

    event_id: str
    observed_at: str
    leaves: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an indicator describes an event, or does not.

    Attributes:
        pattern: None unless values are shown.
        matches: whether the event alone satisfies the pattern, in the indicator's time.
        leaves: which `[ ]` of a pattern of several observations the event satisfies.
        several: whether the pattern needs several observations; then `group_by` and
            `count_distinct` tell how they count.
        in_force: whether the indicator was valid at the event's time.
        age: seconds from the indicator's `valid_from` to the event.
        valid_until: None if it has no end.
        other_events: the events that completed the pattern with this one, where known, in the
            order of time; of very many the latest, and `more_events` says how many came before.
    """

    event_id: str
    observed_at: str
    indicator_id: str
    pattern: str | None
    matches: bool
    in_force: bool
    several: bool
    leaves: tuple[int, ...]
    clauses: tuple[Clause, ...]
    publisher: str | None
    modified: str
    valid_from: str
    valid_until: str | None
    age: float
    confidence: int | None
    marking: str | None
    layer: str | None
    campaign_ids: tuple[str, ...]
    min_band_hits: int
    group_by: tuple[str, ...]
    count_distinct: str | None
    other_events: tuple[OtherEvent, ...] = ()
    more_events: int = 0

    def to_json(self) -> dict[str, Any]:
        """The same as objects of JSON."""
        return asdict(self)


class Index(Protocol):
    """What an explanation asks of the compiled indicators."""

    def row_of(self, indicator_id: str) -> int | None:
        """The row of an indicator in use."""

    def facts(self, indicator: int) -> Indicator:
        """The facts of an indicator."""

    def source(self, indicator: int) -> Source:
        """The pattern of an indicator."""

    def alone(self, indicator: int) -> Segment:
        """One indicator, compiled for itself."""


def explain(
    index: Index,
    event: Mapping[str, Any],
    indicator_id: str,
    *,
    show_values: bool = False,
    other_events: Sequence[Step] = (),
) -> Explanation:
    """Tell why an indicator describes an event, or does not.

    Args:
        event: one row of TRAFFIC_SCHEMA as Python values.
        show_values: write values and literals in full.
        other_events: for a pattern of several observations, those that completed it before this.
    Raises:
        InputError: the index has no such indicator in use.
        SchemaError: the event lacks its time or id.
    """
    row = index.row_of(indicator_id)
    if row is None:
        raise InputError("is not among the indicators in use", where=indicator_id)
    batch = Batch(_row(event))
    facts, source, segment = index.facts(row), index.source(row), index.alone(row)
    hits = segment.hits(batch, None)
    leaves = sorted({int(segment.complex.leaf[number]) for number in hits.formula.tolist()})
    moment = int(batch.times[0])
    return Explanation(
        event_id=str(event["event_id"]),
        observed_at=_time(moment),
        indicator_id=facts.indicator_id,
        pattern=source.pattern if show_values else None,
        matches=-1 in leaves,
        in_force=facts.start <= moment < facts.stop,
        several=bool(segment.complex.watches),
        leaves=tuple(leaf for leaf in leaves if leaf >= 0),
        clauses=tuple(_clauses(batch, source, segment, show=show_values)),
        publisher=facts.publisher,
        modified=_time(facts.modified),
        valid_from=_time(facts.start),
        valid_until=None if facts.stop == NEVER else _time(facts.stop),
        age=(moment - facts.start) / 1_000_000,
        confidence=facts.confidence,
        marking=facts.marking,
        layer=facts.layer,
        campaign_ids=facts.campaign_ids,
        min_band_hits=facts.min_band_hits,
        group_by=source.group_by,
        count_distinct=source.count_distinct,
        other_events=tuple(map(_other, other_events[-_EVENTS:])),
        more_events=max(0, len(other_events) - _EVENTS),
    )


def _other(step: Step) -> OtherEvent:
    leaves = tuple(leaf for leaf in range(step.leaves.bit_length()) if step.leaves >> leaf & 1)
    return OtherEvent(step.event_id, _time(step.moment), leaves)


def _row(event: Mapping[str, Any]) -> pa.RecordBatch:
    """The event as a batch of one row."""
    stored = [kept for kept in STORED_FEATURES.values() if kept.name in event]
    schema = pa.schema([*TRAFFIC_SCHEMA, *stored])
    try:
        return pa.RecordBatch.from_pylist([dict(event)], schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError("is no event: a value of a wrong type") from error


def _clauses(batch: Batch, source: Source, segment: Segment, *, show: bool) -> Iterator[Clause]:
    anchors = {_key(anchor.atom.comparison) for anchor in segment.complex.anchors}
    for leaf, (written, _, _) in enumerate(observations(parse(source.pattern))):
        for comparison in comparisons_of(canonical(written)):
            yield _clause(batch, leaf, comparison, anchors, show=show)


def _key(comparison: Comparison) -> tuple[Any, ...]:
    """What makes two tests the same, wherever they stand."""
    types = tuple(map(type, comparison.values))
    path = comparison.path.text
    return path, comparison.operator, comparison.negated, comparison.values, types


def _clause(
    batch: Batch, leaf: int, comparison: Comparison, anchors: set[tuple[Any, ...]], *, show: bool
) -> Clause:
    field = FIELDS.get(comparison.path.text)
    values: list[Any] = []
    if field is not None:
        values = batch.values(field, np.zeros(1, dtype=np.int64))[0]
    if field is None or not answered(comparison):
        verdict = "not answerable"
    elif not values:
        verdict = "absent"
    else:
        verdict = "holds" if any(map(safe_test(comparison), values)) else "fails"
    return Clause(
        leaf=leaf,
        path=comparison.path.text,
        operator=str(comparison.operator),
        negated=comparison.negated,
        literals=_written(field, comparison.values, show=show),
        values=_written(field, values, show=show),
        verdict=verdict,
        anchored=verdict == "holds" and _key(comparison) in anchors,
    )


def _written(field: Field | None, values: Sequence[Any], *, show: bool) -> tuple[str, ...]:
    shown = [_text(field, value, show=show) for value in values[:_SHOWN]]
    more = len(values) - len(shown)
    return (*shown, f"and {more:,} more") if more else tuple(shown)


def _text(field: Field | None, value: Any, *, show: bool) -> str:
    text = timestamp(value) if isinstance(value, datetime) else str(value)
    if show or isinstance(value, bool | int | float):
        return text
    if field is None:
        return f"({len(text)} characters)"
    if field.kind is Kind.ADDRESS:
        if network(text) is None:
            return f"({len(text)} characters)"
        return text if "/" in text else masked(field, text)
    return masked(field, text)


def _time(micros: int) -> str:
    """A STIX timestamp; times beyond the calendar are its ends."""
    try:
        return timestamp(_EPOCH + timedelta(microseconds=micros))
    except OverflowError:
        return timestamp(datetime.max.replace(tzinfo=UTC))
