"""`stillwatch hub init` and `stillwatch hub serve`."""

from __future__ import annotations

from pathlib import Path

import click

from hub.cli.hub_data import (
    LOG_KEY,
    create,
    data_option,
    json_option,
    log_key,
    opened,
    remember,
    show,
    sole_server,
    witness_option,
    witness_settings,
)
from hub.cli.hub_limits import limit_options
from hub.cli.hub_telemetry import Telemetry, telemetry_options
from hub.cli.serve_options import serve_options
from hub.errors import InputError
from hub.settings import HubLimits, HubSettings, ServeSettings

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@data_option
@json_option
def init(data: Path, as_json: bool) -> None:
    """Make a data directory for a new hub.

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
@witness_option
@telemetry_options
@limit_options
def serve(
    data: Path,
    listen: ServeSettings,
    behind_proxy: bool,
    public_url: str | None,
    root: str,
    title: str,
    contact: str | None,
    key_file: Path | None,
    witnesses: tuple[str, ...],
    limits: HubLimits,
    telemetry: Telemetry,
) -> None:
    """Serve the hub until SIGTERM or SIGINT.

    Logs are JSON lines on standard error. Beyond loopback the hub insists on TLS, unless a reverse
    proxy ends it. Limits take units (8MiB, 30s, 7d) and can be set in the environment too:
    --max-body is STILLWATCH_HUB_MAX_BODY.

    Each channel has a Merkle log, whose checkpoints are signed with a key that is made at the first
    start. The log is named after the public URL: another URL is another log to the members.
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
        limits=limits,
        slow_seconds=telemetry.slow_seconds,
    )
    from hub.server.app import create_app
    from hub.serving import check_exposure, run

    check_exposure(listen, behind_proxy=behind_proxy)
    with (
        telemetry.started(store="sqlite") as (metrics, tracing),
        opened(data) as store,
        sole_server(data),
    ):
        remember(data, settings)
        key = log_key(key_file or data / LOG_KEY)
        app = create_app(settings, store, log_key=key, metrics=metrics, tracing=tracing)
        run(
            app,
            listen,
            limits,
            on_ready=lambda: click.echo(f"Serving {url}/{root}/ (stop with Ctrl-C)", err=True),
        )


def _urls(
    listen: ServeSettings, public_url: str | None, *, behind_proxy: bool
) -> tuple[str, tuple[str, ...]]:
    from hub.serving import is_loopback

    if public_url is not None:
        if not public_url.startswith(("https://", "http://")):
            raise InputError("a URL starts with https:// (or http://)", where="--public-url")
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
