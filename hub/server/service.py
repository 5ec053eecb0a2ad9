"""What the hub does, apart from HTTP: every method takes the principal first and asks `policy`.

Who that is has been settled before: see `auth`.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, ParamSpec, TypeVar

from hub.server.admission import Admission, InboxScreen
from hub.server.appender import Appender, Post, Screen
from hub.server.binding import Bindings
from hub.server.calls import NotHereError, StoreCalls
from hub.server.ceiling import Ceilings, CeilingScreen
from hub.server.cosigning import Cosigner
from hub.server.heads import Heads
from hub.server.intake import report, take_apart
from hub.server.logbook import Logbook
from hub.server.oversight import Oversight, Watch
from hub.server.policy import Action, Decision, Principal, Rights, Standing, decide, effective
from hub.server.push import Push
from hub.server.refusals import ForbiddenError, HiddenError
from hub.server.remembered import Remembered
from hub.server.segments import Pages, Segment, Wanted
from hub.server.standing import Standings
from hub.settings import HubSettings
from hub.store.interface import Store
from hub.store.records import (
    Appended,
    Collection,
    Entry,
    Kind,
    Page,
    Position,
    Row,
    StatusRecord,
)
from hub.taxii import media, wire
from hub.taxii.filters import EVERY, SPEC_VERSIONS, Filters
from hub.taxii.times import to_text

INBOX_PROPERTY: Final = "x_stillwatch_channel_collection"
LOG_PROPERTY: Final = "x_stillwatch_log"
KIND_PROPERTY: Final = "x_stillwatch_kind"
_NO_SUCH_COLLECTION: Final = "no such collection, or none that you may know of"
# Section 5.2.1: a collection names all that it can store. Our protocol travels as STIX 2.1 only.
_MEDIA_TYPES: Final = {
    Kind.PLAIN: (media.STIX, media.object_media_type("2.0")),
    Kind.CHANNEL: (media.STIX,),
    Kind.INBOX: (media.STIX,),
}
_INLINE_BYTES: Final = 64 * 1024
_INLINE_ROWS: Final = 20

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen:
    """A collection, what the principal may do with it, and the log that a channel may require.

    With a `watch`, nothing of its contents is given out that `HubService.told` has not recorded.
    """

    collection: Collection
    rights: Rights
    log: dict[str, str] | None = None
    watch: Watch | None = None

    def resource(self) -> wire.Collection:
        """The TAXII collection resource (section 5.2.1)."""
        return wire.Collection(
            id=self.collection.id,
            title=self.collection.title,
            can_read=self.rights.read,
            can_write=self.rights.write,
            description=self.collection.description,
            alias=self.collection.alias,
            media_types=_MEDIA_TYPES[self.collection.kind],
        )

    def custom(self) -> dict[str, object]:
        """Properties of ours beside the standard's."""
        custom: dict[str, object] = {}
        if self.collection.kind is not Kind.PLAIN:
            custom[KIND_PROPERTY] = self.collection.kind.value
        if self.collection.inbox_of is not None:
            custom[INBOX_PROPERTY] = self.collection.inbox_of
        if self.log is not None:
            custom[LOG_PROPERTY] = self.log
        return custom


class HubService:
    """One hub's work.

    Args:
        settings: limits and names.
        store: all state.
        appender: the one writer, started by the caller.
        admission: the channels.
        logbook: their logs.
        cosigner: checkpoints of these logs, with cosignatures.
        calls: runs what asks the store.
        push: streams of events, pages kept ready, snapshots.
        oversight: records reads that somebody is told of.
        remembered: what was looked up before.
        now: wall clock in whole seconds UTC.
    """

    def __init__(
        self,
        settings: HubSettings,
        store: Store,
        appender: Appender,
        admission: Admission,
        logbook: Logbook,
        cosigner: Cosigner,
        calls: StoreCalls,
        *,
        push: Push,
        oversight: Oversight,
        remembered: Remembered,
        now: Callable[[], int],
    ) -> None:
        self._push = push
        self._pages = Pages(store, push.segments)
        self._settings = settings
        self._store = store
        self._appender = appender
        self._admission = admission
        self._logbook = logbook
        self._cosigner = cosigner
        self._calls = calls
        self._oversight = oversight
        self._heads = Heads(store, calls)
        self._ceilings = Ceilings(store)
        self._remembered = remembered
        self._standings = Standings(store, remembered, admission, now=now)
        self._bindings = Bindings(settings, store, now=now)
        self._now = now

    # -- who may -------------------------------------------------------------------------------

    def allow(self, principal: Principal, action: Action) -> None:
        """Ask the policy about an action that concerns no collection."""
        _enforce(decide(principal, action, None))

    def _seen(self, principal: Principal, action: Action, id_or_alias: str) -> Seen:
        look = partial(self._look, principal, action, id_or_alias)
        return self._remembered.whole((principal, action, id_or_alias), look, lasts=_lasts)

    async def _see(self, principal: Principal, action: Action, id_or_alias: str) -> Seen:
        known: Seen | None = self._remembered.known_whole((principal, action, id_or_alias))
        if known is not None:
            return known
        return await self._calls.short(self._seen, principal, action, id_or_alias)

    def _look(
        self,
        principal: Principal,
        action: Action,
        id_or_alias: str,
        position: Position | None = None,
    ) -> Seen:
        collection = self._remembered.collection(id_or_alias)
        if collection is None:
            raise HiddenError(_NO_SUCH_COLLECTION)
        grant = self._remembered.grant(collection.id, principal.org_id)
        standing = self._standings.of(principal, collection, grant, position)
        _enforce(decide(principal, action, standing))
        return self._shown(principal, collection, standing)

    def _shown(self, principal: Principal, collection: Collection, standing: Standing) -> Seen:
        logged = collection.kind is Kind.CHANNEL
        log = self._logbook.offer(collection.id) if logged else None
        watch = self._standings.watch(principal, collection, standing)
        return Seen(collection, effective(principal, standing), log, watch)

    # -- resources -----------------------------------------------------------------------------

    async def collections(self, principal: Principal) -> list[Seen]:
        """The collections that the principal may know of, oldest first."""
        self.allow(principal, Action.LIST)
        return await self._calls.short(self._collections, principal)

    def _collections(self, principal: Principal) -> list[Seen]:
        grants = self._store.grants_of(principal.org_id)
        seen = []
        for collection in self._store.collections():
            standing = self._standings.of(principal, collection, grants.get(collection.id))
            if decide(principal, Action.VIEW, standing) is Decision.ALLOW:
                seen.append(self._shown(principal, collection, standing))
        return seen

    async def collection(self, principal: Principal, id_or_alias: str) -> Seen:
        """One collection."""
        return await self._calls.short(self._seen, principal, Action.VIEW, id_or_alias)

    async def status(self, principal: Principal, status_id: str) -> bytes:
        """A status resource, for the organisation that made the post only."""
        self.allow(principal, Action.STATUS)
        record = await self._calls.short(self._store.get_status, status_id)
        if record is None or record.org_id != principal.org_id:
            raise HiddenError("no such status, or not yours")
        if record.created + self._settings.limits.status_seconds < self._now():
            raise HiddenError("the status has expired")
        return record.raw

    # -- reading -------------------------------------------------------------------------------

    async def envelope(
        self, principal: Principal, collection_id: str, filters: Filters, coding: str
    ) -> Segment:
        """A page of objects as it travels, in a content coding; one that is kept ready, if it is.

        The collection's generation is read before the page, and with each request: see `segments`.
        """
        seen, found = await self._kept(principal, collection_id, filters, coding)
        if isinstance(found, Segment):
            return found
        made, rows = await self._run(found.limit, self._pages.make, found, filters, coding)
        await self.told(principal, seen, "objects", rows)
        return made

    async def _kept(
        self, principal: Principal, collection_id: str, filters: Filters, coding: str
    ) -> tuple[Seen, Segment | Wanted]:
        """The collection, and a page of it that needs no reading or what is needed to make it.

        On a database server the collection's position is all that is asked for, together with
        other requests, while the rest is remembered.
        """
        arguments = (principal, collection_id, filters, coding)
        if not self._store.remote:
            return await self._calls.short(self._kept_page, *arguments, None)
        try:
            collection = self._remembered.collection(collection_id)
            position = None if collection is None else await self._heads.position(collection.id)
            return self._kept_page(*arguments, position)
        except NotHereError:
            return await self._calls.long(self._kept_page, *arguments, None)

    def _kept_page(
        self,
        principal: Principal,
        collection_id: str,
        filters: Filters,
        coding: str,
        position: Position | None,
    ) -> tuple[Seen, Segment | Wanted]:
        seen = (
            self._seen(principal, Action.READ, collection_id)
            if position is None
            else self._look(principal, Action.READ, collection_id, position)
        )
        position = position or self._store.positions([seen.collection.id])[seen.collection.id]
        # Of a read that is recorded the rows are looked at, so it is never answered from memory.
        kept = seen.watch is None
        return seen, self._pages.find(
            seen.collection.id, position, filters, self._limit(filters), coding, kept=kept
        )

    async def manifest(
        self, principal: Principal, collection_id: str, filters: Filters
    ) -> Page[Entry]:
        """A page of the manifest."""
        found = await self._calls.short(self._news, principal, collection_id, filters)
        if found is None:
            return Page((), more=False, next=None)
        limit = self._limit(filters)
        page = await self._run(limit, self._store.manifest, found.collection.id, filters, limit)
        await self.told(principal, found, "manifest", page.rows)
        return page

    async def one_object(
        self, principal: Principal, collection_id: str, object_id: str, filters: Filters
    ) -> Page[Row]:
        """Versions of one object."""
        found = await self._holding(principal, Action.READ, collection_id, object_id)
        limit = self._limit(filters)
        narrowed = filters.for_object(object_id)
        page = await self._run(limit, self._store.page, found.collection.id, narrowed, limit)
        await self.told(principal, found, "object", page.rows)
        return page

    async def versions(
        self, principal: Principal, collection_id: str, object_id: str, filters: Filters
    ) -> Page[Entry]:
        """The list of one object's versions."""
        found = await self._holding(principal, Action.READ, collection_id, object_id)
        limit = self._limit(filters)
        page = await self._run(
            limit, self._store.versions, found.collection.id, object_id, filters, limit
        )
        await self.told(principal, found, "versions", page.rows)
        return page

    async def told(
        self, principal: Principal, seen: Seen, what: str, rows: Sequence[Row | Entry]
    ) -> None:
        """Record a read, if somebody is to be told of it, before it is answered.

        Raises:
            StoreError: it cannot be recorded, so it must not be answered.
        """
        if seen.watch is None or not rows:
            return
        notes = await self._calls.long(
            self._oversight.notes, principal, seen.collection, seen.watch, what, rows
        )
        await self._oversight.record(notes)

    async def audit_lines(
        self, principal: Principal, after: int, limit: int
    ) -> list[dict[str, object]]:
        """Lines of the audit log that concern the principal's organisation."""
        self.allow(principal, Action.AUDIT)
        return await self._calls.short(self._oversight.lines, principal, after, limit)

    async def delete(
        self, principal: Principal, collection_id: str, object_id: str, filters: Filters
    ) -> None:
        """Delete versions of one object."""
        found = await self._holding(principal, Action.DELETE, collection_id, object_id)
        await self._calls.long(self._delete, principal, found.collection, object_id, filters)

    def _delete(
        self, principal: Principal, collection: Collection, object_id: str, filters: Filters
    ) -> None:
        collection_id = collection.id
        if collection.kind is Kind.CHANNEL:
            wanted = Filters(
                ids=frozenset({object_id}), versions=EVERY, spec_versions=SPEC_VERSIONS
            )
            stored = self._store.page(collection_id, wanted, 1)
            bodies = [row.raw for row in stored.rows]
            self._admission.check_deletion(principal, collection_id, bodies)
        removed = self._store.delete(
            collection_id, object_id, filters.versions, filters.spec_versions
        )
        self._store.audit(
            "object.delete",
            org_id=principal.org_id,
            token_id=principal.token_id,
            collection_id=collection_id,
            detail={"object": object_id, "versions": str(removed)},
        )

    async def _holding(
        self, principal: Principal, action: Action, collection_id: str, object_id: str
    ) -> Seen:
        """The collection, if the principal may act there and it holds the object."""

        def look() -> Seen:
            seen = self._seen(principal, action, collection_id)
            if not self._store.has_object(seen.collection.id, object_id):
                raise HiddenError("no such object in this collection")
            return seen

        return await self._calls.short(look)

    def _limit(self, filters: Filters) -> int:
        limits = self._settings.limits
        return min(filters.limit or limits.default_page_objects, limits.page_objects)

    def _news(self, principal: Principal, collection_id: str, filters: Filters) -> Seen | None:
        """The collection, or None when nothing in it is newer than what the client has."""
        seen = self._seen(principal, Action.READ, collection_id)
        # The usual poll: answered by one look-up.
        if filters.added_after is None or filters.next is not None:
            return seen
        head = self._store.head(seen.collection.id)
        return None if head is None or filters.added_after >= head else seen

    async def _run(self, rows: int, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        run = self._calls.short if rows <= _INLINE_ROWS else self._calls.long
        return await run(work, *args, **named)

    # -- push ----------------------------------------------------------------------------------

    @property
    def push(self) -> Push:
        """Streams of events, pages kept ready, snapshots."""
        return self._push

    @property
    def calls(self) -> StoreCalls:
        """Runs what asks the store."""
        return self._calls

    @property
    def epoch(self) -> str:
        """Incarnation of the store's data."""
        return self._store.epoch

    async def entitled(
        self, principal: Principal, action: Action, collection_id: str
    ) -> Collection:
        """A collection with which the principal may do this, now."""
        return (await self._calls.short(self._seen, principal, action, collection_id)).collection

    # -- logs ----------------------------------------------------------------------------------

    async def channel(
        self, principal: Principal, channel_id: str, action: Action = Action.LOG
    ) -> Collection:
        """The collection that carries a channel whose log, or its entries, may be read."""
        return await self._calls.short(self._channel, principal, channel_id, action)

    def _channel(self, principal: Principal, channel_id: str, action: Action) -> Collection:
        found = self._admission.collection_of(channel_id)
        if found is None or not self._logbook.kept:
            raise HiddenError(_NO_SUCH_COLLECTION)
        return self._seen(principal, action, found).collection

    async def checkpoint(self, principal: Principal, channel_id: str) -> str:
        """The newest checkpoint of a channel's log, with the cosignatures that it has."""
        collection = await self.channel(principal, channel_id)
        return (await self._cosigner.checkpoint(collection.id)).raw

    async def inclusion(self, channel: Collection, index: int, size: int) -> list[bytes]:
        """The audit path of a leaf; `channel` comes from `channel`."""
        return await self._calls.long(self._logbook.inclusion, channel.id, index, size)

    async def consistency(self, channel: Collection, old: int, new: int) -> list[bytes]:
        """The consistency proof between two sizes, likewise."""
        return await self._calls.long(self._logbook.consistency, channel.id, old, new)

    async def entries(self, channel: Collection, first: int, end: int) -> list[bytes]:
        """The digests of leaves, likewise."""
        return await self._calls.long(self._logbook.entries, channel.id, first, end)

    # -- writing -------------------------------------------------------------------------------

    async def writable(self, principal: Principal, collection_id: str) -> Seen:
        """Refuse a post before its body is read."""
        return await self._see(principal, Action.WRITE, collection_id)

    async def post(self, principal: Principal, collection_id: str, body: bytes) -> bytes:
        """Store the objects of an envelope; returns the status resource, after the commit."""
        collection = (await self._see(principal, Action.WRITE, collection_id)).collection
        screen: Screen = CeilingScreen(self._ceilings, collection.id)
        if collection.kind is not Kind.PLAIN:
            screen = await self._calls.short(self._screen, principal, collection)
        received = to_text(time.time_ns() // 1000)
        take = partial(take_apart, body, self._settings.limits, received=received)
        if len(body) <= _INLINE_BYTES:
            intake = take()
        else:
            intake = await asyncio.to_thread(take)
        status_id = str(uuid.uuid4())
        org_id = principal.org_id

        def make(appended: Sequence[Appended], refused: dict[int, str]) -> StatusRecord:
            status = report(status_id, received, intake, appended, refused)
            return StatusRecord(status_id, collection.id, org_id, self._now(), wire.encode(status))

        post = Post(collection.id, intake.items, make, screen)
        verdict = await self._calls.patiently(self._appender.submit(post))
        self._push.events.touch(collection.id)
        return verdict.status.raw

    def _screen(self, principal: Principal, collection: Collection) -> Screen:
        if collection.kind is Kind.CHANNEL:
            return self._admission.screen(principal, collection)
        carried = self._store.collection(collection.inbox_of) if collection.inbox_of else None
        return InboxScreen(carried.channel_id if carried is not None else None)

    # -- binding an account to a member --------------------------------------------------------

    async def challenge(self, principal: Principal) -> tuple[str, int]:
        """A fresh challenge (hex) and when it expires."""
        self.allow(principal, Action.BIND)
        return await self._calls.long(self._bindings.challenge, principal)

    async def bind(self, principal: Principal, raw: bytes) -> str:
        """Bind the principal's organisation to the member whose card signed the challenge.

        Raises as `Bindings.bind`.
        """
        self.allow(principal, Action.BIND)
        member = await self._calls.long(self._bindings.bind, principal, raw)
        self._remembered.forget()
        return member


def _lasts(seen: Seen) -> bool:
    return seen.collection.kind is Kind.PLAIN and seen.watch is None


def _enforce(decision: Decision) -> None:
    if decision is Decision.ALLOW:
        return
    if decision is Decision.HIDE:
        raise HiddenError(_NO_SUCH_COLLECTION)
    raise ForbiddenError("your organisation may not do this here")
