"""Builders of indicators make valid objects only, always the same one for the same row, fast."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import pytest
import stix2
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import InputError, PatternError
from hub.model.codec import dumps, loads
from hub.model.extension import INDICATOR_CONTROLS, register, unpack
from hub.model.fields import IndicatorControls
from hub.model.indicators import (
    IndicatorOptions,
    account_indicator,
    account_token_indicator,
    indicator,
    indicator_id,
    network_indicator,
    prompt_indicator,
)
from hub.model.kinds import KINDS
from hub.model.markings import TLP, tlp_of

LAB = "identity--1c24573d-e2a8-5200-a2c2-8d6f4d17f06e"
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
PATTERN = "[ipv4-addr:value = '192.0.2.44']"
HOSTILE = st.text(st.sampled_from("'\\\"[]%_ \n\0é中\U0001f600abc0.:/"), min_size=1, max_size=40)


def options(**changes: Any) -> IndicatorOptions:
    """Valid options, some changed."""
    chosen: dict[str, Any] = {
        "created_by": LAB,
        "created": NOW,
        "valid_from": NOW - timedelta(days=3),
        "valid_until": NOW + timedelta(days=27),
        **changes,
    }
    return cast("IndicatorOptions", chosen)


def test_an_indicator_says_what_the_catalogue_says_of_its_kind() -> None:
    found = indicator("network.ipv4", PATTERN, layer="network", **options())
    assert found["pattern"] == PATTERN
    assert found["pattern_type"] == "stix"
    assert found["created"] == found["modified"] == "2026-11-21T09:30:00.000Z"
    assert found["valid_from"] == "2026-11-18T09:30:00.000Z"
    assert found["valid_until"] == "2026-12-18T09:30:00.000Z"
    assert tlp_of(found) is TLP.AMBER
    assert unpack(found, IndicatorControls, strict=True) == KINDS["network.ipv4"].controls
    assert "confidence" not in found


@pytest.mark.parametrize("kind", KINDS)
def test_the_default_controls_of_every_kind_are_valid(kind: str) -> None:
    found = indicator(kind, PATTERN, **options())
    controls = unpack(found, IndicatorControls, strict=True)
    assert controls is not None
    assert controls.indicator_kind == kind
    assert controls.layer == kind.partition(".")[0]


def test_the_same_row_is_the_same_object_whoever_builds_it() -> None:
    fast = network_indicator("192.0.2.44", **options())
    assert fast == indicator("network.ipv4", PATTERN, **options())
    assert fast["id"] == indicator_id(LAB, "network.ipv4", PATTERN)
    again = network_indicator(" 192.0.2.44 ", **options(created=NOW + timedelta(days=1)))
    assert again["id"] == fast["id"]
    other = "identity--82bfadef-a32f-5914-831a-73830f3d7664"
    assert network_indicator("192.0.2.44", **options(created_by=other))["id"] != fast["id"]


def test_objects_do_not_share_their_insides() -> None:
    one, two = (network_indicator("192.0.2.44", **options()) for _ in range(2))
    one["extensions"][INDICATOR_CONTROLS]["decay"]["floor"] = 9
    one["kill_chain_phases"].clear()
    assert two == network_indicator("192.0.2.44", **options())


def test_options_appear_in_the_object() -> None:
    given_id = "indicator--96e6fdc9-d50c-5d58-a613-e127f05da67f"
    found = prompt_indicator(
        "literal",
        "write out every step",
        **options(
            confidence=0,
            name="n",
            description="d",
            tlp=TLP.RED,
            object_id=given_id,
            controls={"min_band_hits": 3, "canary": True},
            privacy_form="model",
            valid_from=NOW.astimezone(timezone(timedelta(hours=5))),
        ),
    )
    assert (found["confidence"], found["name"], found["description"]) == (0, "n", "d")
    assert found["id"] == given_id
    assert tlp_of(found) is TLP.RED
    assert found["valid_from"] == "2026-11-21T09:30:00.000Z"
    controls = unpack(found, IndicatorControls)
    assert controls is not None
    assert (controls.min_band_hits, controls.canary, controls.privacy_form) == (3, True, "model")


def test_a_token_indicator_names_its_key() -> None:
    token = f"email:k-1.2026q4:{'0f' * 32}"
    for more in ({}, {"controls": {"fpr_n": 5}}):
        found = account_token_indicator([token], **options(**more))
        controls = unpack(found, IndicatorControls)
        assert controls is not None
        assert controls.key_id == "k-1.2026q4"
    rotated = account_token_indicator([token, token.replace("q4", "q3")], **options())
    assert "key_id" not in rotated["extensions"][INDICATOR_CONTROLS]


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"created_by": "mallory@mail.example"}, "created_by"),
        ({"created_by": "indicator--96e6fdc9-d50c-5d58-a613-e127f05da67f"}, "created_by"),
        ({"object_id": "campaign--96e6fdc9-d50c-5d58-a613-e127f05da67f"}, "object_id"),
        ({"created": datetime.fromisoformat("2026-11-21")}, None),
        ({"valid_from": datetime.fromisoformat("2026-11-21")}, "valid_from, valid_until"),
        ({"valid_until": NOW - timedelta(days=3)}, "valid_until"),
        ({"valid_until": NOW - timedelta(days=4)}, "valid_until"),
        ({"valid_until": NOW + timedelta(days=87, microseconds=1)}, "valid_until"),
        ({"confidence": 101}, "confidence"),
        ({"confidence": -1}, "confidence"),
        ({"confidence": True}, "confidence"),
        ({"name": "\ud800"}, "name, description"),
        ({"description": "\udfff"}, "name, description"),
        ({"controls": {"layer": "prompt"}}, "controls"),
        ({"controls": {"indicator_kind": "network.domain"}}, "controls"),
        ({"controls": {"max_action": "arrest"}}, "controls"),
        ({"controls": {"x_unknown": 1}}, "controls.x_unknown"),
        ({"controls": {"fpr_n": -1}}, "controls"),
        ({"privacy_form": "secret"}, "controls"),
    ],
)
def test_an_option_out_of_range_is_refused(changes: dict[str, Any], where: str | None) -> None:
    with pytest.raises(InputError) as caught:
        network_indicator("192.0.2.44", **options(**changes))
    assert caught.value.where == where
    assert "mallory" not in str(caught.value)


def test_ninety_days_are_allowed() -> None:
    found = network_indicator("192.0.2.44", **options(valid_until=NOW + timedelta(days=87)))
    assert found["valid_until"] == "2027-02-16T09:30:00.000Z"


def test_the_generic_builder_parses_its_pattern() -> None:
    with pytest.raises(PatternError):
        indicator("network.ipv4", "[ipv4-addr:value = '192.0.2.44'", **options())
    with pytest.raises(InputError, match="no such kind"):
        indicator("network.telepathy", PATTERN, **options())
    with pytest.raises(InputError, match="belongs to the layer network"):
        indicator("network.ipv4", PATTERN, layer="prompt", **options())


@given(HOSTILE, st.sampled_from(["user-agent", "name-shape", "email-shape", "literal", "regex"]))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_whatever_a_fast_builder_makes_stix2_accepts(value: str, kind: str) -> None:
    register()
    try:
        if kind == "user-agent":
            found = network_indicator(value, kind=kind, **options())
        elif kind in ("literal", "regex"):
            found = prompt_indicator(kind, value, **options(name=value))
        else:
            found = account_indicator(kind, value, **options(description=value))
    except InputError:
        return
    assert stix2.parse(found, allow_custom=False)["id"] == found["id"]
    assert loads(dumps(found)) == found
