"""The form of a proof file: one closed, canonical JSON object, bounded everywhere.

Source: schemas/channel-v1.md, "Proof files".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from hub.channel.card import MAX_CARD
from hub.channel.fields import MAX_NUMBER, Fields, from_base64, to_base64
from hub.channel.header import MAX_BODY, MAX_CHECKPOINT, MAX_HEADER, MAX_MESSAGE, Message
from hub.channel.primitives.hash import HASH_SIZE, digest
from hub.channel.primitives.sign import SIGNATURE_SIZE
from hub.errors import InputError, VerificationError
from hub.model.codec import Json, canonical, loads_canonical

FORMAT: Final = "stillwatch-proof"
PROOF_VERSION: Final = 1
MAX_PROOF: Final = 32 * 2**20
MAX_MANIFESTS: Final = 4_096
MAX_CARDS: Final = 8
MAX_CHECKPOINTS: Final = 2
MAX_MESSAGES: Final = 4
MAX_INCLUSIONS: Final = 64
MAX_PATH: Final = 50
MAX_STATEMENT: Final = 1_000
_MAX_ITEMS: Final = 20_000
_MAX_LEAVES: Final = MAX_PROOF * 3 // 4
_NAMES: Final = frozenset(
    {
        "proof",
        "v",
        "kind",
        "channel",
        "accused",
        "statement",
        "made",
        "manifests",
        "rival",
        "cards",
        "checkpoints",
        "messages",
        "leaves",
        "inclusions",
        "prefix",
        "forged",
    }
)


class Kind(StrEnum):
    """What a proof file shows."""

    SPLIT_VIEW = "split-view"
    ROLLBACK = "rollback"
    GAP = "gap"
    WITHHELD = "withheld"
    UNLISTED = "unlisted"
    FORGED = "forged"
    STALE_CHECKPOINT = "stale-checkpoint"
    MESSAGE_FORK = "message-fork"
    EPOCH_FORK = "epoch-fork"
    MANIFEST_FORK = "manifest-fork"
    CARD_FORK = "card-fork"
    AFTER_FINAL = "after-final"


class Party(StrEnum):
    """Whom a proof file accuses."""

    LOG = "log"
    ROOT = "root"
    OWNERS = "owners"
    SERVER = "server"


@dataclass(frozen=True)
class Accused:
    """Whom a proof file accuses.

    Args:
        party: the hub's log key, a member's root, the owners together, or the server, which without
            a log has no key that could be held to anything.
        id: the log's verifier key, or the root id in hex; None for owners and server.
    """

    party: Party
    id: str | None = None


@dataclass(frozen=True)
class SignedHeader:
    """A signed message without its body, which is enough to check who signed what.

    Args:
        header: the canonical bytes of the header.
        body_hash: H(body) in hex.
        signature: both signatures.
        body: the body where it was at hand: then the message's own digest is certain too.
    """

    header: bytes
    body_hash: str
    signature: bytes
    body: bytes | None = None

    @classmethod
    def of(cls, message: Message, *, with_body: bool = True) -> SignedHeader:
        """The signed part of a message."""
        return cls(
            message.header_raw,
            digest(message.body),
            message.signature,
            message.body if with_body else None,
        )


@dataclass(frozen=True)
class Inclusion:
    """A leaf of a log and its RFC 6962 inclusion proof; `path` holds 32-byte hashes."""

    index: int
    digest: str
    path: tuple[bytes, ...]


@dataclass(frozen=True)
class Prefix:
    """A root of the first leaves of a larger tree, and the consistency proof between the two."""

    root: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True)
class Proof:
    """A proof file's content, of correct form, nothing of it verified.

    Args:
        kind: what it shows.
        channel: id of the channel.
        accused: whom.
        statement: what its maker says happened.
        made: when it was written, seconds UTC: its maker's word.
        manifests: manifest messages, genesis first, without gaps.
        rival: another manifest message of a version that `manifests` holds.
        cards: whole cards.
        checkpoints: signed notes.
        messages: signed headers.
        leaves: digests of all messages in the log, 32 bytes each, or None.
        inclusions: leaves of the first checkpoint.
        prefix: what the larger tree has in place of the smaller one.
        forged: the bytes of a message that no receiver accepts.
    """

    kind: Kind
    channel: str
    accused: Accused
    statement: str
    made: int
    manifests: tuple[bytes, ...]
    rival: bytes | None = None
    cards: tuple[bytes, ...] = ()
    checkpoints: tuple[str, ...] = ()
    messages: tuple[SignedHeader, ...] = ()
    leaves: bytes | None = None
    inclusions: tuple[Inclusion, ...] = ()
    prefix: Prefix | None = None
    forged: bytes | None = None

    def to_bytes(self) -> bytes:
        """The file.

        Raises:
            InputError: no reader would take it: too long, or a field beyond its bounds.
        """
        data = canonical(self._json())
        parse_proof(data)
        return data

    def _json(self) -> Json:
        return {
            "proof": FORMAT,
            "v": PROOF_VERSION,
            "kind": str(self.kind),
            "channel": self.channel,
            "accused": {"party": str(self.accused.party), "id": self.accused.id},
            "statement": self.statement,
            "made": self.made,
            "manifests": _texts(self.manifests),
            "rival": _text(self.rival),
            "cards": _texts(self.cards),
            "checkpoints": list(self.checkpoints),
            "messages": [
                {
                    "header": to_base64(each.header),
                    "body_hash": each.body_hash,
                    "signature": to_base64(each.signature),
                    "body": _text(each.body),
                }
                for each in self.messages
            ],
            "leaves": _text(self.leaves),
            "inclusions": [
                {"index": each.index, "digest": each.digest, "path": _texts(each.path)}
                for each in self.inclusions
            ],
            "prefix": None
            if self.prefix is None
            else {"root": to_base64(self.prefix.root), "path": _texts(self.prefix.path)},
            "forged": _text(self.forged),
        }


def parse_proof(data: bytes) -> Proof:
    """Read a proof file; verify nothing.

    Args:
        data: the whole file; more than 32 MiB is refused before it is looked at.
    Raises:
        InputError: the form is wrong anywhere.
        VerificationError: a version unknown here.
    """
    fields = Fields(
        loads_canonical(data, where="proof", max_bytes=MAX_PROOF, max_items=_MAX_ITEMS),
        "proof",
        _NAMES,
    )
    if fields.raw("proof") != FORMAT:
        raise InputError(f"not a {FORMAT}", where="proof.proof")
    if fields.raw("v") != PROOF_VERSION or type(fields.raw("v")) is not int:
        raise VerificationError("a version of proof files unknown here", where="proof.v")
    accused = Fields(fields.raw("accused"), "proof.accused", ("party", "id"))
    return Proof(
        kind=Kind(fields.one_of("kind", [str(each) for each in Kind])),
        channel=fields.hash("channel"),
        accused=Accused(
            Party(accused.one_of("party", [str(each) for each in Party])),
            None if accused.raw("id") is None else accused.text("id", most=512),
        ),
        statement=fields.text("statement", most=MAX_STATEMENT),
        made=fields.time("made"),
        manifests=_blobs(fields, "manifests", count=MAX_MANIFESTS, most=MAX_MESSAGE),
        rival=_optional(fields, "rival", most=MAX_MESSAGE),
        cards=_blobs(fields, "cards", count=MAX_CARDS, most=MAX_CARD),
        checkpoints=_notes(fields),
        messages=_messages(fields),
        leaves=_leaves(fields),
        inclusions=_inclusions(fields),
        prefix=_prefix(fields),
        forged=_optional(fields, "forged", most=MAX_MESSAGE),
    )


def _text(data: bytes | None) -> str | None:
    return None if data is None else to_base64(data)


def _texts(blobs: Sequence[bytes]) -> list[str]:
    return [to_base64(each) for each in blobs]


def _blob(value: Any, where: str, most: int) -> bytes:
    if not isinstance(value, str):
        raise InputError("base64 text is expected", where=where)
    return from_base64(value, where=where, most=most)


def _optional(fields: Fields, name: str, *, most: int) -> bytes | None:
    value = fields.raw(name)
    return None if value is None else _blob(value, fields.at(name), most)


def _blobs(fields: Fields, name: str, *, count: int, most: int) -> tuple[bytes, ...]:
    values = fields.array(name, most=count)
    return tuple(_blob(each, fields.at(name), most) for each in values)


def _hashes(fields: Fields, name: str) -> tuple[bytes, ...]:
    found = _blobs(fields, name, count=MAX_PATH, most=HASH_SIZE)
    if any(len(each) != HASH_SIZE for each in found):
        raise InputError("hashes of 32 bytes are expected", where=fields.at(name))
    return found


def _notes(fields: Fields) -> tuple[str, ...]:
    notes = fields.array("checkpoints", most=MAX_CHECKPOINTS)
    for each in notes:
        if not isinstance(each, str) or not 1 <= len(each.encode()) <= MAX_CHECKPOINT:
            raise InputError(
                f"notes of 1 to {MAX_CHECKPOINT} bytes are expected", where="proof.checkpoints"
            )
    return tuple(notes)


def _messages(fields: Fields) -> tuple[SignedHeader, ...]:
    found = []
    for number, value in enumerate(fields.array("messages", most=MAX_MESSAGES)):
        where = f"proof.messages[{number}]"
        row = Fields(value, where, ("header", "body_hash", "signature", "body"))
        header = _blob(row.raw("header"), f"{where}.header", MAX_HEADER)
        body = _optional(row, "body", most=MAX_BODY)
        if body is not None and digest(body) != row.hash("body_hash"):
            raise InputError("is not the hash of the body", where=f"{where}.body_hash")
        signature = row.data("signature", size=SIGNATURE_SIZE)
        found.append(SignedHeader(header, row.hash("body_hash"), signature, body))
    return tuple(found)


def _leaves(fields: Fields) -> bytes | None:
    leaves = _optional(fields, "leaves", most=_MAX_LEAVES)
    if leaves is not None and (not leaves or len(leaves) % HASH_SIZE):
        raise InputError("whole digests of 32 bytes are expected", where="proof.leaves")
    return leaves


def _inclusions(fields: Fields) -> tuple[Inclusion, ...]:
    found = []
    for number, value in enumerate(fields.array("inclusions", most=MAX_INCLUSIONS)):
        row = Fields(value, f"proof.inclusions[{number}]", ("index", "digest", "path"))
        index = row.integer("index", most=MAX_NUMBER)
        found.append(Inclusion(index, row.hash("digest"), _hashes(row, "path")))
    return tuple(found)


def _prefix(fields: Fields) -> Prefix | None:
    value = fields.raw("prefix")
    if value is None:
        return None
    row = Fields(value, "proof.prefix", ("root", "path"))
    return Prefix(row.data("root", size=HASH_SIZE), _hashes(row, "path"))
