"""Rows of a manifest: members with their roles, and keys that were removed.

Source: schemas/channel-v1.md, "Manifest".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hub.channel.fields import Fields, check_ascending, is_member
from hub.channel.primitives.hash import is_hash
from hub.errors import InputError
from hub.model.codec import Json

MAX_MEMBERS: Final = 1_000
MAX_REMOVED: Final = 8_192


class Role(StrEnum):
    """What a member may do; an owner is a member whose root id is in `owners`."""

    PUBLISH = "publish"
    REPORT = "report"
    READ = "read"
    LIAISON = "liaison"


WRITING: Final = frozenset({Role.PUBLISH, Role.REPORT})


@dataclass(frozen=True)
class Member:
    """One row of a manifest.

    Args:
        member: STIX id of the member's identity.
        root: id of its root.
        card: hash of its card.
        roles: `publish` needs `read`; `report` needs `read` or `liaison`; `liaison` excludes both
            `read` and `publish`.
    Raises:
        InputError: the roles contradict each other, or an id is not one.
    """

    member: str
    root: str
    card: str
    roles: frozenset[Role]

    def __post_init__(self) -> None:
        where = f"manifest.members[{self.member}]"
        if not (is_member(self.member) and is_hash(self.root) and is_hash(self.card)):
            raise InputError("a member id and two hashes are expected", where=where)
        reads, liaison = Role.READ in self.roles, Role.LIAISON in self.roles
        if Role.PUBLISH in self.roles and not reads:
            raise InputError("`publish` needs `read`", where=where)
        if liaison and reads:
            raise InputError("`liaison` excludes `read`", where=where)
        if Role.REPORT in self.roles and not (reads or liaison):
            raise InputError("`report` needs `read` or `liaison`", where=where)
        if not self.roles:
            raise InputError("at least one role is needed", where=where)

    def to_json(self) -> Json:
        """The row with its exact key set."""
        return {
            "member": self.member,
            "root": self.root,
            "card": self.card,
            "roles": sorted(str(role) for role in self.roles),
        }


@dataclass(frozen=True)
class Removed:
    """A signing key that publishes no more, and the last message of it that counts.

    Args:
        key: signing key id.
        seq: position of its last message; 0 if it never published.
        hash: digest of that message; None if it never published.
    """

    key: str
    seq: int
    hash: str | None

    def to_json(self) -> Json:
        """The row with its exact key set."""
        return {"key": self.key, "seq": self.seq, "hash": self.hash}


def parse_members(fields: Fields) -> tuple[Member, ...]:
    members = []
    for number, value in enumerate(fields.array("members", most=MAX_MEMBERS)):
        row = Fields(value, f"manifest.members[{number}]", ("member", "root", "card", "roles"))
        roles = row.array("roles", most=len(Role))
        if not all(isinstance(role, str) and role in set(Role) for role in roles):
            raise InputError(f"roles are {[str(role) for role in Role]}", where=row.at("roles"))
        check_ascending(roles, row.at("roles"))
        members.append(
            Member(
                member=row.member("member"),
                root=row.hash("root"),
                card=row.hash("card"),
                roles=frozenset(Role(role) for role in roles),
            )
        )
    check_ascending([member.member for member in members], "manifest.members")
    return tuple(members)


def parse_removed(fields: Fields) -> tuple[Removed, ...]:
    removed = []
    for number, value in enumerate(fields.array("removed", most=MAX_REMOVED)):
        row = Fields(value, f"manifest.removed[{number}]", ("key", "seq", "hash"))
        final = Removed(row.hash("key"), row.integer("seq"), row.optional_hash("hash"))
        if (final.seq == 0) != (final.hash is None):
            raise InputError("exactly a key that never published has none", where=row.at("hash"))
        removed.append(final)
    check_ascending([final.key for final in removed], "manifest.removed")
    return tuple(removed)
