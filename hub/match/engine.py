"""The compiled indicators and the columnar probe: TRAFFIC batches in, MATCH rows out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hub.match import saved
from hub.match.columns import Batch, Mask
from hub.match.compare import Test, test_of
from hub.match.contents import Contents
from hub.match.coverage import Coverage, Unanswered, lacking, layers_of
from hub.match.draft import COMPLEX, TEXT, Draft, Nets, Source
from hub.match.facts import MARKINGS, UNSURE, Facts, Indicator, Problem
from hub.match.fields import Field
from hub.match.formulas import FLOODS, Reading
from hub.match.index.buffers import Keys, Rows
from hub.match.keys import find_keys, key_of, write_id, write_ids
from hub.match.plan import Atom
from hub.match.report import by_event, joined, match_rows, shown_values
from hub.match.run import Run
from hub.match.schema import MATCH_SCHEMA
from hub.match.segment import FormulaInfo, Hits, LeafHits, Segment
from hub.match.state import StateLimits, Watch
from hub.model.codec import Json

ROWS: Final = 65_536
"""Events looked at together; what bounds the memory of a match."""
MAX_SCANS: Final = 1_000
"""Formulas without any indexable test; each costs a pass over its columns."""
MAX_PROBLEMS: Final = 10_000
"""Problems told one by one; those beyond are counted in one."""
MAX_SEGMENTS: Final = 8
"""Segments of an index; when there are more, small ones are compiled into one."""


class IndicatorIndex:
    """Indicators compiled for matching; immutable, used for many batches and by many threads.

    Attributes:
        segments: indicators that were compiled together; numbers of indicators, formulas and
            atoms count through them in order, and mean nothing in another index.
        watches: the patterns of several observations.
        problems: indicators that are not used, and why.
        columns: TRAFFIC columns that any pattern reads; a reader may leave out the others.
        fields: the fields that any pattern reads.
        stateful: ids of the indicators of `watches`.
    """

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self.segments: tuple[Segment, ...] = contents.segments
        self._hidden: tuple[Mask | None, ...] = contents.hidden
        self._rows = _starts(len(one) for one in self.segments)
        self._formulas = _starts(len(one.owner) for one in self.segments)
        self._atoms = _starts(one.simple + len(one.complex.atoms) for one in self.segments)
        self._freeze_watches()
        self.problems = tuple(self._find_problems())
        self.fields: frozenset[Field] = frozenset().union(*(one.fields for one in self.segments))
        columns = {field.column for field in self.fields}
        for segment in self.segments:
            columns.update(segment.watched_columns())
        self.columns = frozenset(columns | {"observed_at", "event_id", "account_id"})

    @classmethod
    def build(cls, objects: Iterable[Json]) -> IndicatorIndex:
        """Compile the indicators among any STIX objects, which may come one by one.

        Of several versions the newest counts; revoked ones are left out. `indicates` relationships
        to campaigns name the campaigns of a match.
        """
        return cls(Contents.empty()).updated(objects)

    def updated(self, objects: Iterable[Json]) -> IndicatorIndex:
        """An index that knows these objects too, as if it had been built of all together.

        What was compiled is shared with this index, which stays as it is.
        """
        contents = self._contents.with_objects(objects, MAX_SCANS)
        if len(contents.segments) > MAX_SEGMENTS:
            contents = contents.merged(MAX_SCANS)
        return IndicatorIndex(contents)

    def to_bytes(self) -> bytes:
        """The index for storing: Arrow IPC with a version and a checksum."""
        return saved.to_bytes(self._contents)

    @classmethod
    def from_bytes(cls, data: bytes) -> IndicatorIndex:
        """Read what `to_bytes` wrote.

        Raises:
            InputError: it is damaged, foreign or of another version; build the index anew.
        """
        return cls(saved.from_bytes(data, MAX_SCANS))

    def __len__(self) -> int:
        """How many indicators are in use."""
        hidden = sum(int(mask.sum()) for mask in self._hidden if mask is not None)
        refused = sum(
            not self._is_hidden(number, row)
            for number, segment in enumerate(self.segments)
            for row in segment.complex.refused
        )
        return sum(map(len, self.segments)) - hidden - refused

    def _is_hidden(self, number: int, row: int) -> bool:
        mask = self._hidden[number]
        return mask is not None and bool(mask[row])

    @property
    def scans(self) -> int:
        """How many formulas no index can look for; each costs a pass over its columns."""
        return self._contents.scans()

    def _freeze_watches(self) -> None:
        self._watch_numbers: list[Keys] = []
        watches: list[Watch] = []
        for segment, hidden, base in zip(self.segments, self._hidden, self._rows, strict=False):
            numbers = np.full(len(segment.complex.watches), -1, dtype=np.int32)
            for number, watch in enumerate(segment.complex.watches):
                if hidden is None or not hidden[watch.indicator]:
                    numbers[number] = len(watches)
                    watches.append(replace(watch, indicator=int(base) + watch.indicator))
            self._watch_numbers.append(numbers)
        self.watches: Sequence[Watch] = tuple(watches)
        self.stateful = frozenset(watch.indicator_id for watch in watches)

    def _find_problems(self) -> Iterator[Problem]:
        found = self._contents.problems()
        yield from found[:MAX_PROBLEMS]
        if len(found) > MAX_PROBLEMS:
            yield Problem("", f"{len(found) - MAX_PROBLEMS:,} more indicators cannot be used")

    def match(
        self, events: pa.RecordBatch | pa.Table, *, source: str, show_values: bool = False
    ) -> pa.Table:
        """Find the events that an indicator valid at the event's own time describes.

        Args:
            events: TRAFFIC_SCHEMA, N rows; columns that the source lacks may be missing.
            source: the name of the log, for the report.
            show_values: write the values that were hit in full.
        Returns:
            MATCH_SCHEMA, one row per (event, indicator), by event row then indicator id. A pattern
            of several observations is told at each event that completes it among these events.
        Raises:
            SchemaError: no time or id in some event, or a column of another type.
        Source: STIX 2.1, section 9 (patterning) and section 4.7 (indicator).
        """
        table = pa.Table.from_batches([events]) if isinstance(events, pa.RecordBatch) else events
        run = self.run()
        parts = [
            run.match(batch, source=source, show_values=show_values)
            for batch in table.to_batches(max_chunksize=ROWS)
        ]
        completed = run.finish()
        found = pa.concat_tables([MATCH_SCHEMA.empty_table(), *parts, completed])
        return found.combine_chunks() if not len(completed) else by_event(found, table)

    def run(self, limits: StateLimits | None = None) -> Run:
        """Match batch after batch, with the state of patterns of several observations."""
        return Run(self, limits)

    def hits(self, batch: Batch) -> Hits:
        """Find the events in which a formula holds that is in force at the event's time."""
        if len(self.segments) == 1:
            return self.segments[0].hits(batch, self._hidden[0])
        parts = [Hits.none()]
        for number, segment in enumerate(self.segments):
            found = segment.hits(batch, self._hidden[number])
            formula, atom = np.int32(self._formulas[number]), np.int32(self._atoms[number])
            parts.append(Hits(found.rows, found.formula + formula, found.atom + atom))
        return Hits(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.formula for part in parts]),
            np.concatenate([part.atom for part in parts]),
        )

    def split(self, hits: Hits) -> tuple[Hits, LeafHits]:
        """Part hits of formulas that decide alone from those of leaves."""
        watch = np.full(len(hits.rows), -1, dtype=np.int32)
        leaf = watch.copy()
        if self.watches:
            for number, at, local in self._by_segment(self._formulas, hits.formula):
                segment = self.segments[number]
                beyond = local >= segment.simple
                formula = local[beyond] - segment.simple
                known = segment.complex.watch[formula]
                numbers = np.append(self._watch_numbers[number], np.int32(-1))
                watch[at[beyond]] = numbers[known]
                leaf[at[beyond]] = segment.complex.leaf[formula]
        alone, part = leaf < 0, watch >= 0
        return hits.at(alone), LeafHits(hits.at(part), watch[part], leaf[part])

    def _by_segment(self, starts: Rows, numbers: Keys) -> Iterator[tuple[int, Rows, Keys]]:
        """Segments with the places of their numbers, and the numbers counted from 0."""
        if len(self.segments) == 1:
            yield 0, np.arange(len(numbers)), numbers
            return
        found = np.searchsorted(starts, numbers, side="right") - 1
        for number in np.unique(found).tolist():
            at: Rows = np.flatnonzero(found == number)
            yield number, at, (numbers[at] - starts[number]).astype(np.int32)

    def owners(self, formulas: Keys) -> Keys:
        """The rows of the indicators that formulas are of."""
        owners = np.zeros(len(formulas), dtype=np.int32)
        for number, at, local in self._by_segment(self._formulas, formulas):
            owners[at] = self.segments[number].owner[local] + self._rows[number]
        return owners

    def _place(self, starts: Rows, number: int) -> tuple[int, int]:
        """The segment of one number, and the number counted from 0."""
        if len(self.segments) == 1:
            return 0, number
        found = int(np.searchsorted(starts, number, side="right")) - 1
        return found, number - int(starts[found])

    def formula(self, number: int) -> FormulaInfo:
        """Tell whose a formula is."""
        found, local = self._place(self._formulas, number)
        segment = self.segments[found]
        owner = int(self._rows[found]) + int(segment.owner[local])
        at = local - segment.simple
        if at < 0 or segment.complex.leaf[at] < 0:
            return FormulaInfo(owner, -1, -1)
        watch = int(self._watch_numbers[found][segment.complex.watch[at]])
        return FormulaInfo(owner, int(segment.complex.leaf[at]), watch)

    def atom(self, number: int) -> Atom:
        """The test that an atom's number stands for."""
        found, local = self._place(self._atoms, number)
        return self.segments[found].atom(local)

    def test(self, number: int) -> Test:
        """The exact test of an atom."""
        found, local = self._place(self._atoms, number)
        segment = self.segments[found]
        if local >= segment.simple:
            return segment.complex.test(local - segment.simple)
        return test_of(segment.atom(local).comparison)

    def indicator_ids(self, indicators: Keys) -> Any:
        """The ids (Arrow strings) of indicators by their rows."""
        return self._ids(self._facts(indicators))

    def _ids(self, facts: Facts) -> Any:
        return write_ids(facts.keys, "indicator", self._contents.odd)

    def _facts(self, indicators: Keys) -> Facts:
        found = list(self._by_segment(self._rows, indicators))
        if len(found) == 1:
            return self.segments[found[0][0]].facts.take(found[0][2])
        parts = [self.segments[number].facts.take(local) for number, _, local in found]
        if not parts:
            return Draft.empty().facts
        order = np.argsort(np.concatenate([at for _, at, _ in found]))
        return Facts.joined(parts).take(order)

    def _sets(self, indicators: Keys) -> Keys:
        """The numbers of the sets of campaigns of some indicators."""
        sets = np.zeros(len(indicators), dtype=np.int32)
        for number, at, local in self._by_segment(self._rows, indicators):
            linked = self._contents.linked[number]
            if linked is not None:
                sets[at] = linked[local]
        return sets

    def report(
        self, batch: Batch, hits: Hits, *, source: str, show_values: bool = False
    ) -> pa.RecordBatch:
        """One row for each event and indicator among the hits, by event row then indicator id."""
        owners = self.owners(hits.formula)
        rank = owners if self._is_ordered() else self._ranks(owners)
        # Atoms are numbered in the order of the pattern.
        order = np.lexsort((hits.atom, rank, hits.rows))
        rows, rank = hits.rows[order], rank[order]
        first = np.ones(len(rows), dtype=np.bool_)
        first[1:] = (rows[1:] != rows[:-1]) | (rank[1:] != rank[:-1])
        return self.rows(batch, hits.at(order[first]), source=source, show_values=show_values)

    def _is_ordered(self) -> bool:
        """Whether the rows of indicators are in the order of their ids."""
        return len(self.segments) == 1 and not self._contents.odd

    def _ranks(self, owners: Keys) -> Keys:
        distinct, inverse = np.unique(owners, return_inverse=True)
        ids = self.indicator_ids(distinct)
        ranks = np.empty(len(distinct), dtype=np.int32)
        ranks[pc.sort_indices(ids).to_numpy()] = np.arange(len(distinct), dtype=np.int32)
        found: Keys = ranks[inverse]
        return found

    def rows(
        self, batch: Batch, hits: Hits, *, source: str, show_values: bool = False
    ) -> pa.RecordBatch:
        """The MATCH row of each hit, in the order of the hits."""
        facts = self._facts(self.owners(hits.formula))
        fields = np.zeros(len(hits.atom), dtype=np.uint8)
        values, places = [], []
        for number, at, local in self._by_segment(self._atoms, hits.atom):
            segment = self.segments[number]
            fields[at] = segment.field_numbers(local)
            rows = hits.rows[at]
            values.append(shown_values(segment, batch, rows, local, show_values=show_values))
            places.append(at)
        shown = joined(values, places) if values else pa.array([], pa.string())
        campaigns = self._contents.campaigns(self._sets(self.owners(hits.formula)))
        ids, words = self._ids(facts), self._contents.words
        return match_rows(batch, hits.rows, source, ids, facts, fields, shown, words, campaigns)

    def find(self, reading: Reading, at: int) -> list[tuple[int, int]]:
        """Find (formula, atom) in one event at a time, in microseconds since 1970."""
        return [
            (int(self._formulas[number]) + formula, int(self._atoms[number]) + atom)
            for number, segment in enumerate(self.segments)
            for formula, atom in segment.find(reading, at, self._hidden[number])
        ]

    def facts(self, indicator: int) -> Indicator:
        """What is known of an indicator by its row."""
        number, at = self._place(self._rows, indicator)
        one, contents = self.segments[number].facts, self._contents
        marking, sure = int(one.marking[at]), int(one.confidence[at])
        linked = contents.linked[number]
        return Indicator(
            indicator_id=write_id(one.keys[at].tobytes(), "indicator", contents.odd),
            modified=int(one.modified[at]),
            start=int(one.start[at]),
            stop=int(one.stop[at]),
            confidence=None if sure == UNSURE else sure,
            publisher=contents.words[int(one.publisher[at])],
            marking=MARKINGS[marking - 1] if marking else None,
            campaign_ids=contents.campaigns_of(0 if linked is None else int(linked[at])),
            layer=contents.words[int(one.layer[at])],
            min_band_hits=int(one.band_hits[at]),
        )

    def row_of(self, indicator_id: str) -> int | None:
        """The row of an indicator in use, or None."""
        key = np.frombuffer(key_of(indicator_id, "indicator"), dtype=np.uint8).reshape(1, 16)
        for number, segment in enumerate(self.segments):
            at = int(find_keys(segment.facts.keys, key)[0])
            refused = at in segment.complex.refused
            if at >= 0 and not refused and not self._is_hidden(number, at):
                return int(self._rows[number]) + at
        return None

    def source(self, indicator: int) -> Source:
        """The pattern of an indicator by its row; that of a simple one in its plainest spelling."""
        number = int(np.searchsorted(self._rows, indicator, side="right")) - 1
        segment, row = self.segments[number], indicator - int(self._rows[number])
        simple = segment.simple_formulas(row)
        if not simple:
            return segment.sources[row]
        comparison = segment.atom(simple[0]).comparison
        path, values = comparison.path.text, [_quoted(segment.literal(one)) for one in simple]
        if len(values) > 1:
            return Source(f"[{path} IN ({', '.join(values)})]")
        return Source(f"[{path} {comparison.operator} {values[0]}]")

    def alone(self, indicator: int) -> Segment:
        """One indicator, compiled for itself as a formula."""
        facts = self._facts(np.asarray([indicator], dtype=np.int32))
        forms = np.asarray([COMPLEX], dtype=np.uint8)
        text = pa.array([[]], TEXT)
        draft = Draft(facts, forms, text, Nets.none(), {0: self.source(indicator)})
        return Segment(draft, self._contents.odd, MAX_SCANS)

    def coverage(self, columns: Collection[str]) -> Coverage:
        """Tell what a source that fills `columns` can show, and what it cannot answer."""
        none: list[Any] = []
        partly: list[Any] = []
        for segment, hidden in zip(self.segments, self._hidden, strict=True):
            simple, unanswered, some = lacking(segment, hidden, columns)
            keys = segment.facts.keys

            def write(rows: Rows, keys: Any = keys) -> Any:
                return write_ids(keys[rows], "indicator", self._contents.odd)

            none += [(write, rows, [paths]) for rows, paths in simple]
            for found, out in ((unanswered, none), (some, partly)):
                if found:
                    out.append((write, np.asarray(list(found)), list(found.values())))
        without = Unanswered(none)
        return Coverage(layers_of(columns), len(self) - len(without), without, Unanswered(partly))


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _starts(counts: Iterable[int]) -> Rows:
    """Where each of several tables begins when they are counted through, and where all end."""
    return np.cumsum([0, *counts])


__all__ = ["FLOODS", "Coverage", "IndicatorIndex", "Problem"]
