"""What every operation on a channel needs: the home, a way to the hub, a clock; and the outbox.

A protocol message is made in three steps: seal it; store the sealed bytes, what they change in
the channel's verified state and what this member learns from them in one transaction; send.
Sealing is randomised, so a message is never sealed twice: whatever interrupts the sending, the
stored bytes are sent again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Final

from hub.channel.card import Card
from hub.channel.carriage import from_artifact, to_artifact
from hub.channel.epoch import EpochSecrets
from hub.channel.header import MessageType, parse_message
from hub.channel.primitives.hash import digest
from hub.channel.verify import Accepted, TrustedChannel
from hub.client import restored
from hub.client.home import Home
from hub.client.outbox import chunks, send_again, tlp_of
from hub.client.purges import Purges
from hub.client.rows import ChannelRow, MessageRow, ObjectRow, OutboxRow
from hub.client.signed import SignedMessages
from hub.client.transport import Hub, HubAccount, TaxiiCollection
from hub.errors import ConflictError, InputError, StillwatchError, VerificationError
from hub.model.codec import Json
from hub.model.identifiers import parse_timestamp
from hub.settings import ClientSettings

CHANNEL: Final = "channel"
INBOX: Final = "inbox"


@dataclasses.dataclass(frozen=True)
class Desk:
    """The home and its surroundings.

    Attributes:
        home: keys and local state.
        connect: reaches a hub.
        clock: UTC seconds.
    """

    home: Home
    connect: Callable[[HubAccount, ClientSettings], Hub]
    clock: Callable[[], int]
    _hubs: dict[str, Hub] = dataclasses.field(default_factory=dict, init=False, repr=False)

    def reach(self, account: HubAccount) -> Hub:
        """The hub behind an account; its connections close with the home."""
        hub = self.connect(account, self.home.settings)
        self.home.on_close(hub.close)
        return hub

    def hub_of(self, channel: ChannelRow) -> Hub:
        """The hub of a channel; one connection serves as long as the home is open."""
        return self.hub_at(channel.api_root)

    def hub_at(self, api_root: str) -> Hub:
        """The hub at an address that this home has an account for."""
        if api_root not in self._hubs:
            self._hubs[api_root] = self.reach(self.home.account(api_root))
        return self._hubs[api_root]

    def collection_of(self, channel: ChannelRow, target: str = CHANNEL) -> TaxiiCollection:
        """The channel's collection, or its join inbox.

        Raises:
            InputError: the server has no inbox for this channel.
        """
        wanted = channel.collection_id if target == CHANNEL else channel.inbox_id
        if wanted is None:
            raise InputError(
                "this server has no join inbox", where=channel.name, hint="--request-file FILE"
            )
        return self.hub_of(channel).collection(wanted)


class Sealed:
    """Collects what one operation on a channel changes; `store` makes it durable at once."""

    def __init__(self, home: Home, channel: ChannelRow, trusted: TrustedChannel, now: int) -> None:
        self.home = home
        self.channel = channel
        self.trusted = trusted
        self.now = now
        self._messages: list[tuple[bytes, Accepted]] = []
        self._objects: list[ObjectRow] = []

    def add(self, raw: bytes) -> Accepted:
        """Take a message of our own into the channel's verified state.

        Raises:
            ConflictError: it is sealed under a card that a return from a back-up has retired.
        """
        restored.check(self.home, self.channel, parse_message(raw).header.pub)
        accepted = self.trusted.accept(raw, now=self.now)
        self._messages.append((raw, accepted))
        return accepted

    def add_objects(self, accepted: Accepted, objects: Sequence[Json], member: str) -> None:
        """Note the objects that a message of our own carries."""
        self._objects += [
            object_row(self.channel, accepted, each, member, self.now) for each in objects
        ]

    def store(self, *, standing: str | None = None) -> None:
        """Write messages to the outbox and the new state beside them; inside a transaction."""
        tlp = self.trusted.manifest.policy.tlp
        state = self.home.state
        signed = SignedMessages(state, self.channel.channel_id)
        with state.transaction():
            for raw, accepted in self._messages:
                state.enqueue(self.channel.channel_id, CHANNEL, digest(raw), raw, tlp, self.now)
                state.put_message(message_row(self.channel, accepted, self.now))
                signed.keep(accepted.message)
            signed.finish()
            for row in self._objects:
                if row.revoked:
                    Purges(state).take(row)
                else:
                    state.put_object(row)
            state.set_trusted(
                self.channel.channel_id, self.trusted.state(), standing or self.channel.standing
            )


def put_epoch(home: Home, channel_id: str, secrets: EpochSecrets, at: int) -> None:
    """Store the secrets of an epoch; what was known of it before is kept."""
    name = f"{secrets.epoch:08d}"
    known = home.secrets(channel_id, "epoch").get(name)
    if known is not None:
        old = EpochSecrets.from_bytes(known)
        secrets = dataclasses.replace(
            secrets,
            detail=secrets.detail or old.detail,
            aggregate=secrets.aggregate or old.aggregate,
        )
    home.put_secret(channel_id, "epoch", name, secrets.to_bytes(), at)


def message_row(
    channel: ChannelRow,
    accepted: Accepted,
    now: int,
    *,
    outcome: str = "accepted",
    reason: str | None = None,
) -> MessageRow:
    """What the local state keeps of a message; of cards and manifests all, for custodians."""
    header = accepted.message.header
    public = header.t in (MessageType.CARD, MessageType.MANIFEST)
    return MessageRow(
        channel_id=channel.channel_id,
        digest=accepted.message.digest,
        outcome=outcome,
        type=str(header.t),
        member=accepted.member,
        publisher=header.pub,
        seq=header.seq,
        epoch=header.ep,
        audience=None if header.aud is None else str(header.aud),
        sent_at=header.ts,
        received_at=now,
        raw=accepted.message.raw if public else None,
        reason=reason,
    )


def object_row(
    channel: ChannelRow, accepted: Accepted, body: Json, member: str, now: int
) -> ObjectRow:
    """What the local state keeps of an opened object."""
    stamp = body.get("modified") or body.get("created")
    # Versions are compared as text, so all have the same precision.
    modified = (
        parse_timestamp(str(stamp)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if stamp
        else f"message {accepted.message.digest}"
    )
    return ObjectRow(
        channel_id=channel.channel_id,
        id=str(body["id"]),
        type=str(body["type"]),
        modified=modified,
        member=member,
        audience=str(accepted.message.header.aud),
        revoked=body.get("revoked") is True,
        body=body,
        digest=accepted.message.digest,
        verified_at=now,
    )


def current_secrets(home: Home, channel: ChannelRow, trusted: TrustedChannel) -> EpochSecrets:
    """The secrets of the epoch in force.

    Raises:
        ConflictError: no epoch reached this member yet.
    """
    epoch = trusted.epoch
    secrets = home.epoch_secrets(channel.channel_id).get(epoch.number) if epoch else None
    if secrets is None:
        raise ConflictError(
            "the channel's current keys have not reached this member",
            where=channel.name,
            hint="stillwatch pull; if that does not help, the owner renews the channel",
        )
    return secrets


def own_card(home: Home, trusted: TrustedChannel, channel: ChannelRow) -> Card:
    """This member's card in the channel's manifest.

    Raises:
        ConflictError: this organisation is no member (any more).
    """
    entry = trusted.manifest.member(home.member_id)
    if channel.standing == "left":
        raise ConflictError(
            "this organisation left the channel",
            where=channel.name,
            hint="an invitation brings it back: stillwatch join",
        )
    card = next((k.card for k in home.keyring.cards if entry and k.card.hash == entry.card), None)
    if card is None:
        if entry is not None:
            raise ConflictError(
                "the channel knows this organisation by a card that this home does not have",
                where=channel.name,
                hint="if it was restored or enrolled anew elsewhere, go on there and use this home "
                f"no more; else stillwatch pull, then stillwatch channel renew {channel.name}",
            )
        raise ConflictError(
            "this organisation is not a member of the channel",
            where=channel.name,
            hint="stillwatch pull, then stillwatch status",
        )
    return card


@dataclasses.dataclass(frozen=True)
class Sent:
    """How the sending went."""

    sent: int = 0
    bytes: int = 0
    waiting: int = 0


def flush(
    desk: Desk,
    channel: ChannelRow,
    target: str = CHANNEL,
    *,
    advance: Callable[[float], None] = lambda amount: None,
) -> Sent:
    """Send what lies in a channel's outbox, in the order of sealing.

    Where the hub refuses it because it lost what went before, that is sent again first.

    Raises:
        TransportError, AccessError: the hub is not there, or refuses this account. What was not
            confirmed stays in the outbox.
        ConflictError: the hub refuses a message.
    """
    state = desk.home.state
    rows = state.unsent(channel.channel_id, target)
    if not rows:
        return Sent()
    collection = desk.collection_of(channel, target)
    try:
        return _flush(desk, channel, collection, rows, advance)
    except ConflictError:
        limit = desk.home.settings.post_bytes
        if target != CHANNEL or not send_again(state, collection, channel.channel_id, limit):
            raise
    return _flush(desk, channel, collection, state.unsent(channel.channel_id, target), advance)


def _flush(
    desk: Desk,
    channel: ChannelRow,
    collection: TaxiiCollection,
    rows: Sequence[OutboxRow],
    advance: Callable[[float], None],
) -> Sent:
    state = desk.home.state
    sent = size = 0
    for chunk in chunks(rows, desk.home.settings.post_bytes):
        artifacts = {
            str(artifact["id"]): (row, artifact)
            for row in chunk
            for artifact in [to_artifact(row.raw, tlp=tlp_of(row.tlp))]
        }
        result = collection.add([artifact for _, artifact in artifacts.values()])
        done = [artifacts[each][0] for each in result.accepted if each in artifacts]
        refused: StillwatchError | None = None
        for object_id, (row, _) in artifacts.items():
            if object_id not in result.failures:
                continue
            # A server may answer "failure" to what it holds already; then nothing is wrong.
            if _holds(collection, object_id, row.raw):
                done.append(row)
            elif refused is None:
                refused = _refusal(channel, row, result.failures[object_id])
                state.mark_problem(row.digest, result.failures[object_id])
        with state.transaction():
            state.mark_sent([row.digest for row in done], desk.clock())
        sent += len(done)
        size += sum(len(row.raw) for row in done)
        advance(len(done))
        if refused is not None:
            raise refused
        if result.pending:
            break
    return Sent(sent=sent, bytes=size, waiting=len(rows) - sent)


def _holds(collection: TaxiiCollection, object_id: str, raw: bytes) -> bool:
    if not collection.can_read:
        return False
    stored = collection.get(object_id)
    try:
        return stored is not None and from_artifact(stored, strict=False) == raw
    except (InputError, VerificationError):
        return False


def _refusal(channel: ChannelRow, row: OutboxRow, reason: str) -> ConflictError:
    text = "".join(c for c in reason if c.isprintable())
    return ConflictError(
        f"the hub refused a message: {text}",
        where=f"{channel.name}, message {row.digest[:16]}",
        hint="stillwatch pull; if the hub was restored from a back-up, every member runs "
        f"stillwatch channel repost {channel.name}; if it stays (another machine used the same "
        "keys, or this one waited too long): stillwatch channel renew "
        f"{channel.name} --new-card --abandon-outbox, then publish your files again",
    )
