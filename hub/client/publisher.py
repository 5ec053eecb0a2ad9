"""Publish and retract: rows become indicators, indicators become sealed messages.

`prepare` decides everything without the network; `publish` seals and sends exactly what it
decided. Ids follow from content, so publishing a file again sends only what changed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from hub.channel.header import Audience
from hub.channel.manifest import Role
from hub.channel.open import check_bundle
from hub.channel.seal import seal_data
from hub.channel.verify import TrustedChannel
from hub.client import guards
from hub.client.direct import Terms, direct_readers, seal_directly
from hub.client.home import Home
from hub.client.preparing import Options, Preparation, Preparing, again, moment_of, prepare
from hub.client.purges import clean
from hub.client.rows import ChannelRow, ObjectRow
from hub.client.values import Values
from hub.client.work import Desk, Sealed, current_secrets, flush, own_card
from hub.errors import AccessError, InputError, VerificationError
from hub.model.bundle import bundle
from hub.model.codec import Json, dumps
from hub.model.identifiers import is_id, parse_timestamp
from hub.model.objects import note, revoke
from hub.settings import ClientSettings

__all__ = [
    "Options",
    "Preparation",
    "Published",
    "again",
    "later",
    "prepare",
    "publish",
    "retract",
    "seal_objects",
]

Advance = Callable[[float], None]


@dataclasses.dataclass(frozen=True)
class Published:
    """What left the machine."""

    messages: int
    objects: int
    bytes: int

    def plus(self, other: Published) -> Published:
        """Both together."""
        return Published(
            self.messages + other.messages, self.objects + other.objects, self.bytes + other.bytes
        )


def publish(
    desk: Desk,
    channel: ChannelRow,
    prepared: Preparation,
    *,
    terms: Terms | None = None,
    advance: Advance = lambda amount: None,
) -> Published:
    """Seal and send what was prepared, for all who read, or on some terms for named members only.

    Each message is stored, with the objects that it carries, before it is sent. Cut off anywhere,
    publishing the same files again completes the work.

    Raises:
        AccessError: this member may not publish in the channel.
        VerificationError: the channel's manifest or epoch is stale; publishing fails closed.
    """
    with desk.home.locked():
        # Another process may have sealed since the caller looked: its positions are taken.
        channel = desk.home.state.channel(channel.channel_id)
        Values(desk.home, channel.channel_id).put(prepared.values, desk.clock())
        if terms is not None:
            objects = len(prepared.detail)
            messages = seal_directly(desk, channel, prepared.detail, terms, role=Role.PUBLISH)
        else:
            messages, objects = seal_objects(
                desk,
                channel,
                {Audience.AGGREGATE: prepared.aggregate, Audience.DETAIL: prepared.detail},
                role=Role.PUBLISH,
                advance=advance,
            )
        sent = flush(desk, channel, advance=advance)
    return Published(messages=messages, objects=objects, bytes=sent.bytes)


def seal_objects(
    desk: Desk,
    channel: ChannelRow,
    parts: Mapping[Audience, Sequence[Json]],
    *,
    role: Role,
    advance: Advance = lambda amount: None,
) -> tuple[int, int]:
    """Seal objects into messages, one transaction for each; returns messages and objects.

    The caller holds the lock.
    """
    home, now = desk.home, desk.clock()
    messages = objects = 0
    trusted = home.trusted(channel)
    card = own_card(home, trusted, channel)
    entry = trusted.manifest.member(home.member_id)
    if entry is None or role not in entry.roles:
        raise AccessError(
            f"this organisation has not the role {role} in the channel",
            where=channel.name,
            hint="the owner grants roles by inviting anew",
        )
    _fail_closed(trusted, now, card.sign_id, channel)
    signing = next(k.signing for k in home.keyring.cards if k.card.hash == card.hash)
    secrets = current_secrets(home, channel, trusted)
    owners = home.state.owners(channel.channel_id)
    for audience, content in parts.items():
        for part in _batches(content, home.settings):
            content_bundle = bundle(part)
            # What receivers would refuse is refused before it has a place in the chain.
            check_bundle(
                content_bundle,
                member=home.member_id,
                roles=entry.roles,
                audience=audience,
                ceiling=trusted.manifest.policy.tlp,
                owners=owners,
                members=[each.member for each in trusted.manifest.members],
            )
            sealed = Sealed(home, channel, trusted, now)
            raw = seal_data(
                trusted,
                secrets,
                signing,
                audience,
                dumps(content_bundle),
                now=now,
                expires=now + home.settings.message_lifetime_s,
            )
            sealed.add_objects(sealed.add(raw), part, home.member_id)
            sealed.store()
            messages += 1
            objects += len(part)
            advance(len(part))
    return messages, objects


def _fail_closed(trusted: TrustedChannel, now: int, sign_id: str, channel: ChannelRow) -> None:
    try:
        trusted.check_can_publish(now, sign_id)
    except VerificationError as error:
        raise VerificationError(
            f"publishing stops: {error.message}",
            where=channel.name,
            hint="stillwatch pull; then the owner runs stillwatch channel renew",
        ) from error


def _batches(objects: Sequence[Json], settings: ClientSettings) -> Iterator[list[Json]]:
    part: list[Json] = []
    size = 0
    for each in objects:
        length = len(dumps(each))
        if part and (len(part) == settings.batch_objects or size + length > settings.batch_bytes):
            yield part
            part, size = [], 0
        part.append(each)
        size += length
    if part:
        yield part


def retract(
    desk: Desk, channel: ChannelRow, indicator_ids: Sequence[str], *, reason: str | None = None
) -> tuple[Published, list[str]]:
    """Withdraw indicators: members drop them at their next pull.

    Returns:
        What was sent, and the ids that were withdrawn already.

    Raises:
        InputError: not an indicator known here.
        AccessError: somebody else published it.
    """
    home, now = desk.home, moment_of(desk.clock())
    if reason and (fault := guards.free_text(reason)):
        raise InputError(f"the reason {fault}", where="--reason")
    with home.locked():
        detail: list[Json] = []
        done: list[str] = []
        direct: dict[tuple[str, ...], list[Json]] = {}
        for object_id in dict.fromkeys(indicator_ids):
            row = _own_object(home, channel, object_id)
            if row.revoked:
                done.append(object_id)
                continue
            said = [revoke(row.body, later(now, row.body))]
            if reason:
                said.append(_note(home, object_id, reason, now))
            readers = direct_readers(home, channel, row)
            if readers:
                direct.setdefault(readers, []).extend(said)
            if row.audience != Audience.DIRECT:
                detail += said
        published = Published(messages=0, objects=0, bytes=0)
        if detail:
            work = Preparing(home, channel, Options(), desk.clock())
            work.touch(detail)
            published = published.plus(publish(desk, channel, work.finish()))
        for readers, said in direct.items():
            terms = Terms(readers, "withdrawal of what was released directly")
            prepared = Preparation(detail=said)
            published = published.plus(publish(desk, channel, prepared, terms=terms))
        clean(home, channel.channel_id)
        values = Values(home, channel.channel_id)
        values.retain(values.held().difference(indicator_ids))
    return published, done


def _own_object(home: Home, channel: ChannelRow, object_id: str) -> ObjectRow:
    row = home.state.object(object_id, channel.channel_id)
    if row is None:
        whole = is_id(object_id)
        raise InputError(
            "no such object in this channel" if whole else "not the whole id of an object",
            where=object_id[:100],
            hint="stillwatch pull"
            if whole
            else "stillwatch indicators --find TEXT --ids shows ids by value or beginning",
        )
    if row.member != home.member_id:
        raise AccessError(
            "somebody else published this; only its publisher withdraws it",
            where=object_id,
            hint="stillwatch report --false-positive tells the publisher",
        )
    return row


def _note(home: Home, object_id: str, reason: str, now: datetime) -> Json:
    return note(
        [object_id], reason, abstract="why it was withdrawn", created_by=home.member_id, created=now
    )


def later(now: datetime, body: Json) -> datetime:
    """A time for the next version of an object: now, or just after its last version."""
    return max(now, parse_timestamp(str(body["modified"])) + timedelta(milliseconds=1))
