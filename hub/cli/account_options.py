"""Options that say how to enter a hub; every command that takes an account has all of them."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from hub.cli.options import read_secret
from hub.client.home import Home
from hub.client.oauth import ClientCredentials
from hub.client.transport import HubAccount, checked_url
from hub.errors import AccessError, InputError

F = TypeVar("F", bound=Callable[..., Any])

_FILE: Final = click.Path(path_type=Path, dir_okay=False, exists=True)
_SECRET: Final = click.Path(path_type=Path, dir_okay=False, allow_dash=True)


@dataclasses.dataclass(frozen=True)
class Login:
    """What the options said; `account_of` makes an account of it."""

    username: str | None
    token_file: Path | None
    ca_file: Path | None
    client_cert: Path | None
    allow_plain_http: bool
    oauth_url: str | None
    oauth_client_id: str | None
    oauth_secret_file: Path | None
    oauth_scope: str | None
    oauth_audience: str | None
    oauth_ca_file: Path | None

    def plainly(self, allowed: bool) -> Login:
        """The same, with plain http where the account had it already."""
        return dataclasses.replace(self, allow_plain_http=self.allow_plain_http or allowed)


_NAMES: Final = tuple(each.name for each in dataclasses.fields(Login))
_OAUTH: Final = tuple(name for name in _NAMES if name.startswith("oauth_"))
_OPTIONS: Final = (
    click.option(
        "--username", default=None, help="Account name; without it the token is a Bearer token."
    ),
    click.option(
        "--token-file",
        type=_SECRET,
        envvar="STILLWATCH_TOKEN_FILE",
        help="File holding the hub's token, - for standard input; else you are asked.",
    ),
    click.option("--ca-file", type=_FILE, help="Certificates to trust in place of the system's."),
    click.option(
        "--client-cert",
        type=_FILE,
        help="PEM file with certificate and key, for a hub that asks for one.",
    ),
    click.option(
        "--allow-plain-http",
        is_flag=True,
        help="Take http: to another machine; the token travels in clear.",
    ),
    click.option(
        "--oauth-token-url",
        "oauth_url",
        metavar="URL",
        help="Log in with access tokens of this OAuth 2.0 token endpoint, in place of a token.",
    ),
    click.option("--oauth-client-id", metavar="ID", help="The client's name there."),
    click.option(
        "--oauth-secret-file",
        type=_SECRET,
        help="File holding the client's secret, - for standard input.",
    ),
    click.option("--oauth-scope", metavar="SCOPE", help="Scope to ask for."),
    click.option("--oauth-audience", metavar="AUDIENCE", help="Audience to ask for."),
    click.option(
        "--oauth-ca-file",
        type=_FILE,
        help="Certificates to trust for the token endpoint in place of the system's.",
    ),
)


def account_options(command: F) -> Callable[..., Any]:
    """How to enter a hub: the command gets all of it as `login`."""

    @functools.wraps(command)
    def gathered(*words: Any, **given: Any) -> Any:
        login = Login(**{name: given.pop(name) for name in _NAMES})
        return command(*words, login=login, **given)

    made: Callable[..., Any] = gathered
    for option in reversed(_OPTIONS):
        made = option(made)
    return made


def account_of(home: Home, api_root: str, login: Login) -> HubAccount:
    """The account that options name, else the one that the home holds, else ask.

    Raises:
        InputError: the options contradict each other, or one that belongs to others is missing.
        AccessError: no token, and nobody to ask.
    """
    url = checked_url(api_root, allow_plain_http=login.allow_plain_http)
    if any(getattr(login, name) is not None for name in _OAUTH):
        return _by_oauth(url, login)
    if login.token_file is None and home.state.hub(url) is not None:
        return home.account(url)
    if login.token_file is not None:
        token = read_secret(login.token_file).decode("utf-8", "replace")
    elif sys.stdin.isatty():
        token = str(click.prompt("Token of the hub", hide_input=True, err=True))
    else:
        raise AccessError(
            "the hub wants a token", where=url, hint="--token-file FILE, or --oauth-token-url URL"
        )
    return HubAccount(
        api_root=url,
        username=login.username,
        token=token,
        ca_file=_absolute(login.ca_file),
        allow_plain_http=login.allow_plain_http,
        client_cert=_absolute(login.client_cert),
    )


def _by_oauth(url: str, login: Login) -> HubAccount:
    if login.token_file is not None or login.username is not None:
        raise InputError(
            "an OAuth client has no token of the hub and no user name",
            where="--oauth-token-url",
            hint="without --token-file, --username and STILLWATCH_TOKEN_FILE",
        )
    token_url, client, secret = (
        login.oauth_url,
        login.oauth_client_id,
        login.oauth_secret_file,
    )
    if token_url is None or client is None or secret is None:
        raise InputError(
            "an OAuth client needs three options",
            where="--oauth-token-url",
            hint="--oauth-token-url URL --oauth-client-id ID --oauth-secret-file FILE",
        )
    return HubAccount(
        api_root=url,
        username=None,
        token="",
        ca_file=_absolute(login.ca_file),
        allow_plain_http=login.allow_plain_http,
        client_cert=_absolute(login.client_cert),
        oauth=ClientCredentials(
            token_url=token_url,
            client_id=client,
            secret=read_secret(secret).decode("utf-8", "replace"),
            scope=login.oauth_scope,
            audience=login.oauth_audience,
            ca_file=_absolute(login.oauth_ca_file),
        ),
    )


def _absolute(path: Path | None) -> str | None:
    """Commands run in other folders later on."""
    return None if path is None else str(path.absolute())
