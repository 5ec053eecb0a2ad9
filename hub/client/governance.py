"""Owners, threshold and policy of a channel: what owners decide about themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from hub.channel.changes import Change, policy_changes
from hub.channel.invite import Invitation
from hub.channel.manifest import Member
from hub.channel.policy import Policy, parse_policy
from hub.channel.verify import TrustedChannel
from hub.client.drafts import Wanted
from hub.client.home import Home
from hub.client.issue import owned
from hub.client.membership import REENROL, invite
from hub.client.naming import member_names
from hub.client.proposals import Outcome, enact
from hub.client.rows import ChannelRow
from hub.client.subscriber import refresh
from hub.client.work import Desk
from hub.errors import ConflictError, InputError


def add_owner(desk: Desk, name: str, member: str, *, threshold: int | None = None) -> Outcome:
    """Make a member an owner; the caller has compared the words of its root.

    Args:
        threshold: how many owners sign from then on; as before if None.
    Raises:
        ConflictError: it is one.
        InputError: no such member, or the threshold is not one.
    """
    home = desk.home
    with home.locked():
        channel, trusted = _fresh(desk, name)
        manifest = trusted.manifest
        row = _row(trusted, member)
        if row.root in manifest.owners:
            raise ConflictError("this member is an owner already", where=member)
        owners = [*manifest.owners, row.root]
        called = member_names(home, channel).get(member, member)
        wanted = Wanted(
            reason=f"{called[:200]} becomes an owner, proposed by {home.organisation[:200]}",
            owners=owners,
            threshold=None if threshold is None else _checked(threshold, len(owners)),
            names={member: called},
        )
        return enact(desk, channel, wanted)


def remove_owner(desk: Desk, name: str, member: str, *, threshold: int | None = None) -> Outcome:
    """Let an owner go on as a member: it has posted a new card, for what it signed ends.

    Raises:
        ConflictError: it is no owner, the last one, or has posted no new card.
        InputError: no such member, oneself, or the threshold is not one.
    """
    home = desk.home
    with home.locked():
        channel, trusted = _fresh(desk, name)
        manifest = trusted.manifest
        row = _row(trusted, member)
        if row.root not in manifest.owners:
            raise ConflictError("this member is no owner", where=member)
        if member == home.member_id:
            raise InputError("an owner cannot remove itself: another owner does it", where=member)
        if len(manifest.owners) == 1:
            raise ConflictError("a channel has at least one owner", where=member)
        card = trusted.pending_card(member)
        if card is None:
            raise ConflictError(
                "its key could still begin epochs: it must change to a new card first",
                where=member,
                hint=f"it runs stillwatch channel renew {name} --new-card; "
                f"or it leaves altogether: stillwatch channel remove {name} {member}",
            )
        left = len(manifest.owners) - 1
        limit = min(manifest.threshold, left) if threshold is None else threshold
        rows = [
            dataclasses.replace(each, card=card.hash) if each.member == member else each
            for each in manifest.members
        ]
        called = member_names(home, channel).get(member, member)
        wanted = Wanted(
            reason=f"{called[:200]} is an owner no more, proposed by {home.organisation[:200]}",
            members=rows,
            removed=[trusted.final_of(member)],
            owners=[each for each in manifest.owners if each != row.root],
            threshold=_checked(limit, left),
            names={member: called},
        )
        return enact(desk, channel, wanted)


def set_threshold(desk: Desk, name: str, threshold: int) -> Outcome:
    """Say how many owners must sign a change.

    Raises:
        InputError: more than there are owners, or none.
        ConflictError: it is so already.
    """
    with desk.home.locked():
        channel, trusted = _fresh(desk, name)
        manifest = trusted.manifest
        _checked(threshold, len(manifest.owners))
        if threshold == manifest.threshold:
            raise ConflictError(f"{threshold} owners sign already", where=channel.name)
        said = f"{threshold} of {len(manifest.owners)} owners sign from now on"
        return enact(desk, channel, Wanted(reason=said, threshold=threshold))


def changed_policy(policy: Policy, fields: Mapping[str, Any]) -> Policy:
    """A policy with some fields changed.

    Args:
        fields: field name to value; `fingerprints` adds to the kinds that are named.
    Raises:
        InputError: a value that no receiver would accept.
    """
    values = dict(fields)
    if "fingerprints" in values:
        forms = {**policy.fingerprints, **values["fingerprints"]}
        # A kind that is not named is keyed.
        values["fingerprints"] = {kind: form for kind, form in forms.items() if form != "keyed"}
    return parse_policy(dataclasses.replace(policy, **values).to_json())


def preview_policy(home: Home, channel: ChannelRow, fields: Mapping[str, Any]) -> list[Change]:
    """What a change of policy would change, in words."""
    policy = home.trusted(channel).manifest.policy
    return policy_changes(policy, changed_policy(policy, fields))


def change_policy(desk: Desk, name: str, fields: Mapping[str, Any]) -> Outcome:
    """Change the channel's policy.

    Raises:
        InputError: a value that no receiver would accept.
        ConflictError: nothing changes.
    """
    with desk.home.locked():
        channel, trusted = _fresh(desk, name)
        policy = changed_policy(trusted.manifest.policy, fields)
        changed = policy_changes(trusted.manifest.policy, policy)
        if not changed:
            raise ConflictError("the policy is so already", where=channel.name)
        said = f"{desk.home.organisation[:200]} changes the policy"
        return enact(desk, channel, Wanted(reason=said, policy=policy))


def re_enrol(desk: Desk, name: str, member: str, *, lifetime_s: int | None = None) -> Invitation:
    """Invite a member that lost its root to come back under its id with a new one.

    Raises:
        InputError: nobody of that id is, or ever was, a member; or it is oneself.
    """
    home = desk.home
    with home.locked():
        channel = home.state.channel(name)
        trusted = owned(home, channel)
        if member == home.member_id:
            raise InputError("another owner enrols this organisation anew", where=member)
        if not trusted.roots_of(member):
            raise InputError("was never a member", where=member, hint="stillwatch channel members")
        role = role_of(_last_row(trusted, member))
        called = member_names(home, channel).get(member, member)
        invitation = invite(desk, name, called, role, lifetime_s=lifetime_s)
        home.put_secret(channel.channel_id, REENROL, invitation.id, member.encode(), desk.clock())
    return invitation


def _last_row(trusted: TrustedChannel, member: str) -> Member:
    """A member's row in the newest manifest that names it."""
    manifest = trusted.manifest
    while (row := manifest.member(member)) is None:
        before = None if manifest.prev is None else trusted.manifest_by_hash(manifest.prev)
        assert before is not None
        manifest = before
    return row


def role_of(row: Member) -> str:
    """The word that an invitation has for a member's roles."""
    words = {str(role) for role in row.roles}
    return next(each for each in ("publish", "liaison", "report", "read") if each in words)


def _fresh(desk: Desk, name: str) -> tuple[ChannelRow, TrustedChannel]:
    channel = desk.home.state.channel(name)
    owned(desk.home, channel)
    channel = refresh(desk, channel)
    return channel, owned(desk.home, channel)


def _row(trusted: TrustedChannel, member: str) -> Member:
    row = trusted.manifest.member(member)
    if row is None:
        raise InputError("no such member", where=member, hint="stillwatch channel members")
    return row


def _checked(threshold: int, owners: int) -> int:
    if not 1 <= threshold <= owners:
        raise InputError(
            f"a threshold is from 1 to the number of owners, {owners}", where="threshold"
        )
    return threshold
