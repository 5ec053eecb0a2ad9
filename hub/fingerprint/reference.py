"""The profile `mh3w.64.16x4` in plain Python, slow and plain: the oracle of the kernels.

Source: schemas/fingerprint-v1.md, section 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hub.fingerprint.text import words

_MASK_32: Final = (1 << 32) - 1
_MASK_64: Final = (1 << 64) - 1


def fnv1a64(data: bytes) -> int:
    """FNV-1a, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & _MASK_64
    return value


def mix64(value: int) -> int:
    """The output function of SplitMix64."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK_64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK_64
    return value ^ (value >> 31)


def coefficients(j: int) -> tuple[int, int]:
    """Odd multiplier and addend of hash function `j`, 0 to 63."""
    drawn = mix64(((j + 1) * 0x9E3779B97F4A7C15) & _MASK_64)
    return (drawn & _MASK_32) | 1, drawn >> 32


def permuted(j: int, shingle: int) -> int:
    """Hash function `j` of a hashed shingle, 32 bits in and out."""
    multiplier, addend = coefficients(j)
    value = (shingle * multiplier + addend) & _MASK_32
    value ^= value >> 15
    return (value * 0x846CA68B) & _MASK_32


def shingles(normalised: bytes) -> Iterator[int]:
    """The hashed word 3-shingles of a normalised text, 32 bits each."""
    found = words(normalised)
    for three in zip(found, found[1:], found[2:], strict=False):
        yield mix64(fnv1a64(b" ".join(three))) >> 32


def bands(normalised: str) -> list[int] | None:
    """The 16 band values of a normalised prompt, or None for fewer than three words."""
    hashed = set(shingles(normalised.encode()))
    if not hashed:
        return None
    least = [min(permuted(j, shingle) for shingle in hashed) for j in range(64)]
    values = []
    for band in range(16):
        a, b, c, d = least[4 * band : 4 * band + 4]
        value = mix64(mix64(mix64(band + 1) ^ (a << 32 | b)) ^ (c << 32 | d))
        values.append(value or 1)
    return values
