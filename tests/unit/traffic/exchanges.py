"""The same fictional exchanges, written in each log format."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from hub.traffic.reader import LogReader
from tests.unit.traffic.exchange import NOON as NOON
from tests.unit.traffic.exchange import Exchange as Exchange
from tests.unit.traffic.exchange import lines, messages
from tests.unit.traffic.exchanges_gateways import GATEWAYS
from tests.unit.traffic.exchanges_services import SERVICES


def several(count: int) -> list[Exchange]:
    """Different exchanges with every field filled."""
    return [
        Exchange(
            event_id=f"req-{i}",
            observed_at=NOON.replace(second=i % 60, minute=i // 60 % 60, hour=i // 3600 % 24),
            account_id=f"cus-{i % 7}",
            client_ip=f"198.51.100.{i % 200}" if i % 3 else f"2001:db8::{i + 1:x}",
            prompt=f'Write verse {i}, with "quotes"\nand a second line',
            input_tokens=i,
        )
        for i in range(count)
    ]


GENERIC: Final = {
    "timestamp": "observed_at",
    "request_id": "event_id",
    "account_id": "account_id",
    "org_id": "org_id",
    "api_key_id": "api_key_id",
    "client_ip": "client_ip",
    "user_agent": "user_agent",
    "provider": "provider_name",
    "model": "request_model",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "prompt": "prompt",
}


def _generic(exchange: Exchange) -> dict[str, Any]:
    row = {name: getattr(exchange, column) for name, column in GENERIC.items()}
    return {**row, "timestamp": exchange.observed_at.isoformat().replace("+00:00", "Z")}


def as_csv(exchanges: Sequence[Exchange]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(GENERIC), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_generic(exchange) for exchange in exchanges)
    return text.getvalue().encode()


def as_jsonl(exchanges: Sequence[Exchange]) -> bytes:
    return lines([_generic(exchange) for exchange in exchanges])


def as_parquet(exchanges: Sequence[Exchange]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([_generic(exchange) for exchange in exchanges]), out)
    return out.getvalue()


def as_litellm_spend(exchanges: Sequence[Exchange]) -> bytes:
    return lines(
        [
            {
                "request_id": e.event_id,
                "call_type": "acompletion",
                "api_key": e.api_key_id,
                "prompt_tokens": e.input_tokens,
                "completion_tokens": e.output_tokens,
                "startTime": e.observed_at.isoformat(),
                "model": e.request_model,
                "custom_llm_provider": e.provider_name,
                "user": e.account_id,
                "metadata": {"user_agent": e.user_agent},
                "organization_id": e.org_id,
                "requester_ip_address": e.client_ip,
                "messages": messages(e.prompt),
                "response": {"deep": [1, {"unused": True}]},
            }
            for e in exchanges
        ]
    )


def as_litellm(exchanges: Sequence[Exchange]) -> bytes:
    return lines(
        [
            {
                "id": e.event_id,
                "startTime": e.observed_at.timestamp(),
                "model": e.request_model,
                "custom_llm_provider": e.provider_name,
                "prompt_tokens": e.input_tokens,
                "completion_tokens": e.output_tokens,
                "metadata": {
                    "user_api_key_hash": e.api_key_id,
                    "user_api_key_org_id": e.org_id,
                    "user_api_key_user_id": e.account_id,
                    "user_agent": e.user_agent,
                },
                "requester_ip_address": e.client_ip,
                "messages": messages(e.prompt),
            }
            for e in exchanges
        ]
    )


def attribute(key: str, value: Any) -> dict[str, Any]:
    kind = "intValue" if isinstance(value, int) else "stringValue"
    return {"key": key, "value": {kind: str(value)}}


def span(e: Exchange, number: int = 1) -> dict[str, Any]:
    message = {"role": "user", "parts": [{"type": "text", "content": e.prompt}]}
    values = {
        "gen_ai.response.id": e.event_id,
        "gen_ai.provider.name": e.provider_name,
        "gen_ai.request.model": e.request_model,
        "gen_ai.usage.input_tokens": e.input_tokens,
        "gen_ai.usage.output_tokens": e.output_tokens,
        "user.id": e.account_id,
        "client.address": e.client_ip,
        "user_agent.original": e.user_agent,
        "gen_ai.input.messages": json.dumps([message]) if e.prompt else None,
    }
    nanos = int(e.observed_at.timestamp()) * 10**9 + e.observed_at.microsecond * 1000
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "startTimeUnixNano": str(nanos),
        "attributes": [attribute(k, v) for k, v in values.items() if v is not None],
    }


def as_otel(exchanges: Sequence[Exchange]) -> bytes:
    """Three spans to a line, as a batching exporter writes them."""
    groups = [exchanges[i : i + 3] for i in range(0, len(exchanges), 3)]
    return lines(
        [
            {"resourceSpans": [{"scopeSpans": [{"spans": [span(e) for e in group]}]}]}
            for group in groups
        ]
    )


def as_nginx(exchanges: Sequence[Exchange]) -> bytes:
    return "".join(
        f"{e.client_ip or '-'} - {e.account_id or '-'} "
        f"[{e.observed_at:%d/%b/%Y:%H:%M:%S +0000}] "
        f'"POST /v1/chat/completions HTTP/1.1" 200 512 "-" "{e.user_agent or "-"}"\n'
        for e in exchanges
    ).encode()


WRITERS: Final[dict[str, Callable[[Sequence[Exchange]], bytes]]] = {
    "csv": as_csv,
    "jsonl": as_jsonl,
    "parquet": as_parquet,
    "litellm-spend": as_litellm_spend,
    "litellm": as_litellm,
    "otel": as_otel,
    "nginx": as_nginx,
    **GATEWAYS,
    **SERVICES,
}
PACKERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def rows_of(reader: LogReader, rows: int = 65_536) -> list[dict[str, Any]]:
    """All rows, each batch checked in full."""
    found: list[dict[str, Any]] = []
    for batch in reader.batches(rows):
        batch.validate(full=True)
        assert 0 < batch.num_rows <= rows
        found.extend(batch.to_pylist())
    return found
