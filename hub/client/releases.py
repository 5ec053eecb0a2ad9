"""What publishers released directly: on what ground, to whom, until when.

Whoever was given something directly stops using it when its release ends.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final

from hub.channel.direct import Release
from hub.client.state import LAPSED, State
from hub.model.codec import Json, dumps

_KEPT: Final = (
    "type",
    "spec_version",
    "id",
    "created_by_ref",
    "created",
    "modified",
    "valid_from",
    "valid_until",
    "relationship_type",
    "source_ref",
    "target_ref",
    "object_marking_refs",
)


@dataclasses.dataclass(frozen=True)
class Released:
    """One release of one object.

    Attributes:
        digest: of the message.
        member: who released it.
        recipients: STIX ids of all who can read it, ascending.
        valid_until: UTC seconds, None: until withdrawn.
        sent_at: UTC seconds.
    """

    channel_id: str
    digest: str
    object_id: str
    member: str
    basis: str
    valid_until: int | None
    recipients: tuple[str, ...]
    sent_at: int

    def to_json(self) -> Json:
        """The release as commands show it; times are UTC seconds."""
        return {
            "object": self.object_id,
            "message": self.digest,
            "member": self.member,
            "basis": self.basis,
            "valid_until": self.valid_until,
            "recipients": list(self.recipients),
            "sent_at": self.sent_at,
        }


class Releases:
    """The releases that this home made or was given.

    Args:
        state: the home's state.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def put(
        self,
        channel_id: str,
        digest: str,
        member: str,
        release: Release,
        object_ids: Iterable[str],
        sent_at: int,
    ) -> None:
        """Note what one message released."""
        recipients = " ".join(sorted(release.recipients))
        for object_id in object_ids:
            self._state.run(
                "INSERT OR REPLACE INTO released VALUES (?,?,?,?,?,?,?,?)",
                (
                    channel_id,
                    digest,
                    object_id,
                    member,
                    release.basis,
                    release.valid_until,
                    recipients,
                    sent_at,
                ),
            )

    def of(self, channel_id: str, object_id: str | None = None) -> list[Released]:
        """Releases in a channel, of one object if named, oldest first."""
        rows = self._state.rows(
            "SELECT channel_id, digest, object_id, member, basis, valid_until, recipients, sent_at"
            " FROM released WHERE channel_id=? AND (? IS NULL OR object_id=?)"
            " ORDER BY sent_at, object_id, digest",
            (channel_id, object_id, object_id),
        )
        return [
            Released(
                str(r[0]),
                str(r[1]),
                str(r[2]),
                str(r[3]),
                str(r[4]),
                r[5],
                tuple(str(r[6]).split()),
                int(r[7]),
            )
            for r in rows
        ]

    def lapsed(self, member_id: str, now: int) -> set[tuple[str, str]]:
        """(channel id, object id) of what others gave us directly, and no release covers now."""
        return {
            (str(r[0]), str(r[1]))
            for r in self._state.rows(
                "SELECT o.channel_id, o.id FROM object o JOIN released r"
                " ON r.channel_id=o.channel_id AND r.object_id=o.id AND r.member=o.member"
                " WHERE o.audience='direct' AND o.member<>? GROUP BY o.channel_id, o.id"
                " HAVING sum(r.valid_until IS NULL OR r.valid_until>?)=0",
                (member_id, now),
            )
        }

    def lapse(self, channel_id: str, member_id: str, now: int) -> list[str]:
        """Leave of each object whose releases have ended no more than that it was there."""
        gone = sorted(
            each for channel, each in self.lapsed(member_id, now) if channel == channel_id
        )
        for object_id in gone:
            row = self._state.object(object_id, channel_id)
            assert row is not None
            self._state.run(
                "UPDATE object SET body=?, revoked=1, audience=? WHERE channel_id=? AND id=?",
                (dumps(remains(row.body)), LAPSED, channel_id, object_id),
            )
        return gone


def remains(body: Json) -> Json:
    """What is kept of an object that may not be used any more: that it was there, and whose."""
    return {name: body[name] for name in _KEPT if name in body} | {"revoked": True}
