"""The store's interface: several small protocols, and `Store`, which is all of them.

Rules that every implementation keeps (one contract suite checks them, tests/store):

- `append` returns after the rows are durable. `date_added` is stamped inside the write
  transaction, `max(last + 1, now)` microseconds, so within a collection it is unique and
  strictly increasing, and no reader ever sees a row with a smaller one appear afterwards.
- Bytes are given out as they came. Nothing here parses objects on the way out.
- The first body of an (id, specification version, version) wins.
- What `Filters.spec_versions` leaves open is answered as TAXII 2.1 (section 3.4.1) says: reading
  gives each object in its newest specification version, deleting takes every one.
- A channel collection has a log: its n-th leaf is the n-th object stored, in order of date_added,
  written by the same transaction. Leaves stay when their objects are deleted. What a reader sees of
  a log is durable: no crash leads back behind it.
- The store asks no permission questions, and it knows nothing of channels' contents.
- All methods are synchronous and may be called from any thread. Unknown ids: reads give None or
  nothing; writes raise InputError. A failing disk raises StoreError, and reads go on.
"""

from __future__ import annotations

from collections.abc import Collection as Ids
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol

from hub.model.markings import TLP
from hub.store.records import (
    Account,
    AccountKind,
    Appended,
    AuditNote,
    AuditRow,
    Batch,
    Binding,
    BreakGlass,
    CheckpointRow,
    Collection,
    Credential,
    Entry,
    Grant,
    Kind,
    Login,
    LoginKind,
    LogMark,
    NewObject,
    NewToken,
    Org,
    Page,
    Position,
    Role,
    Row,
    StatusRecord,
    Token,
)
from hub.taxii.filters import Filters, VersionFilter

MAX_PAGE_BYTES: Final = 16 * 1024 * 1024
"""Bodies of one page together, unless asked otherwise."""

BREAK_GLASS_SECONDS: Final = 8 * 3600
"""Longest time for which glass is broken."""

BREAK_GLASS_WAIT: Final = 24 * 3600
"""A request that nobody approved for so many seconds is void."""


class Appending(Protocol):
    """An open write transaction over some collections, which nobody else writes meanwhile.

    What it gives and stores is of the moment in which the heads were locked: whatever other
    processes stored before is there to be read. Raises InputError for a collection that was not
    named at the start, StoreError after the block.
    """

    def head(self, collection_id: str) -> int | None:
        """The greatest date_added ever stamped, with what was appended here."""
        ...

    def messages(self, collection_id: str, after: int | None) -> Iterator[tuple[int, bytes]]:
        """Stored (date_added, body) with a greater date_added, ascending; None for all."""
        ...

    def append(self, batch: Batch) -> list[Appended]:
        """Store a batch and its status, durable when the block has ended.

        Raises:
            StoreError: the database fails, or the clock jumped.
        """
        ...

    def append_all(self, batches: Sequence[Batch]) -> list[list[Appended]]:
        """Store several batches with as few round trips as one; fates by batch."""
        ...


class ObjectStore(Protocol):
    """Objects in collections."""

    def appending(self, collection_ids: Sequence[str]) -> AbstractContextManager[Appending]:
        """Open a write transaction; committed and durable at the end of the block.

        The heads of the collections are locked in one order in every process. An exception undoes
        everything. Keep the block short: other writers of these collections wait (on SQLite, all
        writers), and on PostgreSQL reads inside of it take another connection.

        Raises:
            InputError: no such collection.
            StoreError: the database fails or keeps us waiting; at the end, also when it is not
                known whether the commit reached the disk (storing the same again is harmless).
        """
        ...

    def append(self, collection_id: str, items: Sequence[NewObject]) -> list[Appended]:
        """Store objects in one transaction; durable on return.

        Raises:
            InputError: no such collection.
            StoreError: disk full or failing, or the clock jumped; nothing is stored.
        """
        ...

    def append_batches(self, batches: Sequence[Batch]) -> list[list[Appended]]:
        """Store several batches (and their statuses) in one transaction, for one appender.

        All or nothing. Raises as `append`.
        """
        ...

    def page(
        self,
        collection_id: str,
        filters: Filters,
        limit: int,
        *,
        max_bytes: int = MAX_PAGE_BYTES,
    ) -> Page[Row]:
        """Give at most `limit` objects after the filters' position, oldest date_added first.

        The page ends earlier when its bodies would go beyond `max_bytes`, but holds at least
        one object if there is one.

        Raises:
            InputError: `filters.next` is no cursor of this collection (`where` is "next").
        """
        ...

    def manifest(self, collection_id: str, filters: Filters, limit: int) -> Page[Entry]:
        """As `page`, without bodies."""
        ...

    def versions(
        self, collection_id: str, object_id: str, filters: Filters, limit: int
    ) -> Page[Entry]:
        """The versions of one object, by date_added; `filters.versions` is not looked at."""
        ...

    def has_object(self, collection_id: str, object_id: str) -> bool:
        """Whether any version of the object is stored (tells 404 from an empty page)."""
        ...

    def delete(
        self,
        collection_id: str,
        object_id: str,
        versions: VersionFilter,
        spec_versions: frozenset[str] = frozenset(),
    ) -> int:
        """Delete versions of an object; returns how many.

        Without `spec_versions` they are of any specification version. TAXII's default is every
        version.

        A deleted (id, version) may be stored again, with a new date_added.
        """
        ...

    def head(self, collection_id: str) -> int | None:
        """The greatest date_added ever stamped in the collection, None before the first."""
        ...

    def positions(self, collection_ids: Ids[str]) -> dict[str, Position]:
        """Heads and generations of collections, in one statement; unknown ones are left out.

        The generation is raised by the commit that deletes rows, or that stores a newer version of
        an object: whoever reads it before a page, and finds it unchanged later, knows that the page
        still says the same up to its last row.
        """
        ...

    def added(self, collection_id: str, after: int | None, until: int, most: int) -> int:
        """Number of stored rows with `after` < date_added <= `until`, counted up to `most`."""
        ...

    def count(self, collection_id: str) -> int:
        """Number of stored rows (versions)."""
        ...

    def raw_messages(self, collection_id: str) -> Iterator[bytes]:
        """Every stored body by date_added, for replay; safe while others write."""
        ...


class Hints(Protocol):
    """What other processes say that they stored: it may be lost, so it is a hint only."""

    def wait(self, seconds: float) -> frozenset[str]:
        """Collections that grew since the last call; empty when the time is over.

        Raises:
            StoreError: the connection is gone.
        """
        ...

    def close(self) -> None:
        """Let go of the connection; again is fine."""
        ...


class HintStore(Protocol):
    """Word from other processes on the same store."""

    def hints(self) -> Hints | None:
        """Begin to listen; None where the store has no such word and is cheap to ask.

        Raises:
            StoreError: the store cannot be reached.
        """
        ...


class LogStore(Protocol):
    """The Merkle logs of channel collections (RFC 6962); other collections have none.

    A leaf is `H(0x00 || digest)`, the digest that of `hub.store.objects.log_digest`. An unknown
    collection, or one without a log, raises InputError, as does a leaf or node that the log has not
    reached.
    """

    def log_size(self, collection_id: str) -> int:
        """Number of leaves that are durable."""
        ...

    def log_digests(self, collection_id: str, first: int, end: int) -> list[bytes]:
        """The digests of the leaves from `first` to before `end`."""
        ...

    def log_nodes(self, collection_id: str, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """Hashes of complete subtrees, of which every root and proof is made.

        Args:
            collection_id: of a channel collection.
            wanted: (level, position): the subtree over the leaves from `position << level` to
                `(position + 1) << level`; level 0 are the leaf hashes.
        """
        ...

    def log_time(self) -> int:
        """A time for a checkpoint, in seconds UTC: never below one that was given before.

        By any process of this database, also after a restart with a clock set back: a checkpoint
        of a later time and a smaller size would convict an honest log.

        Raises:
            StoreError: the disk fails, or the clock jumped.
        """
        ...

    def log_mark(self, collection_id: str) -> LogMark:
        """Size and time for a checkpoint, of one moment.

        `log_time` and `log_size` one after the other are not: another process could store, and
        give a checkpoint of its own, between the two. Raises as both.
        """
        ...

    def put_checkpoint(self, collection_id: str, row: CheckpointRow) -> None:
        """Keep a checkpoint, unless a better one of the same log is kept.

        The better one has the greater size; of one size that with a quorum; then the later time.
        """
        ...

    def checkpoint(self, collection_id: str) -> CheckpointRow | None:
        """The best checkpoint that was kept."""
        ...

    def verify_log(self, collection_id: str) -> int:
        """Recompute the tree, and compare leaves with objects; returns the number of leaves.

        Raises:
            VerificationError: a leaf or a node is missing or another, or an object has no leaf.
        """
        ...


class StatusStore(Protocol):
    """Status resources of posted envelopes."""

    def put_status(self, record: StatusRecord) -> None:
        """Keep a status; the same id again replaces it."""
        ...

    def get_status(self, status_id: str) -> StatusRecord | None:
        """Find a status."""
        ...

    def prune_statuses(self, before: int) -> int:
        """Drop statuses created before a time (seconds UTC); returns how many."""
        ...


class CollectionStore(Protocol):
    """Collections and who was granted what."""

    def create_collection(
        self,
        kind: Kind,
        title: str,
        *,
        owner_org: str,
        description: str | None = None,
        alias: str | None = None,
        inbox_of: str | None = None,
        collection_id: str | None = None,
    ) -> Collection:
        """Make a collection; its id is a new UUIDv4 unless given.

        Raises:
            InputError: no such organisation or channel collection, a malformed id or alias.
            ConflictError: the id or alias is taken.
        """
        ...

    def collection(self, id_or_alias: str) -> Collection | None:
        """Find a collection by id, else by alias."""
        ...

    def collections(self) -> list[Collection]:
        """All collections, oldest first."""
        ...

    def inbox(self, collection_id: str) -> Collection | None:
        """The inbox beside a channel collection."""
        ...

    def bind_channel(self, collection_id: str, channel_id: str) -> None:
        """Remember the channel that a collection carries; the same again is fine.

        Raises:
            ConflictError: it carries another, or another collection carries this one.
        """
        ...

    def set_ceiling(
        self, collection_id: str, ceiling: TLP | None, *, seen: int | None = None
    ) -> None:
        """Set the highest marking that a plain collection holds; readers are let in by it at once.

        Args:
            collection_id: of the collection.
            ceiling: None for any.
            seen: what was added up to then was looked through before; the rest is looked through
                while nobody stores there.
        Raises:
            ConflictError: something in it is marked higher; nothing is changed.
            InputError: no such plain collection.
        """
        ...

    def open_to_government(self, collection_id: str, *, opened: bool) -> None:
        """Let government readers that were granted a plain collection read it, or not."""
        ...

    def set_grant(
        self,
        collection_id: str,
        org_id: str,
        *,
        can_read: bool,
        can_write: bool,
        clearance: TLP | None = None,
    ) -> None:
        """Set what an organisation may do; neither removes the grant.

        With a `clearance` it reads the collection only while its ceiling is not above that.
        """
        ...

    def grant(self, collection_id: str, org_id: str) -> Grant | None:
        """What an organisation was granted in one collection."""
        ...

    def grants(self, collection_id: str) -> list[Grant]:
        """All grants of a collection."""
        ...

    def grants_of(self, org_id: str) -> dict[str, Grant]:
        """All grants of an organisation, by collection id."""
        ...


class AccountStore(Protocol):
    """Organisations, their tokens, and the channel members that they proved to be."""

    def create_org(self, name: str, *, government: bool = False) -> Org:
        """Make an organisation. Raises ConflictError when the name is taken."""
        ...

    def set_government(self, org_id: str, *, government: bool) -> None:
        """Say whether an organisation is a government's."""
        ...

    def org(self, id_or_name: str) -> Org | None:
        """Find an organisation by id, else by name."""
        ...

    def orgs(self) -> list[Org]:
        """All organisations, oldest first."""
        ...

    def disable_org(self, org_id: str, *, disabled: bool = True) -> None:
        """Bar an organisation (its tokens are no longer found), or let it in again."""
        ...

    def create_token(
        self,
        org_id: str,
        *,
        name: str = "",
        scopes: frozenset[str] = frozenset({"read", "write"}),
        expires: int | None = None,
        account_id: str | None = None,
    ) -> NewToken:
        """Make an API token; its text is returned once and never stored.

        Raises:
            InputError: no such organisation, or the account is not one of its.
        """
        ...

    def find_token(self, secret: str, *, now: int) -> Token | None:
        """The valid token with this text, or None: unknown, expired, revoked, org disabled.

        The comparison takes the same time whatever the secret's bytes.
        """
        ...

    def credential(self, secret: str, *, now: int) -> Credential | None:
        """What the valid token with this text stands for; None as of `find_token`, or its account
        is barred.

        One look-up, whose time does not depend on the secret's bytes.
        """
        ...

    def tokens(self, org_id: str | None = None) -> list[Token]:
        """Tokens of one or all organisations, oldest first, also those no longer valid."""
        ...

    def rotate_token(self, token_id: str, *, overlap: int, now: int) -> NewToken:
        """Replace a token; the old one stays valid for `overlap` more seconds.

        Raises:
            ConflictError: it was already replaced or revoked.
        """
        ...

    def revoke_token(self, token_id: str, *, now: int) -> None:
        """End a token at once; again is fine."""
        ...

    def bind_member(self, org_id: str, member: str, root_id: str) -> Binding:
        """Record that an organisation holds a member's root key; the same again is fine.

        Raises:
            ConflictError: another organisation holds it; the message names which.
        """
        ...

    def unbind_members(self, org_id: str) -> int:
        """Forget every member that an organisation proved to be; returns how many there were."""
        ...

    def bindings(self, org_id: str) -> list[Binding]:
        """Members that an organisation proved to be."""
        ...

    def binding(self, member: str, root_id: str) -> Binding | None:
        """Who proved to be a member with this root key."""
        ...

    def put_challenge(self, org_id: str, challenge: str, *, expires: int) -> None:
        """Keep a binding challenge (hex) for an organisation; expired ones are dropped."""
        ...

    def take_challenge(self, org_id: str, challenge: str, *, now: int) -> bool:
        """Use a challenge up: true once, if it is this organisation's and has not expired."""
        ...


class LoginStore(Protocol):
    """Accounts of organisations, and what they log in with besides tokens."""

    def create_account(
        self, org_id: str, name: str, kind: AccountKind, roles: frozenset[Role]
    ) -> Account:
        """Make an account.

        Raises:
            InputError: no such organisation, no role, an unusable name.
            ConflictError: the organisation has an account of this name.
        """
        ...

    def account(self, account_id: str) -> Account | None:
        """Find an account by id."""
        ...

    def accounts(self, org_id: str | None = None) -> list[Account]:
        """Accounts of one or all organisations, oldest first."""
        ...

    def set_roles(self, account_id: str, roles: frozenset[Role]) -> None:
        """Replace an account's roles; at least one."""
        ...

    def disable_account(self, account_id: str, *, disabled: bool = True) -> None:
        """Bar an account (none of its credentials is found), or let it in again."""
        ...

    def add_login(
        self,
        account_id: str,
        kind: LoginKind,
        subject: str,
        *,
        issuer: str = "",
        name: str = "",
        scopes: frozenset[str] = frozenset({"read", "write"}),
        expires: int | None = None,
    ) -> Login:
        """Bind a certificate or an OAuth subject to an account.

        Raises:
            InputError: no such account, or no such form of subject.
            ConflictError: it is bound already, to this account or another.
        """
        ...

    def logins(self, account_id: str | None = None) -> list[Login]:
        """Logins of one or all accounts, oldest first."""
        ...

    def remove_login(self, login_id: str) -> None:
        """Unbind a login at once."""
        ...

    def login(self, kind: LoginKind, issuer: str, subject: str, *, now: int) -> Credential | None:
        """What a login stands for, or None: unknown, expired, its account or organisation barred.

        Who asks has verified that the client holds it.
        """
        ...


class BreakGlassStore(Protocol):
    """Requests of administrators to read what they may not."""

    def request_glass(
        self, credential: Credential, collections: frozenset[str], *, reason: str, seconds: int
    ) -> BreakGlass:
        """Note a request, and which credentials of other administrators there are to approve it.

        Like approval and end it is in the audit log by the same commit, a line a collection.

        Raises:
            InputError: not an administrator that is a person, no such collection, no reason, or
                more than `BREAK_GLASS_SECONDS`.
            ConflictError: there is nobody else to approve it.
        """
        ...

    def approve_glass(
        self,
        glass_id: str,
        credential: Credential,
        *,
        now: int,
        concerns: Mapping[str, frozenset[str]],
    ) -> BreakGlass:
        """Open the glass for its account, from now.

        Args:
            glass_id: of the request.
            credential: whose holder approves.
            now: seconds UTC.
            concerns: of each collection, the organisations that are told.
        Raises:
            InputError: no such request.
            AccessError: not a person of another account that is an administrator, or its credential
                was not there when the request was made.
            ConflictError: it is open, ended, or older than `BREAK_GLASS_WAIT`.
        """
        ...

    def end_glass(
        self,
        glass_id: str,
        credential: Credential | None,
        *,
        now: int,
        concerns: Mapping[str, frozenset[str]],
    ) -> BreakGlass:
        """Close it at once, or refuse the request; again is fine."""
        ...

    def glasses(self) -> list[BreakGlass]:
        """Every request, oldest first."""
        ...

    def open_glass(self, account_id: str, collection_id: str, *, now: int) -> str | None:
        """Id of an open break-glass by which an account may read a collection."""
        ...


class AuditStore(Protocol):
    """The append-only, hash-chained log of who did what."""

    def audit(
        self,
        event: str,
        *,
        org_id: str | None = None,
        token_id: str | None = None,
        collection_id: str | None = None,
        detail: Mapping[str, str] | None = None,
        concerns: frozenset[str] = frozenset(),
    ) -> AuditRow:
        """Append a line. `detail` must hold no secrets and no contents.

        It is shown to the organisations that it `concerns`, whose ids stand in its detail under
        that name.
        """
        ...

    def audit_all(self, notes: Sequence[AuditNote]) -> list[AuditRow]:
        """Append several lines in one transaction; durable on return."""
        ...

    def audit_concerning(self, org_id: str, *, after: int = 0, limit: int = 1000) -> list[AuditRow]:
        """Lines with a greater `seq` that concern an organisation, in order."""
        ...

    def audit_rows(self, *, after: int = 0, limit: int = 1000) -> list[AuditRow]:
        """Lines with a greater `seq`, in order."""
        ...

    def verify_audit(self) -> int:
        """Recompute the chain; returns the number of rows.

        Raises:
            VerificationError: a row was changed, removed or put in; `where` names it.
        """
        ...


class Store(
    ObjectStore,
    HintStore,
    LogStore,
    StatusStore,
    CollectionStore,
    AccountStore,
    LoginStore,
    BreakGlassStore,
    AuditStore,
    Protocol,
):
    """All of a hub's state."""

    @property
    def epoch(self) -> str:
        """Incarnation of the data, 16 hex digits; a restore changes it."""
        ...

    def changes(self) -> int | None:
        """A number that is another after any commit by any process; None where that costs a trip.

        Only compared with what the same store gave before. Raises StoreError.
        """
        ...

    @property
    def remote(self) -> bool:
        """Whether a call costs a network round trip: then it does not belong on an event loop."""
        ...

    def ping(self) -> None:
        """Raise StoreError unless the store can be read."""
        ...

    def backup(self, path: Path) -> None:
        """Write a consistent copy while others read and write.

        Raises:
            StoreError: the target exists or cannot be written.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections; again is fine."""
        ...
