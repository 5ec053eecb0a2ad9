"""`stillwatch hub init` and `stillwatch hub serve`."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

import click

from hub.cli.hub_data import (
    LOG_KEY,
    SNAPSHOTS,
    create,
    data_option,
    json_option,
    log_key,
    opened,
    remember,
    serving,
    show,
    witness_option,
    witness_settings,
)
from hub.cli.hub_database import target_of
from hub.cli.hub_limits import VARIABLES, limit_options
from hub.cli.hub_processes import processes_option, supervise
from hub.cli.hub_telemetry import Telemetry, telemetry_options
from hub.cli.login_options import login_options
from hub.cli.serve_options import serve_options
from hub.cli.variables import warn_of_misspelt
from hub.errors import InputError
from hub.login_settings import LoginSettings
from hub.settings import HubLimits, HubSettings, PushSettings, ServeSettings

_OTHER_CONNECTIONS: Final = 4
"""To a database server, beside those of requests: the appender, probes, tasks of the hub."""


@click.command()
@data_option
@json_option
def init(data: Path, as_json: bool) -> None:
    """Make a data directory for a new hub.

    With --database the hub's state goes into an empty PostgreSQL database, whose schema is made;
    the directory keeps the URL and the hub's keys, so that the other commands need --data alone.
    Hubs on several machines share one database when each has a copy of the directory.

    The directory gets mode 0700. There is no default account: add an organisation and issue it a
    token before anybody can log in.
    """
    create(data).close()
    show(
        {"data": str(data)},
        [
            f"New hub in {data}.",
            "Next:",
            f"  stillwatch hub org add --data {data} NAME",
            f"  stillwatch hub token issue --data {data} NAME",
            f"  stillwatch hub serve --data {data}",
        ],
        as_json=as_json,
    )


@click.command()
@data_option
@serve_options(8427)
@click.option("--public-url", help="How clients reach the hub, such as https://hub.example.")
@click.option("--root", default="stillwatch", show_default=True, help="Name of the API root.")
@click.option("--title", default="Stillwatch hub", show_default=True)
@click.option("--contact", help="How to reach you; shown to clients.")
@click.option(
    "--log-key",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="STILLWATCH_HUB_LOG_KEY",
    help="File of the key that signs checkpoints; default: log.key in the data directory.",
)
@processes_option
@witness_option
@login_options
@telemetry_options
@limit_options
def serve(
    data: Path,
    processes: int | None,
    listen: ServeSettings,
    behind_proxy: bool,
    public_url: str | None,
    root: str,
    title: str,
    contact: str | None,
    key_file: Path | None,
    witnesses: tuple[str, ...],
    logins: LoginSettings,
    limits: HubLimits,
    telemetry: Telemetry,
) -> None:
    """Serve the hub until SIGTERM or SIGINT.

    Logs are JSON lines on standard error. Beyond loopback the hub insists on TLS, unless a reverse
    proxy ends it. Limits take units (8MiB, 30s, 7d) and can be set in the environment too:
    --max-body is STILLWATCH_HUB_MAX_BODY.

    Each channel has a Merkle log, whose checkpoints are signed with a key that lies in the data
    directory. The log is named after the public URL: another URL is another log to the members.

    With --processes a supervisor starts that many, starts one again that dies, ends them in order
    on SIGTERM, and on SIGHUP puts new ones in their places (new code, new certificates).
    """
    url, others = _urls(listen, public_url, behind_proxy=behind_proxy)
    settings = HubSettings(
        root=root,
        title=title,
        contact=contact,
        public_url=url,
        other_urls=others,
        behind_proxy=behind_proxy,
        witnesses=witness_settings(witnesses),
        logins=logins,
        limits=limits,
        push=PushSettings(snapshots=data / SNAPSHOTS),
        slow_seconds=telemetry.slow_seconds,
    )
    from hub.server.app import create_app
    from hub.serving import check_exposure, run
    from hub.supervise import Worker

    check_exposure(listen, behind_proxy=behind_proxy)
    worker = Worker.current()
    if worker is None:
        warn_of_misspelt(os.environ, VARIABLES)

    def ready() -> None:
        click.echo(f"Serving {url}/{root}/ (stop with Ctrl-C)", err=True)

    if processes is not None and worker is None:
        _check_telemetry(telemetry)
        with serving(data):
            supervise(listen, limits, processes, on_ready=ready)
        return
    target = target_of(data)
    with (
        telemetry.started(store="sqlite" if target.url is None else "postgresql") as observers,
        opened(data, connections=limits.store_threads + _OTHER_CONNECTIONS) as store,
        contextlib.nullcontext() if worker else serving(data),
    ):
        if worker is None or worker.number == 0:
            remember(data, settings)
        metrics, tracing = observers
        key = log_key(key_file or data / LOG_KEY)
        app = create_app(settings, store, log_key=key, metrics=metrics, tracing=tracing)
        run(app, listen, limits, on_ready=ready, worker=worker)


def _check_telemetry(telemetry: Telemetry) -> None:
    """Log as the processes will, and see that they can share the address for scrapes."""
    from hub.server import journal
    from hub.server.metrics_port import MetricsAddress
    from hub.serving import check_port

    journal.configure(access=False, level=telemetry.level)
    if telemetry.metrics_listen is not None:
        address = MetricsAddress.parse(telemetry.metrics_listen)
        check_port(address.host, address.port)


def _urls(
    listen: ServeSettings, public_url: str | None, *, behind_proxy: bool
) -> tuple[str, tuple[str, ...]]:
    from hub.serving import is_loopback

    if public_url is not None:
        if not public_url.startswith(("https://", "http://")):
            raise InputError(
                "a URL starts with https:// (or http://)",
                where="--public-url",
                hint="such as https://hub.example",
            )
        return public_url.rstrip("/"), ()
    if behind_proxy or not is_loopback(listen.host):
        raise InputError(
            "the hub must know the URL that its clients use",
            where="--public-url",
            hint="account bindings are signed for it: --public-url https://hub.example",
        )
    scheme = "https" if listen.tls_cert else "http"
    names = ("127.0.0.1", "localhost", "[::1]")
    own = f"[{listen.host}]" if ":" in listen.host else listen.host
    others = tuple(f"{scheme}://{name}:{listen.port}" for name in names if name != own)
    return f"{scheme}://{own}:{listen.port}", others
