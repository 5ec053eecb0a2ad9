"""Definitions, registration, packing and reading of extensions."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import stix2

from hub.errors import InputError
from hub.model.codec import Json, loads
from hub.model.extension import (
    AUTHOR,
    DISTILLATION_CAMPAIGN,
    EXTENSIONS,
    INDICATOR_CONTROLS,
    LLM_ACCOUNT,
    LLM_EXCHANGE,
    definitions,
    pack,
    register,
    unpack,
    validate,
)
from hub.model.fields import IndicatorControls, LlmAccount, LlmExchange
from hub.resources import schemas

CONTROLS: Json = {
    "extension_type": "property-extension",
    "indicator_kind": "network.ipv4",
    "layer": "network",
    "privacy_form": "plain",
}


def test_the_ids_are_final() -> None:
    assert {extension.name: extension.id for extension in EXTENSIONS.values()} == {
        "llm-exchange": "extension-definition--e96cfc02-1198-5787-ac47-630faaac84ac",
        "llm-account": "extension-definition--509b69b0-5e74-5443-a941-a12fce0f875a",
        "net-fingerprint": "extension-definition--bc991303-941f-5bb4-bd8e-b01d033e816e",
        "distillation-campaign": "extension-definition--5d9e42ef-e8ac-55ef-9a64-2464e8614193",
        "indicator-controls": "extension-definition--dabc22b3-31a3-588c-9e46-10c69646e84d",
        "evidence": "extension-definition--1dfabf24-395e-57df-a67f-391aa125b6e3",
    }


def test_definitions_point_to_the_schemas_and_their_author() -> None:
    author, *found = definitions()
    assert author["id"] == AUTHOR
    assert {definition["created_by_ref"] for definition in found} == {AUTHOR}
    for definition in found:
        schema = loads((schemas() / f"{definition['name']}.json").read_bytes())
        assert definition["schema"] == schema["$id"]
        assert definition["version"] == "1.0.0"
        assert f"/{definition['version']}/" in schema["$id"]


def test_importing_the_model_does_not_touch_stix2() -> None:
    code = (
        "import sys, hub.model.objects, hub.model.extension, hub.model.bundle;"
        "sys.exit('stix2' in sys.modules or 'antlr4' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_registration_makes_stix2_strict_and_can_be_repeated() -> None:
    register()
    register()
    fields: Json = {"extension_type": "property-extension", "status": "banned"}
    account: Json = {
        "type": "user-account",
        "spec_version": "2.1",
        "id": "user-account--96e6fdc9-d50c-5d58-a613-e127f05da67f",
        "user_id": "a",
        "extensions": {LLM_ACCOUNT: fields},
    }
    parsed = stix2.parse(account, allow_custom=False)
    assert parsed["extensions"][LLM_ACCOUNT]["status"] == "banned"
    fields["x_unknown"] = 1
    with pytest.raises(stix2.exceptions.STIXError):
        stix2.parse(account, allow_custom=False)


def test_what_is_packed_reads_back() -> None:
    content = LlmAccount(email_domain="mailbox-farm.example", status="banned")
    packed = pack(content)
    assert packed == {
        LLM_ACCOUNT: {
            "extension_type": "property-extension",
            "email_domain": "mailbox-farm.example",
            "status": "banned",
        }
    }
    assert unpack({"extensions": packed}, LlmAccount, strict=True) == content


def test_packing_checks_what_constructors_do_not() -> None:
    wrong: Any = "nowhere"
    with pytest.raises(InputError):
        pack(IndicatorControls(indicator_kind="x", layer=wrong, privacy_form="plain"))
    with pytest.raises(InputError, match="without any field"):
        pack(LlmAccount())
    with pytest.raises(InputError, match="not a property extension"):
        pack(LlmExchange(provider_name="x"))


@pytest.mark.parametrize("held", [None, [], "x", {}, {LLM_ACCOUNT: {}}])
def test_an_object_without_the_extension_has_none(held: object) -> None:
    assert unpack({"extensions": held}, IndicatorControls) is None


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {**CONTROLS, "extension_type": "toplevel-property-extension"},
        {**CONTROLS, "layer": "nowhere"},
        {name: value for name, value in CONTROLS.items() if name != "layer"},
    ],
)
def test_a_broken_extension_is_an_error_not_an_absence(body: object) -> None:
    holder = {"id": "indicator--1", "extensions": {INDICATOR_CONTROLS: body}}
    with pytest.raises(InputError, match=r"^indicator--1\.indicator-controls"):
        unpack(holder, IndicatorControls)
    with pytest.raises(InputError):
        validate(INDICATOR_CONTROLS, body)


def test_readers_are_lenient_and_validation_is_strict() -> None:
    newer = {**CONTROLS, "x_new": 1}
    assert unpack({"extensions": {INDICATOR_CONTROLS: newer}}, IndicatorControls) is not None
    validate(INDICATOR_CONTROLS, CONTROLS)
    with pytest.raises(InputError, match="unknown field"):
        validate(INDICATOR_CONTROLS, newer)


@pytest.mark.parametrize("extension_id", [LLM_EXCHANGE, "extension-definition--x"])
def test_only_property_extensions_are_validated_alone(extension_id: str) -> None:
    with pytest.raises(InputError, match="not a property extension"):
        validate(extension_id, CONTROLS)
    with pytest.raises(InputError):
        validate(DISTILLATION_CAMPAIGN, CONTROLS)
