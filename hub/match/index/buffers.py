"""Views of Arrow's own buffers that Numba kernels read, without copies."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Offsets: TypeAlias = NDArray[np.int64] | NDArray[np.int32]
Rows: TypeAlias = NDArray[np.int64]
Keys: TypeAlias = NDArray[np.int32]
Hits: TypeAlias = tuple[Rows, Keys]
"""Rows of the probed array and the keys of the index that they hold, one pair a hit."""

NO_BYTES: Bytes = np.zeros(0, dtype=np.uint8)


def string_buffers(strings: Any) -> tuple[Bytes, Offsets]:
    """The bytes and the N + 1 offsets of N strings (string or large_string)."""
    if len(strings) == 0:
        return NO_BYTES, np.zeros(1, dtype=np.int32)
    _, offsets, data = strings.buffers()
    large = pa.types.is_large_string(strings.type)
    starts: Any = np.frombuffer(offsets, dtype=np.int64 if large else np.int32)
    starts = starts[strings.offset : strings.offset + len(strings) + 1]
    # An Arrow string array of only nulls or empty strings may have no data buffer at all.
    content = NO_BYTES if data is None else np.frombuffer(data, dtype=np.uint8)
    return content, starts


def only_valid(values: Any, hits: Hits) -> Hits:
    """Drop the hits on null values: Arrow leaves their bytes undefined."""
    if values.null_count == 0 or len(hits[0]) == 0:
        return hits
    valid = values.is_valid().to_numpy(zero_copy_only=False)[hits[0]]
    return hits[0][valid], hits[1][valid]
