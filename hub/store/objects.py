"""From a parsed STIX object and its bytes to what the store keeps."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import Any, Final

import msgspec

from hub.errors import InputError
from hub.store.records import NewObject
from hub.taxii.filters import SPEC_VERSIONS
from hub.taxii.times import to_micros

UNVERSIONED: Final = -(2**62)
"""Version, in place of microseconds, of objects that have none; less than every real one."""

_ID: Final = re.compile(
    r"([a-z0-9][a-z0-9-]{1,248}[a-z0-9])--"
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)


def new_object(obj: dict[str, Any], raw: bytes) -> NewObject:
    """Read the fields that a store indexes.

    Only what paging depends on is checked, so that no object can spoil later reads.

    Args:
        obj: the object, parsed by the strict codec.
        raw: its exact bytes.
    Raises:
        InputError: id, type, modified, created or spec_version missing or malformed; `where`
            is the object's id, or the field when the id itself is bad.
    """
    object_id = obj.get("id")
    found = _ID.fullmatch(object_id) if isinstance(object_id, str) else None
    if not isinstance(object_id, str) or found is None:
        raise InputError("not a STIX identifier (type--uuid)", where="id")
    if obj.get("type") != found.group(1):
        raise InputError("`type` differs from the identifier's", where=object_id)
    return NewObject(
        id=object_id,
        type=found.group(1),
        spec_version=_spec_version(obj, object_id),
        version=_version(obj, object_id),
        raw=raw,
    )


def version_key(version: str | None) -> int:
    """The number that orders versions. Raises InputError when it is no timestamp."""
    return UNVERSIONED if version is None else to_micros(version, where="version")


def same_body(one: bytes, other: bytes) -> bool:
    """Whether two bodies say the same: equal bytes, or equal but for order and white space."""
    if one == other:
        return True
    try:
        return _ordered(one) == _ordered(other)
    except (ValueError, RecursionError):
        return False


class _Carrier(msgspec.Struct):
    payload_bin: str | None = None


_CARRIER: Final = msgspec.json.Decoder(_Carrier)


def log_digest(body: bytes) -> bytes:
    """What a log commits to when it takes an object: SHA-256 of what an artifact carries.

    However the artifact's JSON was written, its payload has one digest. An object without a payload
    counts as its own bytes.
    """
    try:
        payload = _CARRIER.decode(body).payload_bin
        carried = body if payload is None else base64.b64decode(payload, validate=True)
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, ValueError):
        carried = body
    return hashlib.sha256(carried).digest()


def _ordered(body: bytes) -> str:
    return json.dumps(json.loads(body), sort_keys=True)


def _spec_version(obj: dict[str, Any], object_id: str) -> str:
    # STIX 2.0 objects and bare observables carry none; those without `created` are of 2.1.
    default = "2.0" if "created" in obj else "2.1"
    found = obj.get("spec_version", default)
    if not isinstance(found, str) or found not in SPEC_VERSIONS:
        raise InputError("`spec_version` is neither 2.0 nor 2.1", where=object_id)
    return found


def _version(obj: dict[str, Any], object_id: str) -> str | None:
    for field in ("modified", "created"):
        found = obj.get(field)
        if found is None and field not in obj:
            continue
        if not isinstance(found, str):
            raise InputError(f"`{field}` is not a timestamp", where=object_id)
        try:
            to_micros(found)
        except InputError as error:
            raise InputError(f"`{field}` is {error.message}", where=object_id) from error
        return found
    return None
