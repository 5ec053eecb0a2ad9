"""The compiled indicators and the columnar probe: TRAFFIC batches in, MATCH rows out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hub.errors import InputError
from hub.match.anchors import anchors, answerable, floods, is_sure
from hub.match.columns import Batch, Mask
from hub.match.compare import Test
from hub.match.index.buffers import Keys, Rows
from hub.match.index.text import safe_test
from hub.match.indicators import Indicator, Problem, collect
from hub.match.mask import masked
from hub.match.plan import (
    FIELDS,
    Atom,
    Both,
    Field,
    Formula,
    Kind,
    Node,
    Plan,
    Planner,
    atoms_of,
    bands_of,
)
from hub.match.probes import Probes
from hub.match.schema import LAYERS, MATCH_SCHEMA, PATHS
from hub.match.segment import FormulaInfo, Hits, LeafHits
from hub.match.syntax import Operator
from hub.model.codec import Json

ROWS: Final = 65_536
"""Events looked at together; what bounds the memory of a match."""
MAX_SCANS: Final = 1_000
"""Formulas without any indexable test; each costs a pass over its columns."""

FLOODS: Final = "describes nearly every event: too short a prefix or an empty value"
"""Why a pattern that no index should look for is not used."""

# Operators whose literal may be of no use: their tests are compiled while the index is built.
_CHECKED: Final = frozenset(
    {Operator.LIKE, Operator.MATCHES, Operator.ISSUBSET, Operator.ISSUPERSET}
)
_LAYER_OF: Final = {column: layer for layer, columns in LAYERS.items() for column in columns}


@dataclass(frozen=True)
class Coverage:
    """What a source with given columns can show.

    Attributes:
        layers: layer name to whether the source has any column of it.
        answerable: how many indicators the source's columns can decide, in part at least.
        not_answerable: indicator id to the STIX object paths that no column answers.
        partly: the same for indicators of which some alternatives can be decided and others not.
    """

    layers: Mapping[str, bool]
    answerable: int
    not_answerable: Mapping[str, tuple[str, ...]]
    partly: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Formula:
    """A formula of one indicator, with the times in which both are in force."""

    indicator: int
    node: Node
    start: int
    stop: int
    sure: bool


class IndicatorIndex:
    """Indicators compiled for matching; immutable, built once, used for many batches.

    Attributes:
        problems: indicators that are not used, and why.
        columns: TRAFFIC columns that any pattern reads; a reader may leave out the others.
    """

    def __init__(self, indicators: list[Indicator], problems: list[Problem]) -> None:
        self._planner = Planner()
        self._indicators: list[Indicator] = []
        self._plans: list[Plan] = []
        self._formulas: list[_Formula] = []
        self._scans: list[int] = []
        self._anchor_formula: list[int] = []
        self._anchor_atom: list[int] = []
        self._tests: dict[int, Test] = {}
        found = list(problems)
        for indicator in indicators:
            try:
                self._add(indicator)
            except InputError as error:
                found.append(Problem(indicator.indicator_id, error.message))
        self.problems = tuple(sorted(found, key=lambda problem: problem.indicator_id))
        atoms = self._planner.atoms
        self._probes = Probes(
            (number, atoms[atom]) for number, atom in enumerate(self._anchor_atom)
        )
        self._freeze()

    @classmethod
    def build(cls, objects: Iterable[Json]) -> IndicatorIndex:
        """Compile the indicators among any STIX objects.

        Of several versions the newest counts; revoked ones are left out. `indicates` relationships
        to campaigns name the campaigns of a match.
        """
        return cls(*collect(objects))

    def __len__(self) -> int:
        """How many indicators are in use."""
        return len(self._indicators)

    def _add(self, indicator: Indicator) -> None:
        plan = self._planner.plan(indicator.pattern)
        if plan.pattern is not None:
            raise InputError("needs observation operators, not answerable by this engine")
        atoms = self._planner.atoms
        chosen = [(formula, anchors(formula.node, atoms)) for formula in plan.formulas]
        scans = sum(anchor is None for _, anchor in chosen)
        if scans and len(self._scans) + scans > MAX_SCANS:
            raise InputError("has no indexable test, and the list of such indicators is full")
        if any(floods(formula.node, atoms) for formula in plan.formulas):
            raise InputError(FLOODS)
        for formula in plan.formulas:
            for atom in atoms_of(formula.node):
                if atoms[atom].comparison.operator in _CHECKED:
                    self._test(atom)
        number = len(self._indicators)
        self._indicators.append(indicator)
        self._plans.append(plan)
        for formula, anchor in chosen:
            self._add_formula(number, formula, None if anchor is None else anchor[1])

    def _add_formula(self, number: int, formula: Formula, chosen: frozenset[int] | None) -> None:
        indicator = self._indicators[number]
        at = len(self._formulas)
        self._formulas.append(
            _Formula(
                number,
                formula.node,
                max(formula.start, indicator.start),
                min(formula.stop, indicator.stop),
                is_sure(formula.node) and indicator.min_band_hits < 2,
            )
        )
        if chosen is None:
            self._scans.append(at)
        for atom in sorted(chosen or ()):
            self._anchor_formula.append(at)
            self._anchor_atom.append(atom)

    def _freeze(self) -> None:
        """The facts that a probe filters by, as columns."""
        formulas = self._formulas
        self._start: Rows = np.asarray([one.start for one in formulas], dtype=np.int64)
        self._stop: Rows = np.asarray([one.stop for one in formulas], dtype=np.int64)
        self._sure: Mask = np.asarray([one.sure for one in formulas], dtype=np.bool_)
        self._owner: Keys = np.asarray([one.indicator for one in formulas], dtype=np.int32)
        self._formula_of: Keys = np.asarray(self._anchor_formula, dtype=np.int32)
        self._atom_of: Keys = np.asarray(self._anchor_atom, dtype=np.int32)
        used = {atom for formula in formulas for atom in atoms_of(formula.node)}
        columns = {self._planner.atoms[atom].field.column for atom in used}
        self.columns = frozenset(columns | {"observed_at", "event_id", "account_id"})

    def match(
        self, events: pa.RecordBatch | pa.Table, *, source: str, show_values: bool = False
    ) -> pa.Table:
        """Find the events that an indicator valid at the event's own time describes.

        Args:
            events: TRAFFIC_SCHEMA, N rows; columns that the source lacks may be missing.
            source: the name of the log, for the report.
            show_values: write the values that were hit in full.
        Returns:
            MATCH_SCHEMA, one row per (event, indicator), by event row then indicator id.
        Raises:
            SchemaError: no time or id in some event, or a column of another type.
        Source: STIX 2.1, section 9 (patterning) and section 4.7 (indicator).
        """
        table = pa.Table.from_batches([events]) if isinstance(events, pa.RecordBatch) else events
        parts = [
            self._match_batch(Batch(batch), source, show_values=show_values)
            for batch in table.to_batches(max_chunksize=ROWS)
        ]
        return pa.Table.from_batches(parts, schema=MATCH_SCHEMA)

    def _match_batch(self, batch: Batch, source: str, *, show_values: bool) -> pa.RecordBatch:
        return self.report(batch, self.hits(batch), source=source, show_values=show_values)

    def report(
        self, batch: Batch, hits: Hits, *, source: str, show_values: bool = False
    ) -> pa.RecordBatch:
        """One row for each event and indicator among the hits, by event row then indicator id."""
        # Owners are numbered by id, and atoms in the order of the pattern.
        owners = self._owner[hits.formula]
        order = np.lexsort((hits.atom, owners, hits.rows))
        rows, owners = hits.rows[order], owners[order]
        first = np.ones(len(rows), dtype=np.bool_)
        first[1:] = (rows[1:] != rows[:-1]) | (owners[1:] != owners[:-1])
        return self.rows(batch, hits.at(order[first]), source=source, show_values=show_values)

    def rows(
        self, batch: Batch, hits: Hits, *, source: str, show_values: bool = False
    ) -> pa.RecordBatch:
        """The MATCH row of each hit, in the order of the hits."""
        owners = self._owner[hits.formula]
        return self._report(batch, hits.rows, owners, hits.atom, source, show_values=show_values)

    def split(self, hits: Hits) -> tuple[Hits, LeafHits]:
        """Part hits of formulas that decide alone from those of leaves."""
        none = np.zeros(0, dtype=np.int32)
        return hits, LeafHits(hits.at(none), none, none)

    def formula(self, number: int) -> FormulaInfo:
        """Tell whose a formula is."""
        return FormulaInfo(int(self._owner[number]), -1, -1)

    def indicator_ids(self, indicators: Keys) -> Any:
        """The ids (Arrow strings) of indicators by their rows."""
        ids = [self._indicators[number].indicator_id for number in indicators.tolist()]
        return pa.array(ids, pa.string())

    def hits(self, batch: Batch) -> Hits:
        """Find the events in which a formula holds that is in force at the event's time."""
        rows, anchor = self._probes.hits(batch)
        formula, atom = self._formula_of[anchor], self._atom_of[anchor]
        times = batch.times[rows]
        in_force = (self._start[formula] <= times) & (times < self._stop[formula])
        rows, formula, atom = rows[in_force], formula[in_force], atom[in_force]
        sure = self._sure[formula]
        parts = [(rows[sure], formula[sure], atom[sure])]
        parts += self._verified(batch, rows[~sure], formula[~sure], atom[~sure])
        parts += self._scanned(batch)
        return Hits(*(np.concatenate([part[k] for part in parts]) for k in range(3)))

    def _verified(
        self, batch: Batch, rows: Rows, formulas: Keys, atoms: Keys
    ) -> Iterator[tuple[Rows, Keys, Keys]]:
        """Judge whole formulas where one of their anchors holds."""
        order = np.argsort(formulas, kind="stable")
        rows, formulas, atoms = rows[order], formulas[order], atoms[order]
        edges = np.flatnonzero(np.diff(formulas)) + 1
        for at in np.split(np.arange(len(rows)), edges):
            if len(at):
                holds = self._holds(batch, int(formulas[at[0]]), rows[at])
                kept = at[holds]
                yield rows[kept], formulas[kept], atoms[kept]

    def _scanned(self, batch: Batch) -> Iterator[tuple[Rows, Keys, Keys]]:
        """Judge the formulas that no index can anchor, on every event in their time."""
        for number in self._scans:
            formula = self._formulas[number]
            in_force = (formula.start <= batch.times) & (batch.times < formula.stop)
            rows: Rows = np.flatnonzero(in_force)
            if len(rows):
                rows = rows[self._holds(batch, number, rows)]
                for atom in atoms_of(formula.node):
                    passed = rows[self._passes(batch, atom, rows)]
                    yield passed, _constant(passed, number), _constant(passed, atom)

    def _holds(self, batch: Batch, number: int, rows: Rows) -> Mask:
        formula = self._formulas[number]
        holds = self._node_holds(batch, formula.node, rows)
        wanted = self._indicators[formula.indicator].min_band_hits
        if wanted > 1:
            holds &= self._band_hits(batch, formula.node, rows) >= wanted
        return holds

    def _node_holds(self, batch: Batch, node: Node, rows: Rows) -> Mask:
        if isinstance(node, int):
            return self._passes(batch, node, rows)
        every = isinstance(node, Both)
        holds: Mask = np.full(len(rows), every, dtype=np.bool_)
        for operand in node.operands:
            # Only rows that are still open need a look at the next, perhaps costly, operand.
            open_rows = np.flatnonzero(holds == every)
            holds[open_rows] = self._node_holds(batch, operand, rows[open_rows])
        return holds

    def _passes(self, batch: Batch, number: int, rows: Rows) -> Mask:
        return batch.passes(self._planner.atoms[number], self._test(number), rows)

    def _test(self, number: int) -> Test:
        """The exact test of an atom, compiled when it is first asked for."""
        test = self._tests.get(number)
        if test is None:
            test = self._tests[number] = safe_test(self._planner.atoms[number].comparison)
        return test

    def _band_hits(self, batch: Batch, node: Node, rows: Rows) -> NDArray[np.int64]:
        """How many of the bands that a formula names each prompt has."""
        counts = np.zeros(len(rows), dtype=np.int64)
        found = (self._planner.atoms[number] for number in atoms_of(node))
        named = {pair for atom in found if _names_bands(atom) for pair in bands_of(atom.comparison)}
        if named and batch.shows(FIELDS["llm-exchange:prompt.lsh_bands[*]"]):
            table = batch.bands[rows]
            for band, value in named:
                counts += table[:, band] == np.uint64(value)
        return counts

    def _report(
        self,
        batch: Batch,
        rows: Rows,
        owners: Keys,
        atoms: Keys,
        source: str,
        *,
        show_values: bool,
    ) -> pa.RecordBatch:
        indicators = [self._indicators[owner] for owner in owners.tolist()]
        hit = [self._planner.atoms[number] for number in atoms.tolist()]
        values = self._values(batch, rows, atoms, show_values=show_values)
        taken = pa.array(rows)
        accounts = batch.column("account_id")
        columns = [
            batch.column("event_id").take(taken),
            batch.column("observed_at").take(taken),
            pa.array([source] * len(rows), pa.string()),
            pa.array([one.indicator_id for one in indicators], pa.string()),
            pa.array([one.modified for one in indicators], pa.int64()),
            pa.array(
                [
                    one.layer or _LAYER_OF[atom.field.column]
                    for one, atom in zip(indicators, hit, strict=True)
                ],
                pa.string(),
            ),
            pa.array([atom.field.path for atom in hit], pa.string()),
            pa.array(values, pa.string()),
            pa.nulls(len(rows), pa.string()) if accounts is None else accounts.take(taken),
            pa.array([one.campaign_ids for one in indicators], pa.list_(pa.string())),
            pa.array([one.confidence for one in indicators], pa.int64()),
            pa.array([one.publisher for one in indicators], pa.string()),
            pa.array([one.marking for one in indicators], pa.string()),
        ]
        typed = [
            column.cast(field.type) for column, field in zip(columns, MATCH_SCHEMA, strict=True)
        ]
        return pa.RecordBatch.from_arrays(typed, schema=MATCH_SCHEMA)

    def _values(self, batch: Batch, rows: Rows, atoms: Keys, *, show_values: bool) -> list[str]:
        """The first value of each event that passes the atom's test."""
        out = [""] * len(rows)
        numbers = atoms.tolist()
        positions: dict[Field, list[int]] = {}
        for position, number in enumerate(numbers):
            positions.setdefault(self._planner.atoms[number].field, []).append(position)
        for field, found in positions.items():
            for position, values in zip(found, batch.values(field, rows[found]), strict=True):
                value = values[0]
                if len(values) > 1:
                    test = self._test(numbers[position])
                    value = next((one for one in values if test(one)), value)
                out[position] = str(value) if show_values else masked(field, str(value))
        return out

    def coverage(self, columns: Collection[str]) -> Coverage:
        """Tell what a source that fills `columns` can show, and what it cannot answer."""
        atoms = self._planner.atoms
        lacking: dict[str, tuple[str, ...]] = {}
        partly: dict[str, tuple[str, ...]] = {}
        answered = {path for column in columns for path in PATHS.get(column, ())}
        for indicator, plan in zip(self._indicators, self._plans, strict=True):
            missing = tuple(path for path in plan.paths if path not in answered)
            if not any(answerable(one.node, atoms, columns) for one in plan.formulas):
                lacking[indicator.indicator_id] = missing
            elif missing:
                partly[indicator.indicator_id] = missing
        layers = {name: not set(columns).isdisjoint(members) for name, members in LAYERS.items()}
        return Coverage(layers, len(self) - len(lacking), lacking, partly)


def _names_bands(atom: Atom) -> bool:
    return atom.field.kind is Kind.BANDS and not atom.comparison.negated


def _constant(rows: Rows, number: int) -> Keys:
    return np.full(len(rows), number, dtype=np.int32)


__all__ = ["Coverage", "IndicatorIndex", "Problem"]
