"""Helicone's `request_response_rmt`, rows of its ClickHouse table in JSON lines; times are UTC.

The table keeps a country, never an address.

Source: Helicone, ClickHouse migrations (`request_response_rmt`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hub.traffic.bodies import request_text, utc
from hub.traffic.decode import Head, JsonLine, LineFormat, Row


class _Record(msgspec.Struct):
    request_id: Any = None
    request_created_at: Any = None
    user_id: Any = None
    organization_id: Any = None
    proxy_key_id: Any = None
    provider: Any = None
    model: Any = None
    request_body: Any = None
    prompt_tokens: Any = None
    completion_tokens: Any = None


_record: Final = JsonLine(_Record)


def _parse(line: bytes) -> Sequence[tuple[Any, ...]]:
    record = _record(line)
    return (
        Row(
            observed_at=utc(record.request_created_at),
            event_id=record.request_id,
            account_id=record.user_id,
            org_id=record.organization_id,
            api_key_id=record.proxy_key_id,
            provider_name=record.provider,
            request_model=record.model,
            prompt=request_text(record.request_body),
            input_tokens=record.prompt_tokens,
            output_tokens=record.completion_tokens,
        ),
    )


def _recognised(head: Head) -> bool:
    return any({"request_created_at", "request_id"} <= r.keys() for r in head.records)


FORMAT: Final = LineFormat(
    name="helicone",
    title="Helicone request_response_rmt",
    columns=frozenset(
        {
            "observed_at",
            "event_id",
            "account_id",
            "org_id",
            "api_key_id",
            "provider_name",
            "request_model",
            "prompt",
            "input_tokens",
            "output_tokens",
        }
    ),
    recognised=_recognised,
    parse=_parse,
)
