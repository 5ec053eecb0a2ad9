"""Building a channel's state again from the messages that a collection holds.

Messages are taken in the order in which they were stored, each at the time at which it was judged
then. What a sender has deleted is missing, and the tombstone that says so comes later, perhaps
under a later card: messages after a gap wait until it can be read.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Final

from hub.channel import carriage
from hub.channel.header import MessageType, parse_message
from hub.channel.verify import NotYetError, TrustedChannel
from hub.errors import InputError, VerificationError
from hub.model import codec
from hub.store.interface import ObjectStore
from hub.store.records import Row
from hub.taxii.filters import EVERY, SPEC_VERSIONS, Filters

_logger = logging.getLogger("stillwatch.admission")
_REPLAY_ROWS: Final = 500
_Rows = Callable[[], Iterator[Row]]


def replay(store: ObjectStore, collection_id: str) -> TrustedChannel | None:
    """The channel that a collection carries, None before its genesis; what fails is logged."""

    def rows() -> Iterator[Row]:
        return _stored(store, collection_id)

    found = _Replay(rows, collection_id)
    for row in rows():
        found.take(row)
    found.end()
    return found.channel


class _Replay:
    def __init__(self, rows: _Rows, collection_id: str) -> None:
        self.channel: TrustedChannel | None = None
        self._rows = rows
        self._collection_id = collection_id
        self._waiting: list[tuple[bytes, int]] = []

    def take(self, row: Row) -> None:
        then = row.date_added // 1_000_000
        try:
            raw = carriage.from_artifact(codec.loads(row.raw))
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
                self._retry(self.channel)

    def end(self) -> None:
        """Try what still waits once more, and say what fails."""
        if self.channel is not None and self._waiting:
            self._retry(self.channel)
        for _ in self._waiting:
            self._warn(NotYetError("something before it is missing"))

    def _accept(self, channel: TrustedChannel, raw: bytes, then: int) -> bool:
        """Whether a message was taken; one that must wait was not."""
        try:
            channel.accept(raw, now=then)
        except NotYetError:
            return False
        return True

    def _retry(self, channel: TrustedChannel) -> None:
        self._learn_deletions(channel)
        waiting, self._waiting = self._waiting, []
        for raw, then in waiting:
            try:
                if not self._accept(channel, raw, then):
                    self._waiting.append((raw, then))
            except (InputError, VerificationError) as error:
                self._warn(error)

    def _learn_deletions(self, channel: TrustedChannel) -> None:
        for row in self._rows():
            # No tombstone, or of a card that is not known yet.
            with contextlib.suppress(InputError, VerificationError):
                raw = carriage.from_artifact(codec.loads(row.raw))
                if parse_message(raw).header.t is MessageType.TOMBSTONE:
                    channel.note_deletion(raw, now=row.date_added // 1_000_000)

    def _warn(self, error: InputError | VerificationError) -> None:
        fields = {"collection": self._collection_id, "cause": error.message}
        _logger.warning("a stored message no longer verifies", extra={"fields": fields})


def _stored(store: ObjectStore, collection_id: str) -> Iterator[Row]:
    position: int | None = None
    while True:
        filters = Filters(added_after=position, versions=EVERY, spec_versions=SPEC_VERSIONS)
        page = store.page(collection_id, filters, _REPLAY_ROWS)
        yield from page.rows
        if not page.more:
            return
        position = page.rows[-1].date_added
