"""Views of Arrow's own buffers that Numba kernels read, without copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hub.fingerprint.jit import kernel

Bytes: TypeAlias = NDArray[np.uint8]
Offsets: TypeAlias = NDArray[np.int64] | NDArray[np.int32]
Words64: TypeAlias = NDArray[np.uint64]
Whole: TypeAlias = int | np.int64
"""A whole number inside a kernel, where both are one type."""
Rows: TypeAlias = NDArray[np.int64]
Keys: TypeAlias = NDArray[np.int32]
Hits: TypeAlias = tuple[Rows, Keys]
"""Rows of the probed array and the keys of the index that they hold, one pair a hit."""

_Scalar = TypeVar("_Scalar", bound=np.generic)


def frozen(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    """A view that cannot be written to: kernels are compiled anew for arrays that can."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


NO_BYTES: Bytes = frozen(np.zeros(0, dtype=np.uint8))
NO_KEYS: Keys = frozen(np.zeros(0, dtype=np.int32))
NO_HITS: Hits = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32))


def string_buffers(strings: Any) -> tuple[Bytes, Offsets]:
    """The bytes and the N + 1 offsets of N strings (string or large_string)."""
    if len(strings) == 0:
        return NO_BYTES, frozen(np.zeros(1, dtype=np.int32))
    _, offsets, data = strings.buffers()
    large = pa.types.is_large_string(strings.type)
    starts: Any = np.frombuffer(offsets, dtype=np.int64 if large else np.int32)
    starts = starts[strings.offset : strings.offset + len(strings) + 1]
    # An Arrow string array of only nulls or empty strings may have no data buffer at all.
    content = NO_BYTES if data is None else np.frombuffer(data, dtype=np.uint8)
    return frozen(content), frozen(starts)


def only_valid(values: Any, hits: Hits) -> Hits:
    """Drop the hits on null values: Arrow leaves their bytes undefined."""
    if values.null_count == 0 or len(hits[0]) == 0:
        return hits
    valid = values.take(pa.array(hits[0])).is_valid().to_numpy(zero_copy_only=False)
    return hits[0][valid], hits[1][valid]


def growing(room: int, search: Callable[[Rows, Keys], Whole]) -> Hits:
    """Run a search that writes hits until it has room for all of them.

    Args:
        room: the first guess of how many hits there are.
        search: writes rows and keys as far as they fit, and returns how many there are.
    """
    while True:
        rows: Rows = np.empty(room, dtype=np.int64)
        keys: Keys = np.empty(room, dtype=np.int32)
        found = search(rows, keys)
        if found <= room:
            return rows[:found], keys[:found]
        room = int(found)


def over_dictionary(probe: Callable[[Any], Hits], values: Any) -> Hits:
    """Probe the dictionary of a dictionary-encoded array, each distinct value once."""
    entries, keys = probe(values.dictionary)
    if len(entries) == 0:
        return NO_HITS
    order = np.argsort(entries, kind="stable")
    keys = keys[order]
    starts: Rows = np.zeros(len(values.dictionary) + 1, dtype=np.int64)
    np.cumsum(np.bincount(entries, minlength=len(values.dictionary)), out=starts[1:])
    indices = values.indices
    at = indices.fill_null(0) if indices.null_count else indices
    numbers = frozen(at.to_numpy().astype(np.int64, copy=False))
    found = growing(len(values), lambda r, k: _spread(numbers, starts, keys, r, k))
    return only_valid(indices, found)


def over_lists(probe: Callable[[Any], Hits], lists: Any) -> Hits:
    """Probe the items of an array of lists; the rows are those of the lists."""
    if len(lists) == 0:
        return NO_HITS
    _, buffer = lists.buffers()[:2]
    large = pa.types.is_large_list(lists.type)
    offsets: Any = np.frombuffer(buffer, dtype=np.int64 if large else np.int32)
    offsets = offsets[lists.offset : lists.offset + len(lists) + 1]
    first = int(offsets[0])
    items, keys = probe(lists.values.slice(first, int(offsets[-1]) - first))
    rows: Rows = np.searchsorted(offsets, items + first, side="right") - 1
    # A null list may still span items.
    return only_valid(lists, (rows, keys))


@kernel
def _spread(indices: Rows, starts: Rows, held: Keys, rows: Rows, keys: Keys) -> int:
    found = 0
    for row in range(indices.size):
        entry = indices[row]
        for at in range(starts[entry], starts[entry + 1]):
            if found < rows.size:
                rows[found] = row
                keys[found] = held[at]
            found += 1
    return found
