"""TAXII's query parameters as routes describe them.

Source: TAXII 2.1, sections 3.4 (filtering) and 3.5 (pagination).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from hub.server.routes.description import Parameter
from hub.taxii.filters import ALL_FILTERS, MAX_ELEMENTS

TIMESTAMP: Final = (
    r"^(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
    r"-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,30})?(Z|\+00:00)$"
)
"""Pattern of the timestamps that are read; those that are written have six digits."""
_SPEC_VERSION: Final = r"^[0-9]{1,3}\.[0-9]{1,3}$"


def _list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1, "maxItems": MAX_ELEMENTS}


_FILTERS: Final = (
    Parameter(
        "added_after",
        "Only what was added after this time, exclusive.",
        {"type": "string", "pattern": TIMESTAMP},
        example="2026-01-01T00:00:00.000000Z",
    ),
    Parameter(
        "limit",
        "At most so many in one page; the hub may give fewer.",
        {"type": "integer", "minimum": 1},
        example="100",
    ),
    Parameter(
        "next",
        "Go on where an earlier page of the same collection ended: its `next`.",
        {"type": "string", "minLength": 1, "maxLength": 512},
    ),
    Parameter(
        "match[id]",
        "Only objects with one of these ids.",
        _list_of({"type": "string", "pattern": r"^[^,\s]{1,512}$"}),
        example="indicator--252c7c11-daf2-42bd-843b-be65edca9f61",
    ),
    Parameter(
        "match[type]",
        "Only objects of one of these types.",
        _list_of({"type": "string", "pattern": "^[a-z0-9-]{3,250}$"}),
        example="indicator",
    ),
    Parameter(
        "match[version]",
        "`first`, `last`, `all`, or the version's own time; the last alone by default.",
        _list_of(
            {
                "anyOf": [
                    {"type": "string", "enum": ["first", "last", "all"]},
                    {"type": "string", "pattern": TIMESTAMP},
                ]
            }
        ),
        example="all",
    ),
    Parameter(
        "match[spec_version]",
        "Only objects of these specification versions; by default the newest of each object.",
        _list_of({"type": "string", "pattern": _SPEC_VERSION}),
        example="2.1",
    ),
)
assert {parameter.name for parameter in _FILTERS} == ALL_FILTERS


def filters(allowed: Iterable[str]) -> tuple[Parameter, ...]:
    """The descriptions of the filters that an endpoint takes (see `hub.taxii.filters`)."""
    names = frozenset(allowed)
    return tuple(parameter for parameter in _FILTERS if parameter.name in names)
