"""The Merkle logs of channel collections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from hub.errors import InputError, VerificationError
from hub.store import tree
from hub.store.clock import GuardedClock
from hub.store.objects import log_digest
from hub.store.records import CheckpointRow, LogMark
from hub.store.sql import Connection, Serial, Sql

_LEVELS: Final = 48
_VERIFY_ROWS: Final = 1000
_BEFORE_ALL: Final = -(2**63)
_HEAD: Final = "SELECT size, edge FROM log_head WHERE collection_key = ?"
_LEAVES: Final = (
    "SELECT position, date_added, digest FROM log_leaf"
    " WHERE collection_key = ? AND position >= ? AND position < ? ORDER BY position"
)
_RUN: Final = (
    "SELECT position, hash FROM log_node"
    " WHERE collection_key = ? AND level = ? AND position >= ? AND position < ? ORDER BY position"
)
_SOME_LEAVES: Final = (
    "SELECT position, digest FROM log_leaf WHERE collection_key = ? AND position IN"
)
_SOME_NODES: Final = (
    "SELECT level, position, hash FROM log_node WHERE collection_key = ? AND (level, position) IN"
)
_CHUNK: Final = 200
_LEAF_COLUMNS: Final = ("collection_key", "position", "date_added", "digest")
_NODE_COLUMNS: Final = ("collection_key", "level", "position", "hash")
_MOVE_HEAD: Final = "UPDATE log_head SET size = ?, edge = ? WHERE collection_key = ?"
_UNLISTED: Final = (
    "SELECT o.date_added FROM object o WHERE o.collection_key = ? AND o.date_added > ?"
    " AND NOT EXISTS"
    " (SELECT 1 FROM log_leaf l WHERE l.collection_key = o.collection_key"
    " AND l.date_added = o.date_added) LIMIT 1"
)
_BODIES: Final = (
    "SELECT date_added, body FROM object WHERE collection_key = ? AND date_added BETWEEN ? AND ?"
)
_TIME: Final = "SELECT value FROM meta WHERE name = 'log_time'"
_MARK: Final = (
    "SELECT h.size, (SELECT m.value FROM meta m WHERE m.name = 'log_time')"
    " FROM log_head h WHERE h.collection_key = ?"
)
_PUT_TIME: Final = (
    "INSERT INTO meta (name, value) VALUES ('log_time', ?)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_CHECKPOINT: Final = "SELECT size, time, quorum, raw FROM checkpoint WHERE collection_id = ?"
_PUT_CHECKPOINT: Final = (
    "INSERT INTO checkpoint (collection_id, size, time, quorum, raw) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (collection_id) DO UPDATE SET size = excluded.size, time = excluded.time,"
    " quorum = excluded.quorum, raw = excluded.raw"
)
T = TypeVar("T")


class Logs:
    """`LogStore` over `sql.Sql`, and the keys of collections."""

    _database: Sql
    _clock: GuardedClock
    _keys: dict[str, int]
    _logged: dict[str, bool]

    def log_size(self, collection_id: str) -> int:
        """See `LogStore.log_size`."""
        # Either engine shows readers a commit after it has synced its write-ahead log, not before.
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
        found = self._nodes(key, wanted)
        return [found[level, position] for level, position in wanted]

    def log_time(self) -> int:
        """See `LogStore.log_time`."""
        return self._log_time()

    def log_mark(self, collection_id: str) -> LogMark:
        """See `LogStore.log_mark`."""
        key = self._known_key(collection_id)
        self._log_time()
        # One statement, so one moment: whoever sees this time or a later one sees this size or a
        # greater one. The time that another process has set meanwhile is as good as ours.
        row = self._database.row(_MARK, (key,))
        if row is None:
            raise _no_log(collection_id)
        return LogMark(int(row[0]), int(row[1]))

    def _log_time(self) -> int:
        """The current second, written down before anybody is told of it.

        What is written is the greatest time that any process gave. So there is one write a second
        while checkpoints are asked for, and none else.
        """
        now = self._clock.now() // 1_000_000
        row = self._database.row(_TIME)
        given = 0 if row is None else int(row[0])
        if now <= given:
            return given
        with self._database.write(Serial.LOG_TIME) as connection:
            row = connection.execute(_TIME).fetchone()
            given = 0 if row is None else int(row[0])
            if now > given:
                connection.execute(_PUT_TIME, (str(now),))
        return max(now, given)

    def put_checkpoint(self, collection_id: str, row: CheckpointRow) -> None:
        """See `LogStore.put_checkpoint`."""
        with self._database.write() as connection:
            kept = connection.execute(_CHECKPOINT, (collection_id,)).fetchone()
            if kept is not None and _rank(CheckpointRow._make(kept)) >= _rank(row):
                return
            connection.execute(_PUT_CHECKPOINT, (collection_id, *row))

    def checkpoint(self, collection_id: str) -> CheckpointRow | None:
        """See `LogStore.checkpoint`."""
        row = self._database.row(_CHECKPOINT, (collection_id,))
        if row is None:
            return None
        size, time, quorum, raw = row
        return CheckpointRow(size, time, quorum=bool(quorum), raw=raw)

    def verify_log(self, collection_id: str) -> int:
        """See `LogStore.verify_log`."""
        key, edge = self._head(collection_id)
        where = f"log of {collection_id}"
        grown = tree.Frontier()
        last_added = _BEFORE_ALL
        while grown.size < edge.size:
            end = min(grown.size + _VERIFY_ROWS, edge.size)
            leaves = self._database.rows(_LEAVES, (key, grown.size, end))
            if [row[0] for row in leaves] != list(range(grown.size, end)):
                raise VerificationError("leaves are missing", where=where)
            last_added = self._compare(key, leaves, last_added, where)
            self._grow(key, grown, [row[2] for row in leaves], where)
        if grown.to_bytes() != edge.to_bytes():
            raise VerificationError("the root is not that of the leaves", where=where)
        # Only behind the last leaf: what lies before was compared, some rows to a statement.
        if self._database.row(_UNLISTED, (key, last_added)) is not None:
            # Whoever appends between the two looks adds object and leaf at once.
            raise VerificationError("an object has no leaf", where=where)
        return edge.size

    def _compare(
        self, key: int, leaves: Sequence[tuple[int, int, bytes]], last: int, where: str
    ) -> int:
        """Check a run of leaves against the objects still there since `last`; its last stamp."""
        stamps = [row[1] for row in leaves]
        if stamps != sorted(set(stamps)) or stamps[0] <= last:
            raise VerificationError("leaves are not in the order of date_added", where=where)
        logged: dict[int, bytes] = {row[1]: row[2] for row in leaves}
        with self._database.reading(_BODIES, (key, last + 1, stamps[-1])) as bodies:
            for stamp, body in bodies:
                if stamp not in logged:
                    raise VerificationError("an object has no leaf", where=where)
                if logged[stamp] != log_digest(body):
                    raise VerificationError("an object is not what its leaf says", where=where)
        return stamps[-1]

    def _grow(self, key: int, grown: tree.Frontier, digests: Sequence[bytes], where: str) -> None:
        made = [node for digest in digests for node in grown.append(digest)]
        for level in sorted({node.level for node in made}):
            grew = [node for node in made if node.level == level]
            stored = self._database.rows(
                _RUN, (key, level, grew[0].position, grew[-1].position + 1)
            )
            if len(stored) < len(grew):
                raise VerificationError("a node is missing", where=where)
            if stored != [(node.position, node.hash) for node in grew]:
                raise VerificationError("a node is not that of its leaves", where=where)

    def _nodes(self, key: int, wanted: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        """Hashes by (level, position)."""
        found: dict[tuple[int, int], bytes] = {}
        leaves = sorted({position for level, position in wanted if level == 0})
        for chosen in _chunks(leaves):
            statement = f"{_SOME_LEAVES} ({', '.join('?' * len(chosen))})"
            for position, digest in self._database.rows(statement, (key, *chosen)):
                found[0, position] = tree.leaf_hash(digest)
        for pairs in _chunks(sorted({node for node in wanted if node[0]})):
            values = [number for pair in pairs for number in pair]
            statement = f"{_SOME_NODES} (VALUES {', '.join(['(?, ?)'] * len(pairs))})"
            for level, position, hashed in self._database.rows(statement, (key, *values)):
                found[level, position] = hashed
        if not found.keys() >= {(level, position) for level, position in wanted}:
            raise VerificationError("a node is missing", where="log")
        return found

    def _head(self, collection_id: str) -> tuple[int, tree.Frontier]:
        key = self._known_key(collection_id)
        row = self._database.row(_HEAD, (key,))
        if row is None:
            raise _no_log(collection_id)
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


def extend_log(connection: Connection, key: int, leaves: Sequence[tuple[int, bytes]]) -> None:
    """Append leaves inside the transaction that stores their objects.

    Args:
        connection: of a transaction which keeps other writers out of the collection.
        key: of a collection with a log.
        leaves: (date_added, digest), ascending.
    """
    if not leaves:
        return
    edge = tree.Frontier.from_bytes(*connection.execute(_HEAD, (key,)).fetchone())
    first = edge.size
    nodes = [node for _, digest in leaves for node in edge.append(digest)]
    connection.insert(
        "log_leaf",
        _LEAF_COLUMNS,
        [(key, first + offset, *leaf) for offset, leaf in enumerate(leaves)],
    )
    connection.insert("log_node", _NODE_COLUMNS, [(key, *node) for node in nodes])
    connection.execute(_MOVE_HEAD, (edge.size, edge.to_bytes(), key))


def _rank(row: CheckpointRow) -> tuple[int, bool, int]:
    return row.size, bool(row.quorum), row.time


def _no_log(collection_id: str) -> InputError:
    return InputError("the collection has no log", where=collection_id)


def _chunks(elements: Sequence[T]) -> Iterator[Sequence[T]]:
    for first in range(0, len(elements), _CHUNK):
        yield elements[first : first + _CHUNK]


def _require(holds: bool, where: str) -> None:
    if not holds:
        raise InputError("the log has not that many leaves", where=where)
