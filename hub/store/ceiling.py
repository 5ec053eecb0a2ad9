"""Whether an object may lie in a collection with a TLP ceiling."""

from __future__ import annotations

from hub.errors import InputError
from hub.model import codec
from hub.model.markings import TLP, tlp_of, within


def beneath(raw: bytes, ceiling: TLP) -> bool:
    """Whether an object's marking, or that of any part of it, is not above a ceiling.

    Without one it counts as amber; a marking definition, which is what others are marked with,
    goes by its own markings alone.

    Args:
        raw: the object as JSON.
        ceiling: of the collection.
    """
    try:
        found = codec.loads(raw)
    except InputError:
        return False
    if found.get("type") == "marking-definition" and tlp_of(found) is None:
        return True
    return within(found, ceiling)
