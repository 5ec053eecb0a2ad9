"""What a reader could not use: counted whole, shown by a few examples, never with content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

EXAMPLES: Final = 5
_REASONS: Final = 200


def wrong_width(found: int, expected: int) -> str:
    """Why a record of a table with a header is malformed."""
    return f"{found} field{'' if found == 1 else 's'} where the header has {expected}"


class RejectError(ValueError):
    """One line of a log cannot become a row; its text is the reason, without the content."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One place that could not be used.

    Args:
        line: the 1-based line, or record for Parquet; 0 for the file as a whole.
        reason: what is wrong, never the content itself.
    """

    line: int
    reason: str


@dataclass(slots=True)
class Problems:
    """A count, the first examples and a tally by reason; its size does not grow with the log.

    Attributes:
        damage: what is wrong with the file itself, so that an unknown part of it was not read.
    """

    limit: int = EXAMPLES
    count: int = 0
    examples: list[Problem] = field(default_factory=list)
    by_reason: Counter[str] = field(default_factory=Counter)
    damage: str | None = None

    def broken(self, line: int, damage: str, rest: str, times: int = 1) -> None:
        """Count damage of the file; `rest` says what became of the other parts."""
        self.damage = self.damage or damage
        self.add(line, f"{damage}; {rest}", times)

    def add(self, line: int, reason: str, times: int = 1) -> None:
        """Count `times` problems of one kind, the first of them at `line`."""
        self.count += times
        self._tell(reason, times)
        self._show([Problem(line, reason)])

    def merge(self, later: Problems) -> None:
        """Add what a later part of the same file came upon."""
        self.damage = self.damage or later.damage
        self.count += later.count
        for reason, times in later.by_reason.items():
            self._tell(reason, times)
        self._show(later.examples)

    def to_json(self) -> dict[str, Any]:
        """The problems as objects of JSON."""
        return {
            "count": self.count,
            "damage": self.damage,
            "reasons": dict(self.by_reason),
            "examples": [[problem.line, problem.reason] for problem in self.examples],
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take over what `to_json` gave."""
        self.count = int(kept["count"])
        self.damage = None if kept["damage"] is None else str(kept["damage"])
        self.by_reason = Counter({str(k): int(v) for k, v in kept["reasons"].items()})
        self.examples = [Problem(int(line), str(reason)) for line, reason in kept["examples"]]

    def _show(self, more: list[Problem]) -> None:
        """Keep the first examples of the file, in whatever order they are come upon."""
        if len(self.examples) == self.limit and more and self.limit:
            more = [problem for problem in more if problem < self.examples[-1]]
        if more:
            self.examples = sorted([*self.examples, *more])[: self.limit]

    def _tell(self, reason: str, times: int) -> None:
        if reason in self.by_reason or len(self.by_reason) < _REASONS:
            self.by_reason[reason] += times
        else:
            self.by_reason["other reasons"] += times


@dataclass(slots=True)
class Tally:
    """Everything that a pass over a log leaves out or changes.

    Attributes:
        rejects: lines that gave no row (malformed, too long, no usable time).
        field_problems: fields of kept rows that were set to null (bad address, bad number).
        skipped: well-formed records that describe no exchange, such as foreign spans.
        naive_times: rows whose time named no zone and was read as UTC.
        file_times: rows whose time rests on that of the file, such as a year that no line has.
        outside: rows that were not read, because all of their part lies outside the times wanted.
        glimpsed: TRAFFIC columns that nobody asked for, of which some value was seen.
    """

    rejects: Problems = field(default_factory=Problems)
    field_problems: Problems = field(default_factory=Problems)
    skipped: int = 0
    naive_times: int = 0
    file_times: int = 0
    outside: int = 0
    glimpsed: set[str] = field(default_factory=set)

    @classmethod
    def showing(cls, examples: int) -> Tally:
        """An empty tally that keeps this many examples of each kind."""
        return cls(Problems(examples), Problems(examples))

    def merge(self, later: Tally) -> None:
        """Add what a later part of the same file came upon."""
        self.rejects.merge(later.rejects)
        self.field_problems.merge(later.field_problems)
        self.skipped += later.skipped
        self.naive_times += later.naive_times
        self.file_times += later.file_times
        self.outside += later.outside
        self.glimpsed |= later.glimpsed

    def to_json(self) -> dict[str, Any]:
        """The tally as objects of JSON."""
        return {
            "rejects": self.rejects.to_json(),
            "field_problems": self.field_problems.to_json(),
            "skipped": self.skipped,
            "naive_times": self.naive_times,
            "file_times": self.file_times,
            "outside": self.outside,
            "glimpsed": sorted(self.glimpsed),
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take over what `to_json` gave."""
        self.rejects.restore(kept["rejects"])
        self.field_problems.restore(kept["field_problems"])
        self.skipped = int(kept["skipped"])
        self.naive_times = int(kept["naive_times"])
        self.file_times = int(kept["file_times"])
        self.outside = int(kept["outside"])
        self.glimpsed = {str(name) for name in kept["glimpsed"]}
