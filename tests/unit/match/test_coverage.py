"""What a source cannot show is told, and never reads as "no match"."""

from __future__ import annotations

from typing import Any

import pytest

from hub.match.engine import IndicatorIndex
from hub.match.schema import PATHS, TRAFFIC_SCHEMA
from hub.model.extension import INDICATOR_CONTROLS
from tests.unit.match.test_engine import ADDRESS, PROMPT, events, indicator

ID = indicator(1, "")["id"]
SEVERAL = "[ipv4-addr:value = '192.0.2.1'] FOLLOWEDBY [user-account:user_id = 'a']"


def _lacking(pattern: str, columns: list[str], **controls: Any) -> Any:
    extensions = {INDICATOR_CONTROLS: controls}
    coverage = IndicatorIndex.build([indicator(1, pattern, extensions=extensions)]).coverage(
        columns
    )
    assert coverage.answerable == 1 - len(coverage.not_answerable)
    return coverage.not_answerable.get(ID), coverage.partly.get(ID)


def test_windows_of_accounts_are_another_commands() -> None:
    none, _ = _lacking("[llm-exchange:window.distinct_accounts >= 20]", TRAFFIC_SCHEMA.names)
    (path,) = none
    assert path.startswith("llm-exchange:window.distinct_accounts ")
    assert "stillwatch cluster" in path


@pytest.mark.parametrize(
    ("columns", "none", "partly"),
    [
        (["client_ip", "account_id"], None, None),
        (["client_ip"], ("user-account:user_id",), None),
        (["account_id"], ("ipv4-addr:value",), None),
    ],
)
def test_every_leaf_that_a_pattern_needs_must_be_seen(
    columns: list[str], none: Any, partly: Any
) -> None:
    assert _lacking(SEVERAL, columns) == (none, partly)


def test_of_alternatives_one_will_do() -> None:
    pattern = f"({SEVERAL}) OR [ipv4-addr:value = '192.0.2.2'] REPEATS 5 TIMES"
    assert _lacking(pattern, ["client_ip"]) == (None, ("user-account:user_id",))
    assert _lacking(pattern, ["account_id"]) == (("ipv4-addr:value",), None)


def test_what_is_grouped_or_counted_by_must_be_seen_too() -> None:
    pattern = "[ipv4-addr:value = '192.0.2.1'] REPEATS 5 TIMES"
    index = IndicatorIndex.build(
        [indicator(1, pattern, extensions={INDICATOR_CONTROLS: {"group_by": ["account"]}})]
    )
    assert index.columns == {"observed_at", "event_id", "account_id", "client_ip"}
    assert index.stateful == {ID}
    assert _lacking(pattern, ["client_ip"], group_by=["org"]) == ((PATHS["org_id"][0],), None)
    counted = {"count_distinct": "user-account:user_id"}
    assert _lacking(pattern, ["client_ip"], **counted) == (("user-account:user_id",), None)
    assert _lacking(pattern, ["client_ip", "account_id"], **counted) == (None, None)


def test_stored_features_stand_for_prompts() -> None:
    pattern = f"[llm-exchange:prompt.sha256_norm = '{'ab' * 32}']"
    assert _lacking(pattern, ["prompt_sha256_norm"]) == (None, None)
    assert _lacking(pattern, ["prompt"]) == (None, None)
    assert _lacking(pattern, ["prompt_bands"]) == (("llm-exchange:prompt.sha256_norm",), None)
    both = f"[llm-exchange:prompt.sha256_norm = 'ab' OR llm-exchange:prompt.text = '{PROMPT}']"
    assert _lacking(both, ["prompt_sha256_norm"]) == (None, ("llm-exchange:prompt.text",))
    coverage = IndicatorIndex.build([]).coverage(["prompt_bands"])
    assert coverage.layers["prompt"]


def test_an_account_is_reached_from_its_exchange() -> None:
    index = IndicatorIndex.build(
        [
            indicator(
                1, "[llm-exchange:account_ref.user_id = 'a' AND llm-exchange:provider_name = 'x']"
            )
        ]
    )
    table = events(
        {"account_id": "a", "provider_name": "x"},
        {"account_id": "a", "provider_name": "y"},
        {"account_id": "b", "provider_name": "x"},
    )
    assert index.match(table, source="log").column("event_id").to_pylist() == ["e0"]


def test_many_ids_are_written_only_when_asked_for() -> None:
    index = IndicatorIndex.build(
        indicator(n, ADDRESS if n % 2 else "[user-account:user_id = 'a']") for n in range(100)
    )
    lacking = index.coverage(["client_ip"]).not_answerable
    assert len(lacking) == 50
    assert list(lacking) == [indicator(n, "")["id"] for n in range(0, 100, 2)]
    assert set(lacking.values()) == {("user-account:user_id",)}
    assert repr(lacking).startswith("{'indicator--")


def test_indicators_that_cost_a_pass_are_counted() -> None:
    scan = indicator(2, "[llm-exchange:usage_input_tokens > 5]")
    index = IndicatorIndex.build([indicator(1, ADDRESS), scan])
    assert index.scans == 1
    assert index.updated([{**scan, "modified": "2026-11-03T00:00:00Z", "revoked": True}]).scans == 0
