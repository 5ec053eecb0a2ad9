"""Who is asking: API tokens, client certificates, and access tokens of OAuth issuers.

API tokens are 256-bit random values, so guessing is hopeless; failed attempts are limited per
address all the same, because they fill logs. A valid API token or certificate is let in even from
an address that is over its limit, so that nobody can lock out those who share one; only what an
issuer would have to be asked about must wait.

A request that presents a token is judged by it alone, whatever certificate its connection has.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from hub.errors import VerificationError
from hub.login_settings import LoginSettings
from hub.server.calls import StoreCalls
from hub.server.credentials import (
    CertificateHeader,
    Headers,
    Presented,
    presented,
    presents_credentials,
)
from hub.server.oauth import Claimed, Issuers
from hub.server.oauth_fetch import Fetch, fetch
from hub.server.policy import Principal, Via
from hub.server.rates import network
from hub.server.refusals import TooManyFailuresError, UnauthenticatedError
from hub.server.remembered import Remembered
from hub.settings import HubLimits
from hub.store.accounts import TOKEN_MARK
from hub.store.interface import Store
from hub.store.records import Credential, LoginKind

_CHALLENGE: Final = 'Basic realm="stillwatch", charset="UTF-8", Bearer realm="stillwatch"'
_MAX_ADDRESSES: Final = 10_000

T = TypeVar("T")


class Authenticator:
    """Turns a request's headers into a principal.

    Args:
        store: where credentials are looked up; compares in constant time.
        limits: how many failures an address may have, and in how many seconds.
        logins: what is taken besides API tokens.
        calls: run look-ups; none are needed for a store on this machine.
        now: wall clock in whole seconds UTC.
        monotonic: clock in seconds for the window of failures.
        get: how issuers are asked.
        remembered: what was looked up before.
    """

    def __init__(
        self,
        store: Store,
        limits: HubLimits,
        logins: LoginSettings,
        *,
        now: Callable[[], int],
        calls: StoreCalls | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        get: Fetch = fetch,
        remembered: Remembered | None = None,
    ) -> None:
        self._store = store
        self._remembered = remembered or Remembered(store, now=now, monotonic=monotonic)
        self._now = now
        self._calls = calls
        self._failures = _Failures(limits, monotonic)
        self._issuers = Issuers(logins.issuers, now=now, get=get, monotonic=monotonic)
        settings = logins.certificates
        self._certificates = None if settings is None else CertificateHeader(settings)

    async def principal(
        self, headers: Iterable[tuple[bytes, bytes]], address: str, *, peer: str
    ) -> Principal:
        """The account behind a request.

        Args:
            headers: raw (name, value) pairs, names in lower case.
            address: where the request came from, for the limit of failures.
            peer: the other end of the connection itself, which may be a proxy.
        Raises:
            UnauthenticatedError: no valid credential.
            TooManyFailuresError: none either, and not the first time.
            IssuerDownError: a token whose issuer cannot be asked.
        """
        pairs = tuple(headers)
        if presents_credentials(pairs):
            return await self._by_token(presented(pairs), address)
        found = await self._by_certificate(pairs, peer, address)
        if found is None:
            raise _refusal("this hub answers to those only who log in")
        return found

    def close(self) -> None:
        """Let threads go."""
        self._issuers.close()

    async def _by_token(self, token: Presented | None, address: str) -> Principal:
        if token is None:
            self._failures.count(address)
            raise _refusal("this hub reads one credential, in one of the usual forms")
        if self._is_foreign(token):
            return await self._by_issuer(token.text, address)
        remembered = self._remembered
        found = remembered.known_credential(token.text)
        if found is None:
            found = await self._run(lambda: remembered.credential(token.text, now=self._now()))
        if found is None:
            self._failures.count(address)
            raise _refusal(
                "this token is not valid: mistyped, expired, revoked, or its account is barred"
            )
        return _principal(found, Via.TOKEN)

    def _is_foreign(self, token: Presented) -> bool:
        own = token.text.startswith(f"{TOKEN_MARK}_")
        return self._issuers.any and token.scheme == "bearer" and not own

    async def _by_issuer(self, token: str, address: str) -> Principal:
        claimed = self._issuers.remembered(token)
        if claimed is None:
            # What is not known yet may cost the issuer a request: guessers wait.
            self._failures.check(address)
            try:
                claimed = await self._issuers.claimed(token)
            except VerificationError as error:
                self._failures.count(address)
                raise _refusal(f"this access token is not valid: {error}") from error
        known = claimed
        found = await self._run(lambda: self._bound(known))
        if found is None:
            self._failures.count(address)
            raise _refusal("whom this access token speaks for is bound to no account here")
        return _principal(found, Via.OAUTH)

    def _bound(self, claimed: Claimed) -> Credential | None:
        now = self._now()
        for kind, name in (
            (LoginKind.SUBJECT, claimed.subject),
            (LoginKind.CLIENT, claimed.client),
        ):
            if name is not None:
                found = self._store.login(kind, claimed.issuer, name, now=now)
                if found is not None:
                    return found
        return None

    async def _by_certificate(self, headers: Headers, peer: str, address: str) -> Principal | None:
        reader = self._certificates
        shown = None if reader is None else reader.certificate(headers, peer)
        if shown is None:
            return None
        now = self._now()

        def look_up() -> Credential | None:
            login = self._store.login
            return login(LoginKind.CERTIFICATE, "", shown.fingerprint, now=now) or login(
                LoginKind.KEY, "", shown.key, now=now
            )

        fit = shown.valid_at(now) and shown.for_clients
        found = await self._run(look_up) if fit else None
        if found is None:
            self._failures.count(address)
            raise _refusal(
                "this certificate is expired, not for clients, or bound to no account",
                hint="its fingerprint is bound by: stillwatch hub account bind-certificate",
            )
        return _principal(found, Via.CERTIFICATE)

    async def _run(self, work: Callable[[], T]) -> T:
        return work() if self._calls is None else await self._calls.short(work)


class _Failures:
    """Failed log-ins of each address in a sliding window."""

    def __init__(self, limits: HubLimits, monotonic: Callable[[], float]) -> None:
        self._most = limits.auth_failures
        self._seconds = limits.auth_window_seconds
        self._monotonic = monotonic
        self._windows: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Raise TooManyFailuresError when the address is over its limit."""
        window = self._windows.get(network(address))
        if window is not None:
            self._refuse_full(window)

    def count(self, address: str) -> None:
        """Count a failure. Raises TooManyFailuresError when it is one too many."""
        key = network(address)
        window = self._windows.setdefault(key, deque())
        self._windows.move_to_end(key)
        self._refuse_full(window)
        window.append(self._monotonic())
        if len(self._windows) > _MAX_ADDRESSES:
            self._windows.popitem(last=False)

    def _refuse_full(self, window: deque[float]) -> None:
        now = self._monotonic()
        while window and window[0] <= now - self._seconds:
            window.popleft()
        if len(window) >= self._most:
            wait = window[0] + self._seconds - now
            raise TooManyFailuresError(
                "too many failed log-ins from this address",
                headers={"retry-after": str(max(1, int(wait) + 1))},
            )


def _refusal(message: str, *, hint: str | None = None) -> UnauthenticatedError:
    return UnauthenticatedError(
        message,
        hint=hint or "send an API token as Basic password, as Bearer, or in X-API-Key",
        headers={"www-authenticate": _CHALLENGE},
    )


def _principal(found: Credential, via: Via) -> Principal:
    return Principal(
        found.org_id,
        found.id,
        found.scopes,
        found.account_id,
        found.roles,
        government=found.government,
        via=via,
    )
