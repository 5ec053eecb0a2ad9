"""Direct material: detail for named members, with the ground on which they may read it.

What is published only directly never enters a message for all: neither a new version of it, nor
its withdrawal.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from hub.channel.direct import RELEASE_LABEL, Release
from hub.channel.header import Audience
from hub.channel.manifest import Role
from hub.channel.open import check_bundle
from hub.channel.seal import seal_direct
from hub.client import guards
from hub.client.home import Home
from hub.client.membership import member_names
from hub.client.releases import Released, Releases
from hub.client.rows import ChannelRow
from hub.client.work import Desk, Sealed, own_card
from hub.errors import AccessError, InputError, VerificationError
from hub.model.bundle import bundle
from hub.model.codec import Json, dumps
from hub.model.markings import TLP, tlp_of
from hub.model.objects import note

MAX_BASIS: Final = 256


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


def terms(
    home: Home,
    channel: ChannelRow,
    names: Sequence[str],
    basis: str,
    valid_until: int | None,
    *,
    now: int,
) -> Terms:
    """Read what the operator said about a direct release.

    Args:
        names: member ids, or names as `channel members` shows them.
    Raises:
        InputError: nobody or somebody unknown is named, no basis, or it ends before it begins.
    """
    text = basis.strip()
    if not 1 <= len(text) <= MAX_BASIS or not text.isprintable():
        raise InputError(f"a legal basis of 1 to {MAX_BASIS} characters is wanted", where="--basis")
    if fault := guards.free_text(text):
        raise InputError(f"the basis {fault}", where="--basis", hint="describe, do not name")
    if valid_until is not None and valid_until <= now:
        raise InputError("lies in the past", where="--valid-until")
    recipients = {resolve(home, channel, each) for each in names}
    if home.member_id in recipients:
        raise InputError("this organisation itself need not be named", where="--to")
    if not recipients:
        raise InputError("name the members who may read", where="--to")
    return Terms(tuple(sorted(recipients)), text, valid_until)


def resolve(home: Home, channel: ChannelRow, name: str) -> str:
    """The member that a name or an id means.

    Raises:
        InputError: none or several.
    """
    manifest = home.trusted(channel).manifest
    if manifest.member(name) is not None:
        return name
    names = member_names(home, channel)
    known = {each.member: names.get(each.member, each.member) for each in manifest.members}
    found = [each for each, text in known.items() if text == name]
    found = found or [each for each, text in known.items() if text.casefold() == name.casefold()]
    if len(found) != 1:
        listed = ", ".join(sorted(known.values()))
        raise InputError(
            "several members have this name" if found else f"no such member; known: {listed}",
            where=name[:100],
            hint=f"stillwatch channel members {channel.name} shows their ids",
        )
    return found[0]


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


def readers_of(home: Home, channel: ChannelRow, object_id: str) -> dict[str, Released]:
    """Present members who were released an object directly, each with the last release to it."""
    manifest = home.trusted(channel).manifest
    return {
        member: each
        for each in Releases(home.state).of(channel.channel_id, object_id)
        if each.member == home.member_id
        for member in each.recipients
        if member != home.member_id and manifest.member(member) is not None
    }


def without_readers(
    readers: Mapping[str, Released], roles: Mapping[str, Collection[Role]]
) -> list[str]:
    """Those of direct readers who do not read what all readers of detail get."""
    return sorted(each for each in readers if Role.READ not in roles.get(each, ()))
