"""How principals stand to collections, put together for the policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from hub.server.admission import Admission
from hub.server.calls import NotHereError, on_event_loop
from hub.server.oversight import Watch
from hub.server.policy import Action, Decision, Principal, Standing, decide
from hub.server.remembered import Remembered
from hub.store.interface import Store
from hub.store.records import Collection, Grant, Kind, Position, Role

_ENDED: Final = "ended"


class Standings:
    """Asks grants, manifests, bindings and broken glass.

    Args:
        store: where they are.
        remembered: what was looked up in it before.
        admission: who is in which channel.
        now: wall clock in whole seconds UTC.
    """

    def __init__(
        self,
        store: Store,
        remembered: Remembered,
        admission: Admission,
        *,
        now: Callable[[], int],
    ) -> None:
        self._store = store
        self._remembered = remembered
        self._admission = admission
        self._now = now

    def of(
        self,
        principal: Principal,
        collection: Collection,
        grant: Grant | None,
        position: Position | None = None,
    ) -> Standing:
        """How a principal stands to a collection.

        Args:
            principal: who asks.
            collection: what it asks for.
            grant: its organisation's.
            position: of the collection, if it was looked up just now.
        Raises:
            NotHereError: it takes longer than an event loop may stand still.
        """
        owner = collection.owner_org == principal.org_id
        glass = self._glass(principal, collection) is not None
        if collection.kind is Kind.INBOX and not owner and collection.inbox_of is not None:
            # Whoever owns the channel answers those who ask to join it.
            asked = self._admission.roster(collection.inbox_of)
            bindings = self._remembered.bindings(principal.org_id)
            owner = asked is not None and asked.owned_by(bindings)
        if collection.kind is not Kind.CHANNEL:
            return Standing(
                kind=collection.kind,
                owner=owner,
                can_read=grant is not None and grant.can_read,
                can_write=grant is not None and grant.can_write,
                ceiling=collection.ceiling,
                clearance=None if grant is None else grant.clearance,
                opened=collection.government,
                glass=glass,
            )
        roster = self._admission.roster(collection.id, position)
        member = roster is not None and roster.holds(self._remembered.bindings(principal.org_id))
        return Standing(
            Kind.CHANNEL, owner=owner, bound=roster is not None, member=member, glass=glass
        )

    def watch(
        self, principal: Principal, collection: Collection, standing: Standing
    ) -> Watch | None:
        """Whether somebody must be told of what the principal reads there."""
        if standing.glass:
            without = replace(standing, glass=False)
            if decide(principal, Action.READ, without) is not Decision.ALLOW:
                # It may have ended since a moment ago; the read is one behind glass all the same.
                return Watch(self._glass(principal, collection) or _ENDED)
        own = collection.owner_org == principal.org_id
        return Watch() if principal.government and not own else None

    def _glass(self, principal: Principal, collection: Collection) -> str | None:
        """Id of the break-glass by which an administrator may read a collection now."""
        if Role.ADMIN not in principal.roles or principal.account_id is None:
            return None
        if self._store.remote and on_event_loop():
            raise NotHereError
        return self._store.open_glass(principal.account_id, collection.id, now=self._now())
