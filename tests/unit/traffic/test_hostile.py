"""Lines that somebody broke on purpose: counted by place and reason, never fatal, never shown."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import InputError
from hub.traffic import otel
from hub.traffic.formats import open_log
from tests.unit.traffic.exchanges import (
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

_JSON_FORMATS = ["jsonl", "litellm-spend", "litellm", "otel"]
_DEEP = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
_BROKEN = {
    "cut short": b'{"timestamp": "2026-11-20T03:1',
    "no object": b"[1, 2]",
    "a number": b"17",
    "NaN": b'{"timestamp": NaN}',
    "deep": _DEEP,
    "deep list": b"[" * 100_000,
    "bad UTF-8": b'{"timestamp": "\xff\xfe", "startTime": "\xff", "resourceSpans": "\xff"}',
    "NUL": b"\x00\x00\x00",
    "lone surrogate": b'{"timestamp": "\\ud800", "startTime": "\\ud800", "resourceSpans": "\\ud8"}',
    "secret": b"sk-hunter2 is no JSON",
}


@pytest.mark.parametrize("case", _BROKEN)
@pytest.mark.parametrize("name", _JSON_FORMATS)
def test_broken_json_lines_are_counted(tmp_path: Path, name: str, case: str) -> None:
    good = WRITERS[name]([Exchange()])
    path = written(tmp_path, "log", good + _BROKEN[case] + b"\n\n" + good)
    reader = open_log(path)
    assert len(rows_of(reader)) == 2
    assert [p.line for p in reader.rejects.examples] == [2]
    assert "hunter2" not in repr(reader.tally)


@pytest.mark.parametrize("name", _JSON_FORMATS)
def test_last_line_cut_short(tmp_path: Path, name: str) -> None:
    reader = open_log(written(tmp_path, "log", WRITERS[name](several(6))[:-20]))
    lost = 3 if name == "otel" else 1
    assert len(rows_of(reader)) == 6 - lost
    assert reader.rejects.count == 1


def test_last_of_duplicate_keys_wins(tmp_path: Path) -> None:
    line = b'{"timestamp": 1, "account_id": "a", "timestamp": 1795144267, "account_id": "b"}\n'
    rows = rows_of(open_log(written(tmp_path, "log", line)))
    assert [(row["account_id"], row["observed_at"].year) for row in rows] == [("b", 2026)]


_FIELDS: list[tuple[str, Any, Any, int]] = [
    ("client_ip", "999.1.1.1", None, 1),
    ("client_ip", "fe80::1%eth0", None, 1),
    ("client_ip", "::ffff:192.0.2.9", "192.0.2.9", 0),
    ("client_ip", "2001:DB8:0::1", "2001:db8::1", 0),
    ("client_ip", "192.0.2.9, 10.0.0.1", "192.0.2.9", 0),
    ("client_ip", "192.0.2.9:4711", "192.0.2.9", 0),
    ("client_ip", "[2001:db8::1]:443", "2001:db8::1", 0),
    ("client_ip", "", None, 0),
    ("client_ip", {"a": 1}, None, 1),
    ("account_id", 17, "17", 0),
    ("account_id", True, "true", 0),
    ("account_id", "", None, 0),
    ("account_id", ["x"], None, 1),
    ("account_id", "a\x00b", "a\x00b", 0),
    ("input_tokens", "92", 92, 0),
    ("input_tokens", 92.0, 92, 0),
    ("input_tokens", 92.5, None, 1),
    ("input_tokens", "many", None, 1),
    ("input_tokens", 2**64, None, 1),
    ("input_tokens", "9" * 5000, None, 1),
    ("input_tokens", True, None, 1),
    ("input_tokens", None, None, 0),
    ("prompt", "", None, 0),
    ("prompt", 5, "5", 0),
    ("prompt", [{"role": "user", "content": "hello"}], "hello", 0),
    ("fp_tokens", ["a", "b"], ["a", "b"], 0),
    ("fp_tokens", "a; b", ["a", "b"], 0),
    ("fp_tokens", [1], None, 1),
    ("fp_tokens", [], None, 0),
]


@pytest.mark.parametrize(("column", "value", "expected", "problems"), _FIELDS)
@pytest.mark.parametrize("neighbour", [None, "ordinary"])
def test_fields_that_do_not_fit_become_null(
    tmp_path: Path, column: str, value: Any, expected: Any, problems: int, neighbour: str | None
) -> None:
    records = [{"timestamp": 1795144267, "org_id": "o", column: value}]
    if neighbour:
        ordinary = {"client_ip": "192.0.2.1", "input_tokens": 5, "fp_tokens": ["t"]}
        records.append({"timestamp": 1795144268, column: ordinary.get(column, "text")})
    data = "".join(json.dumps(record) + "\n" for record in records).encode()
    reader = open_log(written(tmp_path, "log", data))
    rows = rows_of(reader)
    assert len(rows) == len(records)
    assert rows[0][column] == expected
    assert reader.field_problems.count == problems
    assert [p.line for p in reader.field_problems.examples] == [1] * problems
    assert reader.rejects.count == 0


def test_a_time_that_is_none_rejects_the_line(tmp_path: Path) -> None:
    times: list[Any] = ["x", None, True, 0, [], {"a": 1}, 1795144267]
    data = "".join(json.dumps({"timestamp": t, "model": "m"}) + "\n" for t in times).encode()
    reader = open_log(written(tmp_path, "log", data))
    assert len(rows_of(reader)) == 1
    assert reader.rejects.by_reason == {"no usable time": 6}
    assert [p.line for p in reader.rejects.examples] == [1, 2, 3, 4, 5]


def test_reasons_and_examples_are_capped(tmp_path: Path) -> None:
    path = written(tmp_path, "log", as_jsonl(several(3)) + b"junk\n" * 10_000)
    reader = open_log(path, examples=2)
    rows_of(reader)
    assert reader.rejects.count == 10_000
    assert len(reader.rejects.examples) == 2


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["csv", "jsonl", "litellm", "otel", "nginx"])
def test_line_ends_and_byte_order_mark(tmp_path: Path, name: str, end: bytes, mark: bytes) -> None:
    exchanges = [Exchange(prompt="one line")] * 3
    reader = open_log(written(tmp_path, "log", mark + WRITERS[name](exchanges).replace(b"\n", end)))
    assert len(rows_of(reader)) == 3
    assert reader.rejects.count == 0


_NGINX_BROKEN = [
    b"once upon a time",
    b'192.0.2.1 - - [20/Nov/2026:12:00:00 +0000] "POST /v1',
    b'192.0.2.1 - - [20/Nov/2026:12:00:00 +0000 "POST /" 200 1 "-" "x"',
    b'192.0.2.1 - \xff\xfe [20/Nov/2026:12:00:00 +0000] "POST /" 200 1 "-" "x"',
    b'192.0.2.1 - - [40/Nov/2026:12:00:00 +0000] "POST /" 200 1 "-" "x"',
    b"1 - " + b"- " * 4000 + b"[" * 4000 + b'"' * 4000,
]


@pytest.mark.parametrize("line", _NGINX_BROKEN)
def test_broken_nginx_lines(tmp_path: Path, line: bytes) -> None:
    good = as_nginx(several(3))
    reader = open_log(written(tmp_path, "log", good + line + b"\n" + good))
    assert len(rows_of(reader)) == 6
    assert [p.line for p in reader.rejects.examples] == [4]


def test_nginx_escapes_and_dashes(tmp_path: Path) -> None:
    line = (
        b'- - "quoted user" [20/Nov/2026:12:00:00 +0000] "\\x16\\x03" 400 0 "-" '
        b'"a \\x22b\\x22 \\\\ \\xC3\\xA9"\n'
        b'192.0.2.1 - - [20/Nov/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 -\n'
    )
    rows = rows_of(open_log(written(tmp_path, "log", line)))
    assert [(r["client_ip"], r["account_id"], r["user_agent"]) for r in rows] == [
        (None, '"quoted user"', 'a "b" \\ é'),
        ("192.0.2.1", None, None),
    ]


def test_otel_wrong_shapes(tmp_path: Path) -> None:
    bad: list[Any] = [
        {"resourceSpans": 5},
        {"resourceSpans": [{"scopeSpans": "x"}]},
        {"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [5]}]}]}]},
        {"somethingElse": []},
    ]
    data = "".join(json.dumps(line) + "\n" for line in bad).encode() + as_otel([Exchange()])
    reader = open_log(written(tmp_path, "log", data))
    assert len(rows_of(reader)) == 1
    assert reader.rejects.count == 4


def test_otel_value_bomb_is_cut() -> None:
    value: Any = {"stringValue": "deep"}
    for _ in range(5000):
        value = {"arrayValue": {"values": [value]}}
    plain = otel._value(value, 16)
    depth = 0
    while isinstance(plain, list):
        plain, depth = plain[0], depth + 1
    assert (plain, depth) == (None, 16)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(["csv", *_JSON_FORMATS, "nginx"]), st.binary(max_size=300), st.data())
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
        return  # the CSV header itself was hit
    rows = rows_of(reader)
    assert len(rows) <= 6 + junk.count(b"\n") + 1
    assert len({row["event_id"] for row in rows}) <= len(rows)


_MEASURE = """
import resource, sys
from pathlib import Path
from hub.traffic import otel
from hub.traffic.formats import open_log
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
reader = open_log(Path(sys.argv[1]), format=sys.argv[2])
rows = sum(batch.num_rows for batch in reader.batches())
print(rows, reader.rejects.count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)
"""


def _measured(path: Path, name: str) -> tuple[int, int, int]:
    out = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(path), name],
        check=True,
        capture_output=True,
        text=True,
        timeout=240,
        cwd=Path(__file__).parents[3],
    )
    rows, rejects, kilobytes = map(int, out.stdout.split())
    return rows, rejects, kilobytes // 1024


def _huge_line(path: Path, name: str, write: Callable[..., bytes], megabytes: int) -> None:
    with path.open("wb") as file:
        file.write(write([Exchange()]))
        if name == "csv":
            file.write(b'"')
        for _ in range(megabytes):
            file.write(b"x" * (1 << 20))
        file.write(b"\n")
        good = write([Exchange()])
        file.write(good.partition(b"\n")[2] if name == "csv" else good)


@pytest.mark.parametrize("name", ["csv", "jsonl", "otel", "nginx", "kong", "vllm"])
def test_half_gigabyte_line_is_never_held(tmp_path: Path, name: str) -> None:
    path = tmp_path / "log"
    _huge_line(path, name, WRITERS[name], 500)
    rows, rejects, megabytes = _measured(path, name)
    path.unlink()
    assert rows == 2
    assert rejects >= 1
    assert megabytes < 200


def test_memory_is_flat_over_the_log(tmp_path: Path) -> None:
    """Three times the log, both longer than a batch, takes the same memory."""
    peaks = []
    for times in (32, 96):
        path = tmp_path / f"log{times}"
        chunk = as_litellm(several(4000)).replace(b"Write verse", b"Write verse " * 40)
        with path.open("wb") as file:
            for _ in range(times):
                file.write(chunk)
        rows, rejects, megabytes = _measured(path, "litellm")
        assert (rows, rejects) == (times * 4000, 0)
        peaks.append(megabytes)
        path.unlink()
    assert peaks[1] < min(450, peaks[0] + 60)
