"""Portkey's log export: the prompt, and the account that the caller named as `_user`.

Source: Portkey, log exports (`requested_data`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hub.traffic.bodies import opened, request_text
from hub.traffic.decode import Head, JsonLine, LineFormat, Row

_MARKS: Final = frozenset({"created_at", "ai_model"})


class _Record(msgspec.Struct):
    id: Any = None
    created_at: Any = None
    request: Any = None
    ai_org: Any = None
    ai_model: Any = None
    req_units: Any = None
    res_units: Any = None
    metadata: Any = None


_record: Final = JsonLine(_Record)


def _parse(line: bytes) -> Sequence[tuple[Any, ...]]:
    record = _record(line)
    return (
        Row(
            observed_at=record.created_at,
            event_id=record.id,
            account_id=opened(record.metadata).get("_user"),
            provider_name=record.ai_org,
            request_model=record.ai_model,
            prompt=request_text(record.request),
            input_tokens=record.req_units,
            output_tokens=record.res_units,
        ),
    )


def _recognised(head: Head) -> bool:
    return any(r.keys() >= _MARKS for r in head.records)


FORMAT: Final = LineFormat(
    name="portkey",
    title="Portkey log export",
    columns=frozenset(
        {
            "observed_at",
            "event_id",
            "account_id",
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
