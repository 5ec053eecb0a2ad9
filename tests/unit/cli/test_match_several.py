"""`stillwatch match --explain` for patterns that several exchanges complete."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.cli.test_match import _ok
from tests.unit.cli.test_match_limits import REPEATS, exchanges, several

_CHAIN = (
    "([llm-exchange:usage_output_tokens = 3] FOLLOWEDBY "
    "[llm-exchange:usage_output_tokens > 8 AND llm-exchange:usage_output_tokens = 9]) "
    "WITHIN 600 SECONDS"
)


def test_an_explanation_names_the_exchanges_and_the_clauses_of_the_last(tmp_path: Path) -> None:
    lab = several(tmp_path, _CHAIN, REPEATS)
    log = exchanges(tmp_path / "a.jsonl", 12)
    report = json.loads(_ok(log, "--indicators", lab, "--explain", "a9", "--json"))
    told = {one["indicator_id"][-1]: one for one in report["explanations"]}
    assert [other["event_id"] for other in told["0"]["other_events"]] == ["a3"]
    assert told["0"]["other_events"][0] == {
        "event_id": "a3",
        "observed_at": "2026-11-20T10:00:03.000Z",
        "leaves": [0],
    }
    assert [(one["leaf"], one["verdict"]) for one in told["0"]["clauses"]] == [
        (0, "fails"),
        (1, "holds"),
        (1, "holds"),
    ]
    assert [other["event_id"] for other in told["1"]["other_events"]] == ["a5", "a6", "a7", "a8"]
    assert told["1"]["event_id"] == "a9"
    assert report["not_explained"] == 0


def test_so_many_are_explained_and_the_others_counted(tmp_path: Path) -> None:
    lab, log = several(tmp_path, REPEATS), exchanges(tmp_path / "a.jsonl", 40)
    report = json.loads(_ok(log, "--indicators", lab, "--explain", "2", "--json"))
    assert [one["event_id"] for one in report["explanations"]] == ["a4", "a9"]
    assert report["not_explained"] == 6
    text = " ".join(_ok(log, "--indicators", lab, "--explain", "1").split())
    assert "together with" in text
    assert "a3 2026-11-20T10:00:03.000Z [1]" in text
    assert "a4 matches behaviour.0" in text


def test_a_long_list_is_cut_in_the_panel(tmp_path: Path) -> None:
    pattern = "[ipv4-addr:value = '203.0.113.7'] REPEATS 150 TIMES WITHIN 600 SECONDS"
    lab, log = several(tmp_path, pattern), exchanges(tmp_path / "a.jsonl", 150)
    report = json.loads(_ok(log, "--indicators", lab, "--explain", "all", "--json"))
    [told] = report["explanations"]
    assert len(told["other_events"]) == 100
    assert told["more_events"] == 49
    assert "137 exchanges before" in _ok(log, "--indicators", lab, "--explain", "all")
