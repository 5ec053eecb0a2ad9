"""Cursors."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import InputError
from hub.taxii.cursor import Cursor, decode, encode, position
from hub.taxii.times import to_text

_EPOCH = "0123456789abcdef"
_COLLECTION = "9cfa669c-ee94-4ece-afd2-f8edac37d8fd"
_SAMPLE = encode(Cursor(1_700_000_000_000_000, _EPOCH, _COLLECTION))


@given(
    st.integers(min_value=-(2**63), max_value=2**63 - 1),
    st.binary(min_size=8, max_size=8),
    st.uuids(version=4),
)
def test_a_cursor_survives_the_round_trip_and_is_repeatable(
    position: int, epoch: bytes, collection: object
) -> None:
    cursor = Cursor(position, epoch.hex(), str(collection))
    text = encode(cursor)
    assert text == encode(cursor)
    assert text.replace("-", "").replace("_", "").isalnum()
    assert decode(text, epoch=epoch.hex(), collection_id=str(collection)) == cursor


@given(st.integers(min_value=0, max_value=27 * 8 - 1))
def test_any_flipped_bit_is_caught(bit: int) -> None:
    octets = bytearray(base64.urlsafe_b64decode(_SAMPLE))
    octets[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InputError):
        decode(base64.urlsafe_b64encode(octets).decode(), epoch=_EPOCH, collection_id=_COLLECTION)


@given(st.text(max_size=60))
def test_any_text_is_refused_as_next(text: str) -> None:
    with pytest.raises(InputError) as caught:
        decode(text, epoch=_EPOCH, collection_id=_COLLECTION)
    assert caught.value.where == "next"


def test_another_collection_or_history_refuses_it() -> None:
    with pytest.raises(InputError, match="collection"):
        decode(_SAMPLE, epoch=_EPOCH, collection_id=_COLLECTION.replace("9", "8"))
    with pytest.raises(InputError, match="restored"):
        decode(_SAMPLE, epoch="f" * 16, collection_id=_COLLECTION)


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_the_position_can_always_be_written_as_a_time(number: int) -> None:
    """Its holder can make one up: the check value is no secret."""
    found = position(encode(Cursor(number, _EPOCH, _COLLECTION)))
    assert found <= number
    assert to_text(max(found, 0)) <= "9999-12-31T23:59:59.999999Z"
    if number < 253_402_300_800_000_000:
        assert found == number
