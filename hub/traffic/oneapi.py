"""The usage logs of one-api and of its fork new-api, as rows of their database in JSON lines.

A row holds no prompt. Only new-api can hold an address, where the user's setting keeps it. Rows
that are no request (top-ups, sign-ins, the operator's own acts) are skipped and counted.

Source: one-api and new-api, `model/log.go`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hub.traffic.decode import Head, JsonLine, LineFormat, Row

# 1 top-up, 3 management, 4 system, 6 refund; 2 is usage and 5 a request that failed.
_NO_REQUEST: Final = (1, 3, 4, 6)
_BOTH: Final = frozenset({"created_at", "model_name", "token_name", "quota", "user_id"})
_NEW: Final = frozenset({"token_id", "group", "ip", "use_time"})
_SHARED: Final = frozenset(
    {
        "observed_at",
        "event_id",
        "account_id",
        "api_key_id",
        "request_model",
        "input_tokens",
        "output_tokens",
    }
)


class _Record(msgspec.Struct):
    id: Any = None
    request_id: Any = None
    type: Any = None
    created_at: Any = None
    user_id: Any = None
    username: Any = None
    token_id: Any = None
    token_name: Any = None
    model_name: Any = None
    group: Any = None
    ip: Any = None
    prompt_tokens: Any = None
    completion_tokens: Any = None


_record: Final = JsonLine(_Record)


def _row(record: _Record, api_key_id: Any) -> Row:
    return Row(
        observed_at=record.created_at,
        event_id=record.request_id or record.id,
        account_id=record.user_id or record.username,
        api_key_id=api_key_id,
        request_model=record.model_name,
        input_tokens=record.prompt_tokens,
        output_tokens=record.completion_tokens,
    )


def _parse_one(line: bytes) -> Sequence[tuple[Any, ...]]:
    record = _record(line)
    if record.type in _NO_REQUEST:
        return ()
    return (_row(record, record.token_name),)


def _parse_new(line: bytes) -> Sequence[tuple[Any, ...]]:
    record = _record(line)
    if record.type in _NO_REQUEST:
        return ()
    row = _row(record, record.token_id or record.token_name)
    return (row._replace(org_id=record.group, client_ip=record.ip),)


def _one_recognised(head: Head) -> bool:
    found = [record.keys() for record in head.records if record.keys() >= _BOTH]
    return bool(found) and not any(_NEW & keys for keys in found)


def _new_recognised(head: Head) -> bool:
    return any(r.keys() >= _BOTH and _NEW & r.keys() for r in head.records)


ONE: Final = LineFormat(
    name="one-api",
    title="one-api usage log",
    columns=_SHARED,
    recognised=_one_recognised,
    parse=_parse_one,
)
NEW: Final = LineFormat(
    name="new-api",
    title="new-api usage log",
    columns=_SHARED | {"org_id", "client_ip"},
    recognised=_new_recognised,
    parse=_parse_new,
)
