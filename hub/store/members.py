"""The channel members that organisations proved to be, and the challenges for it."""

from __future__ import annotations

from typing import Final

from hub.errors import ConflictError
from hub.store.clock import GuardedClock
from hub.store.records import Binding
from hub.store.sql import Sql, require_org

_BINDING: Final = "SELECT member, root_id, org_id, created FROM member_binding"


class Members:
    """The members of `AccountStore`, on either engine."""

    _database: Sql
    _clock: GuardedClock

    def bind_member(self, org_id: str, member: str, root_id: str) -> Binding:
        """See `AccountStore.bind_member`."""
        made = Binding(member, root_id, org_id, self._clock.seconds())
        with self._database.write() as connection:
            require_org(connection, org_id)
            row = connection.execute(
                f"{_BINDING} WHERE member = ? AND root_id = ?", (member, root_id)
            ).fetchone()
            if row is None:
                connection.execute(
                    "INSERT INTO member_binding (member, root_id, org_id, created)"
                    " VALUES (?, ?, ?, ?)",
                    tuple(made),
                )
                return made
            if row[2] != org_id:
                # Told to nobody but the holder of that key: who asks has proved possession.
                holder = connection.execute(
                    "SELECT name FROM org WHERE id = ?", (row[2],)
                ).fetchone()
                raise ConflictError(
                    f"this member's key is bound to the account of {holder[0]}", where=member
                )
            return Binding(*row)

    def unbind_members(self, org_id: str) -> int:
        """See `AccountStore.unbind_members`."""
        with self._database.write() as connection:
            require_org(connection, org_id)
            return connection.execute(
                "DELETE FROM member_binding WHERE org_id = ?", (org_id,)
            ).rowcount

    def bindings(self, org_id: str) -> list[Binding]:
        """See `AccountStore.bindings`."""
        rows = self._database.rows(
            f"{_BINDING} WHERE org_id = ? ORDER BY created, member", (org_id,)
        )
        return [Binding(*row) for row in rows]

    def binding(self, member: str, root_id: str) -> Binding | None:
        """See `AccountStore.binding`."""
        row = self._database.row(f"{_BINDING} WHERE member = ? AND root_id = ?", (member, root_id))
        return None if row is None else Binding(*row)

    def put_challenge(self, org_id: str, challenge: str, *, expires: int) -> None:
        """See `AccountStore.put_challenge`."""
        with self._database.write() as connection:
            require_org(connection, org_id)
            connection.execute("DELETE FROM challenge WHERE expires <= ?", (self._clock.seconds(),))
            connection.execute(
                "INSERT INTO challenge (challenge, org_id, expires) VALUES (?, ?, ?)",
                (challenge, org_id, expires),
            )

    def take_challenge(self, org_id: str, challenge: str, *, now: int) -> bool:
        """See `AccountStore.take_challenge`."""
        with self._database.write() as connection:
            taken = connection.execute(
                "DELETE FROM challenge WHERE challenge = ? AND org_id = ? AND expires > ?",
                (challenge, org_id, now),
            )
            return taken.rowcount == 1
