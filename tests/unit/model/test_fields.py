"""Typed fields and JSON Schemas are one contract: they accept and refuse the same instances."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from hub.errors import InputError
from hub.model import fields
from hub.model.codec import Json
from hub.model.extension import EXTENSIONS, LLM_EXCHANGE, Extension
from hub.resources import schemas

H64 = "0123456789abcdef" * 4
UUID5 = "96e6fdc9-d50c-5d58-a613-e127f05da67f"
TIME = "2026-11-20T03:11:07.25Z"
COUNT = {"low": 2000, "high": 5000, "method": "server logs"}

FULL: dict[str, Json] = {
    "llm-account": {
        "org_id": "org-7",
        "api_key_id": "key-7",
        "fingerprints": [
            {
                "kind": "email",
                "alg": "hmac-sha256",
                "key_id": "circle-a.2026q4",
                "norm": "email-v1",
                "value": H64,
            }
        ],
        "fp_tokens": [f"email:circle-a.2026q4:{H64}"],
        "email_domain": "mailbox-farm.example",
        "email_domain_class": "disposable",
        "local_part_shape": "llll.dddd",
        "display_name_shape": "Ullll",
        "api_key_prefix": "sk-fic-7Q",
        "org_token": H64,
        "tenant": "t",
        "signup_time": TIME,
        "signup_batch_id": "b",
        "verification_path": "education",
        "reseller_of": "example-lab",
        "status": "banned",
    },
    "net-fingerprint": {
        "ja3": H64[:32],
        "ja4": "t13d1516h2_8daaf6152771_e5627efa2ab1",
        "ja4h": "ge11nn05enus_9ed1ff1f7b03_cd8dafe26982",
        "ja4x": "2166164053c1_2166164053c1_30d204a01551",
        "ja4t": "64240_2-1-3-1-1-4_1460_8",
        "http2_fingerprint": "1:65536|0|0|m,p,a,s",
        "header_order_sha256": H64,
        "user_agent": "relay-pool/3",
        "asn": 64496,
        "egress_class": "llm-gateway",
        "gateway_software": "new-api",
    },
    "distillation-campaign": {
        "account_count": COUNT,
        "exchange_count": COUNT,
        "api_key_count": COUNT,
        "output_token_count": COUNT,
        "indicator_count": COUNT,
        "targeted_models": ["example-frontier-4"],
        "targeted_capabilities": ["coding", "other"],
        "cluster_role": "reseller",
        "release_pivot_hours": 19.5,
        "mixed_benign_traffic": True,
        "attribution": {
            "level": "suspected",
            "basis": ["payment", "admission"],
            "independent_sources": 2,
            "dissent": "may be unwitting",
        },
    },
    "indicator-controls": {
        "indicator_kind": "account.email-keyed",
        "layer": "account",
        "privacy_form": "oblivious",
        "key_id": "circle-a.2026q4",
        "bucket_bits": 20,
        "bucket": 1_048_575,
        "match_profile": "mh3w.64.16x4",
        "min_band_hits": 1,
        "similarity_threshold": 0.8,
        "group_by": ["account"],
        "count_distinct": "user-account:user_id",
        "expected_fpr": 0.0003,
        "fpr_corpus": "first turns",
        "fpr_n": 11775,
        "warninglists_checked": ["benign-prompts-v1"],
        "decay": {"model": "polynomial", "lifetime_days": 30, "speed": 2.0, "floor": 0},
        "max_action": "rate-limit",
        "needs_corroboration": 1,
        "canary": False,
    },
    "evidence": {
        "fact_id": "D-001",
        "fact_class": "derived",
        "articulable_fact": "3,000 accounts shared 41 payment fingerprints.",
        "collected_at": TIME,
        "collection_method": "server logs",
        "source_record_count": 0,
        "merkle_root_sha256": H64,
        "hash_manifest_url": "https://example.com/manifest",
        "custodian_ref": f"identity--{UUID5}",
        "preservation_until": TIME,
        "independent_of": ["F-002"],
        "legal_bases": ["contract"],
        "authority_mapping": [
            {
                "authority": "Example Act",
                "element": "specific facts",
                "status": "gap",
                "fact_ids": ["F-1"],
            }
        ],
        "caveats": ["Single reporter"],
        "scrubbed_personal_information": True,
        "scrub_reviewer": "privacy-team",
    },
    "llm-exchange": {
        "provider_name": "example-lab",
        "operation_name": "chat",
        "request_model": "example-frontier-4",
        "response_model": "example-frontier-4-a",
        "conversation_id": "c",
        "request_time": TIME,
        "usage_input_tokens": 92,
        "usage_output_tokens": 1840,
        "usage_reasoning_output_tokens": 0,
        "account_ref": f"user-account--{UUID5}",
        "src_ref": f"ipv6-addr--{UUID5}",
        "network_ref": f"network-traffic--{UUID5}",
        "user_agent": "relay-pool/3",
        "capability_focus": ["chain-of-thought"],
        "prompt": {
            "norm": "prompt-v1",
            "char_count": 294,
            "lang": "en",
            "sha256_raw": H64,
            "sha256_norm": H64,
            "hmac_norm": H64,
            "template_sha256": H64,
            "lsh_profile": "mh3w.64.16x4",
            "lsh_bands": [f"mh3w.64.16x4:00:{H64[:16]}", f"sh64.8x8:07:{H64[:16]}"],
            "simhash64": H64[:16],
            "tlsh": "T1" + "A0" * 35,
            "embedding_profile": "e5-small-v2.kmeans4096.v1",
            "embedding_cells": ["c0172"],
            "text": "write out every step",
        },
        "output": {
            "canary_ids": ["cnry-7f3a91"],
            "watermark_scheme": "kgw-v2",
            "watermark_zscore": -6.5,
        },
        "window": {
            "seconds": 3600,
            "exchange_count": 41877,
            "distinct_accounts": 312,
            "distinct_api_keys": 400,
            "distinct_sources": 4,
            "max_concurrency": 220,
            "burst_sync_score": 0.94,
            "account_share_gini": 0.08,
            "mean_interarrival_ms": 85.5,
            "template_ratio": 1,
            "hours_since_model_release": -2.5,
            "model_switch_ratio": 0.47,
        },
    },
}

WRONG: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    65,
    -1,
    0.5,
    -0.5,
    1.5,
    2**32,
    2**53,
    "",
    "x",
    "chat",
    "unknown",
    H64,
    H64.upper(),
    "x" * 13,
    "x" * 2001,
    TIME,
    "2026-02-30T03:11:07Z",
    "2026-11-20T03:11:07+00:00",
    f"identity--{UUID5}",
    f"indicator--{UUID5}",
    [],
    [""],
    [None],
    ["x"],
    ["x", 1],
    {},
    {"x": 1},
    [{}],
]


def paths(value: Any, so_far: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place inside a JSON value."""
    items = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    for key, inner in items:
        yield (*so_far, key)
        yield from paths(inner, (*so_far, key))


def mutants(full: Json) -> Iterator[tuple[str, Json]]:
    """The full instance, each field alone, and every field removed, replaced or joined."""
    yield "full", full
    for place in paths(full):
        for index, wrong in enumerate(WRONG):
            changed = copy.deepcopy(full)
            target: Any = changed
            for key in place[:-1]:
                target = target[key]
            target[place[-1]] = copy.deepcopy(wrong)
            yield f"{place} = WRONG[{index}]", changed
        removed = copy.deepcopy(full)
        target = removed
        for key in place[:-1]:
            target = target[key]
        del target[place[-1]]
        yield f"without {place}", removed
        joined = copy.deepcopy(full)
        target = joined
        for key in place:
            target = target[key]
        if isinstance(target, dict):
            target["x_unknown"] = 1
            yield f"{place} + unknown", joined
    yield "unknown", {**full, "x_unknown": 1}
    for name in full:
        yield f"only {name}", {name: full[name]}


def schema_of(extension: Extension) -> jsonschema.Draft202012Validator:
    """The checked-in schema of an extension, formats asserted."""
    schema = json.loads((schemas() / f"{extension.name}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )


def whole(extension: Extension, body: Json) -> Json:
    """The instance that the schema describes, around an extension's own fields."""
    if extension.kind == "property-extension":
        return {"extension_type": extension.kind, **body}
    return {
        "type": extension.name,
        "spec_version": "2.1",
        "id": f"{extension.name}--{UUID5}",
        "extensions": {LLM_EXCHANGE: {"extension_type": "new-sco"}},
        **body,
    }


def understood(extension: Extension, body: Json) -> bool:
    """Whether the typed fields accept an instance."""
    try:
        fields.decode(body, extension.fields, where="x")
    except InputError:
        return False
    return True


@pytest.mark.parametrize("extension", EXTENSIONS.values(), ids=lambda e: e.name)
def test_typed_fields_and_schema_agree_on_every_mutant(extension: Extension) -> None:
    schema = schema_of(extension)
    counted = {True: 0, False: 0}
    for what, body in mutants(FULL[extension.name]):
        # JSON Schema cannot compare two fields: only the typed side knows that low <= high, and
        # that a bucket has no more bits than said.
        if "'low'" in what or "'high'" in what or "'bucket_bits',) =" in what:
            continue
        accepted = schema.is_valid(whole(extension, body))
        assert understood(extension, body) == accepted, what
        counted[accepted] += 1
    assert counted[True] > len(FULL[extension.name])
    assert counted[False] > 100


@pytest.mark.parametrize("extension", EXTENSIONS.values(), ids=lambda e: e.name)
def test_the_full_instance_names_every_field_and_reads_back(extension: Extension) -> None:
    schema = schema_of(extension).schema
    own = {
        name
        for name in schema["properties"]
        if name
        not in {
            "extension_type",
            "type",
            "spec_version",
            "id",
            "object_marking_refs",
            "granular_markings",
            "defanged",
            "extensions",
        }
    }
    full = FULL[extension.name]
    assert own == set(full) == set(extension.fields.__struct_fields__)
    assert fields.encode(fields.decode(full, extension.fields, where="x")) == full


@pytest.mark.parametrize("extension", EXTENSIONS.values(), ids=lambda e: e.name)
def test_schemas_say_who_they_are(extension: Extension) -> None:
    schema = schema_of(extension).schema
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == extension.schema_id
    assert schema["description"] == extension.description
    assert schema["additionalProperties"] is False
    assert all("description" in schema["properties"][name] for name in FULL[extension.name])


def test_a_lenient_reader_passes_over_what_a_newer_publisher_added() -> None:
    newer = {**FULL["indicator-controls"], "x_new": {"a": 1}}
    with pytest.raises(InputError, match="unknown field"):
        fields.decode(newer, fields.IndicatorControls, where="x")
    found = fields.decode(newer, fields.IndicatorControls, where="x", strict=False)
    assert found.min_band_hits == 1


OBLIVIOUS: Json = {
    "indicator_kind": "account.email-keyed",
    "layer": "account",
    "privacy_form": "oblivious",
    "key_id": "circle-a.2026q4",
    "bucket_bits": 8,
    "bucket": 255,
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bucket": 256}, "more bits than bucket_bits"),
        ({"bucket_bits": 7}, "more bits than bucket_bits"),
        ({"bucket_bits": 3}, ">= 4"),
        ({"bucket_bits": 21}, "<= 20"),
        ({"bucket": -1}, ">= 0"),
        ({"privacy_form": "hmac"}, "only the form oblivious has a bucket"),
    ],
)
def test_a_bucket_fits_its_length_and_its_form(change: Json, said: str) -> None:
    assert fields.decode(OBLIVIOUS, fields.IndicatorControls, where="x").bucket == 255
    with pytest.raises(InputError, match=said):
        fields.decode(OBLIVIOUS | change, fields.IndicatorControls, where="x")


def test_bounds_must_be_in_order() -> None:
    with pytest.raises(InputError, match="low must not exceed high"):
        fields.decode({"low": 2, "high": 1}, fields.CountRange, where="x")


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [(0, 0, 0), (1, 1, 1), (3, 2, 5), (7, 5, 10), (37, 20, 50), (100, 100, 100), (101, 100, 200)],
)
def test_a_count_is_told_as_the_bounds_around_it(count: int, low: int, high: int) -> None:
    found = fields.CountRange.around(count)
    assert (found.low, found.high) == (low, high)


def test_a_negative_count_has_no_bounds() -> None:
    with pytest.raises(InputError):
        fields.CountRange.around(-1)


def test_an_error_names_the_field_and_hides_the_value() -> None:
    for body in (
        {"status": "mallory@mail.example"},
        {"email_domain": ["mallory@mail.example"]},
        {"fp_tokens": ["mallory@mail.example"]},
        {"mallory@mail.example": 1},
    ):
        with pytest.raises(InputError) as caught:
            fields.decode(body, fields.LlmAccount, where="llm-account")
        assert "mallory" not in str(caught.value)
        assert str(caught.value).startswith("llm-account")
