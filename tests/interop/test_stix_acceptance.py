"""Every sample is accepted by stix2 (strict), the OASIS validator (strict) and our own schemas.

The validator runs in strict mode, where each recommendation of the standard is a requirement,
but for one: check 103 wants random (UUIDv4) ids, and ours follow from content on purpose.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import stix2
import stix2validator

from hub.model import objects
from hub.model.buckets import Bucket
from hub.model.bundle import bundle
from hub.model.codec import Json, loads
from hub.model.extension import EXTENSIONS, definitions, register
from hub.model.fields import CountRange, DistillationCampaign, Evidence
from hub.model.kinds import KINDS
from hub.model.markings import marking_definitions
from hub.resources import samples, schemas

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "patterns"
LAB = "identity--1c24573d-e2a8-5200-a2c2-8d6f4d17f06e"
NOW = datetime(2026, 11, 21, 9, 30, 0, 123456, tzinfo=UTC)
AUTHOR: Any = {"created_by": LAB, "created": NOW}
LIFE: Any = {**AUTHOR, "valid_from": NOW, "valid_until": NOW + timedelta(days=90)}


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    """Strict parsing needs the custom classes."""
    register()


def built() -> Iterator[Json]:
    """One object of every builder, with every option that it takes."""
    token = f"email:circle-a.2026q4:{'0f' * 32}"
    seen: Any = {"first_seen": NOW - timedelta(days=3), "last_seen": NOW}
    scale = DistillationCampaign(account_count=CountRange.around(3100), cluster_role="operator")
    facts = Evidence(fact_id="D-001", fact_class="derived", collected_at="2026-11-21T00:00:00Z")
    found = objects.account_token_indicator([token], confidence=70, **LIFE)
    hydra = objects.campaign(
        "HYDRA",
        description="d",
        aliases=["H"],
        objective="o",
        distillation=scale,
        **seen,
        **AUTHOR,
    )
    relay = objects.infrastructure("Relay", description="d", distillation=scale, **seen, **AUTHOR)
    yield objects.account_token_indicator(
        [token.replace("0f", "f0")], bucket=Bucket("email", "circle-a.2026q4", 9, 300), **LIFE
    )
    yield objects.identity("Lab", created=NOW, identity_id=LAB, sectors=["technology"])
    yield from (found, hydra, relay)
    yield objects.account_indicator("email-domain", "mailbox-farm.example", **LIFE)
    yield objects.network_indicator("192.0.2.0/24", description="d", name="n", **LIFE)
    yield objects.prompt_indicator("literal", "it's 100 % of a \\ phrase", **LIFE)
    yield objects.indicator("network.asn", "[autonomous-system:number = 64496]", **LIFE)
    yield objects.relationship(found["id"], "indicates", hydra["id"], **AUTHOR)
    yield objects.relationship(hydra["id"], "uses", relay["id"], description="d", **AUTHOR)
    yield objects.sighting(
        found["id"], count=41, confidence=80, where_sighted_refs=[LAB], **seen, **AUTHOR
    )
    yield objects.opinion(
        found["id"], "strongly-disagree", explanation="ours", authors=["a"], **AUTHOR
    )
    yield objects.note([hydra["id"]], "text", abstract="a", evidence=facts, **AUTHOR)
    yield objects.report("Dossier", [hydra["id"]], published=NOW, evidence=facts, **AUTHOR)
    later = objects.new_version(found, NOW + timedelta(seconds=1), confidence=20)
    yield objects.revoke(later, NOW + timedelta(seconds=2))


def documents() -> dict[str, Json]:
    """Everything that must be accepted, by name, each a bundle."""
    found = {
        path.name: loads(path.read_bytes()) for path in sorted((samples() / "indicators").iterdir())
    }
    for path in sorted(VECTORS.iterdir()):
        vector = loads(path.read_bytes())
        for verdict in ("positive", "negative"):
            for number, observed in enumerate(vector[verdict]):
                found[f"{path.stem} {verdict} {number}"] = observed
    found["definitions"] = bundle([*marking_definitions(), *definitions()])
    found["builders"] = bundle(built())
    return found


DOCUMENTS = documents()
BY_NAME = pytest.mark.parametrize("document", DOCUMENTS.values(), ids=list(DOCUMENTS))


def complaints_of_stix2(document: Json) -> list[str]:
    """What stix2's strict parser says against the objects of a bundle."""
    found = []
    for obj in document["objects"]:
        try:
            stix2.parse(obj, allow_custom=False, version="2.1")
        except (stix2.exceptions.STIXError, ValueError, TypeError) as error:
            found.append(f"{obj['id']}: {error}")
    return found


def complaints_of_validator(document: Json) -> list[str]:
    """What the OASIS validator says against a bundle, recommendations included."""
    options = stix2validator.ValidationOptions(version="2.1", strict=True, disabled="103")
    result = stix2validator.validate_string(json.dumps(document), options)
    return [str(message) for message in (*result.errors, *result.warnings)]


SCHEMAS = {
    extension.id: jsonschema.Draft202012Validator(
        loads((schemas() / f"{extension.name}.json").read_bytes()),
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )
    for extension in EXTENSIONS.values()
}


def complaints_of_schemas(document: Json) -> list[str]:
    """What our JSON Schemas say against the extensions in a bundle."""
    found = []
    for obj in document["objects"]:
        for key, body in obj.get("extensions", {}).items():
            if key in SCHEMAS:
                new_object = EXTENSIONS[key].kind == "new-sco"
                instance = obj if new_object else body
                found += [error.message for error in SCHEMAS[key].iter_errors(instance)]
                if obj["type"] not in EXTENSIONS[key].extends:
                    found.append(f"{EXTENSIONS[key].name} on {obj['type']}")
    return found


@BY_NAME
def test_stix2_parses_strictly(document: Json) -> None:
    assert complaints_of_stix2(document) == []


@BY_NAME
def test_the_oasis_validator_finds_nothing(document: Json) -> None:
    assert complaints_of_validator(document) == []


@BY_NAME
def test_our_schemas_accept_the_extensions(document: Json) -> None:
    assert complaints_of_schemas(document) == []


def test_every_kind_has_a_sample_and_a_vector() -> None:
    names = [f"{kind}.json" for kind in KINDS]
    assert len(names) == 44
    assert sorted(names) == sorted(path.name for path in (samples() / "indicators").iterdir())
    assert sorted(names) == sorted(path.name for path in VECTORS.iterdir())
    for path in VECTORS.iterdir():
        vector = loads(path.read_bytes())
        assert vector["positive"]
        assert vector["negative"]
        sample = loads((samples() / "indicators" / path.name).read_bytes())
        found = [obj for obj in sample["objects"] if obj["type"] == "indicator"]
        assert [obj["pattern"] for obj in found] == [vector["pattern"]]
        info = KINDS[path.stem]
        for said in (info.describes, info.base_rate, info.caution, info.privacy_form):
            assert said in found[0]["description"]


def test_all_object_types_appear() -> None:
    types = {obj["type"] for document in DOCUMENTS.values() for obj in document["objects"]}
    assert types >= {
        "autonomous-system",
        "campaign",
        "domain-name",
        "extension-definition",
        "identity",
        "indicator",
        "infrastructure",
        "ipv4-addr",
        "ipv6-addr",
        "llm-exchange",
        "marking-definition",
        "network-traffic",
        "note",
        "observed-data",
        "opinion",
        "relationship",
        "report",
        "sighting",
        "user-account",
        "x509-certificate",
    }


def _set_unknown_control(obj: Json) -> None:
    next(iter(obj["extensions"].values()))["x_unknown"] = 1


def _break_pattern(obj: Json) -> None:
    obj["pattern"] = "[ipv4-addr:value = '192.0.2.1'"


def _reverse_validity(obj: Json) -> None:
    obj["valid_until"] = "2026-01-01T00:00:00.000Z"


def _unknown_property(obj: Json) -> None:
    obj["x_unknown"] = 1


def _wrong_layer(obj: Json) -> None:
    next(iter(obj["extensions"].values()))["layer"] = "nowhere"


@pytest.mark.parametrize(
    ("fault", "judges"),
    [
        (_set_unknown_control, [complaints_of_stix2, complaints_of_schemas]),
        (_wrong_layer, [complaints_of_stix2, complaints_of_schemas]),
        (_break_pattern, [complaints_of_stix2, complaints_of_validator]),
        (_reverse_validity, [complaints_of_stix2, complaints_of_validator]),
        (_unknown_property, [complaints_of_stix2, complaints_of_validator]),
    ],
)
def test_the_judges_see_a_planted_fault(
    fault: Callable[[Json], None], judges: list[Callable[[Json], list[str]]]
) -> None:
    document = copy.deepcopy(DOCUMENTS["network.ipv4.json"])
    fault(next(obj for obj in document["objects"] if obj["type"] == "indicator"))
    for judge in judges:
        assert judge(document) != []
