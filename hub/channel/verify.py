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
    manifest are valid at the header's time.
9.  Position and `prev` continue the author's chain without gap or fork.
10. The named manifest was in force no longer ago than the staleness window. The role fits the type;
    the epoch that is named is known, not stale, and was made for exactly the readers of the named
    manifest. An epoch message has the next number, is an owner's, and wraps for those readers.

What still remains to the opener: commitments of secrets, and everything inside sealed bodies.
Source: schemas/channel-v1.md, "Verification".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

from hub.channel.accepted import Accepted, Alarm, Batch, Epoch, NotYetError, RefusedError
from hub.channel.card import Card, parse_card
from hub.channel.chains import Chains
from hub.channel.header import (
    Audience,
    Header,
    Message,
    MessageType,
    parse_message,
    signed_bytes,
)
from hub.channel.manifest import WRITING, Manifest, Removed, Role, SignedManifest, parse_signed
from hub.channel.notices import parse_heartbeat, parse_tombstone
from hub.channel.roster import Roster
from hub.channel.wraps import SEALED_AUDIENCES, parse_epoch_body
from hub.errors import InputError, VerificationError
from hub.model.codec import Json, canonical, loads_canonical

__all__ = ["Accepted", "Alarm", "Batch", "Epoch", "NotYetError", "RefusedError", "TrustedChannel"]

CLOCK_SKEW: Final = 600
MAX_ALARMS: Final = 1_000
_STATE_VERSION: Final = 1
_MAX_STATE: Final = 2**30

_STRUCTURE: Final = frozenset({MessageType.CARD, MessageType.MANIFEST, MessageType.EPOCH})

_Apply = Callable[[], None]


class TrustedChannel:
    """What one reader, or the hub, knows of a channel to be true.

    Args:
        roster: manifests, cards and epochs.
        chains: accepted messages per signing key.
        alarms: contradictions signed by somebody.
        time: the highest `ts` accepted: the channel's own clock.
    """

    def __init__(self, roster: Roster, chains: Chains, alarms: list[Alarm], time: int) -> None:
        self._roster = roster
        self._chains = chains
        self._alarms = alarms
        self._time = time

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
            VerificationError: not a genesis, other owners, too few signatures, from the future, or
                it asks for what this release cannot check.
        """
        signed = parse_signed(parse_message(raw))
        manifest = signed.manifest
        if not manifest.is_genesis:
            raise VerificationError("a channel begins with its genesis manifest", where="manifest")
        if owner_roots is not None and frozenset(owner_roots) != frozenset(manifest.owners):
            raise VerificationError(
                "the owners are not those of the invitation", where="manifest.owners"
            )
        _check_not_from_the_future(manifest.created, now)
        _check_supported(manifest)
        signed.check_threshold(manifest.owners, manifest.threshold, "genesis manifest")
        return cls(Roster(manifest), Chains(), [], manifest.created)

    # -- what is known ---------------------------------------------------------------------------

    @property
    def channel(self) -> str:
        """The channel id."""
        return self._roster.manifest.channel

    @property
    def manifest(self) -> Manifest:
        """The manifest in force."""
        return self._roster.manifest

    @property
    def epoch(self) -> Epoch | None:
        """The current epoch, or None before the first."""
        return self._roster.epoch

    @property
    def epochs(self) -> Mapping[int, Epoch]:
        """Every epoch by number."""
        return self._roster.epochs

    @property
    def cards(self) -> dict[str, Card]:
        """The current card of each member whose card has arrived, by member id."""
        found = {}
        for member in self.manifest.members:
            card = self._roster.card_of(member)
            if card is not None:
                found[member.member] = card
        return found

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """Contradictions that somebody signed, oldest first."""
        return tuple(self._alarms)

    @property
    def time(self) -> int:
        """The highest `ts` accepted."""
        return self._time

    def manifest_by_hash(self, digest: str) -> Manifest | None:
        """An accepted manifest, also a superseded one."""
        return self._roster.manifests.get(digest)

    def card_by_key(self, pub: str) -> Card | None:
        """An accepted card, also a replaced one, by signing key id."""
        return self._roster.by_key.get(pub)

    def pending_card(self, member: str) -> Card | None:
        """A card that follows the member's current one and that no manifest names yet."""
        current = self.cards.get(member)
        for card in self._roster.cards.values():
            if current is not None and card.prev == current.hash and card.member == member:
                return card
        return None

    def readers(self, audience: Audience) -> tuple[Card, ...]:
        """The cards that a secret of an audience must be wrapped for, by the manifest in force.

        Raises:
            NotYetError: the card of a reader has not arrived.
        """
        return self._roster.readers(audience)

    def last(self, pub: str) -> tuple[int, str] | None:
        """Position and digest of the last message of a signing key, or None."""
        return self._chains.last(pub)

    def position(self, pub: str) -> tuple[int, str | None]:
        """`seq` and `prev` of the next message of a signing key."""
        last = self._chains.last(pub)
        return (1, None) if last is None else (last[0] + 1, last[1])

    def final_of(self, member: str) -> Removed:
        """The entry that removes a member's current key after all that is known of it.

        Raises:
            InputError: no such member.
            NotYetError: its card has not arrived.
        """
        row = self.manifest.member(member)
        if row is None:
            raise InputError("not a member", where=member)
        card = self._roster.card_of(row)
        if card is None:
            raise NotYetError("the member's card has not arrived", where=member)
        last = self._chains.last(card.sign_id)
        return Removed(card.sign_id, *(last or (0, None)))

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
        accepted, apply, refusal = self._examine(parse_message(raw), now)
        apply()
        if not accepted.duplicate:
            self._time = max(self._time, accepted.message.header.ts)
        if refusal is not None:
            raise refusal
        return accepted

    def examine(self, raw: bytes, *, now: int) -> Accepted:
        """The same checks without remembering the message, for a hub that stores it first.

        Raises:
            InputError, VerificationError: as `accept`.
        """
        accepted, _, refusal = self._examine(parse_message(raw), now)
        if refusal is not None:
            raise refusal
        return accepted

    def accept_many(self, raws: Iterable[bytes], *, now: int) -> Batch:
        """Accept messages that may have arrived in any order.

        They are taken by the time in their headers, and what waits for a predecessor is tried
        again as soon as that may have come.

        Args:
            raws: the messages; put the `waiting` of the last batch in front.
            now: seconds UTC.
        """
        batch = Batch()
        for raw in sorted(raws, key=_when_made):
            accepted = self._try(raw, batch, now)
            while accepted is not None:
                accepted = self._retry(accepted, batch, now)
        return batch

    def _try(self, raw: bytes, batch: Batch, now: int) -> Accepted | None:
        try:
            accepted = self.accept(raw, now=now)
        except NotYetError as error:
            batch.waiting.append((raw, error))
            return None
        except (InputError, VerificationError) as error:
            batch.refused.append((raw, error))
            return None
        batch.accepted.append(accepted)
        return accepted

    def _retry(self, news: Accepted, batch: Batch, now: int) -> Accepted | None:
        """Try again what may have waited for `news`; return the first that is accepted."""
        waiting, batch.waiting = batch.waiting, []
        for index, (raw, error) in enumerate(waiting):
            header = parse_message(raw).header
            if news.message.header.t in _STRUCTURE or header.pub == news.message.header.pub:
                accepted = self._try(raw, batch, now)
                if accepted is not None:
                    batch.waiting += waiting[index + 1 :]
                    return accepted
            else:
                batch.waiting.append((raw, error))
        return None

    def note_deletion(self, raw: bytes, *, now: int) -> None:
        """Learn from a tombstone which messages are gone, before its own turn in the chain.

        Raises:
            InputError, VerificationError: it is not a tombstone of a known card in this channel.
        """
        message = parse_message(raw)
        if message.header.t is not MessageType.TOMBSTONE:
            raise InputError(f"a tombstone is expected, not {message.header.t}", where="message")
        card = self._author(message, now)
        self._tombstone(message, card)()

    def raise_alarm(self, kind: str, where: str, message: str, digest: str, at: int) -> None:
        """Keep an alarm, once."""
        known = {(alarm.kind, alarm.where, alarm.digest) for alarm in self._alarms}
        if (kind, where, digest) not in known and len(self._alarms) < MAX_ALARMS:
            self._alarms.append(Alarm(kind, where, message, digest, at))

    def _examine(self, message: Message, now: int) -> tuple[Accepted, _Apply, RefusedError | None]:
        header = message.header
        if header.ch != self.channel:
            raise VerificationError("is addressed to another channel", where=_place(header))
        if header.t is MessageType.CARD:
            return (*self._examine_card(message, now), None)
        if header.t is MessageType.MANIFEST:
            return (*self._examine_manifest(message, now), None)
        return self._examine_signed(message, now)

    def _examine_card(self, message: Message, now: int) -> tuple[Accepted, _Apply]:
        card = parse_card(message.body)
        if (message.header.ts, message.header.exp) != (card.not_before, card.not_after):
            raise VerificationError("the header says other than the card", where="card message")
        accepted = self._accepted(
            message, card, self.manifest, now, card.hash in self._roster.cards
        )
        if accepted.duplicate:
            return accepted, _nothing
        sibling = self._roster.sibling(card)
        if sibling is not None:
            text = f"the root of {card.member} signed two cards of number {card.number}"
            self.raise_alarm("card-fork", card.root_id, text, message.digest, now)
            raise VerificationError(text, where=f"card {card.number} of {card.member}")
        self._roster.check_card(card)
        return accepted, lambda: self._roster.add_card(card)

    def _examine_manifest(self, message: Message, now: int) -> tuple[Accepted, _Apply]:
        signed = parse_signed(message)
        new, old = signed.manifest, self.manifest
        where = f"manifest {new.version}"
        if new.hash in self._roster.manifests:
            return self._accepted_manifest(message, signed, new, duplicate=True), _nothing
        _check_not_from_the_future(new.created, now)
        if new.version <= old.version:
            # Only owners can contradict themselves: an unsigned rollback is no alarm.
            signed.check_threshold(old.owners, old.threshold, where)
            text = "owners signed a second manifest of this version"
            self.raise_alarm("manifest-fork", where, text, message.digest, now)
            raise VerificationError(f"{text}: version {old.version} is in force", where=where)
        self._roster.check_successor(new)
        _check_supported(new)
        signed.check_threshold(old.owners, old.threshold, f"{where}, by the owners before it")
        signed.check_threshold(new.owners, new.threshold, f"{where}, by its own owners")

        def apply() -> None:
            for final in new.removed:
                if final.key not in old.finals:
                    self._check_final(final, message.digest, now)
            self._roster.add_manifest(new)

        return self._accepted_manifest(message, signed, new, duplicate=False), apply

    def _examine_signed(
        self, message: Message, now: int
    ) -> tuple[Accepted, _Apply, RefusedError | None]:
        header = message.header
        pub, seq = _chained(header)
        card = self._roster.by_key.get(pub)
        manifest = self._roster.manifests.get(header.man or "")
        if (
            card is not None
            and manifest is not None
            and self._chains.at(pub, seq) == message.digest
        ):
            accepted = self._accepted(message, card, manifest, now, duplicate=True)
            refused = self._chains.refusal(pub, seq)
            why = None if refused is None else RefusedError(refused, where=_place(header))
            return accepted, _nothing, why
        card = self._author(message, now)
        self._check_final_position(message, pub, seq, now)
        if manifest is None:
            raise NotYetError("names a manifest that has not arrived", where=_place(header))
        self._check_standing(header, card, manifest)
        self._check_position(message, pub, seq, now)
        accepted = self._accepted(message, card, manifest, now, duplicate=False)
        refusal: RefusedError | None = None
        apply = _nothing
        try:
            self._check_fresh(self._roster.superseded.get(manifest.hash), header, "manifest")
            apply = self._check_type(accepted, manifest, now)
        except RefusedError as error:
            refusal = error

        def commit() -> None:
            why = None if refusal is None else refusal.message
            self._chains.add(pub, seq, message.digest, why)
            apply()

        return accepted, commit, refusal

    # -- single rules ----------------------------------------------------------------------------

    def _author(self, message: Message, now: int) -> Card:
        header = message.header
        _check_not_from_the_future(header.ts, now)
        card = self._roster.by_key.get(header.pub or "")
        if card is None:
            raise NotYetError("the sender's card has not arrived", where=_place(header))
        card.signing.verify(
            message.signature, signed_bytes(message.header_raw, message.body), where=_place(header)
        )
        return card

    def _check_final_position(self, message: Message, pub: str, seq: int, now: int) -> None:
        final = self.manifest.finals.get(pub)
        if final is None or seq < final.seq:
            return
        if seq == final.seq and message.digest == final.hash:
            return
        text = f"the key was removed after message {final.seq}"
        self.raise_alarm("after-final", pub, text, message.digest, now)
        raise VerificationError(text, where=_place(message.header))

    def _check_final(self, final: Removed, digest: str, now: int) -> None:
        last = self._chains.last(final.key)
        if last is not None and last[0] > final.seq:
            text = f"messages after the final one, {final.seq}, had been accepted"
            self.raise_alarm("after-final", final.key, text, digest, now)
        known = self._chains.at(final.key, final.seq)
        if known is not None and known != final.hash:
            text = f"the final message {final.seq} is another one than was accepted"
            self.raise_alarm("final-mismatch", final.key, text, digest, now)

    def _check_standing(self, header: Header, card: Card, manifest: Manifest) -> None:
        where = _place(header)
        if header.cp is not None:
            raise VerificationError("cites a checkpoint, but the channel has no log", where=where)
        member = manifest.member(card.member)
        if member is None or member.card != card.hash:
            raise VerificationError("the manifest does not list the sender's card", where=where)
        if not card.valid_at(header.ts):
            raise VerificationError("the sender's card is not valid at that time", where=where)
        if header.ts > manifest.expires:
            raise VerificationError("made under an expired manifest", where=where)

    def _check_fresh(self, superseded: int | None, header: Header, what: str) -> None:
        if superseded is None:
            return
        late = max(self._time, header.ts) - superseded - self.manifest.policy.staleness
        if late > 0:
            raise RefusedError(
                f"its {what} was superseded {late} s longer ago than the staleness window",
                where=_place(header),
            )

    def _check_position(self, message: Message, pub: str, seq: int, now: int) -> None:
        header, where = message.header, _place(message.header)
        wanted, prev = self.position(pub)
        if seq > wanted:
            bridge = self._chains.bridge(pub, seq)
            if bridge is None:
                missing = f"{wanted}" if seq == wanted + 1 else f"{wanted} to {seq - 1}"
                raise NotYetError(f"message {missing} of this sender is missing", where=where)
            prev = bridge[1]
        if seq < wanted or header.prev != prev:
            text = (
                f"the sender signed two messages of position {seq}"
                if seq < wanted
                else "the sender names another predecessor than the one accepted"
            )
            self.raise_alarm("fork", pub, text, message.digest, now)
            raise VerificationError(text, where=where)

    def _check_type(self, accepted: Accepted, manifest: Manifest, now: int) -> _Apply:
        message, kind = accepted.message, accepted.message.header.t
        where = _place(message.header)
        if kind is MessageType.EPOCH:
            return self._epoch_message(accepted, manifest, now)
        if kind is MessageType.KEYS and not accepted.owner:
            raise VerificationError("only owners send fingerprint keys", where=where)
        if kind is not MessageType.KEYS and not (accepted.owner or accepted.roles & WRITING):
            raise VerificationError("the sender has no role to publish or report", where=where)
        if kind is MessageType.HEARTBEAT:
            self._check_heartbeat(message, now)
            return _nothing
        if kind is MessageType.TOMBSTONE:
            assert accepted.card is not None
            return self._tombstone(message, accepted.card)
        if kind is MessageType.DATA and not accepted.roles & WRITING:
            raise VerificationError("the sender has no role to publish or report", where=where)
        self._check_sealed(message.header, accepted.roles, manifest)
        return _nothing

    def _check_sealed(self, header: Header, roles: frozenset[Role], manifest: Manifest) -> None:
        where = _place(header)
        epoch = self._roster.epochs.get(header.ep or 0)
        if epoch is None:
            raise NotYetError(f"epoch {header.ep} has not arrived", where=where)
        if (
            header.aud is Audience.DETAIL
            and Role.READ not in roles
            and header.t is MessageType.DATA
        ):
            raise VerificationError("the sender is no reader of detail", where=where)
        if not self._roster.made_for(epoch, manifest):
            raise VerificationError(
                f"epoch {epoch.number} was not made for the readers of the named manifest",
                where=where,
            )
        self._check_fresh(epoch.superseded, header, "epoch")
        if header.aud is Audience.DIRECT:
            raise RefusedError("this release does not open direct messages", where=where)

    def _epoch_message(self, accepted: Accepted, manifest: Manifest, now: int) -> _Apply:
        message, header = accepted.message, accepted.message.header
        number, where = header.ep or 0, _place(header)
        current = self.epoch
        latest = 0 if current is None else current.number
        if not accepted.owner:
            raise VerificationError("only owners begin epochs", where=where)
        if number <= latest:
            text = f"a second epoch message of number {number}"
            self.raise_alarm("epoch-fork", f"epoch {number}", text, message.digest, now)
            raise RefusedError(text, where=where)
        if number > latest + 1:
            raise NotYetError(f"epoch {latest + 1} has not arrived", where=where)
        before = None if current is None else self._roster.manifests[current.manifest]
        if before is not None and manifest.version < before.version:
            raise RefusedError("was made for an older manifest than the last epoch", where=where)
        body = parse_epoch_body(message.body)
        if body.previous != (None if current is None else current.digest):
            raise VerificationError("does not follow the epoch before it", where=where)
        if current is not None and header.ts < current.created:
            raise VerificationError("was made before the epoch before it", where=where)
        kems = {audience: frozenset(body.wraps[audience]) for audience in SEALED_AUDIENCES}
        for audience in SEALED_AUDIENCES:
            if kems[audience] != self._roster.kems(audience, manifest):
                raise VerificationError(
                    f"does not wrap {audience} for exactly the manifest's readers", where=where
                )
        if body.history and manifest.policy.history == "none":
            raise VerificationError("the policy gives joiners no history", where=where)
        for row in body.history:
            if row.epoch >= number or row.kem not in kems[row.audience]:
                raise VerificationError("gives history to somebody else", where=where)
        epoch = Epoch(
            number, message.digest, manifest.hash, header.ts, dict(body.commitments), kems
        )
        return lambda: self._roster.add_epoch(epoch)

    def _check_heartbeat(self, message: Message, now: int) -> None:
        heartbeat = parse_heartbeat(message.body)
        if heartbeat.epoch is None:
            return
        epoch = self._roster.epochs.get(heartbeat.epoch)
        if epoch is None:
            raise NotYetError(f"epoch {heartbeat.epoch} was withheld", where=_place(message.header))
        if epoch.digest != heartbeat.digest:
            text = f"the sender holds another epoch {heartbeat.epoch}"
            self.raise_alarm("epoch-fork", f"epoch {epoch.number}", text, message.digest, now)
            raise RefusedError(text, where=_place(message.header))

    def _tombstone(self, message: Message, card: Card) -> _Apply:
        tombstone = parse_tombstone(message.body)
        where = _place(message.header)
        for row in tombstone.messages:
            owner = self._roster.by_key.get(row.pub)
            if owner is None or owner.member != card.member:
                raise VerificationError("deletes somebody else's message", where=where)
            if self._chains.at(row.pub, row.seq) not in (None, row.digest):
                raise VerificationError("names another message than was accepted", where=where)

        def apply() -> None:
            for row in tombstone.messages:
                self._chains.delete(row.pub, row.seq, row.digest)

        return apply

    # -- results ---------------------------------------------------------------------------------

    def _accepted(
        self, message: Message, card: Card, manifest: Manifest, now: int, duplicate: bool
    ) -> Accepted:
        row = manifest.member(card.member)
        exp = message.header.exp
        posters = {card.member}
        if message.header.t is MessageType.CARD:
            posters |= self._owner_members(self.manifest)
        return Accepted(
            message=message,
            card=card,
            member=card.member,
            roles=frozenset() if row is None else row.roles,
            owner=manifest.is_owner(card.member),
            posters=frozenset(posters),
            duplicate=duplicate,
            expired=exp is not None and now > exp,
        )

    def _accepted_manifest(
        self, message: Message, signed: SignedManifest, new: Manifest, *, duplicate: bool
    ) -> Accepted:
        members = (*self.manifest.members, *new.members)
        posters = frozenset(row.member for row in members if row.root in signed.signatures)
        return Accepted(
            message=message,
            card=None,
            member=None,
            roles=frozenset(),
            owner=True,
            posters=posters,
            duplicate=duplicate,
        )

    def _owner_members(self, manifest: Manifest) -> set[str]:
        return {member.member for member in manifest.members if member.root in manifest.owners}

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
        if not self._roster.made_for(epoch, self.manifest):
            raise VerificationError(
                "members changed and no new epoch was made", where="epoch", hint=hint
            )
        policy = self.manifest.policy
        if now > epoch.created + policy.rotation + policy.staleness:
            raise VerificationError("the epoch is too old", where="epoch", hint=hint)
        forks = [alarm for alarm in self._alarms if alarm.kind == "epoch-fork"]
        if any(alarm.where == f"epoch {epoch.number}" for alarm in forks):
            raise VerificationError("the current epoch is forked", where="epoch", hint=hint)
        if pub is not None:
            self._check_own_card(pub, now)

    def _check_own_card(self, pub: str, now: int) -> None:
        card = self._roster.by_key.get(pub)
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
        if not self._roster.made_for(epoch, self.manifest):
            return "members or their cards changed"
        if now >= epoch.created + self.manifest.policy.rotation:
            return "the epoch is older than the rotation period"
        return None

    # -- durable form ----------------------------------------------------------------------------

    def state(self) -> bytes:
        """Everything, as canonical JSON to store; it holds no secret."""
        return canonical(
            {
                "state": _STATE_VERSION,
                "time": self._time,
                "alarms": [asdict(alarm) for alarm in self._alarms],
                "roster": self._roster.to_json(),
                "chains": self._chains.to_json(),
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
        except (KeyError, TypeError, ValueError):
            raise InputError("not a state of a channel", where="state") from None
        return cls(Roster.from_json(roster), Chains.from_json(chains), alarms, time)


def _when_made(raw: bytes) -> tuple[int, int]:
    """Sorts messages as they were probably made; what cannot be read comes first."""
    try:
        header = parse_message(raw).header
    except (InputError, VerificationError):
        return (-1, 0)
    return (header.ts, header.seq or 0)


def _alarm(row: Any) -> Alarm:
    return Alarm(**{name: row[name] for name in ("kind", "where", "message", "digest", "at")})


def _chained(header: Header) -> tuple[str, int]:
    assert header.pub is not None
    assert header.seq is not None
    return header.pub, header.seq


def _place(header: Header) -> str:
    if header.pub is None:
        return f"{header.t} message"
    return f"{header.t} {header.seq} of {header.pub[:16]}"


def _check_not_from_the_future(ts: int, now: int) -> None:
    if ts > now + CLOCK_SKEW:
        raise NotYetError(
            f"is dated {ts - now} s in the future",
            where="header.ts",
            hint="compare this machine's clock with the sender's",
        )


def _check_supported(manifest: Manifest) -> None:
    if manifest.log is not None or manifest.witnesses is not None:
        raise VerificationError(
            "requires a log or witnesses, which this release cannot check", where="manifest.log"
        )


def _nothing() -> None:
    return None
