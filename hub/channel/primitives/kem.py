"""HPKE with X-Wing: wraps a 32-byte secret to one card.

Base mode, single shot: MLKEM768_X25519, HKDF-SHA256, AES-256-GCM. Composite keys have no encoding
of their own, so the component encodings are joined: ML-KEM first, then X25519. The hub never
imports this module.
Source: schemas/channel-v1.md, "Wrapping"; RFC 9180; FIPS 203.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from hub.errors import InputError, VerificationError

PUBLIC_SIZE: Final = 1184 + 32
SEED_SIZE: Final = 64 + 32


def _suite() -> Suite:
    return Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@dataclass(frozen=True)
class KemPrivate:
    """The private half of a card's KEM pair; its text form hides the seed."""

    _seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self._seed) != SEED_SIZE:
            raise InputError(f"a KEM seed has {SEED_SIZE} bytes, not {len(self._seed)}")

    @classmethod
    def generate(cls) -> Self:
        """A new pair from the system's randomness."""
        mlkem = MLKEM768PrivateKey.generate().private_bytes_raw()
        return cls(mlkem + X25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The pair that `to_seed` gave.

        Args:
            seed: 96 bytes: ML-KEM-768 (64), then X25519 (32).
        Raises:
            InputError: the length is wrong.
        """
        return cls(seed)

    def to_seed(self) -> bytes:
        """96 secret bytes to keep encrypted."""
        return self._seed

    @cached_property
    def _parts(self) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
        return (
            MLKEM768PrivateKey.from_seed_bytes(self._seed[:64]),
            X25519PrivateKey.from_private_bytes(self._seed[64:]),
        )

    @cached_property
    def public(self) -> bytes:
        """The public half: ML-KEM-768 (1,184 bytes), then X25519 (32 bytes)."""
        mlkem, x25519 = self._parts
        return mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()

    def decrypt(self, wrapped: bytes, info: bytes) -> bytes:
        """Open one HPKE ciphertext.

        Args:
            wrapped: encapsulated key (1,120 bytes), then AES-256-GCM ciphertext and tag.
            info: the same context as in `encrypt`.
        Raises:
            VerificationError: it was made for another key or context, or altered.
        """
        mlkem, x25519 = self._parts
        try:
            return _suite().decrypt(wrapped, MLKEM768X25519PrivateKey(mlkem, x25519), info=info)
        except (InvalidTag, ValueError):
            raise VerificationError(
                "the wrapped secret does not open with this key and context"
            ) from None


def encrypt(plain: bytes, public: bytes, info: bytes) -> bytes:
    """HPKE.encrypt(plain, public, info).

    Args:
        plain: the secret.
        public: 1,216 bytes of a card's KEM key.
        info: labelled context that the opener must repeat.
    Returns:
        1,136 bytes more than `plain`.
    Raises:
        InputError: the key has another length.
        VerificationError: the key is not valid.
    """
    if len(public) != PUBLIC_SIZE:
        raise InputError(f"a KEM key has {PUBLIC_SIZE} bytes, not {len(public)}")
    try:
        return _suite().encrypt(plain, _load(public), info=info)
    except ValueError:
        raise VerificationError("the KEM key is not valid") from None


# An epoch wraps two secrets for the same cards, and loading a key costs a quarter of a wrap.
@lru_cache(maxsize=1024)
def _load(public: bytes) -> MLKEM768X25519PublicKey:
    return MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(public[:1184]),
        X25519PublicKey.from_public_bytes(public[1184:]),
    )
