"""What a store takes and gives: plain values, no behaviour, no SQL.

Units: `date_added` is in microseconds UTC; every other time (`created`, `expires`, ...) is in
whole seconds UTC, as in the channel protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

from hub.taxii.times import to_text


@dataclass(frozen=True, slots=True)
class NewObject:
    """An object to be stored; make it with `hub.store.objects.new_object`.

    Args:
        id: STIX id.
        type: STIX type.
        spec_version: "2.1" or "2.0".
        version: the text of `modified`, else `created`; None when the object has neither
            (cyber-observables such as `artifact`): its version is then its date_added.
        raw: the exact bytes received, given out again as they are.
    """

    id: str
    type: str
    spec_version: str
    version: str | None
    raw: bytes


class Outcome(StrEnum):
    """What became of one object. STORED and DUPLICATE are successes, CONFLICT is a failure."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


class Appended(NamedTuple):
    """The fate of one object of a batch.

    `version` is the effective version as text; `date_added` is that of the stored row (the
    older one for DUPLICATE and CONFLICT).
    """

    id: str
    version: str
    date_added: int
    outcome: Outcome

    @property
    def ok(self) -> bool:
        """Whether the object is in the store with this body."""
        return self.outcome is not Outcome.CONFLICT


@dataclass(frozen=True, slots=True)
class StatusRecord:
    """A TAXII status resource as JSON bytes, with what is needed to decide who may read it."""

    id: str
    collection_id: str
    org_id: str
    created: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """Objects for one collection, stored in the given order.

    `status`, if given, is called inside the transaction with the objects' fates; the record
    it returns is stored by the same commit.
    """

    collection_id: str
    items: Sequence[NewObject]
    status: Callable[[Sequence[Appended]], StatusRecord] | None = None


class Entry(NamedTuple):
    """An object's line in the manifest."""

    date_added: int
    id: str
    version: str
    type: str
    spec_version: str


class Row(NamedTuple):
    """A stored object; the first five fields as in `Entry`."""

    date_added: int
    id: str
    version: str
    type: str
    spec_version: str
    raw: bytes


T = TypeVar("T", Entry, Row)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows in order of date_added, ascending.

    `next` is the cursor of the following page; None when `more` is false.
    """

    rows: Sequence[T]
    more: bool
    next: str | None

    @property
    def first_added(self) -> str | None:
        """X-TAXII-Date-Added-First, None when the page is empty."""
        return to_text(self.rows[0].date_added) if self.rows else None

    @property
    def last_added(self) -> str | None:
        """X-TAXII-Date-Added-Last, None when the page is empty."""
        return to_text(self.rows[-1].date_added) if self.rows else None


class Kind(StrEnum):
    """What a collection takes. The server enforces it; the store only remembers."""

    PLAIN = "plain"
    CHANNEL = "channel"
    INBOX = "inbox"


@dataclass(frozen=True, slots=True)
class Collection:
    """A TAXII collection.

    Args:
        id: UUIDv4 text.
        alias: unique short name usable in place of the id, or None.
        owner_org: id of the organisation that owns it.
        channel_id: of a channel collection once its genesis is accepted, else None.
        inbox_of: of an inbox, the id of its channel collection, else None.
    """

    id: str
    kind: Kind
    title: str
    description: str | None
    alias: str | None
    owner_org: str
    channel_id: str | None
    inbox_of: str | None
    created: int


@dataclass(frozen=True, slots=True)
class Grant:
    """What an organisation may do in a collection."""

    collection_id: str
    org_id: str
    can_read: bool
    can_write: bool


@dataclass(frozen=True, slots=True)
class Org:
    """An organisation with an account. `name` is unique."""

    id: str
    name: str
    created: int
    disabled: bool


@dataclass(frozen=True, slots=True)
class Token:
    """An API token without its secret.

    Args:
        prefix: the part that is stored in clear and shown in lists.
        scopes: subset of {"read", "write", "admin"}.
        expires: end of validity, or None; a rotated token's is moved to the end of the overlap.
        successor: id of the token that replaced it, or None.
        revoked: when it was revoked, or None.
    """

    id: str
    org_id: str
    name: str
    prefix: str
    scopes: frozenset[str]
    created: int
    expires: int | None
    successor: str | None
    revoked: int | None


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made, with the only copy of its text, which `repr` hides."""

    token: Token
    secret: str

    def __repr__(self) -> str:
        return f"NewToken(token={self.token!r}, secret=<hidden>)"


class Binding(NamedTuple):
    """A channel member's identity proven by an organisation.

    The pair (member, root_id) belongs to one organisation: somebody who claims another's
    member id with a root of their own gains and blocks nothing.
    """

    member: str
    root_id: str
    org_id: str
    created: int


class AuditRow(NamedTuple):
    """One line of the audit log.

    `hash` = SHA-256 of the previous row's hash (32 zero bytes at first) and the row's other
    fields as canonical JSON.
    """

    seq: int
    time: int
    event: str
    org_id: str | None
    token_id: str | None
    collection_id: str | None
    detail: Mapping[str, str]
    hash: bytes
