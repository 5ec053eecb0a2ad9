"""What may enter a channel's collection and its inbox: every check that needs no secret.

The hub follows each channel as its members do, as far as signatures and clear headers go, by
replaying the stored messages into a `TrustedChannel`. It refuses what the members would refuse, and
what comes from an account that is not bound to the signer.

Several processes may store messages. The appender judges a post on a draft, inside of the
transaction that holds the collection's head and after taking what the others stored before; the
draft becomes the channel when the transaction is committed, and is thrown away when it is not. A
request compares the collection's head with what this process has seen: a removal that any process
acknowledged counts in all of them at once.

Source: channel protocol, sections on manifests, messages and first contact.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from hub.channel import carriage, invite
from hub.channel.header import MessageType, parse_message
from hub.channel.verify import Accepted, TrustedChannel
from hub.errors import AccessError, ConflictError, InputError, StoreError, VerificationError
from hub.model import codec
from hub.server.calls import NotHereError, on_event_loop
from hub.server.policy import Principal
from hub.server.refusals import ForbiddenError
from hub.server.replay import Follower, stored_messages
from hub.store.interface import Appending, Store
from hub.store.records import Binding, Collection, Kind, NewObject, Position

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


@dataclass(frozen=True, slots=True)
class _Known:
    """A channel whose messages are stored; replaced as a whole, its follower never moves."""

    follower: Follower
    roster: Roster | None


class Admission:
    """The channels of one hub.

    Args:
        store: where messages and bindings lie.
        now: wall clock in whole seconds UTC.
    """

    def __init__(self, store: Store, *, now: Callable[[], int]) -> None:
        self._store = store
        self._now = now
        self._known: dict[str, _Known] = {}
        self._drafts: dict[str, Follower] = {}
        self._lock = threading.Lock()
        self._following: dict[str, threading.Lock] = {}

    def load(self) -> None:
        """Replay every channel, so that no request has to wait for it."""
        for collection in self._store.collections():
            if collection.kind is not Kind.CHANNEL:
                continue
            self._follow(collection.id)
            roster = self.roster(collection.id)
            if roster is not None and collection.channel_id is None:
                # A process ended between the commit and the note.
                self.note_channel(collection.id, roster.channel_id)

    def roster(self, collection_id: str, position: Position | None = None) -> Roster | None:
        """The roster of a channel collection now; None before its genesis.

        Args:
            collection_id: of a channel collection.
            position: where it stands, if that was looked up just now.
        Raises:
            NotHereError: there is something to replay, and this thread runs an event loop.
            StoreError: the store cannot be read.
        """
        return self._current(collection_id, position).roster

    def channel(self, collection_id: str) -> TrustedChannel | None:
        """The channel that a collection carries now; only to be read. Raises as `roster`."""
        return self._current(collection_id).follower.channel

    def known(self, collection_id: str) -> TrustedChannel | None:
        """The same as far as this process has looked; for what may lag behind."""
        found = self._known.get(collection_id)
        return None if found is None else found.follower.channel

    def collection_of(self, channel_id: str) -> str | None:
        """Id of the collection that carries a channel."""
        for collection_id, known in list(self._known.items()):
            if known.roster is not None and known.roster.channel_id == channel_id:
                return collection_id
        # Another process may have seen its genesis.
        for collection in self._store.collections():
            if collection.channel_id == channel_id:
                return collection.id
        return None

    def draft(self, collection_id: str, appending: Appending) -> Follower:
        """The channel as of a transaction, to be moved by what it stores.

        The same one until `settle` or `discard`; for the appender's thread only.
        """
        found = self._drafts.get(collection_id)
        if found is None:
            known = self._known.get(collection_id)
            found = Follower(collection_id) if known is None else known.follower.copy()
            every = partial(appending.messages, collection_id, None)
            found.follow(appending.messages(collection_id, found.reached), every)
            found.reach(appending.head(collection_id))
            self._drafts[collection_id] = found
        return found

    def settle(self, collection_id: str, head: int | None) -> None:
        """The transaction is committed: its draft is what is known. Again is fine.

        Args:
            collection_id: of a draft.
            head: of the collection, at the end of the transaction.
        """
        draft = self._drafts.pop(collection_id, None)
        if draft is not None:
            draft.reach(head)
            self._publish(collection_id, draft)

    def discard(self, collection_id: str) -> None:
        """The transaction is undone, and its draft with it. Again is fine."""
        self._drafts.pop(collection_id, None)

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

    def _current(self, collection_id: str, position: Position | None = None) -> _Known:
        known = self._known.get(collection_id)
        if known is None or not self._has_reached(known, collection_id, position):
            if on_event_loop():
                raise NotHereError
            known = self._follow(collection_id)
        return known

    def _has_reached(self, known: _Known, collection_id: str, position: Position | None) -> bool:
        """Whether all that is stored, or was when `position` was looked up, has been followed."""
        reached = known.follower.reached
        if position is not None:
            return (reached or 0) >= (position.head or 0)
        if self._store.remote and on_event_loop():
            raise NotHereError
        return self._store.head(collection_id) == reached

    def _follow(self, collection_id: str) -> _Known:
        """Take what is stored, this process's or another's; one thread at a time."""
        with self._lock:
            turn = self._following.setdefault(collection_id, threading.Lock())
        with turn:
            # Before the messages: what is stored meanwhile is looked at again next time.
            head = self._store.head(collection_id)
            known = self._known.get(collection_id)
            if known is not None and known.follower.reached == head:
                return known
            follower = Follower(collection_id) if known is None else known.follower.copy()
            every = partial(stored_messages, self._store, collection_id, None)
            later = stored_messages(self._store, collection_id, follower.reached)
            follower.follow(later, every)
            follower.reach(head)
            return self._publish(collection_id, follower)

    def _publish(self, collection_id: str, follower: Follower) -> _Known:
        made = _Known(follower, None if follower.channel is None else _roster(follower.channel))
        with self._lock:
            before = self._known.get(collection_id)
            # A request that replayed beside the appender must not take the channel back.
            if before is not None and (before.follower.reached or 0) > (follower.reached or 0):
                return before
            self._known[collection_id] = made
            return made

    def note_channel(self, collection_id: str, channel_id: str) -> None:
        """Keep beside a collection which channel it carries; what fails is logged."""
        try:
            self._store.bind_channel(collection_id, channel_id)
        except (ConflictError, StoreError) as error:
            _logger.error("could not note the channel", extra={"fields": {"cause": error.message}})


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
        self._held: list[Binding] = []
        self._opened: str | None = None

    def review(self, items: Sequence[NewObject], appending: Appending) -> Sequence[str | None]:
        """Judge messages in order.

        Raises:
            ForbiddenError: none may be stored, and the reason of each is who posts it.
        """
        self._held = self._store.bindings(self._principal.org_id)
        draft = self._admission.draft(self._collection.id, appending)
        reasons: list[str | None] = []
        outsider = 0
        for item in items:
            try:
                self._judge(draft, item)
                reasons.append(None)
            except AccessError as error:
                outsider += 1
                reasons.append(error.message)
            except (InputError, VerificationError, ConflictError) as error:
                reasons.append(error.message)
        if items and outsider == len(items):
            raise ForbiddenError(next(reason for reason in reasons if reason is not None))
        return reasons

    def committed(self, head: int | None) -> None:
        """The messages are stored: requests see the new roster."""
        self._admission.settle(self._collection.id, head)
        if self._opened is not None:
            self._admission.note_channel(self._collection.id, self._opened)

    def failed(self) -> None:
        """Nothing was stored: the next post starts from what is."""
        self._admission.discard(self._collection.id)

    def _judge(self, draft: Follower, item: NewObject) -> None:
        raw = carriage.from_artifact(codec.loads(item.raw))
        now = self._now()
        channel = draft.channel
        if channel is None:
            draft.channel = self._open(raw, now)
            return
        accepted = channel.examine(raw, now=now)
        if accepted.duplicate:
            self._refuse_deleted(channel, raw, item.id)
            return
        if accepted.expired:
            raise VerificationError("the message has expired")
        self._check_poster(channel, accepted)
        channel.accept(raw, now=now)

    def _refuse_deleted(self, channel: TrustedChannel, raw: bytes, object_id: str) -> None:
        try:
            channel.deleter(raw)
        except VerificationError:
            return
        if not self._store.has_object(self._collection.id, object_id):
            raise ConflictError("its sender deleted the message")

    def _open(self, raw: bytes, now: int) -> TrustedChannel:
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
        held = {binding.root_id for binding in self._held}
        if held.isdisjoint(channel.manifest.owners):
            raise ForbiddenError("your account is not bound to an owner of this channel")
        self._opened = channel.channel
        return channel

    def _check_poster(self, channel: TrustedChannel, accepted: Accepted) -> None:
        manifest = channel.manifest
        roots = {member.member: member.root for member in manifest.members}
        for binding in self._held:
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

    def review(self, items: Sequence[NewObject], appending: Appending) -> Sequence[str | None]:
        """Judge letters; None to store."""
        del appending
        return [self._reason(item) for item in items]

    def committed(self, head: int | None) -> None:
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
