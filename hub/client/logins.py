"""How accounts on hubs lie in a home: what is secret in them sealed, and bound to its place."""

from __future__ import annotations

import contextlib
import hashlib
import math
from pathlib import Path
from typing import Final

from hub.channel.primitives import rest
from hub.client.keyring import write_private
from hub.client.oauth import AccessToken, ClientCredentials
from hub.client.rows import HubRow
from hub.client.transport import HubAccount
from hub.errors import InputError, StillwatchError, VerificationError
from hub.model.codec import canonical, loads

_MOST_BYTES: Final = 64 * 1024


def sealed(account: HubAccount, key: bytes, *, stillwatch: bool) -> HubRow:
    """An account as it is stored.

    Args:
        account: with its secret in clear.
        key: the home's state key.
        stillwatch: whether the server is a Stillwatch hub.
    """
    oauth = None if account.oauth is None else canonical(account.oauth.public()).decode()
    secret = account.token if account.oauth is None else account.oauth.secret
    return HubRow(
        api_root=account.api_root,
        username=account.username,
        token=rest.wrap_with_key(secret.encode(), key, context=_context(account.api_root, oauth)),
        ca_file=account.ca_file,
        plain_http=account.allow_plain_http,
        stillwatch=stillwatch,
        client_cert=account.client_cert,
        oauth=oauth,
    )


def opened(row: HubRow, key: bytes, folder: Path) -> HubAccount:
    """The account that was stored.

    Args:
        row: as stored.
        key: the home's state key.
        folder: the home, where access tokens are kept between commands.
    Raises:
        VerificationError: it was altered; a secret goes nowhere but where it was given for.
    """
    secret = rest.unwrap_with_key(
        row.token, key, context=_context(row.api_root, row.oauth)
    ).decode()
    oauth, cache = None, None
    if row.oauth is not None:
        oauth = ClientCredentials(secret=secret, **loads(row.oauth.encode()))
        cache = SealedToken(folder, oauth, key)
    return HubAccount(
        api_root=row.api_root,
        username=row.username,
        token=secret if oauth is None else "",
        ca_file=row.ca_file,
        allow_plain_http=row.plain_http,
        client_cert=row.client_cert,
        oauth=oauth,
        cache=cache,
    )


def _context(api_root: str, oauth: str | None) -> bytes:
    if oauth is None:
        return f"stillwatch token 1 {api_root}".encode()
    return f"stillwatch oauth 1 {api_root} {oauth}".encode()


class SealedToken:
    """`TokenCache`: the access token of one client in a sealed file of the home.

    It is no part of the state, because threads that follow a hub renew it, and back-ups leave it
    out. A file that cannot be read or written is as good as none.

    Args:
        folder: the home.
        credentials: whose token; with other ones, also with another secret, the file does not open.
        key: the home's state key.
    """

    def __init__(self, folder: Path, credentials: ClientCredentials, key: bytes) -> None:
        public = canonical(credentials.public())
        secret = hashlib.sha256(credentials.secret.encode()).digest()
        self._path = folder / f"access-{hashlib.sha256(public).hexdigest()[:16]}"
        self._context = b"stillwatch access 1 " + secret + public
        self._key = key

    def load(self) -> AccessToken | None:
        """See `TokenCache.load`."""
        try:
            with self._path.open("rb") as file:
                data = file.read(_MOST_BYTES)
            fields = loads(rest.unwrap_with_key(data, self._key, context=self._context))
            text, until = fields["text"], fields["until"]
        except (OSError, InputError, VerificationError, KeyError, TypeError, ValueError):
            return None
        return AccessToken(str(text), float(until))

    def save(self, token: AccessToken | None) -> None:
        """See `TokenCache.save`."""
        with contextlib.suppress(OSError, StillwatchError):
            if token is None:
                self._path.unlink(missing_ok=True)
                return
            plain = canonical({"text": token.text, "until": math.floor(token.until)})
            write_private(self._path, rest.wrap_with_key(plain, self._key, context=self._context))
