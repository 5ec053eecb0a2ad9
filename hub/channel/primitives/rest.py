"""Secrets at rest: wrapped under a passphrase (Argon2id) or a key file, then Cobblestone-256.

For a member's keyring; the hub never imports this module.
Source: schemas/channel-v1.md, "Secrets at rest"; RFC 9106.
"""

from __future__ import annotations

import hmac
import secrets
import struct
import unicodedata
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from hub.channel.primitives import aead
from hub.channel.primitives.hash import Reader, expand, label, lp
from hub.errors import InputError, VerificationError

_SALT_SIZE: Final = 16
HEAD_SIZE: Final = 12 + _SALT_SIZE
# RFC 9106, section 4, second recommended option: 64 MiB, three passes, four lanes.
_MEMORY_KIB: Final = 64 * 1024
_PASSES: Final = 3
_LANES: Final = 4
# What `unwrap` is willing to spend: a hostile file must not choose the cost.
_MOST_MEMORY_KIB: Final = 1024 * 1024
_MOST_PASSES: Final = 16
_MOST_LANES: Final = 16
_MOST_SIZE: Final = 64 * 2**20


def new_key() -> bytes:
    """32 random bytes for a key file."""
    return secrets.token_bytes(aead.KEY_SIZE)


def wrap_with_key(plain: bytes, key: bytes, *, context: bytes = b"") -> bytes:
    """Encrypt under a random 32-byte key.

    Args:
        plain: the secret.
        key: from `new_key`.
        context: names what is wrapped; `unwrap_with_key` must repeat it.
    Raises:
        InputError: the key has another length.
    """
    return label("key wrap") + aead.seal(key, label("key wrap") + lp(context), plain)


def unwrap_with_key(wrapped: bytes, key: bytes, *, context: bytes = b"") -> bytes:
    """What `wrap_with_key` was given.

    Raises:
        InputError: the bytes are not of this form.
        VerificationError: another key or context, or altered bytes.
    """
    reader = Reader(wrapped, "wrapped secret")
    reader.label("key wrap")
    sealed = reader.fixed(reader.left, "sealed part")
    return aead.open_sealed(key, label("key wrap") + lp(context), sealed, most=_MOST_SIZE)


@dataclass(frozen=True)
class Stretched:
    """A passphrase after Argon2id: opens what was wrapped under the same parameters and salt.

    Attributes:
        head: parameters and salt, 28 bytes; public.
        key: 32 bytes.
    """

    head: bytes
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.head) != HEAD_SIZE or len(self.key) != aead.KEY_SIZE:
            raise InputError("a stretched passphrase has 60 bytes")


def stretch(passphrase: str, wrapped: bytes | None = None) -> Stretched:
    """Run Argon2id; about 0.2 s and 64 MiB by design.

    Args:
        passphrase: any text; normalised to NFC first, so that key boards agree.
        wrapped: what is to be opened; None for a fresh salt.
    Raises:
        InputError: the passphrase is empty, or `wrapped` is not of this form, or asks for an
            unreasonable cost.
    """
    if wrapped is None:
        numbers = struct.pack(">III", _MEMORY_KIB, _PASSES, _LANES)
        head = numbers + secrets.token_bytes(_SALT_SIZE)
    else:
        head, _ = _parts(wrapped)
    return Stretched(head, _derive(passphrase, head))


def wrap_with_stretched(plain: bytes, secret: Stretched, *, context: bytes = b"") -> bytes:
    """Encrypt under a stretched passphrase; the cipher's own salt is fresh each time.

    Args:
        plain: the secret.
        secret: from `stretch`.
        context: names what is wrapped; the opener must repeat it.
    """
    info = label("passphrase wrap") + lp(secret.head) + lp(context)
    return label("passphrase wrap") + secret.head + aead.seal(secret.key, info, plain)


def unwrap_with_stretched(wrapped: bytes, secret: Stretched, *, context: bytes = b"") -> bytes:
    """What `wrap_with_stretched` or `wrap_with_passphrase` was given.

    Raises:
        InputError: the bytes are not of this form.
        VerificationError: wrapped under another passphrase or salt, or altered bytes.
    """
    head, sealed = _parts(wrapped)
    if not hmac.compare_digest(head, secret.head):
        raise VerificationError("wrapped under another passphrase", where="wrapped secret")
    info = label("passphrase wrap") + lp(head) + lp(context)
    try:
        return aead.open_sealed(secret.key, info, sealed, most=_MOST_SIZE)
    except VerificationError:
        raise VerificationError(
            "the passphrase is wrong, or the file was altered", where="wrapped secret"
        ) from None


def wrap_with_passphrase(plain: bytes, passphrase: str, *, context: bytes = b"") -> bytes:
    """Encrypt under a passphrase: `stretch` with a fresh salt, then `wrap_with_stretched`.

    Raises:
        InputError: the passphrase is empty.
    """
    return wrap_with_stretched(plain, stretch(passphrase), context=context)


def unwrap_with_passphrase(wrapped: bytes, passphrase: str, *, context: bytes = b"") -> bytes:
    """What `wrap_with_passphrase` was given.

    Raises:
        InputError: the bytes are not of this form, or ask for an unreasonable cost.
        VerificationError: a wrong passphrase or context, or altered bytes.
    """
    return unwrap_with_stretched(wrapped, stretch(passphrase, wrapped), context=context)


def _parts(wrapped: bytes) -> tuple[bytes, bytes]:
    reader = Reader(wrapped, "wrapped secret")
    reader.label("passphrase wrap")
    return reader.fixed(HEAD_SIZE, "parameters"), reader.fixed(reader.left, "sealed part")


def _derive(passphrase: str, head: bytes) -> bytes:
    if not passphrase:
        raise InputError("an empty passphrase protects nothing")
    memory, passes, lanes = struct.unpack(">III", head[:12])
    in_range = (
        1 <= lanes <= _MOST_LANES
        and 1 <= passes <= _MOST_PASSES
        and 8 * lanes <= memory <= _MOST_MEMORY_KIB
    )
    if not in_range:
        raise InputError("asks for an unreasonable cost", where="wrapped secret")
    derived = Argon2id(
        salt=head[12:], length=32, iterations=passes, lanes=lanes, memory_cost=memory
    ).derive(unicodedata.normalize("NFC", passphrase).encode("utf-8"))
    return expand(derived, label("passphrase key"))
