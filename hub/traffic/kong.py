"""Kong's `http-log` (and `file-log`) records of a route with an AI plugin.

The prompt is there only where the plugin's `log_payloads` is set. Requests of other routes are
skipped and counted.

Source: Kong Gateway, AI audit log reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hub.traffic.bodies import at, first, request_text
from hub.traffic.decode import Head, JsonLine, LineFormat, Row

_PARTS: Final = frozenset({"meta", "usage", "payload"})


class _Record(msgspec.Struct):
    client_ip: Any = None
    started_at: Any = None
    workspace_name: Any = None
    consumer: Any = None
    authenticated_entity: Any = None
    request: Any = None
    ai: Any = None


_record: Final = JsonLine(_Record)


def _part(ai: Any) -> dict[str, Any] | None:
    """What the AI plugin logged: under `proxy` since 3.8, under the plugin's own name before."""
    if not isinstance(ai, dict):
        return None
    parts = (ai.get("proxy"), *ai.values())
    return next((p for p in parts if isinstance(p, dict) and p.keys() & _PARTS), None)


def _parse(line: bytes) -> Sequence[tuple[Any, ...]]:
    record = _record(line)
    part = _part(record.ai)
    if part is None:
        return ()
    consumer = record.consumer
    entity = at(record.authenticated_entity, "id")
    return (
        Row(
            observed_at=record.started_at,
            event_id=at(record.request, "id"),
            account_id=at(consumer, "username") or at(consumer, "id") or entity,
            org_id=record.workspace_name,
            api_key_id=entity,
            client_ip=record.client_ip,
            user_agent=_joined(at(record.request, "headers", "user-agent")),
            provider_name=at(part, "meta", "provider_name"),
            request_model=at(part, "meta", "request_model"),
            prompt=request_text(at(part, "payload", "request")),
            input_tokens=at(part, "usage", "prompt_tokens"),
            output_tokens=at(part, "usage", "completion_tokens"),
        ),
    )


def _joined(header: Any) -> Any:
    """A header that was sent more than once is a list."""
    if isinstance(header, list):
        return first(*header)
    return header


def _recognised(head: Head) -> bool:
    return any(
        {"started_at", "request"} <= r.keys() and r.keys() & {"latencies", "consumer", "ai"}
        for r in head.records
    )


FORMAT: Final = LineFormat(
    name="kong",
    title="Kong AI http-log",
    columns=frozenset(Row._fields) - {"asn", "email_domain"},
    recognised=_recognised,
    parse=_parse,
)
