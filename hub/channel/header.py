"""The clear header and the frame of protocol messages.

A message is `L("message") ‖ lp(header) ‖ lp(body) ‖ lp(signature)`. Cards and manifests carry root
signatures inside their bodies and have an empty signature field; every other type is signed by a
card's signing pair over `L("message") ‖ H(header) ‖ H(body)`.
Source: schemas/channel-v1.md, "Messages".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hub.channel.fields import SUITE, VERSION, Fields
from hub.channel.primitives.hash import Reader, digest, label, lp, sha256
from hub.channel.primitives.sign import SIGNATURE_SIZE, SigningPrivate
from hub.errors import InputError, VerificationError
from hub.model.codec import Json, canonical, loads_canonical

MAX_HEADER: Final = 16 * 1024
# In base64 inside an artifact this stays below the 8 MiB that hubs take in one request.
MAX_BODY: Final = 5 * 2**20
MAX_MESSAGE: Final = MAX_BODY + MAX_HEADER + 8 * 1024
MAX_CHECKPOINT: Final = 8 * 1024
_NAMES: Final = frozenset(
    {"v", "t", "suite", "ch", "man", "ep", "aud", "pub", "seq", "prev", "ts", "exp", "cp"}
)


class MessageType(StrEnum):
    """What a message is; `t` in the header."""

    CARD = "card"
    MANIFEST = "manifest"
    EPOCH = "epoch"
    KEYS = "keys"
    DATA = "data"
    HEARTBEAT = "heartbeat"
    TOMBSTONE = "tombstone"


class Audience(StrEnum):
    """Whose secret a body is sealed under; `aud` in the header."""

    DETAIL = "detail"
    AGGREGATE = "aggregate"
    DIRECT = "direct"


ROOT_SIGNED: Final = frozenset({MessageType.CARD, MessageType.MANIFEST})
_WITH_EPOCH: Final = frozenset({MessageType.EPOCH, MessageType.KEYS, MessageType.DATA})
_NO_AUDIENCE: Final[frozenset[str | None]] = frozenset({None})
_AUDIENCES: Final[dict[MessageType, frozenset[str | None]]] = {
    MessageType.KEYS: frozenset({Audience.DETAIL}),
    MessageType.DATA: frozenset(Audience),
}


@dataclass(frozen=True)
class Header:
    """The clear header; `None` where a type has no use for a field.

    Args:
        t: message type.
        ch: channel id.
        man: hash of the manifest that the sender held to be current.
        ep: epoch number, from 1.
        aud: audience.
        pub: signing key id of the sender.
        seq: position in the chain of `pub`, from 1, without gaps.
        prev: digest of the message before it in that chain; None for the first.
        ts: when it was made, seconds UTC.
        exp: after when it means nothing more, seconds UTC.
        cp: the last signed checkpoint of the hub's log that the sender saw.
    """

    t: MessageType
    ch: str
    ts: int
    man: str | None = None
    ep: int | None = None
    aud: Audience | None = None
    pub: str | None = None
    seq: int | None = None
    prev: str | None = None
    exp: int | None = None
    cp: str | None = None

    def to_json(self) -> Json:
        """The header with its exact key set."""
        return {
            "v": VERSION,
            "t": str(self.t),
            "suite": SUITE,
            "ch": self.ch,
            "man": self.man,
            "ep": self.ep,
            "aud": None if self.aud is None else str(self.aud),
            "pub": self.pub,
            "seq": self.seq,
            "prev": self.prev,
            "ts": self.ts,
            "exp": self.exp,
            "cp": self.cp,
        }


@dataclass(frozen=True)
class Message:
    """A message of correct form, nothing of it verified.

    Args:
        header: the parsed header.
        header_raw: its canonical bytes.
        body: clear or sealed, by type.
        signature: both signatures, or empty for cards and manifests.
        raw: the whole message.
        digest: SHA-256 of `raw` in hex: the identity of the message.
    """

    header: Header
    header_raw: bytes
    body: bytes
    signature: bytes
    raw: bytes
    digest: str


def signed_bytes(header_raw: bytes, body: bytes) -> bytes:
    """What the sender signs: L("message") ‖ H(header) ‖ H(body)."""
    return label("message") + sha256(header_raw) + sha256(body)


def body_context(header_raw: bytes) -> bytes:
    """The context of a sealed body: L("body") ‖ H(header)."""
    return label("body") + sha256(header_raw)


def frame(header_raw: bytes, body: bytes, signature: bytes) -> bytes:
    """The bytes of a message."""
    return label("message") + lp(header_raw) + lp(body) + lp(signature)


def signed_message(header: Header, body: bytes, signing: SigningPrivate) -> bytes:
    """Sign and frame a message.

    Raises:
        InputError: the body is longer than a receiver takes.
    """
    if len(body) > MAX_BODY:
        raise InputError(
            f"a body of {len(body)} bytes exceeds {MAX_BODY}", hint="send several smaller messages"
        )
    header_raw = canonical(header.to_json())
    return frame(header_raw, body, signing.sign(signed_bytes(header_raw, body)))


def unsigned_message(header: Header, body: bytes) -> bytes:
    """Frame a card or a manifest, whose body carries root signatures."""
    return frame(canonical(header.to_json()), body, b"")


def parse_message(raw: bytes) -> Message:
    """Read the frame and the header; verify nothing.

    Args:
        raw: the whole message.
    Raises:
        InputError: the form is wrong anywhere.
        VerificationError: another protocol version or suite, or a signature is missing.
    """
    if len(raw) > MAX_MESSAGE:
        raise InputError(f"{len(raw)} bytes exceed {MAX_MESSAGE}", where="message")
    reader = Reader(raw, "message")
    reader.label("message")
    header_raw = reader.field("header", most=MAX_HEADER)
    body = reader.field("body", most=MAX_BODY)
    signature = reader.field("signature", most=SIGNATURE_SIZE)
    reader.end()
    header = parse_header(header_raw)
    wanted = 0 if header.t in ROOT_SIGNED else SIGNATURE_SIZE
    if len(signature) != wanted:
        raise VerificationError(
            f"a {header.t} message has {wanted} bytes of signature, not {len(signature)}",
            where="message.signature",
        )
    return Message(header, header_raw, body, signature, raw, digest(raw))


def parse_header(data: bytes) -> Header:
    """Read a header: canonical JSON, exact key set, the fields that its type has.

    Raises:
        InputError: the form is wrong.
        VerificationError: another protocol version or suite.
    """
    fields = Fields(loads_canonical(data, where="header", max_bytes=MAX_HEADER), "header", _NAMES)
    if fields.raw("v") != VERSION or type(fields.raw("v")) is not int:
        raise VerificationError("a protocol version unknown here", where="header.v")
    if fields.raw("suite") != SUITE:
        raise VerificationError("a suite unknown here: there is one only", where="header.suite")
    kind = MessageType(fields.one_of("t", [str(member) for member in MessageType]))
    audience = fields.raw("aud")
    if not isinstance(audience, str | None) or audience not in _AUDIENCES.get(kind, _NO_AUDIENCE):
        raise InputError(f"not an audience of {kind} messages", where="header.aud")
    ts, exp = fields.time("ts"), fields.optional_time("exp")
    if exp is not None and exp < ts:
        raise InputError("ends before it begins", where="header.exp")
    by_root = kind in ROOT_SIGNED
    has_epoch = kind in _WITH_EPOCH
    unused = ["pub", "seq", "prev", "cp"] if by_root else []
    unused += [] if has_epoch else ["ep"]
    unused += ["man"] if kind is MessageType.CARD else []
    _require_null(fields, unused)
    header = Header(
        t=kind,
        ch=fields.hash("ch"),
        ts=ts,
        man=None if kind is MessageType.CARD else fields.hash("man"),
        ep=fields.integer("ep", least=1) if has_epoch else None,
        aud=None if audience is None else Audience(audience),
        pub=None if by_root else fields.hash("pub"),
        seq=None if by_root else fields.integer("seq", least=1),
        prev=None if by_root else fields.optional_hash("prev"),
        exp=exp,
        cp=None if by_root else _checkpoint(fields),
    )
    if not by_root and (header.seq == 1) != (header.prev is None):
        raise InputError("exactly the first message of a chain has none", where="header.prev")
    return header


def _require_null(fields: Fields, names: list[str]) -> None:
    for name in names:
        if fields.raw(name) is not None:
            raise InputError("null is expected for this type", where=fields.at(name))


def _checkpoint(fields: Fields) -> str | None:
    value = fields.raw("cp")
    if value is None:
        return None
    if not isinstance(value, str) or not 1 <= len(value.encode()) <= MAX_CHECKPOINT:
        raise InputError(f"1 to {MAX_CHECKPOINT} bytes are expected", where="header.cp")
    return value
