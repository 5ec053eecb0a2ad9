"""Timestamps as microseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import InputError
from hub.taxii.times import to_micros, to_text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_survives_the_round_trip(moment: datetime) -> None:
    micros = (moment - _EPOCH) // timedelta(microseconds=1)
    text = to_text(micros)
    assert len(text) == 27
    assert to_micros(text) == micros


@given(st.integers(min_value=0, max_value=2**52), st.integers(min_value=0, max_value=2**52))
def test_text_orders_as_numbers_do(one: int, other: int) -> None:
    assert (to_text(one) < to_text(other)) == (one < other)


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000),
        ("1970-01-01T00:00:00.000001999Z", 1),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("2026-02-28T12:00:00.123+00:00", 1_772_280_000_123_000),
    ],
)
def test_known_values(text: str, micros: int) -> None:
    assert to_micros(text) == micros


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "2026-02-30T00:00:00Z",
        "2026-01-01T24:00:01Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00+02:00",
        "2026-01-01T00:00:00 00:00",
        "2026-01-01T00:00:00.Z",
        "2026-01-01t00:00:00z",
        "0000-01-01T00:00:00Z",
        "٢٠٢٦-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z\n",
    ],
)
def test_other_forms_are_refused_with_the_parameter_named(text: str) -> None:
    with pytest.raises(InputError) as caught:
        to_micros(text, where="added_after")
    assert caught.value.where == "added_after"
    assert not text or text not in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    found: object
    try:
        found = to_micros(text)
    except InputError as error:
        found = error
    assert isinstance(found, int | InputError)
