"""What lies in the outbox on its way to the hub, and what a restored hub lost, sent again.

A hub that came back from a back-up lacks what was posted since. Chains have no gaps, so it would
refuse whatever follows. The sealed bytes are kept for a while after they were sent: the same bytes
again close the gap, and members who have them already see nothing new.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from hub.channel.carriage import artifact_id, to_artifact
from hub.client.port import TaxiiCollection
from hub.client.rows import OutboxRow
from hub.client.state import State
from hub.model.markings import TLP

_MOST: Final = 10_000


def chunks(rows: Sequence[OutboxRow], limit: int) -> Iterator[list[OutboxRow]]:
    """Rows in posts of at most so many bytes, in their order."""
    chunk: list[OutboxRow] = []
    size = 0
    for row in rows:
        # Base64 inside JSON.
        grown = len(row.raw) * 4 // 3 + 1024
        if chunk and size + grown > limit:
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += grown
    if chunk:
        yield chunk


def tlp_of(label: str) -> TLP:
    """The marking of a row."""
    level = TLP.from_label(label)
    return TLP.AMBER if level is None else level


def send_again(state: State, collection: TaxiiCollection, channel_id: str, limit: int) -> int:
    """Post what was sent before and the hub does not hold any more, in the order of sealing.

    Args:
        collection: of the channel.
        limit: bytes of a post.
    Returns:
        How many messages the hub took; it may refuse some, as ones that have expired.
    Raises:
        TransportError, AccessError: the hub is not there, or refuses this account.
    """
    if not collection.can_read:
        return 0
    lost: list[OutboxRow] = []
    for row in state.sent(channel_id, _MOST):
        # A back-up has a beginning of what was posted: before the first that is there all are.
        if collection.get(artifact_id(row.digest)) is not None:
            break
        lost.append(row)
    taken = 0
    for chunk in chunks(lost[::-1], limit):
        result = collection.add([to_artifact(row.raw, tlp=tlp_of(row.tlp)) for row in chunk])
        taken += len(result.accepted)
        if result.failures or result.pending:
            break
    return taken
