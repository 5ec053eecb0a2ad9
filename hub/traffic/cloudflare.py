"""Cloudflare's AI Gateway: records of its logs API.

There is no address and no prompt (that is an endpoint of its own, `/logs/{id}/request`). The
customer stands where the operator's own code put it, in `metadata`: the first of `ACCOUNT_KEYS`
that is there names the account.

Source: Cloudflare API, AI Gateway, list logs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hub.traffic.bodies import opened
from hub.traffic.decode import Head, JsonLine, LineFormat, Row
from hub.traffic.problems import RejectError

ACCOUNT_KEYS: Final = (
    *("account_id", "accountId", "user_id", "userId", "user", "customer_id", "customerId"),
    *("customer", "account"),
)
_MARKS: Final = frozenset({"created_at", "model", "provider", "metadata", "cached", "success"})


class _Record(msgspec.Struct):
    result: Any = None
    id: Any = None
    created_at: Any = None
    provider: Any = None
    model: Any = None
    metadata: Any = None
    tokens_in: Any = None
    tokens_out: Any = None


_record: Final = JsonLine(_Record)
_inner: Final = list[_Record]


def account(metadata: Any) -> Any:
    """The account that the operator's own metadata names, or None."""
    keys = opened(metadata)
    return next((keys[key] for key in ACCOUNT_KEYS if keys.get(key)), None)


def _parse(line: bytes) -> Sequence[tuple[Any, ...]]:
    record = _record(line)
    if isinstance(record.result, list):
        return [_row(item) for item in _page(record.result)]
    return (_row(record),)


def _page(result: list[Any]) -> list[_Record]:
    """The records of a page, as the API gives it."""
    try:
        return msgspec.convert(result, _inner)
    except msgspec.ValidationError as error:
        raise RejectError("a JSON object of another form was expected") from error


def _row(record: _Record) -> Row:
    return Row(
        observed_at=record.created_at,
        event_id=record.id,
        account_id=account(record.metadata),
        provider_name=record.provider,
        request_model=record.model,
        input_tokens=record.tokens_in,
        output_tokens=record.tokens_out,
    )


def _recognised(head: Head) -> bool:
    pages = [r["result"] for r in head.records if isinstance(r.get("result"), list)]
    records = [*head.records, *(item for page in pages for item in page[:1])]
    return any(isinstance(r, dict) and r.keys() >= _MARKS for r in records)


FORMAT: Final = LineFormat(
    name="cloudflare",
    title="Cloudflare AI Gateway logs API",
    columns=frozenset(
        {
            "observed_at",
            "event_id",
            "account_id",
            "provider_name",
            "request_model",
            "input_tokens",
            "output_tokens",
        }
    ),
    recognised=_recognised,
    parse=_parse,
)
