"""The codec accepts I-JSON and nothing else, and loses nothing."""

from __future__ import annotations

import json
import math
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import InputError
from hub.model import codec

INTEGERS = st.integers(-codec.MAX_INTEGER, codec.MAX_INTEGER)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = st.none() | st.booleans() | INTEGERS | TEXT
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
EXACT = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
JSON = st.recursive(
    SCALARS | FLOATS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
ASCII_NAMES = st.text(st.characters(max_codepoint=127), max_size=6)
CANONICAL = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ASCII_NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, JSON, max_size=6))
@settings(max_examples=100, derandomize=True)
def test_every_object_survives_a_round_trip(obj: dict[str, Any]) -> None:
    data = codec.dumps(obj)
    assert codec.loads(data) == obj
    assert json.loads(data) == obj


@given(st.dictionaries(TEXT, EXACT, max_size=6), st.booleans(), st.sampled_from([None, 0, 2]))
@settings(max_examples=100, derandomize=True)
def test_any_spelling_of_an_object_reads_alike(
    obj: dict[str, Any], escaped: bool, indent: int | None
) -> None:
    data = json.dumps(obj, ensure_ascii=escaped, indent=indent).encode()
    assert codec.loads(data) == obj


@given(st.dictionaries(ASCII_NAMES, CANONICAL, max_size=6))
@settings(max_examples=100, derandomize=True)
def test_canonical_form_is_that_of_rfc_8785(obj: dict[str, Any]) -> None:
    data = codec.canonical(obj)
    expected = json.dumps(obj, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert data == expected.encode()
    assert codec.loads_canonical(data) == obj


@given(st.dictionaries(TEXT, EXACT, min_size=1, max_size=4), st.data())
@settings(max_examples=100, derandomize=True)
def test_a_repeated_name_is_found_wherever_it_is(obj: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(obj)))
    text = json.dumps(obj, ensure_ascii=data.draw(st.booleans()))
    repeated = f"{text[:-1]}, {json.dumps(name)}: null}}"
    nested = f'{{"a": [{{"b": {repeated}}}]}}'
    with pytest.raises(InputError, match="a name occurs twice in one object at line 1, column"):
        codec.loads(nested.encode())


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b'{"a":1,"a":2}', "twice in one object at line 1, column 8"),
        (b'{"\\u0061":1,\n "a":2}', "twice in one object at line 2, column 2"),
        (b'{"a":"\\\\","a":2}', "twice"),
        (b'{"a":"\\"","b":{"c":"\\u0022","c":0}}', "twice"),
        (b'{"a":NaN}', "not JSON"),
        (b'{"a":Infinity}', "not JSON"),
        (b'{"a":-Infinity}', "not JSON"),
        (b'{"a":1e400}', "not JSON"),
        (b'{"a":9007199254740992}', r"beyond 2\^53-1"),
        (b'{"a":[-9007199254740992]}', r"beyond 2\^53-1"),
        (b'{"a":18446744073709551616}', r"beyond 2\^53-1"),
        (b'{"a":' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"a":"\\ud800"}', "not JSON"),
        (b'{"a":"\\udc00\\ud800"}', "not JSON"),
        (b'{"\\ud800x":1}', "not JSON"),
        (b'{"a":"\xed\xa0\x80"}', "not UTF-8 at byte 6"),
        (b'{"a":"\xff"}', "not UTF-8 at byte 6"),
        (b'{"a":"\xc0\xaf"}', "not UTF-8 at byte 6"),
        (b'\xef\xbb\xbf{"a":1}', "byte order mark"),
        ('{"a":1}'.encode("utf-16"), "not UTF-8"),
        (b'{"a":"\x01"}', "not JSON"),
        (b'{"a":"\x00"}', "not JSON"),
        (b'{"a":01}', "not JSON"),
        (b'{"a":1,}', "not JSON"),
        (b'{"a":1}x', "not JSON: trailing characters at line 1, column 9"),
        (b"{'a':1}", "not JSON"),
        (b'{"a":\x0b1}', "not JSON"),
        (b'{"a":1', "not JSON"),
        (b"", "there are no bytes"),
        (b"[]", "an object is wanted at the top"),
        (b"null", "an object is wanted at the top"),
        (b'"\\u0000"', "an object is wanted at the top"),
    ],
)
def test_json_traps_are_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        codec.loads(data, where="trap.json")
    assert str(caught.value).startswith("trap.json: ")


@pytest.mark.parametrize(
    "bomb",
    [
        b'{"a":' + b"[" * 1_000_000,
        b'{"a":' * 1_000_000,
        b'{"a":' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"a":' * 65 + b"0" + b"}" * 65,
        b'{"a":' + b"[{}," * 200_000,
    ],
)
def test_depth_bombs_are_refused_at_once(bomb: bytes) -> None:
    begin = time.thread_time()
    with pytest.raises(InputError):
        codec.loads(bomb)
    # A collection of garbage that others left may fall into it.
    assert time.thread_time() - begin < 1


def test_the_depth_limit_is_exact() -> None:
    deepest = b'{"a":' * 64 + b"0" + b"}" * 64
    assert codec.loads(deepest)
    with pytest.raises(InputError, match="nested deeper than 64 levels"):
        codec.loads(b'{"b":' + deepest + b"}")
    with pytest.raises(InputError, match="nested deeper than 2 levels"):
        codec.loads(b'{"a":[[]]}', max_depth=2)


def test_the_greatest_integers_are_accepted() -> None:
    assert codec.loads(b'{"a":[9007199254740991,-9007199254740991,1.5,-0.0]}') == {
        "a": [9007199254740991, -9007199254740991, 1.5, -0.0]
    }


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (rb'{"a":"\u005c"}', "\\"),
        (rb'{"a":"\u005c\\"}', "\\\\"),
        (rb'{"a":"\\\""}', '\\"'),
        (rb'{"a":"\u0022\\\u005c\""}', '"\\\\"'),
        (rb'{"a":"\/\b\ud83d\ude00"}', "/\b\U0001f600"),
    ],
)
def test_escapes_do_not_look_like_repeated_names(data: bytes, value: str) -> None:
    assert codec.loads(data) == {"a": value}


def test_a_body_over_its_limit_is_refused_unread() -> None:
    with pytest.raises(InputError, match="9 bytes exceed the limit of 8"):
        codec.loads(b'{"a":123}', max_bytes=8)


def test_an_error_does_not_show_the_value() -> None:
    for data in (b'{"secret-mail":1,"secret-mail":2}', b'{"a":"secret-mail\\ud800"}'):
        with pytest.raises(InputError) as caught:
            codec.loads(data)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "obj",
    [
        {"a": math.nan},
        {"a": [math.inf]},
        {"a": 2**53},
        {"a": "\ud800"},
        {"\ud800": 1},
        {"a": b"bytes"},
        {"a": {1, 2}},
        {"a": (1, 2)},
        {"a": object()},
        {("a", "b"): 1},
    ],
)
def test_what_loads_would_refuse_is_not_written(obj: dict[Any, Any]) -> None:
    with pytest.raises(InputError):
        codec.dumps(obj)


@pytest.mark.parametrize("obj", [{"a": 1.0}, {"é": 1}, {"a": {"b": [{"ü": None}]}}, {"a": 2**53}])
def test_canonical_form_refuses_what_implementations_disagree_on(obj: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        codec.canonical(obj)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1}',
        b'{"b":1,"a":2}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b'{"a":1.0}',
        b'{"a":1}\n',
        b'{"a":"\\u00E9"}',
    ],
)
def test_bytes_that_are_not_canonical_are_refused(data: bytes) -> None:
    assert codec.loads(data)
    with pytest.raises(InputError):
        codec.loads_canonical(data)


def test_a_repeated_name_beside_a_long_string_takes_little_memory() -> None:
    text = b'{"a":"' + b"A" * 2**21 + b'","a":1}'
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="a name occurs twice in one object at line 1"):
            codec.loads(text)
        assert tracemalloc.get_traced_memory()[1] < 12 * len(text)
    finally:
        tracemalloc.stop()


def test_values_are_counted_before_they_are_made() -> None:
    text = b'{"a":[' + b",".join([b"[]"] * 1_000) + b"]}"
    assert codec.loads_canonical(text, max_items=2_001)["a"][999] == []
    with pytest.raises(InputError, match=r"^x: more than 2000 values$"):
        codec.loads_canonical(text, where="x", max_items=2_000)
    with pytest.raises(InputError, match="exceed the limit of 10"):
        codec.loads_canonical(text, max_bytes=10, max_items=2_000)
