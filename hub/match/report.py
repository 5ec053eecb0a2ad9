"""MATCH rows of hits, built by the column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hub.match.columns import Batch
from hub.match.facts import MARKINGS, UNSURE, Facts, Words
from hub.match.fields import FIELDS, Field, Kind
from hub.match.index.addresses import Addresses, write_addresses
from hub.match.index.buffers import Keys, Rows
from hub.match.mask import masked, masked_column
from hub.match.schema import LAYERS, MATCH_SCHEMA
from hub.match.segment import Segment
from hub.match.syntax import Operator

_LAYER_OF: Final = {column: layer for layer, columns in LAYERS.items() for column in columns}
_FIELDS: Final = list(FIELDS.values())
_PATHS: Final = pa.array([field.path for field in _FIELDS], pa.string())
_LAYER_NAMES: Final = pa.array([_LAYER_OF[field.column] for field in _FIELDS], pa.string())
_LENGTHS: Final = pa.array(["/48", "/24"], pa.string())
_MARKINGS: Final = pa.array([None, *MARKINGS], pa.string())


def match_rows(
    batch: Batch,
    rows: Rows,
    source: str,
    ids: Any,
    facts: Facts,
    fields: NDArray[np.uint8],
    values: Any,
    words: Words,
    campaigns: Any,
) -> pa.RecordBatch:
    """One MATCH row for each hit.

    Args:
        rows: the events, of the batch.
        ids, facts, campaigns: of the indicators that were hit.
        fields, values: which field was hit, and what to show of its value.
    """
    taken = pa.array(rows)
    accounts = batch.column("account_id")
    named = words.take(facts.layer)
    default = _LAYER_NAMES.take(pa.array(fields))
    unsure = facts.confidence == UNSURE
    columns = [
        batch.column("event_id").take(taken),
        batch.column("observed_at").take(taken),
        pa.repeat(pa.scalar(source, pa.string()), len(rows)),
        ids,
        pa.array(facts.modified),
        pc.coalesce(named, default),
        _PATHS.take(pa.array(fields)),
        values,
        pa.nulls(len(rows), pa.string()) if accounts is None else accounts.take(taken),
        campaigns,
        pa.array(facts.confidence.astype(np.int64), mask=unsure),
        words.take(facts.publisher),
        _MARKINGS.take(pa.array(facts.marking)),
    ]
    typed = [column.cast(field.type) for column, field in zip(columns, MATCH_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(typed, schema=MATCH_SCHEMA)


def shown_values(
    segment: Segment, batch: Batch, rows: Rows, atoms: Keys, *, show_values: bool
) -> Any:
    """What to show of the value that each atom found in its event (Arrow strings)."""
    fields = segment.field_numbers(atoms)
    places: list[Rows] = []
    parts: list[Any] = []
    for number in np.unique(fields).tolist():
        field = _FIELDS[number]
        at: Rows = np.flatnonzero(fields == number)
        places.append(at)
        if field.kind is Kind.ADDRESS:
            parts.append(_addresses(batch, rows[at], show_values=show_values))
        else:
            parts.append(_texts(segment, field, batch, rows[at], atoms[at], show=show_values))
    if not parts:
        return pa.array([], pa.string())
    order = np.argsort(np.concatenate(places))
    return pa.concat_arrays(parts).take(pa.array(order))


def _texts(
    segment: Segment, field: Field, batch: Batch, rows: Rows, atoms: Keys, *, show: bool
) -> Any:
    """By atom where its literal is the value, else by event."""
    if len(atoms) and int(atoms.max()) < segment.simple:
        known = segment.literals(atoms)
        return known if show else masked_column(field, known)
    distinct, inverse = np.unique(atoms, return_inverse=True)
    literals = [_literal(segment, field, atom) for atom in distinct.tolist()]
    texts = [None if one is None else one if show else masked(field, one) for one in literals]
    column = pa.array(texts, pa.string()).take(pa.array(inverse))
    if column.null_count == 0:
        return column
    unknown = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
    values = column.to_pylist()
    found = batch.values(field, rows[unknown])
    for at, held in zip(unknown.tolist(), found, strict=True):
        value = held[0]
        if len(held) > 1:
            test = segment.complex.test(int(atoms[at]) - segment.simple)
            value = next((one for one in held if test(one)), value)
        values[at] = str(value) if show else masked(field, str(value))
    return pa.array(values, pa.string())


def _literal(segment: Segment, field: Field, atom: int) -> str | None:
    """What a test for one string finds is that string."""
    if atom < segment.simple:
        return segment.literal(atom)
    comparison = segment.complex.atoms[atom - segment.simple].comparison
    if comparison.operator is not Operator.EQ or comparison.negated or field.kind is Kind.BANDS:
        return None
    value = comparison.values[0]
    return value if isinstance(value, str) else None


def _addresses(batch: Batch, rows: Rows, *, show_values: bool) -> Any:
    """The addresses of events, or their networks."""
    found = batch.addresses.take(rows)
    if show_values:
        return write_addresses(found)
    old = found.family == 4
    low = np.where(old, found.low & np.uint64(0xFFFFFF00), np.uint64(0))
    high = np.where(old, np.uint64(0), found.high & np.uint64(0xFFFFFFFFFFFF0000))
    lengths = _LENGTHS.take(pa.array(old.astype(np.int8)))
    return pc.binary_join_element_wise(
        write_addresses(Addresses(found.family, high, low)), lengths, ""
    )


def joined(parts: Sequence[Any], places: Sequence[Rows]) -> Any:
    """Put parts of a column back where their rows were."""
    if len(parts) == 1:
        return parts[0]
    order = np.argsort(np.concatenate(list(places)))
    return pa.concat_arrays(list(parts)).take(pa.array(order))


def by_event(found: pa.Table, events: pa.Table) -> pa.Table:
    """MATCH rows in the order of the events, and then of the indicators' ids."""
    ids = events.column("event_id").combine_chunks().cast(pa.string())
    place = pc.index_in(found.column("event_id"), value_set=ids)
    keyed = found.append_column("place", place)
    order = pc.sort_indices(keyed, [("place", "ascending"), ("indicator_id", "ascending")])
    return found.take(order)
