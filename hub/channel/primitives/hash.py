"""Hashes, labels, framing and key derivation of the channel protocol.

Source: schemas/channel-v1.md, "Notation".
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from hub.errors import InputError

HASH_SIZE: Final = 32
_PREFIX: Final = b"stillwatch/1 "
_HEX: Final = frozenset("0123456789abcdef")


def sha256(data: bytes) -> bytes:
    """H(data): 32 bytes."""
    return hashlib.sha256(data).digest()


def digest(data: bytes) -> str:
    """H(data) as 64 lower-case hex digits: the form of every id on the wire."""
    return hashlib.sha256(data).hexdigest()


def lp(data: bytes) -> bytes:
    """Length-prefixed bytes: u32 big-endian length, then the bytes."""
    return struct.pack(">I", len(data)) + data


def u64(number: int) -> bytes:
    """Eight bytes, big-endian."""
    return struct.pack(">Q", number)


def label(name: str) -> bytes:
    """L(name): the domain separation that every hashed or signed string begins with."""
    return lp(_PREFIX + name.encode("ascii"))


def expand(secret: bytes, info: bytes) -> bytes:
    """Expand(secret, info): 32 bytes of HKDF-Expand with SHA-512 (RFC 5869)."""
    return HKDFExpand(algorithm=hashes.SHA512(), length=32, info=info).derive(secret)


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104): 32 bytes."""
    return hmac.digest(key, data, "sha256")


def equal(left: bytes, right: bytes) -> bool:
    """Compare in a time that does not depend on where the two differ."""
    return hmac.compare_digest(left, right)


def is_hash(value: object) -> bool:
    """Whether the value is 64 lower-case hex digits."""
    return isinstance(value, str) and len(value) == 64 and _HEX.issuperset(value)


def unhex(value: str) -> bytes:
    """The 32 bytes behind a hash or id in hex.

    Raises:
        InputError: not 64 lower-case hex digits.
    """
    if not is_hash(value):
        raise InputError("not a hash: 64 lower-case hex digits are expected")
    return bytes.fromhex(value)


class Reader:
    """Takes length-prefixed fields off a byte string, in order, never past its end.

    Args:
        data: the whole string.
        where: what it is, for errors.
    """

    def __init__(self, data: bytes, where: str) -> None:
        self._data = data
        self._where = where
        self._at = 0

    def label(self, name: str) -> None:
        """Step over L(name).

        Raises:
            InputError: the string does not begin with this label: another kind or version.
        """
        wanted = label(name)
        if not self._data.startswith(wanted, self._at):
            raise InputError("is not of this kind, or of a version unknown here", where=self._where)
        self._at += len(wanted)

    def field(self, name: str, *, most: int) -> bytes:
        """The next lp field.

        Raises:
            InputError: the prefix says more than there is, or more than `most`.
        """
        start = self._at + 4
        if start > len(self._data):
            raise InputError(f"ends before {name}", where=self._where)
        size = int.from_bytes(self._data[self._at : start], "big")
        if size > most:
            raise InputError(f"{name} is {size} bytes, more than {most}", where=self._where)
        if start + size > len(self._data):
            raise InputError(f"ends inside {name}", where=self._where)
        self._at = start + size
        return self._data[start : self._at]

    def fixed(self, size: int, name: str) -> bytes:
        """The next `size` bytes, without a prefix.

        Raises:
            InputError: fewer are left.
        """
        taken = self._data[self._at : self._at + size]
        if len(taken) != size:
            raise InputError(f"ends inside {name}", where=self._where)
        self._at += size
        return taken

    @property
    def left(self) -> int:
        """Bytes not yet taken."""
        return len(self._data) - self._at

    def end(self) -> None:
        """Require that nothing is left.

        Raises:
            InputError: bytes follow the last field.
        """
        if self.left:
            raise InputError(f"{self.left} bytes follow the last field", where=self._where)
