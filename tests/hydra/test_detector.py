"""`stillwatch cluster` on a small world: it reaches the floors, and does so in two days.

The long measurement, over levels and seeds, is `python -m tests.bench.cluster`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.bench.cluster import detect
from tests.hydra.scenario import LEVELS, Scenario
from tests.hydra.score import Truth, score
from tests.hydra.world import World, generate

SMALL = Scenario(seed=21, level=LEVELS["50 a day"], people=1200, sizes=(12, 30))


@pytest.fixture(scope="module")
def world() -> World:
    return generate(SMALL)


@pytest.fixture(scope="module")
def findings(world: World, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    return detect(world, tmp_path_factory.mktemp("whole"))[0]


def test_planted_clusters_are_found_in_time_and_few_honest_accounts_blamed(
    world: World, findings: pa.Table
) -> None:
    judged = score(Truth.of(world), findings)
    assert judged.f1 >= 0.95, judged
    assert judged.found == judged.planted == 2, judged
    assert max(judged.hours) <= 48, judged
    assert judged.false_alarms <= 2e-4, judged


def test_findings_have_the_columns_that_were_promised(findings: pa.Table) -> None:
    assert {"account_id", "cluster_id", "score", "detected_at"} <= set(findings.column_names)
    assert findings["detected_at"].type == pa.timestamp("us", tz="UTC")
    assert all(findings[name].null_count == 0 for name in ("account_id", "cluster_id", "score"))
    assert len(pc.unique(findings["account_id"])) == findings.num_rows


def test_a_log_that_ends_two_days_after_a_cluster_began_shows_it(
    world: World, tmp_path: Path
) -> None:
    """Found within 48 hours means with what those hours show, not with the days after them."""
    truth = Truth.of(world)
    for cluster in (0, 1):
        began = int(truth.first_seen[truth.cluster == cluster].min())
        until = pa.scalar(began + 48 * 3_600_000_000, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
        seen = world.events.filter(pc.less_equal(world.events["timestamp"], until))
        found = set(detect(replace(world, events=seen), tmp_path)[0]["account_id"].to_pylist())
        alive = {
            name
            for name in pc.unique(seen["account_id"]).to_pylist()
            if truth.cluster[truth.row[name]] == cluster
        }
        assert len(found & alive) >= len(alive) / 2, (cluster, len(found & alive), len(alive))


def test_an_honest_world_raises_no_alarm_to_speak_of(tmp_path: Path) -> None:
    quiet = generate(replace(SMALL, clusters=0, sizes=()))
    found, _ = detect(quiet, tmp_path)
    assert found.num_rows <= 2, found.to_pylist()
