"""What a log format is to the reader: how it is recognised, and how its bytes become columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

import msgspec
import numpy as np

from hub.traffic.assemble import Piece
from hub.traffic.problems import RejectError, Tally
from hub.traffic.source import Source

BATCH_BYTES: Final = 64 << 20
"""A batch ends when it holds this much of the log, however few rows that is."""
_HEAD_LINES: Final = 50
_decode = msgspec.json.Decoder().decode
T = TypeVar("T")

Mapped = Mapping[str, str]
"""TRAFFIC column to the source's own field name."""


class Row(NamedTuple):
    """One exchange as a line format gives it: raw values under TRAFFIC's names."""

    observed_at: Any
    event_id: Any = None
    account_id: Any = None
    org_id: Any = None
    api_key_id: Any = None
    email_domain: Any = None
    client_ip: Any = None
    user_agent: Any = None
    provider_name: Any = None
    request_model: Any = None
    prompt: Any = None
    input_tokens: Any = None
    output_tokens: Any = None


@dataclass(frozen=True)
class Head:
    """The first bytes of a log, unpacked, for recognising its format."""

    data: bytes
    mapping: Mapped

    @cached_property
    def lines(self) -> list[bytes]:
        """The first complete, non-blank lines."""
        lines = self.data.split(b"\n")
        if len(lines) > 1:
            lines.pop()
        return [line.rstrip(b"\r") for line in lines if line.strip()][:_HEAD_LINES]

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """Those of the first lines that are JSON objects."""
        found = []
        for line in self.lines:
            try:
                value = _decode(line)
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                continue
            if isinstance(value, dict):
                found.append(value)
        return found


class Decoder(Protocol):
    """One file opened as one format.

    Attributes:
        columns: TRAFFIC columns that the file can show as this format.
        unused: fields of a generic format that fill no column.
    """

    @property
    def columns(self) -> frozenset[str]: ...
    @property
    def unused(self) -> tuple[str, ...]: ...

    def pieces(self, rows: int, tally: Tally, wanted: Collection[str]) -> Iterator[Piece]:
        """Raw columns of at most `rows` records and about `BATCH_BYTES` of log.

        Of columns that are not `wanted` it may only say in `tally.glimpsed` that they have values.
        """
        ...


class Format(Protocol):
    """One log format of the registry.

    Attributes:
        name: what `--format` takes.
        title: what the operator reads.
        generic: whether a mapping of columns may be given.
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def generic(self) -> bool: ...

    def recognises(self, head: Head) -> bool:
        """Whether the file's first bytes are of this format."""
        ...

    def open(self, source: Source, head: Head) -> Decoder:
        """Make a decoder of one file.

        Raises:
            InputError: the file cannot be of this format, or lacks a mapped column.
        """
        ...


Parse = Callable[[bytes], Sequence[tuple[Any, ...]]]
"""One line to its rows, none for a record that is no exchange; RejectError for a malformed one."""


@dataclass(frozen=True)
class LineFormat:
    """A format with one record, or a few, on each line and a fixed set of fields.

    A new format is a module with `recognises`, `parse` and one of these.
    """

    name: str
    title: str
    columns: frozenset[str]
    recognised: Callable[[Head], bool]
    parse: Parse
    generic: bool = False

    def recognises(self, head: Head) -> bool:
        """Whether the file's first lines are of this format."""
        return self.recognised(head)

    def open(self, source: Source, head: Head) -> LineDecoder:
        """Make a decoder of one file."""
        return LineDecoder(source, self.parse, Row._fields, self.columns)


@dataclass
class LineDecoder:
    """Gathers the rows that a line parser gives into columns.

    Args:
        fields: the TRAFFIC column of each element of a row; of a column that occurs twice, the
            first non-null value counts.
    """

    source: Source
    parse: Parse
    fields: Sequence[str]
    columns: frozenset[str]
    unused: tuple[str, ...] = ()
    _rows: list[tuple[Any, ...]] = field(default_factory=list)
    _lines: list[int] = field(default_factory=list)

    def pieces(self, rows: int, tally: Tally, wanted: Collection[str]) -> Iterator[Piece]:
        """Raw columns of at most `rows` records and about `BATCH_BYTES` of log."""
        size = 0
        for group in self.source.lines(tally.rejects):
            for number, data in group:
                if data is None:
                    limit = self.source.line_bytes >> 20
                    tally.rejects.add(number, f"the line is longer than {limit} MiB")
                    continue
                try:
                    found = self.parse(data)
                except RejectError as reason:
                    if data.strip():
                        tally.rejects.add(number, str(reason))
                    continue
                if not found:
                    tally.skipped += 1
                self._rows.extend(found)
                self._lines.extend([number] * len(found))
                size += len(data)
                if len(self._rows) >= rows or size >= BATCH_BYTES:
                    yield from self._flush(rows, tally, wanted)
                    size = 0
        yield from self._flush(rows, tally, wanted)

    def _flush(self, rows: int, tally: Tally, wanted: Collection[str]) -> Iterator[Piece]:
        for start in range(0, len(self._rows), rows):
            columns: dict[str, Sequence[Any]] = {}
            part = self._rows[start : start + rows]
            for name, values in zip(self.fields, zip(*part, strict=True), strict=True):
                first = columns.get(name)
                columns[name] = values if first is None else _coalesce(first, values)
            lines = np.array(self._lines[start : start + rows], np.int64)
            for name in self.columns - tally.glimpsed:
                if name not in wanted and any(v is not None for v in columns.get(name, ())):
                    tally.glimpsed.add(name)
            used = self.columns.intersection(wanted)
            yield Piece({n: v for n, v in columns.items() if n in used}, lines)
        self._rows.clear()
        self._lines.clear()


def _coalesce(first: Sequence[Any], second: Sequence[Any]) -> Sequence[Any]:
    return [b if a is None else a for a, b in zip(first, second, strict=True)]


class JsonLine(Generic[T]):
    """Decodes a line of JSON into a msgspec type, with reasons that show no content."""

    def __init__(self, kind: type[T]) -> None:
        self._decode = msgspec.json.Decoder(kind).decode

    def __call__(self, line: bytes) -> T:
        try:
            return self._decode(line)
        except msgspec.ValidationError as error:
            raise RejectError("a JSON object of another form was expected") from error
        except (msgspec.DecodeError, UnicodeError) as error:
            raise RejectError("not JSON, or cut short") from error
        except RecursionError as error:
            raise RejectError("JSON nested too deeply") from error
