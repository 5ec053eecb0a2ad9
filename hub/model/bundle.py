"""STIX bundles."""

from __future__ import annotations

from collections.abc import Iterable

from hub.errors import InputError
from hub.model.codec import Json
from hub.model.identifiers import deterministic_id, is_id


def bundle(objects: Iterable[Json]) -> Json:
    """Put objects into a bundle, each version once, in the given order.

    Args:
        objects: STIX objects; the same version may come twice if it is the same object.
    Returns:
        A bundle whose id depends on the ids and versions inside it only.
    Raises:
        InputError: there is no object, one has no valid id, or two bodies share id and version.
    Source: STIX 2.1, section 8.
    """
    members: dict[tuple[str, str], Json] = {}
    for obj in objects:
        key = (str(obj.get("id")), version_of(obj))
        if not is_id(key[0], str(obj.get("type"))):
            raise InputError("an object without a valid id", where=f"bundle[{len(members)}]")
        if members.setdefault(key, obj) != obj:
            raise InputError("two different objects share this id and version", where=key[0])
    if not members:
        raise InputError("a bundle needs at least one object", where="bundle")
    parts = [part for key in members for part in key]
    return {
        "type": "bundle",
        "id": deterministic_id("bundle", *parts),
        "objects": list(members.values()),
    }


def version_of(obj: Json) -> str:
    """What orders the versions of an object: `modified`, else `created`, else nothing."""
    version = obj.get("modified", obj.get("created", ""))
    return version if isinstance(version, str) else ""
