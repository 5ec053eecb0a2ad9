"""Writers of small samples: clouds, observability services, a security lake, a model server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any, Final

from generator.formats_gateways import MODEL, SYSTEM, body, digest, lines, usage, zulu
from generator.plan import Exchange

_AWS: Final = "000000000000"


def arn(account_id: str) -> str:
    """The account as AWS names the session of a role."""
    return f"arn:aws:sts::{_AWS}:assumed-role/gateway/{account_id}"


def object_id(account_id: str) -> str:
    """The account as Entra identifies it."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{account_id}.example"))


def helicone(exchanges: Sequence[Exchange], name: str) -> str:
    records = []
    for at, e in enumerate(exchanges, start=1):
        e.event_id = f"{digest(e)[:8]}-0000-4000-8000-{at:012}"
        records.append(
            {
                "response_id": f"{digest(e)[:8]}-0000-4000-9000-{at:012}",
                "latency": 20000,
                "status": 200,
                "completion_tokens": usage(e)[1],
                "prompt_tokens": usage(e)[0],
                "model": MODEL,
                "request_id": e.event_id,
                "request_created_at": zulu(e.moment)[:-1].replace("T", " "),
                "user_id": e.customer.account_id,
                "organization_id": "00000000-0000-4000-8000-0000000000aa",
                "proxy_key_id": None,
                "provider": "OPENAI",
                "target_url": "https://models.example/v1/chat/completions",
                "country_code": "ZZ",
                "properties": {},
                "request_body": json.dumps(body(e)),
                "response_body": "{}",
            }
        )
    return lines(records)


def langfuse(exchanges: Sequence[Exchange], name: str) -> str:
    records = []
    for at, e in enumerate(exchanges, start=1):
        e.event_id = f"obs-{at:04x}"
        start = f"{e.moment:%Y-%m-%d %H:%M:%S.%f}"
        trace: dict[str, Any] = {
            "trace_id": f"trace-{at}",
            "project_id": "project-1",
            "start_time": start,
        }
        records.append({"id": f"span-{at:04x}", "type": "SPAN", "name": "handler", **trace})
        records.append(
            {
                "id": e.event_id,
                "type": "GENERATION",
                "name": "chat",
                **trace,
                "user_id": e.customer.account_id,
                "input": json.dumps(body(e)["messages"]),
                "output": "{}",
                "provided_model_name": MODEL,
                "model_parameters": '{"temperature": 1}',
                "usage_details": {"input": usage(e)[0], "output": usage(e)[1]},
                "metadata": {},
            }
        )
    return lines(records)


def bedrock(exchanges: Sequence[Exchange], name: str) -> str:
    """Converse, the messages of a model's own shape, and a last body that went to S3."""
    records = []
    for at, e in enumerate(exchanges, start=1):
        e.event_id = f"{digest(e)[:8]}-0000-4000-8000-{at:012}"
        operation, given = _bedrock_input(e, at)
        records.append(
            {
                "schemaType": "ModelInvocationLog",
                "schemaVersion": "1.0",
                "timestamp": f"{e.moment:%Y-%m-%dT%H:%M:%SZ}",
                "accountId": _AWS,
                "identity": {"arn": arn(e.customer.account_id)},
                "region": "us-east-1",
                "requestId": e.event_id,
                "operation": operation,
                "modelId": "example.frontier-4-v1:0",
                "input": {
                    "inputContentType": "application/json",
                    **given,
                    "inputTokenCount": usage(e)[0],
                },
                "output": {
                    "outputContentType": "application/json",
                    "outputBodyJson": {},
                    "outputTokenCount": usage(e)[1],
                },
            }
        )
    stored = {"inputBodyS3Path": "s3://example-logs/large/input.json.gz", "inputTokenCount": 91000}
    other = {"identity": {"arn": arn("cus-0")}, "requestId": "00000000-0000-4000-8000-000000000000"}
    return lines([*records, {**records[-1], **other, "input": stored}])


def _bedrock_input(e: Exchange, at: int) -> tuple[str, dict[str, Any]]:
    if at % 3 == 0:
        return "InvokeModel", {"inputBodyJson": {"inputText": e.prompt}}
    if at % 3 == 1:
        turn: dict[str, Any] = {"role": "user", "content": [{"text": e.prompt}]}
        return "Converse", {"inputBodyJson": {"system": [{"text": SYSTEM}], "messages": [turn]}}
    turn = {"role": "user", "content": [{"type": "text", "text": e.prompt}]}
    return "InvokeModel", {"inputBodyJson": {"max_tokens": 4096, "messages": [turn]}}


def azure(exchanges: Sequence[Exchange], name: str) -> str:
    records = []
    for at, e in enumerate(exchanges, start=1):
        e.event_id = f"{digest(e)[:8]}-0000-4000-8000-{at:012}"
        properties = {
            "apiName": "Azure OpenAI API version 2024-10-21",
            "requestLength": len(e.prompt or ""),
            "responseLength": usage(e)[1] * 5,
            "objectId": object_id(e.customer.account_id),
            "streamType": "Streaming",
            "modelDeploymentName": "frontier",
            "modelName": MODEL,
        }
        records.append(
            {
                "Tenant": "eastus",
                "callerIpAddress": "192.0.2.***",
                "category": "RequestResponse",
                "correlationId": e.event_id,
                "durationMs": 20000,
                "event": "ShoeboxCallResult",
                "operationName": "ChatCompletions_Create",
                "properties": properties if at % 2 else json.dumps(properties),
                "resourceId": "/SUBSCRIPTIONS/0000/RESOURCEGROUPS/RG/PROVIDERS/EXAMPLE",
                "resultSignature": "200",
                "time": f"{e.moment:%Y-%m-%dT%H:%M:%S.%f}0Z",
            }
        )
    return lines(records)


def vertex(exchanges: Sequence[Exchange], name: str) -> str:
    model = "publishers/example/models/frontier-4"
    records = []
    for at, e in enumerate(exchanges, start=1):
        e.event_id = str(5374205265901350000 + at)
        counts = {
            "prompt_token_count": usage(e)[0],
            "candidates_token_count": usage(e)[1],
            "total_token_count": sum(usage(e)),
        }
        records.append(
            {
                "endpoint": f"projects/example-project/locations/us-central1/{model}",
                "deployed_model_id": "",
                "logging_time": f"{e.moment:%Y-%m-%d %H:%M:%S.%f} UTC",
                "request_id": e.event_id,
                "api_method": "GenerateContent",
                "model": model,
                "model_version": "default",
                "full_request": {
                    "contents": [{"role": "user", "parts": [{"text": e.prompt}]}],
                    "system_instruction": {"parts": [{"text": SYSTEM}]},
                },
                "full_response": {"usage_metadata": counts, "model_version": "frontier-4"},
                "metadata": {"request_latency": 20000.0},
            }
        )
    return lines(records)


def _attributes(values: dict[str, str | int | None]) -> list[dict[str, Any]]:
    return [
        {
            "key": key,
            "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value},
        }
        for key, value in values.items()
    ]


def otel(exchanges: Sequence[Exchange], name: str) -> str:
    """Spans without content, and after them the log records that have it."""
    spans, records = [], []
    for at, e in enumerate(exchanges, start=1):
        e.event_id = f"resp-{at:04x}"
        nanos = round(e.moment.timestamp() * 1000) * 1_000_000
        ids = {"traceId": f"{digest(e)[:28]}{at:04x}", "spanId": f"{at:016x}"}
        model: dict[str, str | int | None] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "example-lab",
            "gen_ai.request.model": MODEL,
            "gen_ai.response.id": e.event_id,
        }
        who: dict[str, str | int | None] = {
            "gen_ai.usage.input_tokens": usage(e)[0],
            "gen_ai.usage.output_tokens": usage(e)[1],
            "user.id": e.customer.account_id,
            "client.address": e.address,
            "user_agent.original": e.user_agent,
        }
        said = [{"role": "user", "parts": [{"type": "text", "content": e.prompt}]}]
        content: dict[str, str | int | None] = {"gen_ai.input.messages": json.dumps(said)}
        spans.append(
            {
                **ids,
                "name": f"chat {MODEL}",
                "kind": 3,
                "startTimeUnixNano": str(nanos),
                "attributes": _attributes({**model, **who}),
            }
        )
        records.append(
            {
                **ids,
                "timeUnixNano": str(nanos + 20_000_000_000),
                "eventName": "gen_ai.client.inference.operation.details",
                "attributes": _attributes({**model, **content}),
            }
        )
    return lines(
        [
            {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "gw"}, "spans": spans}]}]},
            {"resourceLogs": [{"scopeLogs": [{"scope": {"name": "gw"}, "logRecords": records}]}]},
        ]
    )


def ocsf(exchanges: Sequence[Exchange], name: str) -> str:
    records = []
    for at, e in enumerate(exchanges, start=1):
        e.event_id = f"req-{at:04x}"
        records.append(
            {
                "class_uid": 6003,
                "class_name": "API Activity",
                "category_uid": 6,
                "activity_id": 1,
                "type_uid": 600301,
                "severity_id": 1,
                "time": round(e.moment.timestamp() * 1000),
                "metadata": {
                    "version": "1.9.0-dev",
                    "profiles": ["ai_operation"],
                    "product": {"name": "gateway", "vendor_name": "Example"},
                },
                "actor": {
                    "user": {
                        "uid": e.customer.account_id,
                        "email_addr": e.customer.email,
                        "credential_uid": f"key-{digest(e)[:8]}",
                    }
                },
                "api": {"operation": "chat.completions.create", "request": {"uid": e.event_id}},
                "src_endpoint": {"ip": e.address, "autonomous_system": {"number": 64496}},
                "http_request": {"user_agent": e.user_agent, "http_method": "POST"},
                "ai_model": {"ai_provider": "Example", "name": MODEL},
                "message_context": {
                    "ai_role_id": 1,
                    "prompt_text": e.prompt,
                    "prompt_tokens": usage(e)[0],
                    "completion_tokens": usage(e)[1],
                },
            }
        )
    return lines(records)


def vllm(exchanges: Sequence[Exchange], name: str) -> str:
    """A start-up line, then a request line and an access line for each exchange."""
    start = exchanges[0].moment
    text = [f"INFO {start:%m-%d} 00:00:01 [api_server.py:1287] vLLM API server version 0.9.1"]
    for at, e in enumerate(exchanges, start=1):
        request = f"chatcmpl-{at:08x}"
        prompt = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{e.prompt}<|im_end|>\n"
        text.append(
            f"INFO {e.moment:%m-%d %H:%M:%S} [logger.py:41] Received request {request}: "
            f"prompt: {prompt + '<|im_start|>assistant' + chr(10)!r}, params: SamplingParams(n=1, "
            "temperature=1.0, max_tokens=4096), prompt_token_ids: None, lora_request: None."
        )
        peer = f"[{e.address}]" if ":" in e.address else e.address
        text.append(f'INFO:     {peer}:51422 - "POST /v1/chat/completions HTTP/1.1" 200 OK')
        e.event_id = f"{request} {name}:{len(text)}"
        text.append('INFO:     127.0.0.1:40112 - "GET /health HTTP/1.1" 200 OK')
    return "\n".join(text) + "\n"
