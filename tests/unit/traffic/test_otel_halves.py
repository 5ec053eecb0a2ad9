"""A span and the log record of the same exchange are one row, as far as the window reaches."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from hub.traffic import otel
from hub.traffic.formats import open_log
from tests.unit.traffic.exchange import Exchange, lines
from tests.unit.traffic.exchanges import attribute, rows_of, several, span, written

_CONTENT = {"gen_ai.input.messages", "gen_ai.response.id"}


def _halves(e: Exchange, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """A span that lacks content and id, and a record that has little else."""
    whole = span(e, number)
    parts = [a for a in whole["attributes"] if a["key"] in _CONTENT]
    rest = [a for a in whole["attributes"] if a["key"] not in _CONTENT]
    record = {
        "traceId": whole["traceId"],
        "spanId": whole["spanId"],
        "timeUnixNano": str(int(whole["startTimeUnixNano"]) + 10**10),
        "eventName": "gen_ai.client.inference.operation.details",
        "attributes": [attribute("gen_ai.request.model", "another"), *parts],
    }
    return {**whole, "attributes": rest}, record


def _spans(*spans: dict[str, Any]) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}


def _logs(*records: dict[str, Any]) -> dict[str, Any]:
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]}


def _rows(folder: Path, *exports: dict[str, Any]) -> list[dict[str, Any]]:
    reader = open_log(written(folder, "log", lines(exports)))
    rows = rows_of(reader)
    assert reader.rejects.count == 0
    return rows


def _is_whole(row: dict[str, Any], e: Exchange) -> bool:
    names = set(Exchange.__dataclass_fields__) - {"org_id", "api_key_id"}
    return all(row[name] == getattr(e, name) for name in names)


def test_halves_in_any_order_are_one_row(tmp_path: Path) -> None:
    exchanges = several(4)
    halves = [_halves(e, n) for n, e in enumerate(exchanges, start=1)]
    spans = _spans(*(half for half, _ in halves))
    logs = _logs(*(half for _, half in halves))
    for exports in (
        [spans, logs],
        [logs, spans],
        [{**spans, **logs}],
        [part for s, r in halves for part in (_spans(s), _logs(r))],
    ):
        rows = sorted(_rows(tmp_path, *exports), key=lambda row: str(row["event_id"]))
        assert [_is_whole(row, e) for row, e in zip(rows, exchanges, strict=True)] == [True] * 4


def test_what_is_told_twice_by_the_same_side_stays_two_rows(tmp_path: Path) -> None:
    first, record = _halves(Exchange(), 1)
    assert len(_rows(tmp_path, _spans(first, first))) == 2
    assert len(_rows(tmp_path, _logs(record), _logs(record))) == 2
    assert len(_rows(tmp_path, _spans(first), _logs(record, record))) == 2
    other = {**record, "spanId": "f" * 16}
    assert len(_rows(tmp_path, _spans(first), _logs(other))) == 2
    nameless = [{**half, "traceId": "", "spanId": ""} for half in (first, record)]
    assert len(_rows(tmp_path, _spans(nameless[0]), _logs(nameless[1]))) == 2


@pytest.mark.parametrize("limit", ["WINDOW_ROWS", "WINDOW_BYTES"])
def test_the_window_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    halves = [_halves(e, n) for n, e in enumerate(several(60), start=1)]
    spans = [_spans(half) for half, _ in halves]
    logs = [_logs(half) for _, half in halves]
    assert len(_rows(tmp_path, *spans, *logs)) == 60
    monkeypatch.setattr(otel, limit, 20 if limit == "WINDOW_ROWS" else 20_000)
    assert len(_rows(tmp_path, *spans, *logs)) == 120
    near = itertools.chain.from_iterable(zip(spans, logs, strict=True))
    assert len(_rows(tmp_path, *near)) == 60


def test_nothing_stays_held() -> None:
    reading = otel._Reading(Path("log"))
    halves = [_halves(e, n) for n, e in enumerate(several(50), start=1)]
    given = 0
    for number, (first, record) in enumerate(halves, start=1):
        for export in (_spans(first), _logs(record)):
            given += len(list(reading.line(number, lines([export])) or ()))
    assert given == 50
    assert (reading._held, reading._size, list(reading.end())) == ({}, 0, [])
