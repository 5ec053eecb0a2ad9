"""What an exchange leaves in the event store: only the fields that indicators can ask about.

A prompt leaves its hashes and near-duplicate bands, not its text, unless the operator says so:
most indicators of prompts ask for nothing else, and a month of texts is what weighs and what hurts
when it leaks. On disk, hashes and bands are bytes: as text they would take twice the room, and as
lists three times the time to read.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from hub.fingerprint import prompts
from hub.match.schema import STORED_FEATURES, TRAFFIC_SCHEMA

_BANDS: Final = STORED_FEATURES["lsh_bands[*]"]
_HASHES: Final = tuple(kept for kept in STORED_FEATURES.values() if kept is not _BANDS)
_PACKED: Final = {kept.name: pa.binary(32) for kept in _HASHES} | {
    _BANDS.name: pa.binary(8 * prompts.BANDS)
}
_WITHOUT_TEXT: Final = pa.schema(
    [field for field in TRAFFIC_SCHEMA if field.name != "prompt"]
    + [pa.field(name, kind) for name, kind in _PACKED.items()]
)
_WITH_TEXT: Final = _WITHOUT_TEXT.append(TRAFFIC_SCHEMA.field("prompt"))
_DIGITS: Final = np.frombuffer(
    "".join(f"{byte:02x}" for byte in range(256)).encode(), dtype=np.uint16
)


def stored_schema(*, texts: bool) -> pa.Schema:
    """The columns on disk: TRAFFIC's, the prompt's features as bytes, its text if `texts`."""
    return _WITH_TEXT if texts else _WITHOUT_TEXT


def compact(events: pa.RecordBatch, *, texts: bool) -> pa.RecordBatch:
    """Turn exchanges into what is stored of them.

    Args:
        events: TRAFFIC_SCHEMA, N rows; a column that is missing counts as null.
        texts: keep the prompts' text beside their features.
    Returns:
        `stored_schema(texts=texts)`, N rows.
    """
    schema = stored_schema(texts=texts)
    features = _features(events)
    columns = []
    for field in schema:
        if field.name in features:
            columns.append(features[field.name])
        elif events.schema.get_field_index(field.name) >= 0:
            columns.append(events.column(field.name).cast(field.type))
        else:
            columns.append(pa.nulls(events.num_rows, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def expanded(stored: pa.RecordBatch) -> pa.RecordBatch:
    """Give stored exchanges their features as matching reads them, see `STORED_FEATURES`."""
    columns = []
    for name, column in zip(stored.schema.names, stored.columns, strict=True):
        if name == _BANDS.name:
            columns.append(_as_bands(column))
        else:
            columns.append(_as_hex(column) if name in _PACKED else column)
    return pa.RecordBatch.from_arrays(columns, names=stored.schema.names)


def _features(events: pa.RecordBatch) -> dict[str, Any]:
    """The stored columns of the prompts' features, all null where the source shows no prompt."""
    at = events.schema.get_field_index("prompt")
    if at < 0 or events.column(at).null_count == events.num_rows:
        return {name: pa.nulls(events.num_rows, kind) for name, kind in _PACKED.items()}
    raw = events.column(at)
    normalised = prompts.normalise_batch(raw)
    bands = np.ascontiguousarray(prompts.bands_batch(normalised), dtype="<u8")
    hashes = {
        "sha256_raw": prompts.sha256_batch(raw),
        "sha256_norm": prompts.sha256_batch(normalised),
        "template_sha256": prompts.sha256_batch(prompts.template_batch(normalised)),
    }
    packed = {STORED_FEATURES[name].name: _from_hex(column) for name, column in hashes.items()}
    packed[_BANDS.name] = pa.FixedSizeBinaryArray.from_buffers(
        _PACKED[_BANDS.name], len(raw), [None, pa.py_buffer(bands)]
    )
    return packed


def _from_hex(column: Any) -> Any:
    return pa.array(
        [None if text is None else bytes.fromhex(text) for text in column.to_pylist()],
        pa.binary(32),
    )


def _bytes(column: Any, width: int) -> Any:
    """The bytes of N values of a fixed width, N rows of `width`; those of nulls mean nothing."""
    data = column.buffers()[1]
    if data is None:
        return np.zeros((len(column), width), dtype=np.uint8)
    first = column.offset * width
    return np.frombuffer(data, dtype=np.uint8)[first : first + len(column) * width].reshape(
        -1, width
    )


def _as_bands(column: Any) -> Any:
    values = _bytes(column, 8 * prompts.BANDS).view("<u8")
    if column.null_count:
        values = np.where(column.is_null().to_numpy(zero_copy_only=False)[:, None], 0, values)
    flat = pa.array(values.reshape(-1).astype(np.uint64, copy=False))
    if column.null_count == len(column) and len(column):
        return pa.nulls(len(column), _BANDS.type)
    return pa.FixedSizeListArray.from_arrays(flat, type=_BANDS.type)


def _as_hex(column: Any) -> Any:
    digits = _DIGITS[_bytes(column, 32)]
    offsets = np.arange(len(column) + 1, dtype=np.int32) * 64
    valid = None
    if column.null_count:
        valid = pa.array(column.is_valid()).buffers()[1]
    return pa.StringArray.from_buffers(
        len(column), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(digits)), valid
    )
