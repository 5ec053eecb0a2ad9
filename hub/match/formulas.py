"""The indicators that are more than one comparison: formulas over shared atoms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from hub.errors import InputError
from hub.match.anchors import anchors, floods, is_sure
from hub.match.columns import Batch, Mask
from hub.match.compare import Test
from hub.match.draft import Source
from hub.match.facts import Facts
from hub.match.fields import FIELDS, Field, Kind
from hub.match.index.buffers import Keys, Rows
from hub.match.index.text import safe_test
from hub.match.plan import Atom, Both, Node, Plan, Planner, atoms_of, bands_of
from hub.match.state import Watch, watchable
from hub.match.syntax import Operator

FLOODS: Final = "describes nearly every event: too short a prefix or an empty value"
"""Why a pattern that no index should look for is not used."""
FIELD_NUMBERS: Final = {field: number for number, field in enumerate(FIELDS.values())}
"""The fields by number, in the order of `FIELDS`."""

_BANDS: Final = FIELDS["llm-exchange:prompt.lsh_bands[*]"]
# Operators whose literal may be of no use: their tests are compiled while the index is built.
_CHECKED: Final = frozenset(
    {Operator.LIKE, Operator.MATCHES, Operator.ISSUBSET, Operator.ISSUPERSET}
)


class Reading(Protocol):
    """One event, as `hub.match.live` reads it."""

    def values(self, field: Field) -> list[Any]:
        """The values of a field, as observations would hold them."""

    def text(self, field: Field) -> str | None:
        """The text of a TEXT field."""

    def address(self) -> tuple[int, int, int] | None:
        """Family and 128 bits of the client's address."""

    def bands(self) -> NDArray[np.uint64] | None:
        """The 16 near-duplicate bands of the prompt."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A formula may hold only where one of its anchors does; numbers are those of `Formulas`."""

    formula: int
    number: int
    atom: Atom


class Formulas:
    """Compiled patterns; all numbers start at 0 here.

    Attributes:
        nodes: the formulas.
        owner: whose each formula is, a row of the facts.
        start, stop: when formula and indicator are both in force, microseconds since 1970.
        sure: whether any anchor alone proves the formula.
        watch, leaf: which part of which watch a formula is (-1: it decides alone).
        watches: the patterns of several observations; `indicator` is a row of the facts.
        scans: formulas that no index can look for.
        plans: the compiled patterns by row.
        refused: why other rows are not used.
    """

    def __init__(self, sources: dict[int, Source], facts: Facts, ids: list[str], scans: int):
        self._planner = Planner()
        self._facts = facts
        self._tests: dict[int, Test] = {}
        self.nodes: list[Node] = []
        self.anchors: list[Anchor] = []
        self.scans: list[int] = []
        self.watches: list[Watch] = []
        self.plans: dict[int, Plan] = {}
        self.refused: dict[int, str] = {}
        self._rows: list[tuple[int, int, int, bool, int, int]] = []
        for (row, source), identifier in zip(sources.items(), ids, strict=True):
            try:
                self._add(row, source, identifier, scans)
            except InputError as error:
                self.refused[row] = error.message
        self._freeze()

    @property
    def atoms(self) -> list[Atom]:
        """The distinct tests of all formulas."""
        return self._planner.atoms

    def __len__(self) -> int:
        return len(self.nodes)

    def _add(self, row: int, source: Source, identifier: str, scans: int) -> None:
        plan = self._planner.plan(source.pattern)
        chosen = [anchors(formula.node, self.atoms) for formula in plan.formulas]
        if any(floods(formula.node, self.atoms) for formula in plan.formulas):
            raise InputError(FLOODS)
        unanchored = sum(anchor is None for anchor in chosen)
        if unanchored and len(self.scans) + unanchored > scans:
            raise InputError("has no indexable test, and the list of such indicators is full")
        for formula in plan.formulas:
            for atom in atoms_of(formula.node):
                if self.atoms[atom].comparison.operator in _CHECKED:
                    self.test(atom)
        watch = self._watch(row, source, identifier, plan)
        self.plans[row] = plan
        bands = int(self._facts.band_hits[row])
        for formula, anchor in zip(plan.formulas, chosen, strict=True):
            number = len(self.nodes)
            self.nodes.append(formula.node)
            start = max(formula.start, int(self._facts.start[row]))
            stop = min(formula.stop, int(self._facts.stop[row]))
            sure = is_sure(formula.node) and bands < 2
            self._rows.append((row, start, stop, sure, watch, formula.leaf))
            if anchor is None:
                self.scans.append(number)
            for atom in sorted(anchor[1] if anchor else ()):
                self.anchors.append(Anchor(number, atom, self.atoms[atom]))

    def _watch(self, row: int, source: Source, identifier: str, plan: Plan) -> int:
        if plan.pattern is None:
            return -1
        modified = int(self._facts.modified[row])
        watch = Watch(
            row, plan.pattern, identifier, modified, source.group_by, source.count_distinct
        )
        watchable(watch)
        self.watches.append(watch)
        return len(self.watches) - 1

    def _freeze(self) -> None:
        table = list(zip(*self._rows, strict=True)) or [()] * 6
        self.owner: Keys = np.asarray(table[0], dtype=np.int32)
        self.start: Rows = np.asarray(table[1], dtype=np.int64)
        self.stop: Rows = np.asarray(table[2], dtype=np.int64)
        self.sure: Mask = np.asarray(table[3], dtype=np.bool_)
        self.watch: Keys = np.asarray(table[4], dtype=np.int32)
        self.leaf: Keys = np.asarray(table[5], dtype=np.int32)
        self._rows.clear()
        numbers = [FIELD_NUMBERS[atom.field] for atom in self.atoms]
        self.field: NDArray[np.uint8] = np.asarray(numbers, dtype=np.uint8)

    def test(self, number: int) -> Test:
        """The exact test of an atom, compiled when it is first asked for."""
        test = self._tests.get(number)
        if test is None:
            test = self._tests[number] = safe_test(self.atoms[number].comparison)
        return test

    def verified(
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

    def scanned(self, batch: Batch, hidden: Mask | None) -> Iterator[tuple[Rows, Keys, Keys]]:
        """Judge the formulas that no index can anchor, on every event in their time."""
        for number in self.scans:
            if hidden is not None and hidden[self.owner[number]]:
                continue
            times = batch.times
            rows: Rows = np.flatnonzero((self.start[number] <= times) & (times < self.stop[number]))
            if len(rows):
                rows = rows[self._holds(batch, number, rows)]
                for atom in atoms_of(self.nodes[number]):
                    passed = rows[self._passes(batch, atom, rows)]
                    yield passed, _constant(passed, number), _constant(passed, atom)

    def _holds(self, batch: Batch, number: int, rows: Rows) -> Mask:
        node = self.nodes[number]
        holds = self._node_holds(batch, node, rows)
        wanted = int(self._facts.band_hits[self.owner[number]])
        if wanted > 1:
            holds &= self._band_hits(batch, node, rows) >= wanted
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
        return batch.passes(self.atoms[number], self.test(number), rows)

    def _band_hits(self, batch: Batch, node: Node, rows: Rows) -> NDArray[np.int64]:
        """How many of the bands that a formula names each prompt has."""
        counts = np.zeros(len(rows), dtype=np.int64)
        named = self._named_bands(node)
        if named and batch.shows(_BANDS):
            table = batch.bands[rows]
            for band, value in named:
                counts += table[:, band] == np.uint64(value)
        return counts

    def _named_bands(self, node: Node) -> set[tuple[int, int]]:
        found = (self.atoms[number] for number in atoms_of(node))
        return {pair for atom in found if _names_bands(atom) for pair in bands_of(atom.comparison)}

    def holds_for(self, reading: Reading, number: int) -> bool:
        """Judge a whole formula on one event."""
        node = self.nodes[number]
        wanted = int(self._facts.band_hits[self.owner[number]])
        if wanted > 1:
            bands = reading.bands()
            named = self._named_bands(node)
            if bands is None or sum(int(bands[b]) == value for b, value in named) < wanted:
                return False
        return self.node_holds_for(reading, node)

    def node_holds_for(self, reading: Reading, node: Node) -> bool:
        """Judge a part of a formula on one event."""
        if isinstance(node, int):
            return any(map(self.test(node), reading.values(self.atoms[node].field)))
        verdicts = (self.node_holds_for(reading, operand) for operand in node.operands)
        return all(verdicts) if isinstance(node, Both) else any(verdicts)

    def moved(self, base: int) -> list[Watch]:
        """The watches, with the rows of their indicators counted from `base`."""
        return [replace(watch, indicator=base + watch.indicator) for watch in self.watches]


def _names_bands(atom: Atom) -> bool:
    return atom.field.kind is Kind.BANDS and not atom.comparison.negated


def _constant(rows: Rows, number: int) -> Keys:
    return np.full(len(rows), number, dtype=np.int32)
