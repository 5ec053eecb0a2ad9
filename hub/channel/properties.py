"""The types of the properties that every reader of an opened object relies on.

A member may seal what it likes. What is opened goes on to matching, reports and displays, so a
value of another type than STIX gives it is refused here, once, for all of them.
Source: schemas/channel-v1.md, "Data and inner binding"; STIX 2.1, sections 2, 3.2 and 3.3.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

from hub.errors import InputError
from hub.model.codec import Json
from hub.model.identifiers import is_id, parse_timestamp


def _text(value: object) -> bool:
    return isinstance(value, str)


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _count(value: object) -> bool:
    return type(value) is int and value >= 0


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _named_objects(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(each, dict) for each in value.values())


def _ids(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(is_id(each) for each in value)


def _time(value: object) -> bool:
    return isinstance(value, str) and _is_timestamp(value)


@functools.lru_cache(maxsize=4096)  # the objects of one message mostly share their times
def _is_timestamp(text: str) -> bool:
    try:
        parse_timestamp(text)
    except InputError:
        return False
    return True


_CHECKS: Final[dict[str, Callable[[object], bool]]] = {
    **dict.fromkeys(
        (
            "created",
            "modified",
            "first_seen",
            "last_seen",
            "first_observed",
            "last_observed",
            "valid_from",
            "valid_until",
            "published",
        ),
        _time,
    ),
    **dict.fromkeys(
        (
            "spec_version",
            "name",
            "description",
            "abstract",
            "content",
            "opinion",
            "explanation",
            "pattern",
            "pattern_type",
            "relationship_type",
        ),
        _text,
    ),
    **dict.fromkeys(("revoked",), _flag),
    **dict.fromkeys(("confidence", "count", "number_observed"), _count),
    **dict.fromkeys(("labels", "indicator_types"), _texts),
    **dict.fromkeys(("external_references", "granular_markings", "kill_chain_phases"), _objects),
    "extensions": _named_objects,
}


def check_properties(obj: Json, where: str) -> None:
    """Refuse an object whose common properties are not of STIX's types.

    Args:
        obj: an object of a bundle.
        where: its id, for the error.
    Raises:
        InputError: a property is of another type; the value is not shown.
    """
    for name, value in obj.items():
        check = _CHECKS.get(name)
        if check is None:
            if name.endswith("_ref"):
                check = is_id
            elif name.endswith("_refs"):
                check = _ids
            else:
                continue
        if not check(value):
            raise InputError(f"`{name[:64]}` is not of the type that STIX gives it", where=where)
