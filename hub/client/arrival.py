"""The order in which messages that arrived together are best verified."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hub.channel.header import Message, MessageType

_RANK: Final = {
    MessageType.MANIFEST: 0,
    MessageType.CARD: 1,
    MessageType.EPOCH: 2,
    MessageType.KEYS: 3,
}


def in_order(messages: Sequence[Message]) -> list[Message]:
    """As they were probably made, and those of one sender as it numbered them."""
    latest: dict[str, tuple[int, int]] = {}
    keys: dict[str, tuple[int, int, int, str]] = {}
    for message in sorted(messages, key=lambda each: each.header.seq or 0):
        header = message.header
        made, rank = header.ts, _RANK.get(header.t, 9)
        if header.pub is not None:
            # A sender's clock may go back, and what ranks first may be said last in a second; its
            # numbers say in which order.
            made, rank = max((made, rank), latest.get(header.pub, (0, 0)))
            latest[header.pub] = made, rank
        keys[message.digest] = (made, rank, header.seq or 0, message.digest)
    return sorted(messages, key=lambda each: keys[each.digest])
