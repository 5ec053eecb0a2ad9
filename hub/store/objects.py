"""From a parsed STIX object and its bytes to what the store keeps."""

from __future__ import annotations

from typing import Any

from hub.store.records import NewObject


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
    raise NotImplementedError
