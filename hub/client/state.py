"""The local state of a member in SQLite: channels, secrets, outbox, messages, opened objects.

One transaction per step of the protocol: what a crash leaves behind is either before or after a
step, and each step may be repeated. Secrets are sealed under the keyring's key before they come
here; opened objects lie in clear in a file of mode 0600, because matching reads them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from hub.client import sent_bytes
from hub.client.rows import (
    AlarmRow,
    ChannelRow,
    HubRow,
    InvitationRow,
    MessageRow,
    ObjectRow,
    OutboxRow,
)
from hub.client.schema import SCHEMA_VERSION, bring_up, tables_by_channel
from hub.errors import ConflictError, InputError, StoreError
from hub.model.codec import Json, dumps, loads

MAX_OPEN_ALARMS: Final = 1_000
LAPSED: Final = "lapsed"
"""The audience of what is left of an object whose direct releases have all ended."""
_WIDTHS: Final = (LAPSED, "direct", "detail", "aggregate")


class State:
    """The database of one home; one process writes at a time (see `Home.locked`)."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    @classmethod
    def open(cls, path: Path, *, create: bool = False) -> State:
        """Open the database, making it first when asked.

        Raises:
            StoreError: it cannot be opened, or a newer release made it.
        """
        try:
            if create:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=30.0
            )
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("PRAGMA foreign_keys=ON")
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if create or version != 0:
                version = bring_up(connection, version)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"the local state cannot be opened: {error}", where=str(path)
            ) from error
        if version != SCHEMA_VERSION:
            connection.close()
            raise StoreError(
                f"the local state has version {version}, this release reads {SCHEMA_VERSION}",
                where=str(path),
                hint="upgrade stillwatch",
            )
        return cls(connection)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is stored, durably, or nothing of it; nested use joins the outer.

        Raises:
            StoreError: the disk is full, or the database is busy or damaged.
        """
        if self._db.in_transaction:
            yield
            return
        with wrapped():
            self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            with wrapped():
                self.commit()
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def commit(self) -> None:
        """Make the open transaction durable."""
        self._db.execute("COMMIT")

    def run(self, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """One statement; for the modules that keep tables of their own."""
        with wrapped():
            return self._db.execute(sql, values)

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        """Every row of a query."""
        with wrapped():
            return self._db.execute(sql, values).fetchall()

    def run_many(self, sql: str, values: Iterable[Sequence[object]]) -> None:
        """One statement for each row of values."""
        with wrapped():
            self._db.executemany(sql, values)

    # Hubs

    def put_hub(self, row: HubRow) -> None:
        """Add a hub, or change its account."""
        self.run(
            "INSERT OR REPLACE INTO hub VALUES (?,?,?,?,?,?,?,?)",
            dataclasses.astuple(row),
        )

    def hub(self, api_root: str) -> HubRow | None:
        """The account on a hub."""
        return next((each for each in self.hubs() if each.api_root == api_root), None)

    def hubs(self) -> list[HubRow]:
        """Every hub."""
        return [
            HubRow(r[0], r[1], r[2], r[3], bool(r[4]), bool(r[5]), r[6], r[7])
            for r in self.rows("SELECT * FROM hub ORDER BY api_root")
        ]

    # Channels

    def add_channel(self, row: ChannelRow) -> None:
        """Add a channel.

        Raises:
            ConflictError: a channel of that id or name is there.
        """
        for other in self.channels():
            if other.channel_id == row.channel_id:
                raise ConflictError("this channel is already known here", where=other.name)
            if other.name == row.name:
                raise ConflictError(
                    "another channel has this name here",
                    where=row.name,
                    hint="give another name; stillwatch status lists those in use",
                )
        values = dataclasses.asdict(row) | {
            "owner_roots": dumps({"ids": list(row.owner_roots)}).decode()
        }
        self.run(
            f"INSERT INTO channel ({','.join(values)}) VALUES ({','.join('?' * len(values))})",
            tuple(values.values()),
        )

    def channels(self) -> list[ChannelRow]:
        """Every channel, oldest first."""
        return [
            _channel(r) for r in self.rows("SELECT * FROM channel ORDER BY created_at, channel_id")
        ]

    def channel(self, name: str) -> ChannelRow:
        """A channel by its name here, or by the beginning of its id.

        Raises:
            InputError: there is none, or several fit.
        """
        known = self.channels()
        found = [each for each in known if each.name == name or each.channel_id == name]
        if not found and len(name) >= 6:
            found = [each for each in known if each.channel_id.startswith(name)]
        if len(found) != 1:
            names = ", ".join(each.name for each in known) or "none"
            raise InputError(
                f"no channel of this name here; known: {names}",
                where=name,
                hint="stillwatch status",
            )
        return found[0]

    def set_trusted(self, channel_id: str, trusted: bytes, standing: str) -> None:
        """Store what is verified of a channel, and this member's standing in it."""
        self.run(
            "UPDATE channel SET trusted=?, standing=? WHERE channel_id=?",
            (trusted, standing, channel_id),
        )

    def set_standing(self, channel_id: str, standing: str) -> None:
        """Note this member's standing in a channel."""
        self.run("UPDATE channel SET standing=? WHERE channel_id=?", (standing, channel_id))

    def set_cursor(self, channel_id: str, cursor: str) -> None:
        """Everything up to this `date_added` is processed."""
        self.run("UPDATE channel SET cursor=? WHERE channel_id=?", (cursor, channel_id))

    def set_pulled(self, channel_id: str, at: int | None, problem: str | None) -> None:
        """Note how the last pull went; a failed one keeps the time of the last complete one."""
        self.run(
            "UPDATE channel SET pulled_at=coalesce(?, pulled_at), pull_problem=?"
            " WHERE channel_id=?",
            (at, problem, channel_id),
        )

    def forget(self, channel_id: str) -> None:
        """Erase everything about a channel: keys, messages, objects, alarms."""
        with self.transaction():
            for table in tables_by_channel(self._db):
                self.run(f"DELETE FROM {table} WHERE channel_id=?", (channel_id,))

    # Secrets

    def put_secret(self, channel_id: str, kind: str, name: str, sealed: bytes, at: int) -> None:
        """Add a sealed secret; a second one of the same name replaces it."""
        self.run(
            "INSERT OR REPLACE INTO secret VALUES (?,?,?,?,?)", (channel_id, kind, name, sealed, at)
        )

    def secrets(self, channel_id: str, kind: str) -> dict[str, bytes]:
        """Sealed secrets of a kind by name, oldest name first."""
        rows = self.rows(
            "SELECT name, sealed FROM secret WHERE channel_id=? AND kind=? ORDER BY name",
            (channel_id, kind),
        )
        return {str(r[0]): bytes(r[1]) for r in rows}

    def drop_secret(self, channel_id: str, kind: str, name: str) -> None:
        """Erase a secret."""
        self.run(
            "DELETE FROM secret WHERE channel_id=? AND kind=? AND name=?", (channel_id, kind, name)
        )

    # Invitations

    def add_invitation(self, row: InvitationRow) -> None:
        """Note an invitation that was given."""
        self.run(
            "INSERT INTO invitation VALUES (?,?,?,?,?,?,?,?)",
            (
                row.invitation_id,
                row.channel_id,
                row.organisation,
                ",".join(row.roles),
                row.expires,
                row.created_at,
                row.used_at,
                row.used_by,
            ),
        )

    def invitations(self, channel_id: str) -> list[InvitationRow]:
        """Invitations to a channel, oldest first."""
        return [
            InvitationRow(r[0], r[1], r[2], tuple(r[3].split(",")), r[4], r[5], r[6], r[7])
            for r in self.rows(
                "SELECT * FROM invitation WHERE channel_id=? ORDER BY created_at, invitation_id",
                (channel_id,),
            )
        ]

    def use_invitation(self, invitation_id: str, at: int, member: str) -> None:
        """An invitation serves once."""
        self.run(
            "UPDATE invitation SET used_at=?, used_by=? WHERE invitation_id=?",
            (at, member, invitation_id),
        )

    # Outbox

    def enqueue(
        self, channel_id: str, target: str, digest: str, raw: bytes, tlp: str, at: int
    ) -> None:
        """Put sealed bytes into the outbox; the same bytes twice are one entry."""
        self.run(
            "INSERT OR IGNORE INTO outbox (channel_id,target,digest,raw,tlp,added_at)"
            " VALUES (?,?,?,?,?,?)",
            (channel_id, target, digest, raw, tlp, at),
        )

    def unsent(self, channel_id: str, target: str = "channel") -> list[OutboxRow]:
        """What the hub has not confirmed, in the order of sealing."""
        return [
            OutboxRow(*tuple(r))
            for r in self.rows(
                "SELECT * FROM outbox WHERE channel_id=? AND target=? AND sent_at IS NULL"
                " ORDER BY position",
                (channel_id, target),
            )
        ]

    def mark_sent(self, digests: Iterable[str], at: int) -> None:
        """The hub holds these; their bytes are kept within bounds, should it lose them."""
        with wrapped():
            sent_bytes.mark(self._db, list(digests), at)

    def sent(self, channel_id: str, most: int) -> list[OutboxRow]:
        """What was sent to a channel and is kept, the newest first."""
        return [
            OutboxRow(*tuple(r))
            for r in self.rows(
                "SELECT * FROM outbox WHERE channel_id=? AND target='channel'"
                " AND sent_at IS NOT NULL AND raw<>x'' ORDER BY position DESC LIMIT ?",
                (channel_id, most),
            )
        ]

    def mark_problem(self, digest: str, problem: str) -> None:
        """The hub refused these bytes; they stay in the outbox."""
        self.run("UPDATE outbox SET problem=? WHERE digest=?", (problem, digest))

    def abandon(self, channel_id: str) -> int:
        """Drop what is unsent in a channel, and what was verified of it; returns how many.

        Our own view holds the messages that nobody else has seen. It is given up, and the next
        pull verifies the channel anew from its beginning; epochs' secrets and opened objects stay.
        """
        with self.transaction():
            self.run(
                "DELETE FROM object WHERE channel_id=? AND digest IN"
                " (SELECT digest FROM outbox WHERE channel_id=? AND sent_at IS NULL)",
                (channel_id, channel_id),
            )
            dropped = self.run(
                "DELETE FROM outbox WHERE channel_id=? AND sent_at IS NULL", (channel_id,)
            ).rowcount
            self.run("DELETE FROM message WHERE channel_id=?", (channel_id,))
            self.run(
                "UPDATE channel SET trusted=NULL, cursor=NULL WHERE channel_id=?", (channel_id,)
            )
        return dropped

    def give_up_sent(self, channel_id: str) -> None:
        """Drop what was sent and is lost: it must not come back between what is sealed anew."""
        self.run(
            "DELETE FROM outbox WHERE channel_id=? AND target='channel' AND sent_at IS NOT NULL"
            " AND digest NOT IN (SELECT digest FROM message WHERE channel_id=?)",
            (channel_id, channel_id),
        )

    def drop_lost(self, channel_id: str, member: str) -> int:
        """Drop a member's objects whose message is not there; returns how many.

        After a channel was verified anew these are what its hub has lost: publishing them again
        must not find them published already.
        """
        return self.run(
            "DELETE FROM object WHERE channel_id=? AND member=?"
            " AND digest NOT IN (SELECT digest FROM message WHERE channel_id=?)",
            (channel_id, member, channel_id),
        ).rowcount

    # Messages

    def put_message(self, row: MessageRow) -> None:
        """Note what became of a message."""
        self.run(
            "INSERT OR REPLACE INTO message VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
            dataclasses.astuple(row),
        )

    def outcome(self, channel_id: str, digest: str) -> str | None:
        """`accepted`, `refused`, `waiting`, `sealed`, or None for a message not seen before."""
        row = self.run(
            "SELECT outcome FROM message WHERE channel_id=? AND digest=?", (channel_id, digest)
        ).fetchone()
        return None if row is None else str(row[0])

    def message(self, channel_id: str, digest: str) -> MessageRow | None:
        """A message that was looked at."""
        row = self.run(
            "SELECT * FROM message WHERE channel_id=? AND digest=?", (channel_id, digest)
        ).fetchone()
        return None if row is None else MessageRow(*tuple(row))

    def kept(self, channel_id: str, outcome: str) -> list[MessageRow]:
        """Messages whose bytes are kept, oldest first: `waiting` ones, or `sealed` ones."""
        return [
            MessageRow(*tuple(r))
            for r in self.rows(
                "SELECT * FROM message WHERE channel_id=? AND outcome=?"
                " ORDER BY received_at, sent_at, seq",
                (channel_id, outcome),
            )
        ]

    def drop_waiting(self, channel_id: str, digests: Iterable[str]) -> None:
        """Forget messages that waited for earlier ones; shown again, they are looked at anew."""
        with wrapped():
            self._db.executemany(
                "DELETE FROM message WHERE channel_id=? AND digest=? AND outcome='waiting'",
                [(channel_id, each) for each in digests],
            )

    def last_sent(self, channel_id: str, member: str) -> int | None:
        """UTC seconds of a member's newest accepted message."""
        row = self.run(
            "SELECT max(sent_at) FROM message WHERE channel_id=? AND member=?"
            " AND outcome='accepted'",
            (channel_id, member),
        ).fetchone()
        return None if row[0] is None else int(row[0])

    # Objects

    def disown(self, channel_id: str, key: str, seq: int) -> None:
        """Drop the objects that messages of a signing key beyond a position brought."""
        self.run(
            "DELETE FROM object WHERE channel_id=? AND digest IN"
            " (SELECT digest FROM message WHERE channel_id=? AND publisher=? AND seq>?)",
            (channel_id, channel_id, key, seq),
        )

    def put_object(self, row: ObjectRow) -> str | None:
        """Store a version of an object; `new`, `updated`, or None when it is not the newest."""
        known = self.run(
            "SELECT modified, audience, member FROM object WHERE channel_id=? AND id=?",
            (row.channel_id, row.id),
        ).fetchone()
        if known is not None and str(known[2]) != row.member:
            # Observables have no owner: the first body stays. An identity is its member's.
            if row.id != row.member:
                return None
        elif known is not None and str(known[1]) != LAPSED and str(known[0]) >= row.modified:
            # The same version may travel to several audiences; the widest counts.
            wider = _WIDTHS.index(row.audience) > _WIDTHS.index(str(known[1]))
            if str(known[0]) == row.modified and wider:
                sql = "UPDATE object SET audience=? WHERE channel_id=? AND id=?"
                self.run(sql, (row.audience, row.channel_id, row.id))
            return None
        values = dataclasses.asdict(row) | {"body": dumps(row.body)}
        self.run(
            f"INSERT OR REPLACE INTO object ({','.join(values)})"
            f" VALUES ({','.join('?' * len(values))})",
            tuple(values.values()),
        )
        return "new" if known is None else "updated"

    def object(self, object_id: str, channel_id: str | None = None) -> ObjectRow | None:
        """The newest version of an object, in one channel or in any."""
        rows = self.rows(
            "SELECT * FROM object WHERE id=? AND (? IS NULL OR channel_id=?)"
            " ORDER BY modified DESC LIMIT 1",
            (object_id, channel_id, channel_id),
        )
        return _object(rows[0]) if rows else None

    def versions(self, object_id: str) -> list[ObjectRow]:
        """The newest version of an object in each channel."""
        rows = self.rows("SELECT * FROM object WHERE id=? ORDER BY channel_id", (object_id,))
        return [_object(each) for each in rows]

    def objects(
        self,
        channel_id: str | None = None,
        types: Sequence[str] = (),
        member: str | None = None,
        decode: Callable[[bytes], Json] = loads,
    ) -> Iterator[ObjectRow]:
        """Newest versions, by type then id; `decode` parses the body of each."""
        sql = "SELECT * FROM object WHERE (? IS NULL OR channel_id=?) AND (? IS NULL OR member=?)"
        values: list[object] = [channel_id, channel_id, member, member]
        if types:
            sql += f" AND type IN ({','.join('?' * len(types))})"
            values += types
        with wrapped():
            for row in self._db.execute(sql + " ORDER BY type, id, channel_id", values):
                yield _object(row, decode)

    def owners(self, channel_id: str) -> dict[str, str]:
        """Object id -> the member that published it first in this channel."""
        return {
            str(r[0]): str(r[1])
            for r in self.rows("SELECT id, member FROM object WHERE channel_id=?", (channel_id,))
        }

    def count_objects(self, channel_id: str) -> dict[str, int]:
        """Number of live objects by type; not of what the channel's own business is written in."""
        rows = self.rows(
            "SELECT type, count(*) FROM object WHERE channel_id=? AND revoked=0"
            " AND NOT (type='note' AND coalesce("
            "json_extract(CAST(body AS TEXT), '$.labels[0]') LIKE 'stillwatch:%', 0))"
            " GROUP BY type",
            (channel_id,),
        )
        return {str(r[0]): int(r[1]) for r in rows}

    # Alarms

    def raise_alarm(
        self, channel_id: str | None, digest: str, text: str, at: int, *, urgent: bool = False
    ) -> bool:
        """Add an alarm; False when the same one is there, or too many are open and it can wait."""
        sql = "SELECT count(*) FROM alarm WHERE acknowledged_at IS NULL"
        if not urgent and int(self.run(sql).fetchone()[0]) >= MAX_OPEN_ALARMS:
            return False
        return (
            self.run(
                "INSERT OR IGNORE INTO alarm (channel_id,raised_at,text,digest) VALUES (?,?,?,?)",
                (channel_id, at, text, digest),
            ).rowcount
            == 1
        )

    def alarms(self, *, all_of_them: bool = False) -> list[AlarmRow]:
        """Alarms that nobody acknowledged, oldest first."""
        where = "" if all_of_them else " WHERE acknowledged_at IS NULL"
        return [
            AlarmRow(*tuple(r))
            for r in self.rows(
                "SELECT position, channel_id, raised_at, text, acknowledged_at FROM alarm"
                f"{where} ORDER BY position"
            )
        ]

    def acknowledge_alarms(self, at: int) -> int:
        """Acknowledge every open alarm; returns how many."""
        return self.run(
            "UPDATE alarm SET acknowledged_at=? WHERE acknowledged_at IS NULL", (at,)
        ).rowcount


@contextlib.contextmanager
def wrapped() -> Iterator[None]:
    """Turn SQLite's errors into `StoreError`."""
    try:
        yield
    except sqlite3.Error as error:
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        raise StoreError(
            "the disk is full" if full else f"the local state failed: {error}",
            where="state.sqlite",
            hint="free some space and run the command again" if full else None,
        ) from error


def _channel(row: sqlite3.Row) -> ChannelRow:
    values = dict(row)
    values["owner_roots"] = tuple(loads(str(values["owner_roots"]).encode())["ids"])
    return ChannelRow(**values)


def _object(row: sqlite3.Row, decode: Callable[[bytes], Json] = loads) -> ObjectRow:
    values = dict(row)
    values["body"] = decode(bytes(values["body"]))
    values["revoked"] = bool(values["revoked"])
    return ObjectRow(**values)
