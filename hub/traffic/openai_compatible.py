"""The request log of an OpenAI-compatible server: the body as it came, and who sent it.

The account is the one that the body names: `user`, else `safety_identifier`.

Source: OpenAI API reference (chat completions, responses); `ts`, `client_ip`, `api_key_id`,
`organization` and `user_agent` are the server's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hub.traffic.bodies import at, first, opened, request_text
from hub.traffic.decode import Head, JsonLine, LineFormat, Row


class _Record(msgspec.Struct):
    ts: Any = None
    request_id: Any = None
    client_ip: Any = None
    api_key_id: Any = None
    organization: Any = None
    user_agent: Any = None
    request: Any = None
    usage: Any = None


_record: Final = JsonLine(_Record)


def _parse(line: bytes) -> Sequence[tuple[Any, ...]]:
    record = _record(line)
    request = opened(record.request)
    usage = record.usage
    return (
        Row(
            observed_at=record.ts,
            event_id=record.request_id,
            account_id=request.get("user") or request.get("safety_identifier"),
            org_id=record.organization,
            api_key_id=record.api_key_id,
            client_ip=record.client_ip,
            user_agent=record.user_agent,
            request_model=request.get("model"),
            prompt=request_text(record.request),
            input_tokens=first(at(usage, "prompt_tokens"), at(usage, "input_tokens")),
            output_tokens=first(at(usage, "completion_tokens"), at(usage, "output_tokens")),
        ),
    )


def _recognised(head: Head) -> bool:
    return any("ts" in r and "model" in opened(r.get("request")) for r in head.records)


FORMAT: Final = LineFormat(
    name="openai-compatible",
    title="OpenAI-compatible request log",
    columns=frozenset(
        {
            "observed_at",
            "event_id",
            "account_id",
            "org_id",
            "api_key_id",
            "client_ip",
            "user_agent",
            "request_model",
            "prompt",
            "input_tokens",
            "output_tokens",
        }
    ),
    recognised=_recognised,
    parse=_parse,
)
