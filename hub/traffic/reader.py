"""The reader of one log file: TRAFFIC batches out, and an account of what was left out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from hub.match.schema import TRAFFIC_SCHEMA
from hub.traffic.assemble import assemble
from hub.traffic.chats import with_user_texts
from hub.traffic.decode import Bounded, Bounds, Decoder, Task
from hub.traffic.problems import EXAMPLES, Problems, Tally
from hub.traffic.source import Source

BATCH_ROWS: Final = 16_384
"""Rows of a batch; more gain no speed, and hold more Python objects at once."""
_ALWAYS: Final = ("observed_at", "event_id")


class LogReader:
    """Streams one log file in bounded memory; made by `hub.traffic.formats.open_log`.

    Args:
        chats: whether prompts that are chats as JSON become the user's texts.

    Attributes:
        path, format_name: the file and the format it is read as.
    """

    def __init__(
        self,
        source: Source,
        decoder: Decoder,
        format_name: str,
        *,
        examples: int = EXAMPLES,
        chats: bool = False,
    ) -> None:
        self.format_name = format_name
        self._chats = chats
        self._examples = examples
        self._counts = _Counts(examples)
        self._source = source
        self._decoder = decoder

    @property
    def path(self) -> Path:
        """The file."""
        return self._source.path

    @property
    def tally(self) -> Tally:
        """What was left out; the properties below show its parts."""
        return self._counts.total.tally

    @property
    def seen(self) -> dict[str, int]:
        """Non-null values per TRAFFIC column, so far."""
        return self._counts.total.seen

    @property
    def rows(self) -> int:
        """Rows given out so far."""
        return self._counts.total.rows

    @property
    def columns(self) -> frozenset[str]:
        """TRAFFIC columns that this format can show."""
        return self._decoder.columns

    @property
    def unused(self) -> tuple[str, ...]:
        """Fields of a generic format that fill no column: perhaps `--map` should name them."""
        return self._decoder.unused

    @property
    def rejects(self) -> Problems:
        """Lines that gave no row: malformed, too long, without a usable time."""
        return self.tally.rejects

    @property
    def damage(self) -> str | None:
        """What is wrong with the file itself, so that an unknown part of it was not read."""
        return self.tally.rejects.damage

    @property
    def field_problems(self) -> Problems:
        """Fields of kept rows that were set to null, such as a bad address."""
        return self.tally.field_problems

    @property
    def skipped(self) -> int:
        """Well-formed records that describe no exchange, such as foreign spans."""
        return self.tally.skipped

    @property
    def naive_times(self) -> int:
        """Rows whose time named no zone and was read as UTC."""
        return self.tally.naive_times

    @property
    def file_times(self) -> int:
        """Rows whose time rests on that of the file, such as a year that no line has."""
        return self.tally.file_times

    @property
    def outside(self) -> int:
        """Rows that were not read, because all of their part lies outside the bounds."""
        return self.tally.outside

    @property
    def bytes_total(self) -> int:
        """Size of the file as stored (compressed)."""
        return self._source.size

    @property
    def bytes_read(self) -> int:
        """Bytes of the file consumed, for progress."""
        return self._source.read

    @property
    def glimpsed(self) -> frozenset[str]:
        """Columns that were not asked for, of which some value was seen."""
        return frozenset(self.tally.glimpsed)

    def saved(self) -> dict[str, Any]:
        """The counts as objects of JSON, for `restore`."""
        return self._counts.total.to_json()

    def restore(self, counts: Mapping[str, Any]) -> None:
        """Take over the counts of an earlier pass over the same file.

        Raises:
            KeyError, TypeError, ValueError: they are not what `saved` gave.
        """
        self._counts = _Counts(self._examples)
        self._counts.total.restore(counts)

    def batches(
        self, rows: int = BATCH_ROWS, columns: Collection[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Give TRAFFIC_SCHEMA batches of at most `rows` rows and about 64 MiB of log.

        A damaged line, record or end of stream is counted in `rejects`, never raised. Each call
        begins anew at the file's start, with new counts.

        Args:
            columns: the columns that are needed, beside time and id; others come as null.
        Raises:
            InputError: the disk fails, or the file was exchanged for one that is no log.
        """
        for task in self.tasks(rows, columns):
            yield from task()

    def tasks(
        self,
        rows: int = BATCH_ROWS,
        columns: Collection[str] | None = None,
        bounds: Bounds | None = None,
    ) -> Iterator[Callable[[], list[pa.RecordBatch]]]:
        """Cut the log into tasks that give the batches of `batches`, each those of one block.

        Cutting is sequential and cheap; a task decodes its block without touching the others, so
        that several threads may run tasks while the next are cut. The order of the rows is that
        of the tasks. The counts of the reader (`rows`, `seen`, `rejects` and so on) are whole,
        and the same as those of sequential reading, when the iterator has ended and every task
        was run; meanwhile they cover an unbroken part of the log from its beginning. A task that
        is never run leaves out its own block and the counts after it.

        Args:
            rows, columns: as for `batches`.
            bounds: the times that are wanted. Rows of other times are left out where the format
                tells so before they are read, and then counted in `outside`; else they come too.
        Raises:
            InputError: while cutting: the disk fails, or the file was exchanged for one that is
                no log.
        """
        counts = self._counts = _Counts(self._examples)
        wanted = TRAFFIC_SCHEMA.names if columns is None else {*_ALWAYS, *columns}
        cut = Tally.showing(self._examples)
        number = 0
        decoder = self._decoder
        if bounds is not None and isinstance(decoder, Bounded):
            decoder = decoder.within(bounds)
        for task in decoder.tasks(rows, cut, wanted):
            yield partial(self._run, task, number, counts)
            number += 1
        # What ends a stream is told after what was read of it.
        counts.put(number, _Part(cut))

    def _run(self, task: Task, number: int, counts: _Counts) -> list[pa.RecordBatch]:
        part = _Part(Tally.showing(self._examples))
        found = []
        for piece in task(part.tally):
            shown = with_user_texts(piece) if self._chats else piece
            batch = assemble(shown, part.tally, self.path.name)
            part.add(batch)
            if batch.num_rows:
                found.append(batch)
        counts.put(number, part)
        return found


@dataclass
class _Part:
    """What was counted in one block, or in a run of blocks."""

    tally: Tally
    rows: int = 0
    seen: dict[str, int] = field(default_factory=dict)

    def add(self, batch: pa.RecordBatch) -> None:
        self.rows += batch.num_rows
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            shown = len(column) - column.null_count
            if shown:
                self.seen[name] = self.seen.get(name, 0) + shown

    def to_json(self) -> dict[str, Any]:
        return {"rows": self.rows, "seen": self.seen, "tally": self.tally.to_json()}

    def restore(self, kept: Mapping[str, Any]) -> None:
        self.rows = int(kept["rows"])
        self.seen = {str(name): int(count) for name, count in kept["seen"].items()}
        self.tally.restore(kept["tally"])

    def merge(self, later: _Part) -> None:
        self.tally.merge(later.tally)
        self.rows += later.rows
        for name, shown in later.seen.items():
            self.seen[name] = self.seen.get(name, 0) + shown


class _Counts:
    """The counts of one pass, put together in the order of the blocks whoever ends first."""

    def __init__(self, examples: int) -> None:
        self.total = _Part(Tally.showing(examples))
        self._waiting: dict[int, _Part] = {}
        self._next = 0
        self._lock = threading.Lock()

    def put(self, number: int, part: _Part) -> None:
        with self._lock:
            self._waiting[number] = part
            while (ready := self._waiting.pop(self._next, None)) is not None:
                self.total.merge(ready)
                self._next += 1
