"""Direct material: detail for named members, with the ground on which they may read it.

What is published only directly never enters a message for all: neither a new version of it, nor
its withdrawal.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from hub.channel.direct import RELEASE_LABEL, Release
from hub.channel.header import Audience
from hub.channel.manifest import Role
from hub.channel.open import check_bundle
from hub.channel.seal import seal_direct
from hub.client.home import Home
from hub.client.releases import Releases
from hub.client.rows import ChannelRow, ObjectRow
from hub.client.work import Desk, Sealed, own_card
from hub.errors import AccessError, VerificationError
from hub.model.bundle import bundle
from hub.model.codec import Json, dumps
from hub.model.markings import TLP, tlp_of
from hub.model.objects import note


@dataclasses.dataclass(frozen=True)
class Terms:
    """To whom something is released, and on what ground.

    Attributes:
        recipients: STIX ids of members, this one not among them.
        basis: the legal basis, in words.
        valid_until: after when recipients stop using it, UTC seconds; None: until withdrawn.
    """

    recipients: tuple[str, ...]
    basis: str
    valid_until: int | None = None


def seal_directly(
    desk: Desk, channel: ChannelRow, objects: Sequence[Json], wanted: Terms, *, role: Role
) -> int:
    """Seal objects for named members, one transaction for each message; returns messages.

    The caller holds the lock, and sends.

    Raises:
        AccessError: this member has not the role.
        InputError: a recipient is no member.
        VerificationError: the channel is stale, or an object is not this member's to publish.
    """
    home, now = desk.home, desk.clock()
    trusted = home.trusted(channel)
    card = own_card(home, trusted, channel)
    entry = trusted.manifest.member(home.member_id)
    if entry is None or role not in entry.roles:
        raise AccessError(
            f"this organisation has not the role {role} in the channel",
            where=channel.name,
            hint="the owner grants roles by inviting anew",
        )
    try:
        trusted.check_can_publish(now, card.sign_id)
    except VerificationError as error:
        raise VerificationError(
            f"publishing stops: {error.message}",
            where=channel.name,
            hint="stillwatch pull; then the owner runs stillwatch channel renew",
        ) from error
    signing = next(k.signing for k in home.keyring.cards if k.card.hash == card.hash)
    release = Release(
        wanted.basis,
        # Our own card can open it too, so that a home that is made anew from its keys can.
        tuple(sorted({*wanted.recipients, home.member_id})),
        wanted.valid_until,
    )
    ends = now + home.settings.message_lifetime_s
    messages = 0
    for part in _parts(objects, home.settings.batch_objects, home.settings.batch_bytes):
        whole = [*part, _note(home, part, release, now)]
        content = bundle(whole)
        check_bundle(
            content,
            member=home.member_id,
            roles=entry.roles,
            audience=Audience.DIRECT,
            ceiling=trusted.manifest.policy.tlp,
            owners=home.state.owners(channel.channel_id),
            members=[each.member for each in trusted.manifest.members],
        )
        sealed = Sealed(home, channel, trusted, now)
        raw = seal_direct(
            trusted,
            signing,
            release.recipients,
            dumps(content),
            now=now,
            expires=ends if wanted.valid_until is None else min(ends, wanted.valid_until),
        )
        accepted = sealed.add(raw)
        sealed.add_objects(accepted, whole, home.member_id)
        with home.state.transaction():
            sealed.store()
            Releases(home.state).put(
                channel.channel_id,
                accepted.message.digest,
                home.member_id,
                release,
                [str(each["id"]) for each in whole],
                now,
            )
        messages += 1
    return messages


def _note(home: Home, objects: Sequence[Json], release: Release, now: int) -> Json:
    levels = [level for each in objects if (level := tlp_of(each)) is not None]
    made = note(
        [str(each["id"]) for each in objects],
        release.content(),
        abstract="released directly",
        created_by=home.member_id,
        created=datetime.fromtimestamp(now, UTC),
        tlp=max(levels, default=TLP.AMBER),
        # Each message has a note of its own: it records what was released with it.
        object_id=f"note--{uuid.uuid4()}",
    )
    return made | {"labels": [RELEASE_LABEL]}


def _parts(objects: Iterable[Json], most: int, size: int) -> list[list[Json]]:
    parts: list[list[Json]] = []
    held = 0
    for each in objects:
        length = len(dumps(each))
        if not parts or len(parts[-1]) == most or held + length > size:
            parts.append([])
            held = 0
        parts[-1].append(each)
        held += length
    return parts


def direct_readers(home: Home, channel: ChannelRow, row: ObjectRow) -> tuple[str, ...]:
    """Present members who learn of a change to an own object by a direct message only.

    Args:
        row: the object as it is held here.
    Returns:
        STIX ids, ascending: all to whom it was released, without those who read detail anyway if
        it is detail.
    """
    manifest = home.trusted(channel).manifest
    told = {
        member
        for each in Releases(home.state).of(channel.channel_id, row.id)
        if each.member == home.member_id
        for member in each.recipients
    }
    found = []
    for member in sorted(told - {home.member_id}):
        entry = manifest.member(member)
        if entry is None:
            continue
        if row.audience == Audience.DIRECT or Role.READ not in entry.roles:
            found.append(member)
    return tuple(found)
