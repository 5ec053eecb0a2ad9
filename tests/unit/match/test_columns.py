"""A batch that holds features of prompts in their stead answers as the prompts would."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from hub.fingerprint import prompts
from hub.match.columns import Batch
from hub.match.plan import FIELDS
from hub.match.schema import STORED_FEATURES, TRAFFIC_SCHEMA

_PROMPTS = ["Rate the 12 answers of model x, word by word", "two words", None]
_FEATURES = {name: FIELDS[f"llm-exchange:prompt.{name}"] for name in STORED_FEATURES}


def _batch(**columns: pa.Array) -> Batch:
    times = pa.array([datetime(2026, 11, 1, tzinfo=UTC)] * 3, TRAFFIC_SCHEMA.field(0).type)
    ids = pa.array(["a", "b", "c"])
    return Batch(pa.record_batch({"observed_at": times, "event_id": ids, **columns}))


def test_stored_features_stand_for_the_prompt() -> None:
    full = _batch(prompt=pa.array(_PROMPTS, pa.large_string()))
    found = [prompts.features(text) for text in _PROMPTS if text is not None]
    stored = {
        STORED_FEATURES[name].name: pa.array([getattr(one, name) for one in found] + [None])
        for name in ("sha256_raw", "sha256_norm", "template_sha256")
    }
    rows = full.bands.tolist()
    kept = STORED_FEATURES["lsh_bands[*]"]
    batch = _batch(**stored, prompt_bands=pa.array([rows[0], rows[1], None], kept.type))
    for name, field in _FEATURES.items():
        assert batch.shows(field)
        if name != "lsh_bands[*]":
            assert batch.strings(field).to_pylist() == full.strings(field).to_pylist()
    assert batch.bands.tolist() == rows
    assert not batch.shows(FIELDS["llm-exchange:prompt.text"])


def test_features_of_a_source_without_prompts_are_not_shown() -> None:
    assert not any(_batch().shows(field) for field in _FEATURES.values())
