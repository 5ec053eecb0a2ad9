"""An issuer's signing keys: fetched, kept, rotated, and never asked for in a hurry.

Keys in use are fetched again every `keys_seconds`, and are used for `keys_stale_seconds` when the
issuer cannot be reached. A key that nobody has heard of is asked for once in `unknown_seconds`,
however many tokens name it: who makes up key ids makes no requests.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from hub.errors import InputError, TransportError
from hub.login_settings import OAuthIssuer
from hub.server.oauth_fetch import Fetch, fetch

_MAX_KEYS: Final = 50
_MIN_RSA_BITS: Final = 2048
_TYPES: Final = frozenset({"RSA", "EC", "OKP"})
_RETRY_SECONDS: Final = 5.0

Key = Any
"""A public key of joserfc."""


def joserfc() -> Any:
    """The library, imported on use. Raises InputError when it is not installed."""
    try:
        import joserfc.errors
        import joserfc.jwk
        import joserfc.jws
    except ImportError as error:
        raise InputError(
            "access tokens need a library that is not installed",
            hint="pip install 'stillwatch[oauth]'",
        ) from error
    return joserfc


class IssuerKeys:
    """The keys of one issuer; any thread may ask.

    Args:
        issuer: where they are, and how long they last.
        get: how to fetch them.
        monotonic: clock in seconds.
    """

    def __init__(
        self,
        issuer: OAuthIssuer,
        *,
        get: Fetch = fetch,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._get = get
        self._monotonic = monotonic
        self._keys: tuple[Key, ...] = ()
        self._fetched: float | None = None
        self._tried: float | None = None
        self._fetching = threading.Lock()

    def known(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        """Keys at hand for a token's header, without asking anybody; none when they are old."""
        if self._fetched is None or self._age(self._fetched) > self._issuer.keys_seconds:
            return ()
        return self._matching(kid, algorithm)

    def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        """Keys for a token's header, fetched when need be.

        Raises:
            TransportError: the issuer cannot be asked, and nothing that it said lately helps.
        """
        found = self.known(kid, algorithm)
        if found:
            return found
        with self._fetching:
            # Another thread may have fetched while this one waited.
            found = self.known(kid, algorithm)
            if found:
                return found
            self._refresh()
        return self._matching(kid, algorithm)

    def _refresh(self) -> None:
        fresh = self._fetched is not None and self._age(self._fetched) <= self._issuer.keys_seconds
        pause = self._issuer.unknown_seconds if fresh else _RETRY_SECONDS
        if self._tried is not None and self._age(self._tried) < pause:
            self._must_serve()
            return
        self._tried = self._monotonic()
        assert self._issuer.jwks_url is not None
        try:
            document = self._get(self._issuer.jwks_url, seconds=self._issuer.request_seconds)
            self._keys = _usable(document)
        except TransportError:
            self._must_serve()
            return
        self._fetched = self._monotonic()

    def _must_serve(self) -> None:
        """Go on with what is there, unless it is too old."""
        oldest = self._issuer.keys_stale_seconds
        if self._fetched is None or self._age(self._fetched) > oldest:
            raise TransportError("the issuer's keys cannot be fetched", where=self._issuer.issuer)

    def _age(self, moment: float) -> float:
        return self._monotonic() - moment

    def _matching(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        wanted = _type_of(algorithm)
        return tuple(
            key
            for key in self._keys
            if key.key_type == wanted
            and (kid is None or key.as_dict(private=False).get("kid") == kid)
            and key.as_dict(private=False).get("alg") in (None, algorithm)
        )


def _type_of(algorithm: str) -> str:
    if algorithm.startswith(("RS", "PS")):
        return "RSA"
    return "EC" if algorithm.startswith("ES") else "OKP"


def _usable(document: dict[str, Any]) -> tuple[Key, ...]:
    """The public signing keys of a JWK set; what is anything else is passed over.

    Raises:
        TransportError: not a JWK set, or an unreasonably large one.
    """
    listed = document.get("keys")
    if not isinstance(listed, list) or len(listed) > _MAX_KEYS:
        raise TransportError("the issuer's answer is no JWK set of a reasonable size")
    library = joserfc()
    found = []
    for one in listed:
        if not isinstance(one, dict) or one.get("kty") not in _TYPES:
            continue
        if one.get("use", "sig") != "sig" or "d" in one:
            continue
        if one["kty"] == "RSA" and _bits(one.get("n")) < _MIN_RSA_BITS:
            continue
        try:
            key = library.jwk.import_key(one)
            # Looked at once here, so that a broken key does not fail each token later.
            assert key.public_key is not None
        except (library.errors.JoseError, ValueError, TypeError, KeyError):
            continue
        found.append(key)
    return tuple(found)


def _bits(modulus: object) -> int:
    if not isinstance(modulus, str):
        return 0
    try:
        octets = base64.urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4))
    except ValueError:
        return 0
    return int.from_bytes(octets).bit_length()
