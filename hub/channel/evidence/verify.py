"""`verify`: what a proof file proves, to somebody who knows the channel's id and nothing else.

Source: schemas/channel-v1.md, "Proof files".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hub.channel.evidence import logs, members
from hub.channel.evidence.case import Case
from hub.channel.evidence.finding import Finding, Shown
from hub.channel.evidence.proof import Kind, parse_proof
from hub.channel.ledger import CLOCK_SKEW
from hub.errors import VerificationError

_CHECKS: Final[dict[Kind, Callable[[Case], Shown]]] = {
    Kind.SPLIT_VIEW: logs.split_view,
    Kind.ROLLBACK: logs.rollback,
    Kind.GAP: logs.gap,
    Kind.WITHHELD: logs.withheld,
    Kind.UNLISTED: logs.unlisted,
    Kind.FORGED: logs.forged,
    Kind.STALE_CHECKPOINT: logs.stale_checkpoint,
    Kind.MESSAGE_FORK: members.message_fork,
    Kind.EPOCH_FORK: members.epoch_fork,
    Kind.MANIFEST_FORK: members.manifest_fork,
    Kind.CARD_FORK: members.card_fork,
    Kind.AFTER_FINAL: members.after_final,
}


def verify(data: bytes, now: int | None = None) -> Finding:
    """Check every signature of a proof file and say what follows.

    The reader compares the channel id with one that it knows from elsewhere.

    Args:
        data: the whole file.
        now: seconds UTC; if given, a file from the future is refused.
    Returns:
        What is proven, against whom, and what is only claimed.
    Raises:
        InputError: the form is wrong.
        VerificationError: a signature does not hold, or the items prove nothing of this kind.
    """
    proof = parse_proof(data)
    if now is not None and proof.made > now + CLOCK_SKEW:
        raise VerificationError(
            f"is dated {proof.made - now} s in the future",
            where="proof.made",
            hint="compare this machine's clock with that of the file's maker",
        )
    shown = _CHECKS[proof.kind](Case(proof))
    if shown.accused != proof.accused:
        raise VerificationError(
            f"accuses another party than its signatures do: that is {shown.against}",
            where="proof.accused",
        )
    return Finding(
        kind=proof.kind,
        channel=proof.channel,
        accused=shown.accused,
        against=shown.against,
        proven=shown.proven,
        claimed=shown.claimed,
        conclusive=shown.conclusive,
        statement=proof.statement,
        made=proof.made,
    )
