"""What a serving hub tells its operator: levels of logs, metrics, traces."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from hub.cli.hub_limits import VARIABLES, Quantity
from hub.cli.variables import VariableOption
from hub.errors import InputError

if TYPE_CHECKING:
    from hub.server.metrics import Metrics
    from hub.server.tracing import Tracing

SIBLINGS: Final = VARIABLES + "SIBLINGS"
"""Directory over which the processes of one hub tell each other their metrics."""

_LEVELS: Final = ("debug", "info", "warning", "error")
_SLOW: Final = Quantity(
    "time", {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}, least=0.0, most=86_400.0
)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The options; see their help texts.

    Args:
        access_log: one line for each request.
        level: lines less grave are not written.
        slow_seconds: an answer that took longer is a warning.
        metrics_listen: address for scrapes, as text; None serves none.
        otel_endpoint: where traces go; None leaves it to the standard variables.
    """

    access_log: bool
    level: str
    slow_seconds: float
    metrics_listen: str | None
    otel_endpoint: str | None

    @contextlib.contextmanager
    def started(self, *, store: str) -> Iterator[tuple[Metrics, Tracing]]:
        """Log, listen for scrapes and trace while the block runs.

        Args:
            store: kind of the store, for the build information.
        Raises:
            InputError, TransportError: an address or the receiver cannot be used.
        """
        from hub.server import journal
        from hub.server.metrics import Metrics
        from hub.server.metrics_port import MetricsAddress, MetricsPort
        from hub.server.tracing import open_tracing

        journal.configure(access=self.access_log, level=self.level)
        released = _released()
        metrics = Metrics(store=store, version=released)
        with contextlib.ExitStack() as stack:
            tracing = open_tracing(self.otel_endpoint, version=released)
            stack.callback(tracing.close)
            if self.metrics_listen is not None:
                shared = os.environ.get(SIBLINGS)
                address = MetricsAddress.parse(self.metrics_listen)
                siblings = Path(shared) if shared else None
                stack.enter_context(MetricsPort(metrics, address, siblings=siblings))
            yield metrics, tracing


def telemetry_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that has `access_log` the options; it is called with `telemetry` instead."""

    @functools.wraps(command)
    def gathered(
        access_log: bool,
        log_level: str,
        slow_request: float,
        metrics_listen: str | None,
        otel_endpoint: str | None,
        **others: Any,
    ) -> None:
        told = Telemetry(access_log, log_level, slow_request, metrics_listen, otel_endpoint)
        command(telemetry=told, **others)

    decorated: Callable[..., None] = gathered
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _released() -> str:
    try:
        return version("stillwatch")
    except PackageNotFoundError:
        # Run from a checkout.
        return "unreleased"


def _address(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    from hub.server.metrics_port import MetricsAddress

    if text is not None:
        try:
            MetricsAddress.parse(text)
        except InputError as error:
            raise click.BadParameter(f"{error.message} ({error.hint}).") from error
    return text


_OPTIONS: Final = (
    click.option(
        "--log-level",
        cls=VariableOption,
        type=click.Choice(_LEVELS),
        default="info",
        show_default=True,
        envvar=VARIABLES + "LOG_LEVEL",
        help="Lines less grave are not written.",
    ),
    click.option(
        "--slow-request",
        cls=VariableOption,
        type=str,
        metavar="TIME",
        default="5s",
        show_default=True,
        callback=lambda _context, _option, text: _SLOW.read(text),
        envvar=VARIABLES + "SLOW_REQUEST",
        help="An answer that took longer is logged as a warning.",
    ),
    click.option(
        "--metrics-listen",
        cls=VariableOption,
        metavar="[HOST:]PORT",
        callback=_address,
        envvar=VARIABLES + "METRICS_LISTEN",
        help="Serve /metrics to Prometheus there, on loopback unless a host is named.",
    ),
    click.option(
        "--otel-endpoint",
        metavar="URL",
        envvar=VARIABLES + "OTEL_ENDPOINT",
        help="Send traces there over OTLP/HTTP; OTEL_* variables work too.",
    ),
)
