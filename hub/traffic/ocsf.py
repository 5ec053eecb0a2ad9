"""OCSF's API Activity (6003) with the `ai_operation` profile: every layer but keyed accounts.

Other activities, and API calls without a model, are skipped and counted.

Source: OCSF schema 1.9.0-dev, class 6003 and profile ai_operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hub.traffic.bodies import at
from hub.traffic.decode import Head, JsonLine, LineFormat, Row
from hub.traffic.litellm import domain
from hub.traffic.messages import prompt_text

_API_ACTIVITY: Final = 6003


class _Record(msgspec.Struct):
    class_uid: Any = _API_ACTIVITY
    time: Any = None
    metadata: Any = None
    actor: Any = None
    api: Any = None
    src_endpoint: Any = None
    http_request: Any = None
    ai_model: Any = None
    message_context: Any = None


_record: Final = JsonLine(_Record)


def _parse(line: bytes) -> Sequence[tuple[Any, ...]]:
    record = _record(line)
    said = record.message_context
    if record.class_uid != _API_ACTIVITY or (record.ai_model is None and said is None):
        return ()
    user = at(record.actor, "user")
    return (
        Row(
            observed_at=record.time,
            event_id=at(record.api, "request", "uid") or at(record.metadata, "uid"),
            account_id=at(user, "uid"),
            org_id=at(user, "org", "uid"),
            api_key_id=at(user, "credential_uid"),
            email_domain=domain(at(user, "email_addr")),
            client_ip=at(record.src_endpoint, "ip"),
            asn=at(record.src_endpoint, "autonomous_system", "number"),
            user_agent=at(record.http_request, "user_agent"),
            provider_name=at(record.ai_model, "ai_provider"),
            request_model=at(record.ai_model, "name"),
            prompt=prompt_text(at(said, "prompt_text")),
            input_tokens=at(said, "prompt_tokens"),
            output_tokens=at(said, "completion_tokens"),
        ),
    )


def _recognised(head: Head) -> bool:
    return any("class_uid" in r and r.keys() & {"category_uid", "type_uid"} for r in head.records)


FORMAT: Final = LineFormat(
    name="ocsf",
    title="OCSF API Activity (ai_operation)",
    columns=frozenset(Row._fields),
    recognised=_recognised,
    parse=_parse,
)
