"""Mappings, generic JSON lines and generic Parquet."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hub.errors import InputError
from hub.traffic.formats import open_log
from tests.unit.traffic.exchanges import as_parquet, rows_of, several, written


def _jsonl(folder: Path, *records: dict[str, Any]) -> Path:
    return written(folder, "log", "".join(json.dumps(r) + "\n" for r in records).encode())


def test_jsonl_nested_fields_by_mapping(tmp_path: Path) -> None:
    path = _jsonl(
        tmp_path,
        {
            "t": 1795144267,
            "req": {"user": {"id": "u1"}, "body": [{"role": "user", "content": "x"}]},
        },
        {"t": 1795144268, "req": "not an object"},
    )
    mapping = {"timestamp": "t", "account_id": "req.user.id", "prompt": "req.body"}
    reader = open_log(path, mapping=mapping)
    rows = rows_of(reader)
    assert [(row["account_id"], row["prompt"]) for row in rows] == [("u1", "x"), (None, None)]
    assert {"account_id", "prompt"} <= reader.columns
    with pytest.raises(InputError, match="more than 8 steps"):
        open_log(path, format="jsonl", mapping={"prompt": "a.b.c.d.e.f.g.h.i"})


def test_jsonl_own_names_win_over_aliases(tmp_path: Path) -> None:
    path = _jsonl(
        tmp_path,
        {"timestamp": 1795144267, "model": "alias", "request_model": "own", "asn": 64500},
        {"timestamp": 1795144268, "model": "alias"},
    )
    rows = rows_of(open_log(path))
    assert [row["request_model"] for row in rows] == ["own", "alias"]
    assert [row["asn"] for row in rows] == [64500, None]


def test_jsonl_every_traffic_column_by_its_own_name(tmp_path: Path) -> None:
    record = {
        "observed_at": "2026-11-20T12:00:00Z",
        "event_id": "e",
        "fp_tokens": ["email:k:00"],
        "email_domain": "mail.example",
        "signup_time": "2026-11-01T00:00:00Z",
        "ja3": "j3",
        "ja4": "j4",
        "capability_focus": ["coding"],
        "canary_ids": ["c1"],
    }
    row = rows_of(open_log(_jsonl(tmp_path, record)))[0]
    assert row["signup_time"] == datetime(2026, 11, 1, tzinfo=UTC)
    assert {name: row[name] for name in record if not name.endswith(("_at", "_time"))} == {
        name: value for name, value in record.items() if not name.endswith(("_at", "_time"))
    }


def _parquet(folder: Path, columns: dict[str, Any], **options: Any) -> Path:
    path = folder / "log.parquet"
    pq.write_table(pa.table(columns), path, **options)
    return path


def test_parquet_types(tmp_path: Path) -> None:
    moment = datetime(2026, 11, 20, 12, tzinfo=UTC)
    path = _parquet(
        tmp_path,
        {
            "timestamp": pa.array([moment, moment, None], pa.timestamp("ns", tz="America/Lima")),
            "account_id": pa.array([7, 8, 9], pa.int32()),
            "model": pa.array(["m", "m", "m"]).dictionary_encode(),
            "user_agent": pa.array([b"ok", b"\xff", None], pa.binary()),
            "input_tokens": pa.array([1.0, 2.5, None]),
            "output_tokens": pa.array(["5", "", "x"]).dictionary_encode(),
            "prompt": pa.array([[{"role": "user", "content": "hi"}], [], None]),
            "fp_tokens": pa.array([["a"], None, ["b"]]),
            "signup_time": pa.array([moment.replace(tzinfo=None)] * 3),
        },
    )
    reader = open_log(path)
    rows = rows_of(reader)
    assert [row["observed_at"] for row in rows] == [moment, moment]
    assert [row["event_id"] for row in rows] == ["log.parquet:1", "log.parquet:2"]
    assert [row["account_id"] for row in rows] == ["7", "8"]
    assert [row["request_model"] for row in rows] == ["m", "m"]
    assert [row["user_agent"] for row in rows] == ["ok", None]
    assert [row["input_tokens"] for row in rows] == [1, None]
    assert [row["output_tokens"] for row in rows] == [5, None]
    assert [row["prompt"] for row in rows] == ["hi", None]
    assert [row["fp_tokens"] for row in rows] == [["a"], None]
    assert rows[0]["signup_time"] == moment
    assert reader.rejects.by_reason == {"no usable time": 1}
    assert reader.field_problems.by_reason == {
        "user_agent is not a text": 1,
        "input_tokens is not a 64-bit whole number": 1,
        "output_tokens is not a 64-bit whole number": 1,
    }


def test_parquet_is_read_in_batches_over_row_groups(tmp_path: Path) -> None:
    times = list(range(1_795_144_000, 1_795_144_100))
    path = _parquet(tmp_path, {"timestamp": times, "model": ["m"] * 100}, row_group_size=30)
    rows = rows_of(open_log(path), 8)
    assert [row["event_id"] for row in rows] == [f"log.parquet:{i}" for i in range(1, 101)]


def test_parquet_mapping_and_missing_columns(tmp_path: Path) -> None:
    path = _parquet(tmp_path, {"when": [1795144267], "who": ["a"]})
    with pytest.raises(InputError, match="no field holds the time"):
        open_log(path)
    with pytest.raises(InputError, match="no column 'user' for account_id; the file has when, who"):
        open_log(path, mapping={"timestamp": "when", "account_id": "user"})
    rows = rows_of(open_log(path, mapping={"timestamp": "when", "account_id": "who"}))
    assert rows[0]["account_id"] == "a"


@pytest.mark.parametrize("cut", [5, 100, 600])
def test_parquet_cut_short(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path, "log", as_parquet(several(20))[:-cut])
    with pytest.raises(InputError, match="not a whole Parquet file"):
        open_log(path)


def test_damaged_row_group_is_counted_and_the_others_read(tmp_path: Path) -> None:
    path = _parquet(
        tmp_path,
        {"timestamp": [1_795_144_267] * 90, "prompt": [f"prompt number {i}" for i in range(90)]},
        row_group_size=30,
        compression="gzip",
        use_dictionary=False,
    )
    chunk = pq.read_metadata(path).row_group(1).column(1)
    data = bytearray(path.read_bytes())
    start = chunk.data_page_offset
    data[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(bytes(data))
    reader = open_log(path)
    rows = rows_of(reader)
    assert [row["event_id"] for row in rows][29:31] == ["log.parquet:30", "log.parquet:61"]
    assert reader.rejects.by_reason == {"row group 1 is damaged; the others were read": 30}
    assert reader.damage == "row group 1 is damaged"
    assert reader.rejects.examples[0].line == 31


def test_parquet_of_long_values_comes_in_small_batches(tmp_path: Path) -> None:
    """Rows of 4 MiB: a batch holds about 64 MiB of them, not 64 thousand."""
    path = _parquet(
        tmp_path,
        {"timestamp": [1_795_144_267] * 40, "prompt": [chr(65 + i) * (4 << 20) for i in range(40)]},
        use_dictionary=False,
    )
    sizes = [batch.num_rows for batch in open_log(path).batches()]
    assert sum(sizes) == 40
    assert max(sizes) <= 17


@pytest.mark.parametrize("store_schema", [True, False])
def test_parquet_dictionary_bomb_is_cut(tmp_path: Path, store_schema: bool) -> None:
    """One text of 8 MiB that 3,000 rows show: 16 GiB written out, a few kilobytes of file."""
    words = pa.DictionaryArray.from_arrays(
        pa.array([0, None, 0] * 1000, pa.int32()), pa.array(["x" * (8 << 20)])
    )
    path = _parquet(
        tmp_path,
        {"timestamp": [1_795_144_267] * 3000, "prompt": words},
        store_schema=store_schema,
    )
    assert path.stat().st_size < 1 << 20
    sizes = [batch.num_rows for batch in itertools.islice(open_log(path).batches(), 5)]
    assert max(sizes) <= 48
