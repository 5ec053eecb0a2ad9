"""Patterns that are too wide, too long or of no use: bounded, and told."""

from __future__ import annotations

from typing import Any

import pytest

from hub.match import engine
from hub.match.engine import FLOODS, IndicatorIndex
from hub.match.plan import MAX_TESTS
from hub.model.extension import INDICATOR_CONTROLS, LLM_ACCOUNT
from tests.unit.match.test_engine import ADDRESS, NOON, events, hits, indicator

TOKENS = f"user-account:extensions.'{LLM_ACCOUNT}'.fp_tokens[*]"
COUNT = 100_000


def _reason(pattern: str, **more: Any) -> list[str]:
    index = IndicatorIndex.build([indicator(1, pattern, **more), indicator(2, ADDRESS)])
    assert len(index) == 2 - len(index.problems)
    assert index.match(events({"client_ip": "192.0.2.1"}), source="log").num_rows
    return [problem.reason for problem in index.problems]


@pytest.mark.parametrize(
    "pattern",
    [
        "[ipv4-addr:value ISSUBSET '0.0.0.0/0']",
        "[ipv4-addr:value ISSUBSET '128.0.0.0/7']",
        "[ipv6-addr:value ISSUBSET '::/0']",
        "[ipv6-addr:value ISSUBSET '2001::/15']",
        "[network-traffic:src_ref.value ISSUBSET '::/0']",
        "[network-traffic:src_ref.value ISSUBSET '10.0.0.0/7']",
        "[user-account:user_id = '']",
        "[user-account:user_id IN ('a', '')]",
        "[llm-exchange:prompt.text LIKE '%%']",
        "[llm-exchange:prompt.text MATCHES '']",
        "[user-account:user_id = 'a' OR ipv4-addr:value ISSUBSET '0.0.0.0/1']",
        "[ipv4-addr:value ISSUBSET '0.0.0.0/0'] REPEATS 5 TIMES WITHIN 60 SECONDS",
        "[ipv4-addr:value ISSUBSET '0.0.0.0/0' AND ipv4-addr:value LIKE '%']",
    ],
)
def test_what_describes_nearly_every_event_is_a_problem(pattern: str) -> None:
    assert _reason(pattern) == [FLOODS]


@pytest.mark.parametrize(
    ("pattern", "address"),
    [
        ("[ipv4-addr:value ISSUBSET '192.0.0.0/8']", "192.1.2.3"),
        ("[ipv6-addr:value ISSUBSET '2001::/16']", "2001:db8::1"),
        ("[ipv4-addr:value ISSUBSET '0.0.0.0/0' AND ipv4-addr:value = '192.0.2.1']", "192.0.2.1"),
    ],
)
def test_what_is_just_narrow_enough_is_looked_for(pattern: str, address: str) -> None:
    assert hits([indicator(1, pattern)], events({"client_ip": address})) == [("e0", 1)]


def test_a_list_of_many_values_is_one_test() -> None:
    values = ",".join(f"'email:k:{number:064x}'" for number in range(COUNT))
    table = events({"fp_tokens": [f"email:k:{COUNT - 1:064x}"]}, {"fp_tokens": ["email:k:0"]})
    assert hits([indicator(1, f"[{TOKENS} IN ({values})]")], table) == [("e0", 1)]


@pytest.mark.parametrize("joint", [" OR ", " AND "])
def test_trees_are_bounded_in_width(joint: str) -> None:
    tests = [f"user-account:user_id = 'u{number}'" for number in range(MAX_TESTS)]
    wide = [indicator(1, f"[{joint.join(tests)}]")]
    expected = [("e0", 1)] if joint == " OR " else []
    assert hits(wide, events({"account_id": f"u{MAX_TESTS - 1}"})) == expected
    wider = f"[{joint.join([*tests, *tests[:1]])}]"
    assert _reason(wider) == [f"has more than {MAX_TESTS:,} tests"]


def test_many_object_types_cost_no_square() -> None:
    names = [f"x-{number}:y = 1" for number in range(MAX_TESTS)]
    index = IndicatorIndex.build([indicator(1, f"[{' OR '.join(names)}]")])
    assert index.problems == ()
    lacking = index.coverage(["client_ip"]).not_answerable
    assert len(lacking[indicator(1, "")["id"]]) == MAX_TESTS


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("[" + "(" * 100 + "a:b = 1" + ")" * 100 + "]", "nested deeper"),
        ("[a:b = 1]" + " REPEATS 9 TIMES" * 100, "at most 64 qualifiers"),
        (" FOLLOWEDBY ".join(["[a:b = 1]"] * 100), "FOLLOWEDBYs in a row"),
        ("[a:b = " + "1" * 500 + "]", "digits"),
        ("x" * (8 * 1024 * 1024 + 1), "longer than"),
        ("[user-account:user_id = '\ud800']", "lone surrogate"),
    ],
)
def test_explosive_patterns_are_problems(pattern: str, reason: str) -> None:
    (told,) = _reason(pattern)
    assert reason in told


def test_ids_and_facts_of_any_kind_do_no_harm() -> None:
    objects: list[Any] = [
        {**indicator(1, ADDRESS), "id": None},
        {**indicator(1, ADDRESS), "id": "\ud800"},
        indicator(1, ADDRESS, confidence=10**30, created_by_ref=7, object_marking_refs="x"),
        indicator(2, ADDRESS, confidence=True, created_by_ref="\ud800", extensions=[]),
        indicator(3, ADDRESS, extensions={INDICATOR_CONTROLS: {"min_band_hits": 10**30}}),
        indicator(4, ADDRESS, object_marking_refs=[7], granular_markings="x"),
        {"type": "relationship", "id": 7, "source_ref": None, "target_ref": []},
        {"type": "x-unknown"},
        {},
    ]
    index = IndicatorIndex.build(objects)
    found = index.match(events({"client_ip": "192.0.2.1"}), source="log").to_pylist()
    assert [row["indicator_id"][-1] for row in found] == ["1", "2", "4"]
    assert {row["confidence"] for row in found} == {None}
    assert {row["publisher"] for row in found} == {None}
    assert [problem.reason for problem in index.problems] == ["has no id", "has no id"]


def test_a_flood_of_problems_is_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MAX_PROBLEMS", 3)
    index = IndicatorIndex.build(indicator(number, "junk") for number in range(10))
    assert len(index.problems) == 4
    assert index.problems[-1].reason == "7 more indicators cannot be used"


def test_the_scan_quota_counts_what_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MAX_SCANS", 1)
    scan = "[llm-exchange:usage_input_tokens > 5]"
    index = IndicatorIndex.build([indicator(1, scan)]).updated([indicator(2, scan)])
    assert [problem.indicator_id[-1] for problem in index.problems] == ["2"]
    later = index.updated([indicator(1, ADDRESS, modified="2026-11-03T00:00:00Z")])
    later = later.updated([indicator(2, scan, modified="2026-11-03T00:00:00Z")])
    assert later.problems == ()
    table = events({"input_tokens": 6, "observed_at": NOON})
    assert len(later.match(table, source="log")) == 1
