"""Rows of a customer table, from CSV, JSON lines or Parquet, by our column names."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from hub.errors import InputError
from hub.fingerprint.normalise import COLUMN_KINDS
from hub.traffic.generic import listed
from hub.traffic.problems import wrong_width

ID_COLUMNS: Final = ("account_id", "api_key_id")
COLUMNS: Final = (*ID_COLUMNS, *COLUMN_KINDS, "signup_time")
HINT: Final = f"our names are {', '.join(COLUMNS)}"
"""Names of a customer table's columns, for an error."""
MAX_LINE: Final = 1 << 20
"""Longest line of a JSON lines file, in bytes."""

Located = tuple[str, Mapping[str, Any]]


def rows(path: Path, mapping: Mapping[str, str]) -> Iterator[Located]:
    """Each row with its place, `file:row`.

    Args:
        path: a file whose name ends in .csv, .jsonl (or .ndjson) or .parquet; UTF-8.
        mapping: our column name to the file's.
    Raises:
        InputError: the file cannot be read, has no id column, or a row is malformed.
    """
    unknown = mapping.keys() - set(COLUMNS)
    if unknown:
        raise InputError(
            f"no such column: {', '.join(sorted(unknown))}",
            where="mapping",
            hint=HINT,
        )
    readers = {".csv": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            "not a kind of customer table", where=path.name, hint="use .csv, .jsonl or .parquet"
        )
    try:
        yield from reader(path, mapping)
    except UnicodeDecodeError:
        raise InputError("not UTF-8 text", where=path.name, hint="convert it to UTF-8") from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path.name) from error


def _fields(path: Path, names: Collection[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Our column to the file's, for the columns that the file has."""
    for column, name in mapping.items():
        if name not in names:
            raise InputError(
                f"no column '{name}' for {column}" + listed(names), where=path.name, hint=HINT
            )
    fields = {column: mapping.get(column, column) for column in COLUMNS}
    found = {column: name for column, name in fields.items() if name in names}
    _need_id(path.name, found, names)
    return found


def _need_id(where: str, found: Collection[str], names: Collection[str]) -> None:
    if not any(column in found for column in ID_COLUMNS):
        raise InputError(
            "neither an account_id nor an api_key_id column" + listed(names),
            where=where,
            hint="name it with --accounts-map account_id=NAME; " + HINT,
        )


def _csv(path: Path, mapping: Mapping[str, str]) -> Iterator[Located]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, [])
            if not header:
                raise InputError("the file is empty, or its first line is", where=path.name)
            if len(set(header)) != len(header):
                raise InputError("a column name occurs twice", where=f"{path.name}:1")
            fields = _fields(path, header, mapping)
            places = {column: header.index(name) for column, name in fields.items()}
            for row in reader:
                where = f"{path.name}:{reader.line_num}"
                if not row:
                    continue
                if len(row) != len(header):
                    raise InputError(wrong_width(len(row), len(header)), where=where)
                yield where, {column: row[place] for column, place in places.items()}
        except csv.Error as error:
            raise InputError(
                f"malformed CSV: {error}", where=f"{path.name}:{reader.line_num}"
            ) from (None)


def _jsonl(path: Path, mapping: Mapping[str, str]) -> Iterator[Located]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    fields = {column: mapping.get(column, column) for column in COLUMNS}
    any_id = False
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), start=1):
            where = f"{path.name}:{number}"
            if len(line) > MAX_LINE:
                raise InputError(f"longer than {MAX_LINE} bytes", where=where)
            if not line.strip():
                continue
            try:
                entry = decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                # The library's message may quote the line.
                raise InputError("not a JSON object", where=where) from None
            row = {column: entry[name] for column, name in fields.items() if name in entry}
            if not any_id:
                _need_id(where, row, entry)
                any_id = True
            yield where, row
    if not any_id:
        raise InputError("the file is empty", where=path.name)


def _parquet(path: Path, mapping: Mapping[str, str]) -> Iterator[Located]:
    try:
        with pq.ParquetFile(path) as file:
            fields = _fields(path, file.schema_arrow.names, mapping)
            number = 0
            for batch in file.iter_batches(columns=list(fields.values())):
                for entry in batch.to_pylist():
                    number += 1
                    row = {column: entry[name] for column, name in fields.items()}
                    yield f"{path.name}:{number}", row
    except pa.ArrowInvalid:
        raise InputError("not a Parquet file", where=path.name) from None
