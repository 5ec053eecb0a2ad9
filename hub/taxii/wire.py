"""TAXII resources as they travel: msgspec structs, and pages made by joining stored bytes.

Absent optional fields are left out, as the standard wants (an empty list MUST NOT be sent).
Source: TAXII 2.1, sections 3.6 (errors), 3.7 (envelope), 4 and 5 (resources).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from hub.errors import InputError
from hub.taxii.media import STIX, TAXII

T = TypeVar("T")

# The constraints below stand in the OpenAPI document; encoding does not look at them.
NotEmpty = Annotated[list[T], Meta(min_length=1)]
"""The standard leaves an empty list out."""
Count = Annotated[int, Meta(ge=0)]
Timestamp = Annotated[
    str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$")
]
"""Section 2: with exactly microseconds."""


class Discovery(msgspec.Struct, omit_defaults=True):
    """Section 4.1.1."""

    title: str
    description: str | None = None
    contact: str | None = None
    default: str | None = None
    api_roots: NotEmpty[str] | None = None


class ApiRoot(msgspec.Struct, omit_defaults=True):
    """Section 4.2.1. `max_content_length` in bytes."""

    title: str
    max_content_length: Annotated[int, Meta(ge=1)]
    description: str | None = None
    versions: tuple[str, ...] = msgspec.field(default_factory=lambda: (TAXII,))


class Collection(msgspec.Struct, omit_defaults=True):
    """Section 5.2.1."""

    id: str
    title: str
    can_read: bool
    can_write: bool
    description: str | None = None
    alias: str | None = None
    media_types: tuple[str, ...] = msgspec.field(default_factory=lambda: (STIX,))


class Collections(msgspec.Struct, omit_defaults=True):
    """Section 5.1.1."""

    collections: NotEmpty[Collection] | None = None


class ManifestRecord(msgspec.Struct, omit_defaults=True):
    """Section 5.3.1."""

    id: str
    date_added: Timestamp
    version: str
    media_type: str | None = None


class Manifest(msgspec.Struct, omit_defaults=True):
    """Section 5.3.1, with a `next`: the endpoint takes one, and taxii2-client wants it."""

    more: bool | None = None
    next: str | None = None
    objects: NotEmpty[ManifestRecord] | None = None


class Versions(msgspec.Struct, omit_defaults=True):
    """Section 5.8.1, with a `next` as in the manifest."""

    more: bool | None = None
    next: str | None = None
    versions: NotEmpty[str] | None = None


class StatusDetails(msgspec.Struct, omit_defaults=True):
    """Section 4.3.1."""

    id: str
    version: str
    message: str | None = None


class Status(msgspec.Struct, omit_defaults=True):
    """Section 4.3.1."""

    id: str
    status: Literal["complete", "pending"]
    total_count: Count
    success_count: Count
    failure_count: Count
    pending_count: Count
    request_timestamp: Timestamp | None = None
    successes: NotEmpty[StatusDetails] | None = None
    failures: NotEmpty[StatusDetails] | None = None
    pendings: NotEmpty[StatusDetails] | None = None


class Error(msgspec.Struct, omit_defaults=True):
    """Section 3.6.1."""

    title: str
    description: str | None = None
    error_id: str | None = None
    error_code: str | None = None
    http_status: str | None = None
    external_details: str | None = None
    details: dict[str, str] | None = None


class StixObject(msgspec.Struct, omit_defaults=True):
    """A STIX object as far as the hub looks into it; everything else is kept as it came."""

    type: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{1,248}[a-z0-9]$")]
    id: Annotated[
        str,
        Meta(
            pattern="^[a-z0-9][a-z0-9-]{1,248}[a-z0-9]--"
            "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
        ),
    ]
    spec_version: str | None = None
    created: str | None = None
    modified: str | None = None


class Envelope(msgspec.Struct, omit_defaults=True):
    """Section 3.7. Pages are joined from stored bytes instead (`envelope`)."""

    more: bool | None = None
    next: str | None = None
    objects: NotEmpty[StixObject] | None = None


class _Parts(msgspec.Struct):
    objects: list[msgspec.Raw] = []


_PARTS: Final = msgspec.json.Decoder(_Parts)


def encode(resource: msgspec.Struct) -> bytes:
    """Write a resource as JSON."""
    return msgspec.json.encode(resource)


def envelope(objects: Sequence[bytes], *, more: bool, next_cursor: str | None) -> bytes:
    """Write a page of objects by joining their stored bytes, none of them re-serialised.

    An empty page is `{}`: an empty list must be left out, and `more` is false by default
    (section 3.7).
    """
    if not objects:
        return b"{}"
    head = b'{"more":true,' if more else b'{"more":false,'
    if next_cursor is not None:
        head += b'"next":' + msgspec.json.encode(next_cursor) + b","
    return head + b'"objects":[' + b",".join(objects) + b"]}"


def split_envelope(body: bytes, *, max_objects: int) -> list[bytes]:
    """Take a posted envelope apart into the exact bytes of each object.

    It does not look into the objects: the caller reads each with the strict codec, and the
    envelope's own members other than `objects` are passed over (section 1.6.4).

    Raises:
        InputError: no envelope, no objects, too many objects, an object that is no JSON object.
    """
    try:
        found = _PARTS.decode(body).objects
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError("the body is not a TAXII envelope", where="body") from error
    if not found:
        raise InputError("the envelope holds no objects", where="objects")
    if len(found) > max_objects:
        raise InputError(
            f"the envelope holds more than {max_objects} objects",
            where="objects",
            hint="send several smaller envelopes",
        )
    parts = [bytes(part) for part in found]
    for index, part in enumerate(parts):
        if not part.startswith(b"{"):
            raise InputError("not a JSON object", where=f"objects[{index}]")
    return parts
