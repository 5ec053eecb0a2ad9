"""Numba kernels of the profile `mh3w.64.16x4`: word 3-shingles, 64 minima, 16 bands.

They work on Arrow's own buffers (bytes and 64-bit offsets) and hold no lock, so that callers may
run them in threads. `hub.fingerprint.reference` says the same in plain Python.
Source: schemas/fingerprint-v1.md, section 5.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hub.fingerprint.jit import inlined, kernel
from hub.fingerprint.masking import WORD, Bytes, Offsets

Words32 = NDArray[np.uint32]
Words64 = NDArray[np.uint64]

HASHES: Final = 64
BANDS: Final = 16
SHINGLE_WORDS: Final = 3
ROWS_PER_BAND: Final = HASHES // BANDS

_FNV_OFFSET: Final = np.uint64(0xCBF29CE484222325)
_FNV_PRIME: Final = np.uint64(0x100000001B3)
_SPACE: Final = np.uint64(0x20)
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_LOWBIAS: Final = np.uint32(0x846CA68B)
_TOP: Final = np.uint32(0xFFFFFFFF)


@kernel
def mix64(value: np.uint64) -> np.uint64:
    """The output function of SplitMix64."""
    value = (value ^ (value >> np.uint64(30))) * _MIX_1
    value = (value ^ (value >> np.uint64(27))) * _MIX_2
    return value ^ (value >> np.uint64(31))


@kernel
def coefficients() -> tuple[Words32, Words32]:
    """Odd multiplier and addend of each of the 64 hash functions."""
    multipliers = np.empty(HASHES, np.uint32)
    addends = np.empty(HASHES, np.uint32)
    for j in range(HASHES):
        drawn = mix64(np.uint64(j + 1) * _GOLDEN)
        multipliers[j] = np.uint32(drawn & np.uint64(0xFFFFFFFF)) | np.uint32(1)
        addends[j] = np.uint32(drawn >> np.uint64(32))
    return multipliers, addends


@inlined
def _fed(
    word: bool, byte: np.uint64, first: np.uint64, second: np.uint64, third: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64]:
    """The three states after one byte of a word, or after the end of one."""
    taken = byte if word else _SPACE
    return (
        ((first if word else second) ^ taken) * _FNV_PRIME,
        ((second if word else third) ^ taken) * _FNV_PRIME,
        (third ^ taken) * _FNV_PRIME if word else _FNV_OFFSET,
    )


@kernel
def shingles(
    data: Bytes, start: int, end: int, classes: Bytes, states: Words64, out: Words32
) -> int:
    """Hash the word 3-shingles of one text.

    Three FNV-1a states run abreast: one for each shingle that the present word belongs to. There
    is no branch on a byte: no processor foresees where words end.

    Args:
        states: room for the work, (end - start + 1) // 2 + 1 values, as `out` must have.
    """
    first = second = third = _FNV_OFFSET
    words = np.uint64(0)
    before = False
    for i in range(np.uint64(start), np.uint64(end)):
        byte = data[i]
        word = classes[byte] & WORD != 0
        states[words] = first
        words += np.uint64(before & (not word))
        fed = _fed(word, np.uint64(byte), first, second, third)
        going = word | before
        first = fed[0] if going else first
        second = fed[1] if going else second
        third = fed[2] if going else third
        before = word
    states[words] = first
    words += np.uint64(before)
    count = 0
    # A state is whole once it has seen three words.
    for k in range(np.uint64(SHINGLE_WORDS - 1), words):
        out[count] = np.uint32(mix64(states[k]) >> np.uint64(32))
        count += 1
    return count


@kernel
def minima(
    hashed: Words32, count: int, multipliers: Words32, addends: Words32, out: Words32
) -> None:
    """The least value of each of the 64 functions over the hashed shingles."""
    for j in range(HASHES):
        multiplier = multipliers[j]
        addend = addends[j]
        least = _TOP
        for k in range(count):
            value = np.uint32(np.uint32(hashed[k] * multiplier) + addend)
            value = np.uint32(value ^ (value >> np.uint32(15)))
            value = np.uint32(value * _LOWBIAS)
            least = min(least, value)
        out[j] = least


@kernel
def fold_bands(least: Words32, out: Words64) -> None:
    """Fold the minima of each band into one non-zero 64-bit value."""
    for band in range(BANDS):
        at = band * ROWS_PER_BAND
        high = (np.uint64(least[at]) << np.uint64(32)) | np.uint64(least[at + 1])
        low = (np.uint64(least[at + 2]) << np.uint64(32)) | np.uint64(least[at + 3])
        value = mix64(mix64(mix64(np.uint64(band + 1)) ^ high) ^ low)
        out[band] = value if value != np.uint64(0) else np.uint64(1)


@kernel
def band_rows(data: Bytes, offsets: Offsets, classes: Bytes, out: Words64) -> None:
    """Bands of each normalised text; rows of fewer than three words stay zero."""
    multipliers, addends = coefficients()
    least = np.empty(HASHES, np.uint32)
    longest = 0
    for row in range(offsets.size - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    states = np.empty((longest + 1) // 2 + 1, np.uint64)
    hashed = np.empty((longest + 1) // 2 + 1, np.uint32)
    for row in range(offsets.size - 1):
        count = shingles(data, offsets[row], offsets[row + 1], classes, states, hashed)
        if count:
            minima(hashed, count, multipliers, addends, least)
            fold_bands(least, out[row])
