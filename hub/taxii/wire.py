"""TAXII resources as they travel: msgspec structs, and pages made by joining stored bytes.

Absent optional fields are left out, as the standard wants (an empty list MUST NOT be sent).
Source: TAXII 2.1, sections 3.6 (errors), 3.7 (envelope), 4 and 5 (resources).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from hub.taxii.media import STIX, TAXII


class Discovery(msgspec.Struct, omit_defaults=True):
    """Section 4.1.1."""

    title: str
    description: str | None = None
    contact: str | None = None
    default: str | None = None
    api_roots: list[str] | None = None


class ApiRoot(msgspec.Struct, omit_defaults=True):
    """Section 4.2.1. `max_content_length` in bytes."""

    title: str
    versions: tuple[str, ...] = msgspec.field(default_factory=lambda: (TAXII,))
    max_content_length: int = 0
    description: str | None = None


class Collection(msgspec.Struct, omit_defaults=True):
    """Section 5.2.1. `custom` fields are for `extended`, not the struct."""

    id: str
    title: str
    can_read: bool
    can_write: bool
    description: str | None = None
    alias: str | None = None
    media_types: tuple[str, ...] = msgspec.field(default_factory=lambda: (STIX,))


class Collections(msgspec.Struct, omit_defaults=True):
    """Section 5.1.1."""

    collections: list[Collection] | None = None


class ManifestRecord(msgspec.Struct, omit_defaults=True):
    """Section 5.3.1."""

    id: str
    date_added: str
    version: str
    media_type: str | None = None


class Manifest(msgspec.Struct, omit_defaults=True):
    """Section 5.3.1."""

    more: bool | None = None
    objects: list[ManifestRecord] | None = None


class Versions(msgspec.Struct, omit_defaults=True):
    """Section 5.8.1."""

    more: bool | None = None
    versions: list[str] | None = None


class StatusDetails(msgspec.Struct, omit_defaults=True):
    """Section 4.3.1."""

    id: str
    version: str
    message: str | None = None


class Status(msgspec.Struct, omit_defaults=True):
    """Section 4.3.1."""

    id: str
    status: str
    total_count: int
    success_count: int
    failure_count: int
    pending_count: int
    request_timestamp: str | None = None
    successes: list[StatusDetails] | None = None
    failures: list[StatusDetails] | None = None
    pendings: list[StatusDetails] | None = None


class Error(msgspec.Struct, omit_defaults=True):
    """Section 3.6.1."""

    title: str
    description: str | None = None
    error_id: str | None = None
    error_code: str | None = None
    http_status: str | None = None
    external_details: str | None = None
    details: dict[str, str] | None = None


def encode(resource: msgspec.Struct) -> bytes:
    """Write a resource as JSON."""
    return msgspec.json.encode(resource)


def envelope(objects: Iterable[bytes], *, more: bool, next_cursor: str | None) -> bytes:
    """Write a page of objects by joining their stored bytes, none of them re-serialised.

    An empty page is `{}` (section 3.7: empty `objects` must be omitted).
    """
    raise NotImplementedError


def split_envelope(body: bytes, *, max_objects: int) -> Sequence[bytes]:
    """Take a posted envelope apart into the exact bytes of each object.

    The caller reads each with the strict codec.

    Raises:
        InputError: no envelope, no objects, too many objects, an object that is no JSON object.
    """
    raise NotImplementedError
