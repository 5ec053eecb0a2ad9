"""What the report says of patterns over several exchanges, and of what each test costs."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hub.cli import match_limits, match_run
from hub.cli.match_inputs import LogFile
from hub.cli.match_run import limits_for
from hub.match.limits import StateLimits, StateReport
from hub.model import codec
from hub.model.bundle import bundle
from hub.traffic.formats import open_log
from hub.traffic.reader import LogReader
from tests.unit.cli.test_match import _ok

_ADDRESS = "ipv4-addr:value = '203.0.113.7'"
REPEATS = f"[{_ADDRESS}] REPEATS 5 TIMES WITHIN 60 SECONDS"


def several(tmp_path: Path, *patterns: str, **controls: Any) -> Path:
    """A bundle of indicators with these patterns."""
    objects = [
        {
            "type": "indicator",
            "spec_version": "2.1",
            "id": f"indicator--00000000-0000-4000-8000-{number:012d}",
            "created": "2026-11-01T00:00:00Z",
            "modified": "2026-11-01T00:00:00Z",
            "name": f"behaviour.{number}",
            "pattern_type": "stix",
            "pattern": pattern,
            "valid_from": "2026-11-01T00:00:00Z",
            **controls,
        }
        for number, pattern in enumerate(patterns)
    ]
    path = tmp_path / "several.json"
    path.write_bytes(codec.dumps(bundle(objects)))
    return path


def exchanges(path: Path, count: int, **more: Any) -> Path:
    """A log of exchanges from one address, a second apart."""
    lines = [
        json.dumps(
            {
                "timestamp": f"2026-11-20T10:{number // 60:02d}:{number % 60:02d}Z",
                "request_id": f"{path.stem}{number}",
                "account_id": f"cus-{number % 3}",
                "client_ip": "203.0.113.7",
                "output_tokens": number,
                **more,
            }
        )
        for number in range(count)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_nothing_is_said_where_nothing_was_lost() -> None:
    assert match_limits.told(StateReport(completions=7, groups=3, steps=9), 0, 5) == []


@pytest.mark.parametrize(
    ("report", "scans", "words"),
    [
        (StateReport(evicted=2), 0, ["2 exchanges forgotten", "--since and --until"]),
        (StateReport(late=1), 0, ["1 exchange came too late", "in the order of time"]),
        (StateReport(ungrouped=3), 0, ["3 exchanges not counted", "--map or --accounts"]),
        (StateReport(held=4), 0, ["4 exchanges left over", "together with the next"]),
        (StateReport(), 5, ["5 tests are made of every exchange", "costs time"]),
        (StateReport(), 1, ["1 test is made of every exchange, since the pattern names no"]),
        (
            StateReport(given_up={"indicator--b": "costs", "indicator--a": "costs"}),
            0,
            ["2 indicators over several", "to the end: costs (such as indicator--a)"],
        ),
    ],
)
def test_each_loss_is_one_sentence_with_its_remedy(
    report: StateReport, scans: int, words: list[str]
) -> None:
    [said] = match_limits.told(report, scans, 1)
    assert all(word in said for word in words), said


def test_two_passes_add_up() -> None:
    one = StateReport(held=1, late=2, given_up={"indicator--a": "x"})
    both = match_limits.gathered(one, StateReport(held=3, evicted=1, given_up={"b": "y"}))
    assert (both.held, both.late, both.evicted, set(both.given_up)) == (
        4,
        2,
        1,
        {"indicator--a", "b"},
    )


def test_the_report_tells_what_is_left_over_and_what_scans(tmp_path: Path) -> None:
    lab = several(tmp_path, REPEATS, "[llm-exchange:usage_output_tokens > 900]")
    log = exchanges(tmp_path / "a.jsonl", 13)
    report = json.loads(_ok(log, "--indicators", lab, "--json"))
    assert report["several_exchanges"] == {
        "completions": 2,
        "held": 3,
        "evicted": 0,
        "late": 0,
        "ungrouped": 0,
        "given_up": [],
    }
    assert report["indicators"]["tests_of_every_exchange"] == 1
    text = " ".join(_ok(log, "--indicators", lab).split())
    assert "3 exchanges left over" in text
    assert "1 test is made of every exchange" in text


def test_completions_are_told_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = several(tmp_path, REPEATS)
    logs = [exchanges(tmp_path / f"{name}.jsonl", 40) for name in "ab"]
    whole = json.loads(_ok(*logs, "--indicators", lab, "--json"))
    assert [one["matched_exchanges"] for one in whole["sources"]] == [8, 8]
    monkeypatch.setattr("hub.cli.match.limits_for", lambda opened: StateLimits(waiting=10))
    ends: list[int] = []
    real = match_run.Pass._complete

    def complete(self: Any, completed: pa.Table) -> None:
        ends.append(completed.num_rows)
        real(self, completed)

    monkeypatch.setattr(match_run.Pass, "_complete", complete)
    flat = json.loads(_ok(logs[0], "--indicators", lab, "--json"))
    assert ends[-1] < sum(ends) == flat["sources"][0]["matched_exchanges"] == 8


def test_one_log_is_followed_early_and_several_are_not(tmp_path: Path) -> None:
    log = exchanges(tmp_path / "a.jsonl", 1)
    opened = [(LogFile(log, "a.jsonl", named=True), open_log(log))]
    assert limits_for(opened).eager is not None
    assert limits_for(opened * 2).eager is None


def test_parquet_is_read_in_larger_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab, log = several(tmp_path, REPEATS), tmp_path / "a.parquet"
    line = exchanges(tmp_path / "a.jsonl", 1)
    row = json.loads(line.read_text())
    pq.write_table(pa.Table.from_pylist([row]), log)
    asked: dict[str, int] = {}
    real = LogReader.tasks

    def watched(reader: Any, rows: int, **given: Any) -> Any:
        asked[reader.format_name] = rows
        return real(reader, rows, **given)

    monkeypatch.setattr(LogReader, "tasks", watched)
    _ok(line, log, "--indicators", lab)
    assert asked["parquet"] == 65_536
    assert asked["jsonl"] < asked["parquet"]


def test_a_window_counts_what_was_not_even_read(tmp_path: Path) -> None:
    lab, lines = several(tmp_path, f"[{_ADDRESS}]"), exchanges(tmp_path / "a.jsonl", 50)
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    for row in rows:
        row["timestamp"] = datetime.fromisoformat(row["timestamp"])
    log = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(rows), log, row_group_size=10)
    assert open_log(log).outside == 0
    window = ("--since", "2026-11-20T10:00:25Z", "--until", "2026-11-20T10:00:28Z")
    told = [json.loads(_ok(one, "--indicators", lab, *window, "--json")) for one in (lines, log)]
    assert [one["sources"][0]["outside_window"] for one in told] == [47, 47]
    assert [one["matched_exchanges"] for one in told] == [3, 3]
    later = json.loads(_ok(log, "--indicators", lab, "--since", "2026-11-21", "--json"))
    assert later["sources"][0]["outside_window"] == 50
