"""What a log submits: the size that the witness saw last, a consistency proof, a checkpoint.

Source: C2SP tlog-witness, "add-checkpoint".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from hub.channel.fields import from_base64
from hub.channel.log.checkpoint import SignedCheckpoint, parse_checkpoint
from hub.channel.log.note import MAX_NOTE
from hub.channel.primitives.hash import HASH_SIZE
from hub.errors import InputError

MAX_PROOF: Final = 63
MAX_BODY: Final = 32 + MAX_PROOF * 45 + MAX_NOTE
_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,14})")


@dataclass(frozen=True)
class Submission:
    """A request of correct form; nothing of it is verified.

    Args:
        old: number of leaves that the witness is thought to have seen.
        proof: hashes of the consistency proof from there.
        signed: the checkpoint.
    """

    old: int
    proof: tuple[bytes, ...]
    signed: SignedCheckpoint


def parse_submission(body: bytes) -> Submission:
    """Read a request's body.

    Raises:
        InputError: the form is wrong.
    """
    if len(body) > MAX_BODY:
        raise InputError(f"a request has at most {MAX_BODY} bytes", where="body")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise InputError("a request is UTF-8 text", where="body") from None
    head, blank, raw = text.partition("\n\n")
    first, *lines = head.split("\n")
    found = _OLD.fullmatch(first)
    if not blank or found is None:
        raise InputError("an old size, a proof, an empty line and a checkpoint are expected")
    if len(lines) > MAX_PROOF:
        raise InputError(f"a proof has at most {MAX_PROOF} hashes", where="proof")
    proof = tuple(_hash(line) for line in lines)
    return Submission(int(found[1]), proof, parse_checkpoint(raw))


def _hash(line: str) -> bytes:
    found = from_base64(line, where="proof", most=HASH_SIZE)
    if len(found) != HASH_SIZE:
        raise InputError(f"a hash has {HASH_SIZE} bytes", where="proof")
    return found
