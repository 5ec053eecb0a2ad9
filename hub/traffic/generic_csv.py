"""Generic CSV (RFC 4180): a header names the columns as TRAFFIC's or mapped.

The stream is cut into chunks at record ends, found by the parity of quotes. Arrow parses a chunk
whole; a chunk that it cannot parse goes record by record through the standard library's reader,
which says on which line each malformed record stands.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from hub.errors import InputError
from hub.traffic import generic
from hub.traffic.assemble import Piece
from hub.traffic.decode import Head, Task
from hub.traffic.problems import Tally, wrong_width
from hub.traffic.source import LINE_BYTES, Source

_DELIMITERS: Final = ",;\t"
_CHUNK_BYTES: Final = 4 << 20
_MAX_COLUMNS: Final = 10_000
_NEWLINE: Final = 10
_RETURN: Final = 13
_QUOTE: Final = 34


@dataclass(frozen=True)
class _Chunk:
    """Whole records.

    Args:
        data: the bytes; the last record may lack its line end.
        line: the 1-based line at which they begin.
        whole: False where the records' bounds could not be found: it may end inside a record.
    """

    data: bytes
    line: int
    whole: bool


def _chunks(source: Source, tally: Tally) -> Iterator[_Chunk]:
    """Cut the stream at line ends outside quotes; a record past the cap is cut at any line end."""
    held = bytearray()
    line = 1
    for block in source.blocks(tally.rejects):
        held += block
        if len(held) < _CHUNK_BYTES:
            continue
        end = _record_end(held)
        whole = end > 0
        if not whole and len(held) > LINE_BYTES + _CHUNK_BYTES:
            end = held.rfind(b"\n") + 1 or len(held)
        if end:
            data = bytes(held[:end])
            yield _Chunk(data, line, whole)
            line += data.count(b"\n")
            del held[:end]
    if held:
        yield _Chunk(bytes(held), line, held.count(b'"') % 2 == 0)


def _line_ends(raw: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Where lines end, and whether all quotes before are closed there."""
    ends = np.flatnonzero(raw == _NEWLINE)
    quotes = np.flatnonzero(raw == _QUOTE)
    if len(quotes) == 0:
        return ends, np.ones(len(ends), np.bool_)
    return ends, np.searchsorted(quotes, ends) % 2 == 0


def _record_end(data: bytearray) -> int:
    """The end of the last line at which all quotes are closed, 0 where there is none."""
    ends, outside = _line_ends(np.frombuffer(bytes(data), np.uint8))
    closed = ends[outside]
    return int(closed[-1]) + 1 if len(closed) else 0


def _starts(data: bytes) -> npt.NDArray[np.int64]:
    """Line offset (from 0) of each record of a whole chunk, blank records left out."""
    raw = np.frombuffer(data if data.endswith(b"\n") else data + b"\n", np.uint8)
    ends, outside = _line_ends(raw)
    lines = np.flatnonzero(outside)
    begins = np.concatenate(([0], ends[lines][:-1] + 1))
    sizes = ends[lines] - begins
    filled = (sizes > 1) | ((sizes == 1) & (raw[begins] != _RETURN))
    first = np.concatenate(([0], lines[:-1] + 1))
    return np.asarray(first[filled], np.int64)


@dataclass
class _Decoder:
    source: Source
    names: list[str]
    delimiter: str
    fields: dict[str, str]

    @property
    def columns(self) -> frozenset[str]:
        return frozenset(self.fields) | {"event_id"}

    @property
    def unused(self) -> tuple[str, ...]:
        return generic.unused(self.names, self.fields.values())

    def tasks(self, rows: int, tally: Tally, wanted: Collection[str]) -> Iterator[Task]:
        """One task for each chunk of whole records."""
        # The first chunk is read whole, to tell which columns have values at all.
        fields, header = self.fields, True
        used = {column: field for column, field in fields.items() if column in wanted}
        for chunk in _chunks(self.source, tally):
            yield partial(self._pieces, chunk, header, fields, rows, used)
            fields, header = used, False

    def _pieces(
        self,
        chunk: _Chunk,
        header: bool,
        fields: Mapping[str, str],
        rows: int,
        used: Collection[str],
        tally: Tally,
    ) -> Iterator[Piece]:
        table = self._fast(chunk, header, fields, tally) if chunk.whole else None
        if table is None:
            pieces = self._slow(chunk, header, fields, rows, tally)
        else:
            pieces = _slices(*table, rows)
        yield from (_glimpsed(piece, used, tally) for piece in pieces)

    def _fast(
        self, chunk: _Chunk, header: bool, fields: Mapping[str, str], tally: Tally
    ) -> tuple[dict[str, pa.Array], npt.NDArray[np.int64]] | None:
        """Arrow's parse of a chunk, None where it cannot be trusted."""
        if not _is_utf8(chunk.data):
            return None
        starts = _starts(chunk.data)
        bad: list[tuple[int, int]] = []

        def invalid(row: pa_csv.InvalidRow) -> str:
            bad.append((row.number, row.actual_columns))
            return "skip"

        wanted = sorted(set(fields.values()))
        try:
            table = pa_csv.read_csv(
                pa.BufferReader(chunk.data),
                pa_csv.ReadOptions(
                    use_threads=False, column_names=self.names, block_size=len(chunk.data) + 1
                ),
                pa_csv.ParseOptions(
                    delimiter=self.delimiter,
                    newlines_in_values=True,
                    invalid_row_handler=invalid,
                ),
                pa_csv.ConvertOptions(
                    include_columns=wanted,
                    column_types=dict.fromkeys(wanted, pa.string()),
                    strings_can_be_null=False,
                    check_utf8=False,
                ),
            )
        except pa.ArrowInvalid:
            return None
        if table.num_rows + len(bad) != len(starts) or any(number is None for number, _ in bad):
            return None
        keep = np.ones(len(starts), bool)
        for number, _ in bad:
            keep[number - 1] = False
        for number, width in bad:
            self._reject(chunk.line + int(starts[number - 1]), width, tally)
        lines = starts[keep] + chunk.line
        arrays = {name: _joined(table.column(name)) for name in wanted}
        skip = 1 if header else 0
        return (
            {column: arrays[field].slice(skip) for column, field in fields.items()},
            lines[skip:],
        )

    def _reject(self, line: int, width: int, tally: Tally) -> None:
        tally.rejects.add(line, wrong_width(width, len(self.names)))

    def _slow(
        self, chunk: _Chunk, header: bool, fields: Mapping[str, str], rows: int, tally: Tally
    ) -> Iterator[Piece]:
        """Record by record; also where quotes are broken, bytes are no text, or a cell is huge."""
        records = _Records(chunk, self.delimiter)
        index = {name: self.names.index(name) for name in set(fields.values())}
        found: list[list[str]] = []
        lines: list[int] = []
        for line, record in records:
            if header:
                header = False
            elif record is None:
                limit = LINE_BYTES >> 20
                tally.rejects.add(line, f"broken quotes, or a field longer than {limit} MiB")
                records.resume_after(line)
            elif len(record) != len(self.names):
                self._reject(line, len(record), tally)
                records.resume_after(line)
            elif not _is_text(record):
                tally.rejects.add(line, "not UTF-8")
            elif record:
                found.append([record[at] for at in index.values()])
                lines.append(line)
        if found:
            cells = dict(zip(index, zip(*found, strict=True), strict=True))
            columns = {c: pa.array(cells[f], pa.string()) for c, f in fields.items()}
            yield from _slices(columns, np.array(lines, np.int64), rows)


class _Lines:
    """Lines that can be read on from another place, also after their end (no generator can)."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self.at = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if self.at >= len(self._lines):
            raise StopIteration
        self.at += 1
        return self._lines[self.at - 1] + "\n"


class _Records:
    """The non-blank records of a chunk, each with its first line; None for a malformed one."""

    def __init__(self, chunk: _Chunk, delimiter: str) -> None:
        csv.field_size_limit(LINE_BYTES)
        self._first = chunk.line
        self._lines = _Lines(chunk.data.decode("utf-8", "surrogateescape"))
        self._reader = csv.reader(self._lines, delimiter=delimiter, strict=True)

    def __iter__(self) -> Iterator[tuple[int, list[str] | None]]:
        while True:
            line = self._first + self._lines.at
            try:
                record = next(self._reader)
            except StopIteration:
                return
            except csv.Error:
                yield line, None
                continue
            if record and record != [""]:
                yield line, record

    def resume_after(self, line: int) -> None:
        """Read on at the next line: a quote that never closes must not swallow good records.

        This stays linear: a record that a quote keeps open ends at the next line with an odd
        number of quotes, so that no line is read more than three times.
        """
        self._lines.at = line - self._first + 1


def _is_utf8(data: bytes) -> bool:
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False


def _is_text(record: list[str]) -> bool:
    try:
        for cell in record:
            cell.encode()
    except UnicodeError:
        return False
    return True


def _joined(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    return pa.concat_arrays(joined.chunks) if isinstance(joined, pa.ChunkedArray) else joined


def _glimpsed(piece: Piece, used: Collection[str], tally: Tally) -> Piece:
    """The piece without columns that nobody asked for, which are looked at once."""
    for name, values in piece.columns.items():
        if name not in used and pc.any(pc.not_equal(values, "")).as_py():
            tally.glimpsed.add(name)
    return Piece({name: piece.columns[name] for name in used}, piece.lines)


def _slices(
    columns: Mapping[str, pa.Array], lines: npt.NDArray[np.int64], rows: int
) -> Iterator[Piece]:
    for start in range(0, len(lines), rows):
        yield Piece(
            {name: array.slice(start, rows) for name, array in columns.items()},
            lines[start : start + rows],
        )


def _header(head: Head) -> tuple[list[str], str]:
    """The column names, and the delimiter that makes most of them known."""
    text = head.data.decode("utf-8", "replace")
    best: tuple[int, list[str], str] = (-1, [], ",")
    for delimiter in _DELIMITERS:
        try:
            names = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
        except csv.Error:
            continue
        names = [name.strip() for name in names]
        fields = {n for options in generic.wanted(head.mapping).values() for n in options}
        known = sum(name in fields for name in names)
        if known > best[0]:
            best = (known, names, delimiter)
    return best[1], best[2]


def header(head: Head) -> list[str]:
    """The fields of the first line, if it is one of a table."""
    return [] if head.data[:1] in (b"{", b"[") else _header(head)[0]


class _Csv:
    name = "csv"
    title = "generic CSV"
    generic = True

    def recognises(self, head: Head) -> bool:
        """Whether the first line is a header with a time and another known column."""
        if head.data[:1] in (b"{", b"["):
            return False
        return generic.looks_generic(_header(head)[0], head.mapping)

    def open(self, source: Source, head: Head) -> _Decoder:
        """Make a decoder of one file, by its header."""
        names, delimiter = _header(head)
        if len(names) > _MAX_COLUMNS:
            raise InputError(f"more than {_MAX_COLUMNS} columns", where=f"{source.path}:1")
        if len(set(names)) != len(names):
            raise InputError("a column name stands twice in the header", where=f"{source.path}:1")
        fields = generic.resolve(head.mapping, names, f"{source.path}:1")
        return _Decoder(source, names, delimiter, fields)


FORMAT: Final = _Csv()
