"""Cobblestone-256: the key-committing cipher of message bodies.

The salt is random and inside the ciphertext, so a key may be used again without harm. The hub never
imports this module.
Source: schemas/channel-v1.md, "Bodies"; https://c2sp.org/chunked-encryption.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag

from hub.errors import InputError, VerificationError

KEY_SIZE: Final = 32


def seal(key: bytes, context: bytes, plain: bytes) -> bytes:
    """Encrypt and authenticate.

    Args:
        key: 32 bytes.
        context: labelled bytes that the opener must repeat.
        plain: any length.
    Raises:
        InputError: the key has another length.
    """
    _check_key(key)
    encryptor = Cobblestone256Encryptor(key, context)
    return encryptor.update(plain) + encryptor.finalize()


def open_sealed(key: bytes, context: bytes, sealed: bytes, *, most: int) -> bytes:
    """Decrypt; nothing is returned before the end is authenticated.

    Args:
        key: 32 bytes.
        context: as given to `seal`.
        sealed: what `seal` returned.
        most: refuse ciphertexts longer than this many bytes before touching them.
    Raises:
        InputError: too long, or the key has another length.
        VerificationError: altered, truncated, or sealed under another key or context.
    """
    _check_key(key)
    if len(sealed) > most:
        raise InputError(f"the sealed body is {len(sealed)} bytes, more than {most}")
    decryptor = Cobblestone256Decryptor(key, context)
    try:
        # update() releases chunks before the last one is authenticated: join only after finalize().
        released = decryptor.update(sealed)
        return released + decryptor.finalize()
    except InvalidTag:
        raise VerificationError("the sealed body does not open with this key") from None


def _check_key(key: bytes) -> None:
    if len(key) != KEY_SIZE:
        raise InputError(f"a body key has {KEY_SIZE} bytes, not {len(key)}")


def seal_stream(key: bytes, context: bytes, parts: Iterable[bytes]) -> Iterator[bytes]:
    """`seal` for what does not fit in memory.

    Raises:
        InputError: the key has another length.
    """
    _check_key(key)
    encryptor = Cobblestone256Encryptor(key, context)
    for part in parts:
        yield encryptor.update(part)
    yield encryptor.finalize()


def open_stream(key: bytes, context: bytes, parts: Iterable[bytes]) -> Iterator[bytes]:
    """`open_sealed` for what does not fit in memory.

    What is given out is the sender's, but until the iterator has ended it may lack its end: the
    caller keeps all of it aside, and throws it away unless the iterator ends.

    Raises:
        InputError: the key has another length.
        VerificationError: altered, truncated, or sealed under another key or context.
    """
    _check_key(key)
    decryptor = Cobblestone256Decryptor(key, context)
    try:
        for part in parts:
            yield decryptor.update(part)
        yield decryptor.finalize()
    except InvalidTag:
        raise VerificationError("altered or cut off, or sealed under another key") from None
