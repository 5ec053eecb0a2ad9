"""What only the complete log shows, once it was verified: gaps, and forged messages in it.

A hub that checks what it stores takes no message before the one that it follows, and none whose
signatures fail. One that has done so has signed the proof itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from hub.channel.evidence.proof import SignedHeader
from hub.channel.header import Message, parse_message
from hub.channel.log.checkpoint import SignedCheckpoint
from hub.client.evidence import Evidence
from hub.client.log_state import LogState

GAP: Final = "gap"
FORGED: Final = "forged"


@dataclass(frozen=True)
class Strange:
    """Something in the log that no honest hub has there.

    Args:
        kind: `gap` or `forged`.
        text: what to tell.
        digest: of the message.
        proof: makes the proof file, which takes a look at the whole log.
    """

    kind: str
    text: str
    digest: str
    proof: Callable[[], Path | None]


def leaves_of(log: LogState, signed: SignedCheckpoint) -> Sequence[bytes]:
    """Digests of the verified log, as far as a checkpoint goes."""
    return list(log.digests(signed.checkpoint.origin, 0, signed.checkpoint.size))


def strange(
    evidence: Evidence, log: LogState, key: str, signed: SignedCheckpoint
) -> Iterator[Strange]:
    """Look at what waits and at what was refused, with the log at hand.

    Args:
        evidence: of the channel.
        log: its verified log.
        key: verifier key of the log.
        signed: the checkpoint up to which the log was verified.
    """
    origin = signed.checkpoint.origin
    state = evidence.home.state
    for row in state.kept(evidence.channel.channel_id, "waiting"):
        message = parse_message(row.raw or b"")
        prev = message.header.prev
        if prev is None or not log.holds(origin, bytes.fromhex(message.digest)):
            continue
        if prev in evidence.trusted.deleted or log.holds(origin, bytes.fromhex(prev)):
            continue
        text = f"the log has message {message.digest[:16]}, and not the one before it"
        yield Strange(GAP, text, message.digest, partial(_gap, evidence, log, key, signed, message))
    for raw in evidence.signed.forged():
        message = parse_message(raw)
        entry = bytes.fromhex(message.digest)
        if not log.holds(origin, entry):
            continue
        leaves = leaves_of(log, signed)
        logged = (key, signed.raw, leaves, leaves.index(entry))
        path = evidence.forged(raw, message.header.pub, logged)
        if path is not None:
            text = f"the log has message {message.digest[:16]}, which is forged"
            yield Strange(FORGED, text, message.digest, partial(_made, path))


def _gap(
    evidence: Evidence, log: LogState, key: str, signed: SignedCheckpoint, message: Message
) -> Path | None:
    items = [SignedHeader.of(message)]
    return evidence.gap(key, signed.raw, leaves_of(log, signed), items)


def _made(path: Path) -> Path:
    return path
