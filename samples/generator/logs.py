"""Writers of the provider's three logs, with a few lines that no reader can use.

Field names follow LiteLLM's StandardLoggingPayload, OTLP JSON with the OpenTelemetry GenAI
conventions, and nginx's `combined` format.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from datetime import timedelta, timezone
from typing import Any, Final

from generator.plan import Exchange

MODEL: Final = "example-frontier-4"
Problem = dict[str, Any]

_EDGE_ZONE: Final = timezone(timedelta(hours=1))
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"
_SPANS_PER_LINE: Final = 3


def _usage(exchange: Exchange, rng: random.Random) -> tuple[int, int]:
    text = exchange.prompt or ""
    most = 2400 if exchange.customer.cluster else 700
    return len(text) // 4 + 8, rng.randrange(60, most)


def _place(
    lines: list[str], broken: Sequence[tuple[str, str]], rng: random.Random
) -> list[tuple[int, str]]:
    """Put broken lines at random places; returns (line number from 1, reason)."""
    chosen = sorted(rng.sample(range(10, len(lines)), len(broken)))
    placed = []
    for shift, (where, (text, reason)) in enumerate(zip(chosen, broken, strict=True)):
        lines.insert(where + shift, text)
        placed.append((where + shift + 1, reason))
    return placed


def litellm(
    exchanges: list[Exchange], source: str, rng: random.Random
) -> tuple[str, list[Problem]]:
    """One StandardLoggingPayload a line; sets the event ids."""
    lines = []
    for number, exchange in enumerate(exchanges, start=1):
        exchange.event_id = f"chatcmpl-{number:08x}"
        lines.append(json.dumps(_payload(exchange, number, rng)))
    broken = (
        (lines[3][:211], "truncated JSON"),
        ("<html><body>502 Bad Gateway</body></html>", "not JSON"),
        (json.dumps({"id": "chatcmpl-nothing", "status": "failure"}), "no time"),
    )
    placed = _place(lines, broken, rng)
    return "\n".join(lines) + "\n", _problems(source, placed)


def _problems(source: str, placed: list[tuple[int, str]]) -> list[Problem]:
    return [{"source": source, "line": line, "reason": reason} for line, reason in placed]


def _payload(exchange: Exchange, number: int, rng: random.Random) -> dict[str, Any]:
    prompt_tokens, completion_tokens = _usage(exchange, rng)
    start = exchange.moment.timestamp()
    return {
        "id": exchange.event_id,
        "trace_id": f"tr-{number}",
        "call_type": "acompletion",
        "stream": True,
        "status": "success",
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "startTime": round(start, 3),
        "endTime": round(start + completion_tokens / 80, 3),
        "model": MODEL,
        "model_group": "example-frontier",
        "metadata": {
            "user_api_key_hash": hashlib.sha256(exchange.customer.account_id.encode()).hexdigest(),
            "user_api_key_org_id": None,
            "user_api_key_user_id": exchange.customer.account_id,
            "requester_ip_address": exchange.address,
            "user_agent": exchange.user_agent,
        },
        "end_user": "",
        "requester_ip_address": exchange.address,
        "messages": [{"role": "user", "content": exchange.prompt}],
        "response": {"choices": []},
    }


def otel(exchanges: list[Exchange], source: str, rng: random.Random) -> tuple[str, list[Problem]]:
    """OTLP JSON, up to three spans a line; sets the event ids."""
    lines = []
    for first in range(0, len(exchanges), _SPANS_PER_LINE):
        batch = exchanges[first : first + _SPANS_PER_LINE]
        spans = []
        for number, exchange in enumerate(batch, start=first + 1):
            exchange.event_id = f"resp-{number:08x}"
            spans.append(_span(exchange, rng))
        lines.append(_export(spans))
    broken = (
        (lines[5][: len(lines[5]) // 2], "truncated JSON"),
        ('{"resourceSpans": [{"scopeSpans": "none"}]}', "scopeSpans is not a list"),
    )
    placed = _place(lines, broken, rng)
    return "\n".join(lines) + "\n", _problems(source, placed)


def _export(spans: list[dict[str, Any]]) -> str:
    return json.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": [_attribute("service.name", "llm-gw")]},
                    "scopeSpans": [
                        {
                            "scope": {"name": "gw"},
                            "schemaUrl": "https://opentelemetry.io/schemas/gen-ai/1.42.0",
                            "spans": spans,
                        }
                    ],
                }
            ]
        }
    )


def _attribute(key: str, value: str | int) -> dict[str, Any]:
    if isinstance(value, int):
        return {"key": key, "value": {"intValue": str(value)}}
    return {"key": key, "value": {"stringValue": value}}


def _span(exchange: Exchange, rng: random.Random) -> dict[str, Any]:
    prompt_tokens, completion_tokens = _usage(exchange, rng)
    start = round(exchange.moment.timestamp() * 1000) * 1_000_000
    message = [{"role": "user", "parts": [{"type": "text", "content": exchange.prompt}]}]
    values: dict[str, str | int] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "example-lab",
        "gen_ai.request.model": MODEL,
        "gen_ai.response.id": exchange.event_id,
        "gen_ai.usage.input_tokens": prompt_tokens,
        "gen_ai.usage.output_tokens": completion_tokens,
        "user.id": exchange.customer.account_id,
        "client.address": exchange.address,
        "user_agent.original": exchange.user_agent,
        "gen_ai.input.messages": json.dumps(message),
    }
    return {
        "traceId": f"{rng.getrandbits(128):032x}",
        "spanId": f"{rng.getrandbits(64):016x}",
        "name": f"chat {MODEL}",
        "kind": 3,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + completion_tokens * 12_500_000),
        "attributes": [_attribute(key, value) for key, value in values.items()],
    }


def nginx(exchanges: list[Exchange], source: str, rng: random.Random) -> tuple[str, list[Problem]]:
    """nginx `combined`, local time one hour east of UTC; event ids are `file:line`."""
    lines = [_combined(exchange, rng) for exchange in exchanges]
    broken = (
        (lines[7].replace("/2026:", "/20Z6:"), "no time"),
        (lines[9][:37], "truncated line"),
        ("\x16\x03\x01\x02\x00\x01\x00", "not a log line"),
    )
    placed = _place(lines, broken, rng)
    taken = {line for line, _ in placed}
    numbers = (line for line in range(1, len(lines) + 1) if line not in taken)
    for exchange, line in zip(exchanges, numbers, strict=True):
        exchange.event_id = f"{source}:{line}"
    return "\n".join(lines) + "\n", _problems(source, placed)


def _combined(exchange: Exchange, rng: random.Random) -> str:
    local = exchange.moment.astimezone(_EDGE_ZONE)
    when = f"{local:%d}/{_MONTHS[3 * local.month - 3 :][:3]}/{local:%Y:%H:%M:%S %z}"
    path = rng.choice(("/v1/chat/completions", "/v1/messages"))
    return (
        f'{exchange.address} - {exchange.customer.account_id} [{when}] "POST {path} HTTP/1.1" '
        f'200 {rng.randrange(900, 9000)} "-" "{exchange.user_agent}"'
    )
