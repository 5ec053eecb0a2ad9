"""Features as bytes on disk, and back as matching reads them."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from hub.fingerprint import prompts
from hub.hunt.compact import compact, expanded, stored_schema
from hub.match.schema import STORED_FEATURES, TRAFFIC_SCHEMA

_TEXTS = st.lists(
    st.one_of(st.none(), st.text(max_size=40), st.just("rate the answers one by one")), max_size=12
)


def _events(texts: list[str | None]) -> pa.RecordBatch:
    rows = [
        {"observed_at": datetime(2026, 11, 1, tzinfo=UTC), "event_id": str(n), "prompt": text}
        for n, text in enumerate(texts)
    ]
    return pa.RecordBatch.from_pylist(rows, TRAFFIC_SCHEMA)


@given(texts=_TEXTS, start=st.integers(0, 3))
def test_features_survive_the_disk(texts: list[str | None], start: int) -> None:
    stored = compact(_events(texts), texts=False)
    assert stored.schema.equals(stored_schema(texts=False))
    batch = expanded(stored.slice(start))
    batch.validate(full=True)
    for row, text in zip(batch.to_pylist(), texts[start:], strict=True):
        found = None if text is None else prompts.features(text)
        for name in ("sha256_raw", "sha256_norm", "template_sha256"):
            kept = row[STORED_FEATURES[name].name]
            assert kept == (None if found is None else getattr(found, name))
        bands = row["prompt_bands"] or []
        written = tuple(prompts.band_text(at, one) for at, one in enumerate(bands) if one)
        assert written == (() if found is None else found.lsh_bands)


def test_a_source_without_prompts_leaves_nulls() -> None:
    batch = expanded(compact(_events([None, None]), texts=False))
    for kept in STORED_FEATURES.values():
        assert batch.column(kept.name).null_count == 2
        assert batch.column(kept.name).type == kept.type
