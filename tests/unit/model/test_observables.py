"""Observables get the ids that stix2 derives; observed-data wraps them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stix2

from hub.errors import InputError
from hub.model.extension import LLM_ACCOUNT, register
from hub.model.observables import observable, observed_data

LAB = "identity--1c24573d-e2a8-5200-a2c2-8d6f4d17f06e"
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
SOURCE = "ipv4-addr--ff26c055-6336-5bc5-b98d-13d6226742dd"

EXAMPLES: list[tuple[str, dict[str, Any]]] = [
    ("ipv4-addr", {"value": "198.51.100.3"}),
    ("ipv6-addr", {"value": "2001:db8::1"}),
    ("domain-name", {"value": "api.resell-llm.example"}),
    ("autonomous-system", {"number": 64496}),
    ("user-account", {"user_id": "acct-1"}),
    ("x509-certificate", {"hashes": {"SHA-256": "0f" * 32}}),
    ("network-traffic", {"src_ref": SOURCE, "protocols": ["tcp"], "dst_port": 443}),
    (
        "llm-exchange",
        {
            "provider_name": "example-lab",
            "prompt": {"sha256_raw": "0f" * 32},
            "window": {"seconds": 3600, "burst_sync_score": 0.94, "template_ratio": 1.0},
        },
    ),
]


@pytest.mark.parametrize(("object_type", "properties"), EXAMPLES)
def test_ids_are_those_that_stix2_derives(object_type: str, properties: dict[str, Any]) -> None:
    register()
    found = observable(object_type, **properties)
    without = {name: value for name, value in found.items() if name != "id"}
    assert stix2.parse(without, allow_custom=False)["id"] == found["id"]
    assert observable(object_type, **properties) == found


def test_an_id_does_not_depend_on_what_does_not_identify() -> None:
    plain = observable("user-account", user_id="acct-1")
    extended = observable(
        "user-account",
        user_id="acct-1",
        extensions={LLM_ACCOUNT: {"extension_type": "property-extension", "status": "banned"}},
    )
    assert plain["id"] == extended["id"]


@pytest.mark.parametrize(
    ("object_type", "properties"),
    [
        ("file", {"name": "x"}),
        ("user-account", {"display_name": "x"}),
        ("ipv4-addr", {}),
        ("ipv4-addr", {"value": "\ud800"}),
        ("llm-exchange", {"request_model": "x"}),
        ("llm-exchange", {"provider_name": "x", "prompt": {}}),
        ("llm-exchange", {"provider_name": "x", "x_unknown": 1}),
        ("llm-exchange", {"provider_name": "x", "window": {"template_ratio": 1.1}}),
    ],
)
def test_what_is_not_an_observable_of_ours_is_refused(
    object_type: str, properties: dict[str, Any]
) -> None:
    with pytest.raises(InputError):
        observable(object_type, **properties)


def seen(**changes: Any) -> dict[str, Any]:
    """Valid arguments of `observed_data`, some changed."""
    return {
        "created_by": LAB,
        "created": NOW,
        "first_observed": NOW,
        "last_observed": NOW + timedelta(seconds=1),
        **changes,
    }


def test_observed_data_refers_to_its_observables() -> None:
    address = observable("ipv4-addr", value="198.51.100.3")
    found = observed_data([address], number_observed=7, **seen())
    assert found["object_refs"] == [address["id"]]
    assert found["number_observed"] == 7
    assert stix2.parse(found, allow_custom=False)["id"] == found["id"]


@pytest.mark.parametrize(
    "changes",
    [
        {"created_by": "x"},
        {"last_observed": NOW - timedelta(seconds=1)},
        {"number_observed": 0},
        {"number_observed": 10**9},
        {"number_observed": True},
        {"objects": []},
    ],
)
def test_observed_data_out_of_range_is_refused(changes: dict[str, Any]) -> None:
    given = {"objects": [observable("ipv4-addr", value="198.51.100.3")], **seen(**changes)}
    with pytest.raises(InputError):
        observed_data(**given)
