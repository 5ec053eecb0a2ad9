"""Where a sender's next message goes in its chain."""

from __future__ import annotations

from dataclasses import dataclass

from hub.channel.primitives.sign import SigningPrivate
from hub.channel.verify import TrustedChannel
from hub.errors import InputError


@dataclass(frozen=True)
class Place:
    """Key, position and predecessor of a message."""

    pub: str
    seq: int
    prev: str | None


def next_place(
    trusted: TrustedChannel, signing: SigningPrivate, seq: int | None, prev: str | None
) -> Place:
    """The place of the next message.

    Args:
        trusted: knows the chain when `seq` is None.
        signing: the sender's signing pair.
        seq: the position that the sender's outbox reserved.
        prev: digest of the message before it; None for position 1.
    Raises:
        InputError: `seq` and `prev` do not fit each other.
    """
    pub = signing.public.id
    if seq is None:
        return Place(pub, *trusted.position(pub))
    if (seq == 1) != (prev is None):
        raise InputError("exactly the first message of a chain has no predecessor", where="prev")
    return Place(pub, seq, prev)
