"""What is told of each request: counted, logged, and traced when that is wanted."""

from __future__ import annotations

import logging
import time
from contextvars import Token
from dataclasses import dataclass
from typing import Any, Final

from hub.server.correlation import CURRENT, Correlation, correlate
from hub.server.journal import ACCESS
from hub.server.metrics import Metrics
from hub.server.tracing import OFF, RequestSpan, Tracing

_access = logging.getLogger(ACCESS)
_slow = logging.getLogger("stillwatch.slow")
_STREAMS: Final = "/events/"


@dataclass(frozen=True, slots=True)
class Observer:
    """Begins an observation of each request.

    Args:
        metrics: where to count.
        tracing: where spans go.
        slow_seconds: an answer that took longer is logged as a warning, whether or not requests
            are logged; streams of events are never slow.
    """

    metrics: Metrics
    tracing: Tracing = OFF
    slow_seconds: float = float("inf")

    def begin(self, scope: dict[str, Any]) -> Observation:
        """A request arrived; everything that runs from here on in this task carries its id."""
        self.metrics.began()
        correlation = correlate(scope["headers"])
        token = CURRENT.set(correlation)
        span = self.tracing.request(correlation, scope["method"])
        return Observation(self, correlation, token, span, time.perf_counter())


@dataclass(slots=True)
class Observation:
    """One request under way.

    Args:
        observer: who began it.
        correlation: its names.
        token: gives the context back.
        span: of the trace, if there is one.
        began: on the performance counter.
        status: of the answer, once it has begun.
        sent: bytes of the answer's body so far.
    """

    observer: Observer
    correlation: Correlation
    token: Token[Correlation | None]
    span: RequestSpan | None
    began: float
    status: int = 0
    sent: int = 0

    def end(self, scope: dict[str, Any], *, client: str, received: int) -> None:
        """The request is over.

        Args:
            scope: its `state` may hold `route`, `refused` (see `metrics.reason_of`) and `org`.
            client: where it came from.
            received: bytes of its body that were read.
        """
        seconds = time.perf_counter() - self.began
        state = scope["state"]
        route = state.get("route", "")
        metrics = self.observer.metrics
        metrics.ended(
            route, scope["method"], self.status, received=received, sent=self.sent, seconds=seconds
        )
        if (reason := state.get("refused")) is not None:
            metrics.refused(reason)
        if self.span is not None:
            self.span.end(route, self.status)
        slow = seconds >= self.observer.slow_seconds and not route.endswith(_STREAMS)
        if slow or _access.isEnabledFor(logging.INFO):
            fields = {
                **self.correlation.fields,
                "client": client,
                "method": scope["method"],
                "path": scope["path"],
                "status": self.status,
                "bytes": self.sent,
                "ms": round(seconds * 1000, 2),
                "org": state.get("org"),
            }
            _access.info("request", extra={"fields": fields})
            if slow:
                _slow.warning("a slow request", extra={"fields": {**fields, "route": route}})
        CURRENT.reset(self.token)
