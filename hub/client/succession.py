"""Succession: a new channel in the place of one whose owners' keys are lost.

Nothing is carried over by trust: the new channel names the old one, and every member is invited
and compared anew.
"""

from __future__ import annotations

import dataclasses

from hub.channel.invite import Invitation
from hub.channel.policy import Policy
from hub.client.governance import role_of
from hub.client.home import Home
from hub.client.membership import create, invite
from hub.client.naming import member_names
from hub.client.rows import ChannelRow
from hub.client.transport import HubAccount
from hub.client.work import Desk
from hub.errors import ConflictError, InputError
from hub.model.codec import Json


@dataclasses.dataclass(frozen=True)
class Successor:
    """The new channel, and whom to invite into it.

    Attributes:
        invitations: a fresh one for every member of the old channel but oneself, by member id.
        names: what the members are called, by member id.
    """

    channel: ChannelRow
    invitations: dict[str, Invitation]
    names: dict[str, str]


def succeed(
    desk: Desk, old: str, name: str, account: HubAccount, wanted: str, *, lifetime_s: int
) -> Successor:
    """Open a channel in the place of an old one, with its policy, and invite its members anew.

    Cut off anywhere, it is completed by running it again; invitations are made each time.

    Args:
        old: the channel that can change no more, by its name here.
        name: what the new channel is called here.
        account: how to enter the hub.
        wanted: id or title of an empty collection.
        lifetime_s: of the invitations.
    Raises:
        ConflictError: nothing of the old channel is known here, or it has the new one's name.
        InputError: this organisation was never a member of the old channel.
    """
    home = desk.home
    with home.locked():
        before = home.state.channel(old)
        if before.name == name:
            raise ConflictError(
                "the old channel has this name here", where=name, hint="another NAME"
            )
        manifest = home.trusted(before).manifest
        if home.member_id not in {row.member for row in manifest.members}:
            raise InputError("this organisation is no member of the old channel", where=before.name)
        # A log belongs to a collection: the new channel's is pinned anew by its creator.
        policy: Policy = manifest.policy
        channel = create(desk, name, account, wanted, policy, succeeds=before.channel_id)
        genesis = home.trusted(channel).manifest_by_hash(channel.channel_id)
        if genesis is None or genesis.succeeds != before.channel_id:
            raise ConflictError("the channel there is another one", where=name)
        names = member_names(home, before)
        invitations = {
            row.member: invite(
                desk,
                name,
                names.get(row.member, row.member)[:200],
                role_of(row),
                lifetime_s=lifetime_s,
            )
            for row in manifest.members
            if row.member != home.member_id
        }
    return Successor(channel, invitations, names)


def succeeded(home: Home, channel: ChannelRow) -> Json | None:
    """The channel that this one says it succeeds, and what that claim is worth here; or None.

    The claim is the new owner's alone: it shows the link, and carries no trust over.
    """
    if channel.trusted is None:
        return None
    trusted = home.trusted(channel)
    genesis = trusted.manifest_by_hash(trusted.channel)
    if genesis is None or genesis.succeeds is None:
        return None
    old = next(
        (each for each in home.state.channels() if each.channel_id == genesis.succeeds), None
    )
    if old is None or old.trusted is None:
        text = f"It says that it succeeds channel {genesis.succeeds[:16]}, which is not known here."
        return {"channel_id": genesis.succeeds, "name": None, "known_owners": 0, "text": text}
    roots = {row.root for row in home.trusted(old).manifest.members}
    known = sum(root in roots for root in genesis.owners)
    of = f"{known} of {len(genesis.owners)} owners who opened it were members there"
    text = (
        f"It says that it succeeds {old.name}: {of}, under the same roots. "
        "Nothing is carried over: compare the words with everybody anew."
    )
    return {"channel_id": old.channel_id, "name": old.name, "known_owners": known, "text": text}
