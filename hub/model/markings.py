"""TLP 2.0 on STIX objects.

Source: FIRST, Traffic Light Protocol 2.0; OASIS, the STIX TLP 2.0 extension, whose marking
definitions have fixed ids.
"""

from __future__ import annotations

import enum
from typing import Final

from hub.model.codec import Json

TLP_EXTENSION: Final = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
_CREATED: Final = "2022-10-01T00:00:00.000Z"


class TLP(enum.IntEnum):
    """How far an object may travel; the greater, the less far."""

    CLEAR = 0
    GREEN = 1
    AMBER = 2
    AMBER_STRICT = 3
    RED = 4

    @property
    def id(self) -> str:
        """The official id of the marking definition."""
        return _IDS[self]

    @property
    def value_name(self) -> str:
        """The value of `tlp_2_0` in the marking definition, such as `amber+strict`."""
        return self.name.lower().replace("_", "+")

    @property
    def label(self) -> str:
        """The text that people see, such as `TLP:AMBER+STRICT`."""
        return f"TLP:{self.value_name.upper()}"

    @classmethod
    def from_label(cls, label: str) -> TLP | None:
        """The level that a label names, with or without `TLP:`, in any case; None if none."""
        name = label.strip().upper().removeprefix("TLP:").replace("+", "_")
        return cls.__members__.get(name)


_IDS: Final[dict[TLP, str]] = {
    TLP.CLEAR: "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
    TLP.GREEN: "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    TLP.AMBER: "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    TLP.AMBER_STRICT: "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
    TLP.RED: "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
}

# The four TLP 1.0 markings of the STIX 2.1 specification, section 7.2.1.4, as their nearest heir.
_BY_ID: Final[dict[str, TLP]] = {
    **{marking: level for level, marking in _IDS.items()},
    "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": TLP.CLEAR,
    "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": TLP.GREEN,
    "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": TLP.AMBER,
    "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": TLP.RED,
}

DEFAULT: Final = TLP.AMBER
"""What every builder marks with, and what an unmarked object counts as."""


def tlp_of(obj: Json) -> TLP | None:
    """The strictest TLP marking of an object or of any part of it; None if it has none."""
    references: object = obj.get("object_marking_refs")
    found = [_level(ref) for ref in references] if isinstance(references, list) else []
    granular: object = obj.get("granular_markings")
    if isinstance(granular, list):
        found += [_level(part.get("marking_ref")) for part in granular if isinstance(part, dict)]
    return max((level for level in found if level is not None), default=None)


def within(obj: Json, ceiling: TLP) -> bool:
    """Whether an object may go where at most `ceiling` may go; unmarked counts as AMBER."""
    level = tlp_of(obj)
    return (DEFAULT if level is None else level) <= ceiling


def marking_definitions() -> list[Json]:
    """The five official TLP 2.0 marking definitions, from CLEAR to RED."""
    return [
        {
            "type": "marking-definition",
            "spec_version": "2.1",
            "id": level.id,
            "created": _CREATED,
            "name": level.label,
            "extensions": {
                TLP_EXTENSION: {
                    "extension_type": "property-extension",
                    "tlp_2_0": level.value_name,
                }
            },
        }
        for level in TLP
    ]


def _level(reference: object) -> TLP | None:
    return _BY_ID.get(reference) if isinstance(reference, str) else None
