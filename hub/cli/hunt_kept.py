"""What a hunt that stays keeps from one arrival to the next, so that an arrival costs little.

Everything is read from the home at each arrival, as a single hunt does; what is kept is only what
would come out alike: the parsed form of the same bytes, and what the store cannot answer.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

from hub.hunt.hunted import Versions
from hub.model.codec import Json, loads

Decode = Callable[[bytes], Json]
Objects = Callable[[], Iterator[Json]]

MOST_OBJECTS: Final = 50_000
"""A home of more objects is read anew at each arrival: parsed they take a few kilobytes each."""


class Kept:
    """Parsed objects, and indicators that nothing in the store can answer.

    Args:
        most: objects that are kept; of more, none.
    """

    def __init__(self, most: int = MOST_OBJECTS) -> None:
        self._most = most
        self._full = False
        self._before: dict[bytes, Json] = {}
        self._bodies: dict[bytes, Json] = {}
        self._filled: frozenset[str] = frozenset()
        self._blind: dict[bytes, Sequence[str]] = {}

    def objects(self, read: Callable[[Decode], Iterator[Json]]) -> Objects:
        """All objects at hand as they are now, of which what changed alone is parsed.

        Args:
            read: gives them anew at each call, each body parsed by what it is given.
        Returns:
            Gives the same objects at each call; they must not be changed.
        """
        if not self._full:
            self._before, self._bodies = self._bodies, {}
            found = list(itertools.islice(read(self._decode), self._most + 1))
            # What was not met again is forgotten.
            self._before = {}
            if len(found) <= self._most:
                return lambda: iter(found)
            self._full, self._bodies = True, {}
        return lambda: read(loads)

    def _decode(self, text: bytes) -> Json:
        mark = hashlib.blake2b(text, digest_size=16).digest()
        body = self._before.get(mark)
        if body is None:
            body = loads(text)
        self._bodies[mark] = body
        return body

    def blind(
        self, versions: Versions, ids: Collection[str], filled: frozenset[str]
    ) -> dict[str, Sequence[str]]:
        """Indicators of which is known that the store cannot answer them.

        Args:
            ids: of the indicators that are asked about.
            filled: columns that the store and the customer table have; others answer anew.
        Returns:
            Indicator id to the STIX paths that it lacks.
        """
        if filled != self._filled:
            self._filled, self._blind = filled, {}
        marks = versions.marks
        return {one: self._blind[marks[one]] for one in ids if marks[one] in self._blind}

    def note_blind(self, versions: Versions, found: Mapping[str, Sequence[str]]) -> None:
        """Note what the store cannot answer, and forget versions that are not at hand any more."""
        here = set(versions.marks.values())
        self._blind = {mark: paths for mark, paths in self._blind.items() if mark in here}
        marks = versions.marks
        self._blind |= {marks[one]: paths for one, paths in found.items() if one in marks}
