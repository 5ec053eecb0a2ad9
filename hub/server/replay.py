"""Following a channel through the messages that its collection holds.

Messages are taken in the order in which they were stored, each at the time at which it was judged
then; who stored them, this process or another, makes no difference. What a sender has deleted is
missing, and the tombstone that says so comes later, perhaps under a later card: messages after a
gap wait until it can be read.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from hub.channel import carriage
from hub.channel.header import MessageType, parse_message
from hub.channel.verify import NotYetError, TrustedChannel
from hub.errors import InputError, VerificationError
from hub.model import codec
from hub.store.interface import ObjectStore
from hub.taxii.filters import EVERY, SPEC_VERSIONS, Filters

_logger = logging.getLogger("stillwatch.admission")
_REPLAY_ROWS: Final = 500

Messages = Iterable[tuple[int, bytes]]
"""(date_added, body), ascending."""


def stored_messages(
    store: ObjectStore, collection_id: str, after: int | None
) -> Iterator[tuple[int, bytes]]:
    """What a collection holds after a date_added; None for all. Safe while others write."""
    position = after
    while True:
        filters = Filters(added_after=position, versions=EVERY, spec_versions=SPEC_VERSIONS)
        page = store.page(collection_id, filters, _REPLAY_ROWS)
        yield from ((row.date_added, row.raw) for row in page.rows)
        if not page.more:
            return
        position = page.rows[-1].date_added


class Follower:
    """A channel as far as the messages up to some date_added lead.

    Args:
        collection_id: of the collection that carries it.

    Attributes:
        channel: None before its genesis.
        reached: the greatest date_added that was looked at; None before the first.
    """

    def __init__(self, collection_id: str) -> None:
        self.channel: TrustedChannel | None = None
        self.reached: int | None = None
        self._collection_id = collection_id
        self._waiting: list[tuple[bytes, int]] = []
        self._told = 0

    def copy(self) -> Follower:
        """Another that goes on by itself."""
        made = Follower(self._collection_id)
        made.channel = None if self.channel is None else self.channel.copy()
        made.reached = self.reached
        made._waiting, made._told = list(self._waiting), self._told
        return made

    def follow(self, later: Messages, every: Callable[[], Messages]) -> None:
        """Take what was stored since; what fails is logged, and passed over.

        Args:
            later: messages after `reached`.
            every: gives all of them, to look for tombstones when one is missing.
        """
        for stamp, body in later:
            self._take(stamp, body, every)
            self.reached = stamp
        if self.channel is not None and self._waiting:
            self._retry(self.channel, every)
        for _ in self._waiting[self._told :]:
            self._warn(NotYetError("something before it is missing"))
        self._told = len(self._waiting)

    def reach(self, head: int | None) -> None:
        """Note that nothing is stored up to a date_added but what was taken."""
        if head is not None and (self.reached is None or head > self.reached):
            self.reached = head

    def _take(self, stamp: int, body: bytes, every: Callable[[], Messages]) -> None:
        then = stamp // 1_000_000
        try:
            raw = carriage.from_artifact(codec.loads(body))
            if self.channel is None:
                self.channel = TrustedChannel.from_genesis(raw, owner_roots=None, now=then)
                return
            taken = self._accept(self.channel, raw, then)
        except (InputError, VerificationError) as error:
            self._warn(error)
            return
        if not taken:
            self._waiting.append((raw, then))
            # The first tells that something is missing. What then still waits needs a tombstone
            # whose card comes later: its turn is at the end.
            if len(self._waiting) == 1:
                self._retry(self.channel, every)

    def _accept(self, channel: TrustedChannel, raw: bytes, then: int) -> bool:
        """Whether a message was taken; one that must wait was not."""
        try:
            channel.accept(raw, now=then)
        except NotYetError:
            return False
        return True

    def _retry(self, channel: TrustedChannel, every: Callable[[], Messages]) -> None:
        self._learn_deletions(channel, every())
        waiting, self._waiting, self._told = self._waiting, [], 0
        for raw, then in waiting:
            try:
                if not self._accept(channel, raw, then):
                    self._waiting.append((raw, then))
            except (InputError, VerificationError) as error:
                self._warn(error)

    def _learn_deletions(self, channel: TrustedChannel, messages: Messages) -> None:
        for stamp, body in messages:
            # No tombstone, or of a card that is not known yet.
            with contextlib.suppress(InputError, VerificationError):
                raw = carriage.from_artifact(codec.loads(body))
                if parse_message(raw).header.t is MessageType.TOMBSTONE:
                    channel.note_deletion(raw, now=stamp // 1_000_000)

    def _warn(self, error: InputError | VerificationError) -> None:
        fields = {"collection": self._collection_id, "cause": error.message}
        _logger.warning("a stored message no longer verifies", extra={"fields": fields})
