"""vLLM's server log: prompts as Python writes texts, times without a year, lines without a time."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.traffic.formats import open_log
from hub.traffic.markup import user_turns
from hub.traffic.reader import LogReader
from tests.unit.traffic.exchanges import rows_of, written

_FIRST = "INFO 11-20 12:00:00 [api_server.py:1287] vLLM API server version 0.9.1\n"
_ACCESS = 'INFO:     192.0.2.7:51422 - "POST /v1/chat/completions HTTP/1.1" 200 OK\n'


def _request(prompt: str, when: str = "11-20 12:00:01", name: str = "r-1") -> str:
    return f"INFO {when} [logger.py:41] Received request {name}: prompt: {prompt}, params: X\n"


def _read(
    folder: Path, text: str, name: str = "log", when: str = "2026-11-21"
) -> tuple[LogReader, list[dict[str, Any]]]:
    path = written(folder, name, text.encode("utf-8", "surrogatepass"))
    stamp = datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp()
    os.utime(path, (stamp, stamp))
    reader = open_log(path)
    return reader, rows_of(reader)


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_every_prompt_comes_back(tmp_path_factory: pytest.TempPathFactory, prompt: str) -> None:
    _, rows = _read(tmp_path_factory.mktemp("vllm"), _request(repr(prompt)))
    assert [row["prompt"] for row in rows] == [prompt]


def test_prompts_that_are_none_or_broken(tmp_path: Path) -> None:
    text = (
        _FIRST
        + _request("None")
        + "INFO 11-20 12:00:01 [logger.py:41] Received request r-2: params: X\n"
        + _request("'no end")
        + _request(r"'\U00ffffff'")
        + _request(r"'\ud800'")
        + _request("'kept'")
    )
    reader, rows = _read(tmp_path, text)
    assert [row["prompt"] for row in rows] == [None, "kept"]
    assert reader.rejects.by_reason == {
        "the prompt is cut short": 1,
        "the prompt is no Python text": 1,
    }
    assert [problem.line for problem in reader.rejects.examples] == [4, 5]
    assert reader.field_problems.by_reason == {"prompt is not a text": 1}
    assert reader.skipped == 3


def test_newer_lines(tmp_path: Path) -> None:
    process = "(APIServer pid=17) "
    text = (
        f"{process}{_FIRST}"
        f"{process}DEBUG 11-20 12:00:02 [logger.py:49] Request r-9 details: prompt: 'new', x\n"
        f"{process}{_ACCESS}"
    )
    _, rows = _read(tmp_path, text)
    assert [(r["event_id"], r["prompt"], r["client_ip"]) for r in rows] == [
        ("r-9", "new", None),
        ("log:3", None, "192.0.2.7"),
    ]


def test_access_lines_take_the_time_before_them(tmp_path: Path) -> None:
    later = _ACCESS.replace("192.0.2.7:", "[2001:db8::7]:")
    others = (
        _ACCESS.replace("POST", "GET"),
        _ACCESS.replace("/v1/chat/completions", "/tokenize"),
        "Traceback (most recent call last):\n",
    )
    text = _ACCESS + _FIRST + _ACCESS + "".join(others) + _request("'x'") + later
    reader, rows = _read(tmp_path, text)
    assert [(r["client_ip"], r["observed_at"].second) for r in rows] == [
        ("192.0.2.7", 0),
        (None, 1),
        ("2001:db8::7", 1),
    ]
    assert reader.rejects.by_reason == {"no usable time": 1}
    assert reader.skipped == 4
    assert (reader.file_times, reader.naive_times) == (3, 3)


@pytest.mark.parametrize(
    ("name", "when", "line", "expected"),
    [
        ("log", "2026-11-21", "11-20", "2026-11-20"),
        ("log", "2026-11-21", "11-23", "2025-11-23"),
        ("log", "2027-01-01", "12-31", "2026-12-31"),
        ("log", "2027-01-01", "01-01", "2027-01-01"),
        ("log", "2027-03-01", "02-29", "2024-02-29"),
        ("vllm-2025-06-30.log", "2027-01-01", "06-30", "2025-06-30"),
        ("vllm-2025-06-30.log", "2027-01-01", "07-02", "2024-07-02"),
    ],
)
def test_the_year_is_the_latest_not_after_the_file(
    tmp_path: Path, name: str, when: str, line: str, expected: str
) -> None:
    _, rows = _read(tmp_path, _request("'x'", f"{line} 12:00:01"), name, when)
    assert str(rows[0]["observed_at"].date()) == expected


def test_a_day_that_is_none_has_no_time(tmp_path: Path) -> None:
    reader, rows = _read(tmp_path, _request("'x'", "13-40 12:00:01") + _request("'x'"))
    assert len(rows) == 1
    assert reader.rejects.by_reason == {"no usable time": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no marks", "no marks"),
        ("<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nA b<|im_end|>\n", "A b"),
        (
            (
                "<|im_start|>user\none<|im_end|><|im_start|>assistant\nx<|im_end|>"
                "<|im_start|>user\ntwo<|im_end|>\n<|im_start|>assistant\n"
            ),
            "one\ntwo",
        ),
        (
            (
                "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>"
                "<|start_header_id|>user<|end_header_id|>\n\nA<|eot_id|>"
            ),
            "A",
        ),
        ("<bos><start_of_turn>user\nA<end_of_turn>\n<start_of_turn>model\n", "A"),
        ("<|system|>\nS</s>\n<|user|>\nA</s>\n<|assistant|>\n", "A"),
        ("<|user|>A without an end", "A without an end"),
        ("<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nA [/INST] x </s><s>[INST] B [/INST]", "A\nB"),
    ],
)
def test_the_users_turns_of_chat_templates(text: str, expected: str) -> None:
    assert user_turns(text) == expected


def test_marks_without_end_take_linear_time(tmp_path: Path) -> None:
    megabytes = 4 << 20
    for unit in ("<|user|>", "[INST]<<SYS>>", " ", "\\'", "'"):
        text = _request("'" + "<|user|>" + unit * (megabytes // len(unit)))
        reader, _ = _read(tmp_path, text)
        assert reader.rejects.count + reader.rows == 1
