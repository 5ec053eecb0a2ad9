"""Padmé padding: lengths leak O(log log n) bits, at most 12 % are added.

Source: schemas/channel-v1.md, "Bodies"; Nikitin et al., "Reducing Metadata Leakage from Encrypted
Files and Communication with PURBs" (PoPETs 2019), section 4.
"""

from __future__ import annotations

from typing import Final

from hub.channel.primitives.hash import u64
from hub.errors import VerificationError

PREFIX_SIZE: Final = 8


def padme(size: int) -> int:
    """The padded size of `size` bytes, at least 2."""
    exponent = size.bit_length() - 1
    if exponent < 1:
        return size
    low_bits = exponent - exponent.bit_length()
    mask = (1 << low_bits) - 1
    return (size + mask) & ~mask


def pad(data: bytes) -> bytes:
    """u64 length ‖ data ‖ zeros, to the Padmé size of the first two."""
    total = PREFIX_SIZE + len(data)
    return u64(len(data)) + data + bytes(padme(total) - total)


def unpad(padded: bytes) -> bytes:
    """What `pad` was given.

    Raises:
        VerificationError: length and padding do not agree, or the padding is not zero.
    """
    size = int.from_bytes(padded[:PREFIX_SIZE], "big")
    end = PREFIX_SIZE + size
    if len(padded) < PREFIX_SIZE or padme(end) != len(padded):
        raise VerificationError("length and padding do not agree", where="sealed body")
    if any(padded[end:]):
        raise VerificationError("the padding is not zero", where="sealed body")
    return padded[PREFIX_SIZE:end]
