"""`stillwatch cluster` in process: logs, customer table, indicators, output, exit codes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from hub.cli.cluster import command
from hub.cli.cluster_report import FINDING_SCHEMA
from hub.errors import InputError
from hub.model import codec
from hub.model.identifiers import deterministic_id
from tests.unit.match.cluster.crowd import Pool, batch, people, pool

POOL = {f"pool-{number:04d}" for number in range(20)}


def invoke(*arguments: object, home: Path) -> Result:
    return CliRunner().invoke(
        command, [str(one) for one in arguments], env={"HOME": str(home)}, catch_exceptions=True
    )


def unwrapped(result: Result) -> str:
    """What was printed, without frames and the ends of lines."""
    return " ".join(result.output.replace("│", " ").split())


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    rows = batch(people(1) + pool(2, Pool()))
    kept = ["observed_at", "event_id", "account_id", "client_ip", "user_agent", "prompt"]
    path = folder / "traffic.parquet"
    pq.write_table(pa.Table.from_batches([rows]).select(kept), path)
    cards = ["account_id,payment"]
    cards += [f"pool-{n:04d},pmfp_{n // 5:012d}" for n in range(20)]
    (folder / "customers.csv").write_text("\n".join(cards) + "\n")
    return path


def bundle_of(folder: Path, *patterns: str) -> Path:
    made = datetime(2026, 1, 1, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    objects = [
        {
            "type": "indicator",
            "spec_version": "2.1",
            "id": deterministic_id("indicator", pattern),
            "created": made,
            "modified": made,
            "name": f"behaviour {number}",
            "pattern": pattern,
            "pattern_type": "stix",
            "valid_from": made,
        }
        for number, pattern in enumerate(patterns)
    ]
    path = folder / "bundle.json"
    document = {"type": "bundle", "id": deterministic_id("bundle", *patterns), "objects": objects}
    path.write_bytes(codec.dumps(document))
    return path


def test_findings_name_accounts_cluster_score_and_time(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "findings.parquet"
    result = invoke(log, "--out", out, home=tmp_path)
    assert result.exit_code == 0, result.output
    found = pq.read_table(out)
    assert found.schema.equals(FINDING_SCHEMA)
    assert found.schema.names[:4] == ["account_id", "cluster_id", "score", "detected_at"]
    assert set(found["account_id"].to_pylist()) == POOL
    assert "1 cluster, 20 of 319 accounts" in result.output
    assert "--accounts FILE" in result.output
    assert "score: how strongly" in result.output
    assert "its own addresses" in unwrapped(result)
    assert "of accounts share a card" not in unwrapped(result)
    assert oct(out.stat().st_mode & 0o777) == "0o600"


def test_a_customer_table_joins_without_any_channel_key(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "findings.jsonl"
    table = log.with_name("customers.csv")
    result = invoke(log, "--accounts", table, "--out", out, "--json", home=tmp_path)
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert {row["account_id"] for row in rows} == POOL
    assert max(row["evidence_identity"] for row in rows) > 2
    assert rows[0]["detected_at"].endswith("Z")
    (cluster,) = json.loads(result.stdout)["clusters"]
    kinds = {edge["kind"]: edge for edge in cluster["edges"]}
    assert kinds["payment-instrument"]["accounts"] == 5
    assert kinds["address"]["value"] == "203.0.113.0/24"
    assert "pmfp_" not in result.stdout


def test_what_accounts_share_by_card_is_told_with_a_customer_table(
    log: Path, tmp_path: Path
) -> None:
    result = invoke(log, "--accounts", log.with_name("customers.csv"), home=tmp_path)
    assert "% of accounts share a card" in unwrapped(result)


def test_silence_about_a_few_accounts_is_told_to_mean_little(tmp_path: Path) -> None:
    rows = [f"2026-11-10T00:00:0{n}Z,cus-{n},192.0.2.{n}" for n in range(9)]
    small = tmp_path / "small.csv"
    small.write_text("\n".join(["timestamp,account_id,client_ip", *rows]) + "\n")
    result = invoke(small, home=tmp_path)
    assert "9 accounts: too few to mean much" in result.output


def test_window_patterns_and_hits_are_told(log: Path, tmp_path: Path) -> None:
    bundle = bundle_of(
        tmp_path,
        "[llm-exchange:window.distinct_accounts >= 20 AND "
        "llm-exchange:window.template_ratio >= 0.5]",
        "[llm-exchange:window.distinct_accounts >= 50]",
        "[ipv4-addr:value = '203.0.113.3']",
    )
    result = invoke(log, "--indicators", bundle, "--json", home=tmp_path)
    assert result.exit_code == 0, result.output
    (cluster,) = json.loads(result.stdout)["clusters"]
    assert list(cluster["window_patterns"].values()) == [3]
    (hit,) = cluster["indicators"].values()
    assert hit == sum(one["seeded"] for one in cluster["accounts"]) > 15


def test_exit_codes(log: Path, tmp_path: Path) -> None:
    assert invoke(log, "--fail-on-match", home=tmp_path).exit_code == 1
    until = ("--until", "2026-03-03T00:00Z")
    quiet = invoke(log, *until, "--fail-on-match", home=tmp_path)
    assert quiet.exit_code == 0, quiet.output
    assert "0 clusters" in quiet.output
    wrong = invoke(log, "--out", tmp_path / "findings.csv", home=tmp_path)
    assert isinstance(wrong.exception, InputError)
    backwards = invoke(log, *until, "--since", "2026-04-01", home=tmp_path)
    assert isinstance(backwards.exception, InputError)
    empty = invoke(log, "--indicators", bundle_of(tmp_path), home=tmp_path)
    assert isinstance(empty.exception, InputError)


def test_one_core_and_two_give_one_answer(log: Path, tmp_path: Path) -> None:
    one, two = (invoke(log, "--json", "--jobs", n, home=tmp_path).stdout for n in (1, 2))
    assert one == two != ""
