"""Contradictions that the hub's log key signed, and what it commits the hub to.

Source: schemas/channel-v1.md, "Proof files".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hub.channel.evidence.case import Case, Signed, is_foreign, is_forged
from hub.channel.evidence.finding import Shown
from hub.channel.evidence.proof import Accused, Party
from hub.channel.header import MessageType
from hub.channel.log.checkpoint import Checkpoint, verify_checkpoint
from hub.channel.log.tree import leaf_hash, root_of, verify_consistency, verify_inclusion
from hub.channel.notices import parse_heartbeat
from hub.channel.primitives.hash import HASH_SIZE, digest
from hub.errors import VerificationError

_SERVER = Accused(Party.SERVER)
_NO_KEY = "the server"


@dataclass(frozen=True)
class Pinned:
    """A checkpoint whose signature holds under a log key that a manifest pins."""

    checkpoint: Checkpoint
    verifier_key: str

    @property
    def accused(self) -> Accused:
        """The log's key."""
        return Accused(Party.LOG, self.verifier_key)

    @property
    def against(self) -> str:
        """The same in words."""
        return f"the hub's log {self.checkpoint.origin}"

    @property
    def said(self) -> str:
        """What it commits to, in a sentence."""
        found = self.checkpoint
        return (
            f"The log's key signed a checkpoint of {found.size} messages, root "
            f"{found.root.hex()[:16]}…, dated {found.time}."
        )


def pinned(case: Case, note: str) -> Pinned:
    """A checkpoint under a key that a manifest of the file pins.

    Raises:
        VerificationError: no manifest pins a key that signed it.
    """
    problem: VerificationError | None = None
    for log in case.logs:
        try:
            signed = verify_checkpoint(note, log.verifier_key)
            return Pinned(signed.checkpoint, log.verifier_key)
        except VerificationError as error:
            problem = error
    if problem is not None:
        raise problem
    raise VerificationError("no manifest of the file names a log", where="checkpoint")


def split_view(case: Case) -> Shown:
    """The log's key signed two views of one log.

    Raises:
        VerificationError: they are compatible.
    """
    first, second = sorted(_pair(case), key=lambda each: each.checkpoint.size)
    old, new = first.checkpoint, second.checkpoint
    said = (first.said, second.said)
    if old.size == new.size:
        if old.root == new.root:
            raise VerificationError("have the same root", where="checkpoints")
        return Shown(first.accused, first.against, said)
    prefix = case.proof.prefix
    if prefix is None:
        claimed = "That the hub could not show that the larger one continues the smaller one."
        return Shown(first.accused, first.against, said, (claimed,))
    verify_consistency(old.size, prefix.root, new.size, new.root, prefix.path, where="prefix")
    if prefix.root == old.root:
        raise VerificationError("are consistent", where="checkpoints")
    also = (
        f"The first {old.size} messages of the larger one have the root "
        f"{prefix.root.hex()[:16]}…, not that of the smaller one."
    )
    return Shown(first.accused, first.against, (*said, also))


def rollback(case: Case) -> Shown:
    """The log's key signed a smaller log later, or an older checkpoint was shown again.

    Raises:
        VerificationError: both are of one size.
    """
    small, large = sorted(_pair(case), key=lambda each: each.checkpoint.size)
    lost = large.checkpoint.size - small.checkpoint.size
    if not lost:
        raise VerificationError("are of one size", where="checkpoints")
    said = (large.said, small.said)
    if small.checkpoint.time <= large.checkpoint.time:
        claimed = "That the hub showed the smaller one after the larger one."
        return Shown(large.accused, large.against, said, (claimed,))
    also = f"The smaller one, {lost} messages short, is the later one: a log only grows."
    return Shown(large.accused, large.against, (*said, also))


def gap(case: Case) -> Shown:
    """The complete log lacks what a signed message follows.

    Raises:
        VerificationError: nothing is missing.
    """
    found = _complete(case)
    signed = _first(case)
    prev = signed.header.prev
    if prev is None:
        raise VerificationError("is the first of its chain", where=signed.name)
    if bytes.fromhex(prev) in case.leaves:
        raise VerificationError("the log does hold the message before it", where=signed.name)
    who = case.signer(signed.card)
    proven = [
        found.said,
        f"{who} signed message {signed.header.seq}, which follows message {prev[:16]}….",
        "The complete log does not hold that message.",
    ]
    own = _own_digest(case, signed)
    claimed = ("That the hub had been given the missing message.",)
    if own is not None and bytes.fromhex(own) in case.leaves:
        proven.append("The log does hold the one that follows it.")
        # With an owner's help a key that ended can skip what it never posted.
        claimed = ("That no tombstone of its publisher stands for the missing message.",)
    return Shown(found.accused, found.against, tuple(proven), claimed)


def withheld(case: Case) -> Shown:
    """Somebody committed to messages that the file's maker was not given.

    Raises:
        VerificationError: nothing commits to them.
    """
    if case.proof.checkpoints and not case.messages:
        return _withheld_leaves(case)
    signed = _first(case)
    if signed.header.cp is not None and case.proof.checkpoints:
        return _withheld_cited(case, signed)
    if signed.header.t is MessageType.HEARTBEAT and signed.item.body is not None:
        return _withheld_silence(case, signed)
    prev = signed.header.prev
    if prev is None:
        raise VerificationError("commits to no other message", where=signed.name)
    who = case.signer(signed.card)
    said = f"{who} signed message {signed.header.seq}, which follows message {prev[:16]}…."
    claimed = (f"That the server did not deliver {prev[:16]}…; showing it refutes this.",)
    return Shown(_SERVER, _NO_KEY, (said,), claimed)


def unlisted(case: Case) -> Shown:
    """The complete log lacks a message that the file's maker was given.

    Raises:
        VerificationError: the log holds it.
    """
    found = _complete(case)
    signed = _first(case)
    if signed.digest is None:
        raise VerificationError("its body is missing", where=signed.name)
    if bytes.fromhex(signed.digest) in case.leaves:
        raise VerificationError("the log does hold it", where=signed.name)
    who = case.signer(signed.card)
    proven = (
        found.said,
        f"{who} signed message {signed.header.seq}.",
        "The complete log does not hold it.",
    )
    claimed = ("That the hub delivered that message before it signed this checkpoint.",)
    return Shown(found.accused, found.against, proven, claimed)


def forged(case: Case) -> Shown:
    """The log commits to bytes that no receiver accepts.

    Raises:
        VerificationError: it does not, or they may be good.
    """
    raw = case.proof.forged
    if raw is None:
        raise VerificationError("the forged message is missing", where="forged")
    why = is_forged(case, raw)
    if why is None:
        raise VerificationError("nothing in the file says that it is forged", where="forged")
    said = f"The message {digest(raw)[:16]}… is forged: {why}."
    if not case.proof.checkpoints:
        claimed = ("That the server delivered it.",)
        return Shown(_SERVER, _NO_KEY, (said,), claimed)
    found = pinned(case, case.proof.checkpoints[0])
    for each in case.proof.inclusions:
        if each.digest == digest(raw):
            _included(found, each.index, each.digest, each.path)
            also = f"The log holds it as entry {each.index}."
            proven = (found.said, said, also)
            # Owners can have a manifest name the log of another channel.
            if is_foreign(case, raw):
                claimed = ("That this log is the channel's own.",)
                return Shown(found.accused, found.against, proven, claimed)
            return Shown(found.accused, found.against, proven)
    raise VerificationError("nothing shows that the log holds it", where="inclusions")


def stale_checkpoint(case: Case) -> Shown:
    """The newest checkpoint that the hub would show is old.

    Raises:
        VerificationError: no checkpoint.
    """
    if not case.proof.checkpoints:
        raise VerificationError("a checkpoint is expected", where="checkpoints")
    found = pinned(case, case.proof.checkpoints[0])
    late = case.proof.made - found.checkpoint.time
    if late <= 0:
        raise VerificationError("is not older than the file", where="checkpoints")
    claimed = (f"That it was the newest the hub showed {late} s later.",)
    return Shown(found.accused, found.against, (found.said,), claimed)


def _withheld_leaves(case: Case) -> Shown:
    found = pinned(case, case.proof.checkpoints[0])
    for each in case.proof.inclusions:
        _included(found, each.index, each.digest, each.path)
    if not case.proof.inclusions:
        claimed = ("That the hub did not show the entries of its log.",)
        return Shown(found.accused, found.against, (found.said,), claimed)
    listed = ", ".join(f"{each.digest[:16]}… as {each.index}" for each in case.proof.inclusions)
    proven = (found.said, f"The log holds these messages: {listed}.")
    claimed = ("That the hub did not deliver them; showing them refutes this.",)
    return Shown(found.accused, found.against, proven, claimed)


def _withheld_cited(case: Case, signed: Signed) -> Shown:
    assert signed.header.cp is not None
    cited, shown = pinned(case, signed.header.cp), pinned(case, case.proof.checkpoints[0])
    if cited.checkpoint.origin != shown.checkpoint.origin:
        raise VerificationError("are of two logs", where="checkpoints")
    missing = cited.checkpoint.size - shown.checkpoint.size
    if missing <= 0:
        raise VerificationError("cites no larger log than was shown", where=signed.name)
    proven = (
        f"{case.signer(signed.card)} signed message {signed.header.seq} and cited a checkpoint.",
        cited.said,
        shown.said,
    )
    if shown.checkpoint.time > cited.checkpoint.time:
        return Shown(shown.accused, shown.against, proven)
    claimed = f"That the hub did not show the {missing} messages by which the cited log is larger."
    return Shown(shown.accused, shown.against, proven, (claimed,))


def _withheld_silence(case: Case, signed: Signed) -> Shown:
    assert signed.item.body is not None
    heartbeat = parse_heartbeat(signed.item.body)
    due = signed.header.ts + heartbeat.every
    late = case.proof.made - due
    if late <= 0:
        raise VerificationError("its next message is not due", where=signed.name)
    who = case.signer(signed.card)
    proven = (f"{who} promised at {signed.header.ts} to say something again by {due}.",)
    claimed = (f"That the server showed nothing of it until {late} s after that.",)
    return Shown(_SERVER, _NO_KEY, proven, claimed)


def _pair(case: Case) -> tuple[Pinned, Pinned]:
    if len(case.proof.checkpoints) != 2:
        raise VerificationError("two checkpoints are expected", where="checkpoints")
    first, second = (pinned(case, note) for note in case.proof.checkpoints)
    if first.checkpoint.origin != second.checkpoint.origin:
        raise VerificationError("are of two logs", where="checkpoints")
    return first, second


def _complete(case: Case) -> Pinned:
    """The checkpoint that the file's list of digests leads to."""
    if len(case.proof.checkpoints) != 1:
        raise VerificationError("one checkpoint is expected", where="checkpoints")
    found = pinned(case, case.proof.checkpoints[0])
    count = len(case.proof.leaves or b"") // HASH_SIZE
    if count != found.checkpoint.size:
        raise VerificationError(
            f"{count} digests, but {found.checkpoint.size} in the checkpoint", where="leaves"
        )
    if root_of(map(leaf_hash, case.leaves)) != found.checkpoint.root:
        raise VerificationError("do not lead to the checkpoint's root", where="leaves")
    return found


def _included(found: Pinned, index: int, of: str, path: Sequence[bytes]) -> None:
    size, root = found.checkpoint.size, found.checkpoint.root
    where = f"inclusion of {of[:16]}…"
    verify_inclusion(leaf_hash(bytes.fromhex(of)), index, size, path, root, where=where)


def _first(case: Case) -> Signed:
    if not case.messages:
        raise VerificationError("a signed message is expected", where="messages")
    return case.messages[0]


def _own_digest(case: Case, signed: Signed) -> str | None:
    """A message's digest: from its body, or from the same key's next message that names it."""
    if signed.digest is not None:
        return signed.digest
    for other in case.messages[1:]:
        follows = other.header.seq == (signed.header.seq or 0) + 1
        if follows and other.header.pub == signed.header.pub:
            return other.header.prev
    return None
