"""From a file of matches to sightings: counts and times only."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hub.client.reporter import prepare_false_positive, prepare_sightings, read_matches
from hub.errors import InputError
from hub.match.schema import MATCH_SCHEMA
from hub.model.codec import dumps
from tests.unit.client.circle import Circle, write_files

MOMENT = datetime(2026, 9, 15, 12, 30, tzinfo=UTC)


def _matches(indicators: list[str]) -> pa.Table:
    rows: list[dict[str, object]] = [
        {
            "event_id": event,
            "observed_at": MOMENT.replace(minute=minute),
            "source": "gateway.jsonl",
            "indicator_id": indicator,
            "indicator_modified": MOMENT,
            "layer": "network",
            "path": "ipv4-addr:value",
            "value": "203.0.x.x",
            "account_id": "cus-secret",
            "campaign_ids": [],
            "confidence": 80,
            "publisher": None,
            "marking": None,
        }
        for indicator in indicators
        for event, minute in (("e1", 10), ("e2", 50), ("e2", 50))
    ]
    return pa.Table.from_pylist(rows, schema=MATCH_SCHEMA)


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_matches_add_up_by_indicator(tmp_path: Path, suffix: str) -> None:
    table = _matches(["indicator--b", "indicator--a"])
    path = tmp_path / f"matches.{suffix}"
    if suffix == "parquet":
        pq.write_table(table, path)
    else:
        lines = [
            dumps({k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()})
            for row in table.to_pylist()
        ]
        path.write_bytes(b"\n".join(lines))
    first, second = read_matches(path)
    assert [first.indicator_id, second.indicator_id] == ["indicator--a", "indicator--b"]
    assert (first.count, first.first.minute, first.last.minute) == (2, 10, 50)
    assert first.first.utcoffset() is not None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.parquet", b"nothing of the kind"),
        ("m.jsonl", b"nothing of the kind"),
        ("m.jsonl", b'{"other": 1}'),
        ("m.csv", b"indicator_id\n"),
    ],
)
def test_files_that_hold_no_matches(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError):
        read_matches(tmp_path / name)


def test_a_file_without_matches_reports_nothing(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_bytes(b"")
    assert read_matches(tmp_path / "m.jsonl") == []


@pytest.fixture
def published(circle: Circle, tmp_path: Path) -> Circle:
    circle.open_channel()
    circle.admit("provider", "report")
    circle.publish("lab", *write_files(tmp_path))
    circle.pull("provider")
    return circle


def _some(circle: Circle) -> list[str]:
    objects = circle.desks["provider"].home.indicator_objects()
    return sorted(str(each["id"]) for each in objects if each["type"] == "indicator")


def test_only_counts_and_times_leave(published: Circle, tmp_path: Path) -> None:
    pq.write_table(_matches(_some(published)[:2]), tmp_path / "m.parquet")
    home = published.desks["provider"].home
    made = prepare_sightings(home, read_matches(tmp_path / "m.parquet"), now=published.clock())
    objects = made.objects()
    content = b"".join(dumps(each) for each in objects)
    for private in (b"cus-secret", b"203.0", b"gateway.jsonl", b'"e1"'):
        assert private not in content
    by_kind = {
        each["sighting_of_ref"].partition("--")[0]: each
        for each in objects
        if each["type"] == "sighting"
    }
    assert by_kind["indicator"]["count"] == 2
    # Liaisons learn the day, not the hour, and no count.
    assert by_kind["campaign"]["count"] == 1
    assert by_kind["campaign"]["first_seen"] == "2026-09-15T00:00:00.000Z"
    assert [each["type"] for each in objects if each["type"] == "identity"] == ["identity"]
    alone = prepare_sightings(
        home, read_matches(tmp_path / "m.parquet"), now=published.clock(), aggregate=False
    )
    subjects = [str(each.get("sighting_of_ref")) for each in alone.objects()]
    assert not [each for each in subjects if each.startswith("campaign")]


def test_what_is_not_reported_says_why(published: Circle) -> None:
    lab = published.desks["lab"].home
    own = prepare_false_positive(lab, _some(published)[0], "a mistake", now=published.clock())
    assert own.skipped == {_some(published)[0]: "our own"}
    unknown = "indicator--00000000-0000-4000-8000-000000000000"
    home = published.desks["provider"].home
    made = prepare_false_positive(home, unknown, "a mistake", now=published.clock())
    assert made.skipped == {unknown: "not received through a channel"}


@pytest.mark.parametrize("reason", ["", " ", "x" * 1001, "it is ann@mail.example"])
def test_reasons_that_are_refused(published: Circle, reason: str) -> None:
    home = published.desks["provider"].home
    with pytest.raises(InputError) as caught:
        prepare_false_positive(home, _some(published)[0], reason, now=published.clock())
    assert "ann@mail" not in str(caught.value)
