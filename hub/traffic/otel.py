"""OpenTelemetry GenAI spans and events, as OTLP JSON with one export request on each line.

Each span, and each `gen_ai.client.inference.operation.details` log record, that carries a model
request is one row; other telemetry is skipped and counted. Where both tell of one exchange (the
record names the span) they become one row: what the span lacks, the record adds. They may lie
`WINDOW_ROWS` exchanges or `WINDOW_BYTES` of log apart; further apart, each is a row of its own.

Source: OTLP 1.x JSON encoding; semantic conventions for generative AI.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from hub.traffic.decode import Head, JsonLine, Row
from hub.traffic.messages import prompt_text
from hub.traffic.problems import RejectError
from hub.traffic.sequence import SequenceFormat

_DETAILS: Final = "gen_ai.client.inference.operation.details"
_USER_MESSAGE: Final = "gen_ai.user.message"
_DEPTH: Final = 16
WINDOW_ROWS: Final = 4096
WINDOW_BYTES: Final = 32 << 20
"""How much of a log may lie between a span and its log record, so that they are joined."""


class _Pair(msgspec.Struct):
    key: str = ""
    value: Any = None


class _Event(msgspec.Struct):
    name: str = ""
    attributes: list[_Pair] = []


class _Span(msgspec.Struct, rename="camel"):
    trace_id: Any = None
    span_id: Any = None
    start_time_unix_nano: Any = None
    attributes: list[_Pair] = []
    events: list[_Event] = []


class _ScopeSpans(msgspec.Struct):
    spans: list[_Span] = []


class _ResourceSpans(msgspec.Struct, rename="camel"):
    scope_spans: list[_ScopeSpans] = []


class _LogRecord(msgspec.Struct, rename="camel"):
    trace_id: Any = None
    span_id: Any = None
    time_unix_nano: Any = None
    observed_time_unix_nano: Any = None
    event_name: Any = None
    attributes: list[_Pair] = []


class _ScopeLogs(msgspec.Struct, rename="camel"):
    log_records: list[_LogRecord] = []


class _ResourceLogs(msgspec.Struct, rename="camel"):
    scope_logs: list[_ScopeLogs] = []


class _Export(msgspec.Struct, rename="camel"):
    resource_spans: list[_ResourceSpans] = []
    resource_logs: list[_ResourceLogs] = []


_export: Final = JsonLine(_Export)


class _Half(NamedTuple):
    """A span or a log record of an exchange.

    Args:
        key: `trace:span`, None where it is tied to nothing.
    """

    row: Row
    key: str | None
    log: bool


class _Held(NamedTuple):
    line: int
    size: int
    half: _Half


class _Reading:
    """Holds each half until the other comes, or until the window has passed."""

    def __init__(self, path: Path) -> None:
        self.file_times = 0
        self._held: dict[str, _Held] = {}
        self._size = 0

    def line(self, number: int, data: bytes) -> Iterable[tuple[int, Row]] | None:
        """One export request."""
        export = _export(data)
        if not export.resource_spans and not export.resource_logs:
            raise RejectError("neither resourceSpans nor resourceLogs")
        halves = [*_span_halves(export.resource_spans), *_log_halves(export.resource_logs)]
        if not halves:
            return None
        size = len(data) // len(halves)
        return [row for half in halves for row in self._joined(_Held(number, size, half))]

    def end(self) -> Iterable[tuple[int, Row]]:
        """The halves that stayed alone."""
        for key in list(self._held):
            yield self._released(key)

    def _joined(self, new: _Held) -> Iterator[tuple[int, Row]]:
        row, key, log = new.half
        if key is None:
            yield new.line, row
            return
        old = self._held.get(key)
        if old is not None and old.half.log != log:
            self._forget(key)
            span, record = (old, new) if log else (new, old)
            yield span.line, _named(_merged(span.half.row, record.half.row), key)
            return
        if old is not None:
            yield self._released(key)
        self._held[key] = new
        self._size += new.size
        while len(self._held) > WINDOW_ROWS or self._size > WINDOW_BYTES:
            yield self._released(next(iter(self._held)))

    def _released(self, key: str) -> tuple[int, Row]:
        old = self._forget(key)
        return old.line, _named(old.half.row, key)

    def _forget(self, key: str) -> _Held:
        old = self._held.pop(key)
        self._size -= old.size
        return old


def _merged(span: Row, record: Row) -> Row:
    return Row(*(b if a is None else a for a, b in zip(span, record, strict=True)))


def _named(row: Row, key: str) -> Row:
    return row if row.event_id else row._replace(event_id=key)


def _span_halves(resources: Iterable[_ResourceSpans]) -> Iterator[_Half]:
    for resource in resources:
        for scope in resource.scope_spans:
            for span in scope.spans:
                found = _attributes(span.attributes)
                messages: list[Any] = []
                for event in span.events:
                    inner = _attributes(event.attributes)
                    if event.name == _DETAILS:
                        found = {**inner, **found}
                    elif event.name == _USER_MESSAGE:
                        messages.append({"role": "user", "content": inner.get("content")})
                if messages and "gen_ai.input.messages" not in found:
                    found["gen_ai.input.messages"] = messages
                if _is_exchange(found):
                    key = _key(span.trace_id, span.span_id)
                    yield _Half(_row(found, span.start_time_unix_nano), key, log=False)


def _log_halves(resources: Iterable[_ResourceLogs]) -> Iterator[_Half]:
    for resource in resources:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                found = _attributes(record.attributes)
                name = record.event_name or found.get("event.name")
                if name == _DETAILS and _is_exchange(found):
                    moment = record.time_unix_nano or record.observed_time_unix_nano
                    key = _key(record.trace_id, record.span_id)
                    yield _Half(_row(found, moment), key, log=True)


def _key(trace: Any, span: Any) -> str | None:
    return f"{trace}:{span}" if trace and span else None


def _is_exchange(found: dict[str, Any]) -> bool:
    return "gen_ai.request.model" in found or "gen_ai.input.messages" in found


def _row(found: dict[str, Any], moment: Any) -> Row:
    return Row(
        observed_at=_micros(moment),
        event_id=found.get("gen_ai.response.id") or None,
        account_id=found.get("user.id") or found.get("enduser.id"),
        client_ip=found.get("client.address"),
        user_agent=found.get("user_agent.original"),
        provider_name=found.get("gen_ai.provider.name") or found.get("gen_ai.system"),
        request_model=found.get("gen_ai.request.model"),
        prompt=prompt_text(found.get("gen_ai.input.messages")),
        input_tokens=found.get("gen_ai.usage.input_tokens"),
        output_tokens=found.get("gen_ai.usage.output_tokens"),
    )


def _micros(nanos: Any) -> int | None:
    """64-bit integers are decimal strings in OTLP JSON; some writers use numbers."""
    if isinstance(nanos, str) and nanos.isascii() and nanos.isdigit() and len(nanos) < 20:
        nanos = int(nanos)
    return nanos // 1000 if isinstance(nanos, int) and nanos > 0 else None


def _attributes(pairs: Iterable[_Pair]) -> dict[str, Any]:
    return {pair.key: _value(pair.value, _DEPTH) for pair in pairs}


def _value(any_value: Any, depth: int) -> Any:
    """The plain value of an OTLP AnyValue."""
    if not isinstance(any_value, dict) or depth == 0:
        return None
    for kind, value in any_value.items():
        if kind in ("stringValue", "intValue", "doubleValue", "boolValue"):
            return value
        if kind == "arrayValue":
            return [_value(item, depth - 1) for item in _listed(value)]
        if kind == "kvlistValue":
            return {
                pair["key"]: _value(pair.get("value"), depth - 1)
                for pair in _listed(value)
                if isinstance(pair, dict) and isinstance(pair.get("key"), str)
            }
    return None


def _listed(value: Any) -> list[Any]:
    values = value.get("values") if isinstance(value, dict) else None
    return values if isinstance(values, list) else []


def _recognised(head: Head) -> bool:
    return any("resourceSpans" in r or "resourceLogs" in r for r in head.records)


FORMAT: Final = SequenceFormat(
    name="otel",
    title="OpenTelemetry GenAI (OTLP JSON)",
    columns=frozenset(
        {
            "observed_at",
            "event_id",
            "account_id",
            "client_ip",
            "user_agent",
            "provider_name",
            "request_model",
            "prompt",
            "input_tokens",
            "output_tokens",
        }
    ),
    recognised=_recognised,
    begin=_Reading,
)
