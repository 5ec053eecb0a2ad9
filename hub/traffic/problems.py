"""What a reader could not use: counted whole, shown by a few examples, never with content."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

EXAMPLES = 5
_REASONS = 200


@dataclass(frozen=True, slots=True)
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
    """A count, the first examples and a tally by reason; its size does not grow with the log."""

    limit: int = EXAMPLES
    count: int = 0
    examples: list[Problem] = field(default_factory=list)
    by_reason: Counter[str] = field(default_factory=Counter)

    def add(self, line: int, reason: str, times: int = 1) -> None:
        """Count `times` problems of one kind, the first of them at `line`."""
        self.count += times
        if reason in self.by_reason or len(self.by_reason) < _REASONS:
            self.by_reason[reason] += times
        else:
            self.by_reason["other reasons"] += times
        if len(self.examples) < self.limit:
            self.examples.append(Problem(line, reason))
