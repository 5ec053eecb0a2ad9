"""One fictional exchange, which every log format writes in its own way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

NOON: Final = datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)


@dataclass(frozen=True)
class Exchange:
    """One exchange; the defaults are an ordinary one."""

    event_id: str = "req-1"
    observed_at: datetime = NOON
    account_id: str | None = "cus-1"
    org_id: str | None = "org-1"
    api_key_id: str | None = "key-1"
    client_ip: str | None = "192.0.2.7"
    user_agent: str | None = "example-sdk/1.0"
    provider_name: str | None = "example-lab"
    request_model: str | None = "example-model"
    prompt: str | None = 'Name three "rivers",\nwith their lengths; übung'
    input_tokens: int | None = 12
    output_tokens: int | None = 345


def lines(records: Sequence[dict[str, Any]]) -> bytes:
    """JSON lines."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def messages(prompt: str | None) -> list[dict[str, Any]]:
    """A chat with a system message before the prompt."""
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]


def zulu(exchange: Exchange) -> str:
    """The time as ISO 8601 with a Z."""
    return exchange.observed_at.isoformat().replace("+00:00", "Z")
