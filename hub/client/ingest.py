"""Detections from a lab's own tables: CSV, JSON lines and Parquet, one row at a time.

A row that cannot be read is a row with a `problem`; only a file that is not of its format at all
is an error.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from hub.errors import InputError
from hub.model.codec import loads

ACCOUNT_FIELDS: Final = ("email", "phone", "payment", "device", "api_key")
PLAIN_FIELDS: Final = (
    "address",
    "domain",
    "asn",
    "ja3",
    "ja4",
    "user_agent",
    "email_domain",
    "api_key_prefix",
)
PROMPT_FIELDS: Final = ("kind", "text", "pattern")
COMMON_FIELDS: Final = ("campaign", "first_seen", "last_seen", "valid_until", "confidence")
FIELDS: Final = frozenset((*ACCOUNT_FIELDS, *PLAIN_FIELDS, *PROMPT_FIELDS, *COMMON_FIELDS))
"""What a column can mean; `--map field=column,...` renames."""

_MAX_LINE: Final = 1024 * 1024
_MAX_FIELD: Final = 128 * 1024


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        where: `file:line`; for Parquet the row's number, from 1.
        values: field to text, blank ones left out; empty when there is a problem.
        problem: why the row cannot be read, without its values.
    """

    where: str
    values: Mapping[str, str]
    problem: str | None = None


@dataclasses.dataclass
class Table:
    """A file opened for reading.

    Attributes:
        unused: columns that mean nothing to us; they never leave the machine.
        bytes_total: size of the file.
    """

    path: Path
    unused: tuple[str, ...]
    bytes_total: int
    _rows: Callable[[], Iterator[Row]] = dataclasses.field(repr=False)

    def rows(self) -> Iterator[Row]:
        """The rows in the order of the file."""
        return self._rows()


def open_table(path: Path, mapping: Mapping[str, str] | None = None) -> Table:
    """Open a `.csv`, `.jsonl` (also `.ndjson`) or `.parquet` file.

    Args:
        path: the file.
        mapping: column to field, for columns that are not named as our fields are.

    Raises:
        InputError: unreadable, of another format, or without any column that we know.
    """
    renames = dict(mapping or {})
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    if path.is_dir():
        raise InputError("is a folder", where=str(path), hint="name the files in it")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _csv_table(path, renames, size)
    if suffix in (".jsonl", ".ndjson"):
        return Table(path, (), size, lambda: _json_rows(path, renames))
    if suffix == ".parquet":
        return _parquet_table(path, renames, size)
    raise InputError(
        "the name must end in .csv, .jsonl or .parquet", where=str(path), hint="rename the file"
    )


def _fields(columns: list[str], renames: Mapping[str, str], path: Path) -> dict[str, str]:
    """Column to field; a mapped column must be there."""
    missing = renames.keys() - set(columns)
    if missing:
        raise InputError(f"has no column {', '.join(sorted(missing))}", where=str(path))
    taken = set(renames.values())
    used = dict(renames)
    for column in columns:
        field = column.strip().lower()
        if column not in used and field in FIELDS and field not in taken:
            used[column] = field
            taken.add(field)
    if not taken - set(COMMON_FIELDS):
        raise InputError(
            "no column is one that indicators are made of",
            where=str(path),
            hint=f"--map field=column; fields: {', '.join(sorted(FIELDS))}",
        )
    return used


def _csv_table(path: Path, renames: Mapping[str, str], size: int) -> Table:
    with _text(path) as file:
        try:
            header = next(csv.reader(_lines(file), strict=True), None)
        except csv.Error as error:
            raise InputError("the header line is not CSV", where=f"{path.name}:1") from error
    if not header:
        raise InputError("is empty", where=str(path))
    if len(set(header)) != len(header):
        raise InputError("a column is named twice", where=f"{path.name}:1")
    fields = _fields(header, renames, path)
    unused = tuple(each for each in header if each not in fields)
    return Table(path, unused, size, lambda: _csv_rows(path, header, fields))


def _csv_rows(path: Path, header: list[str], fields: Mapping[str, str]) -> Iterator[Row]:
    csv.field_size_limit(_MAX_FIELD)
    with _text(path) as file:
        reader = csv.reader(_lines(file), strict=True)
        next(reader)
        while True:
            first = reader.line_num + 1
            where = f"{path.name}:{first}"
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(where, {}, f"not CSV: {error}")
                continue
            if not cells:
                continue
            if len(cells) != len(header):
                cell = "cell" if len(cells) == 1 else "cells"
                yield Row(where, {}, f"{len(cells)} {cell}, where the header has {len(header)}")
                continue
            if any("\udc80" <= character <= "\udcff" for cell in cells for character in cell):
                yield Row(where, {}, "not UTF-8")
                continue
            pairs = zip(header, cells, strict=True)
            yield Row(where, _clean({fields[c]: v for c, v in pairs if c in fields}))


def _json_rows(path: Path, renames: Mapping[str, str]) -> Iterator[Row]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_MAX_LINE + 1):
            number += 1
            where = f"{path.name}:{number}"
            if len(line) > _MAX_LINE:
                while line and not line.endswith(b"\n"):
                    line = file.readline(_MAX_LINE)
                yield Row(where, {}, f"longer than {_MAX_LINE} bytes")
                continue
            if not line.strip():
                continue
            try:
                parsed = loads(line)
            except InputError as error:
                yield Row(where, {}, error.message)
                continue
            named = {renames.get(key, key): value for key, value in parsed.items()}
            yield _typed(where, {k: v for k, v in named.items() if k in FIELDS})


def _parquet_table(path: Path, renames: Mapping[str, str], size: int) -> Table:
    try:
        with pq.ParquetFile(path) as file:
            columns = list(file.schema_arrow.names)
    except (pa.ArrowException, OSError) as error:
        raise InputError("is not Parquet", where=str(path)) from error
    fields = _fields(columns, renames, path)
    unused = tuple(each for each in columns if each not in fields)
    return Table(path, unused, size, lambda: _parquet_rows(path, fields))


def _parquet_rows(path: Path, fields: Mapping[str, str]) -> Iterator[Row]:
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=4096, columns=list(fields)):
                for record in batch.to_pylist():
                    number += 1
                    named = {fields[column]: value for column, value in record.items()}
                    yield _typed(f"{path.name}:{number}", named)
    except (pa.ArrowException, OSError) as error:
        raise InputError("is damaged", where=f"{path.name}:{number + 1}") from error


def _typed(where: str, values: Mapping[str, Any]) -> Row:
    """Cells of typed formats as text; lists and objects are nothing that we know."""
    texts: dict[str, str] = {}
    for field, value in values.items():
        if value is None:
            continue
        if isinstance(value, datetime.date):
            texts[field] = value.isoformat()
        elif isinstance(value, bool) or not isinstance(value, str | int | float):
            return Row(where, {}, f"{field}: neither text nor number")
        elif isinstance(value, float) and value.is_integer():
            texts[field] = str(int(value))
        else:
            texts[field] = str(value)
    return Row(where, _clean(texts))


def _clean(values: Mapping[str, str]) -> dict[str, str]:
    return {field: value for field, value in values.items() if value.strip()}


def _text(path: Path) -> io.TextIOWrapper:
    try:
        # Bytes that are no UTF-8 become surrogates, so that one bad row costs one row.
        return path.open("r", encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _lines(file: io.TextIOWrapper) -> Iterator[str]:
    """Lines of bounded length: what is cut off makes the row malformed, not the memory full."""
    while line := file.readline(_MAX_LINE):
        yield line
