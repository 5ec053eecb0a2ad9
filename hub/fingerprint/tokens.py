"""Keyed tokens: what two members can compare without showing the identifier.

A token is flat text, `kind:key_id:64 hex digits`, so that STIX equality and `IN` match it.
Source: schemas/fingerprint-v1.md, section 3.
"""

from __future__ import annotations

import hmac
import re
import struct
from dataclasses import dataclass, field
from typing import Final

from hub.errors import InputError
from hub.fingerprint import normalise

SECRET_BYTES: Final = 32
"""Length of a fingerprint key."""

_KEY_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{2,63}")


@dataclass(frozen=True, slots=True)
class FingerprintKey:
    """One fingerprint key of a channel (FK in the channel's specification).

    Args:
        key_id: `<first 16 hex digits of the channel id>.<yyyy>q<n>`, with `-2`, `-3` … appended
            when rotated again within the quarter.
        secret: 32 random bytes; never shown by `repr`.
    Raises:
        InputError: the id has another form, or the secret another length.
    """

    key_id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _KEY_ID.fullmatch(self.key_id):
            raise InputError("not a fingerprint key id", where="key_id")
        if len(self.secret) != SECRET_BYTES:
            raise InputError(f"a fingerprint key has {SECRET_BYTES} bytes", where=self.key_id)


def _lp(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


_PREFIXES: Final = {
    kind: _lp(b"stillwatch/1 token") + _lp(kind.encode()) for kind in normalise.TOKEN_KINDS
}


def token(key: FingerprintKey, kind: str, normalised: str) -> str:
    """The token of a value that is already normalised.

    `HMAC-SHA256(FK, lp("stillwatch/1 token") ‖ lp(kind) ‖ lp(value))`, `lp` being a big-endian
    u32 length and then the bytes.

    Args:
        key: the channel's key.
        kind: one of `normalise.TOKEN_KINDS`.
        normalised: what `normalise.of_kind(kind, raw)` returned.
    Returns:
        `kind:key_id:<64 lower-case hex digits>`.
    Raises:
        InputError: an unknown kind, or an empty value.
    Source: schemas/fingerprint-v1.md, section 3.
    """
    prefix = _PREFIXES.get(kind)
    if prefix is None:
        raise InputError("not a kind of token", where="kind")
    if not normalised:
        raise InputError("an empty value has no token", where=kind)
    digest = hmac.digest(key.secret, prefix + _lp(normalised.encode()), "sha256")
    return f"{kind}:{key.key_id}:{digest.hex()}"
