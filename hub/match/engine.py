"""The compiled indicators and the columnar probe: TRAFFIC batches in, MATCH rows out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from hub.match.schema import MATCH_SCHEMA
from hub.model.codec import Json


@dataclass(frozen=True)
class Problem:
    """An indicator that this engine does not use, and why."""

    indicator_id: str
    reason: str


@dataclass(frozen=True)
class Coverage:
    """What a source with given columns can show.

    Attributes:
        layers: layer name to whether the source has any column of it.
        answerable: how many indicators the source's columns can decide.
        not_answerable: indicator id to the STIX object paths that no column answers.
    """

    layers: Mapping[str, bool]
    answerable: int
    not_answerable: Mapping[str, tuple[str, ...]]


class IndicatorIndex:
    """Indicators compiled for matching; immutable, built once, used for many batches."""

    problems: tuple[Problem, ...]

    @classmethod
    def build(cls, objects: Iterable[Json]) -> IndicatorIndex:
        """Compile the indicators among any STIX objects."""
        raise NotImplementedError

    def __len__(self) -> int:
        """How many indicators are in use."""
        raise NotImplementedError

    def match(
        self, events: pa.RecordBatch | pa.Table, *, source: str, show_values: bool = False
    ) -> pa.Table:
        """Find the events that an indicator valid at the event's own time describes."""
        return MATCH_SCHEMA.empty_table()

    def coverage(self, columns: Collection[str]) -> Coverage:
        """Tell what a source that fills `columns` can show."""
        raise NotImplementedError
