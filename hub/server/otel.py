"""`Tracing` over OTLP/HTTP. Needs the extra `otel`, and is imported only when traces are wanted."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from contextvars import Token
from dataclasses import dataclass
from typing import Final, Self

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hub.server.correlation import Correlation
from hub.server.tracing import RequestSpan, Tracing

_NAME: Final = "stillwatch-hub"
_PATH: Final = "/v1/traces"
_FLUSH_SECONDS: Final = 3.0
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class _RequestSpan(RequestSpan):
    span: Span
    token: Token[Context]
    method: str

    def end(self, route: str, status: int) -> None:
        contexts.detach(self.token)
        if route:
            self.span.update_name(f"{self.method} {route}")
            self.span.set_attribute("http.route", route)
        if status:
            self.span.set_attribute("http.response.status_code", status)
        if status == 0 or status >= 500:
            self.span.set_status(Status(StatusCode.ERROR))
        self.span.end()


class OtelTracing(Tracing):
    """See `Tracing`.

    The provider is this object's own, not the process's. Sampling and the exporter's details are
    read from the standard OTEL_* variables by the library.

    Args:
        exporter: where finished spans go.
        version: of the program.
    """

    on = True

    def __init__(self, exporter: SpanExporter, *, version: str = "") -> None:
        named = {SERVICE_NAME: _NAME, SERVICE_VERSION: version}
        # Variables win over what is given here.
        resource = Resource(named).merge(Resource.create())
        if str(resource.attributes.get(SERVICE_NAME)).startswith("unknown_service"):
            resource = resource.merge(Resource(named))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("stillwatch", version)
        self._propagator = TraceContextTextMapPropagator()

    @classmethod
    def to(cls, endpoint: str | None, *, version: str = "") -> Self:
        """Send to `endpoint`, or to what the variables name."""
        url = None if endpoint is None else endpoint.rstrip("/")
        if url is not None and not url.endswith(_PATH):
            url += _PATH
        return cls(OTLPSpanExporter(endpoint=url), version=version)

    def request(self, correlation: Correlation, method: str) -> RequestSpan | None:
        """See `Tracing`; the caller's `traceparent` becomes the parent."""
        parent = None
        known = method if method in _METHODS else "_OTHER"
        if correlation.traceparent is not None:
            parent = self._propagator.extract({"traceparent": correlation.traceparent})
        span = self._tracer.start_span(
            known,
            context=parent or Context(),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": known,
                "stillwatch.request_id": correlation.request_id,
            },
        )
        return _RequestSpan(span, contexts.attach(trace.set_span_in_context(span)), known)

    def current(self) -> object | None:
        """See `Tracing`."""
        context = trace.get_current_span().get_span_context()
        return context if context.is_valid else None

    @contextlib.contextmanager
    def review(self, link: object | None, objects: int) -> Iterator[None]:
        """See `Tracing`; a child of the request's span."""
        parent = Context()
        if isinstance(link, SpanContext):
            parent = trace.set_span_in_context(trace.NonRecordingSpan(link), parent)
        with self._span("channel.review", parent, (), objects):
            yield

    @contextlib.contextmanager
    def transaction(self, links: Iterable[object | None], objects: int) -> Iterator[None]:
        """See `Tracing`; a child of the only request that it serves, or linked with them all."""
        served = [link for link in links if isinstance(link, SpanContext)]
        parent = Context()
        if len(served) == 1:
            parent = trace.set_span_in_context(trace.NonRecordingSpan(served[0]), parent)
            served = []
        with self._span("store.transaction", parent, served, objects):
            yield

    @contextlib.contextmanager
    def _span(
        self, name: str, parent: Context, links: Iterable[SpanContext], objects: int
    ) -> Iterator[None]:
        span = self._tracer.start_span(
            name,
            context=parent,
            links=[Link(link) for link in links],
            attributes={"stillwatch.objects": objects},
        )
        try:
            yield
        except BaseException as error:
            # The kind of the error only: its text may name an object.
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            span.end()

    def close(self) -> None:
        """See `Tracing`."""
        # The library tries again for as long as its time-out says; a hub that stops does not wait.
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(_FLUSH_SECONDS)
