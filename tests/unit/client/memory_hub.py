"""A hub in memory behind the transport port, which can misbehave on request."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hub.channel.invite import check_binding
from hub.channel.log.checkpoint import Checkpoint, cosign, log_key, sign_checkpoint
from hub.channel.log.note import add_lines
from hub.channel.log.tree import LeafNodes, consistency_proof, inclusion_proof, leaf_hash, root_of
from hub.channel.policy import Log
from hub.channel.primitives.sign import NotePrivate
from hub.client.events import Event, NoEventsError
from hub.client.reads_port import Line, Lines
from hub.client.transport import About, Hub, HubAccount, Page, PostResult, TaxiiCollection
from hub.errors import AccessError
from hub.model.codec import Json
from hub.settings import ClientSettings

API_ROOT = "http://127.0.0.1/stillwatch/"
LOG_KEY = NotePrivate(b"log key of the hub in memory 001")
C1 = "00000000-0000-4000-8000-0000000000c1"


@dataclasses.dataclass
class Stored:
    """One collection's content: (date_added, object)."""

    collection_id: str
    title: str
    inbox_of: str | None = None
    rows: list[tuple[str, Json]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class MemoryLog:
    """The log of one channel on the hub, and its key.

    Attributes:
        origin: which log.
        digests: of every stored message.
        private: signs checkpoints.
        witnesses: name and key of those who cosign.
        show: what an account gets in place of the digests: a lying hub shows others.
        sign: what an account gets in place of a checkpoint.
        give: what is given in place of entries that were asked for.
    """

    origin: str = "hub.example/stillwatch/c1/00000000000000e1"
    digests: list[bytes] = dataclasses.field(default_factory=list)
    private: NotePrivate = LOG_KEY
    witnesses: dict[str, NotePrivate] = dataclasses.field(default_factory=dict)
    show: Callable[[str, list[bytes]], list[bytes]] = lambda account, digests: digests
    sign: Callable[[str, str], str | None] = lambda account, note: note
    give: Callable[[list[bytes]], list[bytes]] = lambda entries: entries

    @property
    def offer(self) -> Log:
        """What an owner pins."""
        return Log(self.origin, log_key(self.origin, self.private).text)

    def note(self, digests: Sequence[bytes], time: int) -> str:
        """A signed and cosigned checkpoint over some digests."""
        root = root_of(map(leaf_hash, digests))
        raw = sign_checkpoint(Checkpoint(self.origin, len(digests), root, time), self.private)
        lines = [cosign(raw, name, key, time) for name, key in self.witnesses.items()]
        return add_lines(raw, lines)


@dataclasses.dataclass
class MemoryLogView:
    """One account's view of the log."""

    hub: MemoryHub
    account: str

    def checkpoint(self) -> str | None:
        """The newest checkpoint, or what the hub shows in its place."""
        self.hub.request("checkpoint")
        if not self.hub.logged:
            return None
        log = self.hub.log
        return log.sign(self.account, log.note(self._digests(), self.hub.now()))

    def entries(self, start: int, end: int) -> Sequence[bytes]:
        """Digests of entries."""
        self.hub.request("entries")
        assert 0 <= start < end <= start + 10_000
        return self.hub.log.give(self._digests()[start:end])

    def consistency(self, first: int, second: int) -> Sequence[bytes]:
        """A consistency proof."""
        self.hub.request("consistency")
        source = LeafNodes([leaf_hash(each) for each in self._digests()])
        return consistency_proof(source, first, second)

    def inclusion(self, size: int, index: int) -> Sequence[bytes]:
        """An inclusion proof."""
        self.hub.request("inclusion")
        source = LeafNodes([leaf_hash(each) for each in self._digests()])
        return inclusion_proof(source, index, size)

    def _digests(self) -> list[bytes]:
        return self.hub.log.show(self.account, list(self.hub.log.digests))


@dataclasses.dataclass
class MemoryHub:
    """The hub; `connect` gives each account its own view.

    Attributes:
        page_size: objects in a page.
        lines: of its audit log, for every account; None: it tells nothing.
        snapshots: collection id -> its snapshot's signed manifest.
        frames: name -> bytes of the frame.
        stillwatch: answers `about/` and binds accounts; else it is a stock server.
        fail: called before each request with its name; raises to misbehave.
        rewrite: what a reader gets instead of the stored rows: drops, reorders, replays.
        refuse: why an account's object is refused, None to take it.
        readers: whether an account may read a collection.
        keeps_back: whether it denies to have an object, asked for by its id.
        logged: keeps a log of the first channel collection, and offers it.
        log: that log, with what it can be made to show.
    """

    page_size: int = 100
    lines: list[Line] | None = None
    snapshots: dict[str, bytes] = dataclasses.field(default_factory=dict)
    frames: dict[str, bytes] = dataclasses.field(default_factory=dict)
    stillwatch: bool = True
    now: Callable[[], int] = lambda: 1_790_000_000
    fail: Callable[[str], None] = lambda request: None
    rewrite: Callable[[list[tuple[str, Json]]], list[tuple[str, Json]]] = lambda rows: rows
    answers_failure_to_known: bool = False
    collections: dict[str, Stored] = dataclasses.field(default_factory=dict)
    bound: dict[str, str] = dataclasses.field(default_factory=dict)
    requests: list[str] = dataclasses.field(default_factory=list)
    refuse: Callable[[str, Json], str | None] = lambda account, each: None
    readers: Callable[[str, str], bool] = lambda account, collection: True
    keeps_back: Callable[[str], bool] = lambda object_id: False
    logged: bool = False
    log: MemoryLog = dataclasses.field(default_factory=lambda: MemoryLog())
    _ticks: Iterator[int] = dataclasses.field(default_factory=itertools.count)

    def add_channel_collection(self, collection_id: str = C1, *, inbox: bool = True) -> str:
        """An empty collection, with a join inbox beside it."""
        self.collections[collection_id] = Stored(collection_id, "Circle")
        if inbox:
            inbox_id = f"{collection_id}-inbox"
            self.collections[inbox_id] = Stored(
                inbox_id, "Circle (join requests)", inbox_of=collection_id
            )
        return collection_id

    def connect(self, account: HubAccount, settings: ClientSettings) -> Hub:
        """The port's way in."""
        return MemoryConnection(self, account)

    def request(self, name: str) -> None:
        """Every request passes here."""
        self.requests.append(name)
        self.fail(name)

    def stamp(self) -> str:
        """A strictly increasing `date_added`."""
        tick = next(self._ticks)
        return f"2026-11-21T{tick // 3600 % 24:02d}:{tick // 60 % 60:02d}:{tick % 60:02d}.000000Z"


@dataclasses.dataclass
class MemoryConnection:
    """One account's view of the hub."""

    hub: MemoryHub
    account: HubAccount

    @property
    def api_root(self) -> str:
        """URL with a trailing slash."""
        return self.account.api_root

    def about(self) -> About | None:
        """None when the hub plays a stock server."""
        self.hub.request("about")
        return About(protocol=1, time=self.hub.now()) if self.hub.stillwatch else None

    def collections(self) -> Sequence[TaxiiCollection]:
        """Every collection."""
        self.hub.request("collections")
        return [MemoryCollection(self, each) for each in self.hub.collections.values()]

    def collection(self, collection_id: str) -> TaxiiCollection:
        """One collection."""
        self.hub.request("collection")
        if collection_id not in self.hub.collections:
            raise AccessError("the hub answered 404", where=collection_id)
        return MemoryCollection(self, self.hub.collections[collection_id])

    def log(self, channel_id: str) -> MemoryLogView:
        """The log of the channel."""
        return MemoryLogView(self.hub, self.account.token)

    def bulk(self, collection_id: str) -> MemoryBulk:
        """What the hub offers beside TAXII."""
        return MemoryBulk(self.hub, collection_id)

    def audit(self, after: int, limit: int) -> Lines | None:
        """What a test put there."""
        self.hub.request("audit")
        if self.hub.lines is None:
            return None
        rows = [each for each in self.hub.lines if each.seq > after]
        return Lines(tuple(rows[:limit]), len(rows) > limit)

    def challenge(self) -> str | None:
        """A fixed challenge; None on a stock server."""
        self.hub.request("challenge")
        return "ab" * 32 if self.hub.stillwatch else None

    def bind(self, signed: bytes) -> str:
        """Check the binding as a real hub does."""
        self.hub.request("bind")
        card = check_binding(signed, self.api_root, "ab" * 32, now=self.hub.now())
        self.hub.bound[self.account.token] = card.member
        return card.member

    def close(self) -> None:
        """Nothing is open."""


@dataclasses.dataclass
class MemoryBulk:
    """Frames that a test put there; no events."""

    hub: MemoryHub
    collection_id: str

    def snapshot(self) -> bytes | None:
        """The manifest."""
        self.hub.request("snapshot")
        return self.hub.snapshots.get(self.collection_id)

    def piece(self, name: str, start: int, size: int) -> bytes | None:
        """A small part of a frame."""
        self.hub.request("frame")
        body = self.hub.frames.get(name)
        return None if body is None else body[start : start + 1000]

    def events(self, last: str | None) -> contextlib.AbstractContextManager[Iterator[Event]]:
        """None."""
        self.hub.request("events")
        raise NoEventsError("the server has no events for this account")


@dataclasses.dataclass
class MemoryCollection:
    """One collection as one account sees it."""

    connection: MemoryConnection
    stored: Stored

    @property
    def hub(self) -> MemoryHub:
        """The hub behind it."""
        return self.connection.hub

    @property
    def collection_id(self) -> str:
        """Identifier within the API root."""
        return self.stored.collection_id

    @property
    def title(self) -> str:
        """Title for people."""
        return self.stored.title

    @property
    def can_read(self) -> bool:
        """Whether this account may read."""
        return self.hub.readers(self.connection.account.token, self.stored.collection_id)

    @property
    def can_write(self) -> bool:
        """Always."""
        return True

    @property
    def channel_collection(self) -> str | None:
        """The channel's collection, for an inbox."""
        return self.stored.inbox_of

    @property
    def log(self) -> Log | None:
        """The log that the hub offers."""
        return self.hub.log.offer if self.hub.logged else None

    def pages(self, added_after: str | None = None) -> Iterator[Page]:
        """Pages of what the hub chooses to show."""
        rows = self.hub.rewrite(list(self.stored.rows))
        rows = [each for each in rows if added_after is None or each[0] > added_after]
        size = self.hub.page_size
        starts = range(0, max(len(rows), 1), size)
        for start in starts:
            self.hub.request("page")
            part = rows[start : start + size]
            yield Page(
                objects=[dict(body) for _, body in part],
                next=str(start + size) if start + size < len(rows) else None,
                date_added_last=part[-1][0] if part else None,
            )

    def get(self, object_id: str) -> Json | None:
        """One object."""
        self.hub.request("get")
        if self.hub.keeps_back(object_id):
            return None
        return next((dict(b) for _, b in self.stored.rows if b["id"] == object_id), None)

    def add(self, objects: Sequence[Json]) -> PostResult:
        """Keep the first body of an id."""
        self.hub.request("add")
        accepted: list[str] = []
        failures: dict[str, str] = {}
        known: dict[Any, Json] = {body["id"]: body for _, body in self.stored.rows}
        for each in objects:
            object_id = str(each["id"])
            reason = self.hub.refuse(self.connection.account.token, each)
            if object_id in known:
                if self.hub.answers_failure_to_known or known[object_id] != each:
                    failures[object_id] = "Unable to process object"
                    continue
            elif reason is not None:
                failures[object_id] = reason
                continue
            else:
                self.stored.rows.append((self.hub.stamp(), dict(each)))
                if self.stored.inbox_of is None:
                    self.hub.log.digests.append(bytes.fromhex(each["hashes"]["SHA-256"]))
            accepted.append(object_id)
        # The answer may be lost although the objects are kept.
        self.hub.request("added")
        return PostResult(accepted=tuple(accepted), failures=failures)

    def delete(self, object_id: str) -> None:
        """Delete one object."""
        self.hub.request("delete")
        self.stored.rows = [each for each in self.stored.rows if each[1]["id"] != object_id]
