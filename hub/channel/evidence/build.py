"""Making proof files: what belongs into one of each kind.

`Facts` is what every file of a channel begins with; each function adds the items of its kind. A
file is checked by `verify` before it is given out, so nothing is written that proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from hub.channel.card import Card
from hub.channel.evidence.finding import Finding
from hub.channel.evidence.proof import (
    MAX_INCLUSIONS,
    Accused,
    Inclusion,
    Kind,
    Party,
    Prefix,
    Proof,
    SignedHeader,
)
from hub.channel.evidence.verify import verify
from hub.channel.header import parse_header
from hub.channel.log.tree import LeafNodes, consistency_proof, inclusion_proof, leaf_hash, root_of
from hub.channel.manifest import Manifest, manifest_of
from hub.errors import InputError


@dataclass(frozen=True)
class Facts:
    """What is known of a channel.

    Args:
        channel: its id.
        manifests: its manifest messages, genesis first, without gaps.
        cards: its known cards by signing key id.
        now: seconds UTC.
    """

    channel: str
    manifests: Sequence[bytes]
    cards: Mapping[str, Card]
    now: int
    _parsed: dict[int, Manifest] = field(default_factory=dict, compare=False, repr=False)

    def manifest(self, number: int) -> Manifest:
        """The manifest at a position from 0."""
        if number not in self._parsed:
            self._parsed[number] = manifest_of(self.manifests[number])
        return self._parsed[number]

    def until_log(self, verifier_key: str) -> tuple[bytes, ...]:
        """The manifests up to the first that pins a log key.

        Raises:
            InputError: none does.
        """
        for number in range(len(self.manifests)):
            log = self.manifest(number).log
            if log is not None and log.verifier_key == verifier_key:
                return tuple(self.manifests[: number + 1])
        raise InputError("no known manifest pins this log key", where="proof")

    def until_cards(self, cards: Sequence[Card]) -> tuple[bytes, ...]:
        """The manifests up to the one by which every card is named, or else its root."""
        missing = {card.hash for card in cards}
        roots = {card.root_id for card in cards}
        last = len(self.manifests)
        for number in range(len(self.manifests)):
            rows = self.manifest(number).members
            missing -= {row.card for row in rows}
            if roots and not (roots := roots - {row.root for row in rows}):
                last = number + 1
            if not missing:
                return tuple(self.manifests[: number + 1])
        return tuple(self.manifests[:last])

    def card_of(self, item: SignedHeader) -> Card:
        """The card of a message's signer.

        Raises:
            InputError: it is not known.
        """
        card = self.cards.get(parse_header(item.header).pub or "")
        if card is None:
            raise InputError("the signer's card is not known", where="proof")
        return card


def finish(proof: Proof) -> tuple[bytes, Finding]:
    """The file, and what it shows.

    Raises:
        InputError: it is too long for any reader.
        VerificationError: it shows nothing of its kind.
    """
    data = proof.to_bytes()
    return data, verify(data)


def split_view(
    facts: Facts, key: str, notes: tuple[str, str], sizes: tuple[int, int], leaves: Sequence[bytes]
) -> Proof:
    """Two checkpoints of one log that no tree fits.

    Args:
        facts: of the channel.
        key: verifier key of the log.
        notes: the signed checkpoints.
        sizes: how many entries each has.
        leaves: digests of the larger one, from 0; none if the sizes are the same, or the hub did
            not show them.
    """
    prefix = None
    small, large = sorted(sizes)
    if small != large and leaves:
        hashes = [leaf_hash(each) for each in leaves[:large]]
        path = consistency_proof(LeafNodes(hashes), small, large)
        prefix = Prefix(root_of(hashes[:small]), tuple(path))
    said = f"The hub's log shows two histories: checkpoints of {sizes[0]} and {sizes[1]} messages."
    return replace(_of_log(facts, key, Kind.SPLIT_VIEW, said), checkpoints=notes, prefix=prefix)


def rollback(facts: Facts, key: str, notes: tuple[str, str]) -> Proof:
    """A later checkpoint of a smaller log."""
    said = "The hub's log became smaller, or an older checkpoint of it was shown again."
    return replace(_of_log(facts, key, Kind.ROLLBACK, said), checkpoints=notes)


def gap(
    facts: Facts, key: str, note: str, leaves: Sequence[bytes], items: Sequence[SignedHeader]
) -> Proof:
    """A signed message follows one that the complete log lacks.

    Args:
        facts: of the channel.
        key: verifier key of the log.
        note: the signed checkpoint.
        leaves: digests of all of its entries.
        items: the message; and the next one of its key, if its body is not at hand.
    """
    said = "The hub's log lacks a message that another one follows."
    proof = _of_log(facts, key, Kind.GAP, said, items)
    return replace(proof, checkpoints=(note,), leaves=b"".join(leaves), messages=tuple(items))


def unlisted(
    facts: Facts, key: str, note: str, leaves: Sequence[bytes], item: SignedHeader
) -> Proof:
    """The complete log lacks a message that was delivered."""
    said = "The hub delivered a message that its log does not hold."
    proof = _of_log(facts, key, Kind.UNLISTED, said, [item])
    return replace(proof, checkpoints=(note,), leaves=b"".join(leaves), messages=(item,))


def withheld_leaves(
    facts: Facts, key: str, note: str, leaves: Sequence[bytes], missing: Sequence[int]
) -> Proof:
    """The log holds messages that were not delivered.

    Args:
        facts: of the channel.
        key: verifier key of the log.
        note: the signed checkpoint.
        leaves: digests of all of its entries.
        missing: positions of those that were not delivered; the first 64 are named.
    """
    said = "The hub did not deliver what its log holds."
    found = _inclusions(leaves, missing[:MAX_INCLUSIONS])
    return replace(_of_log(facts, key, Kind.WITHHELD, said), checkpoints=(note,), inclusions=found)


def withheld_cited(facts: Facts, key: str, note: str, item: SignedHeader) -> Proof:
    """A member cites a larger log than the one that was shown."""
    said = "A member was shown a larger log than this one."
    proof = _of_log(facts, key, Kind.WITHHELD, said, [item])
    return replace(proof, checkpoints=(note,), messages=(item,))


def withheld_before(facts: Facts, item: SignedHeader) -> Proof:
    """A message follows, or a heartbeat promised, one that was not delivered."""
    said = "The server did not deliver a message that must exist."
    return _of_members(facts, Kind.WITHHELD, said, [item], Accused(Party.SERVER))


def stale_checkpoint(facts: Facts, key: str, note: str) -> Proof:
    """The newest checkpoint that was shown is old."""
    said = "The hub shows no newer checkpoint than this one."
    return replace(_of_log(facts, key, Kind.STALE_CHECKPOINT, said), checkpoints=(note,))


def forged(
    facts: Facts,
    raw: bytes,
    signer: Card | None = None,
    logged: tuple[str, str, Sequence[bytes], int] | None = None,
) -> Proof:
    """Bytes that no receiver accepts were delivered.

    Args:
        facts: of the channel.
        raw: the forged message.
        signer: the card of whom it pretends to be from.
        logged: if the log holds it: the log's verifier key, the signed checkpoint, the digests of
            all of its entries, and the position.
    """
    said = "The server delivered a forged message."
    cards = () if signer is None else (signer.raw,)
    if logged is None:
        accused = Accused(Party.SERVER)
        proof = Proof(Kind.FORGED, facts.channel, accused, said, facts.now, tuple(facts.manifests))
        return replace(proof, cards=cards, forged=raw)
    key, note, leaves, index = logged
    proof = _of_log(facts, key, Kind.FORGED, said)
    return replace(
        proof,
        manifests=tuple(facts.manifests),
        cards=cards,
        checkpoints=(note,),
        inclusions=_inclusions(leaves, [index]),
        forged=raw,
    )


def message_fork(facts: Facts, first: SignedHeader, second: SignedHeader) -> Proof:
    """One key signed two messages of one position, or two that do not follow each other."""
    said = "A member's chain of messages forks."
    accused = Accused(Party.ROOT, facts.card_of(first).root_id)
    return _of_members(facts, Kind.MESSAGE_FORK, said, [first, second], accused)


def epoch_fork(facts: Facts, first: SignedHeader, second: SignedHeader) -> Proof:
    """Owners signed two epoch messages of one number."""
    roots = {facts.card_of(each).root_id for each in (first, second)}
    accused = Accused(Party.ROOT, roots.pop()) if len(roots) == 1 else Accused(Party.OWNERS)
    said = "Two messages begin one epoch."
    proof = _of_members(facts, Kind.EPOCH_FORK, said, [first, second], accused)
    # Both manifests that the headers name belong to it.
    named = {parse_header(each.header).man for each in (first, second)}
    last = max(
        (n for n in range(len(facts.manifests)) if facts.manifest(n).hash in named), default=0
    )
    needed = max(last + 1, len(proof.manifests))
    return replace(proof, manifests=tuple(facts.manifests[:needed]))


def manifest_fork(facts: Facts, rival: bytes, signers: Sequence[str]) -> Proof:
    """Owners signed two manifests of one version.

    Args:
        facts: of the channel.
        rival: the second manifest message.
        signers: root ids that signed both.
    """
    number = manifest_of(rival).version
    accused = Accused(Party.ROOT, signers[0]) if len(signers) == 1 else Accused(Party.OWNERS)
    said = f"There are two manifests of version {number}."
    chain = tuple(facts.manifests[:number])
    return Proof(Kind.MANIFEST_FORK, facts.channel, accused, said, facts.now, chain, rival=rival)


def card_fork(facts: Facts, first: Card, second: Card) -> Proof:
    """A root signed two cards of one number."""
    said = f"A root signed two cards of number {first.number}."
    accused = Accused(Party.ROOT, first.root_id)
    chain = facts.until_cards([first, second])
    cards = (first.raw, second.raw)
    return Proof(Kind.CARD_FORK, facts.channel, accused, said, facts.now, chain, cards=cards)


def after_final(facts: Facts, item: SignedHeader) -> Proof:
    """A removed key signed beyond its final position."""
    card = facts.card_of(item)
    said = "A removed key was used beyond its final position."
    accused = Accused(Party.ROOT, card.root_id)
    proof = _of_members(facts, Kind.AFTER_FINAL, said, [item], accused)
    removing = (n for n in range(len(facts.manifests)) if card.sign_id in facts.manifest(n).finals)
    needed = max(next(removing, 0) + 1, len(proof.manifests))
    return replace(proof, manifests=tuple(facts.manifests[:needed]))


def _inclusions(leaves: Sequence[bytes], indices: Sequence[int]) -> tuple[Inclusion, ...]:
    source = LeafNodes([leaf_hash(each) for each in leaves])
    return tuple(
        Inclusion(index, leaves[index].hex(), tuple(inclusion_proof(source, index, len(leaves))))
        for index in indices
    )


def _of_log(
    facts: Facts, key: str, kind: Kind, said: str, items: Sequence[SignedHeader] = ()
) -> Proof:
    """A file against the log, with the cards of messages that it holds."""
    cards = list({card.hash: card for card in map(facts.card_of, items)}.values())
    chain = max(facts.until_log(key), facts.until_cards(cards), key=len)
    return Proof(
        kind,
        facts.channel,
        Accused(Party.LOG, key),
        said,
        facts.now,
        chain,
        cards=tuple(card.raw for card in cards),
    )


def _of_members(
    facts: Facts, kind: Kind, said: str, items: Sequence[SignedHeader], accused: Accused
) -> Proof:
    cards = list({card.hash: card for card in map(facts.card_of, items)}.values())
    return Proof(
        kind,
        facts.channel,
        accused,
        said,
        facts.now,
        facts.until_cards(cards),
        cards=tuple(card.raw for card in cards),
        messages=tuple(items),
    )
