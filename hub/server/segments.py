"""Pages that are kept ready: rendered and compressed once, given out many times.

A page that has another after it is *settled*: whatever is stored later comes behind it. It changes
only when an object in it is deleted or is no longer the last version, and the commit that does
either raises the collection's generation (see `ObjectStore.positions`), in whatever process. So a
page is kept under the generation that was read **before** the page was, and is given out to those
who read the same generation just now: it is then as new as that, never older. Rights are asked of
each request before, and do not change what a page says. Another epoch is another key.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hub.server.negotiation import COMPRESS_FROM, compress, entity_tag
from hub.store.interface import Store
from hub.store.records import Page, Position, Row
from hub.taxii import cursor, wire
from hub.taxii.filters import LAST, NEWEST_SPEC_VERSION, Filters

_OVERHEAD: Final = 1024
_LEVELS: Final = {"zstd": 3, "gzip": 4}
_MOST_ELEMENTS: Final = 4


@dataclass(frozen=True, slots=True)
class Key:
    """What makes a settled page.

    Args:
        epoch: of the store.
        collection_id: of the collection.
        generation: read before the page.
        position: the page begins after it, microseconds UTC.
        limit: most objects.
        types: wanted STIX types; empty for all.
        spec_versions: likewise.
    """

    epoch: str
    collection_id: str
    generation: int
    position: int | None
    limit: int
    types: frozenset[str]
    spec_versions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Segment:
    """An envelope as it travels.

    Args:
        body: in its coding.
        coding: content coding, empty for none.
        tag: its strong ETag.
        first, last: date_added of the first and last object as text; None of an empty page.
        objects: how many there are.
        unpacked: length of the envelope before its coding.
    """

    body: bytes
    coding: str
    tag: str
    first: str | None
    last: str | None
    objects: int
    unpacked: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A page that has to be made; `key` is None for one that is not to be kept."""

    collection_id: str
    limit: int
    key: Key | None


EMPTY: Final = Segment(b"{}", "", entity_tag("", b"{}"), None, None, 0)


def key_of(
    epoch: str,
    collection_id: str,
    generation: int,
    filters: Filters,
    position: int | None,
    limit: int,
) -> Key | None:
    """The key of a page, or None for one that is not kept.

    Kept are pages of last versions only: `first`, and what is left of several specification
    versions, change with insertions that raise no generation.
    """
    several = filters.ids or not filters.spec_versions <= {NEWEST_SPEC_VERSION}
    if several or filters.versions != LAST or len(filters.types) > _MOST_ELEMENTS:
        return None
    return Key(
        epoch, collection_id, generation, position, limit, filters.types, filters.spec_versions
    )


def render(page: Page[Row], coding: str, *, keeping: bool) -> Segment:
    """Write a page as an envelope in a coding; one that is kept is worth a better one."""
    if not page.rows:
        return EMPTY
    body = wire.envelope([row.raw for row in page.rows], more=page.more, next_cursor=page.next)
    if len(body) < COMPRESS_FROM:
        coding = ""
    first, last = page.first_added or "", page.last_added or ""
    tag = entity_tag(coding, body, first.encode(), last.encode())
    level = _LEVELS.get(coding, 1) if keeping else 1
    packed = compress(coding, body, level=level)
    return Segment(packed, coding, tag, first, last, len(page.rows), len(body))


class Segments:
    """The settled pages that were asked for lately, up to so many bytes.

    Args:
        most_bytes: memory for all of them.
        least_bytes: envelopes shorter than that are not worth a place.
    """

    def __init__(self, most_bytes: int, least_bytes: int) -> None:
        self._most = most_bytes
        self._least = least_bytes
        self._kept: OrderedDict[tuple[Key, str], Segment] = OrderedDict()
        self._generations: dict[str, int] = {}
        self._bytes = 0
        self._lock = threading.Lock()
        self.hits = 0
        self.misses = 0

    @property
    def bytes(self) -> int:
        """Memory in use, about."""
        return self._bytes

    def find(self, key: Key, coding: str) -> Segment | None:
        """The page, if it is kept in this coding; it is used now."""
        with self._lock:
            found = self._kept.get((key, coding))
            if found is None:
                self.misses += 1
                return None
            self.hits += 1
            self._kept.move_to_end((key, coding))
            return found

    def keep(self, key: Key, segment: Segment) -> None:
        """Keep a page that has another after it; those of earlier generations go."""
        size = len(segment.body) + _OVERHEAD
        if segment.unpacked < self._least or size > self._most:
            return
        with self._lock:
            known = self._generations.get(key.collection_id, -1)
            if key.generation < known:
                return
            if key.generation > known:
                self._generations[key.collection_id] = key.generation
                self._forget(key.collection_id)
            self._drop((key, segment.coding))
            self._kept[key, segment.coding] = segment
            self._bytes += size
            while self._bytes > self._most:
                self._drop(next(iter(self._kept)))

    def _forget(self, collection_id: str) -> None:
        for place in [one for one in self._kept if one[0].collection_id == collection_id]:
            self._drop(place)

    def _drop(self, place: tuple[Key, str]) -> None:
        found = self._kept.pop(place, None)
        if found is not None:
            self._bytes -= len(found.body) + _OVERHEAD


class Pages:
    """Makes pages of objects, or finds those that are kept.

    Args:
        store: the objects.
        segments: what is kept.
    """

    def __init__(self, store: Store, segments: Segments) -> None:
        self._store = store
        self._segments = segments

    def find(
        self,
        collection_id: str,
        place: Position,
        filters: Filters,
        limit: int,
        coding: str,
        *,
        kept: bool,
    ) -> Segment | Wanted:
        """A page without reading objects, or what `make` needs to know.

        Args:
            collection_id: of a collection that is there.
            place: where it stands, looked up after the request came and before the page is read.
            filters: what is asked for.
            limit: most objects.
            coding: content coding of the answer.
            kept: whether the page may be one that is kept.
        Raises:
            InputError: `filters.next` is no cursor of this collection.
        """
        epoch = self._store.epoch
        head, generation = place
        position = filters.added_after
        if filters.next is not None:
            start = cursor.decode(filters.next, epoch=epoch, collection_id=collection_id).position
            position = start if position is None else max(start, position)
        # The usual poll is answered by this look-up.
        if head is None or (position is not None and position >= head):
            return EMPTY
        key = key_of(epoch, collection_id, generation, filters, position, limit) if kept else None
        found = None if key is None else self._segments.find(key, coding)
        return Wanted(collection_id, limit, key) if found is None else found

    def make(self, wanted: Wanted, filters: Filters, coding: str) -> tuple[Segment, Sequence[Row]]:
        """Read a page and write it as it travels; kept if it can be. Also gives its rows."""
        page = self._store.page(wanted.collection_id, filters, wanted.limit)
        key = wanted.key if page.more else None
        made = render(page, coding, keeping=key is not None)
        if key is not None:
            self._segments.keep(key, made)
        return made, page.rows
