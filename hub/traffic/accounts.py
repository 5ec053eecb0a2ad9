"""The subscriber's own customer table, joined to traffic in memory.

A gateway log names an account or a key; e-mail, phone, payment and device lie in the customer
database. Tokens are computed here, under every live fingerprint key, and never leave the process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hub.errors import InputError
from hub.fingerprint import normalise
from hub.fingerprint.tokens import FingerprintKey, token
from hub.match.schema import TRAFFIC_SCHEMA
from hub.traffic.account_rows import ID_COLUMNS, rows

MAX_PROBLEMS: Final = 1000
"""Bad values that are kept with their place; further ones are only counted."""

_CHUNK: Final = 8192
_TOKENS: Final = "fp_tokens"
_TEXT_FILLED: Final = ("email_domain", "local_part_shape", "display_name_shape")
_FILLED: Final = (_TOKENS, *_TEXT_FILLED, "signup_time")


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A value of the customer table that has no normal form.

    Args:
        where: `file:row`, the row being the line (CSV, JSONL) or the record (Parquet), from 1.
        field: the column, by our name.
        reason: what is wrong; never the value.
    """

    where: str
    field: str
    reason: str


class Tagging(Protocol):
    """Tokens that are not made here, but asked for in batches when the whole table was read."""

    def place(self, kind: str, normalised: str) -> Sequence[int]:
        """Take note of an identifier: where its tokens will stand in `tokens`; none: it has none.

        Args:
            kind: one of `normalise.TOKEN_KINDS`.
            normalised: what `normalise.of_kind` returned.
        """
        ...

    def tokens(self) -> Sequence[str | None]:
        """The tokens of all places, None where there is none; called once, at the end."""
        ...


@dataclass(slots=True)
class _Customer:
    """What one customer fills into traffic; several rows of one customer join here."""

    tokens: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    filled: dict[str, Any] = field(default_factory=dict)

    def join(self, other: _Customer) -> None:
        self.tokens += [t for t in other.tokens if t not in self.tokens]
        self.places += [place for place in other.places if place not in self.places]
        self.filled = {**other.filled, **self.filled}


class AccountTable:
    """Customers by account id and by API key id, with their tokens.

    Args:
        customers: account columns of TRAFFIC_SCHEMA, one row per customer.
        by_account, by_key: id to the row in `customers`.
        problems: bad values, at most `MAX_PROBLEMS`.
        problem_count: how many there were.
    """

    def __init__(
        self,
        customers: pa.RecordBatch,
        by_account: Mapping[str, int],
        by_key: Mapping[str, int],
        problems: tuple[RowProblem, ...] = (),
        problem_count: int = 0,
    ) -> None:
        self._customers = customers
        self._by_account = by_account
        self._by_key = by_key
        self.problems = problems
        self.problem_count = problem_count

    def __len__(self) -> int:
        return int(self._customers.num_rows)

    @classmethod
    def read(
        cls,
        path: Path,
        mapping: Mapping[str, str] | None = None,
        *,
        keys: Sequence[FingerprintKey] = (),
        region: str | None = None,
        tagging: Tagging | None = None,
    ) -> AccountTable:
        """Read a customer table (.csv, .jsonl, .parquet) and tokenise each customer once.

        Columns: `account_id` or `api_key_id` or both; `email`, `phone`, `payment`, `device`,
        `api_key`, `name`, `org`, `signup_time` (ISO 8601; UTC where it names no zone). Rows with
        the same id join: all their tokens count, and the first value of each other column.

        Args:
            mapping: our column name to the file's; names left out are looked for as they are.
            keys: live fingerprint keys; none: no tokens are made, the other columns are.
            region: ISO 3166 region of phone numbers written without a country code.
            tagging: gives further tokens, such as those that custodians evaluate.
        Raises:
            InputError: unknown kind of file, neither id column, or a malformed row (`file:row`).
                A value without a normal form is no error; it is listed in `problems`.
        """
        reading = _Reading(keys, region, tagging)
        for where, row in rows(path, mapping or {}):
            reading.add(where, row)
        return reading.table()

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Fill account columns of traffic: tokens, e-mail domain, shapes, sign-up time.

        Args:
            batch: TRAFFIC_SCHEMA; what it already says is kept.
        Returns:
            TRAFFIC_SCHEMA, as many rows; joined by `account_id`, else by `api_key_id`. Rows of
            unknown customers stay null.
        """
        found = _positions(batch.column("account_id"), self._by_account)
        if self._by_key:
            by_key = _positions(batch.column("api_key_id"), self._by_key)
            found = np.where(found < 0, by_key, found)
        if not (found >= 0).any():
            return batch
        indices = pa.array(found, pa.int64(), mask=found < 0)
        columns = {name: batch.column(name) for name in batch.schema.names}
        for name in _FILLED:
            joined = self._customers.column(name).take(indices)
            given = columns[name]
            if given.null_count < len(given):
                joined = pc.if_else(given.is_valid(), given, joined)
            columns[name] = joined
        return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)


def _positions(ids: pa.Array, index: Mapping[str, int]) -> NDArray[np.int64]:
    """Row of each id's customer, -1 where there is none; each distinct id is looked up once."""
    encoded = ids.dictionary_encode()
    places = np.array(
        [index.get(value, -1) for value in encoded.dictionary.to_pylist()] + [-1], dtype=np.int64
    )
    # A null id points at the -1 appended above.
    codes = encoded.indices.fill_null(len(places) - 1).to_numpy(zero_copy_only=False)
    found: NDArray[np.int64] = places[codes]
    return found


class _Reading:
    """Collects customers while a file is read."""

    def __init__(
        self, keys: Sequence[FingerprintKey], region: str | None, tagging: Tagging | None
    ) -> None:
        self._keys = keys
        self._region = region
        self._tagging = tagging
        self._customers: list[_Customer] = []
        self._index: dict[str, dict[str, int]] = {column: {} for column in ID_COLUMNS}
        self._problems: list[RowProblem] = []
        self._problem_count = 0

    def add(self, where: str, row: Mapping[str, Any]) -> None:
        """Add one row of the file, by our column names."""
        ids = {column: str(row[column]) for column in ID_COLUMNS if _given(row.get(column))}
        if not ids:
            self._note(where, ID_COLUMNS[0], "the row names neither an account nor a key")
            return
        customer = self._customer(where, row)
        known = {self._index[c][v] for c, v in ids.items() if v in self._index[c]}
        if known:
            place = min(known)
            self._customers[place].join(customer)
        else:
            place = len(self._customers)
            self._customers.append(customer)
        for column, value in ids.items():
            self._index[column].setdefault(value, place)

    def _customer(self, where: str, row: Mapping[str, Any]) -> _Customer:
        customer = _Customer()
        for column, kind in normalise.COLUMN_KINDS.items():
            raw = row.get(column)
            if not _given(raw):
                continue
            try:
                value = normalise.of_kind(kind, str(raw), region=self._region)
                customer.tokens += [token(key, kind, value) for key in self._keys]
                if self._tagging is not None:
                    customer.places += self._tagging.place(kind, value)
                if column == "email":
                    customer.filled["email_domain"] = value.rpartition("@")[2]
                    customer.filled["local_part_shape"] = normalise.local_part_shape(str(raw))
                elif column == "name":
                    customer.filled["display_name_shape"] = normalise.shape(str(raw))
            except InputError as error:
                self._note(where, column, error.message)
        if _given(row.get("signup_time")):
            try:
                customer.filled["signup_time"] = _time(row["signup_time"])
            except ValueError:
                self._note(where, "signup_time", "not an ISO 8601 time")
        return customer

    def _note(self, where: str, column: str, reason: str) -> None:
        self._problem_count += 1
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(RowProblem(where, column, reason))

    def table(self) -> AccountTable:
        """The customers as columns."""
        schema = pa.schema([TRAFFIC_SCHEMA.field(name) for name in _FILLED])
        given = self._tagging.tokens() if self._tagging is not None else ()
        for customer in self._customers:
            found = (given[place] for place in customer.places)
            customer.tokens += [each for each in found if each is not None]
        batches = list(self._batches(schema))
        table = pa.Table.from_batches(batches, schema).combine_chunks()
        merged = table.to_batches() or [pa.RecordBatch.from_pylist([], schema)]
        account, key = (self._index[column] for column in ID_COLUMNS)
        return AccountTable(merged[0], account, key, tuple(self._problems), self._problem_count)

    def _batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for first in range(0, len(self._customers), _CHUNK):
            chunk = self._customers[first : first + _CHUNK]
            columns = [
                [c.tokens for c in chunk] if self._keys else [None] * len(chunk),
                *([c.filled.get(name) for c in chunk] for name in _FILLED[1:]),
            ]
            arrays = [
                pa.array(values, schema.field(name).type)
                for name, values in zip(_FILLED, columns, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _given(value: Any) -> bool:
    return value is not None and str(value).strip() != ""


def _time(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
