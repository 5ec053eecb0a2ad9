"""Values at the edges of their types, and columns laid out as other engines lay them out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from hub.match.engine import IndicatorIndex
from hub.match.schema import TRAFFIC_SCHEMA
from hub.model.extension import LLM_ACCOUNT

_TOKENS = f"user-account:extensions.'{LLM_ACCOUNT}'.fp_tokens[*]"


def _found(pattern: str, **columns: Any) -> list[str]:
    """The events that a pattern finds, one for each value of the columns."""
    length = len(next(iter(columns.values())))
    times = pa.array([datetime(2026, 11, 20, tzinfo=UTC)] * length, TRAFFIC_SCHEMA.field(0).type)
    ids = pa.array([f"e{number}" for number in range(length)])
    indicator = {
        "type": "indicator",
        "id": "indicator--00000000-0000-4000-8000-000000000001",
        "modified": "2026-11-01T00:00:00Z",
        "valid_from": "2026-11-01T00:00:00Z",
        "pattern_type": "stix",
        "pattern": pattern,
    }
    index = IndicatorIndex.build([indicator])
    assert index.problems == ()
    batch = pa.record_batch({"observed_at": times, "event_id": ids, **columns})
    found: list[str] = index.match(batch, source="log").column("event_id").to_pylist()
    return found


def test_the_least_whole_number_is_found() -> None:
    tokens = pa.array([-(2**63), 2**63 - 1, 0])
    path = "llm-exchange:usage_input_tokens"
    assert _found(f"[{path} = -9223372036854775808]", input_tokens=tokens) == ["e0"]
    assert _found(f"[{path} = 9223372036854775807]", input_tokens=tokens) == ["e1"]
    assert _found(f"[{path} = 9223372036854775808]", input_tokens=tokens) == []


def test_a_null_list_that_spans_items_shows_none_of_them() -> None:
    lists = pa.ListArray.from_arrays(
        pa.array([0, 1, 2, 3], pa.int32()),
        pa.array(["x", "y", "z"]),
        mask=pa.array([False, True, False]),
    )
    for test in ("= 'z'", "LIKE 'z%'", "MATCHES 'z'", "IN ('y', 'z')"):
        assert _found(f"[{_TOKENS} {test}]", fp_tokens=lists) == ["e2"]
    assert _found(f"[{_TOKENS} != 'q']", fp_tokens=lists) == ["e0", "e2"]
    assert _found(f"[{_TOKENS} = 'z']", fp_tokens=lists.slice(1)) == ["e1"]


def test_a_window_longer_than_time_is_no_window() -> None:
    accounts = pa.array(["a", "b", "a"])
    wide = "9" * 400
    assert _found(
        f"[user-account:user_id = 'a'] REPEATS 2 TIMES WITHIN {wide} SECONDS", account_id=accounts
    ) == ["e2"]
