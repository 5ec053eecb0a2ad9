"""Collections and grants, on either engine."""

from __future__ import annotations

import re
import uuid
from typing import Any, Final

from hub.errors import ConflictError, InputError
from hub.model.markings import TLP
from hub.store.ceiling import beneath
from hub.store.clock import GuardedClock
from hub.store.records import Collection, Grant, Kind
from hub.store.sql import Connection, Sql, require_org

_COLLECTION: Final = (
    "SELECT id, kind, title, description, alias, owner_org, channel_id, inbox_of, created,"
    " ceiling, government FROM collection"
)
_BY_ID: Final = f"{_COLLECTION} WHERE id = ?"
_BY_ALIAS: Final = f"{_COLLECTION} WHERE alias = ?"
_BY_INBOX: Final = f"{_COLLECTION} WHERE inbox_of = ?"
_ALL: Final = f"{_COLLECTION} ORDER BY key"
_GRANT: Final = "SELECT collection_id, org_id, can_read, can_write, clearance FROM collection_grant"
_PLAIN_KEY: Final = "SELECT key FROM collection WHERE id = ? AND kind = ?"
_BODIES: Final = (
    "SELECT date_added, body FROM object WHERE collection_key = ? AND date_added > ?"
    " ORDER BY date_added LIMIT ?"
)
_ROWS: Final = 100
_BEFORE_ALL: Final = -(2**63)
_ALIAS: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class Collections:
    """`CollectionStore`."""

    _database: Sql
    _clock: GuardedClock

    def create_collection(
        self,
        kind: Kind,
        title: str,
        *,
        owner_org: str,
        description: str | None = None,
        alias: str | None = None,
        inbox_of: str | None = None,
        collection_id: str | None = None,
    ) -> Collection:
        """See `CollectionStore.create_collection`."""
        made = Collection(
            id=str(uuid.uuid4()) if collection_id is None else _uuid4(collection_id),
            kind=kind,
            title=title,
            description=description,
            alias=None if alias is None else _alias(alias),
            owner_org=owner_org,
            channel_id=None,
            inbox_of=inbox_of,
            created=self._clock.seconds(),
        )
        with self._database.write() as connection:
            _check_free(connection, made)
            (key,) = connection.execute(
                "INSERT INTO collection (id, kind, title, description, alias, owner_org,"
                " channel_id, inbox_of, created) VALUES (?, ?, ?, ?, ?, ?, NULL, ?, ?)"
                " RETURNING key",
                (
                    made.id,
                    made.kind.value,
                    made.title,
                    made.description,
                    made.alias,
                    made.owner_org,
                    made.inbox_of,
                    made.created,
                ),
            ).fetchone()
            connection.execute(
                "INSERT INTO collection_head (collection_key, last_added) VALUES (?, NULL)",
                (key,),
            )
            if kind is Kind.CHANNEL:
                connection.execute(
                    "INSERT INTO log_head (collection_key, size, edge) VALUES (?, 0, ?)",
                    (key, b""),
                )
        return made

    def collection(self, id_or_alias: str) -> Collection | None:
        """See `CollectionStore.collection`."""
        row = self._database.row(_BY_ID, (id_or_alias,))
        if row is None:
            row = self._database.row(_BY_ALIAS, (id_or_alias,))
        return None if row is None else _collection(row)

    def collections(self) -> list[Collection]:
        """See `CollectionStore.collections`."""
        return [_collection(row) for row in self._database.rows(_ALL)]

    def inbox(self, collection_id: str) -> Collection | None:
        """See `CollectionStore.inbox`."""
        row = self._database.row(_BY_INBOX, (collection_id,))
        return None if row is None else _collection(row)

    def bind_channel(self, collection_id: str, channel_id: str) -> None:
        """See `CollectionStore.bind_channel`."""
        with self._database.write() as connection:
            row = connection.execute(_BY_ID, (collection_id,)).fetchone()
            if row is None:
                raise _unknown(collection_id)
            carried = _collection(row).channel_id
            if carried == channel_id:
                return
            if carried is not None:
                raise ConflictError("the collection carries another channel", where=collection_id)
            if connection.execute(
                "SELECT 1 FROM collection WHERE channel_id = ?", (channel_id,)
            ).fetchone():
                raise ConflictError("another collection carries this channel", where=collection_id)
            connection.execute(
                "UPDATE collection SET channel_id = ? WHERE id = ?", (channel_id, collection_id)
            )

    def set_ceiling(
        self, collection_id: str, ceiling: TLP | None, *, seen: int | None = None
    ) -> None:
        """See `CollectionStore.set_ceiling`."""
        with self._database.write() as connection:
            row = connection.execute(_PLAIN_KEY, (collection_id, Kind.PLAIN.value)).fetchone()
            if row is None:
                raise InputError("there is no such plain collection", where=collection_id)
            # Whoever stores there waits, and then judges by the ceiling that is set here.
            connection.lock_heads([row[0]])
            if ceiling is not None:
                _refuse_higher(connection, row[0], collection_id, ceiling, seen)
            level = None if ceiling is None else ceiling.value_name
            connection.execute("UPDATE collection SET ceiling = ? WHERE key = ?", (level, row[0]))

    def open_to_government(self, collection_id: str, *, opened: bool) -> None:
        """See `CollectionStore.open_to_government`."""
        self._change_plain(collection_id, "government", opened)

    def _change_plain(self, collection_id: str, column: str, value: object) -> None:
        with self._database.write() as connection:
            changed = connection.execute(
                f"UPDATE collection SET {column} = ? WHERE id = ? AND kind = ?",
                (value, collection_id, Kind.PLAIN.value),
            )
            if changed.rowcount != 1:
                raise InputError("there is no such plain collection", where=collection_id)

    def set_grant(
        self,
        collection_id: str,
        org_id: str,
        *,
        can_read: bool,
        can_write: bool,
        clearance: TLP | None = None,
    ) -> None:
        """See `CollectionStore.set_grant`."""
        reach = None if clearance is None else clearance.value_name
        with self._database.write() as connection:
            if connection.execute(_BY_ID, (collection_id,)).fetchone() is None:
                raise _unknown(collection_id)
            require_org(connection, org_id)
            connection.execute(
                "DELETE FROM collection_grant WHERE collection_id = ? AND org_id = ?",
                (collection_id, org_id),
            )
            if can_read or can_write:
                connection.execute(
                    "INSERT INTO collection_grant (collection_id, org_id, can_read, can_write,"
                    " clearance) VALUES (?, ?, ?, ?, ?)",
                    (collection_id, org_id, can_read, can_write, reach),
                )

    def grant(self, collection_id: str, org_id: str) -> Grant | None:
        """See `CollectionStore.grant`."""
        row = self._database.row(
            f"{_GRANT} WHERE collection_id = ? AND org_id = ?", (collection_id, org_id)
        )
        return None if row is None else _grant(row)

    def grants(self, collection_id: str) -> list[Grant]:
        """See `CollectionStore.grants`."""
        rows = self._database.rows(
            f"{_GRANT} WHERE collection_id = ? ORDER BY org_id", (collection_id,)
        )
        return [_grant(row) for row in rows]

    def grants_of(self, org_id: str) -> dict[str, Grant]:
        """See `CollectionStore.grants_of`."""
        rows = self._database.rows(f"{_GRANT} WHERE org_id = ?", (org_id,))
        return {row[0]: _grant(row) for row in rows}


def _check_free(connection: Connection, made: Collection) -> None:
    require_org(connection, made.owner_org)
    if connection.execute(
        # An alias that is another collection's id would make look-ups ambiguous.
        "SELECT 1 FROM collection WHERE id IN (?, ?) OR alias IN (?, ?)",
        (made.id, made.alias, made.id, made.alias),
    ).fetchone():
        raise ConflictError("the id or alias is taken", where=made.alias or made.id)
    if made.inbox_of is None:
        return
    if connection.execute(_BY_ID, (made.inbox_of,)).fetchone() is None:
        raise _unknown(made.inbox_of)
    if connection.execute(_BY_INBOX, (made.inbox_of,)).fetchone():
        raise ConflictError("the collection has an inbox already", where=made.inbox_of)


def _uuid4(text: str) -> str:
    try:
        found = uuid.UUID(text)
    except ValueError as error:
        raise InputError("not a UUID", where="collection_id") from error
    if found.version != 4 or str(found) != text:
        raise InputError("not a UUIDv4 in its usual form", where="collection_id")
    return text


def _alias(text: str) -> str:
    if _ALIAS.fullmatch(text) is None:
        raise InputError("an alias is 1 to 63 of a-z, 0-9, '.', '_' and '-'", where="alias")
    return text


def _unknown(collection_id: str) -> InputError:
    return InputError("there is no such collection", where=collection_id)


def _collection(row: Any) -> Collection:
    found_id, kind, title, description, alias, owner, channel, inbox_of, created, *more = row
    return Collection(
        found_id,
        Kind(kind),
        title,
        description,
        alias,
        owner,
        channel,
        inbox_of,
        created,
        ceiling=_level(more[0]),
        government=bool(more[1]),
    )


def _grant(row: Any) -> Grant:
    return Grant(
        row[0], row[1], can_read=bool(row[2]), can_write=bool(row[3]), clearance=_level(row[4])
    )


def _level(text: str | None) -> TLP | None:
    return None if text is None else TLP.from_label(text)


def _refuse_higher(
    connection: Connection, key: int, where: str, ceiling: TLP, seen: int | None
) -> None:
    position = _BEFORE_ALL if seen is None else seen
    while rows := connection.execute(_BODIES, (key, position, _ROWS)).fetchall():
        if not all(beneath(body, ceiling) for _, body in rows):
            raise ConflictError(
                "it holds objects that are marked higher",
                where=where,
                hint="delete them first, or choose a higher ceiling",
            )
        position = rows[-1][0]
