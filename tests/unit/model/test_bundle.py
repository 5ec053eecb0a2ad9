"""Bundles hold each version once and are named after what is in them."""

from __future__ import annotations

import pytest

from hub.errors import InputError
from hub.model.bundle import bundle, version_of
from hub.model.identifiers import is_id
from hub.model.markings import marking_definitions

ONE, TWO, *_ = marking_definitions()


def test_a_bundle_keeps_order_and_drops_repeats() -> None:
    found = bundle([TWO, ONE, dict(TWO)])
    assert found["objects"] == [TWO, ONE]
    assert is_id(found["id"], "bundle")
    assert found["id"] == bundle([TWO, ONE])["id"]
    assert found["id"] != bundle([ONE])["id"]


def test_two_versions_of_an_object_are_two_members() -> None:
    newer = {**ONE, "modified": "2026-11-22T00:00:00.000Z"}
    assert len(bundle([ONE, newer])["objects"]) == 2
    assert version_of(newer) > version_of(ONE)


def test_a_contradiction_inside_a_bundle_is_refused() -> None:
    with pytest.raises(InputError, match="share this id and version"):
        bundle([ONE, {**ONE, "name": "another"}])


@pytest.mark.parametrize("objects", [[], [{}], [{"type": "indicator", "id": "indicator--1"}]])
def test_nothing_valid_makes_no_bundle(objects: list[dict[str, str]]) -> None:
    with pytest.raises(InputError):
        bundle(objects)
