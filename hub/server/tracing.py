"""Traces of what a request waits for: the request, the check of a channel's messages, the commit.

This module is what the server calls, and does nothing; `open_tracing` gives an object that sends
spans over OTLP, and only then are the libraries for it needed. Spans tell routes, counts and
durations, never a path, an identifier or anything that a message holds.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Final, Protocol

from hub.errors import InputError
from hub.server.correlation import Correlation

_NOTHING: Final[AbstractContextManager[None]] = contextlib.nullcontext()
_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class RequestSpan(Protocol):
    """The span of a request that is under way."""

    def end(self, route: str, status: int) -> None:
        """The request is answered."""
        ...


class Tracing:
    """Traces nothing; what it is asked for costs next to nothing.

    Links are what `current` gave while a request was served: one commit serves many requests.
    """

    on = False

    def request(self, correlation: Correlation, method: str) -> RequestSpan | None:
        """Begin the span of a request, in whose context everything else runs."""
        del correlation, method
        return None

    def current(self) -> object | None:
        """What a piece of work elsewhere shall be linked with."""
        return None

    def review(self, link: object | None, objects: int) -> AbstractContextManager[None]:
        """The check of one post's messages against its channel."""
        del link, objects
        return _NOTHING

    def transaction(
        self, links: Iterable[object | None], objects: int
    ) -> AbstractContextManager[None]:
        """One transaction of the appender."""
        del links, objects
        return _NOTHING

    def close(self) -> None:
        """Send what waits, for at most a few seconds."""


OFF: Final = Tracing()
"""The one object that traces nothing; it has no state."""


def open_tracing(
    endpoint: str | None, *, version: str = "", environment: Mapping[str, str] = os.environ
) -> Tracing:
    """Trace to an OTLP/HTTP receiver, if one is named.

    Args:
        endpoint: such as http://127.0.0.1:4318; None looks at the standard OTEL_* variables.
        version: of the program.
        environment: where to look.
    Raises:
        InputError: the endpoint is no URL, holds a password, or the libraries are missing.
    """
    disabled = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if disabled or not (endpoint or any(environment.get(name) for name in _VARIABLES)):
        return OFF
    if endpoint is not None and (
        not endpoint.startswith(("https://", "http://")) or "@" in endpoint
    ):
        raise InputError(
            "the receiver of traces is a URL without a user",
            where="--otel-endpoint",
            hint="credentials go into OTEL_EXPORTER_OTLP_HEADERS",
        )
    try:
        from hub.server.otel import OtelTracing
    except ModuleNotFoundError as error:
        raise InputError(
            "traces need libraries that are not installed",
            where="--otel-endpoint",
            hint="install stillwatch[otel]",
        ) from error
    return OtelTracing.to(endpoint, version=version)
