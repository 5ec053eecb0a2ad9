"""What the demo checks of itself: matches against the planted truth, and the hub's silence."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from hub.cli.demo_stage import Stage


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


def canaries(folder: Path) -> list[bytes]:
    """Every clear value in the lab's files that must never reach the hub."""
    values = set[str]()
    for name in ("accounts.csv", "proxies.csv"):
        with (folder / name).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                values |= {row.get(column) or "" for column in ("email", "payment", "api_key")}
                values |= {row.get("address") or "", row["campaign"]}
    for line in (folder / "prompts.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        values.add(row.get("text") or row.get("pattern") or "")
    # Short values (an address without its prefix) could occur by chance.
    return sorted(value.encode() for value in values if len(value) >= 8)


def show_search(stage: Stage, place: str, hits: Mapping[str, set[bytes]]) -> None:
    """Print how many of the values a search found, and where."""
    found = len(set[bytes]().union(*hits.values()))
    where = f", in {', '.join(hits)}" if hits else ""
    stage.say(f"In the {place}: {found} values found{where}.")
