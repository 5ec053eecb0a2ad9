"""Proposals: a draft of the next manifest that collects the signatures of owners.

Where one owner's signature is not enough, the draft travels: as a file to where a root lies, or
inside the channel as a note. It carries the manifest that it follows, so that whoever signs it sees
what changes without anything else at hand: the draft names that manifest's hash.
Source: schemas/channel-v1.md, "Proposals".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from hub.channel.card import MAX_CARD, Card, parse_card
from hub.channel.fields import (
    SUITE,
    VERSION,
    Fields,
    check_ascending,
    from_base64,
    is_member,
    to_base64,
)
from hub.channel.ledger import needed
from hub.channel.manifest import (
    MAX_MANIFEST_ITEMS,
    Manifest,
    manifest_message,
    parse_manifest,
    signed_bytes,
)
from hub.channel.names import NAMES_LABEL
from hub.channel.policy import MAX_OWNERS
from hub.channel.primitives.hash import label, sha256
from hub.channel.primitives.sign import (
    PUBLIC_SIZE,
    SIGNATURE_SIZE,
    RootPrivate,
    RootPublic,
    SigningPrivate,
)
from hub.errors import InputError, VerificationError
from hub.model.codec import Json, canonical, loads_canonical

PROPOSAL_LABEL: Final = "stillwatch:proposal"
COUNTERSIGNATURE_LABEL: Final = "stillwatch:countersignature"
LEAVE_LABEL: Final = "stillwatch:leave"
GOVERNING_LABELS: Final = frozenset(
    {PROPOSAL_LABEL, COUNTERSIGNATURE_LABEL, LEAVE_LABEL, NAMES_LABEL}
)
"""Notes about the channel itself: said once, to who is in it at the time."""

MAX_PROPOSAL: Final = 8 * 2**20
MAX_COUNTERSIGNATURE: Final = 16 * 1024
MAX_NAMES: Final = 64
# Two manifests, and commas in words.
_MAX_ITEMS: Final = 2 * MAX_MANIFEST_ITEMS + 32_768
MAX_CARDS: Final = 64
_CORE: Final = (
    "v",
    "suite",
    "before",
    "after",
    "cards",
    "cuts",
    "names",
    "reason",
    "created",
    "proposer",
)
_ALL: Final = (*_CORE, "signature", "signatures")
_COUNTERSIGNATURE: Final = ("v", "suite", "channel", "manifest", "root", "signature")

Entry = tuple[RootPublic, bytes]


def is_governing(obj: Json) -> bool:
    """Whether an object is a note about the channel itself."""
    labels = obj.get("labels")
    if obj.get("type") != "note" or not isinstance(labels, list):
        return False
    return any(each in GOVERNING_LABELS for each in labels if isinstance(each, str))


@dataclass(frozen=True)
class Countersignature:
    """One owner's signature of a draft, on its way to the others.

    Args:
        channel: channel id.
        manifest: hash of the draft.
        root: the owner's root.
        signature: of the draft, unverified.
    """

    channel: str
    manifest: str
    root: RootPublic
    signature: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical(
            {
                "v": VERSION,
                "suite": SUITE,
                "channel": self.channel,
                "manifest": self.manifest,
                "root": to_base64(self.root.raw),
                "signature": to_base64(self.signature),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Countersignature:
        """What `to_bytes` gave; the signature is checked when it is added to a proposal.

        Raises:
            InputError: the form is wrong.
            VerificationError: the version or suite is unknown, or the root is no good key.
        """
        where = "countersignature"
        value = loads_canonical(data, where=where, max_bytes=MAX_COUNTERSIGNATURE)
        fields = Fields(value, where, _COUNTERSIGNATURE)
        _check_suite(fields)
        return cls(
            channel=fields.hash("channel"),
            manifest=fields.hash("manifest"),
            root=RootPublic(fields.data("root", size=PUBLIC_SIZE)),
            signature=fields.data("signature", size=SIGNATURE_SIZE),
        )


@dataclass(frozen=True)
class Proposal:
    """A draft that holds in itself: form, proposer and every signature were checked.

    Whether it still fits the channel is for `TrustedChannel.check_draft`.

    Args:
        before: the manifest that the draft follows.
        after: the draft.
        cards: cards that the draft names and that the channel may not have, ascending by hash.
        cuts: keys that end before their last message on purpose, because somebody stole them.
        names: what the proposer calls members, by member id.
        reason: why, in the proposer's words.
        created: seconds UTC.
        proposer: card of the owner who proposes it.
        signature: the proposer's, over everything but the owners' signatures.
        signatures: owners' signatures of the draft by root id.
    """

    before: Manifest
    after: Manifest
    cards: tuple[Card, ...]
    cuts: frozenset[str]
    names: Mapping[str, str]
    reason: str
    created: int
    proposer: Card
    signature: bytes = field(repr=False)
    signatures: Mapping[str, Entry] = field(repr=False)

    @property
    def id(self) -> str:
        """The draft's hash: what owners sign."""
        return self.after.hash

    @cached_property
    def raw(self) -> bytes:
        """The proposal as a file: canonical JSON."""
        return canonical(
            {
                **_core(self),
                "signature": to_base64(self.signature),
                "signatures": [
                    {
                        "root": to_base64(self.signatures[key][0].raw),
                        "signature": to_base64(self.signatures[key][1]),
                    }
                    for key in sorted(self.signatures)
                ],
            }
        )

    @property
    def missing(self) -> tuple[int, int]:
        """How many signatures of the owners before, and of the draft's own, are still missing."""
        signed = self.signatures.keys()
        old = needed(self.before, self.after) - len(signed & set(self.before.owners))
        new = self.after.threshold - len(signed & set(self.after.owners))
        return max(0, old), max(0, new)

    @property
    def complete(self) -> bool:
        """Whether enough owners signed."""
        return self.missing == (0, 0)

    @property
    def may_sign(self) -> frozenset[str]:
        """Root ids whose signature counts, and is not there yet."""
        owners = frozenset(self.before.owners) | frozenset(self.after.owners)
        return owners - self.signatures.keys()

    def signed_by(self, root: RootPrivate) -> Proposal:
        """The proposal with an owner's signature.

        Raises:
            VerificationError: the root is no owner's.
        """
        return self.with_entries([(root.public, root.sign(signed_bytes(self.after)))])

    def countersignature(self, root: str) -> Countersignature:
        """The signature of one owner, to send by itself.

        Raises:
            InputError: that owner did not sign.
        """
        if root not in self.signatures:
            raise InputError("this owner did not sign the proposal", where=root[:16])
        return Countersignature(self.after.channel, self.id, *self.signatures[root])

    def with_entries(self, entries: Iterable[Entry]) -> Proposal:
        """The proposal with further signatures, each of which must hold.

        Raises:
            VerificationError: a signature is wrong, is over another draft, or is no owner's.
        """
        signatures = dict(self.signatures)
        for public, signature in entries:
            if public.id not in signatures:
                _check_entry(self.before, self.after, public, signature)
                signatures[public.id] = (public, signature)
        return replace(self, signatures=signatures)

    def message(self) -> bytes:
        """The manifest message, for who completes it.

        Raises:
            VerificationError: too few owners signed.
        """
        old, new = self.missing
        if old or new:
            raise VerificationError(
                f"{max(old, new)} more owners must sign it", where=f"proposal {self.id[:16]}"
            )
        return manifest_message(self.after, self.signatures)


def propose(
    before: Manifest,
    after: Manifest,
    *,
    proposer: Card,
    signing: SigningPrivate,
    reason: str,
    created: int,
    cards: Sequence[Card] = (),
    cuts: Collection[str] = (),
    names: Mapping[str, str] | None = None,
) -> Proposal:
    """A proposal that nobody has signed yet.

    Args:
        before: the manifest in force.
        after: its next version.
        proposer: the owner's card in `before`.
        signing: its signing pair.
        reason: why, in words; 1 to 1,000 characters.
        created: seconds UTC.
        cards: of joiners and of members whose card changes.
        cuts: signing keys whose final position is before their last message on purpose.
        names: what to call members, by member id.
    Raises:
        InputError, VerificationError: no receiver would accept it.
    """
    draft = Proposal(
        before=before,
        after=after,
        cards=tuple(sorted(cards, key=lambda card: card.hash)),
        cuts=frozenset(cuts),
        names=dict(names or {}),
        reason=reason,
        created=created,
        proposer=proposer,
        signature=bytes(SIGNATURE_SIZE),
        signatures={},
    )
    signature = signing.sign(_signed(_core(draft)))
    return parse_proposal(replace(draft, signature=signature).raw)


def parse_proposal(raw: bytes) -> Proposal:
    """Read a proposal and check everything that it says by itself.

    Raises:
        InputError: the form is wrong.
        VerificationError: the draft does not follow its manifest, the proposer is no owner, a card
            is not one that the draft names, or a signature is wrong, of another draft, or of
            somebody who is no owner.
    """
    where = "proposal"
    fields = Fields(
        loads_canonical(raw, where=where, max_bytes=MAX_PROPOSAL, max_items=_MAX_ITEMS), where, _ALL
    )
    _check_suite(fields)
    before, after = (_manifest(fields, name) for name in ("before", "after"))
    _check_follows(before, after)
    proposer = parse_card(_bytes(fields, "proposer"))
    proposal = Proposal(
        before=before,
        after=after,
        cards=_cards(fields, before, after),
        cuts=_cuts(fields, before, after),
        names=_names(fields),
        reason=fields.text("reason", most=1000),
        created=fields.time("created"),
        proposer=proposer,
        signature=fields.data("signature", size=SIGNATURE_SIZE),
        signatures={},
    )
    row = before.member(proposer.member)
    if row is None or row.card != proposer.hash or not before.is_owner(proposer.member):
        raise VerificationError("its proposer is no owner", where="proposal.proposer")
    proposer.signing.verify(
        proposal.signature, _signed(_core(proposal)), where="proposal.signature"
    )
    return proposal.with_entries(_entries(fields))


def _core(proposal: Proposal) -> Json:
    return {
        "v": VERSION,
        "suite": SUITE,
        "before": loads_canonical(proposal.before.raw, max_bytes=MAX_PROPOSAL),
        "after": loads_canonical(proposal.after.raw, max_bytes=MAX_PROPOSAL),
        "cards": [to_base64(card.raw) for card in proposal.cards],
        "cuts": sorted(proposal.cuts),
        "names": dict(proposal.names),
        "reason": proposal.reason,
        "created": proposal.created,
        "proposer": to_base64(proposal.proposer.raw),
    }


def _signed(core: Json) -> bytes:
    return label("proposal") + sha256(canonical(core))


def _check_suite(fields: Fields) -> None:
    if fields.raw("v") != VERSION or type(fields.raw("v")) is not int:
        raise VerificationError("a protocol version unknown here", where=fields.at("v"))
    if fields.raw("suite") != SUITE:
        raise VerificationError("a suite unknown here: there is one only", where=fields.at("suite"))


def _check_entry(before: Manifest, after: Manifest, public: RootPublic, signature: bytes) -> None:
    where = f"proposal {after.hash[:16]}, signature of {public.id[:16]}"
    if public.id not in before.owners and public.id not in after.owners:
        raise VerificationError("carries a signature of somebody who is no owner", where=where)
    public.verify(signature, signed_bytes(after), where=where)


def _check_follows(before: Manifest, after: Manifest) -> None:
    stated = (after.genesis_channel, after.prev, after.version)
    if stated != (before.channel, before.hash, before.version + 1):
        raise VerificationError("does not follow the manifest it comes with", where="proposal")


def _manifest(fields: Fields, name: str) -> Manifest:
    value = fields.raw(name)
    if not isinstance(value, dict):
        raise InputError("a manifest is expected", where=fields.at(name))
    return parse_manifest(canonical(value))


def _cards(fields: Fields, before: Manifest, after: Manifest) -> tuple[Card, ...]:
    known = {row.card for row in before.members}
    named = {row.card: row for row in after.members if row.card not in known}
    texts = fields.array("cards", most=MAX_CARDS)
    cards = tuple(parse_card(_decoded(text, fields.at("cards"))) for text in texts)
    check_ascending([card.hash for card in cards], fields.at("cards"))
    for card in cards:
        row = named.get(card.hash)
        if row is None or (row.member, row.root) != (card.member, card.root_id):
            raise VerificationError("brings a card that the draft does not name", where="proposal")
    return cards


def _cuts(fields: Fields, before: Manifest, after: Manifest) -> frozenset[str]:
    cuts = frozenset(fields.hashes("cuts", most=MAX_CARDS))
    if not cuts <= after.finals.keys() - before.finals.keys():
        raise VerificationError("cuts a key that the draft does not end", where=fields.at("cuts"))
    return cuts


def _names(fields: Fields) -> dict[str, str]:
    value = fields.raw("names")
    if not isinstance(value, dict) or len(value) > MAX_NAMES:
        raise InputError(f"an object of at most {MAX_NAMES} names", where=fields.at("names"))
    inner = Fields(value, fields.at("names"), list(value))
    if not all(is_member(key) for key in value):
        raise InputError("the ids of STIX identities are expected", where=fields.at("names"))
    return {key: inner.text(key) for key in value}


def _entries(fields: Fields) -> list[Entry]:
    entries: list[Entry] = []
    for number, value in enumerate(fields.array("signatures", most=2 * MAX_OWNERS)):
        row = Fields(value, f"proposal.signatures[{number}]", ("root", "signature"))
        public = RootPublic(row.data("root", size=PUBLIC_SIZE))
        entries.append((public, row.data("signature", size=SIGNATURE_SIZE)))
    check_ascending([public.id for public, _ in entries], fields.at("signatures"))
    return entries


def _bytes(fields: Fields, name: str) -> bytes:
    return _decoded(fields.raw(name), fields.at(name))


def _decoded(value: Any, where: str) -> bytes:
    if not isinstance(value, str):
        raise InputError("base64 text is expected", where=where)
    return from_base64(value, where=where, most=MAX_CARD)
