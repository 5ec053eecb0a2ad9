"""An owner's work on a channel: create, invite, approve, remove."""

from __future__ import annotations

import dataclasses
from typing import Final

from hub.channel.card import Card, card_message
from hub.channel.invite import Invitation, new_invitation
from hub.channel.manifest import Member, Policy, Role, genesis, sign_manifest
from hub.channel.verify import TrustedChannel
from hub.client.home import Home
from hub.client.issue import (
    live_keys,
    new_fingerprint_key,
    new_manifest,
    next_epoch,
    owned,
    send_keys,
)
from hub.client.registration import find_collection, find_inbox, is_uuid, register
from hub.client.requests import Candidate
from hub.client.rows import ChannelRow, InvitationRow
from hub.client.subscriber import refresh
from hub.client.transport import HubAccount
from hub.client.work import INBOX, Desk, Sealed, flush
from hub.errors import AccessError, ConflictError, InputError, VerificationError

OWNER: Final = "owner"
ROLE_SETS: Final = {
    "publish": frozenset({Role.PUBLISH, Role.READ}),
    "report": frozenset({Role.READ, Role.REPORT}),
    "read": frozenset({Role.READ}),
    "liaison": frozenset({Role.LIAISON}),
}
"""What an invitation grants by the word that the owner says: a publisher also reads; a provider
that reports back also reads; a liaison opens aggregates and nothing else."""


def create(desk: Desk, name: str, account: HubAccount, wanted: str, policy: Policy) -> ChannelRow:
    """Open a channel in an empty collection: genesis, card, first epoch, first fingerprint key.

    Cut off anywhere, it is completed by running it again.

    Args:
        desk: the home, the network and the clock.
        name: what the channel is called here.
        account: how to enter the hub.
        wanted: id or title of the collection.
        policy: the channel's policy.

    Raises:
        ConflictError: the collection holds something, or the name is taken.
        InputError: no one collection is called so.
    """
    home, now = desk.home, desk.clock()
    with home.locked():
        known = [each for each in home.state.channels() if each.name == name]
        if known and known[0].collection_id == wanted:
            flush(desk, known[0])
            return known[0]
        if known and is_uuid(wanted):
            raise ConflictError(
                "another channel has this name here",
                where=name,
                hint=f"choose another NAME, or: stillwatch channel forget {name}",
            )
        hub, account = register(desk, account)
        collection = find_collection(hub, wanted)
        collection_id = collection.collection_id
        if known and known[0].collection_id == collection_id:
            flush(desk, known[0])
            return known[0]
        if not (collection.can_read and collection.can_write):
            raise AccessError(
                "this account may not both read and write the collection", where=collection_id
            )
        if any(page.objects for page in collection.pages()):
            raise ConflictError(
                "the collection is not empty", where=collection_id, hint="use a new collection"
            )
        inbox_id = find_inbox(hub, collection)
        if inbox_id is None and home.is_stillwatch(account.api_root):
            raise ConflictError(
                "a plain collection: others may write to it, and nobody can ask to join",
                where=collection.title,
                hint="the hub's operator makes one for a channel: stillwatch hub collection add",
            )
        root, keys = home.keyring.root_key(), home.keyring.current
        manifest = genesis(
            owners=[root.public.id],
            members=[
                Member(
                    member=home.member_id,
                    root=root.public.id,
                    card=keys.card.hash,
                    roles=ROLE_SETS["publish"],
                )
            ],
            created=now,
            expires=now + home.settings.manifest_lifetime_s,
            policy=policy,
        )
        raw = sign_manifest(manifest, [root])
        trusted = TrustedChannel.from_genesis(raw, owner_roots={root.public.id}, now=now)
        channel = ChannelRow(
            channel_id=trusted.channel,
            name=name,
            api_root=account.api_root,
            collection_id=collection_id,
            inbox_id=inbox_id,
            standing=OWNER,
            owner_roots=(root.public.id,),
            trusted=None,
            cursor=None,
            pulled_at=None,
            pull_problem=None,
            created_at=now,
        )
        sealed = Sealed(home, channel, trusted, now)
        with home.state.transaction():
            home.state.add_channel(channel)
            sealed.add(raw)
            sealed.add(card_message(trusted.channel, keys.card.raw))
            next_epoch(sealed)
            send_keys(sealed, [new_fingerprint_key(sealed, [])])
            sealed.store(standing=OWNER)
        channel = home.state.channel(name)
        flush(desk, channel)
    return channel


def invite(
    desk: Desk, name: str, organisation: str, role: str, *, lifetime_s: int | None = None
) -> Invitation:
    """Make an invitation for one organisation; it serves once.

    Raises:
        AccessError: only an owner invites.
        InputError: an unknown role or no organisation.
    """
    home, now = desk.home, desk.clock()
    roles = ROLE_SETS.get(role)
    if roles is None:
        raise InputError("not a role", where=role, hint=", ".join(ROLE_SETS))
    with home.locked():
        channel = home.state.channel(name)
        trusted = owned(home, channel)
        invitation = new_invitation(
            channel=channel.channel_id,
            owners=tuple(trusted.manifest.owners),
            api_root=channel.api_root,
            collection=channel.collection_id,
            inbox=channel.inbox_id,
            roles=roles,
            organisation=organisation,
            sponsor=home.keyring.root_id,
            expires=now + (lifetime_s or home.settings.invitation_lifetime_s),
        )
        with home.state.transaction():
            home.state.add_invitation(
                InvitationRow(
                    invitation_id=invitation.id,
                    channel_id=channel.channel_id,
                    organisation=organisation,
                    roles=tuple(sorted(str(each) for each in roles)),
                    expires=invitation.expires,
                    created_at=now,
                    used_at=None,
                    used_by=None,
                )
            )
            home.put_secret(
                channel.channel_id, "invitation", invitation.id, invitation.text.encode(), now
            )
    return invitation


def approve(desk: Desk, name: str, candidate: Candidate) -> None:
    """Make the candidate a member, or give a member its new roles.

    That takes a manifest, its card, an epoch, and fingerprint keys.

    The caller has compared the words with the organisation out of band.
    """
    home, now = desk.home, desk.clock()
    with home.locked():
        channel = home.state.channel(name)
        row = next(
            each
            for each in home.state.invitations(channel.channel_id)
            if each.invitation_id == candidate.invitation.invitation_id
        )
        if row.used_at is not None:
            raise ConflictError("this invitation was used before", where=row.organisation)
        channel = refresh(desk, channel)
        trusted = owned(home, channel)
        card = candidate.request.card
        former = _former_row(trusted, card, row.organisation)
        sealed = Sealed(home, channel, trusted, now)
        newcomer = Member(
            member=card.member,
            root=card.root_id,
            card=card.hash,
            roles=frozenset(Role(each) for each in row.roles),
        )
        others = [each for each in trusted.manifest.members if each.member != card.member]
        # A key that loses its place has its last message named: nothing after it counts.
        removed = [trusted.final_of(card.member)] if former else []
        with home.state.transaction():
            new_manifest(sealed, members=[*others, newcomer], removed=removed)
            sealed.add(card_message(trusted.channel, card.raw))
            next_epoch(sealed, joiners=[card.member])
            if former and Role.READ in former.roles - newcomer.roles:
                _change_key(sealed)
            elif Role.READ in newcomer.roles:
                send_keys(sealed, live_keys(home, channel))
            sealed.store()
            home.state.use_invitation(row.invitation_id, now, card.member)
            home.state.drop_secret(channel.channel_id, "invitation", row.invitation_id)
        flush(desk, channel)
    if candidate.object_id is not None:
        desk.collection_of(channel, INBOX).delete(candidate.object_id)


def _former_row(trusted: TrustedChannel, card: Card, organisation: str) -> Member | None:
    """The row of a member that asks for another role; None for one that is not in (any more)."""
    former = trusted.manifest.member(card.member)
    if card.root_id in trusted.manifest.owners:
        raise ConflictError("an owner's roles are not changed by an invitation", where=organisation)
    if trusted.roots_of(card.member) - {card.root_id}:
        raise VerificationError(
            "this member id belongs to another root",
            where=organisation,
            hint="do not approve: somebody claims to be a member that it is not",
        )
    if card.sign_id in trusted.manifest.finals or (former and former.card == card.hash):
        raise ConflictError(
            "its card was used in this channel before",
            where=organisation,
            hint="the organisation runs stillwatch join with a new invitation; "
            "that makes a new card",
        )
    return former


def _change_key(sealed: Sealed) -> None:
    """Retire the fingerprint keys: who reads no more knows them."""
    home, channel = sealed.home, sealed.channel
    retired = [dataclasses.replace(each, live=False) for each in live_keys(home, channel)]
    for each in retired:
        home.put_fingerprint_secret(channel.channel_id, each, sealed.now)
    fresh = new_fingerprint_key(sealed, home.fingerprint_secrets(channel.channel_id))
    send_keys(sealed, [*retired, fresh])


def remove(desk: Desk, name: str, member: str) -> None:
    """Remove a member: it reads nothing that is published from now on.

    Raises:
        InputError: no such member, or the owner itself.
    """
    home, now = desk.home, desk.clock()
    with home.locked():
        channel = home.state.channel(name)
        owned(home, channel)
        # What the member published up to now stays valid: the manifest names its last message.
        channel = refresh(desk, channel)
        trusted = owned(home, channel)
        if trusted.manifest.member(member) is None:
            raise InputError("no such member", where=member, hint="stillwatch channel members")
        if member == home.member_id:
            raise InputError("an owner cannot remove itself", where=member)
        sealed = Sealed(home, channel, trusted, now)
        remaining = [each for each in trusted.manifest.members if each.member != member]
        with home.state.transaction():
            new_manifest(sealed, members=remaining, removed=[trusted.final_of(member)])
            next_epoch(sealed)
            _change_key(sealed)
            sealed.store()
        flush(desk, channel)


def forget(desk: Desk, name: str) -> None:
    """Erase a channel from this home: its keys, and what was opened with them.

    The hub and the other members are not told: an owner's channel goes on without an owner.
    """
    with desk.home.locked():
        desk.home.state.forget(desk.home.state.channel(name).channel_id)


def member_names(home: Home, channel: ChannelRow) -> dict[str, str]:
    """Member id -> name: from identity objects, from invitations, and one's own."""
    names = {
        each.used_by: each.organisation
        for each in home.state.invitations(channel.channel_id)
        if each.used_by
    }
    for row in home.state.objects(channel.channel_id, types=("identity",)):
        if row.id == row.member:
            names[row.id] = str(row.body.get("name", row.id))
    names[home.member_id] = home.organisation
    return names
