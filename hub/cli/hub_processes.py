"""Several processes on one port: the option, and what the supervisor of them does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

import click

from hub.settings import HubLimits, ServeSettings

_MARGIN_SECONDS: Final = 15.0

processes_option: Final = click.option(
    "--processes",
    type=click.IntRange(1, 64),
    help="Serve with so many processes under a supervisor: SIGHUP renews them one after the other, "
    "without a refused connection. Default: this process alone.",
)


def supervise(
    listen: ServeSettings,
    limits: HubLimits,
    processes: int,
    *,
    on_ready: Callable[[], None],
    given: Mapping[str, str] | None = None,
) -> None:
    """Run the command once more in each of several processes, until SIGTERM or SIGINT.

    Args:
        listen: where.
        limits: how long a process may take to end.
        processes: how many.
        on_ready: called when all of them serve.
        given: what they are told beside the command line.
    Raises:
        TransportError: the port is taken.
        StoreError: they do not start, or keep dying.
    """
    from hub.serving import check_port
    from hub.supervise import Patience, Supervisor

    check_port(listen.host, listen.port)
    patience = Patience(stop=limits.drain_seconds + limits.shutdown_seconds + _MARGIN_SECONDS)
    logging.getLogger("stillwatch.supervisor").setLevel(logging.INFO)
    Supervisor(
        listen.host, listen.port, processes, given=given, patience=patience, on_ready=on_ready
    ).run()
