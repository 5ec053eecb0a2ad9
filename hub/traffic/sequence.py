"""Formats whose lines mean something only together, or with the time of their file."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from hub.errors import InputError
from hub.traffic.assemble import Piece
from hub.traffic.decode import Head, Row, Task, gathered, in_order
from hub.traffic.problems import Problems, RejectError, Tally
from hub.traffic.source import Source, split

_STAMP: Final = re.compile(
    r"(?<!\d)(20\d\d)-?(\d\d)-?(\d\d)(?:[T_-]?(\d\d)[:_-]?(\d\d)(?:[:_-]?(\d\d))?Z?)?(?!\d)"
)


def file_time(path: Path) -> datetime:
    """When a log was written: the last time in its name, else its date on disk.

    Raises:
        InputError: the disk fails.
    """
    for year, month, day, hour, minute, second in reversed(_STAMP.findall(path.name)):
        text = f"{year}-{month}-{day}T{hour or '00'}:{minute or '00'}:{second or '00'}+00:00"
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            continue
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", where=str(path)) from error


class Reading(Protocol):
    """One pass over one file, line by line.

    Attributes:
        file_times: rows so far whose time rests on that of the file.
    """

    file_times: int

    def line(self, number: int, data: bytes) -> Iterable[tuple[int, Row]] | None:
        """Take a line; give the rows that are complete, each with its own line number.

        Returns:
            None for a line that is no exchange.
        Raises:
            RejectError: a malformed line.
        """
        ...

    def end(self) -> Iterable[tuple[int, Row]]:
        """The rows that were still held when the file ended."""
        ...


@dataclass(frozen=True)
class SequenceFormat:
    """A format that is read line after line by one `Reading`; otherwise as `LineFormat`."""

    name: str
    title: str
    columns: frozenset[str]
    recognised: Callable[[Head], bool]
    begin: Callable[[Path], Reading]
    generic: bool = False

    def recognises(self, head: Head) -> bool:
        """Whether the file's first lines are of this format."""
        return self.recognised(head)

    def open(self, source: Source, head: Head) -> SequenceDecoder:
        """Make a decoder of one file."""
        return SequenceDecoder(source, self.begin, self.columns)


@dataclass
class SequenceDecoder:
    """Gathers the rows of a `Reading` into columns; each pass has a `Reading` of its own."""

    source: Source
    begin: Callable[[Path], Reading]
    columns: frozenset[str]
    unused: tuple[str, ...] = ()

    def tasks(self, rows: int, tally: Tally, wanted: Collection[str]) -> Iterator[Task]:
        """One task for each piece."""
        return in_order(self.pieces(rows, tally, wanted))

    def pieces(self, rows: int, tally: Tally, wanted: Collection[str]) -> Iterator[Piece]:
        """Raw columns of at most `rows` records, those that each block of the file completes."""
        reading = self.begin(self.source.path)
        held: list[tuple[int, Row]] = []
        damage = Problems(tally.rejects.limit)
        for block in self.source.cut(damage):
            for number, data in split(block, self.source.line_bytes):
                if data is None:
                    limit = self.source.line_bytes >> 20
                    tally.rejects.add(number, f"the line is longer than {limit} MiB")
                else:
                    held.extend(_taken(reading, number, data, tally))
            tally.file_times = reading.file_times
            yield from self._flush(held, rows, tally, wanted)
            held = []
        held.extend(reading.end())
        tally.file_times = reading.file_times
        # What ends a stream is told after what was read of it.
        tally.rejects.merge(damage)
        yield from self._flush(held, rows, tally, wanted)

    def _flush(
        self, held: list[tuple[int, Row]], rows: int, tally: Tally, wanted: Collection[str]
    ) -> Iterator[Piece]:
        for start in range(0, len(held), rows):
            lines, found = zip(*held[start : start + rows], strict=True)
            yield gathered(Row._fields, found, lines, self.columns, wanted, tally)


def _taken(reading: Reading, number: int, data: bytes, tally: Tally) -> Iterable[tuple[int, Row]]:
    try:
        found = reading.line(number, data)
    except RejectError as reason:
        if data.strip():
            tally.rejects.add(number, str(reason))
        return ()
    if found is None:
        tally.skipped += 1
        return ()
    return found
