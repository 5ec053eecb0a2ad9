"""A channel whose manifest pins a log, and the log's key, for proofs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from hub.channel.card import Card
from hub.channel.evidence.build import Facts
from hub.channel.evidence.proof import SignedHeader
from hub.channel.header import Header, MessageType, parse_message, signed_message
from hub.channel.log.checkpoint import Checkpoint, log_key, sign_checkpoint
from hub.channel.log.tree import leaf_hash, root_of
from hub.channel.manifest import DAY, Manifest, genesis, next_version, sign_manifest
from hub.channel.notices import Heartbeat
from hub.channel.policy import Log
from hub.channel.primitives.sign import NotePrivate
from tests.unit.channel.cast import NOW, PUBLISHER, READER, Person, seed

ORIGIN = "hub.example/stillwatch/c1/0123456789abcdef"
LAB, PROVIDER, EVE = Person("lab"), Person("provider"), Person("eve")
LOG_PRIVATE = NotePrivate(seed("log", 32))
KEY = log_key(ORIGIN, LOG_PRIVATE).text


class World:
    """Manifests, cards and a log of a channel.

    Args:
        log: whether the genesis pins the log.
    """

    def __init__(self, *, log: bool = True) -> None:
        first = genesis(
            owners=[LAB.root.public.id],
            members=[LAB.row(PUBLISHER), PROVIDER.row(READER)],
            created=NOW,
            expires=NOW + 90 * DAY,
            nonce=seed("nonce", 16),
        )
        if log:
            first = dataclasses.replace(first, log=Log(ORIGIN, KEY))
        self.chain: list[Manifest] = [first]
        self.raw: list[bytes] = [sign_manifest(first, [LAB.root])]
        self.cards: list[Card] = [LAB.card, PROVIDER.card]

    @property
    def channel(self) -> str:
        """Its id."""
        return self.chain[0].hash

    @property
    def facts(self) -> Facts:
        """What a member knows."""
        cards = {card.sign_id: card for card in self.cards}
        return Facts(self.channel, self.raw, cards, NOW + 1_000)

    def follow(self, manifest: Manifest | None = None) -> Manifest:
        """Put another version in force."""
        new = manifest or self.next()
        self.chain.append(new)
        self.raw.append(sign_manifest(new, [LAB.root]))
        return new

    def next(self, after: int = 1) -> Manifest:
        """The next version."""
        old = self.chain[-1]
        return next_version(old, created=old.created + after, expires=NOW + 90 * DAY)

    def message(
        self,
        seq: int = 1,
        prev: str | None = None,
        *,
        person: Person = PROVIDER,
        t: MessageType = MessageType.HEARTBEAT,
        ts: int = NOW + 10,
        body: bytes | None = None,
        ep: int | None = None,
        cp: str | None = None,
    ) -> bytes:
        """A signed message; most checks of receivers do not matter to proofs."""
        header = Header(
            t, self.channel, ts, self.chain[-1].hash, ep, None, person.pub, seq, prev, None, cp
        )
        said = Heartbeat(60, None, None).to_bytes() if body is None else body
        return signed_message(header, said, person.signing)


def item(raw: bytes, *, with_body: bool = True) -> SignedHeader:
    """What a proof holds of a message."""
    return SignedHeader.of(parse_message(raw), with_body=with_body)


def digests(*raws: bytes) -> list[bytes]:
    """The leaves of messages."""
    return [bytes.fromhex(parse_message(raw).digest) for raw in raws]


def note(leaves: Sequence[bytes], time: int = NOW + 100, key: NotePrivate = LOG_PRIVATE) -> str:
    """A signed checkpoint over leaves."""
    root = root_of(leaf_hash(each) for each in leaves)
    return sign_checkpoint(Checkpoint(ORIGIN, len(leaves), root, time), key)


def some(count: int, name: str = "leaf") -> list[bytes]:
    """Digests that stand for messages."""
    return [seed(f"{name} {number}", 32) for number in range(count)]
