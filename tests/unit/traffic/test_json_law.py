"""The law of the JSON kernel: with or without it, any bytes give the same rows and counts."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.errors import InputError
from hub.traffic import generic_jsonl, json_columns
from hub.traffic.formats import open_log
from tests.unit.traffic.exchanges import written

_FIRST: Final = json.dumps(
    {
        "timestamp": "2026-11-20T12:00:00Z",
        "request_id": "r",
        "account_id": "a",
        "client_ip": "192.0.2.1",
        "prompt": "p",
        "input_tokens": 1,
        "fp_tokens": ["t"],
        "signup_time": "2026-01-01T00:00:00Z",
        "user_agent": "x",
        "meta": {"inner": {"key": "k"}, "other": 1},
    }
)
_MAPPING: Final = {"org_id": "meta.inner.key", "api_key_id": "meta.other"}

_TIMES = st.sampled_from(
    [
        "2026-11-20T12:00:00Z",
        "2026-11-20 12:00:00.123456789+05:30",
        "2026-02-29T12:00:00Z",
        "2024-02-29T23:59:59.5-00:00",
        "2026-11-20T12:00:00",
        "2026-11-20",
        "1970-01-01T00:00:00Z",
        "2100-01-01T00:00:00Z",
        "2026-11-20T24:00:00Z",
        "2026-11-20T12:00:60Z",
        "1795144267",
        1795144267,
        1795144267123,
        1795144267123456789,
        1795144267.25,
        0,
        -5,
    ]
)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["192.0.2.7", "2001:DB8::1", "a\nb", 'q"', "\ud83d\ude00", "\x00", "é", ""])
    | _TIMES
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["inner", "key", "other", "role"]), inner, max_size=3)
    ),
    max_leaves=6,
)
_KEYS = st.sampled_from([*json.loads(_FIRST), "observed_at", "ja4", "unknown"])
_PAIRS = st.lists(st.tuples(_KEYS, _VALUES), max_size=8)


def _object(pairs: list[tuple[str, Any]], ascii_only: bool, spaced: bool) -> bytes:
    """An object that may hold a key twice."""
    colon, comma = (" : ", " ,\t") if spaced else (":", ",")
    parts = [
        json.dumps(key) + colon + json.dumps(value, ensure_ascii=ascii_only) for key, value in pairs
    ]
    return ("{" + comma.join(parts) + "}").encode("utf-8", "surrogatepass")


_OBJECTS = st.builds(_object, _PAIRS, st.booleans(), st.booleans())
_GOOD = st.builds(
    lambda pairs, moment: _object([("timestamp", moment), *pairs], False, False), _PAIRS, _TIMES
)


@st.composite
def _broken(draw: st.DrawFn) -> bytes:
    """A good line of which some bytes are changed, lost or added."""
    line = bytearray(draw(_GOOD | _OBJECTS))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(line)))
        line[at : at + draw(st.integers(0, 2))] = draw(
            st.binary(max_size=2)
            | st.sampled_from(
                [b'"', b"\\", b"\\ud800", b"\\u00e9", b"{", b"]", b",", b"e5", b"-", b"\xff"]
            )
        )
    return bytes(line)


_LINES = st.lists(_GOOD | _OBJECTS | _broken() | st.binary(max_size=12), max_size=12)


def _read(path: Path, columns: set[str] | None, mapping: Mapping[str, str]) -> tuple[Any, ...]:
    reader = open_log(path, format="jsonl", mapping=mapping, examples=50)
    batches = []
    for batch in reader.batches(columns=columns):
        batch.validate(full=True)
        batches.append(batch)
    table = pa.Table.from_batches(batches) if batches else None
    return table, reader.rows, reader.seen, reader.tally


def _same(path: Path, columns: set[str] | None, mapping: Mapping[str, str]) -> None:
    fast = _read(path, columns, mapping)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_columns, "MAX_KEYS", 0)
        slow = _read(path, columns, mapping)
    assert fast[1:] == slow[1:]
    if fast[0] is None or slow[0] is None:
        assert fast[0] is slow[0]
    else:
        assert fast[0].to_pylist() == slow[0].to_pylist()


@settings(max_examples=100, deadline=None)
@given(
    _LINES,
    st.sampled_from([b"\n", b"\r\n"]),
    st.sampled_from([None, {"account_id", "org_id", "prompt"}, {"fp_tokens", "signup_time"}]),
    st.booleans(),
)
@example([b'{"timestamp":1795144267,"prompt":"\\ud800"}'], b"\n", None, False)
@example([b'{"timestamp":1795144267,"timestamp":null,"prompt":"x"}'], b"\n", None, False)
@example([b'{"observed_at":"","timestamp":1795144267,"prompt":"x"}'], b"\n", None, True)
@example([b'{"timestamp":1795144267,"meta":{"inner":{"key":"a"}},"meta":{}}'], b"\n", None, True)
@example([b'{"timestamp":1795144267,"prompt":1e5,"unknown":1E400}'], b"\n", None, False)
@example([b'{"timestamp":1795144267,}', b'{"timestamp":1795144267,"a":[1,]}'], b"\n", None, False)
def test_any_lines_give_the_same_with_and_without_the_kernel(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    end: bytes,
    columns: set[str] | None,
    mapped: bool,
) -> None:
    data = end.join([_FIRST.encode(), *lines])
    path = written(tmp_path_factory.mktemp("law"), "log.jsonl", data)
    _same(path, columns, _MAPPING if mapped else {})


def test_texts_longer_than_a_step_of_the_kernel(tmp_path: Path) -> None:
    """Escapes, quotes and bytes beyond ASCII at every place of a 64-byte step."""
    rows = [
        {"timestamp": 1795144267, "prompt": "x" * at + mark + "y" * (at % 67)}
        for at in range(140)
        for mark in ('"', "\\", "\n", "é", "\U0001f600", "/")
    ]
    lines = [json.dumps(row, ensure_ascii=at % 2 == 0).encode() for at, row in enumerate(rows)]
    path = written(tmp_path, "log.jsonl", b"\n".join(lines))
    table, *_ = _read(path, None, {})
    assert table["prompt"].to_pylist() == [row["prompt"] for row in rows]
    _same(path, None, {})


def test_ordinary_lines_stay_with_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the law would hold and nothing be gained."""
    odd: list[Any] = []
    real = json_columns.passes

    def watched(*given: Any) -> Any:
        for found in real(*given):
            odd.extend(found.odd)
            yield found

    monkeypatch.setattr(generic_jsonl, "passes", watched)
    line = json.loads(_FIRST) | {"prompt": 'über "x"\n\\ \U0001f600', "logprobs": [-0.25, None]}
    path = written(tmp_path, "log.jsonl", b"\n".join([json.dumps(line).encode()] * 9 + [b"{"]))
    table, rows, *_ = _read(path, None, _MAPPING)
    assert (rows, [number for number, _ in odd]) == (9, [10])
    assert table["prompt"].to_pylist() == [line["prompt"]] * 9
    assert table["fp_tokens"].to_pylist() == [["t"]] * 9
    assert table["org_id"].to_pylist() == ["k"] * 9


def test_deep_nesting_is_left_to_the_ordinary_parser(tmp_path: Path) -> None:
    deep = "[" * 5000 + "]" * 5000
    text = f'{_FIRST}\n{{"timestamp":1795144267,"prompt":"x","other":{deep}}}\n'
    path = written(tmp_path, "log.jsonl", text.encode())
    _same(path, None, {})


def test_a_file_that_shrinks_while_it_is_read_ends_early(tmp_path: Path) -> None:
    path = written(tmp_path, "log.jsonl", (_FIRST + "\n").encode() * 100)
    reader = open_log(path)
    path.write_bytes((_FIRST + "\n").encode() * 10)
    assert sum(batch.num_rows for batch in reader.batches()) == 10


def test_a_file_that_is_gone_is_an_input_error(tmp_path: Path) -> None:
    path = written(tmp_path, "log.jsonl", _FIRST.encode())
    reader = open_log(path)
    path.unlink()
    with pytest.raises(InputError, match="cannot read"):
        list(reader.tasks())


def test_hostile_lines_cost_bounded_memory_and_are_told(tmp_path: Path) -> None:
    """A line of 100 MB, NUL bytes, half a surrogate pair, times out of order, a wrong type."""
    good = _FIRST.encode()
    path = tmp_path / "log.jsonl"
    with path.open("wb") as log:
        log.write(good + b'\n{"timestamp":1795144267,"prompt":"')
        for _ in range(100):
            log.write(b"x" * (1 << 20))
        log.write(b'"}\n')
        log.write(good.replace(b'"p"', b'"\\u0000"').replace(b"2026-11", b"2026-10") + b"\n")
        log.write(b"\0\0\0\n" + good.replace(b'"p"', b'"\\udc00"') + b"\n")
        log.write(good.replace(b'"a"', b'{"b":[]}') + b"\n" + good[:-9])
    # How much the interpreter itself holds shows the long line, had it been held.
    tracemalloc.start()
    reader = open_log(path)
    rows = [row for batch in reader.batches() for row in batch.to_pylist()]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20
    assert [row["prompt"] for row in rows][:2] == ["p", "\0"]
    assert rows[1]["observed_at"] < rows[0]["observed_at"]
    told = {problem.line for problem in reader.rejects.examples}
    assert {2, 4, 7} <= told
    assert reader.rejects.count + len(rows) == 7
    assert any(row["account_id"] is None for row in rows)
    assert {problem.line for problem in reader.field_problems.examples} >= {6}
