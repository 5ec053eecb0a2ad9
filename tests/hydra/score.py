"""How well a list of reported accounts answers the truth."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.hydra.roster import Ints
from tests.hydra.world import World

_FOUND: Final = 0.5
"""Share of a planted cluster's accounts that has to be reported."""
_HOUR: Final = 3_600_000_000


@dataclass(frozen=True)
class Score:
    """One detector on one world, over the accounts that were seen in the log.

    Args:
        precision, recall, f1: of accounts; precision is 1 where nothing is reported.
        found, planted: clusters; found means that half of its accounts are reported in clusters
            most of whose reported accounts are planted ones.
        merged: reported clusters that hold half of two planted clusters or more.
        hours: for each found cluster, its first exchange to the first report of an account of it;
            empty where the detector tells no time.
        delay: median hours from an account's first exchange to its own report, NaN without times.
        false_alarms: honest accounts reported, per honest account and day.
        pieces: reported clusters for each found one, the mean.
        missed: sizes (accounts) of the clusters not found.
        blamed: honest accounts reported, by kind.
    """

    precision: float
    recall: float
    f1: float
    found: int
    planted: int
    merged: int
    hours: tuple[float, ...]
    delay: float
    false_alarms: float
    pieces: float
    missed: tuple[int, ...]
    blamed: dict[str, int]


@dataclass(frozen=True)
class Truth:
    """The truth as arrays over the accounts that were seen; `row` finds an account's row."""

    cluster: Ints
    kind: pa.Array
    first_seen: Ints
    row: dict[str, int]
    days: int

    @classmethod
    def of(cls, world: World) -> Truth:
        """Only accounts with an exchange count: nobody can report the others."""
        seen = world.truth.filter(pc.field("exchanges") > 0).combine_chunks()
        return cls(
            seen["cluster"].to_numpy(),
            seen["kind"].chunk(0),
            seen["first_seen"].cast(pa.int64()).to_numpy(),
            {name: row for row, name in enumerate(seen["account_id"].to_pylist())},
            world.scenario.days,
        )


def score(truth: Truth, findings: pa.Table) -> Score:
    """Judge findings.

    Args:
        findings: `account_id`, `cluster_id`, and `detected_at` where the detector tells times; a
            repeated account counts once, by its earliest report.
    Raises:
        AssertionError: an account that the log does not hold, or a time before its cluster began.
    """
    timed = "detected_at" in findings.column_names
    reported: dict[str, tuple[int, str]] = {}
    for row in findings.to_pylist():
        at = _micros(row["detected_at"]) if timed else 0
        held = reported.get(row["account_id"])
        if held is None or at < held[0]:
            reported[row["account_id"]] = (at, row["cluster_id"])
    unknown = reported.keys() - truth.row.keys()
    assert not unknown, f"{len(unknown)} reported accounts are not in the log"
    rows = np.array([truth.row[name] for name in reported], np.int64)
    times = np.array([at for at, _ in reported.values()], np.int64)
    groups = np.unique([group for _, group in reported.values()], return_inverse=True)[1]
    return _judged(truth, rows, times, groups.astype(np.int64), timed=timed)


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def _judged(truth: Truth, rows: Ints, times: Ints, groups: Ints, *, timed: bool) -> Score:
    cluster = truth.cluster[rows]
    true = int((cluster >= 0).sum())
    guilty = int((truth.cluster >= 0).sum())
    precision = true / len(rows) if len(rows) else 1.0
    recall = true / guilty if guilty else 1.0
    hours, pieces, missed = [], [], []
    halves: Counter[int] = Counter()
    for number in np.unique(truth.cluster[truth.cluster >= 0]).tolist():
        owned = [
            group
            for group in np.unique(groups[cluster == number]).tolist()
            if (cluster[groups == group] >= 0).mean() > 0.5
        ]
        members = (cluster == number) & np.isin(groups, owned)
        size = int((truth.cluster == number).sum())
        if members.sum() < _FOUND * size:
            missed.append(size)
            continue
        pieces.append(len(owned))
        halves.update(g for g in owned if (members & (groups == g)).sum() >= _FOUND * size)
        if timed:
            began = int(truth.first_seen[truth.cluster == number].min())
            first = int(times[members].min())
            assert first >= began, "reported before the cluster's first exchange"
            hours.append((first - began) / _HOUR)
    delays = (times - truth.first_seen[rows])[cluster >= 0] / _HOUR
    honest = len(truth.cluster) - guilty
    wrong = pc.value_counts(truth.kind.take(pa.array(rows[cluster < 0]))).to_pylist()
    return Score(
        precision=precision,
        recall=recall,
        f1=2 * true / max(1, len(rows) + guilty),
        found=len(pieces),
        planted=len(pieces) + len(missed),
        merged=sum(count > 1 for count in halves.values()),
        hours=tuple(hours),
        delay=float(np.median(delays)) if timed and len(delays) else float("nan"),
        false_alarms=(len(rows) - true) / max(1, honest * truth.days),
        pieces=float(np.mean(pieces)) if pieces else 0.0,
        missed=tuple(missed),
        blamed={entry["values"]: entry["counts"] for entry in wrong},
    )
