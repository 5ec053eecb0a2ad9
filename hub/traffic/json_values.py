"""Kernels that read times and whole numbers out of bytes; each refuses what it does not know.

They accept the forms that most logs use, and read them as `hub.traffic.times` does.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from hub.fingerprint.jit import inlined, kernel
from hub.traffic.vectors import byte_at

NO_TIME: Final = -1
_SPACE: Final = 0x20
_DAY_S: Final = 86_400
_CENTURY: Final = 2100
_DIGITS: Final = 18
"""What a 64-bit integer holds whatever its digits are."""


@inlined
def whole_number(data: int, at: int, end: int) -> tuple[int, bool]:
    """A whole number of at most 18 digits, as a JSON token has it; and whether it is one."""
    negative = byte_at(data, at) == 0x2D
    if negative:
        at += 1
    if end - at > _DIGITS:
        return 0, False
    value = 0
    for k in range(at, end):
        value = value * 10 + (byte_at(data, k) - 0x30)
    return (-value if negative else value), True


@inlined
def epoch(value: int) -> int:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970 to microseconds."""
    if value <= 0:
        return NO_TIME
    if value < 100_000_000_000:
        return value * 1_000_000
    if value < 100_000_000_000_000:
        return value * 1_000
    if value < 100_000_000_000_000_000:
        return value
    return value // 1_000


@inlined
def fraction_epoch(data: int, at: int, end: int) -> int:
    """Seconds with a fraction, of at most 16 digits, as `epoch`; rounded as a double is."""
    if end - at > 17:
        return NO_TIME
    value = 0
    scale = 1.0
    behind = False
    for k in range(at, end):
        byte = byte_at(data, k)
        if byte == 0x2E:
            behind = True
        elif 0x30 <= byte <= 0x39:
            value = value * 10 + (byte - 0x30)
            if behind:
                scale *= 10.0
        else:
            return NO_TIME
    # Both are whole and below 2**53, so that this is the double that stands for the number.
    seconds = value / scale
    if value >= 1 << 53 or not 1.0 < seconds < 4e9:
        return NO_TIME
    return int(np.rint(seconds * 1e6))


@inlined
def _two(data: int, at: int) -> int:
    tens, ones = byte_at(data, at) - 0x30, byte_at(data, at + 1) - 0x30
    return tens * 10 + ones if 0 <= tens < 10 and 0 <= ones < 10 else 1000


@inlined
def _date(data: int, at: int) -> int:
    """Days since 1970 of `2026-11-20`."""
    year = _two(data, at) * 100 + _two(data, at + 2)
    month = _two(data, at + 5)
    day = _two(data, at + 8)
    if not (1970 <= year < _CENTURY and 1 <= month <= 12 and day >= 1):
        return -1
    if byte_at(data, at + 4) != 0x2D or byte_at(data, at + 7) != 0x2D:
        return -1
    leap = year % 4 == 0  # 2000 is one, and no other century lies between
    # July and August are long both.
    length = 30 + (month + month // 8) % 2
    if month == 2:
        length = 29 if leap else 28
    if day > length:
        return -1
    days = (year - 1970) * 365 + (year - 1969) // 4 + day - 1
    # Days before the month if February had thirty, then what it lacks.
    days += 30 * (month - 1) + (month + month // 9) // 2
    if month > 2:
        days -= 1 if leap else 2
    return days


@inlined
def _zone(data: int, at: int, end: int) -> int:
    """Seconds east of Greenwich of `Z` or `+02:00`; a day or more for what is neither."""
    if end - at == 1 and byte_at(data, at) == 0x5A:
        return 0
    if (
        end - at != 6
        or byte_at(data, at + 3) != 0x3A
        or (byte_at(data, at) != 0x2B and byte_at(data, at) != 0x2D)
    ):
        return _DAY_S
    hours, minutes = _two(data, at + 1), _two(data, at + 4)
    if hours > 23 or minutes > 59:
        return _DAY_S
    east = hours * 3600 + minutes * 60
    return east if byte_at(data, at) == 0x2B else -east


@kernel
def iso_time(data: int, at: int, end: int) -> tuple[int, bool]:
    """Microseconds of `2026-11-20T12:00:00.25Z`; and whether it names no zone.

    The fraction may be missing or have any length, of which six digits count; the zone is `Z`, an
    offset as `+02:00`, or missing. All else gives NO_TIME.
    """
    if end - at < 19 or (byte_at(data, at + 10) != 0x54 and byte_at(data, at + 10) != _SPACE):
        return NO_TIME, False
    days = _date(data, at)
    hour, minute, second = _two(data, at + 11), _two(data, at + 14), _two(data, at + 17)
    if days < 0 or hour > 23 or minute > 59 or second > 59:
        return NO_TIME, False
    if byte_at(data, at + 13) != 0x3A or byte_at(data, at + 16) != 0x3A:
        return NO_TIME, False
    micros = (days * _DAY_S + hour * 3600 + minute * 60 + second) * 1_000_000
    at += 19
    if at < end and byte_at(data, at) == 0x2E:
        at += 1
        first = at
        unit = 100_000
        while at < end and 0x30 <= byte_at(data, at) <= 0x39:
            micros += unit * (byte_at(data, at) - 0x30)
            unit //= 10
            at += 1
        if at == first:
            return NO_TIME, False
    if at == end:
        return micros, True
    east = _zone(data, at, end)
    if east == _DAY_S:
        return NO_TIME, False
    return micros - east * 1_000_000, False
