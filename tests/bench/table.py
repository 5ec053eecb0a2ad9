"""The rows that every measurement gives, and how they are printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One measurement.

    Args:
        work: what was done.
        ours: our figure, with its unit.
        theirs: the other's, with its unit; empty when there is no other.
        ratio: ours over theirs as "times better", or None.
        floor: what the ratio or figure has to reach; empty when nothing was asked.
    """

    work: str
    ours: str
    theirs: str
    ratio: float | None
    floor: str


_TITLES = ("work", "ours", "theirs", "ratio", "floor")


def render(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [_TITLES, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_TITLES))]
    text = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
    return "\n".join(
        [text[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *text[1:]]
    )


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio:,.{1 if row.ratio >= 1 else 2}f}x"
    return (row.work, row.ours, row.theirs, ratio, row.floor)
