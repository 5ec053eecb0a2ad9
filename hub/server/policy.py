"""Who may do what: one pure function, default deny.

The function sees the principal, the action and, where one is concerned, the collection as that
principal stands to it. It reads nothing else: no clock, no store, no request. A test generates the
whole matrix from the route table and compares it with an independent statement of these rules.

A request passes when all of these hold: the account has a role that does such things at all; its
credential is good for it; and its organisation stands to the collection as the action needs, by
grant, manifest or ownership, within the ceiling of its clearance, and, if it is a government's, by
the owner's opt-in. Administrators pass nothing of this by: an open break-glass lets one read the
collections that it names, and do nothing else.

What is hidden answers 404, as TAXII 2.1 (sections 5.2 to 5.8) allows, so that an outsider cannot
tell a collection that it may not see from one that does not exist. What the principal may know of
but not do answers 403.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, assert_never

from hub.model.markings import TLP
from hub.store.records import ORDINARY_ROLES, Credential, Kind, Role


class Action(Enum):
    """Everything that a route can ask for."""

    DISCOVER = "discover"
    API_ROOT = "api-root"
    ABOUT = "about"
    BIND = "bind"
    STATUS = "status"
    LIST = "list"
    VIEW = "view"
    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    LOG = "log"
    ENTRIES = "entries"
    AUDIT = "audit"
    EVENTS = "events"
    SNAPSHOT = "snapshot"


class Decision(Enum):
    """The answer; all but `ALLOW` end the request."""

    ALLOW = "allow"
    AUTHENTICATE = "authenticate"
    FORBID = "forbid"
    HIDE = "hide"


class Via(StrEnum):
    """What a principal logged in with."""

    TOKEN = "token"
    CERTIFICATE = "certificate"
    OAUTH = "oauth"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated account of an organisation.

    Args:
        org_id: the hub's id of the organisation.
        token_id: which of its credentials it used; for the audit log only.
        scopes: what the credential is good for, a subset of read and write.
        account_id: the account, None for a token that belongs to none.
        roles: what the account is for.
        government: the organisation is a government's.
        via: the kind of credential.
    """

    org_id: str
    token_id: str
    scopes: frozenset[str] = frozenset({"read", "write"})
    account_id: str | None = None
    roles: frozenset[Role] = ORDINARY_ROLES
    government: bool = False
    via: Via = Via.TOKEN


@dataclass(frozen=True, slots=True)
class Standing:
    """A collection as one principal stands to it.

    Args:
        kind: plain, channel or inbox.
        owner: the principal's organisation owns the collection or, of an inbox, is bound to an
            owner in the channel's present manifest.
        can_read: granted by the owner; plain collections only.
        can_write: likewise.
        bound: a channel's genesis manifest has been accepted.
        member: the organisation is bound to a member of the channel's present manifest.
        ceiling: the highest marking that a plain collection may hold, None for any.
        clearance: the highest ceiling that the grant reaches, None for any.
        opened: the owner of a plain collection opened it to government readers.
        glass: the account has an open break-glass for the collection.
    """

    kind: Kind
    owner: bool = False
    can_read: bool = False
    can_write: bool = False
    bound: bool = False
    member: bool = False
    ceiling: TLP | None = None
    clearance: TLP | None = None
    opened: bool = False
    glass: bool = False


@dataclass(frozen=True, slots=True)
class Rights:
    """What a standing amounts to; `read` and `write` are TAXII's `can_read` and `can_write`."""

    read: bool
    write: bool
    delete: bool

    @property
    def any(self) -> bool:
        """Whether the collection may be known to the principal at all."""
        return self.read or self.write


_EVERYBODY: Final = frozenset(Role)
_MEMBERS: Final = frozenset({Role.PUBLISHER, Role.SUBSCRIBER, Role.LIAISON})
_POSTERS: Final = ORDINARY_ROLES
_ROLES: Final[Mapping[Action, frozenset[Role]]] = {
    Action.DISCOVER: _EVERYBODY,
    Action.API_ROOT: _EVERYBODY,
    Action.ABOUT: _EVERYBODY,
    Action.BIND: _POSTERS,
    Action.STATUS: _POSTERS,
    Action.LIST: _EVERYBODY - {Role.WITNESS},
    Action.VIEW: _EVERYBODY - {Role.WITNESS},
    Action.READ: _MEMBERS,
    Action.WRITE: _POSTERS,
    Action.DELETE: _POSTERS,
    Action.LOG: _MEMBERS | {Role.WITNESS},
    Action.ENTRIES: _MEMBERS,
    Action.AUDIT: frozenset({Role.PUBLISHER, Role.STEWARD}),
    Action.EVENTS: _MEMBERS,
    Action.SNAPSHOT: _MEMBERS,
}
"""The roles that do such things at all; an action that is not here is nobody's."""

_OPEN_ACTIONS: Final = frozenset(
    {
        Action.DISCOVER,
        Action.API_ROOT,
        Action.ABOUT,
        Action.BIND,
        Action.STATUS,
        Action.LIST,
        Action.AUDIT,
    }
)

_SCOPE: Final = {
    Action.READ: "read",
    Action.LOG: "read",
    Action.ENTRIES: "read",
    Action.AUDIT: "read",
    Action.EVENTS: "read",
    Action.SNAPSHOT: "read",
    Action.WRITE: "write",
    Action.DELETE: "write",
    Action.BIND: "write",
}
"""The scope of a credential that an action needs, where it needs one."""


def rights(standing: Standing, *, government: bool = False) -> Rights:
    """The rights that a standing gives an organisation, whatever the account.

    A plain collection follows its grants: a reader needs one that reaches the collection's ceiling,
    and a government's the owner's opt-in besides, unless it owns the collection itself. An inbox
    takes letters from every organisation and shows them to its owner and the channel's owners only.
    A channel belongs to its owner until a genesis manifest is accepted, and to the manifest's
    members after that; the owner keeps reading, which shows it ciphertext only.
    Protocol messages form hash chains, so of a channel only that may be deleted which a tombstone
    names; whether one does is asked of the channel, not here.
    """
    if standing.kind is Kind.PLAIN:
        read = standing.can_read and _cleared(standing)
        read = read and (not government or standing.opened or standing.owner)
        write = standing.can_write
        return Rights(read=read, write=write, delete=read and write)
    if standing.kind is Kind.INBOX:
        return Rights(read=standing.owner, write=True, delete=standing.owner)
    if standing.kind is Kind.CHANNEL:
        involved = standing.owner or (standing.bound and standing.member)
        return Rights(read=involved, write=involved, delete=involved)
    assert_never(standing.kind)


def _cleared(standing: Standing) -> bool:
    if standing.clearance is None:
        return True
    # Without a ceiling it may hold anything, so it is beyond whoever has a clearance at all.
    return standing.ceiling is not None and standing.ceiling <= standing.clearance


def effective(principal: Principal, standing: Standing) -> Rights:
    """The rights of a standing, cut down to what the account and its credential are good for."""
    return Rights(
        read=decide(principal, Action.READ, standing) is Decision.ALLOW,
        write=decide(principal, Action.WRITE, standing) is Decision.ALLOW,
        delete=decide(principal, Action.DELETE, standing) is Decision.ALLOW,
    )


def decide(principal: Principal | None, action: Action, standing: Standing | None) -> Decision:
    """Whether `principal` may do `action`.

    Args:
        principal: None for a request without valid credentials.
        standing: None where the action concerns no collection, or where it does not exist.
    """
    if principal is None:
        return Decision.AUTHENTICATE
    scope = _SCOPE.get(action)
    in_scope = scope is None or scope in principal.scopes
    in_role = not principal.roles.isdisjoint(_ROLES.get(action, frozenset()))
    if action in _OPEN_ACTIONS:
        return Decision.ALLOW if in_scope and in_role else Decision.FORBID
    if standing is None:
        return Decision.HIDE
    held = rights(standing, government=principal.government)
    through = _passes_by(principal, standing)
    if not held.any and Action.VIEW not in through and action not in through:
        return Decision.HIDE
    stands = in_role and _stands(principal, action, standing, held)
    allowed = in_scope and (stands or action in through)
    return Decision.ALLOW if allowed else Decision.FORBID


_BEHIND_GLASS: Final = frozenset({Action.VIEW, Action.READ})
_CHANNEL_BEHIND_GLASS: Final = _BEHIND_GLASS | {Action.LOG, Action.ENTRIES}


def _passes_by(principal: Principal, standing: Standing) -> frozenset[Action]:
    """What an account may do with a collection to which its organisation stands in no way."""
    logged = standing.kind is Kind.CHANNEL and standing.bound
    if Role.ADMIN in principal.roles and standing.glass:
        return _CHANNEL_BEHIND_GLASS if logged else _BEHIND_GLASS
    if Role.WITNESS in principal.roles and logged:
        return frozenset({Action.LOG})
    return frozenset()


def _stands(principal: Principal, action: Action, standing: Standing, held: Rights) -> bool:
    logged = held.read and standing.kind is Kind.CHANNEL and standing.bound
    if action in (Action.WRITE, Action.DELETE):
        # Of a channel or an inbox, signatures decide what a subscriber's posts are worth.
        posts = Role.PUBLISHER in principal.roles or standing.kind is not Kind.PLAIN
        return posts and (held.write if action is Action.WRITE else held.delete)
    return {
        Action.VIEW: held.any,
        Action.READ: held.read,
        Action.EVENTS: held.read,
        # Which messages a government reads is on record, which frames cannot show.
        Action.SNAPSHOT: held.read and not principal.government,
        Action.LOG: logged,
        Action.ENTRIES: logged,
    }.get(action, False)


_GIVEN_BY_STEWARDS: Final = frozenset({Role.PUBLISHER, Role.SUBSCRIBER, Role.LIAISON, Role.STEWARD})


def manages(credential: Credential, org_id: str, roles: frozenset[Role] = frozenset()) -> bool:
    """Whether who holds a credential may manage an organisation's accounts, tokens and grants.

    An administrator manages every organisation's, a steward those of its own; of the accounts that
    only administrators make (`admin` and `witness`) a steward touches none.

    Args:
        credential: of who asks; it must be good for writing.
        org_id: the organisation.
        roles: that the account in question has, or shall have.
    """
    if "write" not in credential.scopes:
        return False
    if Role.ADMIN in credential.roles:
        return True
    own = Role.STEWARD in credential.roles and credential.org_id == org_id
    return own and roles <= _GIVEN_BY_STEWARDS
