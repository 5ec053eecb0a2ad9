"""Azure OpenAI's `RequestResponse` diagnostic log: neither prompts nor token counts.

Azure masks the last part of the caller's address (`192.0.2.***`). What is left names a network of
256 addresses, which answers no pattern about one address and would accuse neighbours if it
answered one about a range, so that the column stays null and each masked address is counted. An
address that is whole, as some regions write it, is used. `properties` is an object or JSON in a
string, and `objectId` (the Entra identity of the caller) is often empty.

Source: Azure Monitor, Microsoft.CognitiveServices/accounts, RequestResponse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hub.traffic.assemble import Withheld
from hub.traffic.bodies import opened, utc
from hub.traffic.decode import Head, JsonLine, LineFormat, Row
from hub.traffic.problems import RejectError

_CATEGORY: Final = "RequestResponse"
_MASKED: Final = Withheld("client_ip is masked by its source")


class _Record(msgspec.Struct):
    records: Any = None
    time: Any = None
    category: Any = _CATEGORY
    caller: Any = msgspec.field(default=None, name="callerIpAddress")
    correlation: Any = msgspec.field(default=None, name="correlationId")
    resource: Any = msgspec.field(default=None, name="resourceId")
    tenant: Any = msgspec.field(default=None, name="Tenant")
    properties: Any = None


_record: Final = JsonLine(_Record)
_inner: Final = list[_Record]


def _parse(line: bytes) -> Sequence[tuple[Any, ...]]:
    record = _record(line)
    if not isinstance(record.records, list):
        return [_row(record)] if record.category == _CATEGORY else ()
    try:
        batch = msgspec.convert(record.records, _inner)
    except msgspec.ValidationError as error:
        raise RejectError("a JSON object of another form was expected") from error
    return [_row(item) for item in batch if item.category == _CATEGORY]


def _row(record: _Record) -> Row:
    properties = opened(record.properties)
    masked = isinstance(record.caller, str) and "*" in record.caller
    return Row(
        observed_at=utc(record.time),
        event_id=record.correlation,
        account_id=properties.get("objectId"),
        org_id=record.resource or record.tenant,
        client_ip=_MASKED if masked else record.caller,
        request_model=properties.get("modelName") or properties.get("modelDeploymentName"),
    )


def _recognised(head: Head) -> bool:
    batches = [r["records"] for r in head.records if isinstance(r.get("records"), list)]
    records = [*head.records, *(item for batch in batches for item in batch)]
    return any(
        isinstance(r, dict)
        and {"time", "category", "properties"} <= r.keys()
        and r.keys() & {"callerIpAddress", "resourceId", "correlationId"}
        for r in records
    )


FORMAT: Final = LineFormat(
    name="azure-openai",
    title="Azure OpenAI RequestResponse",
    columns=frozenset(
        {"observed_at", "event_id", "account_id", "org_id", "client_ip", "request_model"}
    ),
    recognised=_recognised,
    parse=_parse,
)
