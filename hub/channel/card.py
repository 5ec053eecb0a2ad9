"""Cards: what a member's offline root signs about the keys in daily use.

A card is `L("card") ‖ lp(json) ‖ root signature ‖ possession signature`; its hash is H(json). The
second signature is made by the card's own signing pair, so that nobody can claim another's key.
Source: schemas/channel-v1.md, "Cards".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

from hub.channel.fields import SUITE, VERSION, Fields, is_member, to_base64
from hub.channel.header import Header, MessageType, unsigned_message
from hub.channel.primitives.hash import Reader, digest, label, lp, sha256, unhex
from hub.channel.primitives.points import check_mlkem768, check_x25519
from hub.channel.primitives.sign import (
    PUBLIC_SIZE,
    SIGNATURE_SIZE,
    RootPrivate,
    RootPublic,
    SigningPrivate,
    SigningPublic,
)
from hub.channel.words import WORDS
from hub.errors import InputError, VerificationError
from hub.model.codec import canonical, loads_canonical

__all__ = [
    "Card",
    "RootPrivate",
    "RootPublic",
    "SigningPrivate",
    "SigningPublic",
    "card_message",
    "check_chain",
    "fingerprint_text",
    "fingerprint_words",
    "issue_card",
    "kem_id",
    "parse_card",
    "root_id",
]

MAX_CARD: Final = 32 * 1024
MAX_CHAIN: Final = 64
KEM_PUBLIC_SIZE: Final = 1184 + 32
_WORDS_IN_FINGERPRINT: Final = 16
_NAMES: Final = frozenset(
    {
        "v",
        "suite",
        "member",
        "number",
        "prev",
        "root",
        "sign",
        "kem",
        "not_before",
        "not_after",
    }
)


@dataclass(frozen=True)
class Card:
    """A card whose form, root signature and possession signature hold.

    Whether its root is to be trusted is for the caller: compare `root_id` with the manifest, or
    with the member out of band.

    Args:
        member: STIX id of the member's identity.
        number: from 1, one more than the card before it.
        prev: hash of the card before it; None for the first.
        root: the offline root that signed it.
        signing: the signing pair.
        kem_public: ML-KEM-768 (1,184 bytes), then X25519 (32 bytes).
        not_before: seconds UTC, inclusive.
        not_after: seconds UTC, inclusive.
        hash: H of the canonical JSON, in hex.
        raw: the whole card.
    """

    member: str
    number: int
    prev: str | None
    root: RootPublic
    signing: SigningPublic
    kem_public: bytes
    not_before: int
    not_after: int
    hash: str
    raw: bytes

    @property
    def root_id(self) -> str:
        """Id of the root, in hex."""
        return self.root.id

    @property
    def sign_id(self) -> str:
        """Id of the signing pair, in hex: `pub` in headers."""
        return self.signing.id

    @cached_property
    def kem_id(self) -> str:
        """Id of the KEM pair, in hex."""
        return kem_id(self.kem_public)

    def valid_at(self, time: int) -> bool:
        """Whether the card may be used at that time."""
        return self.not_before <= time <= self.not_after


def root_id(root: RootPublic) -> str:
    """Id of a root, in hex."""
    return root.id


def kem_id(kem_public: bytes) -> str:
    """Id of a KEM pair: a labelled hash over both keys, in hex."""
    return digest(label("kem key") + lp(kem_public[:1184]) + lp(kem_public[1184:]))


def fingerprint_text(root: str) -> str:
    """A root's id as text to compare out of band: `SHA256:` and its 64 hex digits in groups."""
    digits = unhex(root).hex()
    return "SHA256:" + "-".join(digits[at : at + 8] for at in range(0, 64, 8))


def fingerprint_words(root: str) -> tuple[str, ...]:
    """A root's id as 16 words to read aloud: its first 128 bits, one word a byte."""
    return tuple(WORDS[byte] for byte in unhex(root)[:_WORDS_IN_FINGERPRINT])


def issue_card(
    root: RootPrivate,
    member: str,
    signing: SigningPrivate,
    kem_public: bytes,
    *,
    number: int,
    prev: str | None,
    not_before: int,
    not_after: int,
) -> bytes:
    """Sign a card.

    Args:
        root: the member's offline root.
        member: STIX id of the member's identity.
        signing: the new signing pair.
        kem_public: 1,216 bytes of the new KEM pair.
        number: 1, or one more than the card before.
        prev: hash of the card before; None for number 1.
        not_before: seconds UTC, inclusive.
        not_after: seconds UTC, inclusive.
    Raises:
        InputError: an argument that no receiver would accept.
        VerificationError: the KEM key is low-order or not canonical.
    """
    if not is_member(member):
        raise InputError("the id of a STIX identity is expected", where="card.member")
    data = canonical(
        {
            "v": VERSION,
            "suite": SUITE,
            "member": member,
            "number": number,
            "prev": prev,
            "root": to_base64(root.public.raw),
            "sign": to_base64(signing.public.raw),
            "kem": to_base64(kem_public),
            "not_before": not_before,
            "not_after": not_after,
        }
    )
    raw = label("card") + lp(data) + root.sign(_by_root(data)) + signing.sign(_by_signing_key(data))
    parse_card(raw)
    return raw


def parse_card(raw: bytes) -> Card:
    """Read a card and verify both of its signatures.

    Raises:
        InputError: the form is wrong.
        VerificationError: a signature does not hold, a key is low-order or not canonical, or the
            version or suite is unknown.
    """
    if len(raw) > MAX_CARD:
        raise InputError(f"{len(raw)} bytes exceed {MAX_CARD}", where="card")
    reader = Reader(raw, "card")
    reader.label("card")
    data = reader.field("json", most=MAX_CARD)
    by_root = reader.fixed(SIGNATURE_SIZE, "root signature")
    by_signing_key = reader.fixed(SIGNATURE_SIZE, "possession signature")
    reader.end()
    card = _parse_json(data, raw)
    card.root.verify(by_root, _by_root(data), where="card.root signature")
    card.signing.verify(by_signing_key, _by_signing_key(data), where="card.possession signature")
    return card


def check_chain(cards: Sequence[Card]) -> Card:
    """Check that cards follow each other under one root and member.

    Args:
        cards: oldest first; the first may have any number.
    Returns:
        The newest.
    Raises:
        InputError: none, or more than a chain may hold.
        VerificationError: a link does not hold.
    """
    if not 1 <= len(cards) <= MAX_CHAIN:
        raise InputError(f"1 to {MAX_CHAIN} cards are expected", where="card chain")
    for older, newer in pairwise(cards):
        follows(older, newer)
    return cards[-1]


def follows(older: Card, newer: Card) -> None:
    """Check that one card is the successor of another.

    Raises:
        VerificationError: other root or member, number not one more, or `prev` is another card.
    """
    where = f"card {newer.number} of {newer.member}"
    if newer.root_id != older.root_id or newer.member != older.member:
        raise VerificationError("another root or member than the card before", where=where)
    if newer.number != older.number + 1 or newer.prev != older.hash:
        raise VerificationError(f"does not follow card {older.number}", where=where)


def card_message(channel: str, card_raw: bytes) -> bytes:
    """The message that brings a card into a channel.

    Raises:
        InputError, VerificationError: the card is not good.
    """
    card = parse_card(card_raw)
    header = Header(t=MessageType.CARD, ch=channel, ts=card.not_before, exp=card.not_after)
    return unsigned_message(header, card_raw)


def _by_root(data: bytes) -> bytes:
    return label("card by root") + sha256(data)


def _by_signing_key(data: bytes) -> bytes:
    return label("card by signing key") + sha256(data)


def _parse_json(data: bytes, raw: bytes) -> Card:
    fields = Fields(loads_canonical(data, where="card", max_bytes=MAX_CARD), "card", _NAMES)
    if fields.raw("v") != VERSION or type(fields.raw("v")) is not int:
        raise VerificationError("a protocol version unknown here", where="card.v")
    if fields.raw("suite") != SUITE:
        raise VerificationError("a suite unknown here: there is one only", where="card.suite")
    card = Card(
        member=fields.member("member"),
        number=fields.integer("number", least=1),
        prev=fields.optional_hash("prev"),
        root=RootPublic(fields.data("root", size=PUBLIC_SIZE)),
        signing=SigningPublic(fields.data("sign", size=PUBLIC_SIZE)),
        kem_public=fields.data("kem", size=KEM_PUBLIC_SIZE),
        not_before=fields.time("not_before"),
        not_after=fields.time("not_after"),
        hash=digest(data),
        raw=raw,
    )
    if (card.number == 1) != (card.prev is None):
        raise InputError("exactly the first card of a chain has none", where="card.prev")
    if card.not_after < card.not_before:
        raise InputError("ends before it begins", where="card.not_after")
    if card.root.raw == card.signing.raw:
        raise VerificationError("root and signing pair must differ", where="card.sign")
    check_mlkem768(card.kem_public, "card.kem")
    check_x25519(card.kem_public[1184:], "card.kem")
    return card
