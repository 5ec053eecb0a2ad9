"""Reading what a store indexes from an object."""

from __future__ import annotations

from typing import Any

import pytest

from hub.errors import InputError
from hub.store.objects import UNVERSIONED, new_object, same_body, version_key

_ID = "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
_GOOD: dict[str, Any] = {
    "id": _ID,
    "type": "indicator",
    "spec_version": "2.1",
    "created": "2026-01-01T00:00:00.000Z",
    "modified": "2026-01-02T00:00:00.000Z",
}


@pytest.mark.parametrize(
    ("changes", "version", "spec_version"),
    [
        ({}, "2026-01-02T00:00:00.000Z", "2.1"),
        ({"modified": ...}, "2026-01-01T00:00:00.000Z", "2.1"),
        ({"modified": ..., "created": ...}, None, "2.1"),
        ({"modified": ..., "created": ..., "spec_version": ...}, None, "2.1"),
        ({"spec_version": ...}, "2026-01-02T00:00:00.000Z", "2.0"),
    ],
)
def test_what_is_read(changes: dict[str, Any], version: str | None, spec_version: str) -> None:
    obj = {name: value for name, value in {**_GOOD, **changes}.items() if value is not ...}
    found = new_object(obj, b"raw")
    assert (found.id, found.type, found.raw) == (_ID, "indicator", b"raw")
    assert (found.version, found.spec_version) == (version, spec_version)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"id": None}, "id"),
        ({"id": 5}, "id"),
        ({"id": "indicator--1"}, "id"),
        ({"id": "Indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}, "id"),
        ({"id": _ID + "\n"}, "id"),
        ({"id": "x" * 300 + _ID[9:]}, "id"),
        ({"type": "campaign"}, _ID),
        ({"type": None}, _ID),
        ({"modified": 5}, _ID),
        ({"modified": None}, _ID),
        ({"modified": "yesterday"}, _ID),
        ({"modified": ..., "created": "2026-02-30T00:00:00Z"}, _ID),
        ({"spec_version": "3.0"}, _ID),
        ({"spec_version": 2.1}, _ID),
        ({"spec_version": None}, _ID),
    ],
)
def test_what_is_refused_names_the_object(changes: dict[str, Any], where: str) -> None:
    obj = {name: value for name, value in {**_GOOD, **changes}.items() if value is not ...}
    with pytest.raises(InputError) as caught:
        new_object(obj, b"")
    assert caught.value.where == where


def test_version_keys_order() -> None:
    keys = [
        version_key(None),
        version_key("0001-01-01T00:00:00Z"),
        version_key("2026-01-01T00:00:00Z"),
    ]
    assert keys == sorted(keys)
    assert keys[0] == UNVERSIONED


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b'{"a":1,"b":[1,2]}', b'{ "b": [1, 2], "a": 1}', True),
        (b'{"a":"\\u00e9"}', '{"a":"é"}'.encode(), True),
        (b'{"a":1}', b'{"a":true}', False),
        (b'{"a":1}', b'{"a":1.0}', False),
        (b'{"a":[1,2]}', b'{"a":[2,1]}', False),
        (b"{", b"{}", False),
        (b"{", b"{", True),
        (b"[" * 100_000, b"[" * 99_999, False),
    ],
)
def test_same_body(one: bytes, other: bytes, same: bool) -> None:
    assert same_body(one, other) is same
