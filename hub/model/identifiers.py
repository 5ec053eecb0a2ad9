"""STIX identifiers and timestamps."""

from __future__ import annotations

import functools
import hashlib
import re
import uuid
from datetime import UTC, datetime
from typing import Final

from hub.errors import InputError

NAMESPACE: Final = uuid.UUID("b52a1e41-5c4e-5e0b-9d53-4c6f2a8f7f10")
"""The UUIDv5 namespace of every identifier that Stillwatch derives from content."""

_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_ID: Final = re.compile(rf"([a-z](?:[a-z0-9]|-(?!-)){{1,248}}[a-z0-9])--{_UUID}", re.ASCII)
_TYPE: Final = re.compile(r"[a-z](?:[a-z0-9]|-(?!-)){1,248}[a-z0-9]", re.ASCII)
_TIME: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2}T(?:[01]\d|2[0-3]):\d{2}:\d{2})(?:\.(\d+))?Z",
    re.ASCII,
)


def deterministic_id(object_type: str, *parts: str) -> str:
    """A STIX id that depends on nothing but the arguments, for all parties alike.

    Args:
        object_type: the STIX type, such as `indicator`.
        parts: what makes the object this one; their boundaries count.
    Returns:
        `type--` and a UUIDv5 over the type and the length-prefixed parts.
    Raises:
        InputError: `object_type` is not a STIX type name, or a part is not valid Unicode.
    """
    if _TYPE.fullmatch(object_type) is None:
        raise InputError("not a STIX object type", where="type")
    name = "".join(f"{len(part)}:{part}" for part in (object_type, *parts))
    try:
        digest = hashlib.sha1(NAMESPACE.bytes + name.encode(), usedforsecurity=False).digest()
    except UnicodeEncodeError:
        raise InputError("a string holds a lone surrogate", where=object_type) from None
    return f"{object_type}--{uuid.UUID(bytes=digest[:16], version=5)}"


def is_id(value: object, object_type: str | None = None) -> bool:
    """Whether `value` is a STIX 2.1 identifier, and of `object_type` if one is given.

    Source: STIX 2.1, section 2.9 (identifier); RFC 4122 variant, lower case.
    """
    if not isinstance(value, str):
        return False
    found = _ID.fullmatch(value)
    return found is not None and object_type in (None, found[1])


@functools.lru_cache(maxsize=1024)
def timestamp(moment: datetime) -> str:
    """Write a STIX timestamp: UTC, `Z`, milliseconds, or microseconds where they are not zero.

    Raises:
        InputError: `moment` has no time zone.
    Source: STIX 2.1, section 2.16.
    """
    if moment.tzinfo is None:
        raise InputError("a time without a time zone", hint="use an aware datetime in UTC")
    utc = moment.astimezone(UTC)
    fraction = (
        f"{utc.microsecond:06d}" if utc.microsecond % 1000 else f"{utc.microsecond // 1000:03d}"
    )
    return f"{utc.year:04d}-{utc:%m-%dT%H:%M:%S}.{fraction}Z"


def parse_timestamp(text: str) -> datetime:
    """Read a STIX timestamp as an aware UTC datetime; digits past microseconds are cut off.

    Raises:
        InputError: `text` is not an RFC 3339 time in UTC with `Z`, or no such moment exists.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise InputError("not a STIX timestamp", hint="such as 2026-11-21T09:30:00.000Z")
    try:
        whole = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    except ValueError:
        raise InputError("a timestamp that names no moment") from None
    return whole.replace(microsecond=int((found[2] or "0")[:6].ljust(6, "0")))
