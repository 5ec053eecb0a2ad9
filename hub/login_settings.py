"""How accounts may log in besides API tokens: frozen settings, and the file that they come from."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from hub.errors import InputError

RFC9440: Final = "client-cert"
"""The header whose value is an RFC 9440 byte sequence; any other holds an escaped PEM text."""

ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}) | {
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
}
"""Signatures that an issuer may use; nothing with a shared secret, and never `none`."""

_HEADER: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """Client certificates that a reverse proxy has checked and passes on in a header.

    Args:
        header: its name in lower case; `client-cert` is read as RFC 9440 says, any other as the
            percent-encoded PEM of nginx's `$ssl_client_escaped_cert`.
        proxies: networks from which the header is believed; from elsewhere it is not looked at.
    """

    header: str
    proxies: tuple[str, ...]

    def __post_init__(self) -> None:
        if not _HEADER.fullmatch(self.header) or self.header in ("authorization", "x-api-key"):
            raise InputError("not the name of a header for certificates", where=self.header)
        if not self.proxies:
            raise InputError(
                "somebody must be trusted to set the header",
                where="trusted proxies",
                hint="name the proxy's address: --trusted-proxy 127.0.0.1",
            )
        for network in self.proxies:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise InputError("not an address or network", where=network) from error


@dataclass(frozen=True, slots=True)
class OAuthIssuer:
    """An authorisation server whose access tokens are taken.

    Args:
        issuer: its identifier, compared with the claim `iss` letter by letter.
        audience: what tokens for this hub name in `aud`.
        jwks_url: where its signing keys are, for tokens that are JWTs (RFC 9068).
        introspection_url: where it tells about its tokens (RFC 7662), for those that are not.
        client_id: the hub's own account there, for introspection.
        client_secret: of that account.
        algorithms: signatures that are accepted.
        skew_seconds: how far its clock may be off.
        request_seconds: for one request to it.
        keys_seconds: keys are fetched again after so long.
        keys_stale_seconds: so long keys are used when the server cannot be reached.
        unknown_seconds: at most one fetch in this time for keys that nobody has heard of.
        answer_seconds: an introspection's answer is believed for so long.
    """

    issuer: str
    audience: str
    jwks_url: str | None = None
    introspection_url: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    algorithms: frozenset[str] = frozenset({"RS256", "PS256", "ES256", "EdDSA", "Ed25519"})
    skew_seconds: int = 30
    request_seconds: float = 3.0
    keys_seconds: float = 600.0
    keys_stale_seconds: float = 86_400.0
    unknown_seconds: float = 30.0
    answer_seconds: float = 30.0

    def __repr__(self) -> str:
        return f"OAuthIssuer({self.issuer!r})"

    def __post_init__(self) -> None:
        if not self.issuer or not self.audience:
            raise InputError("an issuer has an identifier and an audience", where=self.issuer)
        if self.jwks_url is None and self.introspection_url is None:
            raise InputError(
                "tokens are checked by keys or by introspection",
                where=self.issuer,
                hint="give jwks_url, or introspection_url with client_id and secret_file",
            )
        if self.introspection_url is not None and not (self.client_id and self.client_secret):
            raise InputError("introspection needs client_id and a secret", where=self.issuer)
        for url in (self.jwks_url, self.introspection_url):
            if url is not None:
                _check_url(url)
        if not self.algorithms or self.algorithms - ALGORITHMS:
            raise InputError(
                f"algorithms are some of {', '.join(sorted(ALGORITHMS))}", where=self.issuer
            )


@dataclass(frozen=True, slots=True)
class LoginSettings:
    """Ways to log in besides API tokens; none unless configured.

    Args:
        certificates: see `CertificateSettings`.
        issuers: see `OAuthIssuer`; at most one is asked about tokens that are no JWTs.
    """

    certificates: CertificateSettings | None = None
    issuers: tuple[OAuthIssuer, ...] = ()

    def __post_init__(self) -> None:
        names = [one.issuer for one in self.issuers]
        if len(set(names)) != len(names):
            raise InputError("two issuers have the same identifier", where="issuers")
        if sum(one.introspection_url is not None for one in self.issuers) > 1:
            raise InputError(
                "only one issuer may be asked about tokens",
                where="issuers",
                hint="a token must not be shown to a server that did not make it",
            )


_KEYS: Final = {
    "issuer",
    "audience",
    "jwks_url",
    "introspection_url",
    "client_id",
    "secret_file",
    "algorithms",
    "skew_seconds",
}


_WANTED: Final = "texts stand in quotes; deploy/README.md shows a whole file"


def read_issuers(path: Path) -> tuple[OAuthIssuer, ...]:
    """Issuers from a TOML file with a table `[[issuer]]` for each.

    Secrets stand in files of their own (`secret_file`, mode 0600).

    Raises:
        InputError: the file cannot be read, or a table is not an issuer's.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot be read: {error}", where=str(path)) from error
    tables = document.get("issuer")
    if set(document) != {"issuer"} or not isinstance(tables, list):
        raise InputError(
            "one [[issuer]] table for each issuer is expected",
            where=str(path),
            hint='[[issuer]], then issuer, audience and jwks_url, each = "…" on its line',
        )
    return tuple(
        _issuer(table, path, f"{path}: issuer {number}") for number, table in enumerate(tables, 1)
    )


def _issuer(table: Mapping[str, Any], path: Path, where: str) -> OAuthIssuer:
    unknown = set(table) - _KEYS
    if unknown:
        raise InputError(
            f"no such setting of an issuer: {min(unknown)}",
            where=where,
            hint=f"there are {', '.join(sorted(_KEYS))}",
        )
    for key in ("issuer", "audience"):
        if not isinstance(table.get(key), str):
            raise InputError(f"an issuer has {key}, a text", where=where, hint=_WANTED)
    given = dict(table)
    secret_file = given.pop("secret_file", None)
    if secret_file is not None:
        given["client_secret"] = _secret(path.parent / str(secret_file))
    algorithms = given.pop("algorithms", None)
    if algorithms is not None:
        given["algorithms"] = frozenset(map(str, algorithms))
    try:
        return OAuthIssuer(**given)
    except TypeError as error:
        raise InputError("a setting is not of its type", where=where, hint=_WANTED) from error


def _secret(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o077:
            raise InputError("others may read the secret", where=str(path), hint="chmod 600")
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("the secret cannot be read", where=str(path)) from error


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    local = parts.hostname in _LOOPBACK
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise InputError("an issuer is reached over https", where=url)
    if parts.username or parts.password:
        raise InputError("a URL holds no password", where=parts.hostname)
