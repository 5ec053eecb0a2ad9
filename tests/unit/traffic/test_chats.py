"""A column of chats as JSON is unwrapped where the operator names it as the prompt, only there."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hub.traffic.formats import open_log

_CHAT = [
    {"role": "system", "content": "operator"},
    {"role": "user", "content": "Grade the answer"},
    {"role": "assistant", "content": "4"},
    {"role": "user", "content": [{"type": "text", "text": "and why"}]},
]
_PROMPTS: list[str | None] = [
    json.dumps(_CHAT),
    "plain words",
    "  " + json.dumps({"model": "m", "messages": _CHAT}),
    '{"city": "Bern", "count": 3}',
    "[1, 2] is a list",
    "[not JSON",
    None,
    json.dumps([{"role": "assistant", "content": "only an answer"}]),
]
_TEXTS = [
    "Grade the answer\nand why",
    "plain words",
    "Grade the answer\nand why",
    *_PROMPTS[3:7],
    None,
]


def _rows(column: str) -> list[dict[str, Any]]:
    return [
        {"timestamp": f"2026-11-20T12:00:0{number}Z", "account_id": f"a{number}", column: prompt}
        for number, prompt in enumerate(_PROMPTS)
    ]


def _csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


def _dictionary(path: Path, rows: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(rows)
    name = table.schema.names[-1]
    coded = table[name].combine_chunks().dictionary_encode()
    pq.write_table(table.drop_columns([name]).append_column(name, coded), path)


_WRITERS = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet, "dictionary": _dictionary}


def _prompts(path: Path, mapping: dict[str, str] | None) -> list[str | None]:
    table = pa.Table.from_batches(list(open_log(path, mapping=mapping).batches()))
    prompts: list[str | None] = table["prompt"].to_pylist()
    return prompts


@pytest.mark.parametrize("name", _WRITERS)
def test_a_mapped_prompt_gives_the_users_texts(tmp_path: Path, name: str) -> None:
    path = tmp_path / "export"
    _WRITERS[name](path, _rows("input"))
    assert _prompts(path, {"prompt": "input"}) == _TEXTS


@pytest.mark.parametrize("name", _WRITERS)
@pytest.mark.parametrize("mapping", [None, {"account_id": "account_id"}])
def test_a_prompt_that_nobody_named_stays_as_it_is(
    tmp_path: Path, name: str, mapping: dict[str, str] | None
) -> None:
    path = tmp_path / "log"
    _WRITERS[name](path, _rows("prompt"))
    assert _prompts(path, mapping) == _PROMPTS


def test_chats_inside_chats_of_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = [
        {"timestamp": "2026-11-20T12:00:00Z", "body": {"input": json.dumps(_CHAT)}},
        {"timestamp": "2026-11-20T12:00:01Z", "body": {"input": _CHAT}},
        {"timestamp": "2026-11-20T12:00:02Z", "body": {"input": 7}},
    ]
    _jsonl(path, lines)
    assert _prompts(path, {"prompt": "body.input"}) == [_TEXTS[0], _TEXTS[0], "7"]
