"""Custodians in memory behind their port, which can misbehave on request."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from hub.channel.custodian_replies import Refusal, Standing, unframe_messages
from hub.channel.custodians import (
    Custodian,
    EvaluationRequest,
    Quota,
    key_info,
    make_answer,
    parse_request,
)
from hub.channel.header import MessageType, parse_message
from hub.channel.manifest import Role
from hub.channel.verify import TrustedChannel
from hub.client.custodian_port import CustodianPort, RefusedError
from hub.client.custodians import Way
from hub.errors import TransportError
from hub.fingerprint.oblivious import EvaluationKey
from hub.settings import ClientSettings

DAY = 86_400


@dataclasses.dataclass
class DoubleCustodian:
    """One custodian: it knows who is a member from posted messages only.

    Attributes:
        day, burst: its quota for each member.
        fail: called before each evaluation; raises to misbehave.
        tamper: what it sends instead of its answer.
        asked: the size of each request that it evaluated.
        elements: every blinded element that it was given.
    """

    name: str
    channel: str
    key_id: str
    clock: Callable[[], int]
    seed: bytes
    day: int = 10_000
    burst: int = 10_000
    fail: Callable[[EvaluationRequest], None] = lambda request: None
    tamper: Callable[[bytes], bytes] = lambda answer: answer
    asked: list[int] = dataclasses.field(default_factory=list)
    elements: list[bytes] = dataclasses.field(default_factory=list)
    posts: int = 0
    trusted: TrustedChannel | None = None
    used: dict[tuple[str, int], int] = dataclasses.field(default_factory=dict)
    nonces: set[str] = dataclasses.field(default_factory=set)

    @property
    def key(self) -> EvaluationKey:
        """Its private key."""
        return EvaluationKey(self.seed, key_info(self.channel, self.key_id))

    def row(self) -> Custodian:
        """What its operator hands to the owners."""
        now = self.clock()
        return Custodian(
            self.name,
            f"http://127.0.0.1/{self.name}",
            self.key_id,
            self.key.public_key,
            now,
            now + 90 * DAY,
        )

    def evaluate(self, raw: bytes) -> bytes:
        """Check a request as a real custodian does, and answer it."""
        request = parse_request(raw)
        self.fail(request)
        if self.trusted is None or self.trusted.manifest_by_hash(request.man) is None:
            raise RefusedError(Refusal("behind", "the manifest is not known here"))
        card = next((c for c in self.trusted.cards.values() if c.sign_id == request.pub), None)
        if card is None:
            raise RefusedError(Refusal("behind", "the card is not known here"))
        request.verify(card.signing)
        assert request.nonce not in self.nonces, "a request was sent twice"
        self.nonces.add(request.nonce)
        entry = self.trusted.manifest.member(card.member)
        if entry is None or Role.READ not in entry.roles:
            raise RefusedError(Refusal("not-a-reader", "only members who read"))
        slot = (card.member, self.clock() // DAY)
        left = self.day - self.used.get(slot, 0)
        if request.count > min(left, self.burst):
            quota = self._quota(left)
            raise RefusedError(Refusal("quota", "too much", None, 3_600, quota))
        self.used[slot] = self.used.get(slot, 0) + request.count
        self.asked.append(request.count)
        self.elements.append(request.elements)
        made = self.key.evaluate(request.elements)
        quota = self._quota(left - request.count)
        return self.tamper(make_answer(request, made.elements, made.proof, quota))

    def _quota(self, left: int) -> Quota:
        resets = (self.clock() // DAY + 1) * DAY
        return Quota(self.day, left, resets, self.burst, min(self.burst, left))

    def standing(self, channel: str) -> Standing:
        """What is known."""
        if self.trusted is None:
            return Standing(channel, 0, None)
        manifest = self.trusted.manifest
        known = {card.hash for card in self.trusted.cards.values()}
        missing = sorted({each.card for each in manifest.members} - known)
        return Standing(channel, manifest.version, manifest.hash, tuple(missing))

    def post(self, channel: str, messages: bytes) -> None:
        """Learn manifests and cards."""
        self.posts += 1
        for raw in unframe_messages(messages):
            assert parse_message(raw).header.t in (MessageType.MANIFEST, MessageType.CARD)
            if self.trusted is None:
                self.trusted = TrustedChannel.from_genesis(raw, owner_roots=None, now=self.clock())
                assert self.trusted.channel == channel == self.channel
            else:
                self.trusted.accept(raw, now=self.clock())

    def close(self) -> None:
        """Nothing is open."""


@dataclasses.dataclass
class Pair:
    """Two custodians and the way to them.

    Attributes:
        down: names of those that cannot be reached.
    """

    custodians: dict[str, DoubleCustodian]
    down: set[str] = dataclasses.field(default_factory=set)

    @classmethod
    def of(cls, channel: str, key_id: str, clock: Callable[[], int]) -> Pair:
        """`alder` and `birch`, each with a key of its own."""
        return cls(
            {
                name: DoubleCustodian(name, channel, key_id, clock, name.encode().ljust(32, b"."))
                for name in ("alder", "birch")
            }
        )

    def reach(self, custodian: Custodian, way: Way, settings: ClientSettings) -> CustodianPort:
        """The port's way in."""
        if custodian.custodian_id in self.down:
            return _Down(custodian.custodian_id)
        return self.custodians[custodian.custodian_id]

    @property
    def asked(self) -> int:
        """How many elements were evaluated in all."""
        return sum(sum(each.asked) for each in self.custodians.values())


@dataclasses.dataclass
class _Down:
    name: str

    def evaluate(self, request: bytes) -> bytes:
        """Nobody is there."""
        raise TransportError("cannot be reached, or broke off", where=f"custodian {self.name}")

    def standing(self, channel: str) -> Standing:
        """Nobody is there."""
        raise TransportError("cannot be reached, or broke off", where=f"custodian {self.name}")

    def post(self, channel: str, messages: bytes) -> None:
        """Nobody is there."""
        raise TransportError("cannot be reached, or broke off", where=f"custodian {self.name}")

    def close(self) -> None:
        """Nothing is open."""
