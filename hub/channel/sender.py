"""Where a sender's next message goes in its chain, and what it cites of the log."""

from __future__ import annotations

from dataclasses import dataclass

from hub.channel.primitives.sign import SigningPrivate
from hub.channel.verify import TrustedChannel
from hub.errors import InputError


@dataclass(frozen=True)
class Place:
    """Key, position and predecessor of a message, and its `cp`."""

    pub: str
    seq: int
    prev: str | None
    cp: str | None = None


def next_place(
    trusted: TrustedChannel,
    signing: SigningPrivate,
    seq: int | None,
    prev: str | None,
    checkpoint: str | None = None,
) -> Place:
    """The place of the next message.

    Args:
        trusted: knows the chain when `seq` is None.
        signing: the sender's signing pair.
        seq: the position that the sender's outbox reserved.
        prev: digest of the message before it; None for position 1.
        checkpoint: what to cite of the log; the last one that `trusted` noted if None.
    Raises:
        InputError: `seq` and `prev` do not fit each other.
        VerificationError: the checkpoint is not of the channel's log.
    """
    pub, cp = signing.public.id, trusted.quote(checkpoint)
    if seq is None:
        return Place(pub, *trusted.position(pub), cp)
    if (seq == 1) != (prev is None):
        raise InputError("exactly the first message of a chain has no predecessor", where="prev")
    return Place(pub, seq, prev, cp)
