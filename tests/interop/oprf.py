"""RFC 9497 once more, from the text and over libsodium's group: the oracle beside `voprf`.

ristretto255-SHA512 in OPRF (0) and VOPRF (1) mode, with every random number an argument. Plain and
slow; for tests alone.
Source: RFC 9497, sections 2.2, 3.2 and 3.3; RFC 9380, section 5.3.1 (expand_message_xmd).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from rbcl import (
    crypto_core_ristretto255_add,
    crypto_core_ristretto255_from_hash,
    crypto_core_ristretto255_is_valid_point,
    crypto_core_ristretto255_scalar_add,
    crypto_core_ristretto255_scalar_invert,
    crypto_core_ristretto255_scalar_mul,
    crypto_core_ristretto255_scalar_reduce,
    crypto_core_ristretto255_scalar_sub,
    crypto_scalarmult_ristretto255,
    crypto_scalarmult_ristretto255_base,
)

OPRF: Final = 0
VOPRF: Final = 1
_BLOCK: Final = 128
ONE: Final = (1).to_bytes(32, "little")
GENERATOR: Final = bytes(crypto_scalarmult_ristretto255_base(ONE))


class RefusedError(Exception):
    """An element or a proof is refused."""


def context(mode: int) -> bytes:
    """The context string of a mode."""
    return b"OPRFV1-" + bytes([mode]) + b"-ristretto255-SHA512"


def _i2osp2(number: int) -> bytes:
    return number.to_bytes(2, "big")


def _lp(data: bytes) -> bytes:
    return _i2osp2(len(data)) + data


def _expand(message: bytes, tag: bytes) -> bytes:
    """expand_message_xmd with SHA-512 to 64 bytes, which is one block."""
    suffix = tag + bytes([len(tag)])
    first = hashlib.sha512(bytes(_BLOCK) + message + _i2osp2(64) + b"\0" + suffix).digest()
    return hashlib.sha512(first + b"\1" + suffix).digest()


def hash_to_group(mode: int, message: bytes) -> bytes:
    """HashToGroup."""
    uniform = _expand(message, b"HashToGroup-" + context(mode))
    return bytes(crypto_core_ristretto255_from_hash(uniform))


def hash_to_scalar(mode: int, message: bytes, tag: bytes = b"HashToScalar-") -> bytes:
    """HashToScalar."""
    return bytes(crypto_core_ristretto255_scalar_reduce(_expand(message, tag + context(mode))))


def derive_key(mode: int, seed: bytes, info: bytes) -> tuple[bytes, bytes]:
    """DeriveKeyPair: private and public key."""
    for counter in range(256):
        message = seed + _lp(info) + bytes([counter])
        secret = hash_to_scalar(mode, message, b"DeriveKeyPair")
        if any(secret):
            return secret, bytes(crypto_scalarmult_ristretto255_base(secret))
    raise RefusedError("no key can be derived")


def checked(element: bytes) -> bytes:
    """DeserializeElement: no identity, no encoding but the canonical one."""
    valid = len(element) == 32 and any(element)
    if not valid or not crypto_core_ristretto255_is_valid_point(element):
        raise RefusedError("no element")
    return element


def blind(mode: int, message: bytes, scalar: bytes) -> bytes:
    """Blind, with the scalar given."""
    return bytes(crypto_scalarmult_ristretto255(scalar, hash_to_group(mode, message)))


def evaluate(secret: bytes, blinded: bytes) -> bytes:
    """BlindEvaluate without a proof."""
    return bytes(crypto_scalarmult_ristretto255(secret, checked(blinded)))


def finalize(message: bytes, scalar: bytes, evaluated: bytes) -> bytes:
    """Finalize, its proof verified before."""
    inverse = crypto_core_ristretto255_scalar_invert(scalar)
    bare = bytes(crypto_scalarmult_ristretto255(inverse, checked(evaluated)))
    return hashlib.sha512(_lp(message) + _lp(bare) + b"Finalize").digest()


def output(mode: int, secret: bytes, message: bytes) -> bytes:
    """Evaluate: the PRF itself."""
    bare = bytes(crypto_scalarmult_ristretto255(secret, hash_to_group(mode, message)))
    return hashlib.sha512(_lp(message) + _lp(bare) + b"Finalize").digest()


def _composites(
    public: bytes, blinded: Sequence[bytes], evaluated: Sequence[bytes]
) -> tuple[bytes, bytes]:
    seed = hashlib.sha512(_lp(public) + _lp(b"Seed-" + context(VOPRF))).digest()
    first = second = b""
    for number, (left, right) in enumerate(zip(blinded, evaluated, strict=True)):
        text = _lp(seed) + _i2osp2(number) + _lp(left) + _lp(right) + b"Composite"
        weight = hash_to_scalar(VOPRF, text)
        one = bytes(crypto_scalarmult_ristretto255(weight, left))
        two = bytes(crypto_scalarmult_ristretto255(weight, right))
        first = bytes(crypto_core_ristretto255_add(first, one)) if first else one
        second = bytes(crypto_core_ristretto255_add(second, two)) if second else two
    return first, second


def _challenge(public: bytes, parts: Sequence[bytes]) -> bytes:
    return hash_to_scalar(VOPRF, b"".join(_lp(part) for part in (public, *parts)) + b"Challenge")


def prove(
    secret: bytes,
    public: bytes,
    blinded: Sequence[bytes],
    evaluated: Sequence[bytes],
    scalar: bytes,
) -> bytes:
    """GenerateProof, with the random scalar given: 64 bytes."""
    first, second = _composites(public, blinded, evaluated)
    third = bytes(crypto_scalarmult_ristretto255_base(scalar))
    fourth = bytes(crypto_scalarmult_ristretto255(scalar, first))
    challenge = _challenge(public, (first, second, third, fourth))
    product = crypto_core_ristretto255_scalar_mul(challenge, secret)
    return challenge + bytes(crypto_core_ristretto255_scalar_sub(scalar, product))


def verify(
    public: bytes, blinded: Sequence[bytes], evaluated: Sequence[bytes], proof: bytes
) -> None:
    """VerifyProof.

    Raises:
        RefusedError: an element is none, or the proof does not hold.
    """
    for element in (public, *blinded, *evaluated):
        checked(element)
    challenge, answer = proof[:32], proof[32:]
    first, second = _composites(public, blinded, evaluated)
    third = _sum(answer, GENERATOR, challenge, public)
    fourth = _sum(answer, first, challenge, second)
    if _challenge(public, (first, second, third, fourth)) != challenge:
        raise RefusedError("the proof does not hold")


def _sum(left: bytes, one: bytes, right: bytes, two: bytes) -> bytes:
    return bytes(
        crypto_core_ristretto255_add(
            crypto_scalarmult_ristretto255(left, one), crypto_scalarmult_ristretto255(right, two)
        )
    )


def scalar_one_more(scalar: bytes) -> bytes:
    """The scalar and one."""
    return bytes(crypto_core_ristretto255_scalar_add(scalar, ONE))
