"""The JSON access log of the Envoy AI Gateway; never a prompt, and an account only by extension.

Every value may be a string, and one that Envoy does not have is null or `-`. Requests that name no
model are skipped and counted. Of a chain in `x-forwarded-for` the first address counts, which the
client may have written itself; without the header it is the address of the peer.

Source: Envoy AI Gateway, access log configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hub.traffic.decode import Head, JsonLine, LineFormat, Row

_MODEL: Final = "gen_ai.request.model"
_MARKS: Final = frozenset(
    {_MODEL, "x-envoy-origin-path", "downstream_remote_address", "upstream_cluster"}
)


class _Record(msgspec.Struct):
    start_time: Any = None
    request_id: Any = msgspec.field(default=None, name="x-request-id")
    user_agent: Any = msgspec.field(default=None, name="user-agent")
    forwarded: Any = msgspec.field(default=None, name="x-forwarded-for")
    peer: Any = msgspec.field(default=None, name="downstream_remote_address")
    model: Any = msgspec.field(default=None, name=_MODEL)
    answered: Any = msgspec.field(default=None, name="gen_ai.response.model")
    provider: Any = msgspec.field(default=None, name="gen_ai.provider.name")
    user: Any = msgspec.field(default=None, name="user.id")
    input_tokens: Any = msgspec.field(default=None, name="gen_ai.usage.input_tokens")
    output_tokens: Any = msgspec.field(default=None, name="gen_ai.usage.output_tokens")


_record: Final = JsonLine(_Record)


def _parse(line: bytes) -> Sequence[tuple[Any, ...]]:
    record = _record(line)
    model = _shown(record.model) or _shown(record.answered)
    if model is None:
        return ()
    return (
        Row(
            observed_at=_shown(record.start_time),
            event_id=_shown(record.request_id),
            account_id=_shown(record.user),
            client_ip=_shown(record.forwarded) or _shown(record.peer),
            user_agent=_shown(record.user_agent),
            provider_name=_shown(record.provider),
            request_model=model,
            input_tokens=_shown(record.input_tokens),
            output_tokens=_shown(record.output_tokens),
        ),
    )


def _shown(value: Any) -> Any:
    return None if value in ("-", "") else value


def _recognised(head: Head) -> bool:
    return any("start_time" in r and r.keys() & _MARKS for r in head.records)


FORMAT: Final = LineFormat(
    name="envoy",
    title="Envoy AI Gateway access log",
    columns=frozenset(
        {
            "observed_at",
            "event_id",
            "account_id",
            "client_ip",
            "user_agent",
            "provider_name",
            "request_model",
            "input_tokens",
            "output_tokens",
        }
    ),
    recognised=_recognised,
    parse=_parse,
)
