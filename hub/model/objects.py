"""Builders of STIX objects other than indicators, and of new versions of any object.

Builders return plain dicts and make only valid objects: whatever would not pass `stix2` and our
schemas raises `InputError`. Ids follow from what makes an object this one, so that saying a thing
twice says it once; an explicit id always wins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, Required, TypedDict, Unpack, get_args

from hub.errors import InputError
from hub.model.codec import Json, dumps
from hub.model.extension import pack
from hub.model.fields import DistillationCampaign, Evidence
from hub.model.identifiers import deterministic_id, is_id, parse_timestamp, timestamp
from hub.model.indicators import (
    MAX_LIFETIME,
    account_indicator,
    account_token_indicator,
    indicator,
    indicator_id,
    network_indicator,
    prompt_indicator,
)
from hub.model.kinds import KINDS, KindInfo
from hub.model.markings import TLP
from hub.model.pattern import pattern_string

__all__ = [
    "KINDS",
    "MAX_LIFETIME",
    "KindInfo",
    "account_indicator",
    "account_token_indicator",
    "campaign",
    "identity",
    "indicator",
    "indicator_id",
    "infrastructure",
    "network_indicator",
    "new_version",
    "note",
    "opinion",
    "pattern_string",
    "prompt_indicator",
    "relationship",
    "report",
    "revoke",
    "sighting",
]

Verdict = Literal["strongly-disagree", "disagree", "neutral", "agree", "strongly-agree"]
"""`opinion-enum`; strongly-disagree with an indicator is the report of a false positive."""

MAX_SIGHTINGS: Final = 999_999_999
"""Greatest `count` of one sighting (STIX 2.1, section 5.2.1)."""


class Authorship(TypedDict, total=False):
    """What every object has: its author's identity id, when it was made, how far it may go."""

    created_by: Required[str]
    created: Required[datetime]
    tlp: TLP
    object_id: str | None


def identity(
    name: str,
    *,
    created: datetime,
    identity_id: str | None = None,
    identity_class: str = "organization",
    sectors: Sequence[str] = (),
    description: str | None = None,
    tlp: TLP = TLP.CLEAR,
) -> Json:
    """An identity that describes itself: its author is itself.

    Args:
        identity_id: such as a channel member's id; without it the id follows from the name.
        sectors: of `industry-sector-ov`, such as `technology`.
    Source: STIX 2.1, section 4.5.
    """
    own_id = identity_id or deterministic_id("identity", name)
    options: Authorship = {
        "created_by": own_id,
        "created": created,
        "tlp": tlp,
        "object_id": own_id,
    }
    return _assemble(
        "identity",
        (),
        {
            "name": _text(name, "name"),
            "description": description,
            "identity_class": _text(identity_class, "identity_class"),
            "sectors": list(sectors),
        },
        options,
    )


def campaign(
    name: str,
    *,
    description: str | None = None,
    aliases: Sequence[str] = (),
    first_seen: datetime | None = None,
    last_seen: datetime | None = None,
    objective: str | None = None,
    distillation: DistillationCampaign | None = None,
    **options: Unpack[Authorship],
) -> Json:
    """A distillation campaign; its scale as ranges in the `distillation-campaign` extension.

    The id follows from author and name.

    Source: STIX 2.1, section 4.2.
    """
    _in_order(first_seen, last_seen, "last_seen")
    return _assemble(
        "campaign",
        (_text(name, "name"),),
        {
            "name": name,
            "description": description,
            "aliases": list(aliases),
            "first_seen": _time(first_seen),
            "last_seen": _time(last_seen),
            "objective": objective,
            "extensions": pack(distillation) if distillation else None,
        },
        options,
    )


def infrastructure(
    name: str,
    *,
    infrastructure_types: Sequence[str] = ("anonymization",),
    description: str | None = None,
    first_seen: datetime | None = None,
    last_seen: datetime | None = None,
    distillation: DistillationCampaign | None = None,
    **options: Unpack[Authorship],
) -> Json:
    """A relay, reseller or account farm; its role in the `distillation-campaign` extension.

    Source: STIX 2.1, section 4.8.
    """
    _in_order(first_seen, last_seen, "last_seen")
    return _assemble(
        "infrastructure",
        (_text(name, "name"),),
        {
            "name": name,
            "description": description,
            "infrastructure_types": list(infrastructure_types),
            "first_seen": _time(first_seen),
            "last_seen": _time(last_seen),
            "extensions": pack(distillation) if distillation else None,
        },
        options,
    )


def relationship(
    source_ref: str,
    relationship_type: str,
    target_ref: str,
    *,
    description: str | None = None,
    **options: Unpack[Authorship],
) -> Json:
    """A relationship, such as indicator `indicates` campaign, campaign `uses` infrastructure.

    The id follows from author, ends and type.

    Source: STIX 2.1, section 5.1.
    """
    _reference(source_ref, "source_ref")
    _reference(target_ref, "target_ref")
    kind = _text(relationship_type, "relationship_type")
    if _RELATIONSHIP.fullmatch(kind) is None:
        raise InputError(
            "lower-case letters, digits and hyphens are wanted", where="relationship_type"
        )
    return _assemble(
        "relationship",
        (source_ref, kind, target_ref),
        {
            "relationship_type": kind,
            "description": description,
            "source_ref": source_ref,
            "target_ref": target_ref,
        },
        options,
    )


def sighting(
    indicator_id: str,
    *,
    first_seen: datetime,
    last_seen: datetime,
    count: int = 1,
    confidence: int | None = None,
    where_sighted_refs: Sequence[str] = (),
    observed_data_refs: Sequence[str] = (),
    description: str | None = None,
    **options: Unpack[Authorship],
) -> Json:
    """A report that what an object describes was seen `count` times.

    The id follows from author, object and `first_seen`, so that a growing count is a new version.

    Source: STIX 2.1, section 5.2.
    """
    _reference(indicator_id, "sighting_of_ref")
    _in_order(first_seen, last_seen, "last_seen")
    if type(count) is not int or not 0 <= count <= MAX_SIGHTINGS:
        raise InputError(f"an integer from 0 to {MAX_SIGHTINGS} is wanted", where="count")
    return _assemble(
        "sighting",
        (indicator_id, timestamp(first_seen)),
        {
            "description": description,
            "first_seen": _time(first_seen),
            "last_seen": _time(last_seen),
            "count": count,
            "sighting_of_ref": indicator_id,
            "observed_data_refs": _references(
                observed_data_refs, "observed_data_refs", ("observed-data",)
            ),
            "where_sighted_refs": _references(
                where_sighted_refs, "where_sighted_refs", ("identity", "location")
            ),
            "confidence": _confidence(confidence),
        },
        options,
    )


def opinion(
    object_ref: str,
    verdict: Verdict,
    *,
    explanation: str | None = None,
    authors: Sequence[str] = (),
    **options: Unpack[Authorship],
) -> Json:
    """An assessment of somebody else's object; one per author and object, versioned.

    Source: STIX 2.1, section 4.14.
    """
    _reference(object_ref, "object_refs")
    if verdict not in get_args(Verdict):
        raise InputError("not a value of opinion-enum", where="opinion")
    return _assemble(
        "opinion",
        (object_ref,),
        {
            "explanation": explanation,
            "authors": list(authors),
            "opinion": verdict,
            "object_refs": [object_ref],
        },
        options,
    )


def note(
    object_refs: Sequence[str],
    content: str,
    *,
    abstract: str | None = None,
    authors: Sequence[str] = (),
    evidence: Evidence | None = None,
    **options: Unpack[Authorship],
) -> Json:
    """A note on objects.

    Source: STIX 2.1, section 4.12.
    """
    refs = _references(object_refs, "object_refs", ()) or []
    if not refs:
        raise InputError("at least one object is wanted", where="object_refs")
    return _assemble(
        "note",
        (*refs, _text(content, "content")),
        {
            "abstract": abstract,
            "content": content,
            "authors": list(authors),
            "object_refs": refs,
            "extensions": pack(evidence) if evidence else None,
        },
        options,
    )


def report(
    name: str,
    object_refs: Sequence[str],
    *,
    published: datetime,
    report_types: Sequence[str] = ("campaign",),
    description: str | None = None,
    evidence: Evidence | None = None,
    **options: Unpack[Authorship],
) -> Json:
    """A report about objects, with its `evidence`.

    Source: STIX 2.1, section 4.16.
    """
    refs = _references(object_refs, "object_refs", ()) or []
    if not refs:
        raise InputError("at least one object is wanted", where="object_refs")
    return _assemble(
        "report",
        (_text(name, "name"),),
        {
            "name": name,
            "description": description,
            "report_types": list(report_types),
            "published": timestamp(published),
            "object_refs": refs,
            "extensions": pack(evidence) if evidence else None,
        },
        options,
    )


def new_version(obj: Json, modified: datetime, **changes: Any) -> Json:
    """The next version of an object.

    Args:
        modified: later than the object's own.
        changes: properties to set; None takes one away.
    Raises:
        InputError: the object has no versions, is revoked, `modified` is not later, or a change
            touches what must stay: `type`, `id`, `created`, `created_by_ref`.
    Source: STIX 2.1, section 3.6.
    """
    where = str(obj.get("id"))
    fixed = _UNCHANGEABLE & changes.keys()
    if fixed:
        raise InputError(f"{', '.join(sorted(fixed))} cannot change", where=where)
    previous = obj.get("modified")
    if not isinstance(previous, str):
        raise InputError("objects of this type have no versions", where=where)
    if obj.get("revoked") is True:
        raise InputError("a revoked object has no further versions", where=where)
    if modified <= parse_timestamp(previous):
        raise InputError("a new version must be later than the last", where=where)
    merged = {**obj, **changes, "modified": timestamp(modified)}
    return _checked({name: value for name, value in merged.items() if value is not None})


def revoke(obj: Json, modified: datetime) -> Json:
    """The last version of an object: its author takes it back.

    Raises:
        InputError: as `new_version`.
    Source: STIX 2.1, section 3.6.
    """
    return new_version(obj, modified, revoked=True)


_RELATIONSHIP: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_UNCHANGEABLE: Final = frozenset({"type", "spec_version", "id", "created", "created_by_ref"})


def _assemble(
    object_type: str, key: tuple[str, ...], body: Mapping[str, Any], options: Authorship
) -> Json:
    """The object around its own properties; `key` with the author decides a derived id."""
    created_by = options["created_by"]
    if not is_id(created_by, "identity"):
        raise InputError("the author must be an identity id", where="created_by")
    object_id = options.get("object_id") or deterministic_id(object_type, created_by, *key)
    if not is_id(object_id, object_type):
        raise InputError(f"not an id of type {object_type}", where="object_id")
    created = timestamp(options["created"])
    obj = {
        "type": object_type,
        "spec_version": "2.1",
        "id": object_id,
        "created_by_ref": created_by,
        "created": created,
        "modified": created,
        **body,
        "object_marking_refs": [options.get("tlp", TLP.AMBER).id],
    }
    return _checked({name: value for name, value in obj.items() if value not in (None, [])})


def _checked(obj: Json) -> Json:
    dumps(obj)
    return obj


def _text(value: str, where: str) -> str:
    if not value:
        raise InputError("an empty text", where=where)
    return value


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp(moment)


def _in_order(first: datetime | None, last: datetime | None, where: str) -> None:
    for moment in (first, last):
        if moment is not None and moment.tzinfo is None:
            raise InputError("a time without a time zone", where=where)
    if first is not None and last is not None and last < first:
        raise InputError("must not be earlier than first_seen", where=where)


def _confidence(value: int | None) -> int | None:
    if value is not None and not (type(value) is int and 0 <= value <= 100):
        raise InputError("an integer from 0 to 100 is wanted", where="confidence")
    return value


def _reference(value: str, where: str) -> str:
    if not is_id(value):
        raise InputError("not a STIX id", where=where)
    return value


def _references(values: Sequence[str], where: str, types: tuple[str, ...]) -> list[str] | None:
    for value in values:
        _reference(value, where)
        if types and value.partition("--")[0] not in types:
            raise InputError(f"an id of type {' or '.join(types)} is wanted", where=where)
    return list(values) or None
