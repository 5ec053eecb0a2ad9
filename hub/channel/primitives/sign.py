"""Hybrid signatures: Ed25519 and ML-DSA-65 over the same bytes, and both must verify.

A signature is 64 + 3,309 bytes, a public key 32 + 1,952, a private seed 32 + 32. The ML-DSA context
is empty; what is signed begins with a label instead. Root keys and signing keys differ only in the
label of their id, so that one can never stand in for the other.
Source: schemas/channel-v1.md, "Signatures"; RFC 8032; FIPS 204.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey

from hub.channel.primitives.hash import digest, label, lp
from hub.channel.primitives.points import check_ed25519
from hub.errors import InputError, VerificationError

PUBLIC_SIZE: Final = 32 + 1952
SIGNATURE_SIZE: Final = 64 + 3309
SEED_SIZE: Final = 32 + 32
NOTE_KEY_SIZE: Final = 32


@dataclass(frozen=True)
class NotePublic:
    """An Ed25519 key alone: that of a log or a witness, whose formats are C2SP's.

    Args:
        raw: 32 bytes.
    Raises:
        InputError: the length is wrong.
        VerificationError: the key is of low order or not canonical.
    """

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != NOTE_KEY_SIZE:
            raise InputError(f"an Ed25519 key has {NOTE_KEY_SIZE} bytes, not {len(self.raw)}")
        check_ed25519(self.raw, "verifier key")

    def verify(self, signature: bytes, data: bytes, *, where: str = "signature") -> None:
        """Check a signature over `data`.

        Raises:
            VerificationError: the length is wrong, or it does not verify.
        """
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except (InvalidSignature, ValueError):
            raise VerificationError("the Ed25519 signature is not valid", where=where) from None


@dataclass(frozen=True)
class NotePrivate:
    """The private half of a log's or a witness's key.

    Args:
        seed: 32 secret bytes.
    Raises:
        InputError: the length is wrong.
    """

    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != NOTE_KEY_SIZE:
            raise InputError(f"an Ed25519 seed has {NOTE_KEY_SIZE} bytes, not {len(self.seed)}")

    @classmethod
    def generate(cls) -> NotePrivate:
        """A new key from the system's randomness."""
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    @cached_property
    def public(self) -> NotePublic:
        """The public half."""
        return NotePublic(self._key.public_key().public_bytes_raw())

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    def sign(self, data: bytes) -> bytes:
        """64 bytes over `data`; deterministic."""
        return self._key.sign(data)


@dataclass(frozen=True)
class _Public:
    """A pair of public keys.

    Args:
        raw: Ed25519 (32 bytes), then ML-DSA-65 (1,952 bytes).
    Raises:
        InputError: the length is wrong.
        VerificationError: the Ed25519 key is of low order or not canonical.
    """

    raw: bytes
    _label: ClassVar[str]

    def __post_init__(self) -> None:
        if len(self.raw) != PUBLIC_SIZE:
            raise InputError(f"a {self._label} has {PUBLIC_SIZE} bytes, not {len(self.raw)}")
        check_ed25519(self.raw[:32], self._label)

    @cached_property
    def id(self) -> str:
        """The key id: a labelled hash over both keys, in hex."""
        return digest(label(self._label) + lp(self.raw[:32]) + lp(self.raw[32:]))

    @cached_property
    def _pair(self) -> tuple[Ed25519PublicKey, MLDSA65PublicKey]:
        try:
            return (
                Ed25519PublicKey.from_public_bytes(self.raw[:32]),
                MLDSA65PublicKey.from_public_bytes(self.raw[32:]),
            )
        except ValueError as error:
            raise VerificationError(f"the {self._label} is not a valid key") from error

    def verify(self, signature: bytes, data: bytes, *, where: str = "signature") -> None:
        """Check both signatures over `data`.

        Args:
            signature: 3,373 bytes.
            data: the labelled bytes that were signed.
            where: the place, for the error.
        Raises:
            VerificationError: the length is wrong, or either signature does not verify.
        """
        if len(signature) != SIGNATURE_SIZE:
            raise VerificationError(
                f"both signatures are required: {SIGNATURE_SIZE} bytes, not {len(signature)}",
                where=where,
            )
        ed25519, mldsa65 = self._pair
        try:
            ed25519.verify(signature[:64], data)
        except InvalidSignature:
            raise VerificationError("the Ed25519 signature is not valid", where=where) from None
        try:
            mldsa65.verify(signature[64:], data)
        except InvalidSignature:
            raise VerificationError("the ML-DSA-65 signature is not valid", where=where) from None


@dataclass(frozen=True)
class SigningPublic(_Public):
    """The public half of a card's signing pair."""

    _label: ClassVar[str] = "sign key"


@dataclass(frozen=True)
class RootPublic(_Public):
    """The public half of an offline root."""

    _label: ClassVar[str] = "root key"


@dataclass(frozen=True)
class _Private:
    _seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self._seed) != SEED_SIZE:
            raise InputError(f"a private seed has {SEED_SIZE} bytes, not {len(self._seed)}")

    @classmethod
    def generate(cls) -> Self:
        """A new pair from the system's randomness."""
        ed25519 = Ed25519PrivateKey.generate().private_bytes_raw()
        return cls(ed25519 + MLDSA65PrivateKey.generate().private_bytes_raw())

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The pair that `to_seed` gave.

        Args:
            seed: 64 bytes: Ed25519 (32), then ML-DSA-65 (32).
        Raises:
            InputError: the length is wrong.
        """
        return cls(seed)

    def to_seed(self) -> bytes:
        """64 secret bytes to keep encrypted."""
        return self._seed

    @cached_property
    def _pair(self) -> tuple[Ed25519PrivateKey, MLDSA65PrivateKey]:
        return (
            Ed25519PrivateKey.from_private_bytes(self._seed[:32]),
            MLDSA65PrivateKey.from_seed_bytes(self._seed[32:]),
        )

    @cached_property
    def _public_raw(self) -> bytes:
        ed25519, mldsa65 = self._pair
        return ed25519.public_key().public_bytes_raw() + mldsa65.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """Both signatures over labelled bytes: 3,373 bytes. ML-DSA signing is randomised."""
        ed25519, mldsa65 = self._pair
        return ed25519.sign(data) + mldsa65.sign(data)


class SigningPrivate(_Private):
    """The private half of a card's signing pair."""

    @cached_property
    def public(self) -> SigningPublic:
        """The public half."""
        return SigningPublic(self._public_raw)


class RootPrivate(_Private):
    """The private half of an offline root."""

    @cached_property
    def public(self) -> RootPublic:
        """The public half."""
        return RootPublic(self._public_raw)
