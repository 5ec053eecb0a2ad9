"""Who is asking: API tokens in the forms in which TAXII clients send them.

Basic (the password is the token, the user name is free), Bearer, `Token`, and `X-API-Key`; schemes
in any case. Tokens are 256-bit random values, so guessing is hopeless; failed attempts are limited
per address all the same, because they fill logs. A valid token is let in even from an address that
is over its limit, so that nobody can lock out those who share one.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable

from hub.server.policy import Principal
from hub.server.refusals import TooManyFailuresError, UnauthenticatedError
from hub.settings import HubLimits
from hub.store.interface import AccountStore

_CHALLENGE = 'Basic realm="stillwatch", charset="UTF-8", Bearer realm="stillwatch"'
_MAX_CREDENTIAL = 4096
_MAX_ADDRESSES = 10_000


def presented_token(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The API token of a request, or None when it presents none, several, or a malformed one.

    Args:
        headers: raw (name, value) pairs, names in lower case.
    """
    found: list[str | None] = []
    for name, value in headers:
        if len(value) > _MAX_CREDENTIAL:
            continue
        if name == b"authorization":
            found.append(_from_authorization(value))
        elif name == b"x-api-key":
            found.append(_text(value.strip()))
    return found[0] if len(found) == 1 else None


def presents_credentials(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request tries to log in at all."""
    return any(name in (b"authorization", b"x-api-key") for name, _ in headers)


def _from_authorization(value: bytes) -> str | None:
    scheme, _, rest = value.strip().partition(b" ")
    rest = rest.strip()
    if scheme.lower() in (b"bearer", b"token"):
        return _text(rest)
    if scheme.lower() != b"basic":
        return None
    try:
        pair = base64.b64decode(rest, validate=True)
    except (binascii.Error, ValueError):
        # MISP sends what its operator stored, which may be the bare token.
        return _text(rest)
    _, colon, password = pair.partition(b":")
    return _text(password) if colon else _text(rest)


def _text(value: bytes) -> str | None:
    try:
        text = value.decode("ascii")
    except UnicodeDecodeError:
        return None
    return text if text and text.isprintable() else None


class Authenticator:
    """Turns headers into a principal.

    Args:
        accounts: where tokens are looked up; compares in constant time.
        limits: how many failures an address may have, and in how many seconds.
        now: wall clock in whole seconds UTC.
        monotonic: clock in seconds for the window of failures.
    """

    def __init__(
        self,
        accounts: AccountStore,
        limits: HubLimits,
        *,
        now: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._accounts = accounts
        self._limits = limits
        self._now = now
        self._monotonic = monotonic
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def principal(self, headers: Iterable[tuple[bytes, bytes]], address: str) -> Principal:
        """The organisation behind a request.

        Args:
            headers: raw (name, value) pairs, names in lower case.
            address: where the request came from, for the limit of failures.
        Raises:
            UnauthenticatedError: no valid token.
            TooManyFailuresError: none either, and not the first time.
        """
        pairs = list(headers)
        secret = presented_token(pairs)
        token = None
        if secret is not None:
            token = self._accounts.find_token(secret, now=self._now())
        if token is not None:
            return Principal(token.org_id, token.id, token.scopes)
        if presents_credentials(pairs):
            self._count_failure(address)
        raise UnauthenticatedError(
            "this hub answers to API tokens only"
            if secret is None
            else "this token is not valid: mistyped, expired, revoked, or its account is barred",
            hint="send the token as Basic password, as Bearer, or in X-API-Key",
            headers={"www-authenticate": _CHALLENGE},
        )

    def _count_failure(self, address: str) -> None:
        now = self._monotonic()
        window = self._failures.setdefault(address, deque())
        self._failures.move_to_end(address)
        while window and window[0] <= now - self._limits.auth_window_seconds:
            window.popleft()
        if len(window) >= self._limits.auth_failures:
            wait = window[0] + self._limits.auth_window_seconds - now
            raise TooManyFailuresError(
                "too many failed log-ins from this address",
                headers={"retry-after": str(max(1, int(wait) + 1))},
            )
        window.append(now)
        if len(self._failures) > _MAX_ADDRESSES:
            self._failures.popitem(last=False)
