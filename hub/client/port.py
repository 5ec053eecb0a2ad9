"""The port to a TAXII 2.1 server: what the rest of the client asks of one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from hub.channel.policy import Log
from hub.client.log_port import ChannelLog
from hub.client.reads_port import Lines
from hub.client.snapshot_port import Bulk
from hub.model.codec import Json


@dataclasses.dataclass(frozen=True)
class Page:
    """One page of objects.

    Attributes:
        objects: parsed STIX objects in the order of `date_added`.
        next: the cursor of the following page, None when this is the last.
        date_added_last: `X-TAXII-Date-Added-Last`, the newest `date_added` of the page.
    """

    objects: Sequence[Json]
    next: str | None
    date_added_last: str | None


@dataclasses.dataclass(frozen=True)
class PostResult:
    """What became of posted objects: a failure's value is the hub's message."""

    accepted: tuple[str, ...]
    failures: Mapping[str, str]
    pending: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class About:
    """What a Stillwatch hub says of itself beside TAXII."""

    protocol: int
    time: int


class TaxiiCollection(Protocol):
    """One collection of a TAXII 2.1 server."""

    @property
    def collection_id(self) -> str:
        """Identifier within the API root."""
        ...

    @property
    def title(self) -> str:
        """Title for people."""
        ...

    @property
    def can_read(self) -> bool:
        """Whether this account may read."""
        ...

    @property
    def can_write(self) -> bool:
        """Whether this account may write."""
        ...

    @property
    def channel_collection(self) -> str | None:
        """For a join inbox: the collection id of the channel that it belongs to."""
        ...

    @property
    def log(self) -> Log | None:
        """For a channel's collection: the log that the hub offers to keep, to be pinned."""
        ...

    def pages(self, added_after: str | None = None) -> Iterator[Page]:
        """Pages of everything added after a `date_added`, oldest first."""
        ...

    def get(self, object_id: str) -> Json | None:
        """One object, None when the collection does not hold it."""
        ...

    def add(self, objects: Sequence[Json]) -> PostResult:
        """Post objects in this order and wait for the hub's verdict on each."""
        ...

    def delete(self, object_id: str) -> None:
        """Delete one object."""
        ...


class Hub(Protocol):
    """One API root of a TAXII 2.1 server."""

    @property
    def api_root(self) -> str:
        """URL with a trailing slash."""
        ...

    def about(self) -> About | None:
        """None when the server is not a Stillwatch hub."""
        ...

    def collections(self) -> Sequence[TaxiiCollection]:
        """Every collection that the account sees."""
        ...

    def collection(self, collection_id: str) -> TaxiiCollection:
        """One collection."""
        ...

    def log(self, channel_id: str) -> ChannelLog:
        """The log of a channel; nothing is sent before its first call."""
        ...

    def bulk(self, collection_id: str) -> Bulk:
        """Snapshot and events of a collection; nothing is sent before its first call."""
        ...

    def audit(self, after: int, limit: int) -> Lines | None:
        """What the hub tells of this organisation out of its audit log; None: nothing."""
        ...

    def challenge(self) -> str | None:
        """A challenge to bind this account to a member; None on a stock server."""
        ...

    def bind(self, signed: bytes) -> str:
        """Send the signed binding; returns the member id that the hub bound."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
