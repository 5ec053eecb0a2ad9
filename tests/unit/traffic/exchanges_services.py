"""The same exchanges as clouds, observability services, security lakes and servers log them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from tests.unit.traffic.exchange import Exchange, lines, messages, zulu


def _space(e: Exchange) -> str:
    """The time as ClickHouse writes it."""
    return e.observed_at.strftime("%Y-%m-%d %H:%M:%S.%f")


def as_helicone(exchanges: Sequence[Exchange]) -> bytes:
    return lines(
        [
            {
                "response_id": "r",
                "request_id": e.event_id,
                "request_created_at": _space(e)[:-3],
                "user_id": e.account_id,
                "organization_id": e.org_id,
                "proxy_key_id": e.api_key_id,
                "provider": e.provider_name,
                "model": e.request_model,
                "country_code": "ZZ",
                "prompt_tokens": e.input_tokens,
                "completion_tokens": e.output_tokens,
                "request_body": json.dumps({"messages": messages(e.prompt)}),
                "response_body": "{}",
            }
            for e in exchanges
        ]
    )


def langfuse_row(e: Exchange) -> dict[str, Any]:
    return {
        "id": e.event_id,
        "trace_id": "t",
        "type": "GENERATION",
        "project_id": e.org_id,
        "start_time": _space(e),
        "user_id": e.account_id,
        "input": json.dumps(messages(e.prompt)),
        "output": "{}",
        "provided_model_name": e.request_model,
        "usage_details": {"input": e.input_tokens, "output": e.output_tokens},
        "metadata": {"user_agent": e.user_agent},
    }


def as_langfuse(exchanges: Sequence[Exchange]) -> bytes:
    return lines([langfuse_row(e) for e in exchanges])


def bedrock_record(e: Exchange) -> dict[str, Any]:
    turn = {"role": "user", "content": [{"text": e.prompt}]}
    return {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": zulu(e),
        "accountId": e.org_id,
        "identity": {"arn": e.account_id},
        "requestId": e.event_id,
        "operation": "Converse",
        "modelId": e.request_model,
        "input": {
            "inputBodyJson": {"system": [{"text": "Be brief."}], "messages": [turn]},
            "inputTokenCount": e.input_tokens,
        },
        "output": {"outputBodyJson": {}, "outputTokenCount": e.output_tokens},
    }


def as_bedrock(exchanges: Sequence[Exchange]) -> bytes:
    return lines([bedrock_record(e) for e in exchanges])


def azure_record(e: Exchange) -> dict[str, Any]:
    properties = {"objectId": e.account_id, "modelName": e.request_model, "requestLength": 623}
    return {
        "Tenant": "eastus",
        "callerIpAddress": e.client_ip,
        "category": "RequestResponse",
        "correlationId": e.event_id,
        "operationName": "ChatCompletions_Create",
        "properties": json.dumps(properties),
        "resourceId": e.org_id,
        "time": e.observed_at.strftime("%Y-%m-%dT%H:%M:%S.%f0Z"),
    }


def as_azure(exchanges: Sequence[Exchange]) -> bytes:
    return lines([azure_record(e) for e in exchanges])


def vertex_row(e: Exchange) -> dict[str, Any]:
    model = f"publishers/example/models/{e.request_model}"
    usage = {"prompt_token_count": e.input_tokens, "candidates_token_count": e.output_tokens}
    return {
        "endpoint": f"projects/{e.org_id}/locations/us-central1/{model}",
        "logging_time": zulu(e),
        "request_id": e.event_id,
        "api_method": "GenerateContent",
        "model": model,
        "full_request": {
            "contents": [{"role": "user", "parts": [{"text": e.prompt}]}],
            "system_instruction": {"parts": [{"text": "Be brief."}]},
        },
        "full_response": {"usage_metadata": usage},
    }


def as_vertex(exchanges: Sequence[Exchange]) -> bytes:
    return lines([vertex_row(e) for e in exchanges])


def as_ocsf(exchanges: Sequence[Exchange]) -> bytes:
    return lines(
        [
            {
                "class_uid": 6003,
                "category_uid": 6,
                "time": round(e.observed_at.timestamp() * 1000),
                "metadata": {"version": "1.9.0-dev", "profiles": ["ai_operation"]},
                "actor": {
                    "user": {
                        "uid": e.account_id,
                        "org": {"uid": e.org_id},
                        "credential_uid": e.api_key_id,
                    }
                },
                "api": {"operation": "chat", "request": {"uid": e.event_id}},
                "src_endpoint": {"ip": e.client_ip},
                "http_request": {"user_agent": e.user_agent},
                "ai_model": {"ai_provider": e.provider_name, "name": e.request_model},
                "message_context": {
                    "prompt_text": e.prompt,
                    "prompt_tokens": e.input_tokens,
                    "completion_tokens": e.output_tokens,
                },
            }
            for e in exchanges
        ]
    )


def as_vllm(exchanges: Sequence[Exchange]) -> bytes:
    """Request lines: access lines name no exchange."""
    return "".join(
        f"INFO {e.observed_at:%m-%d %H:%M:%S} [logger.py:41] Received request {e.event_id}: "
        f"prompt: {'<|system|>Be brief.<|user|>' + (e.prompt or '') + '<|assistant|>'!r}, "
        "params: SamplingParams(n=1), prompt_token_ids: None, lora_request: None.\n"
        for e in exchanges
    ).encode()


SERVICES: Final[dict[str, Callable[[Sequence[Exchange]], bytes]]] = {
    "helicone": as_helicone,
    "langfuse": as_langfuse,
    "bedrock": as_bedrock,
    "azure-openai": as_azure,
    "vertex": as_vertex,
    "ocsf": as_ocsf,
    "vllm": as_vllm,
}
