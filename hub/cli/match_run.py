"""The pass of `stillwatch match` over its logs: blocks in parallel, everything told in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from hub.cli.match_explain import Explained
from hub.cli.match_inputs import LogFile
from hub.cli.match_journal import Done, Journal
from hub.cli.match_output import MatchSink
from hub.cli.match_progress import Show
from hub.cli.match_report import MatchReport, SourceReport
from hub.cli.match_words import plain
from hub.cli.match_work import Matching, Outcome, by_source, in_order, steps
from hub.errors import InputError
from hub.match.engine import IndicatorIndex
from hub.match.limits import StateLimits
from hub.match.run import ROWS
from hub.traffic.account_rows import ID_COLUMNS
from hub.traffic.formats import open_log
from hub.traffic.reader import BATCH_ROWS, LogReader

_EAGER: Final = 1 << 17
Opened = Sequence[tuple[LogFile, LogReader]]


def open_logs(
    logs: Sequence[LogFile], log_format: str, mapping: dict[str, str], examples: int
) -> tuple[list[tuple[LogFile, LogReader]], list[tuple[str, str]]]:
    """Readers of all files; a file of no known format is an error only if it was named."""
    opened: list[tuple[LogFile, LogReader]] = []
    unread: list[tuple[str, str]] = []
    for log in logs:
        try:
            reader = open_log(log.path, format=log_format, mapping=mapping, examples=examples)
            opened.append((log, reader))
        except InputError as error:
            if log.named:
                raise
            unread.append((log.source, error.message))
    if not opened:
        raise InputError(
            f"none of the {len(unread)} files is a log of a known format",
            hint="name one of them to see why",
        )
    return opened, unread


def limits_for(opened: Opened) -> StateLimits:
    """How much a pass holds back for patterns over several exchanges.

    One log is mostly in the order of time, so that little need wait; several may overlap.
    """
    return StateLimits(eager=_EAGER if len(opened) == 1 else None)


@dataclass
class _Log:
    """One log while it is matched."""

    log: LogFile
    reader: LogReader
    total: Outcome = field(default_factory=Outcome)
    matched: int = 0


@dataclass
class Pass:
    """Matches logs, and reports what that gives.

    Args:
        jobs: blocks that are decoded and matched at once.
        explained: takes the matches that are to be explained, if any are.
        journal: where finished logs are noted, so that a pass that is killed can go on.
    """

    index: IndicatorIndex
    matching: Matching
    report: MatchReport
    sink: MatchSink
    progress: Show
    jobs: int
    explained: Explained | None = None
    journal: Journal | None = None
    _number: int = 0
    _bytes: int = 0
    _rows: int = 0
    _completed: Counter[str] = field(default_factory=Counter)

    def __call__(self, opened: Opened) -> None:
        """Match the logs in their order, then tell what only the whole pass could complete."""
        pool = ThreadPoolExecutor(self.jobs) if self.jobs > 1 else None
        with pool or nullcontext():
            # A log that is noted as finished must be: the next begins only then.
            groups = [opened] if self.journal is None else [[one] for one in opened]
            for group in groups:
                self._group(group, pool)
        self._complete(self.matching.run.finish())
        for source in self.report.sources:
            source.matched += self._completed[source.name]
        self.report.followed = self.matching.run.report

    def _complete(self, completed: pa.Table) -> None:
        """Tell matches of patterns over several exchanges, which may be of any log."""
        if self.explained is not None:
            self.explained.follow(self.matching.run.trails())
        for source, matches in by_source(completed).items():
            self._take(matches)
            self._completed[source] += self.report.add(matches)

    def _group(self, group: Opened, pool: ThreadPoolExecutor | None) -> None:
        logs = [_Log(*one) for one in group]
        at = 0
        before = self.matching.run.held_back
        done = None if self.journal is None else self.journal.finished(logs[0].log)
        if done is not None and _restored(logs[0].reader, done):
            self._add(logs[0], done.outcome)
        else:
            for number, outcome in in_order(pool, self.jobs, self._steps(logs)):
                while at < number:
                    self._end(logs[at])
                    at += 1
                self._add(logs[at], outcome)
            if self.journal is not None and self.matching.run.held_back == before:
                one = logs[0]
                self.journal.finish(one.log, Done(one.total, one.reader.saved()))
        for one in logs[at:]:
            self._end(one)

    def _steps(self, logs: Sequence[_Log]) -> Iterator[Callable[[], tuple[int, Outcome]]]:
        for number, one in enumerate(logs):
            # What a batch costs apart from its rows weighs more where decoding is cheap.
            rows = ROWS if one.reader.format_name == "parquet" else BATCH_ROWS
            bounds = self.matching.window.bounds
            tasks = one.reader.tasks(rows=rows, columns=self._wanted, bounds=bounds)
            for step in steps(
                self.matching, one.log.source, self._number, tasks, self._read_of(one.reader)
            ):
                self._number += 1
                yield _Numbered(number, step)

    @staticmethod
    def _read_of(reader: LogReader) -> Callable[[], int]:
        return lambda: reader.bytes_read

    @property
    def _wanted(self) -> frozenset[str]:
        ids = set() if self.matching.accounts is None else set(ID_COLUMNS)
        return self.index.columns | ids

    def _add(self, one: _Log, outcome: Outcome) -> None:
        total = one.total
        total.add(outcome)
        self._rows += outcome.rows
        self.progress(plain(one.log.source), self._bytes + outcome.read, self._rows)
        if outcome.first is not None and outcome.last is not None:
            self.report.span.add(outcome.rows, outcome.first, outcome.last)
        for place, matches in enumerate(outcome.matches):
            events = outcome.events[place] if outcome.events else None
            self._take(matches, events)
            one.matched += self.report.add(matches)
        # Completions are told as they come: a long pass must not gather them.
        self._complete(self.matching.run.drain())
        if self.journal is not None:
            total.matches += outcome.matches

    def _take(self, matches: pa.Table, events: pa.RecordBatch | None = None) -> None:
        self.sink.write(matches)
        if self.explained is not None:
            self.explained.take(matches, events)

    def _end(self, one: _Log) -> None:
        seen, reader = one.total.seen, one.reader
        self._bytes += reader.bytes_total
        rows = one.total.rows
        shown = reader.glimpsed.union(seen) if rows else reader.columns
        empty: list[Any] = sorted(reader.columns.intersection(self._wanted) - set(seen))
        self.report.sources.append(
            SourceReport(
                name=one.log.source,
                format=reader.format_name,
                rows=rows,
                outside=one.total.outside + reader.outside,
                matched=one.matched,
                joined=None if self.matching.accounts is None else one.total.joined,
                columns=dict(sorted(seen.items())),
                empty=empty if rows else [],
                coverage=self.index.coverage(shown),
                reader=reader,
            )
        )


def _restored(reader: LogReader, done: Done) -> bool:
    """Take over what was counted in a finished log; False where that makes no sense."""
    try:
        reader.restore(done.counts)
    except (KeyError, TypeError, ValueError, AttributeError):
        return False
    return True


@dataclass(frozen=True)
class _Numbered:
    """A step of which the log is told."""

    log: int
    step: Callable[[], Outcome]

    def __call__(self) -> tuple[int, Outcome]:
        return self.log, self.step()
