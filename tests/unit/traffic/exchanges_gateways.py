"""The same exchanges as gateways in front of models log them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from tests.unit.traffic.exchange import Exchange, lines, messages, zulu


def _seconds(e: Exchange) -> int:
    return int(e.observed_at.timestamp())


def _body(e: Exchange) -> dict[str, Any]:
    return {"model": e.request_model, "messages": messages(e.prompt)}


def one_api_row(e: Exchange) -> dict[str, Any]:
    return {
        "id": 17,
        "user_id": e.account_id,
        "created_at": _seconds(e),
        "type": 2,
        "content": "",
        "username": "somebody",
        "token_name": e.api_key_id,
        "model_name": e.request_model,
        "quota": 5120,
        "prompt_tokens": e.input_tokens,
        "completion_tokens": e.output_tokens,
        "channel": 3,
        "request_id": e.event_id,
        "is_stream": True,
    }


def as_one_api(exchanges: Sequence[Exchange]) -> bytes:
    return lines([one_api_row(e) for e in exchanges])


def as_new_api(exchanges: Sequence[Exchange]) -> bytes:
    return lines(
        [
            {
                **one_api_row(e),
                "token_id": e.api_key_id,
                "token_name": "named",
                "use_time": 22,
                "group": e.org_id,
                "ip": e.client_ip,
                "other": '{"model_ratio": 1}',
            }
            for e in exchanges
        ]
    )


def kong_record(e: Exchange) -> dict[str, Any]:
    return {
        "client_ip": e.client_ip,
        "started_at": _seconds(e) * 1000 + e.observed_at.microsecond // 1000,
        "workspace_name": e.org_id,
        "upstream_status": 200,
        "consumer": {"id": "c-1", "username": e.account_id},
        "authenticated_entity": {"id": e.api_key_id},
        "request": {
            "id": e.event_id,
            "uri": "/v1/chat/completions",
            "method": "POST",
            "headers": {"user-agent": e.user_agent, "host": "gw.example"},
        },
        "response": {"status": 200},
        "latencies": {"request": 20, "kong": 4, "proxy": 16},
        "ai": {
            "proxy": {
                "meta": {"provider_name": e.provider_name, "request_model": e.request_model},
                "usage": {"prompt_tokens": e.input_tokens, "completion_tokens": e.output_tokens},
                "payload": {"request": json.dumps(_body(e))},
            }
        },
    }


def as_kong(exchanges: Sequence[Exchange]) -> bytes:
    return lines([kong_record(e) for e in exchanges])


def as_envoy(exchanges: Sequence[Exchange]) -> bytes:
    return lines(
        [
            {
                "start_time": zulu(e),
                "method": "POST",
                "x-envoy-origin-path": "/v1/chat/completions",
                "response_code": "200",
                "user-agent": e.user_agent,
                "x-request-id": e.event_id,
                "x-forwarded-for": e.client_ip,
                "downstream_remote_address": "127.0.0.1:51422",
                "gen_ai.request.model": e.request_model,
                "gen_ai.provider.name": e.provider_name,
                "gen_ai.usage.input_tokens": str(e.input_tokens),
                "gen_ai.usage.output_tokens": str(e.output_tokens),
                "user.id": e.account_id,
            }
            for e in exchanges
        ]
    )


def as_cloudflare(exchanges: Sequence[Exchange]) -> bytes:
    return lines(
        [
            {
                "id": e.event_id,
                "created_at": zulu(e),
                "provider": e.provider_name,
                "model": e.request_model,
                "path": "chat/completions",
                "success": True,
                "cached": False,
                "tokens_in": e.input_tokens,
                "tokens_out": e.output_tokens,
                "metadata": json.dumps({"team": "a", "user": e.account_id}),
            }
            for e in exchanges
        ]
    )


def sealed() -> dict[str, str]:
    return {"type": "encrypted", "key": "QQ==", "iv": "QQ==", "data": "QQ=="}


def as_cloudflare_logpush(exchanges: Sequence[Exchange]) -> bytes:
    """Decrypted, so that each field can be compared."""
    usage = [
        {"prompt_tokens": e.input_tokens, "completion_tokens": e.output_tokens} for e in exchanges
    ]
    return lines(
        [
            {
                "Cached": False,
                "Endpoint": "chat/completions",
                "Gateway": e.org_id,
                "Model": e.request_model,
                "Provider": e.provider_name,
                "StatusCode": 200,
                "Metadata": {"user": e.account_id},
                "RequestBody": json.dumps(_body(e)),
                "ResponseBody": json.dumps({"usage": used}),
            }
            for e, used in zip(exchanges, usage, strict=True)
        ]
    )


def as_portkey(exchanges: Sequence[Exchange]) -> bytes:
    return lines(
        [
            {
                "id": e.event_id,
                "trace_id": "t",
                "created_at": zulu(e),
                "request": {"body": _body(e)},
                "response": {},
                "ai_org": e.provider_name,
                "ai_model": e.request_model,
                "req_units": e.input_tokens,
                "res_units": e.output_tokens,
                "metadata": {"_user": e.account_id},
            }
            for e in exchanges
        ]
    )


def as_openai_compatible(exchanges: Sequence[Exchange]) -> bytes:
    return lines(
        [
            {
                "ts": zulu(e),
                "request_id": e.event_id,
                "client_ip": e.client_ip,
                "api_key_id": e.api_key_id,
                "organization": e.org_id,
                "user_agent": e.user_agent,
                "path": "/v1/chat/completions",
                "status": 200,
                "request": {**_body(e), "user": e.account_id},
                "usage": {"prompt_tokens": e.input_tokens, "completion_tokens": e.output_tokens},
            }
            for e in exchanges
        ]
    )


GATEWAYS: Final[dict[str, Callable[[Sequence[Exchange]], bytes]]] = {
    "one-api": as_one_api,
    "new-api": as_new_api,
    "kong": as_kong,
    "envoy": as_envoy,
    "cloudflare": as_cloudflare,
    "cloudflare-logpush": as_cloudflare_logpush,
    "portkey": as_portkey,
    "openai-compatible": as_openai_compatible,
}
