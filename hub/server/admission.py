"""What may enter a channel's collection and its inbox: every check that needs no secret.

The hub follows each channel as its members do, as far as signatures and clear headers go, by
replaying the stored messages into a `TrustedChannel`. It refuses what the members would refuse, and
what comes from an account that is not bound to the signer. Only the appender's thread moves a
channel forward; requests read the roster, which is replaced as a whole.

Source: channel protocol, sections on manifests, messages and first contact.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hub.channel import carriage, invite
from hub.channel.header import MessageType, parse_message
from hub.channel.verify import Accepted, TrustedChannel
from hub.errors import AccessError, ConflictError, InputError, StoreError, VerificationError
from hub.model import codec
from hub.server.policy import Principal
from hub.server.refusals import ForbiddenError
from hub.server.replay import replay
from hub.store.interface import Store
from hub.store.records import Binding, Collection, Kind, NewObject

_logger = logging.getLogger("stillwatch.admission")
# Later messages stand on all others, and joiners need them for ever.
_DELETABLE: Final = frozenset({MessageType.DATA, MessageType.HEARTBEAT})


@dataclass(frozen=True, slots=True)
class Roster:
    """Who is in a channel, as far as a request must know.

    Args:
        channel_id: of the channel that the collection carries.
        members: (member id, root id) of the manifest in force.
        owners: those of them who own the channel.
    """

    channel_id: str
    members: frozenset[tuple[str, str]]
    owners: frozenset[tuple[str, str]]

    def holds(self, bindings: Iterable[Binding]) -> bool:
        """Whether one of an organisation's proven identities is a member."""
        return any((binding.member, binding.root_id) in self.members for binding in bindings)

    def owned_by(self, bindings: Iterable[Binding]) -> bool:
        """Whether one of an organisation's proven identities is an owner."""
        return any((binding.member, binding.root_id) in self.owners for binding in bindings)


class Admission:
    """The channels of one hub.

    Args:
        store: where messages and bindings lie.
        now: wall clock in whole seconds UTC.
    """

    def __init__(self, store: Store, *, now: Callable[[], int]) -> None:
        self._store = store
        self._now = now
        self._channels: dict[str, TrustedChannel | None] = {}
        self._rosters: dict[str, Roster | None] = {}
        self._loading = threading.RLock()

    def load(self) -> None:
        """Replay every channel, so that no request has to wait for it."""
        for collection in self._store.collections():
            if collection.kind is Kind.CHANNEL:
                self.channel(collection.id)

    def roster(self, collection_id: str) -> Roster | None:
        """The roster of a channel collection; None before its genesis. Replays on first use."""
        if collection_id not in self._rosters:
            self.channel(collection_id)
        return self._rosters.get(collection_id)

    def collection_of(self, channel_id: str) -> str | None:
        """Id of the collection that carries a channel."""
        for collection_id, roster in list(self._rosters.items()):
            if roster is not None and roster.channel_id == channel_id:
                return collection_id
        return None

    def channel(self, collection_id: str) -> TrustedChannel | None:
        """The channel that a collection carries, as far as its messages are stored."""
        with self._loading:
            if collection_id not in self._channels:
                self._set(collection_id, replay(self._store, collection_id))
            return self._channels[collection_id]

    def forget(self, collection_id: str) -> None:
        """Replay the collection when it is next asked for."""
        with self._loading:
            self._channels.pop(collection_id, None)
            self._rosters.pop(collection_id, None)

    def advance(self, collection_id: str, channel: TrustedChannel) -> None:
        """Take a channel's new state, once the messages that led to it are stored."""
        with self._loading:
            self._set(collection_id, channel)

    def check_deletion(
        self, principal: Principal, collection_id: str, bodies: Sequence[bytes]
    ) -> None:
        """Let a member delete what its own accepted tombstone names, and nothing else.

        Args:
            principal: who asks.
            collection_id: of a channel collection.
            bodies: the stored artifacts that shall go.
        Raises:
            ForbiddenError: one of them may not be deleted, or not by this account.
        """
        channel = self.channel(collection_id)
        if channel is None:
            raise ForbiddenError("messages are deleted after a tombstone names them")
        held = {(one.member, one.root_id) for one in self._store.bindings(principal.org_id)}
        for body in bodies:
            raw = carriage.from_artifact(codec.loads(body))
            if parse_message(raw).header.t not in _DELETABLE:
                raise ForbiddenError("only data and heartbeats are deleted from a channel")
            try:
                card = channel.deleter(raw)
            except VerificationError as error:
                raise ForbiddenError(
                    error.message, hint="post the tombstone first, then delete"
                ) from error
            row = next((one for one in channel.manifest.members if one.member == card.member), None)
            roots = {card.root_id, card.root_id if row is None else row.root}
            if held.isdisjoint((card.member, root) for root in roots):
                raise ForbiddenError("your account is not bound to the member that sent it")

    def screen(self, principal: Principal, collection: Collection) -> ChannelScreen:
        """The check of one post to a channel collection."""
        return ChannelScreen(self, self._store, principal, collection, self._now)

    def _set(self, collection_id: str, channel: TrustedChannel | None) -> None:
        self._channels[collection_id] = channel
        self._rosters[collection_id] = None if channel is None else _roster(channel)


def _roster(channel: TrustedChannel) -> Roster:
    members = frozenset((member.member, member.root) for member in channel.manifest.members)
    owners = frozenset(row for row in members if row[1] in channel.manifest.owners)
    return Roster(channel.channel, members, owners)


class ChannelScreen:
    """Judges the messages of one post, in the appender's thread (see `appender.Screen`)."""

    def __init__(
        self,
        admission: Admission,
        store: Store,
        principal: Principal,
        collection: Collection,
        now: Callable[[], int],
    ) -> None:
        self._admission = admission
        self._store = store
        self._principal = principal
        self._collection = collection
        self._now = now
        self._channel: TrustedChannel | None = None
        self._moved = False

    def review(self, items: Sequence[NewObject]) -> Sequence[str | None]:
        """Judge messages in order.

        Raises:
            ForbiddenError: none may be stored, and the reason of each is who posts it.
        """
        self._channel = self._admission.channel(self._collection.id)
        reasons: list[str | None] = []
        outsider = 0
        for item in items:
            try:
                self._judge(item)
                reasons.append(None)
            except AccessError as error:
                outsider += 1
                reasons.append(error.message)
            except (InputError, VerificationError, ConflictError) as error:
                reasons.append(error.message)
        if items and outsider == len(items):
            raise ForbiddenError(next(reason for reason in reasons if reason is not None))
        return reasons

    def committed(self) -> None:
        """The messages are stored: requests see the new roster."""
        if self._channel is None:
            return
        self._admission.advance(self._collection.id, self._channel)
        if self._collection.channel_id is None:
            try:
                self._store.bind_channel(self._collection.id, self._channel.channel)
            except (ConflictError, StoreError) as error:
                _logger.error(
                    "could not note the channel", extra={"fields": {"cause": error.message}}
                )

    def failed(self) -> None:
        """Nothing was stored: the next post starts from what is."""
        # Replaying costs time, so a post that moved nothing must not cause it.
        if self._moved:
            self._admission.forget(self._collection.id)

    def _judge(self, item: NewObject) -> None:
        raw = carriage.from_artifact(codec.loads(item.raw))
        now = self._now()
        if self._channel is None:
            self._open(raw, now)
            return
        accepted = self._channel.examine(raw, now=now)
        if accepted.duplicate:
            self._refuse_deleted(raw, item.id)
            return
        if accepted.expired:
            raise VerificationError("the message has expired")
        self._check_poster(accepted)
        self._moved = True
        self._channel.accept(raw, now=now)

    def _refuse_deleted(self, raw: bytes, object_id: str) -> None:
        assert self._channel is not None
        try:
            self._channel.deleter(raw)
        except VerificationError:
            return
        if not self._store.has_object(self._collection.id, object_id):
            raise ConflictError("its sender deleted the message")

    def _open(self, raw: bytes, now: int) -> None:
        if self._principal.org_id != self._collection.owner_org:
            raise ForbiddenError("only the collection's owner opens a channel in it")
        if parse_message(raw).header.t != MessageType.MANIFEST:
            raise VerificationError("the first message of a channel is its genesis manifest")
        channel = TrustedChannel.from_genesis(raw, owner_roots=None, now=now)
        elsewhere = (
            collection.id
            for collection in self._store.collections()
            if collection.channel_id == channel.channel and collection.id != self._collection.id
        )
        if next(elsewhere, None) is not None:
            raise ConflictError("another collection carries this channel")
        held = {binding.root_id for binding in self._store.bindings(self._principal.org_id)}
        if held.isdisjoint(channel.manifest.owners):
            raise ForbiddenError("your account is not bound to an owner of this channel")
        self._channel, self._moved = channel, True
        # A second post of the same batch must already find the channel.
        self._admission.advance(self._collection.id, channel)

    def _check_poster(self, accepted: Accepted) -> None:
        assert self._channel is not None
        manifest = self._channel.manifest
        roots = {member.member: member.root for member in manifest.members}
        for binding in self._store.bindings(self._principal.org_id):
            # A member id alone proves nothing: anybody can write it on a card of a root of theirs.
            rooted = roots.get(binding.member) == binding.root_id
            if binding.member in accepted.posters and (
                rooted or binding.root_id in manifest.owners
            ):
                return
        raise ForbiddenError("your account is not bound to the member that signed the message")


class InboxScreen:
    """Judges join requests one by one: form, card chain and signature (see `appender.Screen`)."""

    def __init__(self, channel_id: str | None) -> None:
        self._channel_id = channel_id

    def review(self, items: Sequence[NewObject]) -> Sequence[str | None]:
        """Judge letters; None to store."""
        return [self._reason(item) for item in items]

    def committed(self) -> None:
        """Nothing to remember."""

    def failed(self) -> None:
        """Nothing to forget."""

    def _reason(self, item: NewObject) -> str | None:
        try:
            request = invite.parse_join(carriage.from_artifact(codec.loads(item.raw)))
        except (InputError, VerificationError) as error:
            return error.message
        if self._channel_id is not None and request.channel != self._channel_id:
            return "the join request is for another channel"
        return None
