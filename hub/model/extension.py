"""The registered extensions: ids, typed fields, definitions, stix2 classes.

The ids are final. `schemas/<name>.json` is the JSON Schema of each, and
`schemas/extensions/<name>.json` its `extension-definition` object.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from hub.errors import InputError
from hub.model import fields
from hub.model.codec import Json
from hub.model.fields import Fields
from hub.model.markings import TLP, TLP_EXTENSION

LLM_EXCHANGE: Final = "extension-definition--e96cfc02-1198-5787-ac47-630faaac84ac"
LLM_ACCOUNT: Final = "extension-definition--509b69b0-5e74-5443-a941-a12fce0f875a"
NET_FINGERPRINT: Final = "extension-definition--bc991303-941f-5bb4-bd8e-b01d033e816e"
DISTILLATION_CAMPAIGN: Final = "extension-definition--5d9e42ef-e8ac-55ef-9a64-2464e8614193"
INDICATOR_CONTROLS: Final = "extension-definition--dabc22b3-31a3-588c-9e46-10c69646e84d"
EVIDENCE: Final = "extension-definition--1dfabf24-395e-57df-a67f-391aa125b6e3"

AUTHOR: Final = "identity--82bfadef-a32f-5914-831a-73830f3d7664"
"""The identity that defines the extensions."""
VERSION: Final = "1.0.0"
SCHEMA_BASE: Final = "https://stillwatch.example/schemas/1.0.0/"
"""Start of every schema's `$id`: a name under a reserved domain, never fetched."""
_CREATED: Final = "2026-11-21T00:00:00.000Z"


@dataclass(frozen=True)
class Extension:
    """One extension of the data model.

    Args:
        id: the `extension-definition` id, the key under an object's `extensions`.
        name: also the name of its files in `schemas/`.
        description: what it adds, to which object types.
        kind: `property-extension` or `new-sco`.
        fields: its typed fields; for `new-sco` those of the object itself.
        extends: the object types that it may appear on.
    """

    id: str
    name: str
    description: str
    kind: str
    fields: type[Fields]
    extends: tuple[str, ...]

    @property
    def schema_id(self) -> str:
        """The `$id` of its JSON Schema."""
        return f"{SCHEMA_BASE}{self.name}.json"


EXTENSIONS: Final[Mapping[str, Extension]] = {
    extension.id: extension
    for extension in (
        Extension(
            LLM_EXCHANGE,
            "llm-exchange",
            "New SCO llm-exchange: one request to a language model and its answer, or the "
            "aggregate of a cluster's requests over a window. Names follow the OpenTelemetry "
            "GenAI conventions, dots written as underscores.",
            "new-sco",
            fields.LlmExchange,
            ("llm-exchange",),
        ),
        Extension(
            LLM_ACCOUNT,
            "llm-account",
            "Properties of user-account: identifiers at a model provider, keyed tokens of "
            "personal identifiers, shapes, facts of registration.",
            "property-extension",
            fields.LlmAccount,
            ("user-account",),
        ),
        Extension(
            NET_FINGERPRINT,
            "net-fingerprint",
            "Properties of network-traffic, ipv4-addr and ipv6-addr: fingerprints of the client's "
            "TLS and HTTP stack, class of egress, gateway software.",
            "property-extension",
            fields.NetFingerprint,
            ("network-traffic", "ipv4-addr", "ipv6-addr"),
        ),
        Extension(
            DISTILLATION_CAMPAIGN,
            "distillation-campaign",
            "Properties of campaign, infrastructure, incident and grouping: scale as ranges, "
            "targeted models and capabilities, role in the cluster, attribution.",
            "property-extension",
            fields.DistillationCampaign,
            ("campaign", "infrastructure", "incident", "grouping"),
        ),
        Extension(
            INDICATOR_CONTROLS,
            "indicator-controls",
            "Properties of indicator: kind and layer, privacy form, matching rules beyond the "
            "pattern, expected false-positive rate, decay, harshest proportionate action.",
            "property-extension",
            fields.IndicatorControls,
            ("indicator",),
        ),
        Extension(
            EVIDENCE,
            "evidence",
            "Properties of report, grouping, observed-data and note: articulable fact, custody, "
            "integrity, legal basis, caveats.",
            "property-extension",
            fields.Evidence,
            ("report", "grouping", "observed-data", "note"),
        ),
    )
}


def definitions() -> list[Json]:
    """The identity that defines the extensions, then one `extension-definition` for each.

    Source: STIX 2.1, section 7.3.
    """
    common = {"created": _CREATED, "modified": _CREATED}
    identity: Json = {
        "type": "identity",
        "spec_version": "2.1",
        "id": AUTHOR,
        **common,
        "name": "Stillwatch",
        "description": "Defines the STIX extensions for attacks that distil language models.",
        "identity_class": "system",
        "object_marking_refs": [TLP.CLEAR.id],
    }
    return [identity] + [
        {
            "type": "extension-definition",
            "spec_version": "2.1",
            "id": extension.id,
            "created_by_ref": AUTHOR,
            **common,
            "name": extension.name,
            "description": extension.description,
            "schema": extension.schema_id,
            "version": VERSION,
            "extension_types": [extension.kind],
            "object_marking_refs": [TLP.CLEAR.id],
        }
        for extension in EXTENSIONS.values()
    ]


def pack(content: Fields) -> dict[str, Json]:
    """Typed fields of a property extension as an entry for an object's `extensions`.

    Raises:
        InputError: no property extension has these fields, or no field is given.
    """
    extension = _of(type(content))
    body = fields.encode(content)
    if not body:
        raise InputError("an extension without any field", where=extension.name)
    # Constructors of typed fields do not check; what leaves as JSON has been.
    fields.decode(body, type(content), where=extension.name)
    return {extension.id: {"extension_type": extension.kind, **body}}


def unpack(obj: Json, wanted: type[fields.F], *, strict: bool = False) -> fields.F | None:
    """The typed fields of a property extension of an object; None if it is not there.

    Args:
        strict: refuse fields that a newer version of the extension may have added.
    Raises:
        InputError: the extension is there and does not hold what its schema says.
    """
    extension = _of(wanted)
    held = obj.get("extensions")
    if not isinstance(held, dict) or extension.id not in held:
        return None
    where = f"{obj.get('id', obj.get('type', '?'))}.{extension.name}"
    body = held[extension.id]
    if not isinstance(body, dict) or body.get("extension_type") != extension.kind:
        raise InputError(f"extension_type must be {extension.kind}", where=where)
    content = {name: value for name, value in body.items() if name != "extension_type"}
    return fields.decode(content, wanted, where=where, strict=strict)


def validate(extension_id: str, body: object, *, where: str = "") -> None:
    """Check a property extension's body against its typed fields, closed.

    Raises:
        InputError: unknown extension, or the body is not what its schema says.
    """
    extension = EXTENSIONS.get(extension_id)
    if extension is None or extension.kind != "property-extension":
        raise InputError("not a property extension of Stillwatch", where=where or None)
    holder = {"extensions": {extension_id: body}, "id": where or extension.name}
    unpack(holder, extension.fields, strict=True)


def register() -> None:
    """Make `stix2` parse the extensions and the SCO strictly; call it once or often.

    It changes the registry of the `stix2` package in this process, so nothing calls it at import.
    """
    from stix2 import v21
    from stix2.properties import EnumProperty
    from stix2.registry import STIX2_OBJ_MAPS

    known = STIX2_OBJ_MAPS["2.1"]
    for extension in EXTENSIONS.values():
        if extension.id in known["extensions"]:
            continue
        properties = _stix2_properties(extension.fields)
        name = "".join(part.title() for part in extension.name.split("-"))
        if extension.kind == "new-sco":
            v21.CustomObservable(extension.name, properties, list(SCO_ID_PROPERTIES), extension.id)(
                type(name, (), {})
            )
        else:
            body = type(name, (), {"extension_type": extension.kind})
            v21.CustomExtension(extension.id, properties)(body)
    if TLP_EXTENSION not in known["extensions"]:
        levels = EnumProperty([level.value_name for level in TLP], required=True)
        body = type("Tlp20", (), {"extension_type": "property-extension"})
        v21.CustomExtension(TLP_EXTENSION, [("tlp_2_0", levels)])(body)


SCO_ID_PROPERTIES: Final = (
    "provider_name",
    "operation_name",
    "request_model",
    "conversation_id",
    "request_time",
    "account_ref",
    "src_ref",
    "network_ref",
    "capability_focus",
    "prompt",
    "output",
    "window",
)
"""The ID contributing properties of `llm-exchange` (STIX 2.1, section 2.9)."""


def _of(wanted: type[Fields]) -> Extension:
    for extension in EXTENSIONS.values():
        if extension.fields is wanted and extension.kind == "property-extension":
            return extension
    raise InputError(f"{wanted.__name__} is not a property extension")


def _stix2_properties(content: type[Fields]) -> list[tuple[str, Any]]:
    hints = typing.get_type_hints(content)
    return [
        (field.name, _stix2_property(field.name, hints[field.name], required=field.required))
        for field in msgspec.structs.fields(content)
    ]


def _stix2_property(name: str, hint: Any, *, required: bool) -> Any:
    """The stix2 property class for one typed field."""
    from stix2 import properties as p

    if name.endswith("_ref"):
        return p.ReferenceProperty(
            valid_types=list(_REFERENCES[name]), spec_version="2.1", required=required
        )
    plain = _bare(hint)
    if typing.get_origin(plain) is list:
        inner = _bare(typing.get_args(plain)[0])
        contained = (
            p.DictionaryProperty(spec_version="2.1") if _is_fields(inner) else p.StringProperty
        )
        return p.ListProperty(contained, required=required)
    if _is_fields(plain):
        return p.DictionaryProperty(spec_version="2.1", required=required)
    if typing.get_origin(plain) is typing.Literal:
        return p.EnumProperty(list(typing.get_args(plain)), required=required)
    scalars = {
        bool: p.BooleanProperty,
        int: p.IntegerProperty,
        float: p.FloatProperty,
        str: p.StringProperty,
    }
    return scalars[plain](required=required)


_REFERENCES: Final[Mapping[str, tuple[str, ...]]] = {
    "custodian_ref": ("identity",),
    "account_ref": ("user-account",),
    "src_ref": ("ipv4-addr", "ipv6-addr", "domain-name"),
    "network_ref": ("network-traffic",),
}


def _bare(hint: Any) -> Any:
    """A type without `| None` and without `Annotated`."""
    if typing.get_origin(hint) is typing.Annotated:
        return _bare(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return _bare(next(arm for arm in typing.get_args(hint) if arm is not type(None)))
    return hint


def _is_fields(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Fields)
