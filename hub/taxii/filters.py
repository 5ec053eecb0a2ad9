"""URL filters: query string -> a value that a store can answer.

Source: TAXII 2.1, section 3.4 (filtering) and 3.5 (limit, next).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from hub.errors import InputError
from hub.taxii.times import to_micros

MAX_LIMIT: Final = 1_000_000_000
"""Greater limits are read as this one."""
MAX_ELEMENTS: Final = 500
"""Elements of one match filter."""
_LONGEST_VALUE: Final = 512
_LONGEST_LIMIT: Final = 10
_DIGITS: Final = re.compile(r"[0-9]{1,512}")
_SPEC_VERSION: Final = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")
_KEYWORDS: Final = frozenset({"first", "last", "all"})

T = TypeVar("T")

SPEC_VERSIONS: Final = frozenset({"2.0", "2.1"})
"""STIX versions of the objects that collections keep."""
NEWEST_SPEC_VERSION: Final = max(SPEC_VERSIONS)

ALL_FILTERS: Final = frozenset(
    {
        "added_after",
        "limit",
        "next",
        "match[id]",
        "match[type]",
        "match[version]",
        "match[spec_version]",
    }
)
"""Objects and manifest."""
OBJECT_FILTERS: Final = ALL_FILTERS - {"match[id]", "match[type]"}
"""One object by id."""
VERSIONS_FILTERS: Final = OBJECT_FILTERS - {"match[version]"}
"""Versions of one object."""
DELETE_FILTERS: Final = frozenset({"match[version]", "match[spec_version]"})
"""Deletion of one object."""


@dataclass(frozen=True, slots=True)
class VersionFilter:
    """Which versions of each object: the union of what is named.

    `times` are microseconds UTC. The default is the latest version alone.
    """

    first: bool = False
    last: bool = True
    every: bool = False
    times: frozenset[int] = frozenset()


LAST: Final = VersionFilter()
EVERY: Final = VersionFilter(last=False, every=True)


@dataclass(frozen=True, slots=True)
class Filters:
    """What a request asks of a collection.

    `added_after` is in microseconds UTC, exclusive. `limit` is what the client asked for (>= 1;
    the server caps it). `next` is the client's cursor, unread (see `hub.taxii.cursor`). Empty
    `ids` and `types` mean no restriction; without `spec_versions` each object is given in the
    newest specification version that it is kept in. `versions` chooses among those that the
    other filters leave, so that `last` with `spec_versions` of 2.0 is the last of 2.0.
    """

    added_after: int | None = None
    limit: int | None = None
    next: str | None = None
    ids: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    versions: VersionFilter = LAST
    spec_versions: frozenset[str] = frozenset()

    def for_object(self, object_id: str) -> Filters:
        """The same filters, restricted to one object."""
        return replace(self, ids=frozenset({object_id}))


def parse(
    query: Iterable[tuple[str, str]],
    *,
    allowed: frozenset[str] = ALL_FILTERS,
    default_versions: VersionFilter = LAST,
) -> Filters:
    """Read decoded query parameters.

    Parameters that are not TAXII's are ignored, as HTTP caches and proxies add their own. A
    match field that the endpoint cannot honour is refused: ignoring it would answer more than
    was asked for. A match field given several times, which the standard forbids clients (section
    3.4) and HTTP libraries do with lists all the same, is read as one list.

    Args:
        query: (name, value) pairs in order, percent-decoded.
        allowed: the filters of the endpoint.
        default_versions: without match[version]; the latest for reading (section 3.4.1), `EVERY`
            for deletion (section 5.7).
    Raises:
        InputError: a value of the wrong form, a repeated scalar, an unsupported match field;
            `where` is the parameter's name.
    """
    values = _collect(query, allowed)
    versions = values.pop("match[version]", None)
    return Filters(
        added_after=_scalar(values, "added_after", _added_after),
        limit=_scalar(values, "limit", _limit),
        next=_scalar(values, "next", _next),
        ids=_elements(values, "match[id]"),
        types=_elements(values, "match[type]"),
        versions=default_versions
        if versions is None
        else _versions(_split("match[version]", versions)),
        spec_versions=_spec_versions(_elements(values, "match[spec_version]")),
    )


def _collect(query: Iterable[tuple[str, str]], allowed: frozenset[str]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in query:
        if name in allowed:
            values.setdefault(name, []).append(value)
        elif name in ALL_FILTERS or name.startswith("match["):
            raise InputError("this endpoint has no such filter", where=_shown(name))
    return values


def _scalar(values: dict[str, list[str]], name: str, read: Callable[[str], T]) -> T | None:
    given = values.get(name)
    if given is None:
        return None
    if len(set(given)) > 1:
        raise InputError("given more than once with different values", where=name)
    return read(given[0])


def _added_after(text: str) -> int:
    return to_micros(text, where="added_after")


def _limit(text: str) -> int:
    digits = text.lstrip("0")
    if _DIGITS.fullmatch(text) is None or not digits:
        raise InputError("not a positive whole number", where="limit")
    return MAX_LIMIT if len(digits) >= _LONGEST_LIMIT else int(digits)


def _next(text: str) -> str:
    if not text or len(text) > _LONGEST_VALUE:
        raise InputError("not a cursor of ours", where="next", hint="start again without next")
    return text


def _elements(values: dict[str, list[str]], name: str) -> frozenset[str]:
    given = values.get(name)
    return frozenset() if given is None else _split(name, given)


def _split(name: str, given: list[str]) -> frozenset[str]:
    elements = [part.strip() for value in given for part in value.split(",")]
    if "" in elements:
        raise InputError("an empty element in the list", where=name)
    if len(elements) > MAX_ELEMENTS:
        raise InputError(f"more than {MAX_ELEMENTS} elements", where=name)
    if any(len(element) > _LONGEST_VALUE for element in elements):
        raise InputError(f"an element longer than {_LONGEST_VALUE} characters", where=name)
    return frozenset(elements)


def _versions(elements: frozenset[str]) -> VersionFilter:
    times = elements - _KEYWORDS
    return VersionFilter(
        first="first" in elements,
        last="last" in elements,
        every="all" in elements,
        times=frozenset(to_micros(text, where="match[version]") for text in times),
    )


def _spec_versions(elements: frozenset[str]) -> frozenset[str]:
    if any(_SPEC_VERSION.fullmatch(element) is None for element in elements):
        raise InputError("not a specification version such as 2.1", where="match[spec_version]")
    return elements


def _shown(name: str) -> str:
    # The client chose this text; it goes into an error that others may read in a log.
    return name if name in ALL_FILTERS else "match[...]"
