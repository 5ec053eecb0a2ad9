"""Who may do what: one pure function, default deny.

The function sees the principal, the action and, where one is concerned, the collection as that
principal stands to it. It reads nothing else: no clock, no store, no request. A test generates the
whole matrix from the route table and compares it with an independent statement of these rules.

What is hidden answers 404, as TAXII 2.1 (sections 5.2 to 5.8) allows, so that an outsider cannot
tell a collection that it may not see from one that does not exist. What the principal may know of
but not do answers 403.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, assert_never

from hub.store.records import Kind


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


class Decision(Enum):
    """The answer; all but `ALLOW` end the request."""

    ALLOW = "allow"
    AUTHENTICATE = "authenticate"
    FORBID = "forbid"
    HIDE = "hide"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated organisation.

    Args:
        org_id: the hub's id of the organisation.
        token_id: which of its tokens it used; for the audit log only.
        scopes: what the token is good for, a subset of read and write.
    """

    org_id: str
    token_id: str
    scopes: frozenset[str] = frozenset({"read", "write"})


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
    """

    kind: Kind
    owner: bool = False
    can_read: bool = False
    can_write: bool = False
    bound: bool = False
    member: bool = False


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


_OPEN_ACTIONS = frozenset(
    {Action.DISCOVER, Action.API_ROOT, Action.ABOUT, Action.BIND, Action.STATUS, Action.LIST}
)


def rights(standing: Standing) -> Rights:
    """The rights that a standing gives.

    A plain collection follows its grants. An inbox takes letters from every organisation and shows
    them to its owner and the channel's owners only. A channel belongs to its owner until a genesis
    manifest is accepted, and to the manifest's members after that; the owner keeps reading, which
    shows it ciphertext only.
    Protocol messages form hash chains, so of a channel only that may be deleted which a tombstone
    names; whether one does is asked of the channel, not here.
    """
    if standing.kind is Kind.PLAIN:
        read, write = standing.can_read, standing.can_write
        return Rights(read=read, write=write, delete=read and write)
    if standing.kind is Kind.INBOX:
        return Rights(read=standing.owner, write=True, delete=standing.owner)
    if standing.kind is Kind.CHANNEL:
        involved = standing.owner or (standing.bound and standing.member)
        return Rights(read=involved, write=involved, delete=involved)
    assert_never(standing.kind)


def effective(principal: Principal, standing: Standing) -> Rights:
    """The rights of a standing, cut down to what the principal's token is good for."""
    held = rights(standing)
    return Rights(
        read=held.read and "read" in principal.scopes,
        write=held.write and "write" in principal.scopes,
        delete=held.delete and "write" in principal.scopes,
    )


_SCOPE: Final = {
    Action.READ: "read",
    Action.LOG: "read",
    Action.WRITE: "write",
    Action.DELETE: "write",
    Action.BIND: "write",
}
"""The token scope that an action needs, where it needs one."""


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
    if action in _OPEN_ACTIONS:
        return Decision.ALLOW if in_scope else Decision.FORBID
    if standing is None:
        return Decision.HIDE
    held = rights(standing)
    if not held.any:
        return Decision.HIDE
    allowed = in_scope and {
        Action.VIEW: held.any,
        Action.READ: held.read,
        Action.WRITE: held.write,
        Action.DELETE: held.delete,
        Action.LOG: held.read and standing.kind is Kind.CHANNEL and standing.bound,
    }.get(action, False)
    return Decision.ALLOW if allowed else Decision.FORBID
