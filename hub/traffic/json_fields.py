"""What the kernel of JSON lines is asked for, and what it answers: tables of plain numbers."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hub.fingerprint.jit import inlined
from hub.traffic.vectors import byte_at, item, word_at

Bytes = NDArray[np.uint8]
Longs = NDArray[np.int64]

# What a value is, of a wanted field of one line.
ABSENT: Final = 0
PLAIN: Final = 1
ESCAPED: Final = 2
NUMBER: Final = 3
NESTED: Final = 4
# What a column takes; all else is out of the ordinary.
AS_TEXT: Final = 0
AS_NUMBER: Final = 1
AS_TIME: Final = 2
AS_LIST: Final = 3
AS_STRING: Final = 4
AS_JSON: Final = 5

UNKNOWN: Final = -1
GLIMPSED: Final = -1
"""Instead of a column: nobody asked for the field, only whether it ever has a value."""
INNER: Final = -2
"""Instead of a column: an object on the way to wanted fields."""
NO_TEXT: Final = -3
"""As `INNER`, of a field whose text, if it is one, may hold the object as JSON."""

_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_FOLD: Final = np.uint64(32)

# Columns of `Fields.keys`.
KEY_BEGIN: Final = 0
KEY_SIZE: Final = 1
KEY_PARENT: Final = 2
KEY_COLUMN: Final = 3
KEY_TAKES: Final = 4
KEY: Final = 5

# Places in `totals`.
ROWS: Final = 0
ODD: Final = 1
STOPPED: Final = 2
LINE: Final = 3
SEEN: Final = 4
NAIVE: Final = 5
LINE_NAIVE: Final = 6
LINE_SEEN: Final = 7
TOTALS: Final = 8


class Fields(NamedTuple):
    """The fields to look for, as a tree of keys whose root is node 0 and whose k-th key is k + 1.

    Args:
        arena: the bytes of the keys.
        keys: (K, 5) of each key, where its bytes begin and how many there are, the node below
            which it stands, the column that it fills (or `GLIMPSED` or `INNER`), and what that
            takes.
        table: open-addressing table of key numbers + 1; its size is a power of two.
    """

    arena: Bytes
    keys: Longs
    table: Longs


class Found(NamedTuple):
    """What a pass writes; C columns, at most N lines.

    Args:
        cells: (C, N, 2) of each value, a number or where its text begins in the block; and eight
            times where the text ends plus what it is.
        lines: (N) the number of each line that gave a row.
        odd: (N, 3) begin, end and number of each line that is out of the ordinary.
        totals: (TOTALS) rows, odd lines, the byte and the line at which the pass stopped, a bit
            for each key of which a value was glimpsed, times without a zone; then room for what
            is counted on one line.
    """

    cells: Longs
    lines: Longs
    odd: Longs
    totals: Longs


@inlined
def key_hash(data: int, at: int, size: int, node: int) -> np.uint64:
    """Hash a key below a node; keys of a log are few, and each is compared in full."""
    first = np.uint64(0)
    last = np.uint64(0)
    if size >= 8:
        first, last = word_at(data, at), word_at(data, at + size - 8)
    else:
        for k in range(size):
            first = first << np.uint64(8) | np.uint64(byte_at(data, at + k))
    state = (first ^ np.uint64(size) ^ np.uint64(node) << np.uint64(16)) * _MIX
    state = (state ^ state >> _FOLD ^ last) * _MIX
    return state ^ state >> _FOLD


@inlined
def key_of(
    data: int, at: int, size: int, node: int, arena: int, keys: int, table: int, slots: int
) -> int:
    mask = slots - 1
    slot = np.int64(key_hash(data, at, size, node) & np.uint64(mask))
    while item(table, slot):
        key: int = item(table, slot) - 1
        if item(keys, key * KEY + KEY_PARENT) == node and item(keys, key * KEY + KEY_SIZE) == size:
            begin = item(keys, key * KEY + KEY_BEGIN)
            k = 0
            while k < size and byte_at(arena, begin + k) == byte_at(data, at + k):
                k += 1
            if k == size:
                return key
        slot = (slot + 1) & mask
    return UNKNOWN
