"""The detector on a small gateway: who is reported, who is not, when, and why."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pytest

from hub.match.cluster import ClusterDetector, Clusters, Parameters, WindowPattern, matching
from hub.match.schema import TRAFFIC_SCHEMA
from tests.unit.match.cluster.crowd import RULES, START, Pool, batch, people, pool


def detect(*batches: pa.RecordBatch, parameters: Parameters | None = None) -> Clusters:
    detector = ClusterDetector(parameters)
    for one in batches:
        detector.add(one)
    return detector.clusters()


@lru_cache
def world(*, shuffle: int = 0, without: tuple[str, ...] = ()) -> Clusters:
    return detect(batch(people(1) + pool(2, Pool()), shuffle=shuffle, without=without))


def reported(found: Clusters) -> set[str]:
    return {one.account_id for cluster in found.clusters for one in cluster.findings}


POOL = {f"pool-{number:04d}" for number in range(20)}


def test_the_pool_is_found_and_nobody_else() -> None:
    found = world()
    assert reported(found) == POOL
    assert len(found.clusters) == 1
    assert all(0.5 < one.score <= 1 for one in found.clusters[0].findings)


def test_without_a_customer_table_addresses_and_templates_suffice() -> None:
    assert reported(world(without=("fp_tokens",))) == POOL


def test_the_order_of_the_log_changes_nothing() -> None:
    one, other = world(), world(shuffle=5)
    assert reported(one) == reported(other)
    assert one.clusters[0].cluster_id == other.clusters[0].cluster_id
    assert one.clusters[0].detected_at == other.clusters[0].detected_at


def test_it_is_told_within_two_days_at_the_time_of_an_exchange() -> None:
    rows = batch(people(1) + pool(2, Pool()))
    times = dict.fromkeys(rows.column("observed_at").to_pylist())
    cluster = world().clusters[0]
    first = min(one.first_seen for one in cluster.findings)
    assert timedelta(0) < cluster.detected_at - first < timedelta(hours=48)
    for one in cluster.findings:
        assert one.detected_at in times
        assert one.first_seen <= one.detected_at <= one.last_seen


def test_what_had_happened_by_then_tells_the_cluster_too() -> None:
    cluster = world().clusters[0]
    rows = batch(people(1) + pool(2, Pool()))
    seen = [t <= cluster.detected_at for t in rows.column("observed_at").to_pylist()]
    early = detect(rows.filter(pa.array(seen)), parameters=Parameters())
    late = detect(rows.filter(pa.array([not s for s in seen])))
    assert reported(late) == POOL
    assert reported(early) <= POOL


def test_one_organisation_is_no_pool_however_much_it_shares() -> None:
    rows = people(1) + pool(2, Pool(org="org-evaluations", mix=0.0))
    assert reported(detect(batch(rows))) == set()


def test_an_organisation_that_nearly_everybody_has_answers_for_nobody() -> None:
    rows = people(1) + pool(2, Pool())
    for row in rows:
        row["org_id"] = "org-gateway"
    assert reported(detect(batch(rows))) == POOL


def test_a_pool_with_public_templates_is_told_by_cards_addresses_and_load() -> None:
    rows = people(1) + pool(2, Pool(carded=1.0))
    template = str(next(r["prompt"] for r in rows if str(r["prompt"]).startswith("Solve")))
    for number, row in enumerate(rows):
        if number % 4 == 0 and str(row["account_id"]).startswith("person"):
            row["prompt"] = template[: template.index("verdict")] + str(row["prompt"])
    assert reported(detect(batch(rows))) >= POOL - {"pool-0000"}


def test_one_office_without_an_organisation_is_no_pool() -> None:
    rows = pool(2, Pool(accounts=8, mix=0.0, carded=1.0))
    for row in rows:
        row["client_ip"] = "192.0.2.80"
    assert reported(detect(batch(people(1) + rows))) == set()


def test_a_class_on_one_campus_with_one_assignment_is_no_pool() -> None:
    students = pool(9, Pool(accounts=50, carded=0.0), name="student")
    for row in students:
        row["client_ip"] = "198.51.100.7"
    assert not detect(batch(people(1) + students)).clusters


def test_others_who_use_a_template_elsewhere_do_not_hide_a_pool() -> None:
    """Their load is uneven, but neither their client nor their addresses are the pool's."""
    others = people(8, count=18)
    rng = np.random.default_rng(8)
    for row in others:
        row["account_id"] = f"other-{row['account_id']}"
        row["client_ip"] = f"192.0.2.{int(rng.integers(1, 20))}"
        row["user_agent"] = "service/1"
        row["prompt"] = f"{RULES[0]} {row['prompt']}. {RULES[1]}"
    found = detect(batch(people(1) + pool(2, Pool(rate=40)) + others))
    assert len(found.clusters) == 1
    assert reported(found) == POOL


def test_strangers_on_one_campus_are_no_pool() -> None:
    assert world().accounts > 300
    assert reported(detect(batch(people(3)))) == set()


def test_a_crowd_that_shares_one_template_unevenly_is_no_pool() -> None:
    rng = np.random.default_rng(3)
    rows = people(1)
    for row in rows:
        if int(row["account_id"][-4:]) < 90:
            row["prompt"] = "Act as a patient tutor who never gives the answer away. " + str(
                row["prompt"] if rng.random() < 0.9 else ""
            )
    assert reported(detect(batch(rows))) == set()


def test_two_pools_are_two_clusters() -> None:
    other = pool(9, Pool(accounts=12, rate=20), name="ring")
    for row in other:
        row["client_ip"] = str(row["client_ip"]).replace("203.0.113", "192.0.2")
        row["user_agent"] = "gate/7"
        row["prompt"] = (
            str(row["prompt"])
            .replace("Solve the task", "Grade the essay")
            .replace("Then name the rule", "Afterwards quote the line")
        )
        row["fp_tokens"] = None
    found = detect(batch(people(1) + pool(2, Pool()) + other))
    names = [{one.account_id[:4] for one in cluster.findings} for cluster in found.clusters]
    assert names == [{"pool"}, {"ring"}]


def test_published_indicators_raise_the_score_and_make_no_cluster_alone() -> None:
    plain = world().clusters[0]
    detector = ClusterDetector()
    detector.add(batch(people(1) + pool(2, Pool())))
    detector.seed("campaign--1", POOL)
    detector.seed("campaign--2", {f"person-{number:04d}" for number in range(40)})
    found = detector.clusters()
    assert reported(found) == POOL
    assert found.clusters[0].score > plain.score
    assert all(one.seeded for one in found.clusters[0].findings)


def test_edges_name_what_is_shared_and_mask_it() -> None:
    edges = {edge.kind: edge for edge in world().clusters[0].edges}
    assert edges["address"].value == "203.0.113.0/24"
    assert edges["address"].outside == 0
    assert edges["payment-instrument"].accounts == 5
    assert edges["user agent"].value == "relay/1"
    detector = ClusterDetector(show_values=True)
    detector.add(batch(people(1) + pool(2, Pool())))
    shown = {edge.kind: edge.value for edge in detector.clusters().clusters[0].edges}
    assert shown["address"].startswith("203.0.113.")
    assert not shown["address"].endswith("/24")


def test_windows_are_what_behaviour_patterns_match() -> None:
    cluster = world().clusters[0]
    values = cluster.windows[0].values
    assert values["distinct_accounts"] == 20
    assert values["distinct_sources"] == 11
    assert 0 < values["account_share_gini"] < 0.25
    assert 0.6 < values["template_ratio"] < 0.8
    day = int(START.timestamp()) * 1_000_000
    patterns = {
        "even": WindowPattern(
            "[llm-exchange:window.account_share_gini <= 0.25 AND "
            "llm-exchange:window.distinct_accounts >= 20]",
            0,
            2**62,
        ),
        "many": WindowPattern("[llm-exchange:window.distinct_accounts >= 50]", 0, 2**62),
        "expired": WindowPattern("[llm-exchange:window.distinct_accounts >= 2]", 0, day),
        "broken": WindowPattern("[llm-exchange:window.", 0, 2**62),
    }
    assert matching(patterns, cluster.windows, "example-lab") == {"even": 3}


@pytest.mark.parametrize("name", ["client_ip", "user_agent", "account_id"])
def test_missing_columns_are_no_error(name: str) -> None:
    found = world(without=(name,))
    assert reported(found) <= POOL
    assert (found.accounts == 0) == (name == "account_id")


def test_nothing_in_nothing_out() -> None:
    assert detect().clusters == ()
    empty = pa.RecordBatch.from_pylist([], TRAFFIC_SCHEMA)
    assert detect(empty).accounts == 0
    rows = batch(people(1, count=3), without=("account_id",))
    found = detect(rows)
    assert (found.clusters, found.accounts, found.unnamed) == ((), 0, rows.num_rows)


def test_keys_stand_in_for_accounts_that_are_not_named() -> None:
    rows = people(1) + pool(2, Pool())
    for row in rows:
        row["api_key_id"] = "key-" + str(row.pop("account_id"))
    found = detect(batch(rows))
    assert found.keyed
    assert reported(found) == {f"key-{name}" for name in POOL}
