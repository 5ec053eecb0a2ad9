"""Langfuse's observations v2 in JSON lines; times are UTC, and an application names the user.

Only generations are exchanges; spans, events and tools are skipped and counted. A user agent is
there only where the application put one into its metadata.

Source: Langfuse documentation, blob storage export and observations v2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hub.traffic.bodies import first, opened, utc
from hub.traffic.decode import Head, JsonLine, LineFormat, Row
from hub.traffic.messages import prompt_text

_GENERATION: Final = "GENERATION"
_MARKS: Final = frozenset({"start_time", "trace_id", "type"})
_OTHER_MARKS: Final = frozenset({"provided_model_name", "usage_details", "project_id"})
_AGENTS: Final = ("user_agent", "user-agent", "userAgent", "user_agent.original")


class _Record(msgspec.Struct):
    id: Any = None
    type: Any = _GENERATION
    project_id: Any = None
    start_time: Any = None
    user_id: Any = None
    input: Any = None
    provided_model_name: Any = None
    usage_details: Any = None
    metadata: Any = None


_record: Final = JsonLine(_Record)


def _parse(line: bytes) -> Sequence[tuple[Any, ...]]:
    record = _record(line)
    if record.type != _GENERATION:
        return ()
    usage, metadata = opened(record.usage_details), opened(record.metadata)
    return (
        Row(
            observed_at=utc(record.start_time),
            event_id=record.id,
            account_id=record.user_id,
            org_id=record.project_id,
            user_agent=next((metadata[key] for key in _AGENTS if metadata.get(key)), None),
            request_model=record.provided_model_name,
            prompt=prompt_text(record.input),
            input_tokens=first(usage.get("input"), usage.get("input_tokens")),
            output_tokens=first(usage.get("output"), usage.get("output_tokens")),
        ),
    )


def _recognised(head: Head) -> bool:
    return any(r.keys() >= _MARKS and r.keys() & _OTHER_MARKS for r in head.records)


FORMAT: Final = LineFormat(
    name="langfuse",
    title="Langfuse observations",
    columns=frozenset(
        {
            "observed_at",
            "event_id",
            "account_id",
            "org_id",
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
