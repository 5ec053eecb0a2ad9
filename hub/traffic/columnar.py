"""Fast ways for Arrow columns that are already as TRAFFIC wants them, which most are.

Each function looks at the bytes of a whole column, and leaves the values that need care to the
caller.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hub.fingerprint.jit import kernel
from hub.match.index.addresses import canonical
from hub.match.index.buffers import Bytes, Offsets, string_buffers

_SPACE: Final = 0x20
_DELETE: Final = 0x7F


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is one of Arrow's strings."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def has_empty(texts: pa.Array) -> bool:
    """Whether any of N strings is empty and not null."""
    if texts.null_count:
        return bool(pc.any(pc.equal(pc.binary_length(texts), 0)).as_py())
    _, offsets = string_buffers(texts)
    return bool(np.any(offsets[1:] == offsets[:-1]))


def tidy_lists(values: Any) -> bool:
    """Whether lists of strings need no care: no empty list, no null, empty or padded item.

    What begins or ends with a character beyond ASCII may be padded, and counts so.
    """
    kind = values.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not is_text(kind.value_type):
        return False
    items = values.flatten()
    if items.null_count or (
        len(values) and bool(pc.any(pc.equal(pc.list_value_length(values), 0)))
    ):
        return False
    return _all_tidy(*string_buffers(items))


def strange_addresses(texts: pa.Array) -> NDArray[np.int64]:
    """The rows of those of N strings that are no address in canonical spelling, and not null."""
    rows: NDArray[np.int64] = np.flatnonzero(~canonical(texts))
    if texts.null_count and len(rows):
        rows = rows[texts.take(pa.array(rows)).is_valid().to_numpy(zero_copy_only=False)]
    return rows


@kernel
def _all_tidy(data: Bytes, offsets: Offsets) -> bool:
    for row in range(offsets.size - 1):
        start, end = offsets[row], offsets[row + 1]
        if start == end:
            return False
        if data[start] <= _SPACE or data[start] >= _DELETE:
            return False
        if data[end - 1] <= _SPACE or data[end - 1] >= _DELETE:
            return False
    return True
