"""What the demo checks of itself: its matches against the planted truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


@dataclass(frozen=True)
class Comparison:
    """Matches beside the planted truth; numbers of (exchange, row of the lab's files)."""

    planted: int
    near_misses: int
    missed: int
    excess: int
    unknown: int


def check_matches(
    matches: Path, rows: Mapping[str, Sequence[str]], truth: Mapping[str, Any]
) -> Comparison:
    """Compare a file of matches with the truth that the samples' generator wrote.

    Args:
        matches: Parquet, MATCH_SCHEMA.
        rows: for each indicator in force, the places in the lab's files that it came from.
        truth: samples/truth.json.

    Returns:
        The comparison; `unknown` counts matches of indicators that are not in `rows`.
    """
    found = set[tuple[str, str, str]]()
    unknown = 0
    columns = ["source", "event_id", "indicator_id"]
    for match in pq.read_table(matches, columns=columns).to_pylist():
        if match["indicator_id"] not in rows:
            unknown += 1
        # A row and its duplicate make one indicator; the truth names the first of them.
        for row in rows.get(match["indicator_id"], ())[:1]:
            found.add((Path(match["source"]).name, match["event_id"], row))
    in_force = {row for places in rows.values() for row in places}
    planted = {
        (each["source"], each["event_id"], row)
        for each in truth["expected"]
        for row in each["rows"]
        if row in in_force
    }
    return Comparison(
        planted=len(truth["expected"]),
        near_misses=len(truth["near_misses"]),
        missed=len(planted - found),
        excess=len(found - planted),
        unknown=unknown,
    )
