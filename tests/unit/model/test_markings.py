"""TLP 2.0: official ids, order, and what may go where."""

from __future__ import annotations

from typing import Any

import pytest

from hub.model.markings import TLP, marking_definitions, tlp_of, within

OFFICIAL = {
    "TLP:CLEAR": "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
    "TLP:GREEN": "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    "TLP:AMBER": "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    "TLP:AMBER+STRICT": "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
    "TLP:RED": "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
}


def test_ids_and_order_are_the_official_ones() -> None:
    assert {level.label: level.id for level in sorted(TLP)} == OFFICIAL
    assert list(OFFICIAL) == [level.label for level in sorted(TLP)]


def test_definitions_name_their_level() -> None:
    found = {
        d["id"]: next(iter(d["extensions"].values()))["tlp_2_0"] for d in marking_definitions()
    }
    assert found == {
        OFFICIAL[f"TLP:{name.upper()}"]: name
        for name in ("clear", "green", "amber", "amber+strict", "red")
    }


@pytest.mark.parametrize("level", TLP)
def test_labels_read_back(level: TLP) -> None:
    assert TLP.from_label(level.label) is level
    assert TLP.from_label(level.value_name) is level
    assert TLP.from_label("TLP:WHATEVER") is None


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        ({}, None),
        ({"object_marking_refs": [TLP.GREEN.id]}, TLP.GREEN),
        ({"object_marking_refs": [TLP.GREEN.id, TLP.RED.id]}, TLP.RED),
        (
            {
                "object_marking_refs": [TLP.GREEN.id],
                "granular_markings": [{"marking_ref": TLP.AMBER_STRICT.id, "selectors": ["name"]}],
            },
            TLP.AMBER_STRICT,
        ),
        ({"object_marking_refs": ["marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"]}, 2),
        ({"object_marking_refs": ["marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9"]}, 0),
        (
            {"object_marking_refs": ["marking-definition--00000000-0000-4000-8000-000000000000"]},
            None,
        ),
        ({"object_marking_refs": "x", "granular_markings": 7}, None),
        ({"object_marking_refs": [None, {}], "granular_markings": [None]}, None),
    ],
)
def test_the_strictest_marking_counts(obj: dict[str, Any], expected: TLP | None) -> None:
    assert tlp_of(obj) == expected


def test_a_ceiling_holds_back_what_is_stricter() -> None:
    allowed = [
        (level.name, ceiling.name)
        for level in TLP
        for ceiling in TLP
        if within({"object_marking_refs": [level.id]}, ceiling)
    ]
    assert allowed == [(low.name, high.name) for low in TLP for high in TLP if low <= high]


def test_an_unmarked_object_counts_as_amber() -> None:
    assert not within({}, TLP.GREEN)
    assert within({}, TLP.AMBER)
