"""Every check of signed bytes, without secrets, network, files or clock.

`TrustedChannel` takes the messages of one channel in any number of steps and keeps what they prove.
Its rules, in the order in which they are applied to a message:

1.  The frame, header and body have their one canonical form, version and suite. Else `InputError`
    or `VerificationError`, and nothing is remembered.
2.  Bytes, cards and manifests that were accepted before are accepted again as duplicates.
3.  The channel is this one, and the message is not from the future.
4.  A card carries its root's and its own signing key's signature; the manifest in force names it,
    or it follows the card that the manifest names.
5.  A manifest is the very next version, names the one before it, carries the threshold of the old
    and of the new owners, keeps every removed key removed, and gives a final position for each key
    that lost its card or a right to sign.
6.  Any other message carries both signatures of a known card. From here on its author is certain,
    and contradictions are alarms.
7.  Nothing counts after the final position of a removed key.
8.  The manifest that the header names is known and lists the author with this card; card and
    manifest are valid at the header's time; `cp` is null or verifies under the manifest's log.
9.  Position and `prev` continue the author's chain without gap or fork.
10. The named manifest was in force no longer ago than the staleness window. The role fits the type;
    the epoch that is named is known, not stale, and was made for exactly the readers of the named
    manifest. An epoch message has the next number, is an owner's, and wraps for those readers.

What still remains to the opener: commitments of secrets, and everything inside sealed bodies.
Source: schemas/channel-v1.md, "Verification".
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from hub.channel.accepted import Accepted, Alarm, Epoch, NotYetError, RefusedError
from hub.channel.card import Card
from hub.channel.chains import Chains
from hub.channel.header import (
    Audience,
    MessageType,
    parse_message,
)
from hub.channel.ledger import (
    Ledger,
    check_not_from_the_future,
    check_signatures,
)
from hub.channel.log.cited import Citations, Cited, check_citation
from hub.channel.manifest import Manifest, Removed, parse_signed
from hub.channel.roster import Roster
from hub.errors import InputError, VerificationError
from hub.model.codec import Json, canonical, loads_canonical

__all__ = ["Accepted", "Alarm", "Epoch", "NotYetError", "RefusedError", "TrustedChannel"]

_STATE_VERSION: Final = 1
_MAX_STATE: Final = 2**30


class TrustedChannel:
    """What one reader, or the hub, knows of a channel to be true.

    Args:
        ledger: what was accepted; use `from_genesis` or `restore`.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @classmethod
    def from_genesis(
        cls, raw: bytes, *, owner_roots: Collection[str] | None, now: int
    ) -> TrustedChannel:
        """Begin with the first manifest.

        Args:
            raw: the genesis manifest message.
            owner_roots: the root ids in the invitation; None trusts on first use (the hub).
            now: seconds UTC.
        Raises:
            InputError: the form is wrong.
            VerificationError: not a genesis, other owners, too few signatures, or from the future.
        """
        signed = parse_signed(parse_message(raw))
        manifest = signed.manifest
        if not manifest.is_genesis:
            raise VerificationError("a channel begins with its genesis manifest", where="manifest")
        if owner_roots is not None and frozenset(owner_roots) != frozenset(manifest.owners):
            raise VerificationError(
                "the owners are not those of the invitation", where="manifest.owners"
            )
        check_not_from_the_future(manifest.created, now)
        check_signatures(signed, None, "genesis manifest")
        return cls(Ledger(Roster(manifest), Chains(), [], manifest.created))

    # -- what is known ---------------------------------------------------------------------------

    @property
    def channel(self) -> str:
        """The channel id."""
        return self._ledger.roster.manifest.channel

    @property
    def manifest(self) -> Manifest:
        """The manifest in force."""
        return self._ledger.roster.manifest

    @property
    def epoch(self) -> Epoch | None:
        """The current epoch, or None before the first."""
        return self._ledger.roster.epoch

    @property
    def epochs(self) -> Mapping[int, Epoch]:
        """Every epoch by number."""
        return self._ledger.roster.epochs

    @property
    def cards(self) -> dict[str, Card]:
        """The current card of each member whose card has arrived, by member id."""
        found = {}
        for member in self.manifest.members:
            card = self._ledger.roster.card_of(member)
            if card is not None:
                found[member.member] = card
        return found

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """Contradictions that somebody signed, oldest first."""
        return tuple(self._ledger.alarms)

    @property
    def time(self) -> int:
        """The highest `ts` accepted."""
        return self._ledger.time

    def manifest_by_hash(self, digest: str) -> Manifest | None:
        """An accepted manifest, also a superseded one."""
        return self._ledger.roster.manifests.get(digest)

    def roots_of(self, member: str) -> frozenset[str]:
        """Root ids under which any accepted manifest has named a member id."""
        return frozenset(
            row.root
            for manifest in self._ledger.roster.manifests.values()
            for row in manifest.members
            if row.member == member
        )

    def last_root_of(self, member: str) -> str | None:
        """Root id under which the newest manifest that has a row for a member id named it."""
        for manifest in reversed(self._ledger.roster.manifests.values()):
            row = manifest.member(member)
            if row is not None:
                return row.root
        return None

    def cards_of(self, member: str) -> list[Card]:
        """Every accepted card of a member, by number."""
        found = [each for each in self._ledger.roster.cards.values() if each.member == member]
        return sorted(found, key=lambda each: each.number)

    def pending_card(self, member: str) -> Card | None:
        """A card that follows the member's current one and that no manifest names yet."""
        current = self.cards.get(member)
        for card in self._ledger.roster.cards.values():
            if current is not None and card.prev == current.hash and card.member == member:
                return card
        return None

    def readers(self, audience: Audience) -> tuple[Card, ...]:
        """The cards that a secret of an audience must be wrapped for, by the manifest in force.

        Raises:
            NotYetError: the card of a reader has not arrived.
        """
        return self._ledger.roster.readers(audience)

    def card_of(self, member: str, manifest: Manifest | None = None) -> Card:
        """The card that a manifest, the one in force if None, names for a member.

        Raises:
            InputError: no such member.
            NotYetError: its card has not arrived.
        """
        row = (manifest or self.manifest).member(member)
        if row is None:
            raise InputError("not a member", where=member)
        card = self._ledger.roster.card_of(row)
        if card is None:
            raise NotYetError("the member's card has not arrived", where=member)
        return card

    def last(self, pub: str) -> tuple[int, str] | None:
        """Position and digest of the last message of a signing key, or None."""
        return self._ledger.chains.last(pub)

    def card_of_key(self, pub: str) -> Card | None:
        """The accepted card of a signing key, also one that lost its place."""
        return self._ledger.roster.by_key.get(pub)

    def position(self, pub: str) -> tuple[int, str | None]:
        """`seq` and `prev` of the next message of a signing key."""
        return self._ledger.chains.position(pub)

    @property
    def deleted(self) -> frozenset[str]:
        """Digests of the messages that accepted tombstones name."""
        return self._ledger.chains.deleted

    def final_of(self, member: str) -> Removed:
        """The entry that removes a member's current key after all that is known of it.

        Raises:
            InputError: no such member.
            NotYetError: its card has not arrived.
        """
        card = self.card_of(member)
        last = self._ledger.chains.last(card.sign_id)
        return Removed(card.sign_id, *(last or (0, None)))

    def final_of_key(self, key: str) -> Removed:
        """The entry that removes a signing key after all that is known of it."""
        last = self._ledger.chains.last(key)
        return Removed(key, *(last or (0, None)))

    def digest_at(self, key: str, seq: int) -> str | None:
        """Digest of the message of a signing key at a position, or None where none is known."""
        return self._ledger.chains.at(key, seq)

    def holder(self, key: str) -> str | None:
        """The member whose signing key it is, or None for a key of no known card."""
        card = self._ledger.roster.by_key.get(key)
        return None if card is None else card.member

    def check_draft(self, draft: Manifest) -> None:
        """Check a manifest that is not yet signed by enough owners against the one in force.

        Raises:
            NotYetError: it is not the very next version.
            VerificationError: no signature could make it acceptable.
        """
        self._ledger.roster.check_successor(draft)

    # -- the log ---------------------------------------------------------------------------------

    @property
    def cited(self) -> Sequence[Cited]:
        """The highest checkpoint that each author cited of each log."""
        return self._ledger.citations.rows

    def take_citations(self) -> Sequence[Cited]:
        """Each checkpoint that was cited since the last call, once, to be held against the log."""
        return self._ledger.citations.take_fresh()

    def note_checkpoint(self, raw: str) -> None:
        """Quote a checkpoint in what is sealed from now on.

        Args:
            raw: the signed note; what it says of the log was verified by the caller.
        Raises:
            VerificationError: it is not one of the log that the manifest in force names.
        """
        check_citation(raw, self.manifest.log, "checkpoint")
        self._ledger.citations.quoted = raw

    def quote(self, checkpoint: str | None = None) -> str | None:
        """The `cp` of the next message: the given one, the noted one, or None without a log.

        Raises:
            VerificationError: the given one is not of the log that the manifest in force names.
        """
        log = self.manifest.log
        if checkpoint is not None:
            check_citation(checkpoint, log, "checkpoint")
            return checkpoint
        noted = self._ledger.citations.quoted
        with contextlib.suppress(VerificationError):
            # Of a log that the channel has left nobody wants to hear.
            check_citation(noted, log, "checkpoint")
            return noted
        return None

    # -- accepting -------------------------------------------------------------------------------

    def accept(self, raw: bytes, *, now: int) -> Accepted:
        """Verify a message and remember what it proves.

        Args:
            raw: the message.
            now: seconds UTC.
        Raises:
            InputError: the form is wrong.
            NotYetError: something earlier is missing; keep the bytes and try again.
            RefusedError: it keeps its place in its chain, but its content must not be used.
            VerificationError: it is not what it claims to be.
        """
        accepted, apply, refusal = self._ledger.examine(parse_message(raw), now)
        apply()
        # A card may begin in the future: only what the clock bounds moves the channel's time.
        if not accepted.duplicate and accepted.message.header.t is not MessageType.CARD:
            self._ledger.time = max(self._ledger.time, accepted.message.header.ts)
        if refusal is not None:
            raise refusal
        return accepted

    def examine(self, raw: bytes, *, now: int) -> Accepted:
        """The same checks without remembering the message, for a hub that stores it first.

        Raises:
            InputError, VerificationError: as `accept`.
        """
        accepted, _, refusal = self._ledger.examine(parse_message(raw), now)
        if refusal is not None:
            raise refusal
        return accepted

    def note_deletion(self, raw: bytes, *, now: int) -> None:
        """Learn from a tombstone which messages are gone, before its own turn in the chain.

        Raises:
            InputError, VerificationError: it is not a tombstone of a known card in this channel, or
                of a key beyond its final position.
        """
        message = parse_message(raw)
        if message.header.t is not MessageType.TOMBSTONE:
            raise InputError(f"a tombstone is expected, not {message.header.t}", where="message")
        self._ledger.learn_deletion(message, now)

    def deleter(self, raw: bytes) -> Card:
        """The sender's card of a message that an accepted tombstone names.

        Raises:
            InputError: the form is wrong.
            VerificationError: no accepted tombstone names it.
        """
        message = parse_message(raw)
        pub, seq = message.header.pub, message.header.seq
        if pub is None or seq is None or self._ledger.chains.deletion(pub, seq) != message.digest:
            raise VerificationError("no tombstone of its sender names this message")
        return self._ledger.roster.by_key[pub]

    def raise_alarm(self, kind: str, where: str, message: str, digest: str, at: int) -> None:
        """Keep an alarm, once."""
        self._ledger.raise_alarm(kind, where, message, digest, at)

    # -- publishing ------------------------------------------------------------------------------

    def check_can_publish(self, now: int, pub: str | None = None) -> None:
        """Fail closed unless manifest, epoch and, if given, the publisher's card are current.

        Args:
            now: seconds UTC.
            pub: signing key id of the publisher.
        Raises:
            VerificationError: something is stale; the message says what, the hint who must act.
        """
        hint = "an owner must act: stillwatch channel renew"
        epoch = self.epoch
        if now > self.manifest.expires:
            raise VerificationError("the manifest has expired", where="manifest", hint=hint)
        if epoch is None:
            raise VerificationError("the channel has no epoch yet", where="epoch", hint=hint)
        if not self._ledger.roster.made_for(epoch, self.manifest):
            raise VerificationError(
                "members changed and no new epoch was made", where="epoch", hint=hint
            )
        policy = self.manifest.policy
        if now > epoch.created + policy.rotation + policy.staleness:
            raise VerificationError("the epoch is too old", where="epoch", hint=hint)
        forks = [alarm for alarm in self._ledger.alarms if alarm.kind == "epoch-fork"]
        if any(alarm.where == f"epoch {epoch.number}" for alarm in forks):
            raise VerificationError("the current epoch is forked", where="epoch", hint=hint)
        if pub is not None:
            self._check_own_card(pub, now)

    def _check_own_card(self, pub: str, now: int) -> None:
        card = self._ledger.roster.by_key.get(pub)
        row = None if card is None else self.manifest.member(card.member)
        if card is None or row is None or row.card != card.hash:
            raise VerificationError("the manifest does not list this card", where="card")
        if not card.valid_at(now):
            raise VerificationError(
                "the card is not valid now", where="card", hint="stillwatch channel renew"
            )

    def needs_epoch(self, now: int) -> str | None:
        """Why an owner must begin a new epoch, or None.

        Raises:
            NotYetError: the card of a reader has not arrived.
        """
        epoch = self.epoch
        if epoch is None:
            return "the channel has no epoch yet"
        if not self._ledger.roster.made_for(epoch, self.manifest):
            return "members or their cards changed"
        if now >= epoch.created + self.manifest.policy.rotation:
            return "the epoch is older than the rotation period"
        return None

    # -- durable form ----------------------------------------------------------------------------

    def copy(self) -> TrustedChannel:
        """Another that takes messages without this one: a draft until they are stored."""
        known = self._ledger
        roster, chains, cited = known.roster.copy(), known.chains.copy(), known.citations.copy()
        return TrustedChannel(Ledger(roster, chains, list(known.alarms), known.time, cited))

    def state(self) -> bytes:
        """Everything, as canonical JSON to store; it holds no secret."""
        return canonical(
            {
                "state": _STATE_VERSION,
                "time": self._ledger.time,
                "alarms": [asdict(alarm) for alarm in self._ledger.alarms],
                "roster": self._ledger.roster.to_json(),
                "chains": self._ledger.chains.to_json(),
                "cited": self._ledger.citations.to_json(),
            }
        )

    @classmethod
    def restore(cls, data: bytes) -> TrustedChannel:
        """What `state` gave; the caller keeps it where nobody else writes.

        Raises:
            InputError, VerificationError: it is not such a state.
        """
        value: Json = loads_canonical(data, where="state", max_bytes=_MAX_STATE)
        if value.get("state") != _STATE_VERSION:
            raise InputError("not a state of this version", where="state")
        try:
            alarms = [_alarm(row) for row in value["alarms"]]
            time = int(value["time"])
            roster, chains = value["roster"], value["chains"]
            # A state of the first release has none.
            cited = Citations.from_json(value.get("cited"))
        except (KeyError, TypeError, ValueError):
            raise InputError("not a state of a channel", where="state") from None
        ledger = Ledger(Roster.from_json(roster), Chains.from_json(chains), alarms, time, cited)
        return cls(ledger)


def _alarm(row: Any) -> Alarm:
    return Alarm(**{name: row[name] for name in ("kind", "where", "message", "digest", "at")})
