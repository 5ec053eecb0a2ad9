"""Access tokens of configured authorisation servers: who they say the client is.

A JWT (RFC 9068) is checked with the issuer's keys, any other token by asking the one issuer that
was configured for it (RFC 7662). What a token claims about rights is not looked at: an account is
bound to the client or subject, and its roles say what it may do.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from hub.errors import TransportError, VerificationError
from hub.login_settings import OAuthIssuer
from hub.server.oauth_fetch import Fetch, fetch
from hub.server.oauth_keys import IssuerKeys, Key, joserfc
from hub.server.refusals import IssuerDownError

_TYPES: Final = frozenset({"at+jwt", "application/at+jwt"})
_MAX_KEPT: Final = 10_000
_KEPT_SECONDS: Final = 60.0
_MOST_WAITING: Final = 32
_THREADS: Final = 2
_TRIED_KEYS: Final = 4
_LATEST: Final = 2**53


@dataclass(frozen=True, slots=True)
class Claimed:
    """Whom a verified token speaks for.

    Args:
        issuer: who made it.
        subject: `sub`, or None.
        client: `client_id`, or None; given only where no user stands behind the token.
    """

    issuer: str
    subject: str | None
    client: str | None


class Issuers:
    """Every configured issuer; used on the event loop.

    Args:
        settings: the issuers.
        now: wall clock in whole seconds UTC.
        get: how to ask them.
        monotonic: clock in seconds.
    """

    def __init__(
        self,
        settings: tuple[OAuthIssuer, ...],
        *,
        now: Callable[[], int],
        get: Fetch = fetch,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if settings:
            joserfc()
        self._desks = {
            one.issuer: _Desk(one, now=now, get=get, monotonic=monotonic) for one in settings
        }
        self._asked = next(
            (desk for desk in self._desks.values() if desk.issuer.introspection_url), None
        )
        self._monotonic = monotonic
        self._kept: OrderedDict[bytes, tuple[float, Claimed | None]] = OrderedDict()

    @property
    def any(self) -> bool:
        """Whether there are issuers at all."""
        return bool(self._desks)

    def remembered(self, token: str) -> Claimed | None:
        """What was found out about a token a moment ago."""
        held = self._kept.get(_name(token))
        if held is None or held[0] <= self._monotonic():
            return None
        return held[1]

    async def claimed(self, token: str) -> Claimed:
        """Whom a token speaks for.

        Raises:
            VerificationError: not a valid token of a configured issuer for this hub.
            IssuerDownError: its issuer cannot be asked, or too many are waiting for it already.
        """
        name = _name(token)
        held = self._kept.get(name)
        if held is not None and held[0] > self._monotonic():
            if held[1] is None:
                raise VerificationError("the issuer does not know this token")
            return held[1]
        header, claims = _peek(token)
        desk = self._asked if header is None else self._desks.get(str(claims.get("iss")))
        if desk is None:
            raise VerificationError("no issuer that this hub trusts made this token")
        if header is not None and desk.issuer.jwks_url is not None:
            found, seconds = await desk.read(token, header)
            self._keep(name, found, seconds)
            return found
        if desk.issuer.introspection_url is None:
            raise VerificationError("no issuer that this hub trusts made this token")
        answer, seconds = await desk.ask(token)
        self._keep(name, answer, seconds)
        if answer is None:
            raise VerificationError("the issuer does not know this token")
        return answer

    def close(self) -> None:
        """Let threads go; what still waits for an issuer is given up."""
        for desk in self._desks.values():
            desk.close()

    def _keep(self, name: bytes, found: Claimed | None, seconds: float) -> None:
        self._kept[name] = (self._monotonic() + seconds, found)
        if len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)


class _Desk:
    """One issuer, with threads of its own: when it hangs, only its tokens wait."""

    def __init__(
        self,
        issuer: OAuthIssuer,
        *,
        now: Callable[[], int],
        get: Fetch,
        monotonic: Callable[[], float],
    ) -> None:
        self.issuer = issuer
        self._now = now
        self._get = get
        self._keys = IssuerKeys(issuer, get=get, monotonic=monotonic)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="stillwatch-oauth")
        self._waiting = 0

    async def read(self, token: str, header: dict[str, Any]) -> tuple[Claimed, float]:
        """Check a JWT; also says for how many seconds that may be remembered."""
        kid, algorithm = _checked_header(header, self.issuer)
        keys = self._keys.known(kid, algorithm)
        if not keys:
            keys = await self._wait_for(self._keys.find, kid, algorithm)
        claims = _verified(token, keys, algorithm)
        return self._judge(claims, introspected=False)

    async def ask(self, token: str) -> tuple[Claimed | None, float]:
        """Ask the issuer about a token; None when it says that it is not active."""
        url = self.issuer.introspection_url or ""
        login = (self.issuer.client_id or "", self.issuer.client_secret or "")

        def exchange() -> dict[str, Any]:
            return self._get(
                url,
                seconds=self.issuer.request_seconds,
                form={"token": token, "token_type_hint": "access_token"},
                login=login,
            )

        claims = await self._wait_for(exchange)
        if claims.get("active") is not True:
            return None, self.issuer.answer_seconds
        claims.setdefault("iss", self.issuer.issuer)
        return self._judge(claims, introspected=True)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _wait_for(self, work: Callable[..., Any], *args: object) -> Any:
        if self._waiting >= _MOST_WAITING:
            raise self._down("too many log-ins wait for the issuer")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)
        except TransportError as error:
            raise self._down("the issuer of this token cannot be asked now") from error
        finally:
            self._waiting -= 1

    def _down(self, message: str) -> IssuerDownError:
        return IssuerDownError(
            message, hint="log in with an API token, or try again", headers={"retry-after": "5"}
        )

    def _judge(self, claims: dict[str, Any], *, introspected: bool) -> tuple[Claimed, float]:
        now, skew = self._now(), self.issuer.skew_seconds
        if claims.get("iss") != self.issuer.issuer:
            raise VerificationError("another issuer made this token", where="iss")
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if self.issuer.audience not in named:
            raise VerificationError("the token is for another service", where="aud")
        expires = _seconds(claims, "exp", needed=not introspected)
        if expires is not None and now >= expires + skew:
            raise VerificationError("the token has expired", where="exp")
        for name in ("nbf", "iat"):
            begins = _seconds(claims, name, needed=False)
            if begins is not None and now < begins - skew:
                raise VerificationError("the token is not valid yet", where=name)
        seconds = self.issuer.answer_seconds if introspected else _KEPT_SECONDS
        if expires is not None:
            seconds = min(seconds, max(0.0, expires + skew - now))
        return self._claimed(claims, introspected=introspected), seconds

    def _claimed(self, claims: dict[str, Any], *, introspected: bool) -> Claimed:
        subject, client = claims.get("sub"), claims.get("client_id")
        subject = subject if isinstance(subject, str) and subject else None
        client = client if isinstance(client, str) and client else None
        if subject is None and (client is None or not introspected):
            raise VerificationError("the token names no subject", where="sub")
        if client is None and not introspected:
            raise VerificationError("the token names no client", where="client_id")
        # A token that a client got for a user speaks for the user, not for the client.
        alone = subject is None or subject == client
        return Claimed(self.issuer.issuer, subject, client if alone else None)


def _name(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _peek(token: str) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Header and claims of what looks like a JWT, nothing of it believed; else (None, {})."""
    parts = token.split(".")
    if len(parts) != 3:
        return None, {}
    try:
        header, claims = (json.loads(_base64(part)) for part in parts[:2])
    except (ValueError, binascii.Error, RecursionError):
        return None, {}
    if not isinstance(header, dict) or not isinstance(claims, dict):
        return None, {}
    return header, claims


def _base64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _checked_header(header: dict[str, Any], issuer: OAuthIssuer) -> tuple[str | None, str]:
    if str(header.get("typ", "")).lower() not in _TYPES:
        raise VerificationError("not an access token (RFC 9068)", where="typ")
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in issuer.algorithms:
        raise VerificationError("signed with an algorithm that is not accepted", where="alg")
    if kid is not None and not isinstance(kid, str):
        raise VerificationError("a key id is text", where="kid")
    return kid, str(algorithm)


def _verified(token: str, keys: Sequence[Key], algorithm: str) -> dict[str, Any]:
    """The claims of a JWT that one of the keys signed."""
    library = joserfc()
    # Without a key id there may be several; a set with many of a kind is not searched through.
    for key in keys[:_TRIED_KEYS]:
        try:
            signed = library.jws.deserialize_compact(token, key, algorithms=[algorithm])
            claims = json.loads(signed.payload)
        except (library.errors.JoseError, ValueError, TypeError, RecursionError):
            continue
        if isinstance(claims, dict):
            return claims
    raise VerificationError("none of the issuer's keys signed this token", where="kid")


def _seconds(claims: dict[str, Any], name: str, *, needed: bool) -> float | None:
    value = claims.get(name)
    if value is None and not needed:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LATEST:
        return float(value)
    raise VerificationError("a time in seconds is expected", where=name)
