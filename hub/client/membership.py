"""An owner's work on a channel: create, invite, approve, remove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hub.channel.card import Card, card_message
from hub.channel.changes import policy_changes
from hub.channel.invite import Invitation, new_invitation
from hub.channel.manifest import Member, Policy, Removed, Role, genesis, sign_manifest
from hub.channel.verify import TrustedChannel
from hub.client.drafts import Wanted
from hub.client.home import Home
from hub.client.issue import new_fingerprint_key, next_epoch, owned, send_keys
from hub.client.log_pin import LogChoice, pinned
from hub.client.naming import member_names
from hub.client.proposals import Outcome, enact
from hub.client.registration import (
    Entered,
    enter,
    find_collection,
    find_inbox,
    is_uuid,
    settle,
)
from hub.client.requests import Candidate
from hub.client.rows import ChannelRow, InvitationRow
from hub.client.subscriber import refresh
from hub.client.transport import HubAccount, TaxiiCollection
from hub.client.work import INBOX, Desk, Sealed, flush
from hub.errors import AccessError, ConflictError, InputError, VerificationError

OWNER: Final = "owner"
REENROL: Final = "re-enrol"
ROLE_SETS: Final = {
    "publish": frozenset({Role.PUBLISH, Role.READ}),
    "report": frozenset({Role.READ, Role.REPORT}),
    "read": frozenset({Role.READ}),
    "liaison": frozenset({Role.LIAISON}),
}
"""What an invitation grants by the word that the owner says: a publisher also reads; a provider
that reports back also reads; a liaison opens aggregates and nothing else."""


def create(
    desk: Desk,
    name: str,
    account: HubAccount,
    wanted: str,
    policy: Policy,
    log: LogChoice | None = None,
    *,
    succeeds: str | None = None,
) -> ChannelRow:
    """Open a channel in an empty collection: genesis, card, first epoch, first fingerprint key.

    Cut off anywhere, it is completed by running it again. The account is bound to this member only
    once the collection is found to be usable.

    Args:
        desk: the home, the network and the clock.
        name: what the channel is called here.
        account: how to enter the hub.
        wanted: id or title of the collection.
        policy: the channel's policy.
        log: what is wanted of the hub's log; to require it where there is one if None.
        succeeds: id of the channel whose place it takes.

    Raises:
        ConflictError: the collection holds something, or the name is taken, or witnesses are wanted
            where there is no log; or it was opened before with something else than is asked for.
        InputError: no one collection is called so, or a witness's key is none.
    """
    home, now = desk.home, desk.clock()
    with home.locked():
        known = [each for each in home.state.channels() if each.name == name]
        if known and known[0].collection_id == wanted:
            return _completed(desk, known[0], policy, log)
        if known and is_uuid(wanted):
            raise ConflictError(
                "another channel has this name here",
                where=name,
                hint=f"choose another NAME, or: stillwatch channel forget {name}",
            )
        entered = enter(desk, account)
        hub, account = entered.hub, entered.account
        collection = find_collection(hub, wanted)
        collection_id = collection.collection_id
        if known and known[0].collection_id == collection_id:
            return _completed(desk, known[0], policy, log)
        inbox_id = _usable(entered, collection)
        hub_log, witnesses = pinned(collection, log or LogChoice())
        settle(desk, entered)
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
            log=hub_log,
            witnesses=witnesses,
            succeeds=succeeds,
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


def _usable(entered: Entered, collection: TaxiiCollection) -> str | None:
    """The join inbox beside a collection that can become a channel."""
    collection_id = collection.collection_id
    if not (collection.can_read and collection.can_write):
        raise AccessError(
            "this account may not both read and write the collection",
            where=collection_id,
            hint="--token-file FILE of the organisation that the collection was made for",
        )
    if any(page.objects for page in collection.pages()):
        raise ConflictError(
            "the collection is not empty", where=collection_id, hint="use a new collection"
        )
    inbox_id = find_inbox(entered.hub, collection)
    if inbox_id is None and entered.stillwatch:
        raise ConflictError(
            "a plain collection: others may write to it, and nobody can ask to join",
            where=collection.title,
            hint="the hub's operator makes one for a channel: stillwatch hub collection add",
        )
    return inbox_id


def _completed(
    desk: Desk, channel: ChannelRow, policy: Policy, log: LogChoice | None
) -> ChannelRow:
    """A channel that was opened before, with everything sent.

    Raises:
        ConflictError: it was opened with another policy, log or witnesses than are asked for now.
    """
    first = desk.home.trusted(channel).manifest_by_hash(channel.channel_id)
    assert first is not None
    said = [each.text for each in policy_changes(first.policy, policy)]
    choice = log or LogChoice()
    if first.log is not None and not choice.wanted:
        said.append("log: none, instead of the one that the hub keeps")
    held = () if first.witnesses is None else first.witnesses.verifier_keys
    if set(choice.witnesses) != set(held):
        said.append(f"witnesses: {len(set(choice.witnesses))}, instead of {len(held)} others")
    elif first.witnesses is not None and choice.quorum not in (None, first.witnesses.quorum):
        said.append(f"quorum: {choice.quorum}, instead of {first.witnesses.quorum}")
    if said:
        raise ConflictError(
            f"this channel was opened before, and is not opened anew; asked were {'; '.join(said)}",
            where=channel.name,
            hint="stillwatch channel policy and channel log change what it has",
        )
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
            owners=opened_by(trusted),
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


def opened_by(trusted: TrustedChannel) -> tuple[str, ...]:
    """Root ids of the owners who opened the channel, whoever owns it now: joiners begin there."""
    genesis = trusted.manifest_by_hash(trusted.channel)
    assert genesis is not None
    return genesis.owners


def approve(desk: Desk, name: str, candidate: Candidate) -> Outcome:
    """Make the candidate a member, or give a member its new roles.

    Where the threshold or the policy's approvals ask for more owners, it is proposed to them.

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
        enrolled = reenrolled(home, channel, row.invitation_id)
        former = _former_row(trusted, card, row.organisation, enrolled)
        roles = frozenset(Role(each) for each in row.roles)
        newcomer = Member(member=card.member, root=card.root_id, card=card.hash, roles=roles)
        others = [each for each in trusted.manifest.members if each.member != card.member]
        # A key that loses its place has its last message named: nothing after it counts.
        removed = [trusted.final_of(card.member)] if former else []

        def used() -> None:
            home.state.use_invitation(row.invitation_id, now, card.member)
            home.state.drop_secret(channel.channel_id, "invitation", row.invitation_id)
            home.state.drop_secret(channel.channel_id, REENROL, row.invitation_id)

        verb = "gets another root" if enrolled else "changes its role" if former else "joins"
        wanted = Wanted(
            reason=f"{row.organisation[:200]} {verb}, invited by {home.organisation[:200]}",
            members=[*others, newcomer],
            removed=removed,
            owners=_owners_after(trusted, former, card),
            cards=[card],
            names={card.member: row.organisation, home.member_id: home.organisation},
        )
        outcome = enact(desk, channel, wanted, also=used)
    if candidate.object_id is not None:
        desk.collection_of(channel, INBOX).delete(candidate.object_id)
    return outcome


def reenrolled(home: Home, channel: ChannelRow, invitation_id: str) -> str | None:
    """The member whose new root an invitation is for, or None."""
    found = home.secrets(channel.channel_id, REENROL).get(invitation_id)
    return None if found is None else found.decode()


def _owners_after(
    trusted: TrustedChannel, former: Member | None, card: Card
) -> Sequence[str] | None:
    """An owner that is enrolled anew stays one: its new root takes the place of the lost one."""
    owners = trusted.manifest.owners
    if former is None or former.root == card.root_id or former.root not in owners:
        return None
    return [card.root_id if each == former.root else each for each in owners]


def _former_row(
    trusted: TrustedChannel, card: Card, organisation: str, enrolled: str | None
) -> Member | None:
    """The row of a member that asks for another role; None for one that is not in (any more)."""
    former = trusted.manifest.member(card.member)
    if enrolled is not None and card.member != enrolled:
        raise VerificationError(
            "the invitation is for the new root of another member",
            where=organisation,
            hint=f"the organisation makes its new home with: stillwatch init --member {enrolled}",
        )
    if card.root_id in trusted.manifest.owners:
        raise ConflictError("an owner's roles are not changed by an invitation", where=organisation)
    # Of a member that was enrolled anew the new root counts, also after its card was revoked.
    if enrolled is None and trusted.last_root_of(card.member) not in (None, card.root_id):
        raise VerificationError(
            "this member id belongs to another root",
            where=organisation,
            hint="do not approve: somebody claims to be a member that it is not; if it lost its "
            "root, stillwatch channel re-enrol",
        )
    if card.sign_id in trusted.manifest.finals or (former and former.card == card.hash):
        raise ConflictError(
            "its card was used in this channel before",
            where=organisation,
            hint="the organisation runs stillwatch join with a new invitation; "
            "that makes a new card",
        )
    return former


def remove(
    desk: Desk, name: str, member: str, *, after: int | None = None, reason: str | None = None
) -> Outcome:
    """Remove a member: it reads nothing that is published from now on.

    Args:
        after: position of the last message of its key that counts, where somebody stole the key
            and spoke with it; None: everything known now counts.
        reason: why, for the other owners.
    Raises:
        InputError: no such member, the owner itself, or no such message.
    """
    home = desk.home
    with home.locked():
        channel = home.state.channel(name)
        owned(home, channel)
        # What the member published up to now stays valid: the manifest names its last message.
        channel = refresh(desk, channel)
        trusted = owned(home, channel)
        row = trusted.manifest.member(member)
        if row is None:
            raise InputError("no such member", where=member, hint="stillwatch channel members")
        if member == home.member_id:
            raise InputError("an owner cannot remove itself", where=member)
        final = trusted.final_of(member)
        cuts = frozenset[str]()
        if after is not None and after != final.seq:
            final, cuts = _cut(trusted, final, after), frozenset({final.key})
        called = member_names(home, channel).get(member, member)
        wanted = Wanted(
            reason=reason or f"{home.organisation[:200]} removes {called[:200]}",
            members=[each for each in trusted.manifest.members if each.member != member],
            owners=[each for each in trusted.manifest.owners if each != row.root],
            threshold=_threshold_without(trusted, row.root),
            removed=[final],
            names={member: called, home.member_id: home.organisation},
            cuts=cuts,
        )
        return enact(desk, channel, wanted)


def _threshold_without(trusted: TrustedChannel, root: str) -> int | None:
    """An owner fewer must not leave a threshold that nobody can meet."""
    manifest = trusted.manifest
    left = len(manifest.owners) - (root in manifest.owners)
    return min(manifest.threshold, max(1, left))


def _cut(trusted: TrustedChannel, final: Removed, after: int) -> Removed:
    if not 0 <= after < final.seq:
        raise InputError(
            f"the key's last message is {final.seq}", where="--after", hint="an earlier position"
        )
    if after == 0:
        return Removed(final.key, 0, None)
    digest = trusted.digest_at(final.key, after)
    if digest is None:
        raise InputError(f"message {after} of the key is not known here", where="--after")
    return Removed(final.key, after, digest)


def forget(desk: Desk, name: str) -> None:
    """Erase a channel from this home: its keys, and what was opened with them.

    The hub and the other members are not told: an owner's channel goes on without an owner.
    """
    with desk.home.locked():
        desk.home.state.forget(desk.home.state.channel(name).channel_id)
