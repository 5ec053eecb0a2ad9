"""What the next version of a manifest changes, in words for the people who sign it.

Source: schemas/channel-v1.md, "Manifest" and "Proposals".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from hub.channel.card import fingerprint_text
from hub.channel.manifest import Manifest
from hub.channel.members import Member
from hub.channel.policy import DAY, Policy

_MEANING: Final = {
    "tlp": "the strictest marking that may be published",
    "rotation": "the greatest age of an epoch",
    "staleness": "how long messages under a former manifest or epoch are still taken; half of it "
    "is what owners have for countersigning",
    "heartbeat": "how often a publisher with nothing to say signs that it said nothing",
    "compression": "how bodies are compressed",
    "history": "what joiners can open of the past",
    "erasure": "when members erase an epoch's secrets; what is older cannot be opened any more",
    "approvals": "how many owners must sign for a joiner",
    "fingerprints": "the form of the tokens by kind of identifier",
}
_SECONDS: Final = ("rotation", "staleness", "heartbeat", "erasure")


@dataclass(frozen=True)
class Change:
    """One thing that changes.

    Args:
        kind: `member-added`, `member-removed`, `roles`, `card`, `root`, `owner-added`,
            `owner-removed`, `threshold`, `policy`, `log`, `witnesses`, `key-ended` or `renewed`.
        text: in words.
        root: id of a root that people compare by voice before they sign, or None.
        member: the member concerned, or None.
    """

    kind: str
    text: str
    root: str | None = None
    member: str | None = None


def changes(
    before: Manifest, after: Manifest, names: Mapping[str, str] | None = None
) -> list[Change]:
    """Everything that differs between a manifest and the next one.

    Args:
        before: the manifest in force.
        after: the draft.
        names: what to call members, by member id.
    Returns:
        In the order in which people should read it: who, then what.
    """
    called = names or {}
    found = [
        *_members(before, after, called),
        *_owners(before, after, called),
        *_policy(before.policy, after.policy),
        *_log(before, after),
    ]
    for key, final in sorted(after.finals.items()):
        if key not in before.finals:
            last = f"message {final.seq} is its last" if final.seq else "it never published"
            found.append(Change("key-ended", f"signing key {key[:16]} ends: {last}"))
    found.append(Change("renewed", f"the manifest holds until {_day(after.expires)}"))
    return found


def policy_changes(before: Policy, after: Policy) -> list[Change]:
    """What differs between two policies, each with what it means."""
    return _policy(before, after)


def _members(before: Manifest, after: Manifest, names: Mapping[str, str]) -> list[Change]:
    found = []
    for row in after.members:
        old = before.member(row.member)
        name = _name(row.member, names)
        if old is None:
            text = f"{name} becomes a member: {_roles(row)}; its root is {_root(row)}"
            found.append(Change("member-added", text, row.root, row.member))
            continue
        if old.root != row.root:
            text = f"{name} gets another root: {_root(row)}, instead of {_root(old)}"
            found.append(Change("root", text, row.root, row.member))
        if old.roles != row.roles:
            text = f"{name}: {_roles(row)}, instead of {_roles(old)}"
            found.append(Change("roles", text, None, row.member))
        if old.card != row.card:
            found.append(Change("card", f"{name} gets another card", None, row.member))
    for row in before.members:
        if after.member(row.member) is None:
            text = f"{_name(row.member, names)} is a member no more"
            found.append(Change("member-removed", text, None, row.member))
    return found


def _owners(before: Manifest, after: Manifest, names: Mapping[str, str]) -> list[Change]:
    rows = {row.root: row.member for each in (before, after) for row in each.members}
    found = []
    for kind, owners, others, verb in (
        ("owner-added", after.owners, before.owners, "becomes an owner"),
        ("owner-removed", before.owners, after.owners, "is an owner no more"),
    ):
        for root in sorted(set(owners) - set(others)):
            member = rows.get(root)
            name = "somebody who is no member" if member is None else _name(member, names)
            compared = root if kind == "owner-added" else None
            text = f"{name} {verb}: {fingerprint_text(root)}"
            found.append(Change(kind, text, compared, member))
    old, new = (f"{each.threshold} of {len(each.owners)}" for each in (before, after))
    if old != new:
        found.append(Change("threshold", f"{new} owners sign, instead of {old}"))
    return found


def _policy(before: Policy, after: Policy) -> list[Change]:
    old, new = before.to_json(), after.to_json()
    return [
        Change(
            "policy",
            f"{name}: {_value(name, new[name])}, instead of {_value(name, old[name])} "
            f"({_MEANING[name]})",
        )
        for name in old
        if old[name] != new[name]
    ]


def _log(before: Manifest, after: Manifest) -> list[Change]:
    found = []
    if before.log != after.log:
        text = (
            "members require no log any more: the hub may show each of them something else"
            if after.log is None
            else f"members require the log {after.log.origin}"
        )
        found.append(Change("log", text))
    if before.witnesses != after.witnesses:
        text = (
            "no witness need cosign any more"
            if after.witnesses is None
            else f"{after.witnesses.quorum} of {len(after.witnesses.verifier_keys)} witnesses "
            "must cosign"
        )
        found.append(Change("witnesses", text))
    return found


def _value(name: str, value: object) -> str:
    if value is None:
        return "never"
    if isinstance(value, dict):
        return ", ".join(f"{kind} {form}" for kind, form in value.items()) or "all keyed"
    if isinstance(value, int) and name in _SECONDS:
        days, rest = divmod(value, DAY)
        return f"{value} s" if rest else f"{days} day{'' if days == 1 else 's'}"
    return str(value)


def _name(member: str, names: Mapping[str, str]) -> str:
    known = names.get(member)
    return member if known is None or known == member else f"{known} ({member})"


def _roles(row: Member) -> str:
    return ", ".join(sorted(str(role) for role in row.roles))


def _root(row: Member) -> str:
    return fingerprint_text(row.root)


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
