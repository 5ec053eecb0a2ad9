"""Indicators that arrive after the events find them, as a full match of the logs would."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hub.fingerprint import prompts
from hub.hunt.search import Window, columns, search
from hub.hunt.store import EventStore
from hub.match.engine import IndicatorIndex
from hub.match.limits import StateLimits, StateReport
from hub.match.plan import microseconds
from hub.match.run import Run
from hub.match.schema import MATCH_SCHEMA
from hub.traffic.formats import open_log
from tests.unit.hunt.logs import NOW, START, exchange, write

_BAD = prompts.features("Explain step by step the answer to task 77 of the long series")
_NEAR = prompts.features("Explain step by step the answer to task 5 of the very long series")
PATTERNS = {
    "address": "[ipv4-addr:value = '192.0.2.7']",
    "block": "[ipv4-addr:value ISSUBSET '192.0.2.64/29']",
    "account": "[user-account:user_id IN ('acct-1', 'acct-none')]",
    "raw": f"[llm-exchange:prompt.sha256_raw = '{_BAD.sha256_raw}']",
    "normal": f"[llm-exchange:prompt.sha256_norm = '{_BAD.sha256_norm}']",
    "template": f"[llm-exchange:prompt.template_sha256 = '{_BAD.template_sha256}']",
    "bands": "[llm-exchange:prompt.lsh_bands[*] IN ("
    + ", ".join(f"'{band}'" for band in _NEAR.lsh_bands)
    + ")]",
    "both": "[llm-exchange:request_model LIKE 'example-%' AND "
    f"llm-exchange:prompt.template_sha256 = '{_BAD.template_sha256}']",
    "repeats": "[ipv4-addr:value = '192.0.2.9'] REPEATS 2 TIMES WITHIN 864000 SECONDS",
}
TEXT = "[llm-exchange:prompt.text LIKE '%task 77 of%']"


def _indicator(number: int, pattern: str) -> dict[str, Any]:
    return {
        "type": "indicator",
        "id": f"indicator--00000000-0000-4000-8000-{number:012d}",
        "modified": "2026-11-19T00:00:00Z",
        "pattern_type": "stix",
        "pattern": pattern,
        "valid_from": "2026-10-01T00:00:00Z",
    }


_OBJECTS = [_indicator(n, pattern) for n, pattern in enumerate([*PATTERNS.values(), TEXT])]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("logs")
    exchanges = [exchange(n, hours=n / 4) for n in range(900)]
    return [
        write(folder / "a.jsonl", exchanges[:500]),
        write(folder / "b.jsonl", exchanges[500:]),
    ]


def _store(path: Path, logs: list[Path], *, texts: bool) -> EventStore:
    store = EventStore.create(path, texts=texts)
    with store.locked():
        for log in logs:
            store.add(open_log(log), log.name, now=NOW)
    return store


def _full(logs: list[Path], index: IndicatorIndex) -> list[dict[str, Any]]:
    run = index.run()
    tables = [
        run.match(batch, source=log.name, position=at)
        for at, log in enumerate(logs)
        for batch in open_log(log).batches(rows=10_000)
    ]
    return _rows([*tables, run.finish()])


def _rows(tables: list[pa.Table]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pa.concat_tables(tables).cast(MATCH_SCHEMA).to_pylist()
    return sorted(rows, key=lambda row: (row["indicator_id"], row["event_id"]))


def test_a_hunt_answers_as_a_match_does(tmp_path: Path, logs: list[Path]) -> None:
    index = IndicatorIndex.build(_OBJECTS[:-1])
    assert index.problems == ()
    store = _store(tmp_path / "store", logs, texts=False)
    found = _rows(list(search(store, store.parts(), index, jobs=2)))
    expected = _full(logs, index)
    assert {row["indicator_id"] for row in expected} == {one["id"] for one in _OBJECTS[:-1]}
    assert found == expected


def test_phrases_need_the_texts(tmp_path: Path, logs: list[Path]) -> None:
    index = IndicatorIndex.build(_OBJECTS[-1:])
    expected = _full(logs, index)
    assert len(expected) == 1
    with_texts = _store(tmp_path / "texts", logs, texts=True)
    assert _rows(list(search(with_texts, with_texts.parts(), index))) == expected
    without = _store(tmp_path / "bands", logs, texts=False)
    assert _rows(list(search(without, without.parts(), index))) == []
    filled = {name for part in without.parts() for name in part.columns}
    assert index.coverage(filled).not_answerable == {
        _OBJECTS[-1]["id"]: ("llm-exchange:prompt.text",)
    }
    hashed = IndicatorIndex.build(_OBJECTS[3:4])
    assert hashed.coverage(filled).not_answerable == {}


def test_only_the_columns_that_are_asked_about_are_read() -> None:
    index = IndicatorIndex.build(_OBJECTS[:1])
    assert columns(index, None) == {"observed_at", "event_id", "account_id", "client_ip"}
    index = IndicatorIndex.build(_OBJECTS[6:7])
    assert "prompt_bands" in columns(index, None)
    assert "prompt" not in columns(index, None)


def test_a_window_cuts_exchanges_and_skips_files(tmp_path: Path, logs: list[Path]) -> None:
    index = IndicatorIndex.build(_OBJECTS[2:3])
    store = _store(tmp_path / "store", logs, texts=False)
    since, until = START + timedelta(hours=30), START + timedelta(hours=31)
    window = Window(microseconds(since), microseconds(until))
    found = _rows(list(search(store, store.parts(), index, window=window)))
    assert found == [row for row in _full(logs, index) if since <= row["observed_at"] < until]
    assert len(found) == 1
    past = datetime(2020, 1, 1, tzinfo=UTC)
    assert not any(
        Window(microseconds(past), microseconds(past) + 1).holds(part) for part in store.parts()
    )


def test_completions_are_given_out_as_they_come(
    tmp_path: Path, logs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = IndicatorIndex.build([_indicator(8, PATTERNS["repeats"])])
    store = _store(tmp_path / "store", logs, texts=False)
    whole = list(search(store, store.parts(), index))
    monkeypatch.setattr("hub.hunt.store._BATCH_ROWS", 50)
    monkeypatch.setattr(index, "run", lambda: Run(index, StateLimits(waiting=2)))
    told: list[StateReport] = []
    early = list(search(store, store.parts(), index, followed=told.append))
    assert _rows(early) == _rows(whole) != []
    assert sum(table.num_rows for table in early[:-1]) > sum(one.num_rows for one in whole[:-1])
    assert [one.completions for one in told] == [len(_rows(whole))]
