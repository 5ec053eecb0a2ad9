"""Direct messages: detail for named members, read here without any secret; and the release note.

`u32(count) ‖ wraps ‖ commitment ‖ sealed bundle`. Everybody keeps such a message as a place in its
sender's chain and sees that it is wrapped for members only; named members open it.
Source: schemas/channel-v1.md, "Direct".
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hub.channel.fields import Fields, check_ascending, is_member
from hub.channel.header import Audience, Header
from hub.channel.members import MAX_MEMBERS
from hub.channel.primitives.hash import HASH_SIZE, Reader, expand, label, lp, u64, unhex
from hub.channel.wraps import WRAPPED_SIZE
from hub.errors import InputError, VerificationError
from hub.model.codec import Json, canonical, loads_canonical

RELEASE_LABEL: Final = "stillwatch:release"
_NAMES: Final = ("basis", "opt_in", "recipients", "valid_until")
_MAX_RELEASE: Final = 256 * 1024


@dataclass(frozen=True)
class DirectBody:
    """The body of a direct message.

    Args:
        wraps: KEM key id to HPKE ciphertext, ascending, at least one.
        commitment: to the secret inside the wraps, in hex.
        sealed: the bundle, sealed under that secret.
    """

    wraps: Mapping[str, bytes]
    commitment: str
    sealed: bytes

    def to_bytes(self) -> bytes:
        """The body in its one encoding."""
        rows = [unhex(kem) + self.wraps[kem] for kem in sorted(self.wraps)]
        return struct.pack(">I", len(rows)) + b"".join(rows) + unhex(self.commitment) + self.sealed


def parse_direct(data: bytes) -> DirectBody:
    """Read the body of a direct message.

    Raises:
        InputError: the form is wrong.
    """
    reader = Reader(data, "direct body")
    (count,) = struct.unpack(">I", reader.fixed(4, "count"))
    if not 1 <= count <= MAX_MEMBERS:
        raise InputError(f"1 to {MAX_MEMBERS} wraps are expected", where="direct body.count")
    rows = [
        (reader.fixed(HASH_SIZE, "KEM key id").hex(), reader.fixed(WRAPPED_SIZE, "wrap"))
        for _ in range(count)
    ]
    check_ascending([kem for kem, _ in rows], "direct body.wraps")
    commitment = reader.fixed(HASH_SIZE, "commitment").hex()
    return DirectBody(dict(rows), commitment, reader.fixed(reader.left, "sealed bundle"))


def check_wraps(body: DirectBody, kems: Collection[str], where: str) -> None:
    """Require that nobody but members can open it.

    Args:
        body: of the message.
        kems: KEM key ids of the cards that the named manifest lists.
        where: the message, for the error.
    Raises:
        VerificationError: a wrap is for somebody else.
    """
    if not body.wraps.keys() <= frozenset(kems):
        raise VerificationError("wraps a direct message for somebody who is no member", where=where)


def direct_wrap_info(header: Header, kem: str) -> bytes:
    """HPKE's `info` for a wrap of this message's secret."""
    return label("wrap") + _scope(header) + lp(unhex(kem))


def direct_commitment(secret: bytes, header: Header) -> str:
    """What a direct message says about its secret, in hex: every recipient recomputes it."""
    return expand(secret, label("commit") + _scope(header)).hex()


def _scope(header: Header) -> bytes:
    assert header.man is not None
    assert header.ep is not None
    assert header.pub is not None
    assert header.seq is not None
    scope = lp(Audience.DIRECT.encode()) + lp(unhex(header.ch)) + u64(header.ep)
    return scope + lp(unhex(header.man)) + lp(unhex(header.pub)) + u64(header.seq)


@dataclass(frozen=True)
class Release:
    """On what ground a publisher lets named members read.

    Args:
        basis: the legal basis, in words, at most 256 characters.
        recipients: STIX ids of all who can open the message, its sender too; ascending.
        valid_until: after when recipients stop using it, seconds UTC; None: until withdrawn.
    """

    basis: str
    recipients: tuple[str, ...]
    valid_until: int | None = None

    def content(self) -> str:
        """The note's `content`: canonical JSON."""
        value = {
            "basis": self.basis,
            "opt_in": True,
            "recipients": sorted(self.recipients),
            "valid_until": self.valid_until,
        }
        text = canonical(value)
        parse_release(text)
        return text.decode()


def parse_release(data: bytes) -> Release:
    """Read the `content` of a release note.

    Raises:
        InputError: the form is wrong.
    """
    where = "release note"
    fields = Fields(loads_canonical(data, where=where, max_bytes=_MAX_RELEASE), where, _NAMES)
    recipients = fields.array("recipients", most=MAX_MEMBERS)
    if not recipients or not all(is_member(each) for each in recipients):
        raise InputError("ids of members are expected", where=fields.at("recipients"))
    check_ascending(recipients, fields.at("recipients"))
    if fields.raw("opt_in") is not True:
        raise InputError("the publisher did not opt in", where=fields.at("opt_in"))
    return Release(fields.text("basis"), tuple(recipients), fields.optional_time("valid_until"))


def is_release(obj: Json) -> bool:
    """Whether an object is a release note."""
    labels = obj.get("labels")
    return obj.get("type") == "note" and isinstance(labels, list) and RELEASE_LABEL in labels


def release_of(objects: Sequence[Json]) -> Release:
    """The one release note of a direct bundle, which covers exactly the other objects.

    Raises:
        InputError: its content is not of its form.
        VerificationError: none, several, or it speaks of other objects than the bundle holds.
    """
    notes = [each for each in objects if is_release(each)]
    if len(notes) != 1:
        raise VerificationError(
            "a direct message holds no release note"
            if not notes
            else "a direct message holds more than one release note",
            where="bundle",
        )
    note = notes[0]
    where = str(note["id"])
    covered = {str(each["id"]) for each in objects if each is not note}
    if not covered:
        raise VerificationError("a release note releases nothing", where=where)
    if set(note.get("object_refs") or ()) != covered:
        raise VerificationError("the release note names other objects than are sent", where=where)
    return parse_release(str(note.get("content", "")).encode(errors="surrogatepass"))
