"""Reading a lab's tables: good rows, bad rows, files that are none."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.client.ingest import open_table
from hub.errors import InputError


def _write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_csv_rows_carry_their_line(tmp_path: Path) -> None:
    text = '\ufeffemail,campaign,notes\na@b.example,"two\nlines",x\n\nc@d.example,Z,y\n'
    table = open_table(_write(tmp_path / "a.csv", text))
    rows = list(table.rows())
    assert table.unused == ("notes",)
    assert [(row.where, dict(row.values)) for row in rows] == [
        ("a.csv:2", {"email": "a@b.example", "campaign": "two\nlines"}),
        ("a.csv:5", {"email": "c@d.example", "campaign": "Z"}),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a@b.example,X,extra", "3 cells, where the header has 2"),
        ("a@b.example", "1 cell, where the header has 2"),
        ('"a@b.example"x,Z', "not CSV"),
    ],
)
def test_a_bad_csv_row_is_told_and_the_next_is_read(tmp_path: Path, line: str, said: str) -> None:
    path = _write(tmp_path / "a.csv", f"email,campaign\n{line}\nc@d.example,Z\n")
    bad, good = open_table(path).rows()
    assert said in str(bad.problem)
    assert "a@b.example" not in str(bad.problem)
    assert good.values["email"] == "c@d.example"


def test_bytes_that_are_no_text_cost_one_row(tmp_path: Path) -> None:
    content = b"email,campaign\n" + b"\xff" * 20_000 + b",Z\nc@d.example,Z\n"
    bad, good = open_table(_write(tmp_path / "a.csv", content)).rows()
    assert bad.problem == "not UTF-8"
    assert good.values["email"] == "c@d.example"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "email,email\n", "named twice"),
        ("a.csv", "colour,size\n1,2\n", "no column"),
        ("a.csv", "campaign,confidence\nx,1\n", "no column"),
        ("a.txt", "email\n", "must end in"),
        ("a.parquet", "nothing of the kind", "is not Parquet"),
    ],
)
def test_files_that_are_none(tmp_path: Path, name: str, content: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        open_table(_write(tmp_path / name, content))


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        open_table(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"email": "x", "email": "y"}', "twice"),
        ('{"confidence": NaN}', "not JSON"),
        ('{"email": "\\ud800"}', ""),
        ('{"confidence": 18446744073709551616}', "2^53"),
        ("[1]", "object"),
        ("{" + '"a":{' * 100 + "}" * 100 + "}", "deep"),
        ('{"email": ["a"]}', "neither text nor number"),
        ('{"email": true}', "neither text nor number"),
        ("not json", "not JSON"),
    ],
)
def test_json_traps_are_rows_with_a_problem(tmp_path: Path, line: str, said: str) -> None:
    path = _write(tmp_path / "a.jsonl", f'{line}\n{{"email": "c@d.example"}}\n')
    bad, good = open_table(path).rows()
    assert said in str(bad.problem)
    assert good.values == {"email": "c@d.example"}


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.jsonl", b'{"text": "' + b"x" * 3_000_000 + b'"}\n{"text": "y"}\n')
    bad, good = open_table(path).rows()
    assert "longer than" in str(bad.problem)
    assert (good.where, good.values) == ("a.jsonl:2", {"text": "y"})


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    table = pa.table(
        {
            "mail": ["a@b.example", None],
            "confidence": [80.0, 70.0],
            "first_seen": pa.array([moment, moment], pa.timestamp("us", tz="UTC")),
            "internal": [1, 2],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    opened = open_table(tmp_path / "a.parquet", {"mail": "email"})
    first, second = opened.rows()
    assert opened.unused == ("internal",)
    assert dict(first.values) == {
        "email": "a@b.example",
        "confidence": "80",
        "first_seen": "2026-11-01T00:00:00+00:00",
    }
    assert "email" not in second.values


def test_a_mapping_renames_and_must_fit(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", "Mail,email\na@b.example,z@z.example\n")
    (row,) = open_table(path, {"Mail": "email"}).rows()
    assert row.values == {"email": "a@b.example"}
    with pytest.raises(InputError, match="no column"):
        open_table(path, {"Absent": "email"})


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=300), suffix=st.sampled_from([".csv", ".jsonl", ".parquet"]))
def test_any_bytes_give_rows_or_an_input_error(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"any{suffix}"
    path.write_bytes(b"email,campaign\n" + content if suffix == ".csv" else content)
    try:
        rows = list(open_table(path).rows())
    except InputError:
        return
    assert all(row.where.startswith(f"any{suffix}:") for row in rows)
