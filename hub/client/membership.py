"""An owner's work on a channel: create, invite, approve, remove, renew."""

from __future__ import annotations

import dataclasses
import secrets
import uuid
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Final

from hub.channel.card import (
    SigningPrivate,
    card_message,
    fingerprint_text,
    fingerprint_words,
)
from hub.channel.carriage import from_artifact, is_artifact
from hub.channel.epoch import new_epoch
from hub.channel.invite import (
    Invitation,
    JoinRequest,
    binding,
    check_join,
    new_invitation,
    parse_invitation,
    parse_join,
)
from hub.channel.manifest import (
    Manifest,
    Member,
    Policy,
    Removed,
    Role,
    genesis,
    next_version,
    sign_manifest,
)
from hub.channel.seal import FingerprintSecret, seal_keys
from hub.channel.verify import TrustedChannel
from hub.client.home import Home
from hub.client.rows import ChannelRow, InvitationRow
from hub.client.transport import Hub, HubAccount, TaxiiCollection, checked_url
from hub.client.work import (
    INBOX,
    Desk,
    Sealed,
    current_secrets,
    flush,
    put_epoch,
)
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


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A join request that holds, waiting for the owner's comparison of words.

    Attributes:
        object_id: the request's object in the inbox, None for a file.
    """

    request: JoinRequest
    invitation: InvitationRow
    object_id: str | None

    @property
    def words(self) -> tuple[str, ...]:
        """The words that the joiner sees too."""
        return fingerprint_words(self.request.card.root_id)

    @property
    def fingerprint(self) -> str:
        """The same as text."""
        return fingerprint_text(self.request.card.root_id)


def register(desk: Desk, account: HubAccount) -> tuple[Hub, HubAccount]:
    """Store a hub account, and bind it to this member where the hub is a Stillwatch hub.

    Raises:
        TransportError, AccessError: the hub is not there, or refuses the token.
        VerificationError: the hub bound the account to somebody else.
    """
    url = checked_url(account.api_root, allow_plain_http=account.allow_plain_http)
    account = dataclasses.replace(account, api_root=url)
    hub = desk.reach(account)
    about = hub.about()
    if about is not None:
        skew = abs(about.time - desk.clock())
        if skew > desk.home.settings.clock_skew_s:
            raise ConflictError(
                f"the hub's clock and this machine's differ by {skew} s",
                where=url,
                hint="set the clock; messages from the future are refused",
            )
        bind(desk, hub)
    desk.home.put_account(account, stillwatch=about is not None)
    return hub, account


def bind(desk: Desk, hub: Hub) -> None:
    """Prove to the hub which member this account belongs to; the hub then takes its messages."""
    challenge = hub.challenge()
    if challenge is None:
        return
    keys = desk.home.keyring.current
    bound = hub.bind(binding(hub.api_root, challenge, keys.card.raw, keys.signing))
    if bound != desk.home.member_id:
        raise VerificationError("the hub bound this account to another member", where=hub.api_root)


def find_inbox(hub: Hub, collection: TaxiiCollection) -> str | None:
    """The join inbox beside a channel's collection, where the server has one."""
    for each in hub.collections():
        if each.channel_collection == collection.collection_id:
            return each.collection_id
    return None


def find_collection(hub: Hub, wanted: str) -> TaxiiCollection:
    """The collection of this id, else the only one of this title.

    Raises:
        InputError: no collection, or several, are called so.
    """
    if is_uuid(wanted):
        return hub.collection(wanted)
    seen = hub.collections()
    titled = [each for each in seen if each.title == wanted]
    if len(titled) == 1:
        return titled[0]
    raise InputError(
        "several collections have this title" if titled else "no collection has this id or title",
        where=wanted,
        hint="one of: " + ", ".join(f"{each.collection_id} ({each.title})" for each in seen),
    )


def is_uuid(text: str) -> bool:
    """Whether this is a collection id as TAXII 2.1 has them."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


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
        root, keys = home.keyring.root, home.keyring.current
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
            inbox_id=find_inbox(hub, collection),
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
            _next_epoch(sealed)
            _send_keys(sealed, [_new_fingerprint_key(sealed, [])])
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
        trusted = _owned(home, channel)
        invitation = new_invitation(
            channel=channel.channel_id,
            owners=tuple(trusted.manifest.owners),
            api_root=channel.api_root,
            collection=channel.collection_id,
            inbox=channel.inbox_id,
            roles=roles,
            organisation=organisation,
            sponsor=home.keyring.root.public.id,
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


def candidates(
    desk: Desk, name: str, file: bytes | None = None
) -> tuple[list[Candidate], list[str]]:
    """Join requests that hold, from the inbox or from one file.

    Returns:
        The candidates, and why others were passed over. A file's fault is raised instead.

    Raises:
        VerificationError, InputError: the file's request does not hold.
        ConflictError: its invitation was used before.
    """
    home = desk.home
    channel = home.state.channel(name)
    _owned(home, channel)
    if file is not None:
        return [_candidate(home, channel, file, None, desk.clock())], []
    found: dict[str, Candidate] = {}
    problems = []
    for page in desk.collection_of(channel, INBOX).pages():
        for each in page.objects:
            object_id = str(each.get("id", ""))[:100]
            try:
                if not is_artifact(each):
                    raise InputError("not a join request")
                raw = from_artifact(each)
                found[object_id] = _candidate(home, channel, raw, object_id, desk.clock())
            except (InputError, VerificationError, ConflictError) as error:
                problems.append(f"{object_id}: {error}")
    return list(found.values()), problems


def _candidate(
    home: Home, channel: ChannelRow, raw: bytes, object_id: str | None, now: int
) -> Candidate:
    request = parse_join(raw)
    if request.channel != channel.channel_id:
        raise VerificationError("this join request is for another channel")
    rows = {each.invitation_id: each for each in home.state.invitations(channel.channel_id)}
    row = rows.get(request.invitation)
    if row is None:
        raise VerificationError("no invitation of ours stands behind this join request")
    if row.used_at is not None:
        raise ConflictError(
            "this invitation was used before",
            where=row.organisation,
            hint="invite the organisation anew",
        )
    text = home.secrets(channel.channel_id, "invitation").get(row.invitation_id, b"")
    checked = check_join(raw, parse_invitation(text.decode()), now=now)
    return Candidate(checked, row, object_id)


def approve(desk: Desk, name: str, candidate: Candidate) -> None:
    """Make the candidate a member: manifest, card, epoch, fingerprint keys.

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
        trusted = _owned(home, channel)
        card = candidate.request.card
        if trusted.manifest.member(card.member) is not None:
            raise ConflictError("this organisation is a member already", where=row.organisation)
        sealed = Sealed(home, channel, trusted, now)
        newcomer = Member(
            member=card.member,
            root=card.root_id,
            card=card.hash,
            roles=frozenset(Role(each) for each in row.roles),
        )
        with home.state.transaction():
            _new_manifest(sealed, members=[*trusted.manifest.members, newcomer])
            sealed.add(card_message(trusted.channel, card.raw))
            _next_epoch(sealed, joiners=[card.member])
            if Role.READ in newcomer.roles:
                _send_keys(sealed, _live(home, channel))
            sealed.store()
            home.state.use_invitation(row.invitation_id, now, card.member)
            home.state.drop_secret(channel.channel_id, "invitation", row.invitation_id)
        flush(desk, channel)
    if candidate.object_id is not None:
        desk.collection_of(channel, INBOX).delete(candidate.object_id)


def remove(desk: Desk, name: str, member: str) -> None:
    """Remove a member: it reads nothing that is published from now on.

    Raises:
        InputError: no such member, or the owner itself.
    """
    home, now = desk.home, desk.clock()
    with home.locked():
        channel = home.state.channel(name)
        trusted = _owned(home, channel)
        if trusted.manifest.member(member) is None:
            raise InputError("no such member", where=member, hint="stillwatch channel members")
        if member == home.member_id:
            raise InputError("an owner cannot remove itself", where=member)
        sealed = Sealed(home, channel, trusted, now)
        remaining = [each for each in trusted.manifest.members if each.member != member]
        with home.state.transaction():
            _new_manifest(sealed, members=remaining, removed=[trusted.final_of(member)])
            _next_epoch(sealed)
            retired = [dataclasses.replace(each, live=False) for each in _live(home, channel)]
            for each in retired:
                home.put_fingerprint_secret(channel.channel_id, each, now)
            fresh = _new_fingerprint_key(sealed, home.fingerprint_secrets(channel.channel_id))
            _send_keys(sealed, [*retired, fresh])
            sealed.store()
        flush(desk, channel)


@dataclasses.dataclass
class Renewed:
    """What a renewal did."""

    channel: str
    done: list[str] = dataclasses.field(default_factory=list)


def renew(
    desk: Desk, name: str, *, force: bool = False, new_card: bool = False, abandon: bool = False
) -> Renewed:
    """Re-issue what expires soon: cards, manifest, epoch, fingerprint key.

    A member renews its card only; an owner also takes up other members' new cards.

    Args:
        force: rotate the epoch although it is not due.
        new_card: make a new card although it is not due; it also heals a forked chain.
        abandon: drop unsent messages first.
    """
    home, now = desk.home, desk.clock()
    with home.locked():
        channel = home.state.channel(name)
        result = Renewed(channel.name)
        if abandon and (count := home.state.abandon(channel.channel_id)):
            result.done.append(f"dropped {count} unsent messages")
        trusted = home.trusted(channel)
        soon = now + home.settings.warn_before_s
        newest = home.keyring.current.card
        named = trusted.cards.get(home.member_id)
        # A newer card that no manifest names yet is posted first, not followed by another.
        unposted = named is not None and newest.number > named.number
        if not unposted and (new_card or newest.not_after < soon):
            home.replace_keyring(
                home.keyring.with_next_card(now=now, card_lifetime_s=home.settings.card_lifetime_s)
            )
        sealed = Sealed(home, channel, trusted, now)
        with home.state.transaction():
            _post_own_card(sealed, result)
            if home.keyring.root.public.id in trusted.manifest.owners:
                _renew_as_owner(sealed, result, soon=soon, force=force)
            sealed.store()
        flush(desk, channel)
    return result


def _post_own_card(sealed: Sealed, result: Renewed) -> None:
    """Post the card after the one that the manifest names; one at a time is taken up."""
    home, trusted = sealed.home, sealed.trusted
    current = trusted.cards.get(home.member_id)
    if current is None or trusted.pending_card(home.member_id) is not None:
        return
    for keys in home.keyring.cards:
        if keys.card.number == current.number + 1:
            sealed.add(card_message(trusted.channel, keys.card.raw))
            result.done.append(f"posted card {keys.card.number}")


def _renew_as_owner(sealed: Sealed, result: Renewed, *, soon: int, force: bool) -> None:
    home, trusted, now = sealed.home, sealed.trusted, sealed.now
    members, removed = [], []
    for each in trusted.manifest.members:
        card = trusted.pending_card(each.member)
        if card is not None:
            removed.append(trusted.final_of(each.member))
            members.append(dataclasses.replace(each, card=card.hash))
            result.done.append(f"took up card {card.number} of {each.member}")
        else:
            members.append(each)
    if removed or trusted.manifest.expires < soon:
        _new_manifest(sealed, members=members, removed=removed)
        result.done.append(f"issued manifest {trusted.manifest.version}")
    reason = trusted.needs_epoch(now) or ("asked for" if force else None)
    if reason is not None:
        _next_epoch(sealed)
        assert trusted.epoch is not None
        result.done.append(f"issued epoch {trusted.epoch.number} ({reason})")
    keys = home.fingerprint_secrets(sealed.channel.channel_id)
    live = [each for each in keys if each.live]
    if not any(f".{_quarter(now)}" in each.key_id for each in live):
        retired = [dataclasses.replace(each, live=False) for each in live]
        for key in retired:
            home.put_fingerprint_secret(sealed.channel.channel_id, key, now)
        fresh = _new_fingerprint_key(sealed, keys)
        _send_keys(sealed, [*retired, fresh])
        result.done.append(f"made fingerprint key {fresh.key_id}")


def _owned(home: Home, channel: ChannelRow) -> TrustedChannel:
    trusted = home.trusted(channel)
    if home.keyring.root.public.id not in trusted.manifest.owners:
        raise AccessError("only an owner of the channel may do this", where=channel.name)
    return trusted


def _new_manifest(
    sealed: Sealed, *, members: Sequence[Member], removed: Sequence[Removed] = ()
) -> Manifest:
    home, now = sealed.home, sealed.now
    manifest = next_version(
        sealed.trusted.manifest,
        created=now,
        expires=now + home.settings.manifest_lifetime_s,
        members=members,
        removed=removed,
    )
    sealed.add(sign_manifest(manifest, [home.keyring.root]))
    return manifest


def _next_epoch(sealed: Sealed, joiners: Collection[str] = ()) -> None:
    home, channel_id = sealed.home, sealed.channel.channel_id
    history = (
        home.epoch_secrets(channel_id) if sealed.trusted.manifest.policy.history != "none" else {}
    )
    raw, made = new_epoch(
        sealed.trusted,
        _signing(sealed),
        now=sealed.now,
        history=history,
        joiners=joiners,
    )
    sealed.add(raw)
    put_epoch(home, channel_id, made, sealed.now)


def _send_keys(sealed: Sealed, keys: Sequence[FingerprintSecret]) -> None:
    secrets_ = current_secrets(sealed.home, sealed.channel, sealed.trusted)
    sealed.add(seal_keys(sealed.trusted, secrets_, _signing(sealed), keys, now=sealed.now))


def _signing(sealed: Sealed) -> SigningPrivate:
    home = sealed.home
    entry = sealed.trusted.manifest.member(home.member_id)
    return next(k.signing for k in home.keyring.cards if entry and k.card.hash == entry.card)


def _live(home: Home, channel: ChannelRow) -> list[FingerprintSecret]:
    return [each for each in home.fingerprint_secrets(channel.channel_id) if each.live]


def _new_fingerprint_key(sealed: Sealed, known: Sequence[FingerprintSecret]) -> FingerprintSecret:
    home, now, channel_id = sealed.home, sealed.now, sealed.trusted.channel
    base = f"{channel_id[:16]}.{_quarter(now)}"
    taken = {each.key_id for each in known}
    number = 1
    key_id = base
    while key_id in taken:
        number += 1
        key_id = f"{base}-{number}"
    key = FingerprintSecret(
        key_id=key_id,
        secret=secrets.token_bytes(32),
        created=now,
        expires=now + home.settings.fingerprint_key_lifetime_s,
        live=True,
    )
    home.put_fingerprint_secret(channel_id, key, now)
    return key


def _quarter(now: int) -> str:
    moment = datetime.fromtimestamp(now, UTC)
    return f"{moment.year}q{(moment.month - 1) // 3 + 1}"


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
