"""Whatever comes one after another answers as if it had come at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.match import contents, engine
from hub.match.engine import IndicatorIndex
from hub.match.schema import TRAFFIC_SCHEMA

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PATTERNS = [
    "[ipv4-addr:value = '192.0.2.1']",
    "[ipv4-addr:value ISSUBSET '192.0.2.0/24']",
    "[ipv6-addr:value = '2001:db8::1']",
    "[user-account:user_id = 'alpha']",
    "[user-account:user_id IN ('beta')]",
    "[user-account:user_id IN ('beta', 'alpha','alpha' , 'x')]",
    "[ipv4-addr:value IN ('192.0.2.9', '192.0.2.1')]",
    "[user-account:user_id = 'alpha' OR user-account:user_id LIKE 'b%']",
    "[llm-exchange:provider_name != 'lab']",
    "[user-account:user_id = 'alpha'] REPEATS 2 TIMES",
    "[ipv4-addr:value = '192.0.2.1'] FOLLOWEDBY [user-account:user_id = 'beta']",
    "[user-account:user_id MATCHES '(']",
    "no pattern at all",
]
# The last one is of no usual form, and stands among the others by its text.
IDS = [f"indicator--{digit}0000000-0000-4000-8000-00000000000{digit}" for digit in "12ab"]
IDS.append("indicator--1zz")
EVENTS = pa.Table.from_pylist(
    [
        {"event_id": "e0", "observed_at": NOON, "client_ip": "192.0.2.1", "account_id": "alpha"},
        {"event_id": "e1", "observed_at": NOON, "client_ip": "2001:db8::1", "account_id": "beta"},
        {"event_id": "e2", "observed_at": NOON, "client_ip": "192.0.2.9", "provider_name": "x"},
        {"event_id": "e3", "observed_at": NOON, "account_id": "alpha", "provider_name": "lab"},
    ],
    schema=TRAFFIC_SCHEMA,
)


def _indicator(identifier: str, pattern: str, hour: int, *, revoked: bool) -> dict[str, Any]:
    return {
        "type": "indicator",
        "id": identifier,
        "modified": f"2026-11-02T{hour:02d}:00:00Z",
        "valid_from": "2026-11-01T00:00:00Z",
        "pattern_type": "stix",
        "pattern": pattern,
        "confidence": hour,
        **({"revoked": True} if revoked else {}),
    }


def _link(number: int, source: str, target: int, hour: int, *, revoked: bool) -> dict[str, Any]:
    return {
        "type": "relationship",
        "id": f"relationship--{number}",
        "modified": f"2026-11-02T{hour:02d}:00:00Z",
        "relationship_type": "indicates",
        "source_ref": source,
        "target_ref": f"campaign--{target}",
        **({"revoked": True} if revoked else {}),
    }


_hours = st.integers(0, 3)
_rarely = st.sampled_from([False, False, False, True])
_objects = st.one_of(
    st.builds(_indicator, st.sampled_from(IDS), st.sampled_from(PATTERNS), _hours, revoked=_rarely),
    st.builds(
        _link,
        st.integers(0, 2),
        st.sampled_from(IDS),
        st.integers(0, 2),
        _hours,
        revoked=_rarely,
    ),
)
_updates = st.lists(st.lists(_objects, max_size=5), min_size=1, max_size=6)


def _answers(index: IndicatorIndex) -> Any:
    coverage = index.coverage(["account_id"])
    return (
        index.match(EVENTS, source="log", show_values=True).to_pylist(),
        len(index),
        index.problems,
        (coverage.answerable, dict(coverage.not_answerable), dict(coverage.partly)),
    )


@settings(max_examples=100, derandomize=True, deadline=None)
@given(_updates)
def test_updates_answer_as_a_build_of_everything(updates: list[list[dict[str, Any]]]) -> None:
    index = IndicatorIndex.build(updates[0])
    for objects in updates[1:]:
        before = _answers(index)
        newer = index.updated(objects)
        assert _answers(index) == before
        index = newer
    built = IndicatorIndex.build([one for objects in updates for one in objects])
    assert _answers(index) == _answers(built)
    # What is hidden may still be asked for, until it is compiled anew.
    assert index.columns >= built.columns
    read = IndicatorIndex.from_bytes(index.to_bytes())
    assert _answers(read) == _answers(built)
    assert read.columns == built.columns


def test_many_updates_are_compiled_into_few_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MAX_SEGMENTS", 3)
    base = [
        _indicator(_id(n), f"[user-account:user_id = 'u{n}']", 1, revoked=False) for n in range(40)
    ]
    index = IndicatorIndex.build(base)
    first = index.segments[0]
    for n in range(40, 52):
        index = index.updated([_indicator(_id(n), PATTERNS[3], 1, revoked=False)])
        assert len(index.segments) <= 3
        assert first in index.segments
    for n in range(40):
        index = index.updated([_indicator(_id(n), PATTERNS[3], 2, revoked=n % 2 == 0)])
    assert first not in index.segments
    assert len(index) == 32
    assert index.match(EVENTS, source="log").num_rows == 2 * 32
    assert contents.Dead.none().keys.shape == (0, 16)


def _id(number: int) -> str:
    return f"indicator--00000000-0000-4000-8000-{number:012d}"


def test_an_older_version_that_comes_late_changes_nothing() -> None:
    new = _indicator(IDS[0], PATTERNS[3], 2, revoked=False)
    old = _indicator(IDS[0], PATTERNS[0], 1, revoked=False)
    gone = _indicator(IDS[1], PATTERNS[3], 2, revoked=True)
    index = IndicatorIndex.build([new, gone]).updated([old])
    index = index.updated([_indicator(IDS[1], PATTERNS[0], 1, revoked=False)])
    found = index.match(EVENTS, source="log")
    assert found.column("path").to_pylist() == ["user-account:user_id"] * 2


def test_a_relationship_may_come_before_or_after_its_indicator() -> None:
    one = _indicator(IDS[0], PATTERNS[3], 1, revoked=False)
    link = _link(1, IDS[0], 7, 1, revoked=False)
    for objects in ([one, link], [link, one]):
        index = IndicatorIndex.build(objects[:1]).updated(objects[1:])
        found = index.match(EVENTS, source="log").column("campaign_ids").to_pylist()
        assert found == [["campaign--7"]] * 2
    gone = index.updated([_link(1, IDS[0], 7, 2, revoked=True)])
    assert gone.match(EVENTS, source="log").column("campaign_ids").to_pylist() == [[], []]
    assert index.match(EVENTS, source="log").column("campaign_ids").to_pylist() == found
