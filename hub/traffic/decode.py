"""What a log format is to the reader: how it is recognised, and how its bytes become columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import msgspec
import numpy as np

from hub.traffic.assemble import Piece, Withheld
from hub.traffic.blocks import Block
from hub.traffic.problems import RejectError, Tally
from hub.traffic.source import Line, Source, split

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
    asn: Any = None


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


Task = Callable[[Tally], Iterator[Piece]]
"""Decodes one block into raw columns of bounded pieces, counting in the tally that it is given.

It may run once, in any thread, beside the others of its file."""


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

    def tasks(self, rows: int, tally: Tally, wanted: Collection[str]) -> Iterator[Task]:
        """Cut the file, in order, into tasks that give pieces of at most `rows` records.

        Cutting counts in `tally`, such as the damage that ends a stream. Of columns that are not
        `wanted` a task may only say in `glimpsed` that they have values.
        """
        ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """The times that are wanted: from `since`, before `until`, in microseconds since 1970."""

    since: int = 0
    until: int = 2**62


@runtime_checkable
class Bounded(Protocol):
    """A decoder of a format that tells the times of its parts before they are read."""

    def within(self, bounds: Bounds) -> Decoder:
        """The same, but parts of which no row can be wanted are only counted as `outside`.

        What else is wrong with such a part is not found.
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

    def tasks(self, rows: int, tally: Tally, wanted: Collection[str]) -> Iterator[Task]:
        """One task for each block of whole lines."""
        for block in self.source.cut(tally.rejects):
            yield partial(self._pieces, block, rows, wanted)

    def _pieces(
        self, block: Block, rows: int, wanted: Collection[str], tally: Tally
    ) -> Iterator[Piece]:
        return self.pieces(split(block, self.source.line_bytes), rows, wanted, tally)

    def pieces(
        self, found_lines: Iterable[Line], rows: int, wanted: Collection[str], tally: Tally
    ) -> Iterator[Piece]:
        """The rows of some lines, one line after the other."""
        held: list[tuple[Any, ...]] = []
        lines: list[int] = []
        for number, data in found_lines:
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
            held.extend(found)
            lines.extend([number] * len(found))
            while len(held) >= rows:
                yield self._piece(held[:rows], lines[:rows], tally, wanted)
                del held[:rows], lines[:rows]
        if held:
            yield self._piece(held, lines, tally, wanted)

    def _piece(
        self,
        found: list[tuple[Any, ...]],
        lines: list[int],
        tally: Tally,
        wanted: Collection[str],
    ) -> Piece:
        return gathered(self.fields, found, lines, self.columns, wanted, tally)


def in_order(pieces: Iterable[Piece]) -> Iterator[Task]:
    """Tasks of a decoder that cannot decode its parts apart: they are decoded as they are cut."""
    for piece in pieces:
        yield partial(_one, piece)


def _one(piece: Piece, _tally: Tally) -> Iterator[Piece]:
    yield piece


def gathered(
    fields: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    lines: Sequence[int],
    shown: frozenset[str],
    wanted: Collection[str],
    tally: Tally,
) -> Piece:
    """Rows as columns, those that are `shown` and `wanted`; of others, whether they have values."""
    columns: dict[str, Sequence[Any]] = {}
    for name, values in zip(fields, zip(*rows, strict=True), strict=True):
        first = columns.get(name)
        columns[name] = values if first is None else _coalesce(first, values)
    for name in shown - tally.glimpsed:
        if name not in wanted and any(
            v is not None and v.__class__ is not Withheld for v in columns.get(name, ())
        ):
            tally.glimpsed.add(name)
    used = shown.intersection(wanted)
    return Piece({n: v for n, v in columns.items() if n in used}, np.array(lines, np.int64))


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
