"""What a store takes and gives: plain values, no behaviour, no SQL.

Units: `date_added` is in microseconds UTC; every other time (`created`, `expires`, ...) is in
whole seconds UTC, as in the channel protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Generic, NamedTuple, TypeVar

from hub.model.markings import TLP
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


class Position(NamedTuple):
    """Where a collection stands; see `ObjectStore.positions`."""

    head: int | None
    generation: int


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


class Role(StrEnum):
    """What an account is for; what each may do on the hub's routes stands in `server.policy`."""

    PUBLISHER = "publisher"
    SUBSCRIBER = "subscriber"
    LIAISON = "liaison"
    STEWARD = "steward"
    WITNESS = "witness"
    ADMIN = "admin"


ORDINARY_ROLES: Final = frozenset({Role.PUBLISHER, Role.SUBSCRIBER})
"""Of a token that belongs to no account: it stands for a service of its organisation."""


class LogMark(NamedTuple):
    """A log's size at a time (seconds UTC).

    Of all marks ever given of one log, by whatever process, the later has never the smaller size.
    """

    size: int
    time: int


class CheckpointRow(NamedTuple):
    """A signed checkpoint of a log, kept for those who ask next: `raw` is the note.

    `quorum` says whether enough witnesses have cosigned it.
    """

    size: int
    time: int
    quorum: bool
    raw: str


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
        ceiling: of a plain collection, the highest marking that may be stored, None for any.
        government: of a plain collection, its owner opened it to government readers.
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
    ceiling: TLP | None = None
    government: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """What an organisation may do in a collection.

    Args:
        clearance: it reads collections up to this ceiling only; None for every one.
    """

    collection_id: str
    org_id: str
    can_read: bool
    can_write: bool
    clearance: TLP | None = None


@dataclass(frozen=True, slots=True)
class Org:
    """An organisation. `name` is unique; `government` reads only what was opened to it."""

    id: str
    name: str
    created: int
    disabled: bool
    government: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """An API token without its secret.

    Args:
        prefix: the part that is stored in clear and shown in lists.
        scopes: subset of {"read", "write", "admin"}.
        expires: end of validity, or None; a rotated token's is moved to the end of the overlap.
        successor: id of the token that replaced it, or None.
        revoked: when it was revoked, or None.
        account_id: the account that it belongs to, or None: then it is a service of its
            organisation with `ORDINARY_ROLES`.
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
    account_id: str | None = None


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made, with the only copy of its text, which `repr` hides."""

    token: Token
    secret: str

    def __repr__(self) -> str:
        return f"NewToken(token={self.token!r}, secret=<hidden>)"


class AccountKind(StrEnum):
    """Who logs in. Only people may break glass."""

    PERSON = "person"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Account:
    """A person or a service of an organisation; `name` is unique within it."""

    id: str
    org_id: str
    name: str
    kind: AccountKind
    roles: frozenset[Role]
    created: int
    disabled: bool


class LoginKind(StrEnum):
    """By what an account logs in besides API tokens.

    Attributes:
        CERTIFICATE: `subject` is the SHA-256 of the client certificate's DER, in hex.
        KEY: `subject` is the SHA-256 of its SubjectPublicKeyInfo, so that a renewal keeps it.
        CLIENT: `subject` is the `client_id` of `issuer`'s tokens that no user stands behind.
        SUBJECT: `subject` is the `sub` of `issuer`'s tokens.
    """

    CERTIFICATE = "certificate"
    KEY = "key"
    CLIENT = "client"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class Login:
    """A certificate, or a subject of an OAuth issuer, bound to an account.

    Args:
        issuer: of OAuth, the issuer's URL; empty for certificates.
        scopes: subset of {"read", "write"}.
        expires: end of validity whatever the certificate says, or None.
    """

    id: str
    account_id: str
    kind: LoginKind
    issuer: str
    subject: str
    name: str
    scopes: frozenset[str]
    created: int
    expires: int | None


@dataclass(frozen=True, slots=True)
class Credential:
    """What a valid token or login stands for.

    Args:
        id: of the token or login; it is what the audit log names.
        account_id: None for a token without an account.
    """

    id: str
    org_id: str
    account_id: str | None
    roles: frozenset[Role]
    scopes: frozenset[str]
    government: bool


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """A request of one administrator to read, and what became of it.

    Args:
        account_id: who asked, and may read while it is open.
        collections: ids of the collections that may be read.
        seconds: how long it is open from its approval.
        witnesses: ids of the tokens and logins of other administrators when it was asked for;
            only one of these approves it.
        approver: account that approved, or None.
        opened: when it was approved, or None.
        ended: when it was ended or refused before its time, or None.
    """

    id: str
    account_id: str
    collections: frozenset[str]
    reason: str
    seconds: int
    created: int
    witnesses: frozenset[str]
    approver: str | None
    opened: int | None
    ended: int | None

    @property
    def until(self) -> int | None:
        """When it closes by itself, None before its approval."""
        return None if self.opened is None else self.opened + self.seconds

    def open_at(self, now: int) -> bool:
        """Whether its account may read at that time (seconds UTC)."""
        if self.opened is None or self.ended is not None:
            return False
        return self.opened <= now < self.opened + self.seconds


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


@dataclass(frozen=True, slots=True)
class AuditNote:
    """A line to be appended to the audit log; `detail` must hold no secrets and no contents.

    Args:
        concerns: ids of the organisations that are shown the line.
    """

    event: str
    org_id: str | None = None
    token_id: str | None = None
    collection_id: str | None = None
    detail: Mapping[str, str] = field(default_factory=dict)
    concerns: frozenset[str] = frozenset()
