"""What only some records of LiteLLM and OpenTelemetry have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hub.traffic.formats import open_log
from tests.unit.traffic.exchanges import Exchange, attribute, rows_of, span, written


def _spend(**fields: Any) -> dict[str, Any]:
    return {"request_id": "r", "startTime": "2026-11-20T12:00:00Z", "api_key": "k", **fields}


def _payload(metadata: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": "r", "startTime": 1795144267.5, "metadata": metadata, **fields}


@pytest.mark.parametrize(
    ("record", "column", "expected"),
    [
        (_spend(user="", end_user="cust"), "account_id", "cust"),
        (_spend(organization_id=None, team_id="team"), "org_id", "team"),
        (_spend(request_tags=["User-Agent: a", "User-Agent: a/1.2"]), "user_agent", "a/1.2"),
        (_spend(request_tags="User-Agent: x"), "user_agent", None),
        (_spend(metadata='{"user_agent": "inner/1"}'), "user_agent", "inner/1"),
        (_spend(metadata="no json"), "user_agent", None),
        (_spend(metadata=[1]), "user_agent", None),
        (_spend(metadata={"requester_ip_address": "192.0.2.1"}), "client_ip", "192.0.2.1"),
        (_spend(model="", model_group="group"), "request_model", "group"),
        (_spend(messages="{}"), "prompt", None),
        (
            _spend(
                messages={}, proxy_server_request={"messages": [{"role": "user", "content": "p"}]}
            ),
            "prompt",
            "p",
        ),
        (_payload({"user_api_key_end_user_id": "e"}), "account_id", "e"),
        (_payload({"user_api_key_team_id": "t"}), "org_id", "t"),
        (_payload({"user_api_key_user_email": "A.B@Mail.Example"}), "email_domain", "mail.example"),
        (_payload({"user_api_key_user_email": "nobody"}), "email_domain", None),
        (_payload({"user_api_key_user_email": 5}), "email_domain", None),
    ],
)
def test_litellm_fallbacks(
    tmp_path: Path, record: dict[str, Any], column: str, expected: str | None
) -> None:
    reader = open_log(written(tmp_path, "log", json.dumps(record).encode()))
    assert rows_of(reader)[0][column] == expected
    assert reader.rejects.count == reader.field_problems.count == 0


def _otel(folder: Path, *lines: dict[str, Any]) -> Path:
    return written(folder, "log", "".join(json.dumps(line) + "\n" for line in lines).encode())


def _spans(*spans: dict[str, Any]) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}


def test_otel_foreign_spans_are_skipped_and_counted(tmp_path: Path) -> None:
    foreign: dict[str, Any] = {
        "traceId": "1",
        "spanId": "2",
        "startTimeUnixNano": "1795144267000000000",
    }
    foreign["attributes"] = [attribute("http.route", "/health")]
    reader = open_log(_otel(tmp_path, _spans(foreign), _spans(span(Exchange()), foreign)))
    assert len(rows_of(reader)) == 1
    assert reader.skipped == 1
    assert reader.rejects.count == 0


def test_otel_ids_and_older_names(tmp_path: Path) -> None:
    one = span(Exchange(provider_name=None, account_id=None), 7)
    drop = {"gen_ai.response.id"}
    one["attributes"] = [a for a in one["attributes"] if a["key"] not in drop]
    one["attributes"] += [attribute("gen_ai.system", "older"), attribute("enduser.id", "eu")]
    one["startTimeUnixNano"] = 1795176000250000000
    row = rows_of(open_log(_otel(tmp_path, _spans(one))))[0]
    assert row["event_id"] == f"{7:032x}:{7:016x}"
    assert (row["provider_name"], row["account_id"]) == ("older", "eu")
    assert row["observed_at"] == Exchange().observed_at


def test_otel_structured_messages(tmp_path: Path) -> None:
    part = {"kvlistValue": {"values": [attribute("type", "text"), attribute("content", "hi")]}}
    message = {
        "kvlistValue": {
            "values": [
                attribute("role", "user"),
                {"key": "parts", "value": {"arrayValue": {"values": [part]}}},
            ]
        }
    }
    one = span(Exchange(prompt=None))
    one["attributes"].append(
        {"key": "gen_ai.input.messages", "value": {"arrayValue": {"values": [message]}}}
    )
    assert rows_of(open_log(_otel(tmp_path, _spans(one))))[0]["prompt"] == "hi"


def test_otel_events_of_a_span_and_log_records(tmp_path: Path) -> None:
    details = {
        "name": "gen_ai.client.inference.operation.details",
        "attributes": [attribute("gen_ai.input.messages", '[{"role":"user","content":"event"}]')],
    }
    legacy = {"name": "gen_ai.user.message", "attributes": [attribute("content", "legacy")]}
    record = {
        "timeUnixNano": "1795144267000000000",
        "eventName": "gen_ai.client.inference.operation.details",
        "traceId": "a",
        "spanId": "b",
        "attributes": [*span(Exchange(event_id="from-log"))["attributes"]],
    }
    other = {"timeUnixNano": "1795144267000000000", "body": {"stringValue": "hello"}}
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record, other]}]}]}
    reader = open_log(
        _otel(
            tmp_path,
            _spans({**span(Exchange(prompt=None)), "events": [details]}),
            _spans({**span(Exchange(prompt=None)), "events": [legacy]}),
            logs,
        )
    )
    rows = rows_of(reader)
    assert [row["prompt"] for row in rows] == ["event", "legacy", Exchange().prompt]
    assert rows[2]["event_id"] == "from-log"
