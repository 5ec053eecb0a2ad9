"""The law of the kernel for LiteLLM's records: with or without it, the same rows and counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.traffic import json_columns, slots
from hub.traffic.decode import LineDecoder
from hub.traffic.formats import open_log
from tests.unit.traffic.exchanges import written
from tests.unit.traffic.test_json_law import _SCALARS, _TIMES, _VALUES, _object

_CHAT: Final = [
    {"role": "system", "content": "operator"},
    {"role": "user", "content": 'Grade "this"\nanswer \U0001f600'},
    {"role": "user", "content": [{"type": "text", "text": "and why"}]},
]
_META: Final = {
    "user_agent": "client/1",
    "requester_ip_address": "192.0.2.9",
    "user_api_key": "sk",
    "user_api_key_hash": "hash",
    "user_api_key_org_id": "org",
    "user_api_key_team_id": "team",
    "user_api_key_user_id": "user",
    "user_api_key_user_email": "One@Mail.Example",
    "user_api_key_end_user_id": "end",
    "spend_logs_metadata": {"any": [1, 2.5, None]},
}
_RECORD: Final[dict[str, Any]] = {
    "id": "r1",
    "request_id": "r1",
    "startTime": 1795144267.123456,
    "api_key": "k",
    "user": "u",
    "end_user": "e",
    "organization_id": "o",
    "team_id": "t",
    "requester_ip_address": "192.0.2.1",
    "request_tags": ["User-Agent: a", "User-Agent: a/1.2", "other"],
    "custom_llm_provider": "example-lab",
    "model": "m",
    "model_group": "g",
    "messages": _CHAT,
    "proxy_server_request": {"body": {"messages": _CHAT}},
    "prompt_tokens": 3,
    "completion_tokens": 0,
    "metadata": _META,
    "response": {"choices": [{"message": {"content": "x", "logprobs": [-0.5]}}]},
}
_FORMATS: Final = {"litellm": {"request_id"}, "litellm-spend": {"id"}}

_CHATS = st.sampled_from([_CHAT, json.dumps(_CHAT), {"messages": _CHAT}, "text", [], {}, "", None])
_INNER = st.dictionaries(st.sampled_from(list(_META)), _SCALARS, max_size=6)
_METAS = st.builds(lambda base, more: base | more, st.sampled_from([{}, _META]), _INNER)
_FIELDS = st.one_of(
    st.tuples(st.sampled_from(list(_RECORD)), _VALUES | st.sampled_from(["", None, "text", 0])),
    st.tuples(st.sampled_from(["messages", "proxy_server_request"]), _CHATS),
    st.tuples(st.just("metadata"), _METAS | _METAS.map(json.dumps)),
    st.tuples(st.just("startTime"), _TIMES | st.floats(0, 1e20)),
    st.tuples(
        st.just("request_tags"), st.lists(st.sampled_from(["User-Agent: ", "User-Agent: b"]))
    ),
)


def _record(fields: list[tuple[str, Any]], twice: bool, ascii_only: bool) -> bytes:
    pairs = [*_RECORD.items(), *fields] if twice else [*(_RECORD | dict(fields)).items()]
    return _object(pairs, ascii_only, False)


_LINES = st.lists(
    st.builds(
        _record, st.lists(_FIELDS, max_size=5), st.sampled_from([False] * 5 + [True]), st.booleans()
    )
    | st.builds(lambda line, at: line[:at], st.just(_record([], False, True)), st.integers(0, 900)),
    max_size=8,
)


def _read(path: Path, name: str, columns: set[str] | None) -> tuple[Any, ...]:
    reader = open_log(path, format=name, examples=50)
    batches = []
    for batch in reader.batches(columns=columns):
        batch.validate(full=True)
        batches.append(batch)
    rows = pa.Table.from_batches(batches).to_pylist() if batches else None
    return rows, reader.rows, reader.seen, reader.tally


def _same(path: Path, name: str, columns: set[str] | None) -> None:
    fast = _read(path, name, columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slots._Decoder, "tasks", LineDecoder.tasks)
        slow = _read(path, name, columns)
    assert fast == slow


@settings(max_examples=100, deadline=None)
@given(
    _LINES,
    st.sampled_from(sorted(_FORMATS)),
    st.sampled_from([None, {"client_ip", "prompt"}, {"account_id", "user_agent"}]),
)
@example([_record([("metadata", json.dumps(_META))], False, True)], "litellm", None)
@example([_record([("user", ""), ("end_user", 0)], False, True)], "litellm-spend", None)
@example([_record([("startTime", 1795144267.1234567)], False, True)], "litellm", None)
def test_any_records_give_the_same_with_and_without_the_kernel(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    name: str,
    columns: set[str] | None,
) -> None:
    path = written(tmp_path_factory.mktemp("law"), "log.jsonl", b"\n".join([b"{}", *lines]))
    _same(path, name, columns)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(1e9, 4e9) | st.decimals(1, 4_000_000_000, places=6), min_size=1, max_size=30)
)
def test_seconds_with_a_fraction_are_rounded_alike(
    tmp_path_factory: pytest.TempPathFactory, times: list[Any]
) -> None:
    lines = [f'{{"id": "r{n}", "startTime": {one}}}'.encode() for n, one in enumerate(times)]
    path = written(tmp_path_factory.mktemp("law"), "log.jsonl", b"\n".join(lines))
    _same(path, "litellm", None)


@pytest.mark.parametrize("name", _FORMATS)
def test_ordinary_records_stay_with_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Else the law would hold and nothing be gained."""
    odd: list[Any] = []
    real = json_columns.passes

    def watched(*given: Any) -> Any:
        for found in real(*given):
            odd.extend(found.odd)
            yield found

    monkeypatch.setattr(slots, "passes", watched)
    record = {key: value for key, value in _RECORD.items() if key not in _FORMATS[name]}
    lines = [json.dumps(record).encode()] * 9
    path = written(tmp_path, "log.jsonl", b"\n".join([*lines, b"{"]))
    rows, count, *_ = _read(path, "auto", None)
    assert (count, [number for number, _ in odd]) == (9, [10])
    assert {row["prompt"] for row in rows} == {'Grade "this"\nanswer \U0001f600\nand why'}
    assert {row["client_ip"] for row in rows} == {"192.0.2.1"}
    assert {row["account_id"] for row in rows} == {"user" if name == "litellm" else "u"}
