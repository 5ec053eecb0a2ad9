"""A reader for whom messages arrive in any order, as a hub or a network may hand them out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hub.channel.header import MessageType, parse_message
from hub.channel.verify import Accepted, NotYetError, TrustedChannel
from hub.errors import InputError, VerificationError

_STRUCTURE = frozenset({MessageType.CARD, MessageType.MANIFEST, MessageType.EPOCH})


@dataclass
class Batch:
    """The outcome of several messages.

    Args:
        accepted: in an order in which each could be accepted.
        waiting: what waits for something that is not there: try it again with the next batch.
        refused: what is wrong, with the reason.
    """

    accepted: list[Accepted] = field(default_factory=list)
    waiting: list[tuple[bytes, NotYetError]] = field(default_factory=list)
    refused: list[tuple[bytes, InputError | VerificationError]] = field(default_factory=list)


def accept_many(trusted: TrustedChannel, raws: Iterable[bytes], *, now: int) -> Batch:
    """Take messages by the time in their headers; try what waits again as soon as it may pass."""
    batch = Batch()
    for raw in sorted(raws, key=_when_made):
        accepted = _try(trusted, raw, batch, now)
        while accepted is not None:
            accepted = _retry(trusted, accepted, batch, now)
    return batch


def _try(trusted: TrustedChannel, raw: bytes, batch: Batch, now: int) -> Accepted | None:
    try:
        accepted = trusted.accept(raw, now=now)
    except NotYetError as error:
        batch.waiting.append((raw, error))
        return None
    except (InputError, VerificationError) as error:
        batch.refused.append((raw, error))
        return None
    batch.accepted.append(accepted)
    return accepted


def _retry(trusted: TrustedChannel, news: Accepted, batch: Batch, now: int) -> Accepted | None:
    waiting, batch.waiting = batch.waiting, []
    for index, (raw, error) in enumerate(waiting):
        header = parse_message(raw).header
        if news.message.header.t in _STRUCTURE or header.pub == news.message.header.pub:
            accepted = _try(trusted, raw, batch, now)
            if accepted is not None:
                batch.waiting += waiting[index + 1 :]
                return accepted
        else:
            batch.waiting.append((raw, error))
    return None


def _when_made(raw: bytes) -> tuple[int, int]:
    try:
        header = parse_message(raw).header
    except (InputError, VerificationError):
        return (-1, 0)
    return (header.ts, header.seq or 0)
