"""Vertex AI's request-response log, rows of its BigQuery table in JSON lines; times are UTC.

There is no account and no address (Cloud Audit Logs have them). The model is named by the last
part of its resource name, the organisation is the project in it.

Source: Vertex AI, request-response logging.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hub.traffic.assemble import Withheld
from hub.traffic.bodies import at, first, opened, request_text, utc
from hub.traffic.decode import Head, JsonLine, LineFormat, Row
from hub.traffic.messages import prompt_text

_PROJECT: Final = re.compile(r"projects/([^/]+)/")
_MESSAGES: Final = "gen_ai.input.messages"


class _Record(msgspec.Struct):
    endpoint: Any = None
    logging_time: Any = None
    request_id: Any = None
    model: Any = None
    model_version: Any = None
    full_request: Any = None
    full_response: Any = None
    otel_log: Any = None


_record: Final = JsonLine(_Record)


def _parse(line: bytes) -> Sequence[tuple[Any, ...]]:
    record = _record(line)
    request = opened(record.full_request)
    usage = _usage(record.full_response)
    return (
        Row(
            observed_at=utc(record.logging_time),
            event_id=record.request_id,
            org_id=_project(request.get("model")) or _project(record.endpoint),
            request_model=_last(record.model or record.model_version),
            prompt=_prompt(record),
            input_tokens=first(usage.get("prompt_token_count"), usage.get("promptTokenCount")),
            output_tokens=first(
                usage.get("candidates_token_count"), usage.get("candidatesTokenCount")
            ),
        ),
    )


def _prompt(record: _Record) -> str | Withheld | None:
    found = request_text(record.full_request)
    if found is not None or record.otel_log is None:
        return found
    log = opened(record.otel_log)
    return prompt_text(first(at(log, "attributes", _MESSAGES), log.get(_MESSAGES)))


def _usage(response: Any) -> dict[str, Any]:
    """The token counts; a streamed response is a list, and its last part counts all."""
    for part in reversed(response if isinstance(response, list) else [response]):
        opened_part = opened(part)
        usage = first(opened_part.get("usage_metadata"), opened_part.get("usageMetadata"))
        if isinstance(usage, dict):
            return usage
    return {}


def _project(name: Any) -> str | None:
    found = _PROJECT.search(name) if isinstance(name, str) else None
    return found[1] if found else None


def _last(name: Any) -> Any:
    return name.rpartition("/")[2] if isinstance(name, str) else name


def _recognised(head: Head) -> bool:
    return any(
        "logging_time" in r and r.keys() & {"full_request", "api_method", "deployed_model_id"}
        for r in head.records
    )


FORMAT: Final = LineFormat(
    name="vertex",
    title="Vertex AI request-response log",
    columns=frozenset(
        {
            "observed_at",
            "event_id",
            "org_id",
            "request_model",
            "prompt",
            "input_tokens",
            "output_tokens",
        }
    ),
    recognised=_recognised,
    parse=_parse,
)
