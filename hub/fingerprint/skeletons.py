"""Numba kernel of template skeletons over a column; `hub.fingerprint.text.skeleton` says the same.

Source: schemas/fingerprint-v1.md, section 4.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from hub.fingerprint.jit import kernel
from hub.fingerprint.masking import WORD, Bytes, Index, Offsets

_SPACE: Final = np.uint8(0x20)
_SLOT_BYTES: Final = 3
_NUM: Final = np.frombuffer(b"num", dtype=np.uint8)
_STR: Final = np.frombuffer(b"str", dtype=np.uint8)
_URL: Final = np.frombuffer(b"url", dtype=np.uint8)


@kernel
def _spells(data: Bytes, start: Index, slot: Bytes) -> bool:
    return bool(
        (data[start] == slot[0]) & (data[start + 1] == slot[1]) & (data[start + 2] == slot[2])
    )


@kernel
def _slot_at(data: Bytes, start: Index, end: Index) -> int:
    """Which slot's name the word is, 0 for none."""
    if end - start != _SLOT_BYTES:
        return 0
    if _spells(data, start, _NUM):
        return 1
    if _spells(data, start, _STR):
        return 2
    return 3 if _spells(data, start, _URL) else 0


@kernel
def skeleton_rows(
    data: Bytes, offsets: Offsets, classes: Bytes, out: Bytes, out_offsets: Offsets
) -> None:
    """Write the skeleton of each normalised text; `out` must hold as many bytes as they have."""
    at = 0
    for row in range(offsets.size - 1):
        begin = at
        before = 0
        i = offsets[row]
        end = offsets[row + 1]
        while i < end:
            if not classes[data[i]] & WORD:
                i += 1
                continue
            start = i
            while i < end and classes[data[i]] & WORD:
                i += 1
            slot = _slot_at(data, start, i)
            if slot == 0 or slot != before:
                if at > begin:
                    out[at] = _SPACE
                    at += 1
                for k in range(start, i):
                    out[at] = data[k]
                    at += 1
            before = slot
        out_offsets[row + 1] = at
