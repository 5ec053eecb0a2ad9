"""Who has dropped what this publisher withdrew, and who has not.

A receipt speaks for its sender alone, and only about a withdrawal that it names by the digest of
its message. Members who cannot sign receipts are listed as such: silence proves nothing of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from hub.channel.header import Audience
from hub.channel.manifest import Manifest, Member, Role
from hub.channel.members import WRITING
from hub.channel.receipt import Receipt, is_receipt, parse_receipt
from hub.client.home import Home
from hub.client.naming import member_names
from hub.client.purges import Purged, Purges
from hub.client.releases import Releases
from hub.client.rows import ChannelRow
from hub.errors import InputError
from hub.model.codec import Json

_CLOCKS_S: Final = 600


class Drop(StrEnum):
    """How a member stands to a withdrawal."""

    DROPPED = "dropped"
    FALSE = "false receipt"
    NOT_YET = "no receipt"
    UNSEEN = "not seen since"
    CANNOT_SAY = "cannot say"
    LATER = "joined later"
    GONE = "no longer a member"


@dataclasses.dataclass(frozen=True)
class Standing:
    """One member and one withdrawal.

    Attributes:
        at: when the object was dropped, as the member says; UTC seconds.
        seen: when the member was last heard of after the withdrawal, UTC seconds.
        why: in words, where the drop alone does not say.
    """

    member: str
    name: str
    drop: Drop
    at: int | None = None
    seen: int | None = None
    why: str = ""


@dataclasses.dataclass(frozen=True)
class Withdrawal:
    """One object that this publisher withdrew.

    Attributes:
        message: digest of the message that withdrew it.
        at: when, UTC seconds.
    """

    id: str
    message: str
    at: int
    members: tuple[Standing, ...]

    def to_json(self) -> Json:
        """The withdrawal with all members; times are UTC seconds."""
        return dataclasses.asdict(self) | {
            "members": [
                dataclasses.asdict(each) | {"drop": str(each.drop)} for each in self.members
            ]
        }


@dataclasses.dataclass(frozen=True)
class _Told:
    member: str
    receipt: Receipt | None


def withdrawals(home: Home, channel: ChannelRow, ids: Sequence[str] = ()) -> list[Withdrawal]:
    """What became of this publisher's withdrawals, oldest first.

    Args:
        ids: of withdrawn objects; all of them if none is named.
    Raises:
        InputError: something named was not withdrawn by this organisation.
        ConflictError: nothing of the channel was received yet.
    """
    own = [
        each for each in Purges(home.state).of(channel.channel_id) if each.member == home.member_id
    ]
    unknown = [each for each in ids if each not in {one.object_id for one in own}]
    if unknown:
        raise InputError(
            "this organisation withdrew no such indicator in this channel",
            where=unknown[0][:100],
            hint="stillwatch retract --status lists what it withdrew",
        )
    board = _Board(home, channel)
    return [board.of(each) for each in own if not ids or each.object_id in ids]


class _Board:
    def __init__(self, home: Home, channel: ChannelRow) -> None:
        self.home, self.channel = home, channel
        self.trusted = home.trusted(channel)
        self.names = member_names(home, channel)
        self.releases = Releases(home.state)
        self.told: dict[str, list[_Told]] = {}
        for row in home.state.objects(channel.channel_id, types=("note",)):
            # `member` is the verified sender: nobody says it for another.
            if row.member != home.member_id and not row.revoked and is_receipt(row.body):
                for object_id in row.body.get("object_refs") or ():
                    self.told.setdefault(str(object_id), []).append(
                        _Told(row.member, _parsed(row.body))
                    )

    def of(self, purged: Purged) -> Withdrawal:
        row = self.home.state.message(self.channel.channel_id, purged.digest)
        sent = purged.at if row is None or row.sent_at is None else row.sent_at
        digests = {purged.digest} | {
            each.digest
            for each in self.releases.of(self.channel.channel_id, purged.object_id)
            if each.member == self.home.member_id and each.sent_at >= sent
        }
        epoch = self.trusted.epochs.get(0 if row is None else row.epoch or 0)
        then = self.trusted.manifest_by_hash(epoch.manifest) if epoch else None
        members = [
            self._standing(entry, purged, digests, sent, then or self.trusted.manifest)
            for entry in self._concerned(purged, then or self.trusted.manifest)
        ]
        return Withdrawal(
            purged.object_id,
            purged.digest,
            sent,
            tuple(sorted(members, key=lambda each: (each.name, each.member))),
        )

    def _concerned(self, purged: Purged, then: Manifest) -> Iterable[Member]:
        """Members then and now who may have held the object."""
        direct = {
            member
            for each in self.releases.of(self.channel.channel_id, purged.object_id)
            for member in each.recipients
        }
        seen: set[str] = {self.home.member_id}
        for entry in (*self.trusted.manifest.members, *then.members):
            reads = Role.READ in entry.roles and purged.audience != Audience.DIRECT
            if entry.member not in seen and (reads or entry.member in direct):
                seen.add(entry.member)
                yield entry

    def _standing(
        self, entry: Member, purged: Purged, digests: set[str], sent: int, then: Manifest
    ) -> Standing:
        member = entry.member
        name = self.names.get(member, member)
        told = [each for each in self.told.get(purged.object_id, ()) if each.member == member]
        true = [
            each.receipt
            for each in told
            if each.receipt is not None and digests & set(each.receipt.digests)
        ]
        last = self.home.state.last_sent(self.channel.channel_id, member)
        seen = last if last is not None and last >= sent else None
        if true:
            at = max(each.purged for each in true)
            early = at < sent - _CLOCKS_S
            why = "says that it dropped it before it was withdrawn" if early else ""
            return Standing(member, name, Drop.FALSE if early else Drop.DROPPED, at, seen, why)
        if told:
            why = (
                "its receipt is not readable"
                if all(each.receipt is None for each in told)
                else "its receipt names another message than the one that withdrew it"
            )
            return Standing(member, name, Drop.FALSE, None, seen, why)
        return Standing(member, name, *self._silent(entry, then, seen))

    def _silent(
        self, entry: Member, then: Manifest, seen: int | None
    ) -> tuple[Drop, None, int | None, str]:
        now = self.trusted.manifest.member(entry.member)
        if now is None:
            return Drop.GONE, None, seen, ""
        if then.member(entry.member) is None:
            return Drop.LATER, None, seen, ""
        if not now.roles & WRITING:
            why = "a liaison signs no receipts" if Role.LIAISON in now.roles else "it reads only"
            return Drop.CANNOT_SAY, None, seen, why
        if seen is None:
            return Drop.UNSEEN, None, None, ""
        return (
            Drop.NOT_YET,
            None,
            seen,
            "it was heard of since: receipts are off, or it did not pull",
        )


def _parsed(body: Json) -> Receipt | None:
    try:
        return parse_receipt(body)
    except InputError:
        return None
