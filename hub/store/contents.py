"""Objects: appending, paging, deleting, and the statuses of what was posted."""

from __future__ import annotations

import contextlib
from collections.abc import Collection as Ids
from collections.abc import Iterator, Sequence
from typing import Final

from hub.store.appending import CHANGED, Target, Writing, digests_of, put_statuses
from hub.store.clock import GuardedClock
from hub.store.interface import MAX_PAGE_BYTES
from hub.store.logs import Logs
from hub.store.records import (
    Appended,
    Batch,
    Entry,
    NewObject,
    Page,
    Position,
    Row,
    StatusRecord,
    T,
)
from hub.store.select import Selection, select, select_keys
from hub.store.sql import Serial, Sql
from hub.taxii import cursor
from hub.taxii.filters import EVERY, SPEC_VERSIONS, Filters, VersionFilter

_REPLAY_ROWS: Final = 500
_BEFORE_ALL: Final = -(2**63)
_ADDED: Final = (
    "SELECT count(*) FROM (SELECT 1 FROM object"
    " WHERE collection_key = ? AND date_added > ? AND date_added <= ? LIMIT ?) found"
)
_PRESENT: Final = "SELECT 1 FROM object WHERE collection_key = ? AND object_id = ? LIMIT 1"
_DELETE: Final = "DELETE FROM object WHERE collection_key = ? AND date_added = ?"
_PROMOTE: Final = (
    "UPDATE object SET is_last = true WHERE NOT is_last AND collection_key = ? AND date_added ="
    " (SELECT date_added FROM object WHERE collection_key = ? AND object_id = ?"
    " ORDER BY spec_version DESC, version DESC LIMIT 1)"
)


class Contents(Logs):
    """`ObjectStore` and `StatusStore` over `sql.Sql`."""

    _database: Sql
    _clock: GuardedClock
    epoch: str

    @contextlib.contextmanager
    def appending(self, collection_ids: Sequence[str]) -> Iterator[Writing]:
        """See `ObjectStore.appending`."""
        keys = {name: self._known_key(name) for name in sorted(set(collection_ids))}
        logged = {name: self._is_logged(name) for name in keys}
        with self._database.write(Serial.OWN) as connection:
            heads = connection.lock_heads(list(keys.values()))
            targets = {
                name: Target(key, logged=logged[name], head=heads[key])
                for name, key in keys.items()
            }
            writing = Writing(connection, targets, self._clock)
            try:
                yield writing
            finally:
                writing.end()
            connection.announce(
                [name for name, target in targets.items() if target.head != heads[target.key]]
            )

    def append(self, collection_id: str, items: Sequence[NewObject]) -> list[Appended]:
        """See `ObjectStore.append`."""
        return self.append_batches([Batch(collection_id, items)])[0]

    def append_batches(self, batches: Sequence[Batch]) -> list[list[Appended]]:
        """See `ObjectStore.append_batches`."""
        # Before the transaction begins: others need not wait for the hashing.
        digests = {
            number: digests_of(batch)
            for number, batch in enumerate(batches)
            if self._is_logged(batch.collection_id)
        }
        with self.appending([batch.collection_id for batch in batches]) as writing:
            return writing.append_all(batches, digests)

    def page(
        self,
        collection_id: str,
        filters: Filters,
        limit: int,
        *,
        max_bytes: int = MAX_PAGE_BYTES,
    ) -> Page[Row]:
        """See `ObjectStore.page`."""
        chosen = self._select(collection_id, filters, limit, room=max_bytes)
        if chosen is None:
            return Page([], more=False, next=None)
        rows: list[Row] = []
        room = max_bytes
        with self._database.reading(*chosen) as found:
            for row in map(Row._make, found):
                room -= len(row.raw)
                if len(rows) == limit or (rows and room < 0):
                    return self._continued(rows, collection_id)
                rows.append(row)
        return Page(rows, more=False, next=None)

    def manifest(self, collection_id: str, filters: Filters, limit: int) -> Page[Entry]:
        """See `ObjectStore.manifest`."""
        chosen = self._select(collection_id, filters, limit, room=None)
        found = [] if chosen is None else self._database.rows(*chosen)
        rows = [Entry._make(row) for row in found]
        if len(rows) <= limit:
            return Page(rows, more=False, next=None)
        return self._continued(rows[:limit], collection_id)

    def versions(
        self, collection_id: str, object_id: str, filters: Filters, limit: int
    ) -> Page[Entry]:
        """See `ObjectStore.versions`."""
        every = Filters(
            added_after=filters.added_after,
            next=filters.next,
            ids=frozenset({object_id}),
            versions=EVERY,
            spec_versions=filters.spec_versions,
        )
        return self.manifest(collection_id, every, limit)

    def has_object(self, collection_id: str, object_id: str) -> bool:
        """See `ObjectStore.has_object`."""
        key = self._key(collection_id)
        if key is None:
            return False
        return self._database.row(_PRESENT, (key, object_id)) is not None

    def delete(
        self,
        collection_id: str,
        object_id: str,
        versions: VersionFilter,
        spec_versions: frozenset[str] = frozenset(),
    ) -> int:
        """See `ObjectStore.delete`."""
        key = self._known_key(collection_id)
        filters = Filters(
            ids=frozenset({object_id}),
            versions=versions,
            spec_versions=spec_versions or SPEC_VERSIONS,
        )
        statement, values = select_keys(Selection(key, None, filters, self._database.dialect))
        with self._database.write(Serial.OWN) as connection:
            connection.lock_heads([key])
            found = connection.execute(statement, values).fetchall()
            connection.many(_DELETE, [(key, stamp) for (stamp,) in found])
            if found:
                connection.execute(CHANGED, (key,))
            connection.execute(_PROMOTE, (key, key, object_id))
            return len(found)

    def head(self, collection_id: str) -> int | None:
        """See `ObjectStore.head`."""
        row = self._database.row(
            "SELECT last_added FROM collection_head WHERE collection_key = ?",
            (self._key(collection_id),),
        )
        return None if row is None or row[0] is None else int(row[0])

    def positions(self, collection_ids: Ids[str]) -> dict[str, Position]:
        """See `ObjectStore.positions`."""
        keys = {found: each for each in collection_ids if (found := self._key(each)) is not None}
        if not keys:
            return {}
        marks = ", ".join("?" * len(keys))
        rows = self._database.rows(
            "SELECT collection_key, last_added, generation FROM collection_head"
            f" WHERE collection_key IN ({marks})",
            tuple(keys),
        )
        return {keys[key]: Position(head, generation) for key, head, generation in rows}

    def added(self, collection_id: str, after: int | None, until: int, most: int) -> int:
        """See `ObjectStore.added`."""
        start = _BEFORE_ALL if after is None else after
        row = self._database.row(_ADDED, (self._key(collection_id), start, until, most))
        return int(row[0])

    def count(self, collection_id: str) -> int:
        """See `ObjectStore.count`."""
        row = self._database.row(
            "SELECT count(*) FROM object WHERE collection_key = ?", (self._key(collection_id),)
        )
        return int(row[0])

    def raw_messages(self, collection_id: str) -> Iterator[bytes]:
        """See `ObjectStore.raw_messages`."""
        # In pieces: a reading transaction held open would keep the write-ahead log growing.
        position: int | None = None
        while True:
            filters = Filters(added_after=position, versions=EVERY, spec_versions=SPEC_VERSIONS)
            page = self.page(collection_id, filters, _REPLAY_ROWS)
            yield from (row.raw for row in page.rows)
            if not page.more:
                return
            position = page.rows[-1].date_added

    def put_status(self, record: StatusRecord) -> None:
        """See `StatusStore.put_status`."""
        with self._database.write(Serial.OWN) as connection:
            put_statuses(connection, [record])

    def get_status(self, status_id: str) -> StatusRecord | None:
        """See `StatusStore.get_status`."""
        row = self._database.row(
            "SELECT id, collection_id, org_id, created, raw FROM status WHERE id = ?", (status_id,)
        )
        return None if row is None else StatusRecord(*row)

    def prune_statuses(self, before: int) -> int:
        """See `StatusStore.prune_statuses`."""
        with self._database.write(Serial.OWN) as connection:
            gone = connection.execute("DELETE FROM status WHERE created < ?", (before,))
            return gone.rowcount

    def _select(
        self, collection_id: str, filters: Filters, limit: int, *, room: int | None
    ) -> tuple[str, dict[str, object]] | None:
        """The statement of a page and its values; None for an unknown collection.

        With bodies if there is room for some, else without.
        """
        key = self._key(collection_id)
        if key is None:
            return None
        position = filters.added_after
        if filters.next is not None:
            start = cursor.decode(filters.next, epoch=self.epoch, collection_id=collection_id)
            position = start.position if position is None else max(position, start.position)
        # One row more than asked for tells whether there is another page.
        chosen = Selection(key, position, filters, self._database.dialect)
        return select(chosen, limit + 1, body=room is not None, room=room)

    def _continued(self, rows: Sequence[T], collection_id: str) -> Page[T]:
        last = cursor.Cursor(rows[-1].date_added, self.epoch, collection_id)
        return Page(rows, more=True, next=cursor.encode(last))
