"""What the report makes of matches: grades, counts, spans; on hand-made tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hub.cli.match_inputs import Indicators
from hub.cli.match_report import (
    CANDIDATE,
    EVIDENCE,
    LEAD,
    Campaign,
    MatchReport,
    SourceReport,
    grade,
)
from hub.cli.match_view import show
from hub.cli.match_words import plain
from hub.match.engine import Coverage, IndicatorIndex
from hub.match.schema import MATCH_SCHEMA
from hub.traffic.formats import open_log

_START = datetime(2026, 11, 20, 12, tzinfo=UTC)
_A = "campaign--a"
_B = "campaign--b"


def _match(
    event: int,
    layer: str,
    *campaigns: str,
    account: str | None = "cus-1",
    indicator: str = "",
    source: str = "a.log",
    confidence: int | None = 80,
) -> dict[str, Any]:
    return {
        "event_id": f"e{event}",
        "observed_at": _START + timedelta(minutes=event),
        "source": source,
        "indicator_id": indicator or f"indicator--{layer}",
        "indicator_modified": _START,
        "layer": layer,
        "path": "p",
        "value": "v",
        "account_id": account,
        "campaign_ids": list(campaigns),
        "confidence": confidence,
        "publisher": "identity--lab",
        "marking": "TLP:AMBER",
    }


def _table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=MATCH_SCHEMA)


def _report(*tables: pa.Table) -> MatchReport:
    names = {_A: "HYDRA", "identity--lab": "Lab\x1b[31m"}
    report = MatchReport(Indicators(IndicatorIndex.build([]), names))
    for table in tables:
        report.add(table)
    return report


@pytest.mark.parametrize(
    ("layers", "campaign", "expected"),
    [
        (["prompt"], True, CANDIDATE),
        (["behaviour"], True, CANDIDATE),
        (["network"], True, LEAD),
        (["account"], False, LEAD),
        (["prompt", "network"], True, EVIDENCE),
        (["prompt", "network"], False, LEAD),
        (["prompt", "behaviour"], False, CANDIDATE),
    ],
)
def test_grades(layers: list[str], campaign: bool, expected: str) -> None:
    assert grade(layers, campaign=campaign) == expected


def _only(report: MatchReport, campaign: str = _A) -> Campaign:
    return report.campaigns[campaign]


def test_layers_corroborate_over_exchanges_sources_and_batches_of_one_customer() -> None:
    report = _report(
        _table(_match(1, "prompt", _A)),
        _table(_match(2, "network", _A, source="b.log")),
        _table(_match(3, "prompt", _A, account="cus-2")),
    )
    campaign = _only(report)
    assert {c.account_id: campaign.grade_of(c) for c in campaign.customers.values()} == {
        "cus-1": EVIDENCE,
        "cus-2": CANDIDATE,
    }
    assert campaign.grade == EVIDENCE
    assert campaign.corroborated == 0
    assert campaign.sources == {"a.log": 2, "b.log": 1}


def test_prompts_alone_are_candidates_however_many() -> None:
    report = _report(_table(*(_match(i, "prompt", _A, account=f"c{i}") for i in range(50))))
    assert _only(report).grade == CANDIDATE
    assert report.to_json(5)["campaigns_by_grade"] == {EVIDENCE: 0, LEAD: 0, CANDIDATE: 1}


def test_an_exchange_counts_once_however_many_indicators_hit_it() -> None:
    report = _report(
        _table(
            _match(1, "prompt", _A, indicator="indicator--1"),
            _match(1, "prompt", _A, indicator="indicator--2"),
            _match(1, "network", _A),
            _match(2, "network", _A),
        )
    )
    campaign = _only(report)
    assert report.matched == campaign.span.exchanges == 2
    assert campaign.corroborated == 1
    assert campaign.customers["cus-1"].layers == {"prompt": 1, "network": 2}
    assert campaign.customers["cus-1"].span.exchanges == 2
    assert (campaign.span.first, campaign.span.last) == (
        _START + timedelta(minutes=1),
        _START + timedelta(minutes=2),
    )


def test_campaigns_are_kept_apart() -> None:
    report = _report(
        _table(
            _match(1, "prompt", _A),
            _match(1, "network", _B),
            _match(2, "account", _A, _B),
            _match(3, "account"),
        )
    )
    assert report.matched == 3
    assert set(report.campaigns) == {_A, _B, ""}
    assert _only(report).span.exchanges == _only(report, _B).span.exchanges == 2
    assert [c.campaign_id for c in report.ordered()] == [_A, _B, ""]
    assert _only(report, "").grade == LEAD
    assert report.to_json(5)["campaigns"][2]["campaign_id"] is None


def test_exchanges_without_an_account() -> None:
    report = _report(
        _table(
            _match(1, "network", _A, account=None),
            _match(1, "prompt", _A, account=None),
            _match(2, "network", _A, account=None),
        )
    )
    campaign = _only(report)
    assert (campaign.unattributed, campaign.corroborated, len(campaign.customers)) == (2, 1, 0)
    assert campaign.grade == EVIDENCE


def test_no_matches() -> None:
    report = _report(MATCH_SCHEMA.empty_table())
    assert report.campaigns == {}
    assert report.to_json(5)["matched_exchanges"] == 0


def test_validity_against_the_exchanges() -> None:
    hour = 3_600_000_000
    at = int(_START.timestamp()) * 1_000_000
    windows = [(0, at), (0, at + 1), (at + hour, 2**62), (at + hour + 1, 2**62)]
    report = _report()
    report.indicators.windows.extend(windows)
    assert report.validity() == (0, 0)
    report.span.add(2, _START, _START + timedelta(hours=1))
    assert report.validity() == (1, 1)


def _source(folder: Path, name: str, lacking: dict[str, tuple[str, ...]]) -> SourceReport:
    path = folder / name
    path.write_text('{"timestamp": 1795144267, "model": "m"}\nbroken\n')
    reader = open_log(path)
    rows = sum(batch.num_rows for batch in reader.batches())
    return SourceReport(
        name=name,
        format=reader.format_name,
        rows=rows,
        outside=0,
        matched=0,
        joined=0,
        columns=dict(reader.seen),
        empty=["prompt"],
        coverage=Coverage({"prompt": False}, 1, lacking, {}),
        reader=reader,
    )


def test_unanswerable_means_by_no_source(tmp_path: Path) -> None:
    report = _report()
    two: dict[str, tuple[str, ...]] = {"indicator--2": ("x",), "indicator--3": ("x",)}
    one = {"indicator--1": ("x", "y"), **two}
    report.sources = [_source(tmp_path, "one", one), _source(tmp_path, "two", two)]
    assert report.unanswerable() == {("x",): ["indicator--2", "indicator--3"]}
    assert report.to_json(1)["indicators"]["not_answerable"] == [
        {"paths": ["x"], "count": 2, "examples": ["indicator--2"]}
    ]


def test_json_keys_are_stable(tmp_path: Path) -> None:
    report = _report(_table(_match(1, "network", _A), _match(2, "network", _A)))
    report.sources = [_source(tmp_path, "one", {})]
    report.unread = [("x.bin", "why")]
    document = report.to_json(5)
    assert set(document) == {
        "format",
        "exchanges",
        "matched_exchanges",
        "first_seen",
        "last_seen",
        "campaigns_by_grade",
        "campaigns",
        "sources",
        "unread_files",
        "several_exchanges",
        "indicators",
    }
    assert set(document["campaigns"][0]) == {
        "campaign_id",
        "name",
        "grade",
        "exchanges",
        "first_seen",
        "last_seen",
        "corroborated_exchanges",
        "exchanges_without_account",
        "sources",
        "layers",
        "customers_by_grade",
        "customers",
    }
    assert document["campaigns"][0]["layers"] == [
        {
            "layer": "network",
            "highest_confidence": 80,
            "customers": 1,
            "indicators": [
                {
                    "indicator_id": "indicator--network",
                    "indicator_name": None,
                    "confidence": 80,
                    "publisher": "identity--lab",
                    "publisher_name": "Lab\x1b[31m",
                    "marking": "TLP:AMBER",
                    "exchanges": 2,
                    "first_seen": "2026-11-20T12:01:00.000000Z",
                    "last_seen": "2026-11-20T12:02:00.000000Z",
                }
            ],
        }
    ]
    assert document["sources"][0]["rejected_lines"] == {
        "count": 1,
        "reasons": {"not JSON, or cut short": 1},
        "examples": [{"line": 2, "reason": "not JSON, or cut short"}],
    }


def test_the_view_shows_all_of_it_and_no_control_characters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "cus-\x1b]0;x\x07[bold]1"
    hits = (_match(i, "network", _A, account=evil, indicator=f"indicator--{i}") for i in range(9))
    report = _report(
        _table(
            *hits,
            _match(20, "prompt", _A, account=evil, confidence=None),
            _match(21, "network", _A, account=None),
            *(_match(30 + i, "prompt", _A, account=f"cus-{i}") for i in range(9)),
        )
    )
    report.span.add(100, _START, _START + timedelta(hours=2))
    report.indicators.windows.append((0, 1))
    report.indicators.revoked = 3
    report.unread = [("x.bin", "no known log format fits the first lines")]
    report.sources = [_source(tmp_path, "one.jsonl", {"indicator--9": ("some:path",)})]
    show(report, 3)
    text = capsys.readouterr().out
    assert "\x1b" not in text
    for part in (
        "HYDRA  evidence",
        "[bold]1",
        "and 7 more",
        "10 customers affected: 1 evidence, 9 candidate; 1 exchange without an account",
        "20 of 100 exchanges match: 1 campaign, 10 customers",
        "one.jsonl:2: not JSON, or cut short",
        "one.jsonl: this format can show prompt, but this file has none",
        "no exchange names a customer of the customer table",
        "not answerable: 1 indicator needs what is read of no log: some:path",
        "1 indicator expired before the first exchange",
        "3 indicators revoked, left out",
        "not read: x.bin",
    ):
        assert part in text, part


def test_plain_text() -> None:
    assert plain("a\x1b[31m\u202eb\n") == "a\ufffd[31m\ufffdb\ufffd"
