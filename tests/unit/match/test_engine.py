"""What the engine keeps of indicators, and what a match row says."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from hub.errors import SchemaError
from hub.fingerprint.prompts import features
from hub.match import engine
from hub.match.engine import IndicatorIndex
from hub.match.schema import MATCH_SCHEMA, TRAFFIC_SCHEMA
from hub.model.extension import INDICATOR_CONTROLS, LLM_ACCOUNT
from hub.model.markings import TLP

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PUBLISHER = "identity--00000000-0000-4000-8000-000000000001"
TOKEN = "email:0123456789abcdef.2026q4:" + "ab" * 32
PROMPT = "Explain every step of the proof, then grade the answer from 1 to 5."


def indicator(number: int, pattern: str, **more: Any) -> dict[str, Any]:
    """An indicator of STIX, valid in November 2026."""
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--00000000-0000-4000-8000-{number:012d}",
        "created": "2026-11-01T00:00:00.000Z",
        "modified": "2026-11-02T00:00:00.000Z",
        "valid_from": "2026-11-01T00:00:00Z",
        "valid_until": "2026-12-01T00:00:00Z",
        "pattern_type": "stix",
        "pattern": pattern,
        **more,
    }


def events(*rows: dict[str, Any]) -> pa.Table:
    """TRAFFIC rows, at noon unless they say else."""
    full = [{"event_id": f"e{n}", "observed_at": NOON, **row} for n, row in enumerate(rows)]
    return pa.Table.from_pylist(full, schema=TRAFFIC_SCHEMA)


def hits(objects: Iterable[dict[str, Any]], table: pa.Table) -> list[tuple[str, int]]:
    """(event, number of indicator) pairs."""
    found = IndicatorIndex.build(objects).match(table, source="log").to_pylist()
    return [(row["event_id"], int(row["indicator_id"][-12:])) for row in found]


ADDRESS = "[ipv4-addr:value = '192.0.2.1']"


def test_a_match_row_says_who_what_and_how_sure() -> None:
    campaign = "campaign--00000000-0000-4000-8000-000000000001"
    controls = {"extension_type": "property-extension", "layer": "behaviour"}
    objects = [
        indicator(
            1,
            ADDRESS,
            confidence=80,
            created_by_ref=PUBLISHER,
            object_marking_refs=[TLP.GREEN.id],
            extensions={INDICATOR_CONTROLS: controls},
        ),
        {
            "type": "relationship",
            "id": "relationship--1",
            "modified": "2026-11-02T00:00:00Z",
            "relationship_type": "indicates",
            "source_ref": indicator(1, "")["id"],
            "target_ref": campaign,
        },
    ]
    index = IndicatorIndex.build(objects)
    table = index.match(events({"client_ip": "192.0.2.1", "account_id": "acct-1"}), source="a.log")
    assert table.schema == MATCH_SCHEMA
    assert table.to_pylist() == [
        {
            "event_id": "e0",
            "observed_at": NOON,
            "source": "a.log",
            "indicator_id": indicator(1, "")["id"],
            "indicator_modified": datetime(2026, 11, 2, tzinfo=UTC),
            "layer": "behaviour",
            "path": "ipv4-addr:value",
            "value": "192.0.2.0/24",
            "account_id": "acct-1",
            "campaign_ids": [campaign],
            "confidence": 80,
            "publisher": PUBLISHER,
            "marking": "TLP:GREEN",
        }
    ]
    assert index.columns == {"observed_at", "event_id", "account_id", "client_ip"}


def test_validity_is_judged_at_the_events_own_time() -> None:
    start, stop = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    instant = timedelta(microseconds=1)
    times = [start - instant, start, stop - instant, stop]
    table = events(*({"observed_at": time, "client_ip": "192.0.2.1"} for time in times))
    assert hits([indicator(1, ADDRESS)], table) == [("e1", 1), ("e2", 1)]
    endless = indicator(1, ADDRESS)
    del endless["valid_until"]
    assert hits([endless], table) == [("e1", 1), ("e2", 1), ("e3", 1)]


def test_validity_holds_for_scanned_patterns_too() -> None:
    before = datetime(2026, 10, 1, tzinfo=UTC)
    table = events({"client_ip": "192.0.2.1", "observed_at": before}, {"client_ip": "192.0.2.1"})
    assert hits([indicator(1, "[ipv4-addr:value != '192.0.2.9']")], table) == [("e1", 1)]


def test_the_newest_version_counts_and_a_revoked_one_is_gone() -> None:
    table = events({"client_ip": "192.0.2.1"}, {"client_ip": "192.0.2.2"})
    old = indicator(1, ADDRESS)
    new = indicator(1, "[ipv4-addr:value = '192.0.2.2']", modified="2026-11-03T00:00:00.5Z")
    gone = indicator(1, ADDRESS, modified="2026-11-04T00:00:00Z", revoked=True)
    for objects in ([old, new], [new, old]):
        assert hits(objects, table) == [("e1", 1)]
    for objects in ([old, gone, new], [gone, new, old]):
        assert hits(objects, table) == []


def test_rows_come_by_event_then_indicator_and_once() -> None:
    twice = "[ipv4-addr:value = '192.0.2.1' OR ipv4-addr:value ISSUBSET '192.0.2.0/24']"
    objects = [indicator(3, twice), indicator(1, ADDRESS), indicator(2, ADDRESS)]
    table = events({"client_ip": "192.0.2.1"}, {}, {"client_ip": "192.0.2.1"})
    assert hits(objects, table) == [(e, n) for e in ("e0", "e2") for n in (1, 2, 3)]


def test_large_tables_are_cut_into_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "ROWS", 7)
    table = events(*({"client_ip": f"192.0.2.{n % 2}"} for n in range(50)))
    assert hits([indicator(1, ADDRESS)], table) == [(f"e{n}", 1) for n in range(1, 50, 2)]
    assert hits(
        [indicator(1, ADDRESS)], pa.concat_tables([table.slice(1, 3), table.slice(9, 1)])
    ) == [(f"e{n}", 1) for n in (1, 3, 9)]


@pytest.mark.parametrize(
    ("pattern", "address"),
    [
        ("[ipv4-addr:value = '192.0.2.1']", "::ffff:192.0.2.1"),
        ("[ipv4-addr:value ISSUBSET '192.0.2.0/24']", "::FFFF:C000:0201"),
        ("[ipv6-addr:value = '::ffff:192.0.2.1']", "192.0.2.1"),
        ("[ipv6-addr:value ISSUBSET '::ffff:192.0.2.0/120']", "192.0.2.1"),
        ("[ipv6-addr:value = '2001:0DB8::0001']", "2001:db8::1"),
        ("[ipv4-addr:value = '192.0.2.1/32']", "192.0.2.1"),
        ("[network-traffic:src_ref.value = '2001:DB8::1']", "2001:db8:0::1"),
        ("[ipv6-addr:value = '2001:DB8::1' AND ipv6-addr:value != '2001:db8::2']", "2001:db8::1"),
    ],
)
def test_addresses_compare_by_their_canonical_form(pattern: str, address: str) -> None:
    assert hits([indicator(1, pattern)], events({"client_ip": address})) == [("e0", 1)]


@pytest.mark.parametrize(
    "pattern",
    [
        "[ipv4-addr:value = '192.0.2.0/24']",
        "[ipv4-addr:value = '2001:db8::1']",
        "[ipv4-addr:value ISSUBSET '::/0']",
        "[ipv6-addr:value ISSUBSET '0.0.0.0/0']",
    ],
)
def test_addresses_that_only_look_alike(pattern: str) -> None:
    table = events({"client_ip": "192.0.2.1"}, {"client_ip": "2001:db8::1"}, {"client_ip": "junk"})
    assert hits([indicator(1, pattern)], table) == []


def test_as_many_bands_must_agree_as_the_publisher_asks() -> None:
    bands = features(PROMPT).lsh_bands
    path, other = "llm-exchange:prompt.lsh_bands[*]", "mh3w.64.16x4:09:00000000000000ff"

    def asking(least: int, known: int) -> dict[str, Any]:
        members = ", ".join(f"'{band}'" for band in (*bands[:known], other))
        controls = {"extension_type": "property-extension", "min_band_hits": least}
        extensions = {INDICATOR_CONTROLS: controls}
        return indicator(least * 100 + known, f"[{path} IN ({members})]", extensions=extensions)

    table = events({"prompt": PROMPT}, {"prompt": "two words"}, {})
    objects = [asking(1, 1), asking(2, 1), asking(2, 2), asking(3, 2), asking(3, 8)]
    assert hits(objects, table) == [("e0", 101), ("e0", 202), ("e0", 308)]


def test_values_are_masked_unless_they_are_asked_for() -> None:
    account = f"user-account:extensions.'{LLM_ACCOUNT}'."
    objects = [
        indicator(1, f"[{account}fp_tokens[*] = '{TOKEN}']"),
        indicator(2, "[llm-exchange:prompt.text LIKE '%proof%']"),
        indicator(3, "[user-account:user_id = 'someone@mail.example']"),
        indicator(4, f"[llm-exchange:prompt.sha256_raw = '{features(PROMPT).sha256_raw}']"),
        indicator(5, "[ipv6-addr:value ISSUBSET '2001:db8::/32']"),
    ]
    table = events(
        {
            "fp_tokens": ["x:y:z", TOKEN],
            "prompt": PROMPT,
            "account_id": "someone@mail.example",
            "client_ip": "2001:db8:1:2::3",
        }
    )
    index = IndicatorIndex.build(objects)
    masked = index.match(table, source="log").column("value").to_pylist()
    assert masked == [
        "email:0123456789abcdef.2026q4:abababab…",
        f"({len(PROMPT)} characters)",
        "…@… (20 characters)",
        f"{features(PROMPT).sha256_raw[:24]}…",
        "2001:db8:1::/48",
    ]
    shown = index.match(table, source="log", show_values=True).column("value").to_pylist()
    assert shown[:3] == [TOKEN, PROMPT, "someone@mail.example"]


def test_coverage_says_what_a_source_can_show() -> None:
    objects = [
        indicator(1, ADDRESS),
        indicator(2, "[domain-name:value = 'a.example']"),
        indicator(3, "[ipv4-addr:value = '192.0.2.1' OR llm-exchange:prompt.text LIKE '%x%']"),
        indicator(4, "[user-account:user_id = 'a' AND user-account:display_name = 'b']"),
        indicator(5, "[NOT EXISTS user-account:user_id]"),
    ]
    index = IndicatorIndex.build(objects)
    coverage = index.coverage(["client_ip", "account_id"])
    ids = [one["id"] for one in objects]
    assert coverage.answerable == 2
    assert coverage.layers["network"]
    assert not coverage.layers["prompt"]
    assert coverage.not_answerable == {
        ids[1]: ("domain-name:value",),
        ids[3]: ("user-account:display_name",),
        ids[4]: ("NOT EXISTS user-account:user_id",),
    }
    assert coverage.partly == {ids[2]: ("llm-exchange:prompt.text",)}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pattern": "[ipv4-addr:value = "}, "expected a literal"),
        (
            {"pattern": "[ipv4-addr:value = 'x' AND user-account:user_id = 'y']"},
            "different objects",
        ),
        ({"pattern": "[llm-exchange:prompt.text MATCHES '(']"}, "does not compile"),
        ({"pattern": "[ipv4-addr:value ISSUBSET 'here']"}, "address or a block"),
        ({"pattern": "[user-account:user_id = t'2026-01-01T00:00:00Z']"}, "no time with a time"),
        ({"pattern": 7}, "no pattern"),
        ({"pattern_type": "snort"}, "not stix"),
        ({"valid_from": "yesterday"}, "valid_from"),
        ({"modified": None}, "modified"),
    ],
)
def test_what_cannot_be_used_is_a_problem_and_never_silent(
    change: dict[str, Any], reason: str
) -> None:
    bad, good = {**indicator(1, ADDRESS), **change}, indicator(2, ADDRESS)
    index = IndicatorIndex.build([bad, good])
    assert [problem.indicator_id for problem in index.problems] == [bad["id"]]
    assert reason in index.problems[0].reason
    assert len(index) == 1
    assert len(index.match(events({"client_ip": "192.0.2.1"}), source="log")) == 1


def test_scans_have_a_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MAX_SCANS", 2)
    objects = [indicator(n, f"[llm-exchange:usage_input_tokens > {n}]") for n in range(3)]
    index = IndicatorIndex.build(objects)
    assert len(index) == 2
    assert "list of such indicators is full" in index.problems[0].reason


def test_a_source_may_lack_columns_but_not_change_their_type() -> None:
    index = IndicatorIndex.build([indicator(1, ADDRESS)])
    table = events({"client_ip": "192.0.2.1"})
    narrow = table.select(["observed_at", "event_id", "client_ip"])
    assert index.match(narrow, source="log").column("account_id").to_pylist() == [None]
    assert len(index.match(table.drop_columns(["client_ip"]), source="log")) == 0
    plain = narrow.set_column(2, "client_ip", narrow.column(2).dictionary_encode())
    assert len(index.match(plain, source="log")) == 1
    wrong = narrow.set_column(2, "client_ip", pa.array([b"\xff"], pa.binary()))
    with pytest.raises(SchemaError, match="client_ip"):
        index.match(wrong, source="log")
    with pytest.raises(SchemaError, match="event_id"):
        index.match(table.drop_columns(["event_id"]), source="log")


def test_nothing_to_look_for_and_nothing_to_look_at() -> None:
    empty = IndicatorIndex.build([])
    assert len(empty) == 0
    assert empty.match(events({"client_ip": "192.0.2.1"}), source="log").num_rows == 0
    index = IndicatorIndex.build(
        [indicator(1, ADDRESS), indicator(2, "[user-account:user_id != 'a']")]
    )
    assert index.match(TRAFFIC_SCHEMA.empty_table(), source="log").schema == MATCH_SCHEMA


def test_coded_columns_match_as_plain_ones_do() -> None:
    patterns = {
        "account_id": "[user-account:user_id = 'a1']",
        "client_ip": "[ipv4-addr:value ISSUBSET '192.0.2.0/24']",
        "user_agent": "[network-traffic:extensions.'http-request-ext'.request_header."
        "'User-Agent' LIKE 'relay%']",
    }
    objects = [indicator(number, pattern) for number, pattern in enumerate(patterns.values())]
    plain = events(
        {"account_id": "a1", "client_ip": "192.0.2.9", "user_agent": "relay/1"},
        {"account_id": None, "client_ip": None, "user_agent": None},
        {"account_id": "a2", "client_ip": "198.51.100.1", "user_agent": "other"},
        {"account_id": "a1", "client_ip": "2001:db8::1", "user_agent": "relay/2"},
    )
    coded = plain
    for name in patterns:
        at = plain.schema.get_field_index(name)
        coded = coded.set_column(at, name, plain.column(name).dictionary_encode())
    assert hits(objects, plain) == [("e0", 0), ("e0", 1), ("e0", 2), ("e3", 0), ("e3", 2)]
    assert hits(objects, coded) == hits(objects, plain)
    assert hits(objects, coded.slice(3)) == [("e3", 0), ("e3", 2)]
