"""One batch of events as the indexes read it: values of fields, derived only where asked for."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hub.errors import SchemaError
from hub.fingerprint import prompts
from hub.match.compare import Test
from hub.match.index.buffers import Rows
from hub.match.index.cidr import Addresses, parse_addresses
from hub.match.plan import Atom, Field, Kind, microseconds
from hub.match.schema import STORED_FEATURES, TRAFFIC_SCHEMA
from hub.match.syntax import Operator
from hub.model.identifiers import timestamp

Mask = NDArray[np.bool_]

_ORDERS: Final[dict[Operator, Callable[[Any, Any], Any]]] = {
    Operator.EQ: np.equal,
    Operator.NE: np.not_equal,
    Operator.LT: np.less,
    Operator.LE: np.less_equal,
    Operator.GT: np.greater,
    Operator.GE: np.greater_equal,
}


class Batch:
    """A view of N events.

    Raises:
        SchemaError: the batch has no time or id, or a column of another type than TRAFFIC_SCHEMA.
    """

    def __init__(self, events: pa.RecordBatch) -> None:
        self._events = events
        self._columns: dict[str, Any] = {}
        self._strings: dict[Field, Any] = {}
        for name in ("observed_at", "event_id"):
            column = self.column(name)
            if column is None or column.null_count:
                raise SchemaError("every event needs a time and an id", where=name)
        times = self.column("observed_at").cast(pa.int64())
        self.times: Rows = times.to_numpy(zero_copy_only=False)

    def __len__(self) -> int:
        return int(self._events.num_rows)

    @property
    def events(self) -> pa.RecordBatch:
        """The events as they came."""
        return self._events

    def column(self, name: str) -> Any:
        """A column in its TRAFFIC type, or None where the source shows nothing in it."""
        if name not in self._columns:
            self._columns[name] = self._typed(name, TRAFFIC_SCHEMA.field(name).type)
        return self._columns[name]

    def stored(self, feature: str) -> Any:
        """A feature of the prompts that the source holds itself, or None."""
        kept = STORED_FEATURES[feature]
        if kept.name not in self._columns:
            self._columns[kept.name] = self._typed(kept.name, kept.type)
        return self._columns[kept.name]

    def shows(self, field: Field) -> bool:
        """Whether the source shows anything in a field."""
        if field.derived is not None and self.stored(field.derived) is not None:
            return True
        return self.column(field.column) is not None

    def _typed(self, name: str, wanted: pa.DataType) -> Any:
        if self._events.schema.get_field_index(name) < 0:
            return None
        column = self._events.column(name)
        if column.null_count == len(column) and len(column):
            return None
        if column.type == wanted:
            return column
        try:
            return column.cast(wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise SchemaError(f"is {column.type}, not {wanted}", where=name) from error

    @cached_property
    def addresses(self) -> Addresses:
        """The parsed `client_ip` of each event."""
        return parse_addresses(self._coded("client_ip"))

    @cached_property
    def bands(self) -> NDArray[np.uint64]:
        """The near-duplicate bands of each prompt, (N, 16); zero: none."""
        kept = self.stored("lsh_bands[*]")
        if kept is None:
            return prompts.bands_batch(self._normalised)
        zeros = pa.scalar([0] * prompts.BANDS, kept.type)
        values = (kept.fill_null(zeros) if kept.null_count else kept).flatten()
        table: NDArray[np.uint64] = values.to_numpy(zero_copy_only=False)
        return table.reshape(-1, prompts.BANDS)

    @cached_property
    def _normalised(self) -> Any:
        return prompts.normalise_batch(self.column("prompt"))

    def strings(self, field: Field) -> Any:
        """The N strings of a TEXT field, derived if it is."""
        if field.derived is None:
            return self.column(field.column)
        if field not in self._strings:
            self._strings[field] = self._derived(field.derived)
        return self._strings[field]

    def coded(self, field: Field) -> Any:
        """As `strings`, but a dictionary where the events have one: its values come once."""
        return self._coded(field.column) if field.derived is None else self.strings(field)

    def _coded(self, name: str) -> Any:
        at = self._events.schema.get_field_index(name)
        kind = self._events.schema.field(at).type if at >= 0 else pa.null()
        if pa.types.is_dictionary(kind) and kind.value_type == TRAFFIC_SCHEMA.field(name).type:
            return self._events.column(at)
        return self.column(name)

    def _derived(self, feature: str) -> Any:
        kept = self.stored(feature)
        if kept is not None:
            return kept
        if feature == "template_sha256":
            return prompts.sha256_batch(prompts.template_batch(self._normalised))
        return prompts.sha256_batch(
            self._normalised if feature == "sha256_norm" else self.column("prompt")
        )

    def passes(self, atom: Atom, test: Test, rows: Rows) -> Mask:
        """Which of `rows` have a value of the atom's field that passes its test."""
        field = atom.field
        if not self.shows(field):
            return np.zeros(len(rows), dtype=np.bool_)
        if field.kind in {Kind.NUMBER, Kind.TIME}:
            quick = self._ordered(atom, rows)
            if quick is not None:
                return quick
        if field.kind is Kind.TEXTS:
            lists = self.column(field.column).take(pa.array(rows))
            out = np.zeros(len(rows), dtype=np.bool_)
            passed = _judged(lists.flatten(), test)
            out[pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)[passed]] = True
            return out
        if field.kind is Kind.TEXT:
            return _judged(self.strings(field).take(pa.array(rows)), test)
        return np.fromiter(
            (any(map(test, values)) for values in self.values(field, rows)),
            dtype=np.bool_,
            count=len(rows),
        )

    def _ordered(self, atom: Atom, rows: Rows) -> Mask | None:
        """Compare whole columns where the literal has the column's own type."""
        comparison, kind = atom.comparison, atom.field.kind
        order = _ORDERS.get(comparison.operator)
        if order is None:
            return None
        literal: Any = comparison.values[0]
        if kind is Kind.TIME and isinstance(literal, datetime):
            literal = microseconds(literal)
        elif kind is Kind.TIME or type(literal) is not int or abs(literal) >= 2**63:
            return None
        column = self.column(atom.field.column).take(pa.array(rows))
        values = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        passed: Mask = valid & (order(values, literal) != comparison.negated)
        return passed

    def values(self, field: Field, rows: Rows) -> list[list[Any]]:
        """The values of a field in each of `rows`, as observations would hold them."""
        if not self.shows(field):
            return [[] for _ in rows]
        if field.kind is Kind.BANDS:
            return [
                [prompts.band_text(band, value) for band, value in enumerate(row) if value]
                for row in self.bands[rows].tolist()
            ]
        if field.kind is Kind.ADDRESS:
            return [self._address(field, row) for row in rows.tolist()]
        column = self.strings(field) if field.kind is Kind.TEXT else self.column(field.column)
        values = column.take(pa.array(rows)).to_pylist()
        if field.kind is Kind.TEXTS:
            return [[one for one in value or () if one is not None] for value in values]
        if field.kind is Kind.TIME:
            return [[] if value is None else [timestamp(value)] for value in values]
        return [[] if value is None else [value] for value in values]

    def _address(self, field: Field, row: int) -> list[str]:
        family = self.addresses.family[row]
        wanted = {"ipv4-addr": (4,), "ipv6-addr": (6,)}.get(field.object_type, (4, 6))
        if family not in wanted:
            return []
        low = int(self.addresses.low[row])
        if family == 4:
            return [".".join(map(str, low.to_bytes(4, "big")))]
        return [str(ipaddress.IPv6Address(int(self.addresses.high[row]) << 64 | low))]


def _judged(values: Any, test: Test) -> Mask:
    """Test each distinct value once; null passes nothing."""
    encoded = values.dictionary_encode()
    verdicts = np.array([*map(test, encoded.dictionary.to_pylist()), False], dtype=np.bool_)
    at = encoded.indices.fill_null(len(verdicts) - 1).to_numpy(zero_copy_only=False)
    judged: Mask = verdicts[at]
    return judged
