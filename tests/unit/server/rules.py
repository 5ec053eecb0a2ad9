"""The rules of access, stated a second time, from the documentation and not from `policy`.

A place is a collection as an organisation stands to it: `letters` are what it may do there (read,
write), `government` what a government's may. The tables say what each role makes of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hub.model.markings import TLP
from hub.server.policy import Action, Decision, Principal, Standing
from hub.store.records import Kind, Role

READS = {Action.VIEW, Action.READ, Action.EVENTS, Action.SNAPSHOT}
BY_LETTERS = {
    "": set[Action](),
    "r": READS,
    "w": {Action.VIEW, Action.WRITE},
    "rw": READS | {Action.WRITE, Action.DELETE},
}
EVERYTHING = set(Action)
READING = READS | {Action.LOG, Action.ENTRIES}
# role -> kind of collection -> what such an account ever does there.
DOES: dict[Role, dict[Kind, set[Action]]] = {
    Role.PUBLISHER: dict.fromkeys(Kind, EVERYTHING),
    Role.SUBSCRIBER: {
        Kind.PLAIN: READING,
        Kind.CHANNEL: EVERYTHING,
        Kind.INBOX: EVERYTHING,
    },
    Role.LIAISON: dict.fromkeys(Kind, READING),
    Role.STEWARD: {key: {Action.VIEW} for key in Kind},
    Role.WITNESS: {key: set() for key in Kind},
    Role.ADMIN: {key: {Action.VIEW} for key in Kind},
}
PLAIN_PUBLIC = {Action.DISCOVER, Action.API_ROOT, Action.ABOUT}
# What concerns no collection.
OPEN: dict[Role, set[Action]] = {
    Role.PUBLISHER: PLAIN_PUBLIC | {Action.LIST, Action.STATUS, Action.BIND, Action.AUDIT},
    Role.SUBSCRIBER: PLAIN_PUBLIC | {Action.LIST, Action.STATUS, Action.BIND},
    Role.LIAISON: PLAIN_PUBLIC | {Action.LIST},
    Role.STEWARD: PLAIN_PUBLIC | {Action.LIST, Action.AUDIT},
    Role.WITNESS: PLAIN_PUBLIC,
    Role.ADMIN: PLAIN_PUBLIC | {Action.LIST},
}
CONCERN_NO_COLLECTION = set.union(*OPEN.values())
NEEDS_READ = (READING - {Action.VIEW}) | {Action.AUDIT}
NEEDS_WRITE = {Action.WRITE, Action.DELETE, Action.BIND}


@dataclass(frozen=True)
class Place:
    """A collection as somebody stands to it; without a standing there is none."""

    standing: Standing | None
    letters: str = ""
    government: str = ""

    @property
    def logged(self) -> bool:
        found = self.standing
        return found is not None and found.kind is Kind.CHANNEL and found.bound


def _plain(letters: str, government: str, granted: str | None = None, **more: Any) -> Place:
    given = letters if granted is None else granted
    standing = Standing(Kind.PLAIN, can_read="r" in given, can_write="w" in given, **more)
    return Place(standing, letters, government)


PLACES: dict[str, Place] = {
    "missing": Place(None),
    "plain: nothing": _plain("", ""),
    "plain: read": _plain("r", ""),
    "plain: write": _plain("w", "w"),
    "plain: both": _plain("rw", "w"),
    "plain: owner": _plain("rw", "rw", owner=True),
    "plain: owner without grant": _plain("", "", owner=True),
    "plain: read, opened": _plain("r", "r", opened=True),
    "plain: both, opened": _plain("rw", "rw", opened=True),
    "plain: nothing, opened": _plain("", "", opened=True),
    "plain: read, cleared": _plain("r", "", ceiling=TLP.GREEN, clearance=TLP.AMBER),
    "plain: read, just cleared": _plain("r", "", ceiling=TLP.AMBER, clearance=TLP.AMBER),
    "plain: read, not cleared": _plain("", "", "r", ceiling=TLP.RED, clearance=TLP.AMBER),
    "plain: both, not cleared": _plain("w", "w", "rw", ceiling=TLP.RED, clearance=TLP.GREEN),
    "plain: read, cleared, no ceiling": _plain("", "", "r", clearance=TLP.RED),
    "plain: opened, not cleared": _plain(
        "", "", "r", ceiling=TLP.RED, clearance=TLP.GREEN, opened=True
    ),
    "plain: broken glass": _plain("", "", glass=True),
    "plain: read, broken glass": _plain("r", "", glass=True),
    "channel: unbound, stranger": Place(Standing(Kind.CHANNEL)),
    "channel: unbound, owner": Place(Standing(Kind.CHANNEL, owner=True), "rw", "rw"),
    "channel: unbound, member": Place(Standing(Kind.CHANNEL, member=True)),
    "channel: stranger": Place(Standing(Kind.CHANNEL, bound=True)),
    "channel: member": Place(Standing(Kind.CHANNEL, bound=True, member=True), "rw", "rw"),
    "channel: owner": Place(Standing(Kind.CHANNEL, bound=True, owner=True), "rw", "rw"),
    "channel: broken glass": Place(Standing(Kind.CHANNEL, bound=True, glass=True)),
    "channel: unbound, broken glass": Place(Standing(Kind.CHANNEL, glass=True)),
    "inbox: stranger": Place(Standing(Kind.INBOX), "w", "w"),
    "inbox: owner": Place(Standing(Kind.INBOX, owner=True), "rw", "rw"),
    "inbox: broken glass": Place(Standing(Kind.INBOX, glass=True), "w", "w"),
}


def expected(principal: Principal | None, action: Action, place: Place) -> Decision:
    """The documented answer."""
    if principal is None:
        return Decision.AUTHENTICATE
    good = principal.scopes
    in_scope = not (action in NEEDS_READ and "read" not in good) and not (
        action in NEEDS_WRITE and "write" not in good
    )
    if action in CONCERN_NO_COLLECTION:
        does = any(action in OPEN[role] for role in principal.roles)
        return Decision.ALLOW if does and in_scope else Decision.FORBID
    if place.standing is None:
        return Decision.HIDE
    extra = _without_standing(principal, place)
    letters = place.government if principal.government else place.letters
    if not letters and action not in extra and Action.VIEW not in extra:
        return Decision.HIDE
    can = set(BY_LETTERS[letters])
    if place.logged and "r" in letters:
        can |= {Action.LOG, Action.ENTRIES}
    if principal.government:
        # A snapshot is not recorded object by object.
        can -= {Action.SNAPSHOT}
    kind = place.standing.kind
    does = any(action in DOES[role][kind] for role in principal.roles)
    return (
        Decision.ALLOW
        if in_scope and ((does and action in can) or action in extra)
        else Decision.FORBID
    )


def _without_standing(principal: Principal, place: Place) -> set[Action]:
    """What an account may do where its organisation has no part."""
    assert place.standing is not None
    found: set[Action] = set()
    if Role.ADMIN in principal.roles and place.standing.glass:
        found |= {Action.VIEW, Action.READ}
        found |= {Action.LOG, Action.ENTRIES} if place.logged else set()
    elif Role.WITNESS in principal.roles and place.logged:
        found |= {Action.LOG}
    return found
