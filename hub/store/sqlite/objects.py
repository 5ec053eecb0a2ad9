"""Objects: appending, paging, deleting, and the statuses of what was posted."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection as Ids
from collections.abc import Iterator, Sequence
from typing import Final

from hub.store.clock import GuardedClock
from hub.store.interface import MAX_PAGE_BYTES
from hub.store.objects import log_digest, same_body, version_key
from hub.store.records import (
    Appended,
    Batch,
    Entry,
    NewObject,
    Outcome,
    Page,
    Position,
    Row,
    StatusRecord,
    T,
)
from hub.store.sqlite.database import Database
from hub.store.sqlite.log import Logs, extend_log
from hub.store.sqlite.select import Selection, select, select_keys
from hub.taxii import cursor
from hub.taxii.filters import EVERY, SPEC_VERSIONS, Filters, VersionFilter
from hub.taxii.times import to_text

_REPLAY_ROWS: Final = 500
_BEFORE_ALL: Final = -(2**63)

_HIGHEST: Final = (
    "SELECT spec_version, version FROM object INDEXED BY ux_object_version"
    " WHERE collection_key = ? AND object_id = ?"
    " ORDER BY spec_version DESC, version DESC LIMIT 1"
)
_KNOWN: Final = (
    "SELECT date_added, version_text, body FROM object"
    " WHERE collection_key = ? AND object_id = ? AND spec_version = ? AND version = ?"
)
_SUPERSEDE: Final = (
    "UPDATE object SET is_last = 0"
    " WHERE collection_key = ? AND object_id = ? AND spec_version = ? AND version = ?"
)
_PROMOTE: Final = (
    "UPDATE object SET is_last = 1 WHERE NOT is_last AND seq ="
    " (SELECT seq FROM object INDEXED BY ux_object_version"
    " WHERE collection_key = ? AND object_id = ?"
    " ORDER BY spec_version DESC, version DESC LIMIT 1)"
)
_INSERT: Final = (
    "INSERT INTO object (collection_key, date_added, object_id, object_type, spec_version,"
    " version, version_text, is_last, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_CHANGED: Final = "UPDATE collection_head SET generation = generation + 1 WHERE collection_key = ?"
_ADDED: Final = (
    "SELECT count(*) FROM (SELECT 1 FROM object INDEXED BY ux_object_added"
    " WHERE collection_key = ? AND date_added > ? AND date_added <= ? LIMIT ?)"
)
_PUT_STATUS: Final = (
    "INSERT INTO status (id, collection_id, org_id, created, raw) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET collection_id = excluded.collection_id,"
    " org_id = excluded.org_id, created = excluded.created, raw = excluded.raw"
)


class Objects(Logs):
    """`ObjectStore` and `StatusStore` on SQLite."""

    _database: Database
    _clock: GuardedClock
    epoch: str

    def append(self, collection_id: str, items: Sequence[NewObject]) -> list[Appended]:
        """See `ObjectStore.append`."""
        return self.append_batches([Batch(collection_id, items)])[0]

    def append_batches(self, batches: Sequence[Batch]) -> list[list[Appended]]:
        """See `ObjectStore.append_batches`."""
        results: dict[int, list[Appended]] = {}
        # Before the transaction begins: others need not wait for the hashing.
        digests = [self._digests(batch) for batch in batches]
        # One order of collections in every process: the rule that keeps row locks free of
        # deadlock on stores that have them.
        order = sorted(range(len(batches)), key=lambda index: batches[index].collection_id)
        with self._database.write() as connection:
            for index in order:
                batch = batches[index]
                fates = self._append_one(connection, batch)
                self._log(connection, batch, fates, digests[index])
                if batch.status is not None:
                    connection.execute(_PUT_STATUS, _status_values(batch.status(fates)))
                results[index] = fates
        return [results[index] for index in range(len(batches))]

    def page(
        self,
        collection_id: str,
        filters: Filters,
        limit: int,
        *,
        max_bytes: int = MAX_PAGE_BYTES,
    ) -> Page[Row]:
        """See `ObjectStore.page`."""
        chosen = self._select(collection_id, filters, limit, body=True)
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
        chosen = self._select(collection_id, filters, limit, body=False)
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
        return self._database.row(_HIGHEST, (key, object_id)) is not None

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
        statement, values = select_keys(Selection(key, None, filters))
        with self._database.write() as connection:
            found = connection.execute(statement, values).fetchall()
            connection.executemany("DELETE FROM object WHERE seq = ?", found)
            if found:
                connection.execute(_CHANGED, (key,))
            connection.execute(_PROMOTE, (key, object_id))
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
        with self._database.write() as connection:
            connection.execute(_PUT_STATUS, _status_values(record))

    def get_status(self, status_id: str) -> StatusRecord | None:
        """See `StatusStore.get_status`."""
        row = self._database.row(
            "SELECT id, collection_id, org_id, created, raw FROM status WHERE id = ?", (status_id,)
        )
        return None if row is None else StatusRecord(*row)

    def prune_statuses(self, before: int) -> int:
        """See `StatusStore.prune_statuses`."""
        with self._database.write() as connection:
            return connection.execute("DELETE FROM status WHERE created < ?", (before,)).rowcount

    def _append_one(self, connection: sqlite3.Connection, batch: Batch) -> list[Appended]:
        key = self._known_key(batch.collection_id)
        # The stamp is taken here, inside the write transaction: one taken before it could be
        # committed after a greater one, behind the back of a reader who saw that.
        head = connection.execute(
            "SELECT last_added FROM collection_head WHERE collection_key = ?", (key,)
        ).fetchone()[0]
        now = self._clock.now()
        stamp = now if head is None else max(head + 1, now)
        fates: list[Appended] = []
        superseded = False
        for item in batch.items:
            fate, newer = _insert(connection, key, item, stamp)
            fates.append(fate)
            superseded |= newer
            if fate.outcome is Outcome.STORED:
                stamp += 1
        if any(fate.outcome is Outcome.STORED for fate in fates):
            connection.execute(
                "UPDATE collection_head SET last_added = ? WHERE collection_key = ?",
                (stamp - 1, key),
            )
        if superseded:
            connection.execute(_CHANGED, (key,))
        return fates

    def _log(
        self,
        connection: sqlite3.Connection,
        batch: Batch,
        fates: Sequence[Appended],
        digests: Sequence[bytes] | None,
    ) -> None:
        if digests is None:
            return
        leaves = [
            (fate.date_added, digest)
            for fate, digest in zip(fates, digests, strict=True)
            if fate.outcome is Outcome.STORED
        ]
        extend_log(connection, self._known_key(batch.collection_id), leaves)

    def _digests(self, batch: Batch) -> list[bytes] | None:
        """What the log is to commit to; None for a collection without a log."""
        if not self._is_logged(batch.collection_id):
            return None
        return [log_digest(item.raw) for item in batch.items]

    def _select(
        self, collection_id: str, filters: Filters, limit: int, *, body: bool
    ) -> tuple[str, dict[str, object]] | None:
        """The statement of a page and its values; None for an unknown collection."""
        key = self._key(collection_id)
        if key is None:
            return None
        position = filters.added_after
        if filters.next is not None:
            start = cursor.decode(filters.next, epoch=self.epoch, collection_id=collection_id)
            position = start.position if position is None else max(position, start.position)
        # One row more than asked for tells whether there is another page.
        return select(Selection(key, position, filters), limit + 1, body=body)

    def _continued(self, rows: Sequence[T], collection_id: str) -> Page[T]:
        last = cursor.Cursor(rows[-1].date_added, self.epoch, collection_id)
        return Page(rows, more=True, next=cursor.encode(last))


def _insert(
    connection: sqlite3.Connection, key: int, item: NewObject, stamp: int
) -> tuple[Appended, bool]:
    """The object's fate, and whether another version is no longer the last one."""
    version = version_key(item.version)
    own = (item.spec_version, version)
    highest = connection.execute(_HIGHEST, (key, item.id)).fetchone()
    is_last = highest is None or own > highest
    if highest is not None:
        known = connection.execute(_KNOWN, (key, item.id, *own)).fetchone()
        if known is not None:
            same = same_body(known[2], item.raw)
            outcome = Outcome.DUPLICATE if same else Outcome.CONFLICT
            return Appended(item.id, known[1], known[0], outcome), False
        if is_last:
            connection.execute(_SUPERSEDE, (key, item.id, *highest))
    text = to_text(stamp) if item.version is None else item.version
    connection.execute(
        _INSERT,
        (key, stamp, item.id, item.type, item.spec_version, version, text, is_last, item.raw),
    )
    return Appended(item.id, text, stamp, Outcome.STORED), is_last and highest is not None


def _status_values(record: StatusRecord) -> tuple[object, ...]:
    return (record.id, record.collection_id, record.org_id, record.created, record.raw)
