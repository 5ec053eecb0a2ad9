"""Writers of small samples: the generic formats, and gateways in front of models."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from generator.plan import Exchange

MODEL: Final = "example-frontier-4"
SYSTEM: Final = "You are the assistant of a small provider."


def lines(records: Sequence[dict[str, Any]]) -> str:
    """JSON lines."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def zulu(moment: datetime) -> str:
    """ISO 8601 with milliseconds and Z."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def usage(e: Exchange) -> tuple[int, int]:
    """Tokens in and out, from the length of the prompt."""
    read = len(e.prompt or "") // 4 + 8
    return read, read * (15 if e.customer.cluster else 3)


def digest(e: Exchange) -> str:
    """Hex of the customer, for ids that look random."""
    return hashlib.sha256(e.customer.account_id.encode()).hexdigest()


def number(account_id: str) -> str:
    """The account as a database numbers its users."""
    return account_id.rpartition("-")[2]


def body(e: Exchange) -> dict[str, Any]:
    """A chat completions request."""
    return {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": e.prompt},
        ],
    }


def _numbered(exchanges: Sequence[Exchange], prefix: str) -> None:
    for at, e in enumerate(exchanges, start=1):
        e.event_id = f"{prefix}{at:04x}"


def _generic(e: Exchange) -> dict[str, Any]:
    read, written = usage(e)
    return {
        "timestamp": zulu(e.moment),
        "request_id": e.event_id,
        "account_id": e.customer.account_id,
        "client_ip": e.address,
        "user_agent": e.user_agent,
        "model": MODEL,
        "input_tokens": read,
        "output_tokens": written,
        "prompt": e.prompt,
    }


def generic_csv(exchanges: Sequence[Exchange], name: str) -> str:
    _numbered(exchanges, "req-")
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(_generic(exchanges[0])), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_generic(e) for e in exchanges)
    return text.getvalue()


def generic_jsonl(exchanges: Sequence[Exchange], name: str) -> str:
    _numbered(exchanges, "req-")
    return lines([_generic(e) for e in exchanges])


def litellm_spend(exchanges: Sequence[Exchange], name: str) -> str:
    _numbered(exchanges, "chatcmpl-")
    return lines(
        [
            {
                "request_id": e.event_id,
                "call_type": "acompletion",
                "api_key": digest(e),
                "prompt_tokens": usage(e)[0],
                "completion_tokens": usage(e)[1],
                "startTime": zulu(e.moment),
                "model": MODEL,
                "model_group": "example-frontier",
                "custom_llm_provider": "example-lab",
                "user": e.customer.account_id,
                "metadata": {"user_agent": e.user_agent},
                "team_id": None,
                "organization_id": None,
                "requester_ip_address": e.address,
                "messages": body(e)["messages"],
                "response": {},
                "status": "success",
            }
            for e in exchanges
        ]
    )


def _usage_row(e: Exchange, at: int) -> dict[str, Any]:
    read, written = usage(e)
    return {
        "id": 30000 + at,
        "user_id": int(number(e.customer.account_id)),
        "created_at": int(e.moment.timestamp()),
        "type": 2,
        "content": "",
        "username": "u" + number(e.customer.account_id),
        "token_name": f"key-{digest(e)[:6]}",
        "model_name": MODEL,
        "quota": (read + written) * 2,
        "prompt_tokens": read,
        "completion_tokens": written,
        "channel": 3,
        "is_stream": True,
    }


def _with_top_up(records: list[dict[str, Any]]) -> str:
    first = records[0]
    top_up = {"model_name": "", "token_name": "", "prompt_tokens": 0, "completion_tokens": 0}
    return lines([{**first, **top_up, "id": 29999, "type": 1, "content": "top-up"}, *records])


def one_api(exchanges: Sequence[Exchange], name: str) -> str:
    records = []
    for at, e in enumerate(exchanges, start=1):
        e.event_id = f"{e.moment:%Y%m%d%H%M%S}{at:08}"
        records.append({**_usage_row(e, at), "request_id": e.event_id, "elapsed_time": 20000})
    return _with_top_up(records)


def new_api(exchanges: Sequence[Exchange], name: str) -> str:
    records = []
    for at, e in enumerate(exchanges, start=1):
        e.event_id = str(30000 + at)
        more = {"use_time": 20, "token_id": 500 + at, "group": "default", "ip": e.address}
        records.append({**_usage_row(e, at), **more, "other": '{"model_ratio": 1}'})
    return _with_top_up(records)


def kong(exchanges: Sequence[Exchange], name: str) -> str:
    records = []
    for at, e in enumerate(exchanges, start=1):
        e.event_id = f"{digest(e)[:28]}{at:04x}"
        read, written = usage(e)
        proxy = {
            "meta": {
                "plugin_id": "9f1c5a52-0000-4000-8000-000000000001",
                "provider_name": "example-lab",
                "request_model": MODEL,
                "response_model": MODEL,
                "request_mode": "stream",
            },
            "usage": {"prompt_tokens": read, "completion_tokens": written},
            "payload": {"request": json.dumps(body(e))},
        }
        records.append(
            {
                "client_ip": e.address,
                "started_at": round(e.moment.timestamp() * 1000),
                "workspace_name": "default",
                "upstream_status": 200,
                "consumer": {"id": f"{digest(e)[:8]}-c", "username": e.customer.account_id},
                "authenticated_entity": {"id": f"{digest(e)[:8]}-k"},
                "request": {
                    "id": e.event_id,
                    "uri": "/v1/chat/completions",
                    "method": "POST",
                    "headers": {"user-agent": e.user_agent, "host": "gateway.example"},
                },
                "response": {"status": 200},
                "latencies": {"request": 20000, "kong": 4, "proxy": 19996},
                "ai": {"proxy": proxy},
            }
        )
    return lines(records)


def envoy(exchanges: Sequence[Exchange], name: str) -> str:
    records = []
    for at, e in enumerate(exchanges, start=1):
        e.event_id = f"{digest(e)[:8]}-0000-4000-8000-{at:012}"
        records.append(
            {
                "start_time": zulu(e.moment),
                "method": "POST",
                "x-envoy-origin-path": "/v1/chat/completions",
                "response_code": "200",
                "duration": "20000",
                "user-agent": e.user_agent,
                "x-request-id": e.event_id,
                "x-forwarded-for": e.address,
                "downstream_remote_address": "100.64.0.9:51422",
                "upstream_cluster": "example-lab",
                "gen_ai.request.model": MODEL,
                "gen_ai.response.model": MODEL,
                "gen_ai.provider.name": "example-lab",
                "gen_ai.usage.input_tokens": str(usage(e)[0]),
                "gen_ai.usage.output_tokens": str(usage(e)[1]),
                "session.id": "-",
            }
        )
    return lines(records)


def cloudflare(exchanges: Sequence[Exchange], name: str) -> str:
    records = []
    for at, e in enumerate(exchanges, start=1):
        e.event_id = f"01KAEXAMPLE{at:015}"
        records.append(
            {
                "id": e.event_id,
                "created_at": zulu(e.moment),
                "provider": "example-lab",
                "model": MODEL,
                "model_type": "text",
                "path": "chat/completions",
                "status_code": 200,
                "success": True,
                "cached": False,
                "tokens_in": usage(e)[0],
                "tokens_out": usage(e)[1],
                "duration": 20000,
                "metadata": json.dumps({"user": e.customer.account_id, "plan": "team"}),
            }
        )
    return lines(records)


def cloudflare_logpush(exchanges: Sequence[Exchange], name: str) -> str:
    sealed = {"type": "encrypted", "key": "RVhBTVBMRQ==", "iv": "RVhBTVBMRQ==", "data": "RVg="}
    records = []
    for at, e in enumerate(exchanges, start=1):
        e.event_id = f"{name}:{at}"
        records.append(
            {
                "Cached": False,
                "Endpoint": "chat/completions",
                "Gateway": "gateway-1",
                "Model": MODEL,
                "Provider": "example-lab",
                "RateLimited": False,
                "StatusCode": 200,
                "Metadata": sealed,
                "RequestBody": sealed,
                "ResponseBody": sealed,
            }
        )
    return lines(records)


def portkey(exchanges: Sequence[Exchange], name: str) -> str:
    records = []
    for at, e in enumerate(exchanges, start=1):
        e.event_id = f"{digest(e)[:8]}-0000-4000-8000-{at:012}"
        records.append(
            {
                "id": e.event_id,
                "trace_id": f"trace-{at}",
                "created_at": zulu(e.moment),
                "request": {"body": body(e)},
                "response": {},
                "is_success": True,
                "ai_org": "example-lab",
                "ai_model": MODEL,
                "req_units": usage(e)[0],
                "res_units": usage(e)[1],
                "request_url": "https://gateway.example/v1/chat/completions",
                "response_time": 20000,
                "response_status_code": 200,
                "metadata": {"_user": e.customer.account_id},
            }
        )
    return lines(records)


def openai_compatible(exchanges: Sequence[Exchange], name: str) -> str:
    _numbered(exchanges, "req-")
    return lines(
        [
            {
                "ts": zulu(e.moment),
                "request_id": e.event_id,
                "client_ip": e.address,
                "api_key_id": f"key_{digest(e)[:8]}",
                "organization": None,
                "user_agent": e.user_agent,
                "path": "/v1/chat/completions",
                "status": 200,
                "request": {**body(e), "user": e.customer.account_id},
                "usage": {"prompt_tokens": usage(e)[0], "completion_tokens": usage(e)[1]},
            }
            for e in exchanges
        ]
    )
