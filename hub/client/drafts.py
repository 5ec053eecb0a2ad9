"""Drafts of the next manifest: what an owner wants, whether a draft still fits, what follows it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from hub.channel.card import Card, card_message
from hub.channel.manifest import (
    Log,
    Manifest,
    Member,
    Policy,
    Removed,
    Role,
    Stays,
    Witnesses,
    next_version,
)
from hub.channel.proposal import Proposal, propose
from hub.channel.verify import NotYetError, TrustedChannel
from hub.client.home import Home
from hub.client.issue import live_keys, new_fingerprint_key, next_epoch, send_keys, signing_in
from hub.client.rows import ChannelRow
from hub.client.work import Sealed, own_card
from hub.errors import VerificationError


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What an owner wants to change; what is not given stays.

    Attributes:
        reason: why, for the owners who sign and the members who read it.
        removed: final positions of keys that lose their place.
        cards: of joiners.
        names: what to call the members concerned.
        cuts: keys whose final position is before their last message on purpose.
    """

    reason: str
    members: Sequence[Member] | None = None
    removed: Sequence[Removed] = ()
    owners: Sequence[str] | None = None
    threshold: int | None = None
    policy: Policy | None = None
    log: Log | Stays | None = Stays.AS_IT_IS
    witnesses: Witnesses | Stays | None = Stays.AS_IT_IS
    cards: Sequence[Card] = ()
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cuts: frozenset[str] = frozenset()


def draft(home: Home, channel: ChannelRow, wanted: Wanted, now: int) -> Proposal:
    """The next version as a proposal that nobody has signed.

    Raises:
        VerificationError, InputError: no signature could make it acceptable.
        ConflictError: this organisation is no member.
    """
    trusted = home.trusted(channel)
    before = trusted.manifest
    after = next_version(
        before,
        created=max(now, before.created),
        expires=max(now, before.created) + home.settings.manifest_lifetime_s,
        members=wanted.members,
        removed=wanted.removed,
        owners=wanted.owners,
        threshold=wanted.threshold,
        policy=wanted.policy,
        log=wanted.log,
        witnesses=wanted.witnesses,
    )
    trusted.check_draft(after)
    card = own_card(home, trusted, channel)
    return propose(
        before,
        after,
        proposer=card,
        signing=signing_in(home, before),
        reason=wanted.reason,
        created=now,
        cards=wanted.cards,
        cuts=wanted.cuts,
        names=wanted.names,
    )


def staleness(trusted: TrustedChannel, proposal: Proposal, now: int) -> str | None:
    """Why a proposal can come into force no more, or None.

    A draft dates the end of the manifest before it. Messages under that one are taken for as long
    as the staleness window says, so a draft that is old would turn them away when it comes into
    force: owners have half of the window.
    """
    before, after = trusted.manifest, proposal.after
    if proposal.before.hash != before.hash:
        return f"it follows another manifest than version {before.version}, which is in force"
    for key, final in sorted(after.finals.items()):
        last = trusted.last(key)
        if key in before.finals or key in proposal.cuts or last is None:
            continue
        if last[0] > final.seq:
            name = _called(proposal, trusted.holder(key))
            return f"{name} has spoken since: message {last[0]}, after {final.seq}"
        if last[0] == final.seq and last[1] != final.hash:
            return f"it names another final message of key {key[:16]} than was accepted here"
    late = now - after.created - before.policy.staleness // 2
    if late > 0:
        return f"it is {late} s older than half of the staleness window"
    try:
        trusted.check_draft(after)
    except VerificationError as error:
        return error.message
    return None


def unseen(trusted: TrustedChannel, proposal: Proposal) -> str | None:
    """What a proposal builds on that this member has not been given, or None."""
    for key, final in sorted(proposal.after.finals.items()):
        if key in proposal.before.finals:
            continue
        known = (trusted.last(key) or (0, ""))[0]
        if final.seq > known:
            name = _called(proposal, trusted.holder(key))
            return f"messages {known + 1} to {final.seq} of {name} have not arrived here"
    return None


def again(trusted: TrustedChannel, proposal: Proposal) -> Wanted:
    """The same change on top of the manifest in force.

    Raises:
        VerificationError: nothing of it is left to change, or the members concerned are gone.
    """
    before, after, current = proposal.before, proposal.after, trusted.manifest
    rows = {row.member: row for row in current.members}
    for row in after.members:
        if before.member(row.member) != row:
            rows[row.member] = row
    for row in before.members:
        if after.member(row.member) is None:
            rows.pop(row.member, None)
    owners = set(current.owners) | (set(after.owners) - set(before.owners))
    owners -= set(before.owners) - set(after.owners)
    ended = [key for key in after.finals if key not in before.finals | current.finals]
    removed = [
        after.finals[key] if key in proposal.cuts else trusted.final_of_key(key) for key in ended
    ]
    named = {row.card for row in current.members}
    return Wanted(
        reason=proposal.reason,
        members=list(rows.values()),
        removed=removed,
        owners=sorted(owners),
        threshold=after.threshold if after.threshold != before.threshold else None,
        policy=_merged(before.policy, after.policy, current.policy),
        log=after.log if after.log != before.log else Stays.AS_IT_IS,
        witnesses=after.witnesses if after.witnesses != before.witnesses else Stays.AS_IT_IS,
        cards=[card for card in proposal.cards if card.hash not in named],
        names=proposal.names,
        cuts=proposal.cuts & set(ended),
    )


def finish(sealed: Sealed, proposal: Proposal) -> None:
    """Post a complete draft and all that follows it: cards, epoch, fingerprint keys.

    What follows is computed from the two manifests alone, so that no proposal can ask for more.

    Raises:
        VerificationError: too few owners signed.
        NotYetError: the card of a reader has not arrived.
    """
    trusted, before, after = sealed.trusted, proposal.before, proposal.after
    sealed.add(proposal.message())
    for card in proposal.cards:
        known = trusted.cards.get(card.member)
        if known is None or known.hash != card.hash:
            sealed.add(card_message(trusted.channel, card.raw))
    newcomers = joiners(proposal)
    if trusted.needs_epoch(sealed.now) is not None:
        next_epoch(sealed, joiners=newcomers)
    if any(_reads_no_more(row, after.member(row.member)) for row in before.members):
        change_key(sealed)
    elif any(Role.READ in row.roles for row in after.members if row.member in newcomers):
        send_keys(sealed, live_keys(sealed.home, sealed.channel))


def joiners(proposal: Proposal) -> list[str]:
    """Members who read after a proposal and did not before, or hold another root."""
    return [row.member for row in proposal.after.members if _is_new(proposal.before, row)]


def change_key(sealed: Sealed) -> None:
    """Retire the fingerprint keys: who reads no more knows them."""
    home, channel = sealed.home, sealed.channel
    retired = [dataclasses.replace(each, live=False) for each in live_keys(home, channel)]
    for each in retired:
        home.put_fingerprint_secret(channel.channel_id, each, sealed.now)
    fresh = new_fingerprint_key(sealed, home.fingerprint_secrets(channel.channel_id))
    send_keys(sealed, [*retired, fresh])


def checked(trusted: TrustedChannel, proposal: Proposal, now: int) -> None:
    """Refuse a proposal that must not come into force.

    Raises:
        VerificationError: it is stale; the message says why.
        NotYetError: it builds on messages that have not arrived.
    """
    where = f"proposal {proposal.id[:16]}"
    stale = staleness(trusted, proposal, now)
    if stale is not None:
        raise VerificationError(
            f"the proposal is stale: {stale}",
            where=where,
            hint=f"stillwatch channel propose NAME {proposal.id[:16]} makes it anew",
        )
    missing = unseen(trusted, proposal)
    if missing is not None:
        raise NotYetError(missing, where=where, hint="stillwatch pull")


def _is_new(before: Manifest, row: Member) -> bool:
    """Whether somebody reads who did not: a joiner, a new role, or another root's holder."""
    old = before.member(row.member)
    return old is None or old.root != row.root or Role.READ in row.roles - old.roles


def _reads_no_more(old: Member, new: Member | None) -> bool:
    if Role.READ not in old.roles:
        return False
    return new is None or new.root != old.root or Role.READ not in new.roles


def _merged(before: Policy, after: Policy, current: Policy) -> Policy:
    changed = {
        field.name: getattr(after, field.name)
        for field in dataclasses.fields(Policy)
        if getattr(after, field.name) != getattr(before, field.name)
    }
    return dataclasses.replace(current, **changed)


def _called(proposal: Proposal, member: str | None) -> str:
    return proposal.names.get(member or "", member or "a removed key")
