"""What a proof file's signatures establish, before anything is concluded from it.

A reader starts from the channel id alone: the genesis is what hashes to it, each later manifest is
signed by the owners before it, and cards, log keys and messages follow from manifests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from hub.channel.card import Card, parse_card
from hub.channel.evidence.proof import Proof, SignedHeader
from hub.channel.header import Header, MessageType, frame, parse_header, parse_message
from hub.channel.ledger import check_signatures
from hub.channel.manifest import Manifest, Member, SignedManifest, parse_signed
from hub.channel.policy import Log
from hub.channel.primitives.hash import HASH_SIZE, digest, label, sha256
from hub.errors import InputError, VerificationError


@dataclass(frozen=True)
class Signed:
    """A header whose signature holds.

    Args:
        header: the parsed header.
        item: where it came from.
        card: the signer's.
        digest: the message's, in hex; None where the file has no body.
    """

    header: Header
    item: SignedHeader
    card: Card
    digest: str | None

    @property
    def name(self) -> str:
        """What to call it in a sentence."""
        return f"{self.header.t} message {self.header.seq}"


class Case:
    """A proof file whose signatures all hold.

    Args:
        proof: the parsed file.
    Raises:
        InputError: an item's form is wrong.
        VerificationError: a signature does not hold, or an item does not belong to the channel.
    """

    def __init__(self, proof: Proof) -> None:
        self.proof = proof
        self.manifests = _chain(proof)
        self.cards = [self._card(raw) for raw in proof.cards]
        self.messages = [self._message(item) for item in proof.messages]

    @cached_property
    def by_hash(self) -> dict[str, Manifest]:
        """The manifests of the chain."""
        return {each.hash: each for each in self.manifests}

    @property
    def newest(self) -> Manifest:
        """The last manifest that the file holds."""
        return self.manifests[-1]

    @cached_property
    def logs(self) -> tuple[Log, ...]:
        """Every log that a manifest pins, newest first."""
        found = [each.log for each in reversed(self.manifests) if each.log is not None]
        return tuple(dict.fromkeys(found))

    @cached_property
    def leaves(self) -> tuple[bytes, ...]:
        """The digests of the complete log."""
        data = self.proof.leaves
        if data is None:
            raise VerificationError("the complete list of the log is missing", where="leaves")
        return tuple(data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE))

    def signer(self, card: Card) -> str:
        """Who that is, in a sentence."""
        return f"{card.member} (root {card.root_id[:16]}…)"

    def row(self, card: Card) -> Member | None:
        """The newest row that names a member under this card's root."""
        for manifest in reversed(self.manifests):
            row = manifest.member(card.member)
            if row is not None and row.root == card.root_id:
                return row
        return None

    def is_owner(self, signed: Signed) -> bool:
        """Whether the signer's root is an owner in the manifest that the header names."""
        manifest = self.by_hash.get(signed.header.man or "")
        return manifest is not None and signed.card.root_id in manifest.owners

    def rival(self) -> SignedManifest:
        """The other manifest of a known version: its owners' signatures hold."""
        if self.proof.rival is None:
            raise VerificationError("the second manifest is missing", where="rival")
        signed = parse_signed(parse_message(self.proof.rival))
        number = signed.manifest.version
        if signed.manifest.channel != self.proof.channel or not 2 <= number <= len(self.manifests):
            raise VerificationError("is not of a version that the file holds", where="rival")
        old = self.manifests[number - 2]
        if signed.manifest.prev != old.hash:
            raise VerificationError("does not follow the same manifest", where="rival")
        check_signatures(signed, old, "rival")
        return signed

    def _card(self, raw: bytes) -> Card:
        card = parse_card(raw)
        if self.row(card) is None:
            raise VerificationError(
                "no manifest of the file has this member and root", where=f"card of {card.member}"
            )
        return card

    def _message(self, item: SignedHeader) -> Signed:
        header = parse_header(item.header)
        where = f"message {header.seq}"
        if header.ch != self.proof.channel:
            raise VerificationError("is addressed to another channel", where=where)
        card = next((each for each in self.cards if each.sign_id == header.pub), None)
        if card is None:
            raise VerificationError("the file lacks its signer's card", where=where)
        named = any(
            row.card == card.hash and row.root == card.root_id
            for manifest in self.manifests
            if (row := manifest.member(card.member)) is not None
        )
        if not named:
            raise VerificationError("no manifest of the file lists its signer's card", where=where)
        data = label("message") + sha256(item.header) + bytes.fromhex(item.body_hash)
        card.signing.verify(item.signature, data, where=where)
        found = None
        if item.body is not None:
            found = digest(frame(item.header, item.body, item.signature))
        return Signed(header, item, card, found)


def _chain(proof: Proof) -> list[Manifest]:
    if not proof.manifests:
        raise InputError("the genesis manifest is missing", where="proof.manifests")
    chain: list[Manifest] = []
    for raw in proof.manifests:
        signed = parse_signed(parse_message(raw))
        manifest, where = signed.manifest, f"manifest {signed.manifest.version}"
        if manifest.channel != proof.channel:
            raise VerificationError("belongs to another channel", where=where)
        _check_next(manifest, chain, where)
        check_signatures(signed, chain[-1] if chain else None, where)
        chain.append(manifest)
    return chain


def _check_next(manifest: Manifest, chain: Sequence[Manifest], where: str) -> None:
    if not chain:
        if not manifest.is_genesis:
            raise VerificationError("is not the genesis", where=where)
        return
    old = chain[-1]
    if (manifest.version, manifest.prev) != (old.version + 1, old.hash):
        raise VerificationError("does not follow the manifest before it", where=where)
    if any(manifest.finals.get(key) != final for key, final in old.finals.items()):
        raise VerificationError("drops or changes a removed key", where=where)


def is_forged(case: Case, raw: bytes) -> str | None:
    """Why no receiver accepts these bytes, from the file alone; None if one might."""
    try:
        message = parse_message(raw)
        if message.header.ch != case.proof.channel:
            return "is addressed to another channel"
        if message.header.t is MessageType.CARD:
            parse_card(message.body)
            return None
        if message.header.t is MessageType.MANIFEST:
            return _forged_manifest(case, parse_signed(message))
        card = next((each for each in case.cards if each.sign_id == message.header.pub), None)
        if card is None:
            return None
        data = label("message") + sha256(message.header_raw) + sha256(message.body)
        card.signing.verify(message.signature, data, where="forged message")
    except (InputError, VerificationError) as error:
        return str(error)
    return None


def is_foreign(case: Case, raw: bytes) -> bool:
    """Whether these bytes are a message of another channel."""
    try:
        return parse_message(raw).header.ch != case.proof.channel
    except (InputError, VerificationError):
        return False


def _forged_manifest(case: Case, signed: SignedManifest) -> str | None:
    manifest, old = signed.manifest, None
    if not manifest.is_genesis:
        # Owners may have signed two manifests of a version: whose signatures one needs that follows
        # a manifest which the file lacks, the file cannot say.
        old = case.by_hash.get(manifest.prev or "")
        if old is None:
            return None
    check_signatures(signed, old, f"manifest {manifest.version}")
    return None
