"""All features of one prompt by one call, for those who answer while a request waits.

The kernels are those of the columns, over one row; `hub.fingerprint.prompts.features` says the
same as text.
Source: schemas/fingerprint-v1.md.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hub.fingerprint import text
from hub.fingerprint.jit import kernel
from hub.fingerprint.kernels import BANDS, band_rows
from hub.fingerprint.masking import CLASSES, FOLDS, WORST_GROWTH, Bytes, normalise_rows
from hub.fingerprint.skeletons import skeleton_rows

Words64 = NDArray[np.uint64]

_ROOM: Final = 64 * 1024
"""Bytes for which each thread keeps room; a longer prompt gets its own."""
_SPARE: Final = 16


class Single(NamedTuple):
    """What one prompt shows.

    Attributes:
        sha256_norm, template_sha256: lower-case hex.
        bands: 16 values; zeros for fewer than three words.
    """

    sha256_norm: str
    template_sha256: str
    bands: Words64


@kernel
def _features(
    data: Bytes, folds: Bytes, classes: Bytes, norm: Bytes, skeleton: Bytes, bands: Words64
) -> tuple[int, int]:
    offsets = np.zeros(2, np.int64)
    offsets[1] = data.size
    ends = np.zeros(2, np.int64)
    normalise_rows(data, offsets, folds, classes, 0, norm, ends)
    skeleton_ends = np.zeros(2, np.int64)
    skeleton_rows(norm, ends, classes, skeleton, skeleton_ends)
    band_rows(norm, ends, classes, bands)
    return ends[1], skeleton_ends[1]


class _Room(threading.local):
    """Where the kernel of this thread writes."""

    def __init__(self) -> None:
        self.norm, self.skeleton = _room(_ROOM)


def _room(size: int) -> tuple[Bytes, Bytes]:
    grown = WORST_GROWTH * size + _SPARE
    return np.empty(grown, dtype=np.uint8), np.empty(grown, dtype=np.uint8)


_ROOMS: Final = _Room()


def single(prompt: str) -> Single:
    """Compute what needs the normalised form of one prompt."""
    encoded = prompt.encode() if prompt.isascii() else text.fold(prompt)
    data = np.frombuffer(encoded, dtype=np.uint8)
    if len(encoded) <= _ROOM:
        norm, skeleton = _ROOMS.norm, _ROOMS.skeleton
    else:
        norm, skeleton = _room(len(encoded))
    bands = np.zeros((1, BANDS), dtype=np.uint64)
    ends = _features(data, FOLDS, CLASSES, norm, skeleton, bands)
    return Single(
        hashlib.sha256(norm.data[: ends[0]]).hexdigest(),
        hashlib.sha256(skeleton.data[: ends[1]]).hexdigest(),
        bands[0],
    )
