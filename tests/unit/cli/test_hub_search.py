"""`stillwatch hub search`: which values it looks for, and what its exit code says."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hub.cli.hub import command


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "blob").write_bytes(base64.b64encode(zlib.compress(b"x" * 50 + b"ann@farm.example")))
    return folder


def search(data: Path, *words: str) -> Result:
    return CliRunner().invoke(command, ["search", "--data", str(data), *words])


def test_a_cell_is_found_under_encodings(data: Path, tmp_path: Path) -> None:
    table = tmp_path / "accounts.csv"
    table.write_text("email,first_seen\nann@farm.example,2026-11-01T00:00:00Z\nbob@x.example,\n")
    result = search(data, str(table), "--json")
    assert result.exit_code == 1
    assert json.loads(result.output) == {"values": 2, "found": 1, "places": {"blob": 1}}


def test_nested_strings_of_json_lines_count_but_names_and_dates_do_not(
    data: Path, tmp_path: Path
) -> None:
    lines = tmp_path / "prompts.jsonl"
    row = {"kind": "minhash-lsh", "text": "a long prompt", "more": [{"deep": "another value"}]}
    lines.write_text(json.dumps(row) + "\n")
    result = search(data, str(lines), "--json")
    assert result.exit_code == 0
    assert json.loads(result.output) == {"values": 2, "found": 0, "places": {}}


def test_lines_of_text_in_a_log(data: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("harmless words\nsecret phrase here\nshort\n")
    (tmp_path / "hub.log").write_text('{"message": "secret phrase here"}\n')
    log = str(tmp_path / "hub.log")
    result = search(data, str(tmp_path / "words.txt"), "--log", log)
    assert result.exit_code == 1
    assert "1 of 2 values found." in result.output
    assert log in result.output


def test_nothing_to_look_for_is_an_error(data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("email\na@b.c\n")
    result = search(data, str(tmp_path / "empty.csv"))
    assert result.exit_code != 0
    assert "no value of 8 characters" in str(result.exception)
