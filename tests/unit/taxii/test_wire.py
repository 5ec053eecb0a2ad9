"""Resources and envelopes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import InputError
from hub.taxii import wire

_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
_OBJECTS = st.lists(st.dictionaries(st.text(), _JSON, max_size=4), min_size=1, max_size=5)


@given(_OBJECTS, st.sampled_from([None, 1, 3]), st.booleans())
def test_split_gives_the_exact_bytes_and_join_puts_them_back(
    objects: list[dict[str, Any]], indent: int | None, ascii_only: bool
) -> None:
    stored = [
        json.dumps(obj, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "replace")
        for obj in objects
    ]
    body = wire.envelope(stored, more=True, next_cursor="a-_b")
    assert wire.split_envelope(body, max_objects=5) == stored
    read = json.loads(body)
    assert read["more"] is True
    assert read["next"] == "a-_b"
    assert read["objects"] == [json.loads(part) for part in stored]


def test_an_empty_page_leaves_the_list_out() -> None:
    assert wire.envelope([], more=False, next_cursor=None) == b"{}"


def test_the_last_page_has_no_next() -> None:
    body = wire.envelope([b"{}"], more=False, next_cursor=None)
    assert body == b'{"more":false,"objects":[{}]}'


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "body"),
        (b"[]", "body"),
        (b"{}", "objects"),
        (b'{"objects":[]}', "objects"),
        (b'{"objects":{}}', "body"),
        (b'{"objects":null}', "body"),
        (b'{"objects":[{},5]}', "objects[1]"),
        (b'{"objects":[{},{},{}]}', "objects"),
        (b'{"objects":[{}]', "body"),
        (b'{"objects":[{}]} trailing', "body"),
        (b'{"objects":[' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"]}", "body"),
        (b"\xff\xfe", "body"),
    ],
)
def test_what_is_no_envelope(body: bytes, where: str) -> None:
    with pytest.raises(InputError) as caught:
        wire.split_envelope(body, max_objects=2)
    assert caught.value.where == where


@given(st.binary(max_size=60))
def test_any_bytes_are_split_or_refused(body: bytes) -> None:
    found: list[bytes] | str | None
    try:
        found = wire.split_envelope(body, max_objects=3)
    except InputError as error:
        found = error.where
    assert found


def test_absent_fields_are_left_out() -> None:
    assert json.loads(wire.encode(wire.Discovery("t"))) == {"title": "t"}
    assert json.loads(wire.encode(wire.Collections())) == {}
    assert json.loads(wire.encode(wire.Versions())) == {}
    assert json.loads(wire.encode(wire.ApiRoot("t", 7))) == {
        "title": "t",
        "max_content_length": 7,
        "versions": ["application/taxii+json;version=2.1"],
    }
    collection = json.loads(wire.encode(wire.Collection("i", "t", True, False)))
    assert collection == {
        "id": "i",
        "title": "t",
        "can_read": True,
        "can_write": False,
        "media_types": ["application/stix+json;version=2.1"],
    }
    status = json.loads(wire.encode(wire.Status("i", "complete", 0, 0, 0, 0)))
    assert status["failure_count"] == 0
    assert "failures" not in status
