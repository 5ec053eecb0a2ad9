"""Indicators compiled together: columns, indexes, formulas; and what a probe of them finds."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hub.match.columns import Batch, Mask
from hub.match.draft import COMPLEX, FIRST_ADDRESS, FORMS, Draft, Nets, PackedNets, holds_address
from hub.match.fields import Field
from hub.match.formulas import FIELD_NUMBERS, Formulas, Reading
from hub.match.index.buffers import NO_BYTES, Keys, Rows
from hub.match.index.cidr import PrefixIndex
from hub.match.index.exact import ExactIndex
from hub.match.keys import write_ids
from hub.match.plan import Atom, atoms_of, path_of
from hub.match.probes import Arena, groups
from hub.match.syntax import Comparison

_FORM_FIELDS: Final = np.asarray([FIELD_NUMBERS[field] for field, _ in FORMS], dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Hits:
    """Events in which formulas hold; one entry a hit.

    Attributes:
        rows: of the batch.
        formula: number of the formula in the index.
        atom: number of the atom that the report names.
    """

    rows: Rows
    formula: Keys
    atom: Keys

    @classmethod
    def none(cls) -> Hits:
        """No hit."""
        numbers = np.zeros(0, dtype=np.int32)
        return cls(np.zeros(0, dtype=np.int64), numbers, numbers)

    def at(self, chosen: Rows | Keys | Mask) -> Hits:
        """Some of the hits."""
        return Hits(self.rows[chosen], self.formula[chosen], self.atom[chosen])


@dataclass(frozen=True, slots=True)
class LeafHits:
    """Hits of the `[ ]` of patterns that need several observations.

    Attributes:
        watch: number of the pattern among the index's `watches`.
        leaf: which `[ ]` of it, in reading order.
    """

    hits: Hits
    watch: Keys
    leaf: Keys


@dataclass(frozen=True, slots=True)
class FormulaInfo:
    """Whose a formula is: the indicator's row, and which leaf of which watch (-1: none)."""

    indicator: int
    leaf: int
    watch: int


class Segment:
    """Indicators that were compiled together; immutable.

    Formulas are numbered from 0: first one for each value of the simple indicators, ordered by form
    and then by id, each with an atom of the same number; then those of all others.

    Attributes:
        facts: all indicators by id; formulas refer to their rows.
        owner: whose each formula is.
        complex: the formulas that are no single comparison.
        simple: how many formulas are.
    """

    def __init__(self, draft: Draft, odd: dict[bytes, str], scans: int) -> None:
        self.facts = draft.facts
        self.sources = draft.sources
        rows = list(draft.sources)
        ids = write_ids(self.facts.keys[rows], "indicator", odd).to_pylist()
        self.complex = Formulas(draft.sources, draft.facts, ids, scans)
        order = np.argsort(draft.forms, kind="stable")
        lengths = pc.list_value_length(draft.text).to_numpy(zero_copy_only=False)
        sizes = np.where(holds_address(draft.forms), 1, lengths)
        counts = np.bincount(draft.forms, weights=sizes, minlength=256)[: len(FORMS)]
        self._starts: Rows = np.zeros(len(FORMS) + 1, dtype=np.int64)
        np.cumsum(counts.astype(np.int64), out=self._starts[1:])
        self.simple = int(self._starts[-1])
        owner = np.repeat(order.astype(np.int32), sizes[order])
        self.owner: Keys = np.concatenate([owner, self.complex.owner])
        ordered = self._ordered_nets(draft)
        self._nets = PackedNets(ordered)
        fields = [FORMS[form][0] for form in np.flatnonzero(counts[:FIRST_ADDRESS])]
        arenas = [
            (field, *self._arena(draft, form))
            for field, form in zip(
                fields, np.flatnonzero(counts[:FIRST_ADDRESS]).tolist(), strict=True
            )
        ]
        nets = (FORMS[FIRST_ADDRESS][0], self.texts, ordered) if len(self._nets) else None
        self.groups, self._arenas = groups(arenas, nets, self.complex.anchors, self.simple)
        self.fields = frozenset(self._fields_read())

    @property
    def texts(self) -> int:
        """How many formulas look for one text; they come first."""
        return int(self._starts[FIRST_ADDRESS])

    def __len__(self) -> int:
        return len(self.facts)

    def _arena(self, draft: Draft, form: int) -> tuple[int, Arena]:
        first, last = int(self._starts[form]), int(self._starts[form + 1])
        rows = _distinct(self.owner[first:last])
        texts = draft.text.take(pa.array(rows)).flatten()
        _, offsets, data = texts.buffers()
        ends = np.frombuffer(offsets, dtype=np.int64)[texts.offset :][: len(texts) + 1]
        content = NO_BYTES if data is None else np.frombuffer(data, dtype=np.uint8)
        return first, (content[: ends[-1]], ends)

    def _ordered_nets(self, draft: Draft) -> Nets:
        place = np.cumsum(holds_address(draft.forms)) - 1
        return draft.nets.take(place[self.owner[self.texts : self.simple]])

    def _fields_read(self) -> Iterator[Field]:
        for form in np.flatnonzero(np.diff(self._starts)).tolist():
            yield FORMS[form][0]
        for atom in self.complex.atoms:
            yield atom.field

    def watched_columns(self) -> Iterator[str]:
        """The columns by which patterns of several observations group and count."""
        for watch in self.complex.watches:
            yield from watch.group_columns
            if watch.distinct_column is not None:
                yield watch.distinct_column

    def forms(self, formulas: Keys | Rows) -> NDArray[np.int64]:
        """The forms of simple formulas."""
        found: NDArray[np.int64] = np.searchsorted(self._starts, formulas, side="right") - 1
        return found

    def simple_formulas(self, row: int) -> list[int]:
        """The simple formulas of an indicator; none if it is complex."""
        return np.flatnonzero(self.owner[: self.simple] == row).tolist()

    def hits(self, batch: Batch, hidden: Mask | None) -> Hits:
        """Find the formulas that hold and are in force at the events' times."""
        parts: list[tuple[Rows, Keys, Keys]] = []
        for group in self.groups:
            if len(batch) and batch.shows(group.field):
                found = self._in_force(batch, group.hits(batch), hidden)
                parts += self._settled(batch, found)
        shift = np.int32(self.simple)
        for rows, formula, atom in self.complex.scanned(batch, hidden):
            parts.append((rows, formula + shift, atom + shift))
        if not parts:
            return Hits.none()
        return Hits(*(np.concatenate([part[k] for part in parts]) for k in range(3)))

    def _in_force(
        self, batch: Batch, found: tuple[Rows, Keys, Keys], hidden: Mask | None
    ) -> tuple[Rows, Keys, Keys]:
        rows, formula, atom = found
        if not len(rows):
            return found
        owner, times = self.owner[formula], batch.times[rows]
        kept = (self.facts.start[owner] <= times) & (times < self.facts.stop[owner])
        if hidden is not None:
            kept &= ~hidden[owner]
        if len(self.complex):
            beyond = np.flatnonzero(formula >= self.simple)
            number, when = formula[beyond] - self.simple, times[beyond]
            kept[beyond] &= (self.complex.start[number] <= when) & (
                when < self.complex.stop[number]
            )
        if kept.all():
            return found
        return rows[kept], formula[kept], atom[kept]

    def _settled(
        self, batch: Batch, found: tuple[Rows, Keys, Keys]
    ) -> Iterator[tuple[Rows, Keys, Keys]]:
        """What the hit of an anchor proves, and what the whole formula confirms."""
        if not len(self.complex) or not len(found[0]):
            yield found
            return
        rows, formula, atom = found
        number = formula - np.int32(self.simple)
        sure = (number < 0) | self.complex.sure[np.maximum(number, 0)]
        yield rows[sure], formula[sure], atom[sure]
        shift, open_rows = np.int32(self.simple), ~sure
        candidates = rows[open_rows], number[open_rows], atom[open_rows] - shift
        for at, passed, tested in self.complex.verified(batch, *candidates):
            yield at, passed + shift, tested + shift

    def find(self, reading: Reading, at: int, hidden: Mask | None) -> Iterator[tuple[int, int]]:
        """Find (formula, atom) in one event at a time, in microseconds since 1970."""
        for group in self.groups:
            for formula, atom in group.find(reading):
                if self._holds_at(formula, at, hidden) and self._confirmed(reading, formula):
                    yield formula, atom
        for number in self.complex.scans:
            formula, node = self.simple + number, self.complex.nodes[number]
            if self._holds_at(formula, at, hidden) and self.complex.holds_for(reading, number):
                for atom in atoms_of(node):
                    if self.complex.node_holds_for(reading, atom):
                        yield formula, self.simple + atom

    def _holds_at(self, formula: int, at: int, hidden: Mask | None) -> bool:
        owner = self.owner[formula]
        if hidden is not None and hidden[owner]:
            return False
        if formula >= self.simple:
            number = formula - self.simple
            return bool(self.complex.start[number] <= at < self.complex.stop[number])
        return bool(self.facts.start[owner] <= at < self.facts.stop[owner])

    def _confirmed(self, reading: Reading, formula: int) -> bool:
        number = formula - self.simple
        return (
            number < 0 or bool(self.complex.sure[number]) or self.complex.holds_for(reading, number)
        )

    def atom(self, number: int) -> Atom:
        """The test that a number stands for."""
        if number >= self.simple:
            return self.complex.atoms[number - self.simple]
        field, operator = FORMS[int(self.forms(np.asarray([number]))[0])]
        path = path_of(field)
        return Atom(field, Comparison(path, operator, False, (self.literal(number),), 1))

    def literal(self, formula: int) -> str:
        """The value that a simple formula looks for; addresses in their canonical spelling."""
        if formula < self.texts:
            form = int(self.forms(np.asarray([formula]))[0])
            data, offsets = self._arenas[FORMS[form][0]]
            at = formula - int(self._starts[form])
            return data[offsets[at] : offsets[at + 1]].tobytes().decode("utf-8", "replace")
        at = formula - self.texts
        family, first, length = self._nets.one(at)
        address = ipaddress.IPv4Address(first) if family == 4 else ipaddress.IPv6Address(first)
        whole = length == (32 if family == 4 else 128)
        return str(address) if whole else f"{address}/{length}"

    def literals(self, formulas: Keys) -> Any:
        """The values that simple formulas of one field look for (Arrow strings); no addresses."""
        forms = self.forms(formulas)
        column = pa.concat_arrays(
            [
                self._binary(form).take(pa.array(formulas[forms == form] - self._starts[form]))
                for form in np.unique(forms).tolist()
            ]
        )
        try:
            return column.cast(pa.string()).take(
                pa.array(np.argsort(np.argsort(forms, kind="stable")))
            )
        except pa.ArrowInvalid:
            return pa.array([self.literal(one) for one in formulas.tolist()], pa.string())

    def field_numbers(self, atoms: Keys) -> NDArray[np.uint8]:
        """Which field each atom reads."""
        numbers = np.empty(len(atoms), dtype=np.uint8)
        plain = atoms < self.simple
        numbers[plain] = _FORM_FIELDS[self.forms(atoms[plain])]
        numbers[~plain] = self.complex.field[atoms[~plain] - self.simple]
        return numbers

    def draft(self, rows: Rows) -> Draft:
        """Some of the indicators, as they were before they were compiled."""
        forms = np.full(len(self), COMPLEX, dtype=np.uint8)
        forms[self.owner[: self.simple]] = self.forms(np.arange(self.simple)).astype(np.uint8)
        rows_of_text = _distinct(self.owner[: self.texts])
        place = np.full(len(self), len(rows_of_text), dtype=np.int64)
        place[rows_of_text] = np.arange(len(rows_of_text))
        sizes = np.bincount(self.owner[: self.texts], minlength=len(self))[rows_of_text]
        ends = pa.array(np.cumsum([0, *sizes, 0]), pa.int64())
        parts = [self._binary(form) for form in range(FIRST_ADDRESS) if self._count(form)]
        values = pa.concat_arrays([*parts, pa.array([], pa.large_binary())])
        text = pa.LargeListArray.from_arrays(ends, values)
        nets = self._nets.whole().take(np.argsort(self.owner[self.texts : self.simple]))
        whole = Draft(self.facts, forms, text.take(pa.array(place)), nets, self.sources)
        return whole.take(rows)

    def _count(self, form: int) -> int:
        return int(self._starts[form + 1] - self._starts[form])

    def _binary(self, form: int) -> Any:
        data, offsets = self._arenas[FORMS[form][0]]
        count = self._count(form)
        ends = pa.py_buffer(np.ascontiguousarray(offsets[: count + 1]))
        return pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), count, [None, ends, pa.py_buffer(data)]
        )

    def simple_counts(self, hidden: Mask | None) -> Iterator[tuple[Field, Rows]]:
        """The fields that simple indicators ask for, each with their rows."""
        for form in np.flatnonzero(np.diff(self._starts)).tolist():
            rows = _distinct(self.owner[self._starts[form] : self._starts[form + 1]])
            yield FORMS[form][0], rows if hidden is None else rows[~hidden[rows]]

    @property
    def nbytes(self) -> int:
        """Bytes held for simple indicators, their values and indexes included."""
        columns: list[Any] = [getattr(self.facts, name) for name in self.facts.__slots__]
        columns += [
            self._nets,
            self.owner,
            *(part for arena in self._arenas.values() for part in arena),
        ]
        indexes = [group.index for group in self.groups]
        held = [one.nbytes for one in indexes if isinstance(one, ExactIndex | PrefixIndex)]
        return sum(int(column.nbytes) for column in columns) + sum(held)

    @property
    def text_bytes(self) -> int:
        """Bytes of the values themselves."""
        return sum(int(offsets[-1]) for _, offsets in self._arenas.values())


def _distinct(owners: Keys) -> Rows:
    """The rows in the order of their formulas, each once: the formulas of one stand together."""
    first = np.ones(len(owners), dtype=np.bool_)
    first[1:] = owners[1:] != owners[:-1]
    return owners[first].astype(np.int64)
