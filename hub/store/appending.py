"""A write transaction over some collections: what is stored, with which stamps, and what is not.

The heads of the collections are locked before anything is looked at, and a stamp is taken after
that. One taken before could be committed after a greater one, behind the back of a reader who saw
that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from hub.errors import InputError, StoreError
from hub.store.clock import GuardedClock
from hub.store.logs import extend_log
from hub.store.objects import log_digest, same_body, version_key
from hub.store.records import Appended, Batch, NewObject, Outcome, StatusRecord
from hub.store.sql import Connection, Known
from hub.taxii.times import to_text

_MESSAGE_ROWS: Final = 100
_COLUMNS: Final = (
    "collection_key",
    "date_added",
    "object_id",
    "object_type",
    "spec_version",
    "version",
    "version_text",
    "is_last",
    "body",
)
_IS_LAST: Final = _COLUMNS.index("is_last")
_SUPERSEDE: Final = (
    "UPDATE object SET is_last = false"
    " WHERE collection_key = ? AND object_id = ? AND spec_version = ? AND version = ?"
)
_MOVE_HEAD: Final = "UPDATE collection_head SET last_added = ? WHERE collection_key = ?"
CHANGED: Final = "UPDATE collection_head SET generation = generation + 1 WHERE collection_key = ?"
"""Whoever changes what earlier pages of a collection show says so; see `ObjectStore.positions`."""
_MESSAGES: Final = (
    "SELECT date_added, body FROM object WHERE collection_key = ? AND date_added > ?"
    " ORDER BY date_added LIMIT ?"
)
_STATUS_COLUMNS: Final = ("id", "collection_id", "org_id", "created", "raw")


class Target:
    """A collection that is being written: its key, whether it has a log, its last stamp."""

    def __init__(self, key: int, *, logged: bool, head: int | None) -> None:
        self.key = key
        self.logged = logged
        self.head = head


class Writing:
    """`interface.Appending` over a transaction whose collections' heads are locked.

    Args:
        connection: of a transaction that ends with the block.
        targets: the collections, by id.
        clock: gives the stamps.
    """

    def __init__(
        self, connection: Connection, targets: Mapping[str, Target], clock: GuardedClock
    ) -> None:
        self._connection = connection
        self._targets = targets
        self._clock = clock
        self._ended = False

    def end(self) -> None:
        """Refuse whatever is asked after the transaction."""
        self._ended = True

    def head(self, collection_id: str) -> int | None:
        """See `Appending.head`."""
        return self._target(collection_id).head

    def messages(self, collection_id: str, after: int | None) -> Iterator[tuple[int, bytes]]:
        """See `Appending.messages`."""
        position = -1 if after is None else after
        key = self._target(collection_id).key
        while rows := self._connection.execute(
            _MESSAGES, (key, position, _MESSAGE_ROWS)
        ).fetchall():
            yield from rows
            position = rows[-1][0]
            self._target(collection_id)

    def append(self, batch: Batch) -> list[Appended]:
        """See `Appending.append`."""
        return self.append_all([batch])[0]

    def append_all(
        self,
        batches: Sequence[Batch],
        digests: Mapping[int, Sequence[bytes]] | None = None,
    ) -> list[list[Appended]]:
        """See `Appending.append_all`.

        Args:
            batches: as there.
            digests: what the log is to commit to, by index into `batches`, where the caller has
                hashed already.
        """
        results: dict[int, list[Appended]] = {}
        hashed = digests or {}
        for collection_id in dict.fromkeys(batch.collection_id for batch in batches):
            target = self._target(collection_id)
            chosen = [n for n, batch in enumerate(batches) if batch.collection_id == collection_id]
            items = [item for number in chosen for item in batches[number].items]
            fates = self._store(target, items)
            if target.logged:
                self._log(target, fates, [_digests(batches[n], hashed.get(n)) for n in chosen])
            first = 0
            for number in chosen:
                count = len(batches[number].items)
                results[number] = fates[first : first + count]
                first += count
        put_statuses(
            self._connection,
            [
                batch.status(results[number])
                for number, batch in enumerate(batches)
                if batch.status is not None
            ],
        )
        return [results[number] for number in range(len(batches))]

    def _store(self, target: Target, items: Sequence[NewObject]) -> list[Appended]:
        now = self._clock.now()
        wanted = [(item.id, item.spec_version, version_key(item.version)) for item in items]
        known = self._connection.known(target.key, wanted) if items else []
        placing = _Placing(target.key, now if target.head is None else max(target.head + 1, now))
        fates = [
            placing.place(item, version, found)
            for item, (_, _, version), found in zip(items, wanted, known, strict=True)
        ]
        if placing.rows:
            superseded = placing.superseded.items()
            self._connection.many(
                _SUPERSEDE, [(target.key, name, *highest) for name, highest in superseded]
            )
            if placing.replaced:
                self._connection.execute(CHANGED, (target.key,))
            self._connection.insert("object", _COLUMNS, placing.rows)
            target.head = placing.stamp - 1
            self._connection.execute(_MOVE_HEAD, (target.head, target.key))
        return fates

    def _log(
        self, target: Target, fates: Sequence[Appended], digests: Sequence[Sequence[bytes]]
    ) -> None:
        flat = [digest for group in digests for digest in group]
        leaves = [
            (fate.date_added, digest)
            for fate, digest in zip(fates, flat, strict=True)
            if fate.outcome is Outcome.STORED
        ]
        extend_log(self._connection, target.key, leaves)

    def _target(self, collection_id: str) -> Target:
        if self._ended:
            raise StoreError("the transaction has ended", where=collection_id)
        found = self._targets.get(collection_id)
        if found is None:
            raise InputError("the collection is not being written", where=collection_id)
        return found


class _Placing:
    """Decides, object by object, what is stored; the same for every engine.

    What a batch itself brought counts as stored for what follows in it.
    """

    def __init__(self, key: int, stamp: int) -> None:
        self.stamp = stamp
        self.rows: list[list[object]] = []
        self.superseded: dict[str, tuple[str, int]] = {}
        self.replaced = False
        self._key = key
        # Of this batch: the row of each version, and the greatest version of each object.
        self._own: dict[tuple[str, str, int], list[object]] = {}
        self._greatest: dict[str, list[object]] = {}

    def place(self, item: NewObject, version: int, known: Known | None) -> Appended:
        """The fate of an object, given what was stored of it before the batch."""
        own = self._own.get((item.id, item.spec_version, version))
        if own is not None:
            return _repeated(item, own[1], own[6], own[8])
        if known is not None and known.same is not None:
            stamp, text, body = known.same
            return _repeated(item, stamp, text, body)
        text = to_text(self.stamp) if item.version is None else item.version
        is_last = self._supersede(item, version, known)
        row: list[object] = [
            self._key,
            self.stamp,
            item.id,
            item.type,
            item.spec_version,
            version,
            text,
            is_last,
            item.raw,
        ]
        self.rows.append(row)
        self._own[item.id, item.spec_version, version] = row
        if is_last:
            self._greatest[item.id] = row
        self.stamp += 1
        return Appended(item.id, text, self.stamp - 1, Outcome.STORED)

    def _supersede(self, item: NewObject, version: int, known: Known | None) -> bool:
        """Whether a new version is the object's last; unmarks the one that was."""
        mine = (item.spec_version, version)
        brought = self._greatest.get(item.id)
        if brought is not None:
            if mine < (brought[4], brought[5]):
                return False
            brought[_IS_LAST] = False
            self.replaced = True
            return True
        if known is None:
            return True
        if mine < known.highest:
            return False
        self.superseded[item.id] = known.highest
        self.replaced = True
        return True


def put_statuses(connection: Connection, records: Sequence[StatusRecord]) -> None:
    """Keep statuses; the same id again replaces one."""
    rows = {
        record.id: (record.id, record.collection_id, record.org_id, record.created, record.raw)
        for record in records
    }
    connection.insert("status", _STATUS_COLUMNS, list(rows.values()), replacing="id")


def digests_of(batch: Batch) -> list[bytes]:
    """What a log commits to when it takes a batch."""
    return [log_digest(item.raw) for item in batch.items]


def _digests(batch: Batch, hashed: Sequence[bytes] | None) -> Sequence[bytes]:
    return digests_of(batch) if hashed is None else hashed


def _repeated(item: NewObject, stamp: object, text: object, body: object) -> Appended:
    assert isinstance(stamp, int)
    assert isinstance(text, str)
    assert isinstance(body, bytes)
    outcome = Outcome.DUPLICATE if same_body(body, item.raw) else Outcome.CONFLICT
    return Appended(item.id, text, stamp, outcome)
