"""Members over time: manifests, cards and epochs that a channel has accepted.

Source: schemas/channel-v1.md, "Manifest" and "Cards".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from hub.channel.accepted import Epoch, NotYetError
from hub.channel.card import Card, follows, parse_card
from hub.channel.fields import from_base64, to_base64
from hub.channel.header import Audience
from hub.channel.manifest import MAX_MANIFEST, WRITING, Manifest, Member, Role, parse_manifest
from hub.errors import InputError, VerificationError
from hub.model.codec import Json

READERS: Final = {
    Audience.DETAIL: frozenset({Role.READ}),
    Audience.AGGREGATE: frozenset({Role.READ, Role.LIAISON}),
}
_MAX_CARD: Final = 64 * 1024


class Roster:
    """Every manifest, card and epoch accepted so far; the last ones are in force.

    Args:
        genesis: the first manifest.
    """

    def __init__(self, genesis: Manifest) -> None:
        self.manifest = genesis
        self.manifests: dict[str, Manifest] = {genesis.hash: genesis}
        self.superseded: dict[str, int] = {}
        self.cards: dict[str, Card] = {}
        self.by_key: dict[str, Card] = {}
        self.epochs: dict[int, Epoch] = {}
        self._named: dict[str, Member] = {}
        self._index(genesis)
        self._kems: dict[tuple[str, Audience], frozenset[str]] = {}

    @property
    def epoch(self) -> Epoch | None:
        """The current epoch, or None before the first."""
        return self.epochs.get(len(self.epochs))

    def copy(self) -> Roster:
        """Another that grows on its own; manifests, cards and epochs never change."""
        made = Roster(self.manifest)
        made.manifests, made.superseded = dict(self.manifests), dict(self.superseded)
        made.cards, made.by_key = dict(self.cards), dict(self.by_key)
        made.epochs, made._named = dict(self.epochs), dict(self._named)
        made._kems = dict(self._kems)
        return made

    def add_card(self, card: Card) -> None:
        """Keep a checked card."""
        self.cards[card.hash] = card
        self.by_key[card.sign_id] = card

    def add_manifest(self, manifest: Manifest) -> None:
        """Put a checked manifest in force."""
        self.superseded[self.manifest.hash] = manifest.created
        self.manifests[manifest.hash] = manifest
        self.manifest = manifest
        self._index(manifest)

    def _index(self, manifest: Manifest) -> None:
        for member in manifest.members:
            self._named[member.card] = member

    def add_epoch(self, epoch: Epoch) -> None:
        """Put a checked epoch in force."""
        current = self.epoch
        if current is not None:
            self.epochs[current.number] = replace(current, superseded=epoch.created)
        self.epochs[epoch.number] = epoch

    def card_of(self, member: Member) -> Card | None:
        """The card that a row of a manifest names, or None if it has not arrived."""
        return self.cards.get(member.card)

    def readers(self, audience: Audience, manifest: Manifest | None = None) -> tuple[Card, ...]:
        """The cards that a secret of an audience is wrapped for.

        Args:
            audience: detail or aggregate.
            manifest: the current one if None.
        Raises:
            NotYetError: the card of a reader has not arrived.
        """
        wanted = READERS[audience]
        cards = []
        for member in (manifest or self.manifest).members:
            if not member.roles & wanted:
                continue
            card = self.cards.get(member.card)
            if card is None:
                raise NotYetError("the member's card has not arrived", where=member.member)
            cards.append(card)
        return tuple(cards)

    def kems(self, audience: Audience, manifest: Manifest) -> frozenset[str]:
        """KEM key ids of `readers`.

        Raises:
            NotYetError: the card of a reader has not arrived.
        """
        key = (manifest.hash, audience)
        if key not in self._kems:
            cards = self.readers(audience, manifest)
            self._kems[key] = frozenset(card.kem_id for card in cards)
        return self._kems[key]

    def made_for(self, epoch: Epoch, manifest: Manifest) -> bool:
        """Whether an epoch's secrets were wrapped for exactly a manifest's readers.

        Raises:
            NotYetError: the card of a reader has not arrived.
        """
        return all(self.kems(audience, manifest) == epoch.kems[audience] for audience in READERS)

    def check_card(self, card: Card) -> None:
        """Decide whether a card belongs here: a manifest names it, or it is a member's next one.

        A card that came late may have lost its place already: older messages still need it.

        Raises:
            NotYetError: nothing names it.
            VerificationError: it contradicts a manifest or another card.
        """
        where = f"card {card.number} of {card.member}"
        named = self._named.get(card.hash)
        if named is None:
            self._check_next(card, where)
        elif (named.member, named.root) != (card.member, card.root_id):
            raise VerificationError("the manifest names it for another member or root", where=where)
        else:
            self._check_place(card, where)
        for other in self.cards.values():
            if card.sign_id == other.sign_id or card.kem_id == other.kem_id:
                raise VerificationError(f"reuses a key of a card of {other.member}", where=where)
            if other.root_id == card.root_id and abs(other.number - card.number) == 1:
                follows(*sorted((card, other), key=lambda one: one.number))

    def _check_next(self, card: Card, where: str) -> None:
        member = self.manifest.member(card.member)
        if member is None or member.root != card.root_id:
            raise NotYetError("the manifest names no such member under this root", where=where)
        current = self.cards.get(member.card)
        # One that is further ahead waits for the card and the manifest between.
        if current is None or card.number != current.number + 1:
            raise NotYetError("the manifest names another card", where=where)
        follows(current, card)
        if card.sign_id in self.manifest.finals:
            raise VerificationError("its signing key was removed", where=where)

    def _check_place(self, card: Card, where: str) -> None:
        member = self.manifest.member(card.member)
        in_force = member is not None and member.card == card.hash
        if in_force == (card.sign_id in self.manifest.finals):
            raise VerificationError(
                "its signing key was removed"
                if in_force
                else "lost its place without a final position of its key",
                where=where,
            )

    def sibling(self, card: Card) -> Card | None:
        """Another card of the same number by the same root, or None: a root that signs two."""
        for other in self.cards.values():
            same_place = (other.root_id, other.number) == (card.root_id, card.number)
            if same_place and other.hash != card.hash:
                return other
        return None

    def check_successor(self, new: Manifest) -> None:
        """Check a manifest against the current one, signatures apart.

        Raises:
            NotYetError: it is not the very next version.
            VerificationError: it breaks the chain, drops a removed key, or lets a key that lost its
                card or a writing role publish on.
        """
        old, where = self.manifest, f"manifest {new.version}"
        if new.version > old.version + 1:
            raise NotYetError(f"version {old.version + 1} is missing", where=where)
        if new.prev != old.hash:
            raise VerificationError("does not follow the manifest before it", where=where)
        if new.created < old.created:
            raise VerificationError("was made before the manifest before it", where=where)
        if any(new.finals.get(key) != final for key, final in old.finals.items()):
            raise VerificationError("drops or changes a removed key", where=where)
        for member in old.members:
            card = self.cards.get(member.card)
            after = new.member(member.member)
            if card is None or (after is not None and _keeps(old, member, new, after)):
                continue
            if card.sign_id not in new.finals:
                raise VerificationError(
                    f"the key of {member.member} loses its card or a writing role, "
                    "and is not among the removed",
                    where=where,
                )
        for member in new.members:
            card = self.cards.get(member.card)
            if card is not None and card.sign_id in new.finals:
                raise VerificationError(f"{member.member} has a removed key", where=where)

    def to_json(self) -> Json:
        """The durable form."""
        return {
            "manifests": [to_base64(manifest.raw) for manifest in self.manifests.values()],
            "superseded": self.superseded,
            "cards": [to_base64(card.raw) for card in self.cards.values()],
            "epochs": [_epoch_to_json(epoch) for epoch in self.epochs.values()],
        }

    @classmethod
    def from_json(cls, value: Any) -> Roster:
        """What `to_json` gave.

        Raises:
            InputError, VerificationError: it is not of this form.
        """
        try:
            manifests = [
                parse_manifest(from_base64(text, where="state.manifests", most=MAX_MANIFEST))
                for text in value["manifests"]
            ]
            roster = cls(manifests[0])
            roster.manifests = {manifest.hash: manifest for manifest in manifests}
            roster.manifest = manifests[-1]
            for manifest in manifests:
                roster._index(manifest)
            roster.superseded = dict(value["superseded"])
            for text in value["cards"]:
                roster.add_card(parse_card(from_base64(text, where="state.cards", most=_MAX_CARD)))
            epochs = [_epoch_from_json(row) for row in value["epochs"]]
            roster.epochs = {epoch.number: epoch for epoch in epochs}
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            raise InputError("not a state of a roster", where="state") from None
        return roster


def _keeps(old: Manifest, before: Member, new: Manifest, after: Member) -> bool:
    """Whether a member keeps its card and everything that it could sign."""
    owned, owns = before.root in old.owners, after.root in new.owners
    return (
        before.card == after.card
        and before.roles & WRITING <= after.roles & WRITING
        and owned <= owns
    )


def _epoch_to_json(epoch: Epoch) -> Json:
    return {
        "number": epoch.number,
        "digest": epoch.digest,
        "manifest": epoch.manifest,
        "created": epoch.created,
        "commitments": {str(audience): text for audience, text in epoch.commitments.items()},
        "kems": {str(audience): sorted(kems) for audience, kems in epoch.kems.items()},
        "superseded": epoch.superseded,
    }


def _epoch_from_json(row: Json) -> Epoch:
    return Epoch(
        number=row["number"],
        digest=row["digest"],
        manifest=row["manifest"],
        created=row["created"],
        commitments={Audience(key): text for key, text in row["commitments"].items()},
        kems={Audience(key): frozenset(kems) for key, kems in row["kems"].items()},
        superseded=row["superseded"],
    )
