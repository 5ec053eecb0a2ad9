"""The Merkle logs of channel collections."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from typing import Final

from hub.errors import InputError, VerificationError
from hub.store import tree
from hub.store.clock import GuardedClock
from hub.store.objects import log_digest
from hub.store.sqlite.database import Database

_LEASE_SECONDS: Final = 30
_LEVELS: Final = 48
_VERIFY_ROWS: Final = 1000
_HEAD: Final = "SELECT size, edge FROM log_head WHERE collection_key = ?"
_LEAVES: Final = (
    "SELECT position, date_added, digest FROM log_leaf"
    " WHERE collection_key = ? AND position >= ? AND position < ? ORDER BY position"
)
_DIGEST: Final = "SELECT digest FROM log_leaf WHERE collection_key = ? AND position = ?"
_NODE: Final = "SELECT hash FROM log_node WHERE collection_key = ? AND level = ? AND position = ?"
_ADD_LEAF: Final = (
    "INSERT INTO log_leaf (collection_key, position, date_added, digest) VALUES (?, ?, ?, ?)"
)
_ADD_NODE: Final = (
    "INSERT INTO log_node (collection_key, level, position, hash) VALUES (?, ?, ?, ?)"
)
_MOVE_HEAD: Final = "UPDATE log_head SET size = ?, edge = ? WHERE collection_key = ?"
_UNLISTED: Final = (
    "SELECT o.date_added FROM object o WHERE o.collection_key = ? AND NOT EXISTS"
    " (SELECT 1 FROM log_leaf l WHERE l.collection_key = o.collection_key"
    " AND l.date_added = o.date_added) LIMIT 1"
)
_BODIES: Final = (
    "SELECT date_added, body FROM object INDEXED BY ux_object_added"
    " WHERE collection_key = ? AND date_added BETWEEN ? AND ?"
)
_PUT_LEASE: Final = (
    "INSERT INTO meta (name, value) VALUES ('log_time', ?)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


class TimeLease:
    """How far ahead times of checkpoints may be given without writing: `last` up to `end`."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.last = 0
        self.end = 0


class Logs:
    """`LogStore` on SQLite, and the keys of collections."""

    _database: Database
    _clock: GuardedClock
    _keys: dict[str, int]
    _logged: dict[str, bool]
    _time_lease: TimeLease

    def log_size(self, collection_id: str) -> int:
        """See `LogStore.log_size`."""
        # SQLite shows readers a commit after it has synced the write-ahead log, not before.
        return self._head(collection_id)[1].size

    def log_digests(self, collection_id: str, first: int, end: int) -> list[bytes]:
        """See `LogStore.log_digests`."""
        key, edge = self._head(collection_id)
        _require(0 <= first <= end <= edge.size, "range")
        return [row[2] for row in self._database.rows(_LEAVES, (key, first, end))]

    def log_nodes(self, collection_id: str, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """See `LogStore.log_nodes`."""
        key, edge = self._head(collection_id)
        for level, position in wanted:
            _require(0 <= level < _LEVELS and 0 <= position < edge.size >> level, "node")
        return [self._node(key, level, position) for level, position in wanted]

    def log_time(self) -> int:
        """See `LogStore.log_time`.

        What was given is bounded by a row that is written twice a minute at most, so that a poll
        costs no write. One process serves a database at a time.
        """
        lease = self._time_lease
        with lease.lock:
            if not lease.end:
                row = self._database.row("SELECT value FROM meta WHERE name = 'log_time'")
                lease.last = lease.end = 0 if row is None else int(row[0])
            time = max(lease.last, self._clock.now() // 1_000_000)
            if time >= lease.end:
                end = time + _LEASE_SECONDS
                with self._database.write() as connection:
                    connection.execute(_PUT_LEASE, (str(end),))
                lease.end = end
            lease.last = time
            return time

    def verify_log(self, collection_id: str) -> int:
        """See `LogStore.verify_log`."""
        key, edge = self._head(collection_id)
        where = f"log of {collection_id}"
        grown = tree.Frontier()
        last_added = -1
        while grown.size < edge.size:
            end = min(grown.size + _VERIFY_ROWS, edge.size)
            leaves = self._database.rows(_LEAVES, (key, grown.size, end))
            if [row[0] for row in leaves] != list(range(grown.size, end)):
                raise VerificationError("leaves are missing", where=where)
            last_added = self._compare(key, leaves, last_added, where)
            self._grow(key, grown, [row[2] for row in leaves], where)
        if grown.to_bytes() != edge.to_bytes():
            raise VerificationError("the root is not that of the leaves", where=where)
        if self._database.row(_UNLISTED, (key,)) is not None:
            # Whoever appends between the two looks adds object and leaf at once.
            raise VerificationError("an object has no leaf", where=where)
        return edge.size

    def _compare(
        self, key: int, leaves: Sequence[tuple[int, int, bytes]], last: int, where: str
    ) -> int:
        """Check a run of leaves against the objects that are still there; its last stamp."""
        stamps = [row[1] for row in leaves]
        if stamps != sorted(set(stamps)) or stamps[0] <= last:
            raise VerificationError("leaves are not in the order of date_added", where=where)
        logged = {row[1]: row[2] for row in leaves}
        with self._database.reading(_BODIES, (key, stamps[0], stamps[-1])) as bodies:
            for stamp, body in bodies:
                if stamp not in logged:
                    raise VerificationError("an object has no leaf", where=where)
                if logged[stamp] != log_digest(body):
                    raise VerificationError("an object is not what its leaf says", where=where)
        return stamps[-1]

    def _grow(self, key: int, grown: tree.Frontier, digests: Sequence[bytes], where: str) -> None:
        for digest in digests:
            for level, position, found in grown.append(digest):
                if self._node(key, level, position) != found:
                    raise VerificationError("a node is not that of its leaves", where=where)

    def _node(self, key: int, level: int, position: int) -> bytes:
        if level:
            row = self._database.row(_NODE, (key, level, position))
        else:
            row = self._database.row(_DIGEST, (key, position))
        if row is None:
            raise VerificationError("a node is missing", where="log")
        found: bytes = row[0]
        return found if level else tree.leaf_hash(found)

    def _head(self, collection_id: str) -> tuple[int, tree.Frontier]:
        key = self._known_key(collection_id)
        row = self._database.row(_HEAD, (key,))
        if row is None:
            raise InputError("the collection has no log", where=collection_id)
        return key, tree.Frontier.from_bytes(*row)

    def _is_logged(self, collection_id: str) -> bool:
        found = self._logged.get(collection_id)
        if found is None:
            key = self._known_key(collection_id)
            found = self._database.row(_HEAD, (key,)) is not None
            self._logged[collection_id] = found
        return found

    def _key(self, collection_id: str) -> int | None:
        # Collections are never removed, so what was once found stays true.
        key = self._keys.get(collection_id)
        if key is None:
            row = self._database.row("SELECT key FROM collection WHERE id = ?", (collection_id,))
            if row is None:
                return None
            key = self._keys[collection_id] = int(row[0])
        return key

    def _known_key(self, collection_id: str) -> int:
        key = self._key(collection_id)
        if key is None:
            raise InputError("there is no such collection", where=collection_id)
        return key


def extend_log(
    connection: sqlite3.Connection, key: int, leaves: Sequence[tuple[int, bytes]]
) -> None:
    """Append leaves inside the transaction that stores their objects.

    Args:
        connection: in a write transaction.
        key: of a collection with a log.
        leaves: (date_added, digest), ascending.
    """
    if not leaves:
        return
    edge = tree.Frontier.from_bytes(*connection.execute(_HEAD, (key,)).fetchone())
    first = edge.size
    nodes = [node for _, digest in leaves for node in edge.append(digest)]
    connection.executemany(
        _ADD_LEAF,
        [(key, first + offset, *leaf) for offset, leaf in enumerate(leaves)],
    )
    connection.executemany(_ADD_NODE, [(key, *node) for node in nodes])
    connection.execute(_MOVE_HEAD, (edge.size, edge.to_bytes(), key))


def _require(holds: bool, where: str) -> None:
    if not holds:
        raise InputError("the log has not that many leaves", where=where)
