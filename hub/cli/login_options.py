"""How a served hub lets accounts log in besides API tokens, as options."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from hub.cli.hub_limits import VARIABLES
from hub.errors import InputError
from hub.login_settings import CertificateSettings, LoginSettings, read_issuers

_FILE: Final = click.Path(path_type=Path, dir_okay=False, exists=True)
_OPTIONS: Final = (
    click.option(
        "--client-cert-header",
        envvar=VARIABLES + "CLIENT_CERT_HEADER",
        metavar="NAME",
        help="Header in which the proxy passes client certificates on: Client-Cert (RFC 9440), or "
        "any other for nginx's $ssl_client_escaped_cert. They log in accounts that they are bound "
        "to; the proxy must remove the header from what clients send.",
    ),
    click.option(
        "--trusted-proxy",
        "trusted_proxies",
        multiple=True,
        envvar=VARIABLES + "TRUSTED_PROXY",
        metavar="NETWORK",
        help="Believe that header from this address or network only; repeatable.",
    ),
    click.option(
        "--oauth-issuers",
        "issuers_file",
        type=_FILE,
        envvar=VARIABLES + "OAUTH_ISSUERS",
        help="TOML file of authorisation servers whose access tokens log in.",
    ),
)


def login_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options; it is called with `logins: LoginSettings`."""

    @functools.wraps(command)
    def gathered(
        client_cert_header: str | None,
        trusted_proxies: tuple[str, ...],
        issuers_file: Path | None,
        **others: Any,
    ) -> None:
        if client_cert_header is None and trusted_proxies:
            raise InputError(
                "a proxy is trusted to pass certificates on in some header",
                where="--trusted-proxy",
                hint="--client-cert-header Client-Cert",
            )
        certificates = None
        if client_cert_header is not None:
            certificates = CertificateSettings(client_cert_header.lower(), trusted_proxies)
        issuers = () if issuers_file is None else read_issuers(issuers_file)
        command(logins=LoginSettings(certificates, issuers), **others)

    decorated: Callable[..., None] = gathered
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
