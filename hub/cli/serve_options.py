"""Where a service listens: the options that hub, witness and custodian share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from hub.settings import ServeSettings

_FILE: Final = click.Path(path_type=Path, dir_okay=False, exists=True)
_Command = Callable[..., None]


def serve_options(port: int) -> Callable[[_Command], _Command]:
    """Options for address, TLS, proxy and access log.

    The command gets `listen` (ServeSettings), `behind_proxy` and `access_log`.

    Args:
        port: the default.
    """

    def decorate(command: _Command) -> _Command:
        @functools.wraps(command)
        def gathered(
            host: str,
            port: int,
            tls_cert: Path | None,
            tls_key: Path | None,
            tls_client_ca: Path | None,
            **others: Any,
        ) -> None:
            listen = ServeSettings(host, port, tls_cert, tls_key, tls_client_ca)
            command(listen=listen, **others)

        decorated: _Command = gathered
        for option in reversed(_options(port)):
            decorated = option(decorated)
        return decorated

    return decorate


def _options(port: int) -> list[Callable[[_Command], _Command]]:
    return [
        click.option(
            "--host", default="127.0.0.1", show_default=True, help="Address to listen on."
        ),
        click.option("--port", type=click.IntRange(1, 65535), default=port, show_default=True),
        click.option("--tls-cert", type=_FILE, help="PEM certificate chain."),
        click.option("--tls-key", type=_FILE, help="PEM private key (PKCS #8) of the certificate."),
        click.option(
            "--tls-client-ca", type=_FILE, help="Ask clients for a certificate of these CAs."
        ),
        click.option("--behind-proxy", is_flag=True, help="A reverse proxy ends TLS in front."),
        click.option(
            "--access-log/--no-access-log", default=True, help="Log each request (JSON lines)."
        ),
    ]
