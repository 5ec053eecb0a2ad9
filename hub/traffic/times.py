"""Times as logs write them, to UTC microseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TIME: Final = pa.timestamp("us", tz="UTC")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
_WHOLE: Final = r"^(?:[0-9]{1,18}|[1-8][0-9]{18})$"  # what a 64-bit integer holds
_NUMBER: Final = re.compile(r"\d{1,20}(?:\.\d{1,12})?", re.ASCII)
_CLF: Final = re.compile(
    r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)", re.ASCII
)
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)

# Epoch numbers tell their unit by magnitude: in seconds 10^11 lies in the year 5138, in
# milliseconds in 1973, and each finer unit is a thousand times larger.
_UNITS: Final = ((10**11, 1_000_000), (10**14, 1_000), (10**17, 1))
LAST: Final = 4_102_444_800_000_000
"""2100-01-01 in microseconds: a later time is a broken clock or a wrong unit."""


def from_epoch(value: float) -> int | None:
    """Epoch seconds, milliseconds, microseconds or nanoseconds to microseconds; None if absurd."""
    if not 0 < value < 10**20:
        return None
    for bound, factor in _UNITS:
        if value < bound:
            return round(value * factor)
    return int(value) // 1000


def from_text(text: str) -> tuple[int | None, bool]:
    """ISO 8601, a decimal epoch, or the common log format's local time.

    Returns:
        Microseconds, None for no time; and whether the text named no zone (then UTC is assumed).
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return from_epoch(float(text) if "." in text else int(text)), False
    if clf := _CLF.fullmatch(text):
        return _from_clf(clf), False
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None, False
    naive = moment.tzinfo is None
    try:
        aware = moment.replace(tzinfo=UTC) if naive else moment
        return (aware - _EPOCH) // MICROSECOND, naive
    except OverflowError:
        return None, False


def _from_clf(clf: re.Match[str]) -> int | None:
    day, month, year, hour, minute, second, sign, off_hours, off_minutes = clf.groups()
    start = _day_start(year, month, day)
    if start is None or int(hour) > 23 or int(minute) > 59 or int(second) > 60:
        return None
    offset = int(off_hours) * 3600 + int(off_minutes) * 60
    local = start + int(hour) * 3600 + int(minute) * 60 + int(second)
    return (local - offset if sign == "+" else local + offset) * 1_000_000


@lru_cache(maxsize=64)
def _day_start(year: str, month: str, day: str) -> int | None:
    if month not in _MONTHS:
        return None
    try:
        moment = datetime(int(year), _MONTHS.index(month) + 1, int(day), tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp())


def column(values: pa.Array) -> tuple[pa.Array, int]:
    """A column of times in any form that logs use.

    Args:
        values: strings, integers, floats, timestamps or dates.
    Returns:
        `timestamp[us, UTC]` of the same length, null where there is no usable time, and how many
        values named no zone.
    """
    kind = values.type
    naive = 0
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        out = values.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False)
        naive = 0 if out.type.tz else len(out) - out.null_count
        out = out.cast(pa.int64())
    elif pa.types.is_integer(kind):
        out = _integers(values)
    elif pa.types.is_floating(kind):
        out = _floats(values)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        out, naive = _texts(values)
    else:
        out = pa.nulls(len(values), pa.int64())
    usable = pc.and_(pc.greater(out, 0), pc.less(out, LAST))
    return pc.if_else(usable, out, pa.scalar(None, pa.int64())).cast(TIME), naive


def _integers(values: pa.Array) -> pa.Array:
    numbers = pc.fill_null(values.cast(pa.int64(), safe=False), 0).to_numpy(zero_copy_only=False)
    # Whole nanoseconds do not fit a double: stay with integers.
    tests = [numbers < bound for bound, _ in _UNITS]
    micros = [numbers * factor for _, factor in _UNITS]
    return pa.array(np.select([numbers <= 0, *tests], [0 * numbers, *micros], numbers // 1000))


def _floats(values: pa.Array) -> pa.Array:
    numbers = pc.fill_null(values.cast(pa.float64()), 0.0).to_numpy(zero_copy_only=False)
    numbers = np.where((numbers > 0) & (numbers < 1e19), numbers, 0.0)
    tests = [numbers < bound for bound, _ in _UNITS]
    micros = [numbers * factor for _, factor in _UNITS]
    rounded = np.rint(np.select(tests, micros, numbers / 1000))
    return pa.array(rounded.astype(np.int64))


def _texts(values: pa.Array) -> tuple[pa.Array, int]:
    values = pc.if_else(pc.equal(values, ""), pa.scalar(None, values.type), values)
    whole = pc.match_substring_regex(values, _WHOLE)
    if pc.all(pc.fill_null(whole, True)).as_py():
        return _integers(values.cast(pa.int64())), 0
    try:
        return values.cast(TIME).cast(pa.int64()), 0
    except pa.ArrowInvalid:
        pass
    cache: dict[Any, tuple[int | None, bool]] = {None: (None, False)}
    micros: list[int | None] = []
    naive = 0
    for text in values.to_pylist():
        found = cache.get(text)
        if found is None:
            found = from_text(text)
            if len(cache) < 100_000:
                cache[text] = found
        micros.append(found[0] if found[0] is None or abs(found[0]) < 2**62 else None)
        naive += found[1]
    return pa.array(micros, pa.int64()), naive
