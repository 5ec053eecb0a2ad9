"""One request at a time finds what a batch finds, for many threads and over swaps."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import SchemaError
from hub.fingerprint.prompts import features
from hub.match.engine import IndicatorIndex
from hub.match.limits import StateLimits
from hub.match.live import LiveMatch, LiveMatcher
from hub.match.schema import PATHS, TRAFFIC_SCHEMA
from hub.model.extension import INDICATOR_CONTROLS
from tests.unit.match import test_agreement as agreement
from tests.unit.match.test_agreement import indicator

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
EXACT = StateLimits()


def _batch_answers(index: IndicatorIndex, events: Sequence[dict[str, Any]]) -> list[Any]:
    table = pa.Table.from_pylist(list(events), schema=TRAFFIC_SCHEMA)
    rows = index.match(table, source="log", show_values=True).to_pylist()
    names = ("event_id", "indicator_id", "layer", "path", "value", "confidence", "publisher")
    return sorted(tuple(map(str, (row[name] for name in names))) for row in rows)


def _live_answers(matcher: LiveMatcher, events: Sequence[dict[str, Any]]) -> list[Any]:
    names = ("indicator_id", "layer", "path", "value", "confidence", "publisher")
    return sorted(
        (event["event_id"], *(str(getattr(one, name)) for name in names))
        for event in events
        for one in matcher.match(event)
    )


def _numbered(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**event, "event_id": f"e{number}"} for number, event in enumerate(events)]


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(agreement._patterns, min_size=1, max_size=3), agreement._events)
def test_live_finds_on_each_event_what_a_batch_finds(
    patterns: list[str], events: list[dict[str, Any]]
) -> None:
    index = IndicatorIndex.build(
        indicator(number, pattern, confidence=number, created_by_ref="identity--1")
        for number, pattern in enumerate(patterns)
    )
    given = _numbered(events)
    matcher = LiveMatcher(index, show_values=True)
    assert _live_answers(matcher, given) == _batch_answers(index, given)


_LEAVES = ["[user-account:user_id = 'a']", "[user-account:user_id = 'b']"]
_LEAVES += ["[llm-exchange:usage_input_tokens IN (1, 2)]"]
_several = st.recursive(
    st.sampled_from(_LEAVES),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" AND ", " OR ", " FOLLOWEDBY "]), inner).map(
            lambda parts: f"({''.join(parts)})"
        ),
        st.tuples(inner, st.sampled_from([" REPEATS 2 TIMES", " WITHIN 3 SECONDS"])).map("".join),
    ),
    max_leaves=4,
)
_timed = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(["a", "b", "c", None]), st.integers(1, 3)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(_several, st.sampled_from([None, ["account"]])), min_size=1, max_size=3),
    _timed.map(lambda events: sorted(events, key=lambda event: event[0])),
)
def test_live_and_batch_agree_on_patterns_of_several_observations(
    patterns: list[tuple[str, list[str] | None]], timed: list[tuple[int, str | None, int]]
) -> None:
    index = IndicatorIndex.build(
        indicator(number, pattern, extensions=_controls(group_by=group) if group else {})
        for number, (pattern, group) in enumerate(patterns)
    )
    events = _numbered(
        [
            {
                "observed_at": NOON + timedelta(seconds=second),
                "account_id": account,
                "input_tokens": number,
            }
            for second, account, number in timed
        ]
    )
    matcher = LiveMatcher(index, limits=EXACT, show_values=True)
    assert _live_answers(matcher, events) == _batch_answers(index, events)


def _controls(**controls: Any) -> dict[str, Any]:
    return {INDICATOR_CONTROLS: {"extension_type": "property-extension", **controls}}


def _event(number: int = 0, **columns: Any) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "observed_at": NOON + timedelta(seconds=number),
        **columns,
    }


def _ids(matches: list[LiveMatch]) -> list[str]:
    return [one.indicator_id[-1:] for one in matches]


def test_a_match_tells_what_was_hit_and_who_says_so() -> None:
    prompt = "Write out every intermediate reasoning step, then grade it by the rubric."
    found = features(prompt).lsh_bands
    named = ", ".join(f"'{band}'" for band in [*found[:3], found[3][:-1] + "x"])
    index = IndicatorIndex.build(
        [
            indicator(
                1,
                f"[llm-exchange:prompt.lsh_bands[*] IN ({named})]",
                confidence=70,
                created_by_ref="identity--00000000-0000-4000-8000-000000000001",
                extensions=_controls(min_band_hits=2),
            )
        ]
    )
    [match] = LiveMatcher(index).match(_event(prompt=prompt))
    assert (match.layer, match.path) == ("prompt", "llm-exchange:prompt.lsh_bands[*]")
    assert (match.confidence, match.band_hits, match.several) == (70, 3, False)
    assert match.publisher == "identity--00000000-0000-4000-8000-000000000001"
    assert match.value.startswith(found[0][:20])
    assert prompt[:10] not in repr(match)


def test_values_are_masked_unless_asked() -> None:
    index = IndicatorIndex.build([indicator(1, "[ipv4-addr:value = '192.0.2.77']")])
    event = _event(client_ip="::ffff:192.0.2.77")
    assert [one.value for one in LiveMatcher(index).match(event)] == ["192.0.2.0/24"]
    assert [one.value for one in LiveMatcher(index, show_values=True).match(event)] == [
        "192.0.2.77"
    ]


def test_a_completion_is_told_at_the_request_that_completes_it() -> None:
    pattern = "([user-account:user_id = 'a'] FOLLOWEDBY [user-account:user_id = 'b'])"
    matcher = LiveMatcher(IndicatorIndex.build([indicator(1, pattern)]))
    told = [matcher.match(_event(n, account_id=one)) for n, one in enumerate("baabb")]
    assert [_ids(one) for one in told] == [[], [], [], ["1"], []]
    assert told[3][0].several
    assert matcher.report.completions == 1


def test_without_limits_only_single_requests_are_judged() -> None:
    patterns = ["[user-account:user_id = 'a'] REPEATS 2 TIMES", "[user-account:user_id = 'a']"]
    index = IndicatorIndex.build(indicator(*one) for one in enumerate(patterns))
    matcher = LiveMatcher(index, limits=None)
    assert [_ids(matcher.match(_event(n, account_id="a"))) for n in range(4)] == [["1"]] * 4
    assert matcher.report.held == 0


def test_a_swap_keeps_what_patterns_have_seen_that_stay() -> None:
    stays = indicator(1, "[user-account:user_id = 'a'] REPEATS 3 TIMES WITHIN 9 SECONDS")
    changes = indicator(2, "[user-account:user_id = 'a'] REPEATS 3 TIMES WITHIN 8 SECONDS")
    matcher = LiveMatcher(IndicatorIndex.build([stays, changes]))
    for number in range(2):
        assert matcher.match(_event(number, account_id="a")) == []
    newer = {**changes, "modified": "2026-11-02T00:00:00.000Z"}
    matcher.swap(IndicatorIndex.build([indicator(0, "[user-account:user_id = 'z']"), stays, newer]))
    assert _ids(matcher.match(_event(2, account_id="a"))) == ["1"]
    matcher.match(_event(3, account_id="a"))
    assert _ids(matcher.match(_event(4, account_id="a"))) == ["2"]


@pytest.mark.parametrize(
    ("event", "where"),
    [
        ({"event_id": "e"}, "observed_at"),
        ({"event_id": "e", "observed_at": NOON.replace(tzinfo=None)}, "observed_at"),
        ({"observed_at": NOON}, "event_id"),
        ({**_event(), "account_id": 7}, "account_id"),
        ({**_event(), "client_ip": b"192.0.2.1"}, "client_ip"),
        ({**_event(), "asn": "64496"}, "asn"),
        ({**_event(), "asn": 2**63}, "asn"),
        ({**_event(), "asn": True}, "asn"),
        ({**_event(), "fp_tokens": "email"}, "fp_tokens"),
        ({**_event(), "prompt_bands": [1, 2]}, "prompt_bands"),
        ({**_event(), "prompt_bands": [-1] * 16}, "prompt_bands"),
    ],
)
def test_an_event_of_another_shape_is_refused_without_its_values(
    event: dict[str, Any], where: str
) -> None:
    bands = features("one two three four").lsh_bands
    patterns = [
        "[user-account:user_id = 'a']",
        "[ipv4-addr:value = '192.0.2.1']",
        "[autonomous-system:number = 64496]",
        f"[llm-exchange:prompt.lsh_bands[*] = '{bands[0]}']",
        "[network-traffic:src_ref.belongs_to_refs[*].number = 64496]",
        f"[{PATHS['fp_tokens'][0]} = 'x']",
    ]
    index = IndicatorIndex.build(indicator(*one) for one in enumerate(patterns))
    with pytest.raises(SchemaError) as caught:
        LiveMatcher(index).match(event)
    assert caught.value.where == where
    assert "192.0.2.1" not in str(caught.value)


def test_every_answer_belongs_wholly_to_one_index() -> None:
    """Each index names all its indicators after itself; threads match while they are swapped."""
    columns = {
        "account_id": "a",
        "client_ip": "192.0.2.7",
        "prompt": "one two three four",
        "asn": 5,
    }
    tests = ["user-account:user_id = 'a'", "ipv4-addr:value ISSUBSET '192.0.2.0/24'"]
    tests += ["llm-exchange:prompt.text LIKE '%two%'", "user-account:user_id != 'b'"]
    several = "[user-account:user_id = 'a'] REPEATS 2 TIMES WITHIN 60 SECONDS"

    def index(version: int) -> IndicatorIndex:
        moment = f"2026-11-{version + 1:02d}T00:00:00.000Z"
        return IndicatorIndex.build(
            indicator(number, pattern, modified=moment)
            for number, pattern in enumerate([*(f"[{test}]" for test in tests), several])
        )

    indexes = [index(version) for version in range(4)]
    matcher, stop, wrong = LiveMatcher(indexes[0]), threading.Event(), list[Any]()
    answers: list[int] = []

    def ask() -> None:
        number = 0
        while not stop.is_set():
            found = matcher.match(_event(number, **columns))
            versions = {one.indicator_modified for one in found}
            alone = [one for one in found if not one.several]
            if len(versions) != 1 or len(alone) != 4:
                wrong.append(found)
            number += 1
        answers.append(number)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(200):
        matcher.swap(indexes[turn % 4])
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(answers) == 4
    assert all(answers)
