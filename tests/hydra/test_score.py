"""The examiner's own arithmetic, on a truth small enough to count by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from tests.hydra.rivals import rivals
from tests.hydra.scenario import LEVELS, Scenario
from tests.hydra.score import Truth, score
from tests.hydra.world import generate

BEGUN = datetime(2026, 3, 2, tzinfo=UTC)
# Accounts a to d are cluster 0, e and f cluster 1, g to j honest.
TRUTH = Truth(
    cluster=np.array([0, 0, 0, 0, 1, 1, -1, -1, -1, -1]),
    kind=pa.array(["hydra"] * 6 + ["person", "person", "family", "company"]),
    first_seen=np.full(10, int(BEGUN.timestamp() * 1_000_000)),
    row={name: row for row, name in enumerate("abcdefghij")},
    days=5,
)


def findings(*rows: tuple[str, str, float]) -> pa.Table:
    names, groups, hours = zip(*rows, strict=True)
    times = [BEGUN + timedelta(hours=hour) for hour in hours]
    return pa.table(
        {
            "account_id": list(names),
            "cluster_id": list(groups),
            "detected_at": pa.array(times, pa.timestamp("us", tz="UTC")),
        }
    )


def test_accounts_clusters_hours_and_false_alarms_are_counted() -> None:
    rows = [("a", "x", 3.0), ("b", "x", 2.0), ("a", "x", 9.0), ("g", "x", 1.0), ("e", "y", 6.0)]
    judged = score(TRUTH, findings(*rows))
    assert judged.precision == pytest.approx(3 / 4)
    assert judged.recall == pytest.approx(3 / 6)
    assert judged.f1 == pytest.approx(2 * 3 / (4 + 6))
    assert (judged.found, judged.planted) == (2, 2)
    assert judged.hours == pytest.approx((2.0, 6.0))
    assert judged.false_alarms == pytest.approx(1 / (4 * 5))
    assert judged.blamed == {"person": 1}


def test_a_cluster_drowned_in_honest_accounts_or_half_unseen_is_not_found() -> None:
    drowned = [("a", "x", 3), ("b", "x", 3), ("g", "x", 3), ("h", "x", 3), ("i", "x", 3)]
    assert score(TRUTH, findings(*drowned)).found == 0
    assert score(TRUTH, findings(("a", "x", 3))).missed == (4, 2)


def test_one_finding_for_two_clusters_is_told_as_merged() -> None:
    merged = score(TRUTH, findings(*[(name, "x", 1.0) for name in "abcdef"]))
    assert (merged.found, merged.merged) == (2, 1)
    apart = score(TRUTH, findings(("a", "x", 1), ("b", "x", 1), ("e", "y", 1)))
    assert (apart.found, apart.merged) == (2, 0)


def test_impossible_findings_are_refused() -> None:
    with pytest.raises(AssertionError, match="not in the log"):
        score(TRUTH, findings(("z", "x", 1)))
    with pytest.raises(AssertionError, match="before"):
        score(TRUTH, findings(("a", "x", -1), ("b", "x", 1)))


def test_rivals_are_neither_blind_nor_enough() -> None:
    """Were a single layer enough, the table would show nothing; were it blind, neither."""
    world = generate(Scenario(seed=5, level=LEVELS["10 a day"], people=1500, sizes=(30, 60)))
    found = {rival.name: rival.score for rival in rivals(world)}
    assert len(found) == 6
    assert all(0.2 < one.f1 < 0.93 for one in found.values()), found
