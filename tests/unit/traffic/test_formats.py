"""Each format gives the same rows for the same exchanges, and is told by its content."""

from __future__ import annotations

import gzip
import json
import os
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hub.errors import InputError
from hub.match.schema import TRAFFIC_SCHEMA
from hub.traffic.formats import format_names, open_log
from tests.unit.traffic.exchanges import (
    NOON,
    PACKERS,
    WRITERS,
    Exchange,
    as_jsonl,
    as_litellm,
    as_nginx,
    as_otel,
    rows_of,
    several,
    written,
)

_ALL = set(Exchange.__dataclass_fields__)
_WHERE = {"client_ip", "user_agent"}
_WHOLE_SECONDS = {"nginx", "one-api", "new-api", "vllm"}
_SHARED = {
    "csv": _ALL,
    "jsonl": _ALL,
    "parquet": _ALL,
    "litellm-spend": _ALL,
    "litellm": _ALL,
    "otel": _ALL - {"org_id", "api_key_id"},
    "nginx": {"account_id", "client_ip", "user_agent"},
    "one-api": _ALL - _WHERE - {"org_id", "provider_name", "prompt"},
    "new-api": _ALL - {"user_agent", "provider_name", "prompt"},
    "kong": _ALL,
    "envoy": _ALL - {"org_id", "api_key_id", "prompt"},
    "cloudflare": _ALL - _WHERE - {"org_id", "api_key_id", "prompt"},
    "cloudflare-logpush": _ALL - _WHERE - {"event_id", "api_key_id"},
    "portkey": _ALL - _WHERE - {"org_id", "api_key_id"},
    "helicone": _ALL - _WHERE,
    "langfuse": _ALL - {"client_ip", "api_key_id", "provider_name"},
    "bedrock": _ALL - _WHERE - {"api_key_id", "provider_name"},
    "azure-openai": _ALL
    - {"user_agent", "api_key_id", "provider_name", "prompt", "input_tokens", "output_tokens"},
    "vertex": _ALL - _WHERE - {"account_id", "api_key_id", "provider_name"},
    "ocsf": _ALL,
    "vllm": {"event_id", "prompt"},
    "openai-compatible": _ALL - {"provider_name"},
}


def test_every_format_has_a_writer_here_and_a_title() -> None:
    assert set(format_names()) == set(WRITERS) == set(_SHARED)


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("name", WRITERS)
def test_same_exchanges_give_same_rows(tmp_path: Path, name: str, packing: str) -> None:
    if name == "parquet" and packing != "plain":
        path = written(tmp_path, "log", PACKERS[packing](WRITERS[name](several(2))))
        with pytest.raises(InputError, match="cannot be read in place"):
            open_log(path, format="parquet")
        return
    exchanges = several(100)
    path = written(tmp_path, "log", PACKERS[packing](WRITERS[name](exchanges)))
    os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    reader = open_log(path)
    rows = rows_of(reader, 17)
    assert reader.format_name == name
    assert reader.rejects.count == reader.field_problems.count == 0
    assert reader.bytes_read == reader.bytes_total == path.stat().st_size
    assert [row["observed_at"] for row in rows] == _times(name, exchanges)
    for column in _SHARED[name] - {"observed_at"}:
        expected = [getattr(exchange, column) for exchange in exchanges]
        assert [row[column] for row in rows] == expected, column
    for column in set(TRAFFIC_SCHEMA.names) - _SHARED[name] - {"observed_at", "event_id"}:
        assert all(row[column] is None for row in rows), column
    seen = {column for column, count in reader.seen.items() if count}
    assert seen == _SHARED[name] | {"observed_at", "event_id"}
    assert seen <= reader.columns
    assert reader.rows == 100


def _times(name: str, exchanges: list[Exchange]) -> list[datetime]:
    if name == "cloudflare-logpush":
        return [NOON] * len(exchanges)
    moments = [exchange.observed_at for exchange in exchanges]
    if name in _WHOLE_SECONDS:
        return [moment.replace(microsecond=0) for moment in moments]
    return moments


def test_second_pass_begins_anew(tmp_path: Path) -> None:
    reader = open_log(written(tmp_path, "log", b"no json\n" + as_jsonl(several(5))))
    assert rows_of(reader) == rows_of(reader)
    assert (reader.rows, reader.rejects.count) == (5, 1)


def test_nginx_whole_seconds_and_line_ids(tmp_path: Path) -> None:
    path = written(tmp_path, "edge.log", as_nginx(several(3)))
    rows = rows_of(open_log(path))
    assert [row["event_id"] for row in rows] == ["edge.log:1", "edge.log:2", "edge.log:3"]
    assert all(row["observed_at"].microsecond == 0 for row in rows)


@pytest.mark.parametrize("name", WRITERS)
def test_columns_that_nobody_asks_for_come_as_null_and_are_told(tmp_path: Path, name: str) -> None:
    exchanges = several(100)
    reader = open_log(written(tmp_path, "log", WRITERS[name](exchanges)))
    whole = pa.Table.from_batches(reader.batches(17))
    filled = set(reader.seen)
    wanted = {"observed_at", "event_id", "account_id"}
    part = pa.Table.from_batches(reader.batches(17, columns={"account_id"}))
    assert part.schema == whole.schema
    for column in part.column_names:
        if column in wanted:
            assert part[column].equals(whole[column]), column
        else:
            assert part[column].null_count == len(exchanges), column
    assert reader.glimpsed == filled - wanted
    assert len(reader.glimpsed) > 0


def test_an_empty_column_is_not_told_though_nobody_asks_for_it(tmp_path: Path) -> None:
    rows = [{"timestamp": 1795144267, "model": "m", "prompt": None, "user_agent": "x"}]
    table = pa.Table.from_pylist(
        rows,
        pa.schema(
            [
                ("timestamp", pa.int64()),
                ("model", pa.string()),
                ("prompt", pa.string()),
                ("user_agent", pa.string()),
            ]
        ),
    )
    pq.write_table(table, tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("timestamp,model,prompt,user_agent\n1795144267,m,,x\n")
    (tmp_path / "a.jsonl").write_text(json.dumps(rows[0]) + "\n")
    for name in ("a.parquet", "a.csv", "a.jsonl"):
        reader = open_log(tmp_path / name)
        assert sum(batch.num_rows for batch in reader.batches(columns={"request_model"})) == 1
        assert reader.glimpsed == {"user_agent"}, name


def test_two_formats_in_one_file_are_ambiguous(tmp_path: Path) -> None:
    path = written(tmp_path, "log", as_otel(several(2)) + as_litellm(several(2)))
    with pytest.raises(InputError, match="litellm and otel") as caught:
        open_log(path)
    assert caught.value.hint == "--format litellm"
    reader = open_log(path, format="otel")
    assert len(rows_of(reader)) == 2
    assert reader.rejects.count == 2


def test_unknown_content_names_the_formats(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no known log format") as caught:
        open_log(written(tmp_path, "log", b"once upon a time\n"))
    hint = str(caught.value.hint)
    assert all(name in hint for name in (*format_names(), "timestamp", "client_ip", "prompt"))


@pytest.mark.parametrize(
    ("data", "mapping", "reason"),
    [
        (b"when,user,ip\n1,a,b\n", {}, "first lines; the file has when, user, ip"),
        (b"when,user,ip\n1,a,b\n", {"timestamp": "when"}, "but the time; the file has when, "),
        (b"when,user\n1,a\n", {"timestamp": "whn"}, "'whn' for observed_at; the file has when"),
        (b'{"when": 1, "user": 2}\n', {"timestamp": "whn"}, "no field 'whn' holds the time"),
        (b'{"when": 1, "user": 2}\n', {"timestamp": "when"}, "but the time; the file has when"),
        (b"once upon a time\n", {"model": "m"}, "no column 'm' for request_model"),
        (b"indicator_id,indicator_modified,event_id,timestamp,model\n", {}, "a file of matches"),
        (
            b'{"indicator_id":1,"indicator_modified":1,"event_id":1,"timestamp":1,"model":1}\n',
            {},
            "a file of matches, not a log",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_the_names_of_the_file(
    tmp_path: Path, data: bytes, mapping: dict[str, str], reason: str
) -> None:
    with pytest.raises(InputError) as caught:
        open_log(written(tmp_path, "log", data), mapping=mapping)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "first", [b"2026-11-20T00:00:00Z,secret", b"ada@mail.example,sk-secret,3", b"sk-secret"]
)
def test_a_first_line_that_is_no_header_is_not_shown(tmp_path: Path, first: bytes) -> None:
    path = written(tmp_path, "log", first + b"\n")
    for mapping in ({}, {"timestamp": "when"}):
        with pytest.raises(InputError) as caught:
            open_log(path, mapping=mapping)
        assert "secret" not in f"{caught.value} {caught.value.hint}"
        assert "example" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\xff\xfet\x00", "UTF-16"),
        (gzip.compress(b"one line that is cut\n", mtime=0)[:10], "ends early, before anything"),
        (b"\x1f\x8b\x08\x00garbage garbage garbage", "gzip data is damaged"),
        (b"\x28\xb5\x2f\xfdgarbage garbage", "zstd data is damaged"),
    ],
)
def test_unreadable_files(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        open_log(written(tmp_path, "log", data))


def test_missing_file_and_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such log file"):
        open_log(tmp_path / "none")
    with pytest.raises(InputError, match="no log format 'vcr'"):
        open_log(written(tmp_path, "log", as_otel(several(1))), format="vcr")


def test_mapping_belongs_to_generic_formats(tmp_path: Path) -> None:
    path = written(tmp_path, "log", as_otel(several(1)))
    with pytest.raises(InputError, match="field names of its own"):
        open_log(path, format="otel", mapping={"model": "m"})
    with pytest.raises(InputError, match="otel has field names of its own"):
        open_log(path, mapping={"model": "m"})
    with pytest.raises(InputError, match="no column 'colour'"):
        open_log(path, mapping={"colour": "c"})
