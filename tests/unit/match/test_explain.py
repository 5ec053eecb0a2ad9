"""An explanation says which clause found what, and by whose word."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from hub.errors import InputError, SchemaError
from hub.match.engine import IndicatorIndex
from hub.match.explain import explain
from hub.model.extension import INDICATOR_CONTROLS, LLM_ACCOUNT
from hub.model.markings import TLP
from tests.unit.match.test_engine import ADDRESS, NOON, PUBLISHER, TOKEN, indicator

EVENT: dict[str, Any] = {
    "event_id": "e0",
    "observed_at": NOON,
    "account_id": "acct-7",
    "client_ip": "192.0.2.1",
    "fp_tokens": [TOKEN, "phone:k:00"],
    "request_model": "example-frontier-2",
    "prompt": "Grade the answer from 1 to 5.",
}
ID = indicator(1, "")["id"]


def _explained(pattern: str, event: dict[str, Any] = EVENT, **more: Any) -> Any:
    show = more.pop("show_values", False)
    index = IndicatorIndex.build([indicator(1, pattern, **more)])
    return explain(index, event, ID, show_values=show)


def test_who_says_so_when_and_how_sure() -> None:
    campaign = "campaign--00000000-0000-4000-8000-000000000001"
    link = {
        "type": "relationship",
        "id": "relationship--1",
        "modified": "2026-11-02T00:00:00Z",
        "relationship_type": "indicates",
        "source_ref": ID,
        "target_ref": campaign,
    }
    one = indicator(
        1,
        ADDRESS,
        confidence=80,
        created_by_ref=PUBLISHER,
        object_marking_refs=[TLP.GREEN.id],
        extensions={INDICATOR_CONTROLS: {"layer": "network"}},
    )
    found = explain(IndicatorIndex.build([one, link]), EVENT, ID)
    said = json.loads(json.dumps(found.to_json()))
    assert said == {
        "event_id": "e0",
        "observed_at": "2026-11-20T12:00:00.000Z",
        "indicator_id": ID,
        "pattern": None,
        "matches": True,
        "in_force": True,
        "several": False,
        "leaves": [],
        "clauses": [
            {
                "leaf": 0,
                "path": "ipv4-addr:value",
                "operator": "=",
                "negated": False,
                "literals": ["192.0.2.0/24"],
                "values": ["192.0.2.0/24"],
                "verdict": "holds",
                "anchored": True,
            }
        ],
        "publisher": PUBLISHER,
        "modified": "2026-11-02T00:00:00.000Z",
        "valid_from": "2026-11-01T00:00:00.000Z",
        "valid_until": "2026-12-01T00:00:00.000Z",
        "age": 19.5 * 86400,
        "confidence": 80,
        "marking": "TLP:GREEN",
        "layer": "network",
        "campaign_ids": [campaign],
        "min_band_hits": 0,
        "group_by": [],
        "count_distinct": None,
        "other_events": [],
        "more_events": 0,
    }


def test_each_clause_has_its_verdict_and_one_anchored() -> None:
    found = _explained(
        "[user-account:user_id = 'acct-7' AND user-account:user_id LIKE 'acct-%'"
        " AND user-account:user_id != 'acct-7' OR user-account:display_name = 'x'"
        f" OR user-account:extensions.'{LLM_ACCOUNT}'.org_id = 'o']"
    )
    assert [(one.operator, one.verdict, one.anchored) for one in found.clauses] == [
        ("=", "holds", True),
        ("LIKE", "holds", False),
        ("!=", "fails", False),
        ("=", "not answerable", False),
        ("=", "absent", False),
    ]
    assert not found.matches


def test_nothing_personal_is_shown_unless_asked() -> None:
    secret = f"[user-account:extensions.'{LLM_ACCOUNT}'.fp_tokens[*] IN ('{TOKEN}', 'a:b:cd')]"
    told = json.dumps(_explained(secret).to_json(), ensure_ascii=False)
    assert "ab" * 32 not in told
    assert "abababab…" in told
    prompt = "[llm-exchange:prompt.text LIKE '%Grade the answer%']"
    assert "Grade" not in json.dumps(_explained(prompt).to_json())
    shown = _explained(prompt, show_values=True)
    assert shown.pattern == prompt
    assert shown.clauses[0].values == (EVENT["prompt"],)


def test_a_quote_in_a_literal_is_written_as_a_pattern_spells_it() -> None:
    event = {**EVENT, "account_id": "o'neil"}
    found = _explained(r"[user-account:user_id = 'o\'neil']", event, show_values=True)
    assert found.matches
    assert found.clauses[0].literals == ("o'neil",)


def test_out_of_its_time_an_indicator_holds_but_does_not_match() -> None:
    late = {**EVENT, "observed_at": NOON + timedelta(days=30)}
    found = _explained(ADDRESS, late)
    assert (found.matches, found.in_force, found.clauses[0].verdict) == (False, False, "holds")


def test_a_pattern_of_several_observations_names_the_leaves_of_the_event() -> None:
    pattern = "[ipv4-addr:value = '192.0.2.1'] FOLLOWEDBY [user-account:user_id = 'acct-8']"
    controls = {"group_by": ["account"]}
    found = _explained(pattern, extensions={INDICATOR_CONTROLS: controls})
    assert (found.several, found.matches, found.leaves) == (True, False, (0,))
    assert [(one.leaf, one.verdict) for one in found.clauses] == [(0, "holds"), (1, "fails")]
    assert found.group_by == ("account",)


def test_long_lists_are_cut() -> None:
    names = ", ".join(f"'acct-{n}'" for n in range(100))
    clause = _explained(f"[user-account:user_id IN ({names})]").clauses[0]
    assert len(clause.literals) == 9
    assert clause.literals[-1] == "and 92 more"
    assert clause.verdict == "holds"


def test_blocks_are_shown_and_junk_is_not() -> None:
    block = _explained("[ipv6-addr:value ISSUBSET '2001:db8::/32']").clauses[0]
    assert (block.literals, block.verdict) == (("2001:db8::/32",), "absent")
    junk = _explained("[ipv4-addr:value = 'no:address']").clauses[0]
    assert (junk.literals, junk.verdict) == (("(10 characters)",), "fails")


def test_what_is_not_in_use_or_no_event_is_refused() -> None:
    index = IndicatorIndex.build([indicator(1, ADDRESS), indicator(2, ADDRESS, revoked=True)])
    for number in (2, 3):
        with pytest.raises(InputError, match="not among the indicators"):
            explain(index, EVENT, indicator(number, "")["id"])
    with pytest.raises(SchemaError):
        explain(index, {"client_ip": "192.0.2.1"}, ID)
    with pytest.raises(InputError, match="no event"):
        explain(index, {**EVENT, "asn": "many"}, ID)
