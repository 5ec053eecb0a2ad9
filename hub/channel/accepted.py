"""What verification gives back: accepted messages, alarms, and two ways to be refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hub.channel.card import Card
from hub.channel.header import Audience, Message
from hub.channel.manifest import Role
from hub.errors import VerificationError


class NotYetError(VerificationError):
    """Something earlier is missing, or the message is from the future: keep it and try again.

    What never becomes acceptable was withheld: its predecessor, card, manifest or epoch.
    """


class RefusedError(VerificationError):
    """The message has its place in its sender's chain, but its content must not be used.

    It is remembered, so that the chain goes on; accepting the same bytes again refuses them again.
    """


@dataclass(frozen=True)
class Accepted:
    """A verified message.

    Args:
        message: the message.
        card: the sender's card, or the card itself; None for manifests.
        member: STIX id of the sender; None for manifests.
        roles: the sender's roles in the manifest that the message names.
        owner: whether the sender is an owner in that manifest.
        posters: the members in whose name it may be posted to a hub.
        duplicate: these bytes, card or manifest had been accepted before.
        expired: `exp` has passed: nothing in it means anything any more.
    """

    message: Message
    card: Card | None
    member: str | None
    roles: frozenset[Role]
    owner: bool
    posters: frozenset[str]
    duplicate: bool = False
    expired: bool = False


@dataclass(frozen=True)
class Alarm:
    """Somebody who holds a key did what no honest member does; people must look at it.

    Args:
        kind: `fork`, `epoch-fork`, `epoch-claim`, `manifest-fork`, `card-fork`, `after-final`,
            `final-mismatch`, `ownership`, `commitment`, `key-change`, `split-view`.
        where: key id, epoch or object concerned.
        message: what happened.
        digest: digest of the message that shows it.
        at: when it was noticed, seconds UTC.
    """

    kind: str
    where: str
    message: str
    digest: str
    at: int


@dataclass(frozen=True)
class Epoch:
    """An accepted epoch.

    Args:
        number: from 1.
        digest: digest of its message.
        manifest: hash of the manifest that it was made for.
        created: seconds UTC.
        commitments: audience to commitment, in hex.
        kems: audience to the KEM key ids that it was wrapped for.
        superseded: when the next epoch was made; None for the current one.
    """

    number: int
    digest: str
    manifest: str
    created: int
    commitments: Mapping[Audience, str]
    kems: Mapping[Audience, frozenset[str]]
    superseded: int | None = None
