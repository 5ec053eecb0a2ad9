"""Bodies of heartbeats and tombstones: clear, canonical JSON.

Source: schemas/channel-v1.md, "Heartbeats" and "Tombstones".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hub.channel.fields import Fields, check_ascending
from hub.model.codec import canonical, loads_canonical

MAX_DELETED: Final = 1_000
REASONS: Final = ("expired", "retracted", "error")
_MAX_NOTICE: Final = 256 * 1024


@dataclass(frozen=True)
class Heartbeat:
    """What a publisher with nothing to say still signs.

    Args:
        every: it promises another message within so many seconds.
        epoch: number of the latest epoch that it knows; None before the first.
        digest: digest of that epoch message: members who hold another one see the split.
    """

    every: int
    epoch: int | None
    digest: str | None

    def to_bytes(self) -> bytes:
        """The body."""
        known = None if self.epoch is None else {"number": self.epoch, "digest": self.digest}
        return canonical({"every": self.every, "epoch": known})


@dataclass(frozen=True)
class Deleted:
    """One message that its publisher deletes from the collection."""

    pub: str
    seq: int
    digest: str


@dataclass(frozen=True)
class Tombstone:
    """Messages that their publisher deletes.

    Args:
        messages: ascending by key id, then position.
        reason: `expired`, `retracted` or `error`.
    """

    messages: tuple[Deleted, ...]
    reason: str

    def to_bytes(self) -> bytes:
        """The body."""
        rows = [{"pub": row.pub, "seq": row.seq, "digest": row.digest} for row in self.messages]
        return canonical({"messages": rows, "reason": self.reason})


def parse_heartbeat(data: bytes) -> Heartbeat:
    """Read a heartbeat.

    Raises:
        InputError: the form is wrong.
    """
    fields = Fields(
        loads_canonical(data, where="heartbeat", max_bytes=_MAX_NOTICE),
        "heartbeat",
        ("every", "epoch"),
    )
    every = fields.integer("every", least=1)
    if fields.raw("epoch") is None:
        return Heartbeat(every, None, None)
    epoch = Fields(fields.raw("epoch"), "heartbeat.epoch", ("number", "digest"))
    return Heartbeat(every, epoch.integer("number", least=1), epoch.hash("digest"))


def parse_tombstone(data: bytes) -> Tombstone:
    """Read a tombstone.

    Raises:
        InputError: the form is wrong.
    """
    fields = Fields(
        loads_canonical(data, where="tombstone", max_bytes=_MAX_NOTICE),
        "tombstone",
        ("messages", "reason"),
    )
    messages = []
    for number, value in enumerate(fields.array("messages", most=MAX_DELETED)):
        row = Fields(value, f"tombstone.messages[{number}]", ("pub", "seq", "digest"))
        messages.append(Deleted(row.hash("pub"), row.integer("seq", least=1), row.hash("digest")))
    places = [(row.pub, row.seq) for row in messages]
    check_ascending(places, "tombstone.messages")
    return Tombstone(tuple(messages), fields.one_of("reason", REASONS))
