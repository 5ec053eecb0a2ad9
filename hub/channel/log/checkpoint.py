"""Checkpoints: what a log says that it holds, signed; and witnesses' cosignatures under them.

A checkpoint is a note of four lines: origin, size, root, and `time` with the seconds at which it
was signed. Two of one origin that no tree fits are a proof that anybody verifies.
Source: C2SP tlog-checkpoint and tlog-cosignature; schemas/channel-v1.md, "Log".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from hub.channel.fields import MAX_TIME, from_base64, to_base64
from hub.channel.log.note import (
    KeyType,
    Note,
    SignatureLine,
    VerifierKey,
    check_name,
    parse_key,
    parse_note,
    sign_note,
)
from hub.channel.log.tree import EMPTY_ROOT, MAX_SIZE
from hub.channel.primitives.hash import HASH_SIZE
from hub.channel.primitives.sign import NotePrivate
from hub.errors import InputError, VerificationError

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,14}")
_COSIGNATURE_SIZE: Final = 8 + 64


@dataclass(frozen=True)
class Checkpoint:
    """The state of a log at a time.

    Args:
        origin: which log.
        size: number of entries.
        root: root of the tree over them, 32 bytes.
        time: when it was signed, seconds UTC.
    Raises:
        InputError: a value is out of bounds.
    """

    origin: str
    size: int
    root: bytes
    time: int

    def __post_init__(self) -> None:
        check_name(self.origin, "checkpoint origin")
        if not 0 <= self.size <= MAX_SIZE:
            raise InputError(f"a log has at most {MAX_SIZE} entries", where="checkpoint size")
        if len(self.root) != HASH_SIZE or (self.size == 0) != (self.root == EMPTY_ROOT):
            raise InputError("the root of a tree of this size is expected", where="checkpoint root")
        if not 0 <= self.time <= MAX_TIME:
            raise InputError(f"a time from 0 to {MAX_TIME} is expected", where="checkpoint time")

    @property
    def text(self) -> str:
        """What is signed: four lines."""
        return f"{self.origin}\n{self.size}\n{to_base64(self.root)}\ntime {self.time}\n"


@dataclass(frozen=True)
class SignedCheckpoint:
    """A checkpoint with the note that it came in.

    Args:
        checkpoint: what it says.
        note: text and signatures.
        raw: the whole note.
    """

    checkpoint: Checkpoint
    note: Note
    raw: str


def sign_checkpoint(checkpoint: Checkpoint, private: NotePrivate) -> str:
    """The signed note of a checkpoint, under the name of its origin."""
    return sign_note(checkpoint.text, checkpoint.origin, private)


def log_key(origin: str, private: NotePrivate) -> VerifierKey:
    """The verifier key that a manifest pins for a log."""
    return VerifierKey(origin, KeyType.LOG, private.public)


def parse_checkpoint(raw: str, *, where: str = "checkpoint") -> SignedCheckpoint:
    """Read a checkpoint; verify no signature.

    Raises:
        InputError: the form is wrong.
    """
    note = parse_note(raw, where=where)
    lines = note.text[:-1].split("\n")
    if len(lines) != 4 or not lines[3].startswith("time "):
        raise InputError("origin, size, root and time are expected, a line each", where=where)
    checkpoint = Checkpoint(
        origin=lines[0],
        size=_number(lines[1], where),
        root=from_base64(lines[2], where=where, most=HASH_SIZE),
        time=_number(lines[3].removeprefix("time "), where),
    )
    return SignedCheckpoint(checkpoint, note, raw)


@lru_cache(maxsize=256)
def verify_checkpoint(raw: str, key: str, *, where: str = "checkpoint") -> SignedCheckpoint:
    """Read a checkpoint and verify the log's signature under it.

    Remembered for some notes, because many messages cite the same one.

    Args:
        raw: the note.
        key: verifier key of the log, as the manifest has it.
        where: the place, for errors.
    Raises:
        InputError: the form is wrong.
        VerificationError: it is of another log, or the signature does not verify.
    """
    signed = parse_checkpoint(raw, where=where)
    verifier = parse_key(key, KeyType.LOG)
    if signed.checkpoint.origin != verifier.name:
        raise VerificationError("the checkpoint is of another log", where=where)
    signed.note.verify(verifier, where=where)
    return signed


def cosigned_bytes(text: str, time: int) -> bytes:
    """What a witness signs: a header, the time, and the text of the note."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def cosign(raw: str, name: str, private: NotePrivate, time: int) -> SignatureLine:
    """A witness's line under a checkpoint; what it vouches for is the caller's to check.

    Args:
        raw: the checkpoint's note.
        name: of the witness.
        private: its key.
        time: seconds UTC.
    Raises:
        InputError: it is no checkpoint.
    """
    signed = parse_checkpoint(raw)
    key = VerifierKey(name, KeyType.WITNESS, private.public)
    signature = private.sign(cosigned_bytes(signed.note.text, time))
    return SignatureLine(name, key.key_id, time.to_bytes(8, "big") + signature)


def cosigned_at(note: Note, key: VerifierKey, *, where: str = "checkpoint") -> int | None:
    """When a witness cosigned, or None if it did not.

    Args:
        note: the checkpoint's.
        key: of the witness.
        where: the place, for errors.
    Returns:
        The newest of its times.
    Raises:
        VerificationError: a line is this witness's and does not verify.
    """
    times = []
    for line in note.lines:
        if not line.is_of(key):
            continue
        if len(line.signature) != _COSIGNATURE_SIZE:
            raise VerificationError("a cosignature of another length", where=where)
        time = int.from_bytes(line.signature[:8], "big")
        if time > MAX_TIME:
            raise VerificationError("a cosignature of an impossible time", where=where)
        key.public.verify(line.signature[8:], cosigned_bytes(note.text, time), where=where)
        times.append(time)
    return max(times, default=None)


def check_quorum(
    signed: SignedCheckpoint,
    keys: Sequence[str],
    quorum: int,
    *,
    since: int = 0,
    until: int = MAX_TIME,
    where: str = "checkpoint",
) -> tuple[str, ...]:
    """Require cosignatures of enough witnesses.

    Args:
        signed: the checkpoint.
        keys: verifier keys of the witnesses, as the manifest has them.
        quorum: how many must have cosigned.
        since: cosignatures from before, seconds UTC, do not count.
        until: nor do those from after.
        where: the place, for errors.
    Returns:
        The names of the witnesses whose cosignatures count.
    Raises:
        InputError: a key is none.
        VerificationError: too few, or a cosignature does not verify.
    """
    names = []
    for text in keys:
        key = parse_key(text, KeyType.WITNESS)
        time = cosigned_at(signed.note, key, where=where)
        if time is not None and since <= time <= until:
            names.append(key.name)
    if len(names) < quorum:
        raise VerificationError(
            f"{len(names)} of {quorum} needed witnesses cosigned the checkpoint", where=where
        )
    return tuple(names)


def _number(text: str, where: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise InputError("a decimal number is expected", where=where)
    return int(text)
