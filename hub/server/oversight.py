"""Reads that somebody else is told of: those of governments, and those behind broken glass.

They are in the audit log before they are answered. A government's read of a plain collection
concerns its owner and whoever was granted to write there; of a channel, each sender of a message
that is detail, by the organisation bound to it, or the collection's owner where none is bound. What
an administrator reads behind broken glass concerns everybody who publishes there.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hub.channel import carriage
from hub.channel.header import Audience, Header, parse_message
from hub.errors import InputError, VerificationError
from hub.model import codec
from hub.server.admission import Admission
from hub.server.policy import Principal
from hub.server.recorder import Recorder
from hub.store.interface import Store
from hub.store.records import AuditNote, AuditRow, Collection, Entry, Kind, Row
from hub.taxii.times import to_text

GOVERNMENT_READ: Final = "government.read"
GLASS_READ: Final = "break-glass.read"
_LISTED_IDS: Final = 10
_DETAIL: Final = frozenset({Audience.DETAIL, Audience.DIRECT})


@dataclass(frozen=True, slots=True)
class Watch:
    """Why a read is recorded; `glass` is the id of the break-glass, None for a government's."""

    glass: str | None = None


class Oversight:
    """Finds out who must learn of a read, and notes it.

    Args:
        store: accounts and grants.
        admission: whose messages a channel carries.
        recorder: writes the lines.
    """

    def __init__(self, store: Store, admission: Admission, recorder: Recorder) -> None:
        self._store = store
        self._admission = admission
        self._recorder = recorder

    def notes(
        self,
        principal: Principal,
        collection: Collection,
        watch: Watch,
        what: str,
        rows: Sequence[Row | Entry],
    ) -> list[AuditNote]:
        """The lines about one answer; none when nobody must learn of it."""
        if not rows:
            return []
        if watch.glass is not None:
            about = {"glass": watch.glass, "account": principal.account_id or ""}
            return [
                self._note(
                    GLASS_READ,
                    principal,
                    collection,
                    what,
                    rows,
                    self.publishers(collection),
                    about,
                )
            ]
        if collection.kind is not Kind.CHANNEL:
            concerned = self.publishers(collection) - {principal.org_id}
            return [self._note(GOVERNMENT_READ, principal, collection, what, rows, concerned, {})]
        return [
            self._note(GOVERNMENT_READ, principal, collection, what, sent, frozenset({org}), {})
            for org, sent in sorted(self._by_sender(collection, rows).items())
            if org != principal.org_id
        ]

    async def record(self, notes: Sequence[AuditNote]) -> None:
        """Wait until lines are durable. Raises StoreError, BusyError."""
        if notes:
            await asyncio.wrap_future(self._recorder.submit(notes))

    def publishers(self, collection: Collection) -> frozenset[str]:
        """See `publishers`."""
        return publishers(self._store, self._admission, collection)

    def lines(self, principal: Principal, after: int, limit: int) -> list[dict[str, object]]:
        """Lines that concern the principal's organisation, as it is shown them.

        Of what another did it learns what was done to it and by which organisation, not with which
        credential, and not who else is told.
        """
        names: dict[str, str | None] = {}
        return [
            self._view(row, principal, names)
            for row in self._store.audit_concerning(principal.org_id, after=after, limit=limit)
        ]

    def _view(
        self, row: AuditRow, principal: Principal, names: dict[str, str | None]
    ) -> dict[str, object]:
        if row.org_id is not None and row.org_id not in names:
            found = self._store.org(row.org_id)
            names[row.org_id] = None if found is None else found.name
        own = row.org_id == principal.org_id
        hidden = {"concerns"} if own else {"concerns", "by"}
        detail = {name: text for name, text in row.detail.items() if name not in hidden}
        if own and row.token_id is not None:
            detail["credential"] = row.token_id
        return {
            "seq": row.seq,
            "time": row.time,
            "event": row.event,
            "organization": None if row.org_id is None else names[row.org_id],
            "collection": row.collection_id,
            "detail": detail,
            "hash": row.hash.hex(),
        }

    def _by_sender(
        self, collection: Collection, rows: Sequence[Row | Entry]
    ) -> dict[str, list[Row | Entry]]:
        """Rows that carry detail, by the organisation that sent them.

        Of a manifest's rows nothing is known but the id: its reader learns no detail.
        """
        channel = self._admission.channel(collection.id)
        found: dict[str, list[Row | Entry]] = defaultdict(list)
        for row in rows:
            header = _header(row)
            if channel is None or header is None or header.aud not in _DETAIL:
                continue
            card = None if header.pub is None else channel.card_of_key(header.pub)
            senders = [] if card is None else [(card.member, card.root_id)]
            # A member without an organisation here has its messages posted by an owner.
            for org in orgs_of(self._store, senders) or {collection.owner_org}:
                found[org].append(row)
        return found

    def _note(
        self,
        event: str,
        principal: Principal,
        collection: Collection,
        what: str,
        rows: Sequence[Row | Entry],
        concerns: frozenset[str],
        more: dict[str, str],
    ) -> AuditNote:
        detail = {
            "what": what,
            "objects": str(len(rows)),
            "first": to_text(rows[0].date_added),
            "last": to_text(rows[-1].date_added),
            **more,
        }
        if len(rows) <= _LISTED_IDS:
            detail["ids"] = " ".join(row.id for row in rows)
        return AuditNote(
            event, principal.org_id, principal.token_id, collection.id, detail, concerns
        )


def publishers(store: Store, admission: Admission, collection: Collection) -> frozenset[str]:
    """Organisations that publish in a collection, and its owner."""
    found = {collection.owner_org}
    found |= {one.org_id for one in store.grants(collection.id) if one.can_write}
    channel = collection.id if collection.kind is Kind.CHANNEL else collection.inbox_of
    roster = None if channel is None else admission.roster(channel)
    if roster is not None:
        found |= orgs_of(store, roster.members)
    return frozenset(found)


def orgs_of(store: Store, members: Iterable[tuple[str, str]]) -> set[str]:
    """Organisations bound to members, given as (member, root)."""
    bindings = (store.binding(member, root) for member, root in members)
    return {one.org_id for one in bindings if one is not None}


def _header(row: Row | Entry) -> Header | None:
    if not isinstance(row, Row):
        return None
    try:
        return parse_message(carriage.from_artifact(codec.loads(row.raw))).header
    except (InputError, VerificationError):
        return None
