"""URL filters: query string -> a value that a store can answer.

Source: TAXII 2.1, section 3.4 (filtering) and 3.5 (limit, next).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from hub.errors import InputError
from hub.taxii.times import to_micros

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
    """What a request asks of a collection; an empty set means no restriction.

    `added_after` is in microseconds UTC, exclusive. `limit` is what the client asked for (>= 1;
    the server caps it). `next` is the client's cursor, unread (see `hub.taxii.cursor`).
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


def parse(query: Iterable[tuple[str, str]], *, allowed: frozenset[str] = ALL_FILTERS) -> Filters:
    """Read decoded query parameters.

    Parameters that are not TAXII's are ignored, as HTTP caches and proxies add their own. A
    match field that the endpoint cannot honour is refused: ignoring it would answer more than
    was asked for.

    Args:
        query: (name, value) pairs in order, percent-decoded.
        allowed: the filters of the endpoint.
    Raises:
        InputError: a value of the wrong form, a repeated scalar, an unsupported match field;
            `where` is the parameter's name.
    """
    raise NotImplementedError
