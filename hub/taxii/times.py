"""Timestamps as whole microseconds: parsed once, compared as integers, written once.

Source: STIX 2.1, section 3.2 (timestamp); TAXII 2.1, section 3.4.1 (added_after).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from hub.errors import InputError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = 253_402_300_799_999_999
"""The last microsecond that a timestamp can name: 9999-12-31T23:59:59.999999Z."""
_FORM: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(?:\.(\d{1,30}))?(?:Z|\+00:00)", re.ASCII
)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_micros(text: str, *, where: str | None = None) -> int:
    """Read an RFC 3339 timestamp in UTC.

    Digits beyond the microsecond are cut off; as stored times are whole microseconds,
    `stored > cut` still holds exactly when `stored > text`.

    Args:
        text: `YYYY-MM-DDTHH:MM:SS[.fraction]Z`.
        where: the parameter or field, for the error.
    Returns:
        Microseconds since 1970-01-01T00:00:00Z; negative before.
    Raises:
        InputError: another form, or no such day or time.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise InputError(
            "not a timestamp in UTC", where=where, hint="write 2026-01-31T09:30:00.000Z"
        )
    day, clock, fraction = found.groups()
    try:
        whole = datetime.fromisoformat(f"{day}T{clock}+00:00")
    except ValueError as error:
        raise InputError("no such date or time", where=where) from error
    return (whole - _EPOCH) // _MICROSECOND + int((fraction or "0")[:6].ljust(6, "0"))


@lru_cache(maxsize=4096)
def to_text(micros: int) -> str:
    """Write microseconds since the epoch as `YYYY-MM-DDTHH:MM:SS.ffffffZ`."""
    moment = _EPOCH + timedelta(microseconds=micros)
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
