"""Each field of each format replaced by what does not belong there: counted, never fatal."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import InputError
from hub.traffic.formats import open_log
from tests.unit.traffic.exchanges import NOON, WRITERS, Exchange, rows_of, several, written
from tests.unit.traffic.exchanges_gateways import GATEWAYS, kong_record, one_api_row
from tests.unit.traffic.exchanges_services import SERVICES

_NAMES = sorted({*GATEWAYS, *SERVICES, "litellm", "litellm-spend", "otel"} - {"vllm"})
_DEEP: Any = "bottom"
for key in ("content", "parts", "contents", "messages", "body", "input") * 10:
    _DEEP = [{"role": "user", key: _DEEP}]
_ODD: list[Any] = [
    *(None, True, False, 0, -1, 17, 1.5, 1e308, 2**53, 2**63, 2**70, -(2**80)),
    *("", " ", "-", "x", "\ud800", "a\x00b", "{", "[", '{"a":', "[1, 2]", "9" * 400, "::1%x"),
    *([], {}, [[]], [None], [1], ["x"], [{}], {"a": None}, {"role": "user"}, _DEEP),
]


def _changed(record: Any, odd: Any) -> Iterator[Any]:
    """The record with each value in it, at any depth, replaced or left out, one at a time."""
    items = list(record.items() if isinstance(record, dict) else enumerate(record))
    for key, value in items:
        copy = dict(record) if isinstance(record, dict) else list(record)
        copy[key] = odd
        yield copy
        if isinstance(value, dict | list):
            for inner in _changed(value, odd):
                copy = dict(record) if isinstance(record, dict) else list(record)
                copy[key] = inner
                yield copy
        if isinstance(record, dict):
            yield {k: v for k, v in record.items() if k != key}


@pytest.mark.parametrize("name", _NAMES)
def test_every_field_of_every_odd_type(tmp_path: Path, name: str) -> None:
    good = WRITERS[name]([Exchange()])
    record = json.loads(good)
    lines = [json.dumps(changed) for odd in _ODD for changed in _changed(record, odd)]
    path = written(tmp_path, "log", good + "".join(f"{line}\n" for line in lines).encode() + good)
    reader = open_log(path, format=name, examples=10_000)
    rows = rows_of(reader)
    assert len(rows) + reader.rejects.count + reader.skipped >= len(lines) + 2 > 100
    told = {problem.line for problem in reader.rejects.examples}
    assert not told & {1, len(lines) + 2}
    whole = {k: v for k, v in rows[0].items() if k != "event_id"}
    assert {k: v for k, v in rows[-1].items() if k != "event_id"} == whole
    assert len(rows) > len(lines) // 3
    everything = repr(reader.tally)
    assert "rivers" not in everything
    assert "192.0.2.7" not in everything


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted({*GATEWAYS, *SERVICES})), st.binary(max_size=200), st.data())
def test_random_damage_raises_nothing(
    tmp_path_factory: pytest.TempPathFactory, name: str, junk: bytes, data: st.DataObject
) -> None:
    whole = WRITERS[name](several(6))
    at = data.draw(st.integers(0, len(whole)))
    broken = whole[:at] + junk + whole[at + data.draw(st.integers(0, 40)) :]
    path = written(tmp_path_factory.mktemp("damage"), "log", broken or b"x")
    try:
        reader = open_log(path, format=name)
    except InputError:
        return  # the junk made it a file of another kind, such as UTF-16
    assert len(rows_of(reader)) <= 6 + junk.count(b"\n") + 1


@pytest.mark.parametrize("name", [*GATEWAYS, *SERVICES])
def test_last_line_cut_short(tmp_path: Path, name: str) -> None:
    cut = 20 if name != "vllm" else 140  # vLLM's lines end in parameters that nobody reads
    reader = open_log(written(tmp_path, "log", WRITERS[name](several(6))[:-cut]))
    assert len(rows_of(reader)) == 5
    assert reader.rejects.count == 1


@pytest.mark.parametrize("name", sorted({*GATEWAYS, *SERVICES} - {"vllm"}))
def test_the_last_of_duplicate_keys_wins(tmp_path: Path, name: str) -> None:
    line = WRITERS[name]([Exchange()])
    older = line.replace(b"example-model", b"older").rstrip()
    doubled = older[:-1] + b", " + line[1:]
    path = written(tmp_path, "log", doubled)
    assert rows_of(open_log(path, format=name))[0]["request_model"] == "example-model"


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
@pytest.mark.parametrize("as_text", [False, True])
def test_epochs_of_any_unit(tmp_path: Path, unit: int, as_text: bool) -> None:
    whole = int(NOON.timestamp()) * unit
    moment = str(whole) if as_text else whole
    records = {
        "kong": {**kong_record(Exchange()), "started_at": moment},
        "one-api": {**one_api_row(Exchange()), "created_at": moment},
    }
    for name, record in records.items():
        path = written(tmp_path, name, json.dumps(record).encode())
        found = rows_of(open_log(path))[0]["observed_at"]
        assert found == NOON.replace(microsecond=0)


@pytest.mark.parametrize("moment", ["", "x", "2026-13-40T00:00:00Z", "-1", None, 0, -5, 1e300, []])
@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("one-api", "created_at"),
        ("new-api", "created_at"),
        ("kong", "started_at"),
        ("envoy", "start_time"),
        ("cloudflare", "created_at"),
        ("portkey", "created_at"),
        ("openai-compatible", "ts"),
        ("helicone", "request_created_at"),
        ("langfuse", "start_time"),
        ("bedrock", "timestamp"),
        ("azure-openai", "time"),
        ("vertex", "logging_time"),
        ("ocsf", "time"),
    ],
)
def test_a_bad_time_rejects_the_line(tmp_path: Path, name: str, field: str, moment: Any) -> None:
    good = WRITERS[name]([Exchange()])
    bad = json.dumps({**json.loads(good), field: moment}).encode() + b"\n"
    reader = open_log(written(tmp_path, "log", good + bad + good))
    assert len(rows_of(reader)) == 2
    assert reader.rejects.by_reason == {"no usable time": 1}
    assert [problem.line for problem in reader.rejects.examples] == [2]


@pytest.mark.parametrize("name", [*GATEWAYS, *SERVICES])
def test_hostile_names_of_files_date_nothing_wrongly(tmp_path: Path, name: str) -> None:
    for file in ("log.20269999", "2026-02-30.log", "20\u0662\u0666-11-10", "1" * 200):
        path = written(tmp_path, file, WRITERS[name]([Exchange()]))
        os.utime(path, (NOON.timestamp(), NOON.timestamp()))
        assert rows_of(open_log(path))[0]["observed_at"].date() == NOON.date()
