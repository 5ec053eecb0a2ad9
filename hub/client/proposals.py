"""Proposals of owners: made, shown, countersigned, and put in force by whoever is the last.

A proposal is kept in the home and, when its maker may write, sent into the channel as a note that
every reader sees; signatures come back the same way, or in the file that was handed on.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from hub.channel.header import Audience
from hub.channel.manifest import Role
from hub.channel.primitives.sign import RootPrivate
from hub.channel.proposal import (
    COUNTERSIGNATURE_LABEL,
    PROPOSAL_LABEL,
    Countersignature,
    Proposal,
    parse_proposal,
)
from hub.channel.verify import TrustedChannel
from hub.client import drafts
from hub.client.drafts import Wanted
from hub.client.home import Home
from hub.client.issue import owned
from hub.client.notes import note_of, tell_names
from hub.client.publisher import seal_objects
from hub.client.rows import ChannelRow, ObjectRow
from hub.client.subscriber import refresh
from hub.client.work import Desk, Sealed, flush
from hub.errors import AccessError, ConflictError, InputError, VerificationError

_KEPT: Final = "proposal"
_SIGNED: Final = "signed-draft"
_DROPPED: Final = "dropped-proposal"
_MOST: Final = {PROPOSAL_LABEL: 8, COUNTERSIGNATURE_LABEL: 64}
"""How many notes of one member are looked at, of each kind."""


@dataclasses.dataclass(frozen=True)
class Standing:
    """A proposal and how it stands.

    Attributes:
        stale: why it can come into force no more, or None.
        waits: what of the channel has not arrived here, or None.
        signed: whether this home's root signed it.
        may_sign: whether this home's root counts, and has not signed.
    """

    proposal: Proposal
    stale: str | None
    waits: str | None
    signed: bool
    may_sign: bool


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a change.

    Attributes:
        in_force: whether it is the manifest in force now.
        sent: whether the other owners get it through the channel.
        why_not: why it has to be handed on as a file.
    """

    proposal: Proposal
    in_force: bool
    sent: bool = False
    why_not: str | None = None


def enact(
    desk: Desk, channel: ChannelRow, wanted: Wanted, *, also: Callable[[], None] = lambda: None
) -> Outcome:
    """Change the manifest, or propose the change where one owner's signature is not enough.

    The caller holds the lock and has refreshed the channel.

    Args:
        also: done in the same transaction.
    Raises:
        AccessError: only an owner may.
        ConflictError: this owner signed another draft that still waits.
        VerificationError, InputError: no signature could make it acceptable.
    """
    home, now = desk.home, desk.clock()
    owned(home, channel)
    check_no_other(home, channel, now)
    proposal = drafts.draft(home, channel, wanted, now)
    root = home.keyring.root
    if root is not None and root.public.id in proposal.may_sign:
        proposal = proposal.signed_by(root)
    if proposal.complete and cannot_post(home, proposal) is None:
        _post(desk, channel, proposal, also)
        return Outcome(proposal, in_force=True)
    with home.state.transaction():
        _keep(home, channel, proposal, now)
        also()
    return _offer(desk, channel, proposal)


def standings(
    home: Home, channel: ChannelRow, now: int, *, dropped: bool = False
) -> list[Standing]:
    """The proposals that are known here and not in force, the oldest first.

    Args:
        dropped: those too that were dropped here.
    """
    trusted = home.trusted(channel)
    hidden = set() if dropped else home.state.secrets(channel.channel_id, _DROPPED).keys()
    found = [
        _standing(home, trusted, each, now)
        for each in _known(home, channel, trusted).values()
        if trusted.manifest_by_hash(each.id) is None and each.id not in hidden
    ]
    return sorted(found, key=lambda each: (each.proposal.created, each.proposal.id))


def open_ones(home: Home, channel: ChannelRow, now: int) -> list[Standing]:
    """Proposals that can still come into force."""
    return [each for each in standings(home, channel, now) if each.stale is None]


def find(home: Home, channel: ChannelRow, wanted: str, now: int) -> Standing:
    """A proposal by the beginning of its id.

    Raises:
        InputError: there is none, or several fit.
    """
    known = standings(home, channel, now, dropped=True)
    found = [each for each in known if len(wanted) >= 4 and each.proposal.id.startswith(wanted)]
    if len(found) != 1:
        names = ", ".join(each.proposal.id[:16] for each in known) or "none"
        raise InputError(
            f"no proposal of this id; known: {names}",
            where=wanted[:64],
            hint=f"stillwatch channel proposals {channel.name}, or the proposal's file",
        )
    return found[0]


def take(home: Home, channel: ChannelRow, raw: bytes, now: int) -> Standing:
    """Take in a proposal that came as a file, with the signatures in it.

    Raises:
        InputError, VerificationError: it does not hold, or belongs to another channel.
    """
    proposal = parse_proposal(raw)
    trusted = home.trusted(channel)
    if proposal.after.channel != trusted.channel:
        raise VerificationError("this proposal is for another channel", where=channel.name)
    _check_owner(home, channel, proposal)
    known = _known(home, channel, trusted).get(proposal.id)
    if known is not None:
        proposal = known.with_entries(proposal.signatures.values())
    standing = _standing(home, trusted, proposal, now)
    if standing.stale is None:
        _keep(home, channel, proposal, now)
    return standing


def check_stands(found: Standing, channel: ChannelRow) -> None:
    """Refuse a stale proposal, before anybody considers its content.

    Raises:
        VerificationError: it is stale; the message says why.
    """
    if found.stale is not None:
        short = found.proposal.id[:16]
        raise VerificationError(
            f"the proposal is stale: {found.stale}",
            where=f"proposal {short}",
            hint=f"stillwatch channel propose {channel.name} {short} makes it anew",
        )


def sign(desk: Desk, channel: ChannelRow, proposal: Proposal, *, despite: bool = False) -> Outcome:
    """Sign a proposal as an owner; whoever completes it puts it in force.

    Args:
        despite: sign although this owner signed another draft of the same version.
    Raises:
        AccessError: this home's root is no owner's, or is not here.
        ConflictError: another draft of the same version was signed here.
        VerificationError: the proposal is stale.
    """
    home, now = desk.home, desk.clock()
    with home.locked():
        channel = refresh(desk, home.state.channel(channel.channel_id))
        trusted = home.trusted(channel)
        _check_owner(home, channel, proposal)
        known = _known(home, channel, trusted).get(proposal.id)
        if known is not None:
            proposal = known.with_entries(proposal.signatures.values())
        if trusted.manifest_by_hash(proposal.id) is not None:
            return Outcome(proposal, in_force=True)
        drafts.checked(trusted, proposal, now)
        if home.keyring.root_id in proposal.may_sign and not (
            proposal.complete and home.keyring.root is None
        ):
            if not despite:
                check_no_other(home, channel, now, beside=proposal.id)
            proposal = proposal.signed_by(home.keyring.root_key())
        if proposal.complete and cannot_post(home, proposal) is None:
            _post(desk, channel, proposal)
            return Outcome(proposal, in_force=True)
        _keep(home, channel, proposal, now)
        return _offer(desk, channel, proposal)


def sign_offline(proposal: Proposal, root: RootPrivate) -> Proposal:
    """Sign where only a root lies; whether the proposal is stale is not known there.

    Raises:
        VerificationError: the root is no owner's.
    """
    return proposal.signed_by(root)


def propose_again(desk: Desk, channel: ChannelRow, proposal: Proposal) -> Outcome:
    """The same change as a stale proposal's, on top of the manifest in force."""
    with desk.home.locked():
        channel = refresh(desk, desk.home.state.channel(channel.channel_id))
        trusted = owned(desk.home, channel)
        if drafts.staleness(trusted, proposal, desk.clock()) is None:
            raise ConflictError(
                "this proposal still stands",
                where=f"proposal {proposal.id[:16]}",
                hint=f"stillwatch channel sign {channel.name} {proposal.id[:16]}",
            )
        wanted = drafts.again(trusted, proposal)
        return enact(desk, channel, wanted, also=lambda: _forget(desk.home, channel, proposal))


def drop(home: Home, channel: ChannelRow, proposal: Proposal, now: int) -> None:
    """Count a proposal no more here, so that this owner may make or sign another one.

    Who has it with enough signatures may still put it in force.
    """
    with home.state.transaction():
        _forget(home, channel, proposal)
        home.put_secret(channel.channel_id, _DROPPED, proposal.id, _version(proposal).encode(), now)


def _forget(home: Home, channel: ChannelRow, proposal: Proposal) -> None:
    home.state.drop_secret(channel.channel_id, _KEPT, proposal.id)
    name = _version(proposal)
    if home.secrets(channel.channel_id, _SIGNED).get(name) == proposal.id.encode():
        home.state.drop_secret(channel.channel_id, _SIGNED, name)


def check_no_other(home: Home, channel: ChannelRow, now: int, *, beside: str | None = None) -> None:
    """Refuse to sign a second draft of one version while the first may come into force.

    Two drafts that both found their signatures would be two manifests of one version: an alarm at
    every member.

    Raises:
        ConflictError: another one waits.
    """
    for each in open_ones(home, channel, now):
        if each.signed and each.proposal.id != beside:
            raise ConflictError(
                f"this owner signed another draft of version {each.proposal.after.version}, "
                "which may still come into force",
                where=f"proposal {each.proposal.id[:16]}",
                hint="wait until it is complete or stale; or, once no owner will sign it: "
                f"stillwatch channel proposals {channel.name} {each.proposal.id[:16]} --drop",
            )


def cannot_post(home: Home, proposal: Proposal) -> str | None:
    """Why this home cannot put a complete proposal in force, or None.

    What follows a manifest is signed by an owner of the new version, and a hub takes it from one
    who signed it.
    """
    row = proposal.after.member(home.member_id)
    if home.keyring.root_id not in proposal.signatures:
        return "one of those who signed it puts it in force"
    if row is None or not proposal.after.is_owner(home.member_id):
        return "this organisation is no owner after it: another owner puts it in force"
    if all(keys.card.hash != row.card for keys in home.keyring.cards):
        return "it names a card that is not in this home: another owner puts it in force"
    return None


def _check_owner(home: Home, channel: ChannelRow, proposal: Proposal) -> None:
    """Owners before and after a change sign it: also who becomes one by it."""
    if home.keyring.root_id not in {*proposal.before.owners, *proposal.after.owners}:
        raise AccessError("only an owner of the channel may do this", where=channel.name)


def _standing(home: Home, trusted: TrustedChannel, proposal: Proposal, now: int) -> Standing:
    root = home.keyring.root_id
    return Standing(
        proposal=proposal,
        stale=drafts.staleness(trusted, proposal, now),
        waits=drafts.unseen(trusted, proposal),
        signed=root in proposal.signatures,
        may_sign=root in proposal.may_sign,
    )


def _known(home: Home, channel: ChannelRow, trusted: TrustedChannel) -> dict[str, Proposal]:
    """Every proposal of a next version that is kept here or came as a note, with all signatures."""
    found = {}
    for raw in home.secrets(channel.channel_id, _KEPT).values():
        kept = parse_proposal(raw)
        found[kept.id] = kept
    loose: list[Countersignature] = []
    for row in _notes(home, channel):
        labels, content = row.body.get("labels") or (), str(row.body.get("content", ""))
        # A note is an owner's word, or nothing: what does not hold is passed over.
        with contextlib.suppress(InputError, VerificationError):
            if PROPOSAL_LABEL in labels and _follows(content, trusted):
                proposal = parse_proposal(content.encode())
                known = found.get(proposal.id, proposal)
                found[proposal.id] = known.with_entries(proposal.signatures.values())
            elif COUNTERSIGNATURE_LABEL in labels:
                loose.append(Countersignature.from_bytes(content.encode()))
    for each in loose:
        if each.manifest in found and each.channel == trusted.channel:
            with contextlib.suppress(VerificationError):
                signed = found[each.manifest].with_entries([(each.root, each.signature)])
                found[each.manifest] = signed
    least = trusted.manifest.version
    return {key: each for key, each in found.items() if each.after.version >= least}


def _notes(home: Home, channel: ChannelRow) -> list[ObjectRow]:
    """The notes to look at: of each member the newest, so that nobody can make endless work."""
    counts: Counter[tuple[str, str]] = Counter()
    found = []
    rows = home.state.objects(channel.channel_id, types=("note",))
    for row in sorted(rows, key=lambda each: each.modified, reverse=True):
        for label in _MOST.keys() & set(row.body.get("labels") or ()):
            counts[row.member, label] += 1
            if counts[row.member, label] <= _MOST[label]:
                found.append(row)
    return found


def _follows(content: str, trusted: TrustedChannel) -> bool:
    """Whether a note may be about the next version: the work of old ones is not done again."""
    current = trusted.manifest
    return f'"prev":"{current.hash}"' in content or (
        current.prev is not None and f'"prev":"{current.prev}"' in content
    )


def _keep(home: Home, channel: ChannelRow, proposal: Proposal, now: int) -> None:
    with home.state.transaction():
        home.put_secret(channel.channel_id, _KEPT, proposal.id, proposal.raw, now)
        home.state.drop_secret(channel.channel_id, _DROPPED, proposal.id)
        if home.keyring.root_id in proposal.signatures:
            home.put_secret(
                channel.channel_id, _SIGNED, _version(proposal), proposal.id.encode(), now
            )


def _version(proposal: Proposal) -> str:
    return f"{proposal.after.version:08d}"


def _post(
    desk: Desk, channel: ChannelRow, proposal: Proposal, also: Callable[[], None] = lambda: None
) -> None:
    home, now = desk.home, desk.clock()
    trusted = home.trusted(channel)
    drafts.checked(trusted, proposal, now)
    sealed = Sealed(home, channel, trusted, now)
    with home.state.transaction():
        drafts.finish(sealed, proposal)
        sealed.store()
        _forget(home, channel, proposal)
        _prune(home, channel, trusted.manifest.version)
        also()
    channel = home.state.channel(channel.channel_id)
    if drafts.joiners(proposal):
        tell_names(desk, channel, proposal.names)
    flush(desk, home.state.channel(channel.channel_id))


def _prune(home: Home, channel: ChannelRow, version: int) -> None:
    """Drop what is older than the manifest in force."""
    for name, raw in home.secrets(channel.channel_id, _KEPT).items():
        if parse_proposal(raw).after.version < version:
            home.state.drop_secret(channel.channel_id, _KEPT, name)
    for name, at in home.secrets(channel.channel_id, _DROPPED).items():
        if int(at) < version:
            home.state.drop_secret(channel.channel_id, _DROPPED, name)
    for name in home.state.secrets(channel.channel_id, _SIGNED):
        if int(name) < version:
            home.state.drop_secret(channel.channel_id, _SIGNED, name)


def _offer(desk: Desk, channel: ChannelRow, proposal: Proposal) -> Outcome:
    """Send the proposal, or one's signature of it, into the channel; else it goes as a file."""
    home = desk.home
    if proposal.complete:
        return Outcome(proposal, in_force=False, why_not=cannot_post(home, proposal))
    label, content = PROPOSAL_LABEL, proposal.raw
    if proposal.proposer.member != home.member_id:
        if home.keyring.root_id not in proposal.signatures:
            return Outcome(proposal, in_force=False, why_not="this owner has not signed it")
        label = COUNTERSIGNATURE_LABEL
        content = proposal.countersignature(home.keyring.root_id).to_bytes()
    gone = None if proposal.after.is_owner(home.member_id) else cannot_post(home, proposal)
    try:
        _tell(desk, channel, proposal, label, content)
    except (AccessError, ConflictError, VerificationError) as error:
        return Outcome(proposal, in_force=False, why_not=gone or error.message)
    return Outcome(proposal, in_force=False, sent=True)


def _tell(desk: Desk, channel: ChannelRow, proposal: Proposal, label: str, content: bytes) -> None:
    home = desk.home
    trusted = home.trusted(channel)
    entry = trusted.manifest.member(home.member_id)
    roles = frozenset() if entry is None else entry.roles
    if Role.READ not in roles or not roles & {Role.PUBLISH, Role.REPORT}:
        raise AccessError("this owner has no role to write in the channel", where=channel.name)
    if any(trusted.holder(key) == home.member_id for key in ended(proposal)):
        raise ConflictError(
            "it ends this owner's own key, whose last message it names: a note would be one more",
            where=channel.name,
        )
    made = note_of(home, trusted, label, content.decode(), desk.clock())
    role = Role.PUBLISH if Role.PUBLISH in roles else Role.REPORT
    seal_objects(desk, channel, {Audience.DETAIL: [made]}, role=role)
    flush(desk, home.state.channel(channel.channel_id))


def ended(proposal: Proposal) -> Sequence[str]:
    """The signing keys that a proposal ends."""
    return [key for key in proposal.after.finals if key not in proposal.before.finals]
