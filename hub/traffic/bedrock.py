"""AWS Bedrock's model invocation log; no address and no user agent (CloudTrail has them).

The account is the caller's ARN. A large body is not in the record but in S3 (`inputBodyS3Path`):
its prompt cannot be matched here, which is counted. `requestId` joins CloudTrail's record, which
has the address.

Source: Amazon Bedrock, model invocation logging (schema 1.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hub.traffic.assemble import Withheld
from hub.traffic.bodies import at, first, request_text
from hub.traffic.decode import Head, JsonLine, LineFormat, Row

_KIND: Final = "ModelInvocationLog"
_IN_S3: Final = Withheld("prompt is in S3 (inputBodyS3Path), not in this log")
_SESSION: Final = ":assumed-role/"


class _Record(msgspec.Struct, rename="camel"):
    schema_type: Any = None
    timestamp: Any = None
    account_id: Any = None
    identity: Any = None
    request_id: Any = None
    model_id: Any = None
    input: Any = None
    output: Any = None


_record: Final = JsonLine(_Record)


def _parse(line: bytes) -> Sequence[tuple[Any, ...]]:
    record = _record(line)
    if record.schema_type not in (None, _KIND):
        return ()
    arn = at(record.identity, "arn")
    usage = at(record.output, "outputBodyJson", "usage")
    return (
        Row(
            observed_at=record.timestamp,
            event_id=record.request_id,
            account_id=arn,
            org_id=record.account_id,
            api_key_id=arn if isinstance(arn, str) and _SESSION in arn else None,
            request_model=record.model_id,
            prompt=_prompt(record.input),
            input_tokens=first(at(record.input, "inputTokenCount"), at(usage, "inputTokens")),
            output_tokens=first(at(record.output, "outputTokenCount"), at(usage, "outputTokens")),
        ),
    )


def _prompt(given: Any) -> str | Withheld | None:
    body = at(given, "inputBodyJson")
    if body is None and at(given, "inputBodyS3Path"):
        return _IN_S3
    return request_text(body)


def _recognised(head: Head) -> bool:
    return any(
        r.get("schemaType") == _KIND or {"modelId", "identity", "input"} <= r.keys()
        for r in head.records
    )


FORMAT: Final = LineFormat(
    name="bedrock",
    title="AWS Bedrock invocation log",
    columns=frozenset(
        {
            "observed_at",
            "event_id",
            "account_id",
            "org_id",
            "api_key_id",
            "request_model",
            "prompt",
            "input_tokens",
            "output_tokens",
        }
    ),
    recognised=_recognised,
    parse=_parse,
)
