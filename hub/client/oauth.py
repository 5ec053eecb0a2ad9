"""Logging in to a hub as an OAuth 2.0 client: its credentials fetch access tokens.

The client's secret goes to the token endpoint alone, by HTTP Basic, over TLS, and follows no
redirect; hubs see access tokens only. A token is used until shortly before it expires; one that a
hub refuses earlier is replaced once.
Source: RFC 6749, sections 2.3.1 and 4.4; RFC 6750.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol
from urllib.parse import quote_plus, urlsplit

import requests
import requests.auth

from hub.client.addresses import is_loopback
from hub.client.answers import json_or_none
from hub.client.session import GuardedSession
from hub.errors import AccessError, InputError, TransportError
from hub.model.codec import Json
from hub.settings import ClientSettings

_MOST_BYTES: Final = 64 * 1024
_LONGEST_TOKEN: Final = 16 * 1024
_LONGEST_FIELD: Final = 2048
_UNTOLD_S: Final = 60
"""How long a token is used whose server does not say how long it lasts."""
_LONGEST_S: Final = 86_400
_EARLY_S: Final = 60.0
_EARLY_SHARE: Final = 0.1
_REPLACED_S: Final = 10.0
"""A hub that refuses two tokens within so many seconds does not know the client."""
_REFUSALS: Final = {
    "invalid_client": "the id and secret of the client",
    "unauthorized_client": "whether the client may use the grant client_credentials",
    "invalid_scope": "--oauth-scope",
    "invalid_target": "--oauth-audience",
    "invalid_request": "--oauth-scope and --oauth-audience",
    "unsupported_grant_type": "whether the server knows the grant client_credentials",
}
"""Errors of RFC 6749 (5.2) and RFC 8707, and what to look at; other texts are not repeated."""


@dataclasses.dataclass(frozen=True)
class ClientCredentials:
    """A confidential client of an authorisation server.

    Attributes:
        token_url: the token endpoint; https, or on this machine.
        client_id: its name there.
        secret: its secret; never shown.
        scope: what is asked for; None: what the server gives.
        audience: whom the token is for, where the server wants to be told.
        ca_file: certificates to trust for the token endpoint in place of the system's.
    Raises:
        InputError: a field cannot be used.
    """

    token_url: str
    client_id: str
    secret: str = dataclasses.field(repr=False)
    scope: str | None = None
    audience: str | None = None
    ca_file: str | None = None

    def __post_init__(self) -> None:
        _check_url(self.token_url)
        texts = {
            "--oauth-client-id": self.client_id,
            "--oauth-secret-file": self.secret,
            "--oauth-scope": self.scope,
            "--oauth-audience": self.audience,
        }
        for option, text in texts.items():
            if text is not None and not _is_visible(text, _LONGEST_FIELD):
                raise InputError("one line of visible ASCII is expected", where=option)

    def public(self) -> Json:
        """Everything but the secret."""
        fields = dataclasses.asdict(self)
        del fields["secret"]
        return fields


def _check_url(url: str) -> None:
    where = "--oauth-token-url"
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or len(url) > _LONGEST_FIELD:
        raise InputError(
            "the token endpoint is not an https URL",
            where=where,
            hint="the token_endpoint of the server's metadata, .well-known/openid-configuration",
        )
    if parts.username or parts.password or parts.fragment:
        raise InputError(
            "the token endpoint's URL must not hold credentials or a fragment",
            where=where,
            hint="--oauth-client-id and --oauth-secret-file",
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise InputError(
            "refusing plain http to another machine: the secret would travel in clear",
            where=where,
            hint="use https",
        )


def _is_visible(text: str, most: int) -> bool:
    return 0 < len(text) <= most and bool(text.strip()) and all(" " <= c <= "~" for c in text)


@dataclasses.dataclass(frozen=True)
class AccessToken:
    """A token that a hub takes.

    Attributes:
        text: the secret; never shown.
        until: UTC seconds up to which it is used; the server lets it live a little longer.
    """

    text: str = dataclasses.field(repr=False)
    until: float


class TokenCache(Protocol):
    """Keeps the access token of one client between commands."""

    def load(self) -> AccessToken | None:
        """The token that was kept last; None when there is none that can be read."""
        ...

    def save(self, token: AccessToken | None) -> None:
        """Keep a token, or none."""
        ...


def fetch(
    credentials: ClientCredentials,
    settings: ClientSettings,
    *,
    clock: Callable[[], float] = time.time,
) -> AccessToken:
    """Ask the authorisation server for an access token.

    Raises:
        AccessError: it refuses the client.
        TransportError: it is not there, redirects, or answers something else.
    """
    url = credentials.token_url
    began = clock()
    small = dataclasses.replace(settings, max_response_bytes=_MOST_BYTES)
    with GuardedSession(small) as session, _wrapped(url):
        session.verify = credentials.ca_file or True
        session.auth = _SecretBasic(credentials)
        response = session.post(
            url, data=_form(credentials), headers={"Accept": "application/json"}
        )
    _check_status(response, url)
    found = json_or_none(response)
    if not isinstance(found, dict):
        raise TransportError(
            "the answer holds no access token", where=url, hint="is this the token endpoint?"
        )
    return _token(found, began, url)


@contextlib.contextmanager
def _wrapped(url: str) -> Iterator[None]:
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise TransportError(
            "the authorisation server's certificate is not trusted",
            where=url,
            hint="--oauth-ca-file names a CA bundle",
        ) from error
    except requests.exceptions.RequestException as error:
        raise TransportError(
            "the authorisation server cannot be reached, or does not answer in time",
            where=url,
            hint="is it running? run the command again; it resumes",
        ) from error
    except TransportError as error:
        raise TransportError(
            error.message, where=url, hint="--oauth-token-url names the token endpoint itself"
        ) from error


def _form(credentials: ClientCredentials) -> dict[str, str]:
    form = {"grant_type": "client_credentials"}
    if credentials.scope is not None:
        form["scope"] = credentials.scope
    if credentials.audience is not None:
        form["audience"] = credentials.audience
    return form


def _check_status(response: requests.Response, url: str) -> None:
    if response.status_code == 200:
        return
    found = json_or_none(response)
    code = found.get("error") if isinstance(found, dict) else None
    known = code if isinstance(code, str) and code in _REFUSALS else None
    if known is None and response.status_code not in (400, 401, 403):
        raise TransportError(
            f"the authorisation server answered {response.status_code}",
            where=url,
            hint="run the command again later; --oauth-token-url names the token endpoint",
        )
    said = known or str(response.status_code)
    look = _REFUSALS.get(said, _REFUSALS["invalid_client"])
    raise AccessError(
        f"the authorisation server refuses this client: {said}",
        where=url,
        hint=f"check {look}; stillwatch channel account NAME --oauth-… changes them",
    )


def _token(found: Json, began: float, url: str) -> AccessToken:
    text, kind, lasts = (found.get(each) for each in ("access_token", "token_type", "expires_in"))
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TransportError(
            "the server gives no bearer tokens", where=url, hint="is this the token endpoint?"
        )
    if not isinstance(text, str) or not _is_visible(text, _LONGEST_TOKEN) or " " in text:
        raise TransportError(
            "the access token is not one word of visible ASCII",
            where=url,
            hint="no header carries it; ask those who run the authorisation server",
        )
    if isinstance(lasts, str) and lasts.isascii() and lasts.isdigit() and len(lasts) < 12:
        # Some servers write it as a string.
        lasts = int(lasts)
    seconds = lasts if type(lasts) is int and lasts > 0 else _UNTOLD_S
    seconds = min(seconds, _LONGEST_S)
    return AccessToken(text, began + seconds - min(_EARLY_S, seconds * _EARLY_SHARE))


class _SecretBasic(requests.auth.AuthBase):
    """`client_secret_basic`, which encodes both parts before HTTP Basic does."""

    def __init__(self, credentials: ClientCredentials) -> None:
        pair = f"{quote_plus(credentials.client_id)}:{quote_plus(credentials.secret)}"
        self._value = "Basic " + base64.b64encode(pair.encode()).decode()

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers["Authorization"] = self._value
        return r


class OAuthBearer(requests.auth.AuthBase):
    """Gives each request an access token; threads may share it.

    Args:
        credentials: of the client.
        settings: time-outs.
        cache: keeps the token between commands; None: in memory only.
        get: asks for a token.
        clock: UTC seconds.
    """

    def __init__(
        self,
        credentials: ClientCredentials,
        settings: ClientSettings,
        cache: TokenCache | None = None,
        *,
        get: Callable[[ClientCredentials, ClientSettings], AccessToken] = fetch,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._credentials = credentials
        self._settings = settings
        self._cache = cache
        self._get = get
        self._clock = clock
        self._lock = threading.Lock()
        self._held: AccessToken | None = None
        self._replaced: float | None = None

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        token = self._current()
        r.headers["Authorization"] = f"Bearer {token}"

        def answered(response: requests.Response, **options: Any) -> requests.Response:
            return self._answered(response, token, options)

        r.hooks["response"].append(answered)
        return r

    def _current(self) -> str:
        with self._lock:
            if self._held is None and self._cache is not None:
                self._held = self._cache.load()
            if self._held is None or not self._is_fresh(self._held):
                self._renew()
            assert self._held is not None
            return self._held.text

    def _is_fresh(self, token: AccessToken) -> bool:
        now = self._clock()
        # A clock that was set back must not make a token last for ever.
        return now < token.until <= now + _LONGEST_S

    def _renew(self) -> None:
        self._held = self._get(self._credentials, self._settings)
        if self._cache is not None:
            self._cache.save(self._held)

    def _answered(
        self, response: requests.Response, token: str, options: dict[str, Any]
    ) -> requests.Response:
        if response.status_code != 401:
            return response
        # The connection is given up with what the hub may still say.
        response.close()
        again = response.request.copy()
        again.headers["Authorization"] = f"Bearer {self._other_than(token, response)}"
        second: requests.Response = response.connection.send(again, **options)
        second.request = again
        second.history.append(response)
        if second.status_code == 401:
            second.close()
            raise self._refused(second)
        return second

    def _other_than(self, token: str, response: requests.Response) -> str:
        with self._lock:
            if self._held is not None and self._held.text != token:
                # Another thread has replaced it meanwhile.
                return self._held.text
            moment = time.monotonic()
            if self._replaced is not None and moment - self._replaced < _REPLACED_S:
                raise self._refused(response)
            self._replaced = moment
            if self._cache is not None:
                self._cache.save(None)
            self._renew()
            return self._held.text if self._held is not None else token

    def _refused(self, response: requests.Response) -> AccessError:
        error = AccessError(
            "the hub refuses the access tokens of this OAuth client",
            where=response.url.partition("?")[0],
            hint="its operator binds the client: stillwatch hub account bind-oauth ACCOUNT "
            "--issuer URL --client-id ID; the hub knows the issuer by --oauth-issuers",
        )
        error.__cause__ = requests.exceptions.HTTPError(response=response)
        return error
