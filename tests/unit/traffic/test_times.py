"""Times in every form that a log writes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.traffic import times

_MOMENT = datetime(2026, 11, 20, 3, 11, 7, 120_000, tzinfo=UTC)


def _one(values: list[Any]) -> tuple[datetime | None, int]:
    column, naive = times.column(pa.array(values))
    assert column.type == times.TIME
    return column[0].as_py(), naive


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-20T03:11:07.120Z",
        "2026-11-20T03:11:07.12+00:00",
        "2026-11-20T08:41:07.120000+05:30",
        "2026-11-20T03:11:07.120000999Z",
        " 2026-11-20T03:11:07.120Z ",
        "1795144267.12",
        "1795144267120",
        "1795144267120000",
        "1795144267120000000",
        1795144267.12,
        1795144267120,
        1795144267120.0,
        1795144267120000,
        1795144267120000999,
        _MOMENT,
    ],
)
def test_forms_that_name_the_moment(value: Any) -> None:
    assert _one([value]) == (_MOMENT, 0)


@pytest.mark.parametrize(
    "value", ["2026-11-20T03:11:07.120", "2026-11-20 03:11:07.12", _MOMENT.replace(tzinfo=None)]
)
def test_naive_times_are_utc_and_counted(value: Any) -> None:
    assert _one([value]) == (_MOMENT, 1)


def test_a_date_is_its_midnight() -> None:
    assert _one([date(2026, 11, 20)]) == (datetime(2026, 11, 20, tzinfo=UTC), 1)


@pytest.mark.parametrize("value", ["10/Nov/2026:01:03:21 +0100", "09/Nov/2026:19:03:21 -0500"])
def test_common_log_format(value: str) -> None:
    assert _one([value]) == (datetime(2026, 11, 10, 0, 3, 21, tzinfo=UTC), 0)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "31/Feb/2026:01:03:21 +0100",
        "10/Nov/2026:25:03:21 +0100",
        "10/Nox/2026:01:03:21 +0100",
        "9" * 400,
        "1" * 20,
        "-5",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        0,
        -1795144267,
        2**63 - 1,
        float("nan"),
        float("inf"),
        1e300,
        True,
        b"\xff",
    ],
)
def test_no_usable_time(value: Any) -> None:
    assert _one([value])[0] is None


def test_mixed_texts_keep_their_places() -> None:
    column, naive = times.column(
        pa.array(["2026-11-20T03:11:07.120Z", "x", None, "1795144267.12", "2026-11-20T03:11:07.12"])
    )
    assert column.to_pylist() == [_MOMENT, None, None, _MOMENT, _MOMENT]
    assert naive == 1


@given(
    st.integers(315_532_800_000_000, 4_070_908_800_000_000),
)
def test_microseconds_survive_every_form(micros: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + micros * times.MICROSECOND
    for value in (moment.isoformat(), micros, micros * 1000, str(micros * 1000)):
        assert _one([value]) == (moment, 0)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.none() | st.from_regex(r"[0-9]{1,20}|0[0-9]{0,18}", fullmatch=True), max_size=6))
def test_a_column_of_whole_numbers_is_read_as_each_alone(texts: list[str | None]) -> None:
    column, naive = times.column(pa.array(texts, pa.string()))
    assert naive == 0
    alone = [None if text is None else times.from_text(text)[0] for text in texts]
    micros = [one if one is not None and 0 < one < times.LAST else None for one in alone]
    assert column.cast(pa.int64()).to_pylist() == micros
