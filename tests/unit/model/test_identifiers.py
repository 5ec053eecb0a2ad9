"""Identifiers and timestamps read and write as STIX 2.1 says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import InputError
from hub.model.identifiers import deterministic_id, is_id, parse_timestamp, timestamp

MOMENTS = st.datetimes(
    min_value=datetime.fromisoformat("0001-01-03"),
    max_value=datetime.fromisoformat("9999-12-28"),
    timezones=st.just(UTC),
)


@given(MOMENTS, st.integers(-14, 14))
@settings(max_examples=100, derandomize=True)
def test_a_moment_survives_a_round_trip(moment: datetime, hours: int) -> None:
    elsewhere = moment.astimezone(timezone(timedelta(hours=hours)))
    assert parse_timestamp(timestamp(elsewhere)) == moment
    assert parse_timestamp(timestamp(moment)).tzinfo is UTC


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 21, 9, 30, tzinfo=UTC), "2026-11-21T09:30:00.000Z"),
        (datetime(2026, 11, 21, 9, 30, 0, 120000, tzinfo=UTC), "2026-11-21T09:30:00.120Z"),
        (datetime(2026, 11, 21, 9, 30, 0, 120001, tzinfo=UTC), "2026-11-21T09:30:00.120001Z"),
        (datetime(26, 1, 2, tzinfo=UTC), "0026-01-02T00:00:00.000Z"),
    ],
)
def test_timestamps_have_milliseconds_or_microseconds(moment: datetime, text: str) -> None:
    assert timestamp(moment) == text


def test_digits_past_microseconds_are_cut_off() -> None:
    assert parse_timestamp("2026-11-21T09:30:00.1234567Z").microsecond == 123456


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21",
        "2026-11-21T09:30:00",
        "2026-11-21T09:30:00+00:00",
        "2026-11-21t09:30:00z",
        "2026-11-21 09:30:00Z",
        "2026-11-21T09:30:00.Z",
        "2026-11-21T09:30:00Z\n",
        "2026-02-30T09:30:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T23:59:60Z",
        "٢٠٢٦-11-21T09:30:00Z",
        "",
    ],
)
def test_other_spellings_of_time_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_timestamp(text)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(InputError):
        timestamp(datetime.fromisoformat("2026-11-21"))


def test_derived_ids_are_frozen() -> None:
    assert (
        deterministic_id("indicator", "a", "b") == "indicator--040692c0-59e8-540c-afe5-c22eb88a9385"
    )


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4))
@settings(max_examples=100, derandomize=True)
def test_derived_ids_are_valid_and_keep_the_boundaries_of_parts(parts: list[str]) -> None:
    found = deterministic_id("indicator", *parts)
    assert is_id(found, "indicator")
    assert found == deterministic_id("indicator", *parts)
    if len(parts) > 1:
        assert found != deterministic_id("indicator", "".join(parts))
    assert found != deterministic_id("indicator", *parts, "")
    assert found.partition("--")[2] != deterministic_id("campaign", *parts).partition("--")[2]


@pytest.mark.parametrize("object_type", ["", "Indicator", "a", "in--dicator", "indicator-", "a b"])
def test_a_bad_type_has_no_id(object_type: str) -> None:
    with pytest.raises(InputError):
        deterministic_id(object_type, "a")


def test_a_lone_surrogate_has_no_id() -> None:
    with pytest.raises(InputError):
        deterministic_id("indicator", "\ud800")


@pytest.mark.parametrize(
    ("value", "object_type", "expected"),
    [
        ("indicator--96e6fdc9-d50c-5d58-a613-e127f05da67f", None, True),
        ("indicator--96e6fdc9-d50c-5d58-a613-e127f05da67f", "indicator", True),
        ("indicator--96e6fdc9-d50c-5d58-a613-e127f05da67f", "campaign", False),
        ("x-my-type--96e6fdc9-d50c-5d58-a613-e127f05da67f", "x-my-type", True),
        ("indicator--96E6FDC9-d50c-5d58-a613-e127f05da67f", None, False),
        ("indicator--96e6fdc9-d50c-5d58-c613-e127f05da67f", None, False),
        ("indicator--96e6fdc9-d50c-5d58-a613-e127f05da67f\n", None, False),
        ("indicator-96e6fdc9-d50c-5d58-a613-e127f05da67f", None, False),
        ("indicator--", None, False),
        (None, None, False),
        (7, None, False),
    ],
)
def test_ids_are_told_from_other_values(
    value: object, object_type: str | None, expected: bool
) -> None:
    assert is_id(value, object_type) is expected
