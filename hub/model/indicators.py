"""Builders of indicators: one for any pattern, three fast ones for the kinds that files list.

All of them make objects that `stix2`, the OASIS validator and our schemas accept, or raise. The
id follows from author, kind and pattern, so that publishing a row twice makes one object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Required, TypedDict, Unpack

from hub.errors import InputError
from hub.model import pattern as stix_pattern
from hub.model.buckets import Bucket
from hub.model.codec import Json
from hub.model.extension import INDICATOR_CONTROLS
from hub.model.fields import IndicatorControls, Layer, PrivacyForm, decode, encode
from hub.model.identifiers import deterministic_id, is_id, timestamp
from hub.model.kinds import KINDS, KindInfo
from hub.model.markings import TLP
from hub.model.selectors import (
    TOKEN_INDICATORS,
    PromptFeatures,
    account_pattern,
    network_pattern,
    prompt_pattern,
    token_pattern,
)

MAX_LIFETIME: Final = timedelta(days=90)
"""The longest time between `valid_from` and `valid_until`."""


class IndicatorOptions(TypedDict, total=False):
    """What every builder of indicators takes besides the thing described.

    `created_by` is the author's identity id. `valid_until` ends at most 90 days after
    `valid_from`. `controls` are fields of `indicator-controls` that replace the kind's defaults.
    """

    created_by: Required[str]
    created: Required[datetime]
    valid_from: Required[datetime]
    valid_until: Required[datetime]
    confidence: int | None
    name: str | None
    description: str | None
    tlp: TLP
    controls: Mapping[str, Any] | None
    privacy_form: PrivacyForm | None
    object_id: str | None


def indicator(
    kind: str,
    pattern: str,
    *,
    layer: Layer | None = None,
    **options: Unpack[IndicatorOptions],
) -> Json:
    """An indicator of any kind of the catalogue, from a pattern that somebody wrote.

    Args:
        kind: a key of `KINDS`.
        pattern: STIX 2.1 pattern text; it is parsed, which takes milliseconds.
        layer: the layer of the kind, if the caller wants it checked.
    Raises:
        PatternError: the pattern does not parse.
        InputError: unknown kind, another layer, or an option outside its range.
    Source: STIX 2.1, section 4.7.
    """
    info = KINDS.get(kind)
    if info is None:
        raise InputError("the catalogue has no such kind", where="kind")
    if layer not in (None, info.layer):
        raise InputError(f"{kind} belongs to the layer {info.layer}", where="layer")
    stix_pattern.check(pattern)
    return _assemble(info, pattern, {}, options)


def account_token_indicator(
    tokens: Sequence[str], *, bucket: Bucket | None = None, **options: Unpack[IndicatorOptions]
) -> Json:
    """An indicator of accounts, from tokens of one kind of identifier.

    Args:
        tokens: `kind:key_id:hex`, in any order; any one of them is a match.
        bucket: of oblivious tokens, which are then all under the bucket's key; None: keyed tokens.
    Raises:
        InputError: not tokens, several kinds, another kind or key than the bucket's, or an option
            outside its range.
    """
    kind, pattern, key_id = token_pattern(tokens)
    found: dict[str, Any] = {"key_id": key_id} if key_id else {}
    if bucket is not None:
        if (TOKEN_INDICATORS.get(bucket.kind), bucket.key_id) != (kind, key_id):
            raise InputError("the bucket is of another kind or key", where="bucket")
        found |= {
            "privacy_form": "oblivious",
            "bucket_bits": bucket.bits,
            "bucket": bucket.number,
        }
    return _assemble(KINDS[kind], pattern, found, options)


def account_indicator(kind: str, value: str, **options: Unpack[IndicatorOptions]) -> Json:
    """An indicator of accounts, from an attribute in plain text.

    Args:
        kind: `email-domain`, `email-shape`, `name-shape` or `api-key-prefix`.
    Raises:
        InputError: another kind, a value out of form, or an option outside its range.
    """
    full, pattern = account_pattern(kind, value)
    return _assemble(KINDS[full], pattern, {}, options)


def network_indicator(
    value: str, *, kind: str | None = None, **options: Unpack[IndicatorOptions]
) -> Json:
    """An indicator of where requests come from.

    Args:
        value: an IPv4 or IPv6 address or prefix, `AS64496`, JA3, JA4, or a host name.
        kind: must be `user-agent` for a User-Agent; may be given for the others as a check.
    Raises:
        InputError: no form fits, a reserved range, a prefix shorter than /24 or /48, or an
            option outside its range.
    """
    full, pattern = network_pattern(value, kind)
    return _assemble(KINDS[full], pattern, {}, options)


def prompt_indicator(
    kind: str, value: str | PromptFeatures, **options: Unpack[IndicatorOptions]
) -> Json:
    """An indicator of prompts.

    Args:
        kind: `sha256-raw`, `sha256-norm`, `template`, `minhash-lsh`, `literal` or `regex`.
        value: the prompt's features, or the hash, phrase or regular expression.
    Raises:
        InputError: the value does not fit the kind or describes nearly every prompt, or an
            option is outside its range.
    """
    full, pattern = prompt_pattern(kind, value)
    return _assemble(KINDS[full], pattern, {}, options)


def indicator_id(created_by: str, kind: str, pattern: str) -> str:
    """The id of the indicator that this author publishes for this pattern."""
    return deterministic_id("indicator", created_by, kind, pattern)


def _assemble(
    info: KindInfo, pattern: str, controls: Mapping[str, Any], options: IndicatorOptions
) -> Json:
    """The object around a pattern that is known to parse."""
    _require_options(options)
    if len(pattern) > stix_pattern.MAX_PATTERN_CHARS:
        raise InputError("the pattern is too long", where="pattern")
    created_by, created = options["created_by"], timestamp(options["created"])
    obj: Json = {
        "type": "indicator",
        "spec_version": "2.1",
        "id": options.get("object_id") or indicator_id(created_by, info.kind, pattern),
        "created_by_ref": created_by,
        "created": created,
        "modified": created,
        "name": options.get("name") or info.kind,
        "description": options.get("description") or info.describes,
        "indicator_types": [info.indicator_type],
        "pattern": pattern,
        "pattern_type": "stix",
        "pattern_version": "2.1",
        "valid_from": timestamp(options["valid_from"]),
        "valid_until": timestamp(options["valid_until"]),
        "confidence": options.get("confidence"),
        "kill_chain_phases": [{"kill_chain_name": "mitre-atlas", "phase_name": "exfiltration"}],
        "object_marking_refs": [options.get("tlp", TLP.AMBER).id],
        "extensions": {INDICATOR_CONTROLS: _controls(info, controls, options)},
    }
    return {name: value for name, value in obj.items() if value is not None}


def _controls(
    info: KindInfo, found: Mapping[str, Any], options: IndicatorOptions
) -> dict[str, Any]:
    body = encode(_DEFAULTS[info.kind])
    given = options.get("controls")
    privacy_form = options.get("privacy_form")
    if given or privacy_form:
        body.update(found, **(given or {}))
        if privacy_form:
            body["privacy_form"] = privacy_form
        if body["indicator_kind"] != info.kind or body["layer"] != info.layer:
            raise InputError("kind and layer follow from the pattern", where="controls")
        decode(body, IndicatorControls, where="controls")
    else:
        body.update(found)
    return {"extension_type": "property-extension", **body}


def _require_options(options: IndicatorOptions) -> None:
    if not is_id(options["created_by"], "identity"):
        raise InputError("the author must be an identity id", where="created_by")
    object_id = options.get("object_id")
    if object_id is not None and not is_id(object_id, "indicator"):
        raise InputError("not an indicator id", where="object_id")
    start, end = options["valid_from"], options["valid_until"]
    if start.tzinfo is None or end.tzinfo is None:
        raise InputError("a time without a time zone", where="valid_from, valid_until")
    if not timedelta(0) < end - start <= MAX_LIFETIME:
        raise InputError(
            f"must end after valid_from, by at most {MAX_LIFETIME.days} days", where="valid_until"
        )
    confidence = options.get("confidence")
    if confidence is not None and not (type(confidence) is int and 0 <= confidence <= 100):
        raise InputError("an integer from 0 to 100 is wanted", where="confidence")
    for field in (options.get("name"), options.get("description")):
        if field is not None and not field.isascii():
            _require_unicode(field)


def _require_unicode(text: str) -> None:
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise InputError("a string holds a lone surrogate", where="name, description")


_DEFAULTS: Final = {kind: info.controls for kind, info in KINDS.items()}
