"""What only some records of gateways, clouds and services have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hub.traffic.formats import open_log
from hub.traffic.reader import LogReader
from tests.unit.traffic.exchange import Exchange, lines, messages
from tests.unit.traffic.exchanges import WRITERS, rows_of, written
from tests.unit.traffic.exchanges_gateways import kong_record, one_api_row, sealed
from tests.unit.traffic.exchanges_services import (
    azure_record,
    bedrock_record,
    langfuse_row,
    vertex_row,
)

ONE = Exchange(prompt="hello")


def _read(folder: Path, *records: dict[str, Any]) -> tuple[LogReader, list[dict[str, Any]]]:
    reader = open_log(written(folder, "log", lines(records)))
    return reader, rows_of(reader)


def _changed(name: str, **fields: Any) -> dict[str, Any]:
    return {**json.loads(WRITERS[name]([ONE])), **fields}


def _bedrock(given: Any) -> dict[str, Any]:
    return {**bedrock_record(ONE), "input": given}


def _kong(**part: Any) -> dict[str, Any]:
    record = kong_record(ONE)
    record["ai"]["proxy"].update(part)
    return record


_TURNS = [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]
_GEMINI = {"contents": [{"parts": [{"text": "hel"}]}, {"role": "model", "parts": [{"text": "x"}]}]}


@pytest.mark.parametrize(
    ("record", "column", "expected"),
    [
        ({**one_api_row(ONE), "user_id": 0}, "account_id", "somebody"),
        ({**one_api_row(ONE), "request_id": ""}, "event_id", "17"),
        ({**kong_record(ONE), "consumer": {"id": "c-1"}}, "account_id", "c-1"),
        ({**kong_record(ONE), "consumer": None}, "account_id", "key-1"),
        (
            {**kong_record(ONE), "ai": {"ai-proxy": {"meta": {"request_model": "m"}}}},
            "prompt",
            None,
        ),
        (
            {**kong_record(ONE), "ai": {"ai-proxy": {"meta": {"request_model": "m"}}}},
            "request_model",
            "m",
        ),
        (_kong(payload={"request": json.dumps(_GEMINI)}), "prompt", "hel"),
        (_kong(payload={"request": json.dumps({"input": "asked"})}), "prompt", "asked"),
        (_changed("envoy", **{"x-forwarded-for": "-"}), "client_ip", "127.0.0.1"),
        (_changed("envoy", **{"x-forwarded-for": "192.0.2.9, 10.0.0.1"}), "client_ip", "192.0.2.9"),
        (_changed("envoy", **{"user-agent": "-"}), "user_agent", None),
        (
            _changed("envoy", **{"gen_ai.request.model": "-", "gen_ai.response.model": "m"}),
            "request_model",
            "m",
        ),
        (_changed("cloudflare", metadata={"customerId": "c"}), "account_id", "c"),
        (_changed("cloudflare", metadata='{"team": "t"}'), "account_id", None),
        (_changed("portkey", request='{"messages": "cut'), "prompt", None),
        (_changed("portkey", request={"messages": messages("x")}), "prompt", "x"),
        (_changed("portkey", metadata=None), "account_id", None),
        (_changed("openai-compatible", request={"model": "m", "input": "x"}), "prompt", "x"),
        (
            _changed("openai-compatible", request={"model": "m", "safety_identifier": "s"}),
            "account_id",
            "s",
        ),
        (_changed("openai-compatible", usage={"input_tokens": 0}), "input_tokens", 0),
        (_changed("helicone", request_body={"prompt": "x"}), "prompt", "x"),
        ({**langfuse_row(ONE), "input": "a plain text"}, "prompt", "a plain text"),
        ({**langfuse_row(ONE), "input": "[not a list"}, "prompt", "[not a list"),
        ({**langfuse_row(ONE), "input": {"messages": messages("x")}}, "prompt", "x"),
        ({**langfuse_row(ONE), "usage_details": '{"input": 7}'}, "input_tokens", 7),
        (_bedrock({"inputBodyJson": {"inputText": "titan"}}), "prompt", "titan"),
        (_bedrock({"inputBodyJson": {"prompt": "llama"}}), "prompt", "llama"),
        (_bedrock({"inputBodyJson": {"messages": _TURNS, "system": "s"}}), "prompt", "hello"),
        (
            _bedrock(
                {
                    "inputBodyJson": {
                        "message": "two",
                        "chat_history": [
                            {"role": "USER", "message": "one"},
                            {"role": "CHATBOT", "message": "x"},
                        ],
                    }
                }
            ),
            "prompt",
            "one\ntwo",
        ),
        (
            {
                **bedrock_record(ONE),
                "identity": {"arn": "arn:aws:sts::0:assumed-role/r/s"},
            },
            "api_key_id",
            "arn:aws:sts::0:assumed-role/r/s",
        ),
        (
            {
                **bedrock_record(ONE),
                "output": {"outputBodyJson": {"usage": {"outputTokens": 9}}},
            },
            "output_tokens",
            9,
        ),
        ({**azure_record(ONE), "properties": {"objectId": "o"}}, "account_id", "o"),
        ({**azure_record(ONE), "properties": "cut {"}, "account_id", None),
        ({**azure_record(ONE), "resourceId": ""}, "org_id", "eastus"),
        ({**vertex_row(ONE), "full_request": {"messages": messages("claude")}}, "prompt", "claude"),
        ({**vertex_row(ONE), "full_request": json.dumps(_GEMINI)}, "prompt", "hel"),
        (
            {
                **vertex_row(ONE),
                "full_request": None,
                "otel_log": {"attributes": {"gen_ai.input.messages": json.dumps(_TURNS)}},
            },
            "prompt",
            "hello",
        ),
        (
            {
                **vertex_row(ONE),
                "full_response": [{}, {"usageMetadata": {"candidatesTokenCount": 4}}],
            },
            "output_tokens",
            4,
        ),
        (
            {**vertex_row(ONE), "full_request": {"model": "projects/p2/x", **_GEMINI}},
            "org_id",
            "p2",
        ),
        (_changed("ocsf", src_endpoint={"autonomous_system": {"number": 64496}}), "asn", 64496),
        (
            _changed("ocsf", actor={"user": {"email_addr": "A@Mail.Example"}}),
            "email_domain",
            "mail.example",
        ),
        (_changed("ocsf", api={}, metadata={"uid": "u"}), "event_id", "u"),
    ],
)
def test_what_a_column_falls_back_on(
    tmp_path: Path, record: dict[str, Any], column: str, expected: Any
) -> None:
    reader, rows = _read(tmp_path, record)
    assert rows[0][column] == expected
    assert reader.rejects.count == 0


@pytest.mark.parametrize(
    ("record", "column", "reason"),
    [
        (
            {**azure_record(ONE), "callerIpAddress": "192.0.2.***"},
            "client_ip",
            "client_ip is masked by its source",
        ),
        (
            _bedrock({"inputBodyS3Path": "s3://example/x"}),
            "prompt",
            "prompt is in S3 (inputBodyS3Path), not in this log",
        ),
        (
            _changed("cloudflare-logpush", RequestBody=sealed()),
            "prompt",
            "prompt is encrypted by its source",
        ),
        (
            _changed("cloudflare-logpush", Metadata=sealed()),
            "account_id",
            "account_id is encrypted by its source",
        ),
        (
            _changed("helicone", request_body='{"messages": [{"role": "user", "conte'),
            "prompt",
            "prompt stands in a body that is cut short",
        ),
    ],
)
@pytest.mark.parametrize("neighbour", [True, False])
def test_what_a_source_withholds_is_null_and_told(
    tmp_path: Path, record: dict[str, Any], column: str, reason: str, neighbour: bool
) -> None:
    name = open_log(written(tmp_path, "one", lines([record]))).format_name
    others = [_changed(name)] if neighbour else []
    reader, rows = _read(tmp_path, record, *others)
    assert rows[0][column] is None
    assert reader.field_problems.by_reason == {reason: 1}
    assert [problem.line for problem in reader.field_problems.examples] == [1]
    assert all(row[column] is not None for row in rows[1:])
    list(reader.batches(columns={"org_id"}))
    assert (column in reader.glimpsed) == neighbour
    assert reader.field_problems.count == 0


@pytest.mark.parametrize(
    "record",
    [
        *({**one_api_row(ONE), "type": kind} for kind in (1, 3, 4, 6)),
        {**kong_record(ONE), "ai": None},
        _changed("envoy", **{"gen_ai.request.model": "-"}),
        {**langfuse_row(ONE), "type": "SPAN"},
        {**azure_record(ONE), "category": "Audit"},
        _changed("ocsf", class_uid=6005),
        _changed("ocsf", ai_model=None, message_context=None),
    ],
)
def test_records_of_no_model_request_are_skipped(tmp_path: Path, record: dict[str, Any]) -> None:
    reader, rows = _read(tmp_path, record)
    assert not rows
    assert (reader.skipped, reader.rejects.count) == (1, 0)


def test_failed_requests_are_exchanges_too(tmp_path: Path) -> None:
    assert len(_read(tmp_path, {**one_api_row(ONE), "type": 5})[1]) == 1


def test_records_that_come_in_one_object(tmp_path: Path) -> None:
    other = {**azure_record(ONE), "category": "Audit"}
    reader, rows = _read(tmp_path, {"records": [azure_record(ONE), other, azure_record(ONE)]})
    assert (reader.format_name, len(rows)) == ("azure-openai", 2)
    reader, rows = _read(tmp_path, {"result": [_changed("cloudflare")] * 3, "success": True})
    assert (reader.format_name, len(rows)) == ("cloudflare", 3)
    mixed = [azure_record(ONE), {"records": [1]}, {"records": ["x"]}]
    reader, rows = _read(tmp_path, *mixed)
    assert (len(rows), reader.rejects.count) == (1, 2)


@pytest.mark.parametrize("moment", ["2026-11-20 12:00:00.25", "2026-11-20 12:00:00.250000 UTC"])
@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("helicone", "request_created_at"),
        ("langfuse", "start_time"),
        ("vertex", "logging_time"),
        ("azure-openai", "time"),
    ],
)
def test_times_that_are_utc_by_documentation(
    tmp_path: Path, name: str, field: str, moment: str
) -> None:
    reader, rows = _read(tmp_path, _changed(name, **{field: moment}))
    assert rows[0]["observed_at"] == ONE.observed_at
    assert reader.naive_times == 0


def test_logpush_takes_the_last_time_of_the_files_name(tmp_path: Path) -> None:
    data = lines([_changed("cloudflare-logpush")])
    for name, expected in (
        ("20261110T031107Z_20261110T031207Z_a1b2c3.log", "2026-11-10 03:12:07+00:00"),
        ("logs-2026-11-10.json", "2026-11-10 00:00:00+00:00"),
        ("gw_20261110-0312.log", "2026-11-10 03:12:00+00:00"),
        ("20261110_20261399.log", "2026-11-10 00:00:00+00:00"),
    ):
        reader = open_log(written(tmp_path, name, data * 2))
        rows = rows_of(reader)
        assert [str(row["observed_at"]) for row in rows] == [expected] * 2
        assert (reader.file_times, reader.naive_times) == (2, 0)
        assert [row["event_id"] for row in rows] == [f"{name}:1", f"{name}:2"]
