"""Encodings of public keys that every implementation must refuse.

Pure arithmetic on public bytes, so that the hub and every member refuse the same cards, whatever
their library accepts: low-order or non-canonical curve points (a signature or a shared secret under
them proves nothing) and ML-KEM keys outside the modulus (FIPS 203, section 7.2).
Source: schemas/channel-v1.md, "Keys".
"""

from __future__ import annotations

from typing import Final

from hub.errors import VerificationError

_P: Final = 2**255 - 19
# y coordinates of the eight points of small order on edwards25519.
_Y8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_ED25519_LOW: Final = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})
# u coordinates of the points of small order on curve25519 and its twist.
_X25519_LOW: Final = frozenset(
    {
        0,
        1,
        _P - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
)
_MLKEM_Q: Final = 3329
_MLKEM768_VECTOR: Final = 1152


def check_ed25519(public: bytes, where: str) -> None:
    """Refuse low-order and non-canonical Ed25519 public keys.

    Args:
        public: 32 bytes (RFC 8032).
        where: the place, for the error.
    Raises:
        VerificationError: the key is one of them.
    """
    y = int.from_bytes(public, "little") & (2**255 - 1)
    if y >= _P or y in _ED25519_LOW:
        raise VerificationError("an Ed25519 key is of low order or not canonical", where=where)


def check_x25519(public: bytes, where: str) -> None:
    """Refuse low-order and non-canonical X25519 public keys.

    Args:
        public: 32 bytes (RFC 7748).
        where: the place, for the error.
    Raises:
        VerificationError: the key is one of them.
    """
    u = int.from_bytes(public, "little")
    if u >= _P or u in _X25519_LOW:
        raise VerificationError("an X25519 key is of low order or not canonical", where=where)


def check_mlkem768(public: bytes, where: str) -> None:
    """Refuse ML-KEM-768 keys with a coefficient outside the modulus.

    Args:
        public: 1,184 bytes (FIPS 203): 768 coefficients of 12 bits, then a 32-byte seed.
        where: the place, for the error.
    Raises:
        VerificationError: a coefficient is 3,329 or more.
    """
    for at in range(0, _MLKEM768_VECTOR, 3):
        three = public[at] | public[at + 1] << 8 | public[at + 2] << 16
        if three & 0xFFF >= _MLKEM_Q or three >> 12 >= _MLKEM_Q:
            raise VerificationError("an ML-KEM-768 key is not canonical", where=where)
