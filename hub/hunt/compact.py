"""What an exchange leaves in the event store: only the fields that indicators can ask about.

A prompt leaves its hashes and near-duplicate bands, not its text, unless the operator says so:
most indicators of prompts ask for nothing else, and a month of texts is what weighs and what hurts
when it leaks.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from hub.fingerprint import prompts
from hub.match.schema import STORED_FEATURES, TRAFFIC_SCHEMA

_WITHOUT_TEXT: Final = pa.schema(
    [field for field in TRAFFIC_SCHEMA if field.name != "prompt"] + list(STORED_FEATURES.values())
)
_WITH_TEXT: Final = _WITHOUT_TEXT.append(TRAFFIC_SCHEMA.field("prompt"))


def stored_schema(*, texts: bool) -> pa.Schema:
    """The columns of the event store: TRAFFIC's, the prompt's features, its text if `texts`."""
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


def _features(events: pa.RecordBatch) -> dict[str, Any]:
    """The stored columns of the prompts' features, all null where the source shows no prompt."""
    at = events.schema.get_field_index("prompt")
    if at < 0 or events.column(at).null_count == events.num_rows:
        return {
            kept.name: pa.nulls(events.num_rows, kept.type) for kept in STORED_FEATURES.values()
        }
    raw = events.column(at)
    normalised = prompts.normalise_batch(raw)
    bands = prompts.bands_batch(normalised).reshape(-1)
    kept = STORED_FEATURES["lsh_bands[*]"]
    return {
        STORED_FEATURES["sha256_raw"].name: prompts.sha256_batch(raw),
        STORED_FEATURES["sha256_norm"].name: prompts.sha256_batch(normalised),
        STORED_FEATURES["template_sha256"].name: prompts.sha256_batch(
            prompts.template_batch(normalised)
        ),
        kept.name: pa.FixedSizeListArray.from_arrays(pa.array(bands), type=kept.type),
    }
