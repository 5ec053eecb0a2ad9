"""What was accepted of a channel, and the rules by which more is: see `verify` for their order.

Source: schemas/channel-v1.md, "Verification".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hub.channel.accepted import Accepted, Alarm, Epoch, NotYetError, RefusedError
from hub.channel.card import Card, parse_card
from hub.channel.chains import Chains
from hub.channel.direct import check_wraps, parse_direct
from hub.channel.header import Audience, Header, Message, MessageType, signed_bytes
from hub.channel.log.cited import Citations, Cited, check_citation
from hub.channel.manifest import WRITING, Manifest, Removed, Role, SignedManifest, parse_signed
from hub.channel.notices import parse_heartbeat, parse_tombstone
from hub.channel.roster import Roster
from hub.channel.wraps import SEALED_AUDIENCES, parse_epoch_body
from hub.errors import VerificationError

CLOCK_SKEW: Final = 600
# Of one kind, so that a flood of one cannot hide another.
MAX_ALARMS: Final = 200

Apply = Callable[[], None]


class Ledger:
    """What is known, and every rule for what may be added.

    Args:
        roster: manifests, cards and epochs.
        chains: accepted messages per signing key.
        alarms: contradictions signed by somebody.
        time: the highest `ts` accepted.
        citations: what members quote of the log; none if None.
    """

    def __init__(
        self,
        roster: Roster,
        chains: Chains,
        alarms: list[Alarm],
        time: int,
        citations: Citations | None = None,
    ) -> None:
        self.citations = Citations() if citations is None else citations
        self.roster = roster
        self.chains = chains
        self.alarms = alarms
        self.time = time

    def raise_alarm(self, kind: str, where: str, message: str, digest: str, at: int) -> None:
        """Keep an alarm, once."""
        known = {(alarm.where, alarm.digest) for alarm in self.alarms if alarm.kind == kind}
        if (where, digest) not in known and len(known) < MAX_ALARMS:
            self.alarms.append(Alarm(kind, where, message, digest, at))

    def examine(self, message: Message, now: int) -> tuple[Accepted, Apply, RefusedError | None]:
        header = message.header
        self._check_address(header)
        if header.t is MessageType.CARD:
            return (*self._examine_card(message, now), None)
        if header.t is MessageType.MANIFEST:
            return (*self._examine_manifest(message, now), None)
        return self._examine_signed(message, now)

    def _examine_card(self, message: Message, now: int) -> tuple[Accepted, Apply]:
        card = parse_card(message.body)
        if (message.header.ts, message.header.exp) != (card.not_before, card.not_after):
            raise VerificationError("the header says other than the card", where="card message")
        accepted = self._accepted(
            message, card, self.roster.manifest, now, card.hash in self.roster.cards
        )
        if accepted.duplicate:
            return accepted, _nothing
        sibling = self.roster.sibling(card)
        if sibling is not None:
            text = f"the root of {card.member} signed two cards of number {card.number}"
            self.raise_alarm("card-fork", card.root_id, text, message.digest, now)
            raise VerificationError(text, where=f"card {card.number} of {card.member}")
        self.roster.check_card(card)
        return accepted, lambda: self.roster.add_card(card)

    def _examine_manifest(self, message: Message, now: int) -> tuple[Accepted, Apply]:
        signed = parse_signed(message)
        new, old = signed.manifest, self.roster.manifest
        where = f"manifest {new.version}"
        if new.hash in self.roster.manifests:
            # Else anybody could have endless spellings of a known manifest stored.
            check_signatures(signed, self.roster.manifests.get(new.prev or ""), where)
            return self._accepted_manifest(message, signed, new, duplicate=True), _nothing
        check_not_from_the_future(new.created, now)
        if new.version <= old.version:
            # Only owners can contradict themselves: an unsigned rollback is no alarm.
            signed.check_threshold(old.owners, old.threshold, where)
            text = "owners signed a second manifest of this version"
            self.raise_alarm("manifest-fork", where, text, message.digest, now)
            raise VerificationError(f"{text}: version {old.version} is in force", where=where)
        self.roster.check_successor(new)
        check_signatures(signed, old, where)

        def apply() -> None:
            for final in new.removed:
                if final.key not in old.finals:
                    self._check_final(final, message.digest, now)
            self.roster.add_manifest(new)

        return self._accepted_manifest(message, signed, new, duplicate=False), apply

    def _examine_signed(
        self, message: Message, now: int
    ) -> tuple[Accepted, Apply, RefusedError | None]:
        header = message.header
        pub, seq = _chained(header)
        card = self.roster.by_key.get(pub)
        manifest = self.roster.manifests.get(header.man or "")
        if card is not None and manifest is not None and self.chains.at(pub, seq) == message.digest:
            accepted = self._accepted(message, card, manifest, now, duplicate=True)
            refused = self.chains.refusal(pub, seq)
            why = None if refused is None else RefusedError(refused, where=_place(header))
            return accepted, _nothing, why
        card = self.author(message, now)
        self._check_final_position(message, pub, seq, now)
        if manifest is None:
            raise NotYetError("names a manifest that has not arrived", where=_place(header))
        self._check_standing(header, card, manifest)
        quoted = check_citation(header.cp, manifest.log, _place(header))
        self._check_position(message, pub, seq, now)
        accepted = self._accepted(message, card, manifest, now, duplicate=False)
        refusal: RefusedError | None = None
        apply = _nothing
        try:
            self._check_fresh(self.roster.superseded.get(manifest.hash), header, "manifest")
            apply = self._check_type(accepted, manifest, now)
        except RefusedError as error:
            refusal = error

        def commit() -> None:
            why = None if refusal is None else refusal.message
            self.chains.add(pub, seq, message.digest, why)
            if quoted is not None and header.cp is not None:
                self._cite(Cited(card.member, quoted, header.cp, message.digest), now)
            apply()

        return accepted, commit, refusal

    def learn_deletion(self, message: Message, now: int) -> None:
        """Take what a tombstone says before its own turn in the chain."""
        self._check_address(message.header)
        card = self.author(message, now)
        self._check_final_position(message, *_chained(message.header), now)
        self.tombstone(message, card)()

    # -- single rules ----------------------------------------------------------------------------

    def _check_address(self, header: Header) -> None:
        if header.ch != self.roster.manifest.channel:
            raise VerificationError("is addressed to another channel", where=_place(header))

    def author(self, message: Message, now: int) -> Card:
        header = message.header
        check_not_from_the_future(header.ts, now)
        card = self.roster.by_key.get(header.pub or "")
        if card is None:
            raise NotYetError("the sender's card has not arrived", where=_place(header))
        card.signing.verify(
            message.signature, signed_bytes(message.header_raw, message.body), where=_place(header)
        )
        return card

    def _check_final_position(self, message: Message, pub: str, seq: int, now: int) -> None:
        final = self.roster.manifest.finals.get(pub)
        if final is None or seq < final.seq:
            return
        if seq == final.seq and message.digest == final.hash:
            return
        text = f"the key was removed after message {final.seq}"
        self.raise_alarm("after-final", pub, text, message.digest, now)
        raise VerificationError(text, where=_place(message.header))

    def _check_final(self, final: Removed, digest: str, now: int) -> None:
        last = self.chains.last(final.key)
        if last is not None and last[0] > final.seq:
            text = f"messages after the final one, {final.seq}, had been accepted"
            self.raise_alarm("after-final", final.key, text, digest, now)
        known = self.chains.at(final.key, final.seq)
        if known is not None and known != final.hash:
            text = f"the final message {final.seq} is another one than was accepted"
            self.raise_alarm("final-mismatch", final.key, text, digest, now)

    def _cite(self, cited: Cited, now: int) -> None:
        """Keep what a message quotes of the log; two trees of one size are the log's own fault."""
        other = self.citations.add(cited)
        if other is not None:
            new = cited.checkpoint
            text = f"the log signed two trees of {new.size} entries"
            if other.member != cited.member:
                text += f": {other.member} cites another than {cited.member}"
            self.raise_alarm("split-view", new.origin, text, cited.digest, now)

    def _check_standing(self, header: Header, card: Card, manifest: Manifest) -> None:
        where = _place(header)
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
        late = max(self.time, header.ts) - superseded - self.roster.manifest.policy.staleness
        if late > 0:
            raise RefusedError(
                f"its {what} was superseded {late} s longer ago than the staleness window",
                where=_place(header),
            )

    def _check_position(self, message: Message, pub: str, seq: int, now: int) -> None:
        header, where = message.header, _place(message.header)
        wanted, prev = self.chains.position(pub)
        if seq > wanted:
            bridge = self.chains.bridge(pub, seq)
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

    def _check_type(self, accepted: Accepted, manifest: Manifest, now: int) -> Apply:
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
            return self.tombstone(message, accepted.card)
        if kind is MessageType.DATA and not accepted.roles & WRITING:
            raise VerificationError("the sender has no role to publish or report", where=where)
        self._check_sealed(message, accepted.roles, manifest)
        return _nothing

    def _check_sealed(self, message: Message, roles: frozenset[Role], manifest: Manifest) -> None:
        header = message.header
        where = _place(header)
        epoch = self.roster.epochs.get(header.ep or 0)
        if epoch is None:
            raise NotYetError(f"epoch {header.ep} has not arrived", where=where)
        if (
            header.aud is Audience.DETAIL
            and Role.READ not in roles
            and header.t is MessageType.DATA
        ):
            raise VerificationError("the sender is no reader of detail", where=where)
        if not self.roster.made_for(epoch, manifest):
            raise VerificationError(
                f"epoch {epoch.number} was not made for the readers of the named manifest",
                where=where,
            )
        if header.aud is Audience.DIRECT:
            members = self.roster.kems(Audience.AGGREGATE, manifest)
            check_wraps(parse_direct(message.body), members, where)
        self._check_fresh(epoch.superseded, header, "epoch")

    def _epoch_message(self, accepted: Accepted, manifest: Manifest, now: int) -> Apply:
        message, header = accepted.message, accepted.message.header
        number, where = header.ep or 0, _place(header)
        current = self.roster.epoch
        latest = 0 if current is None else current.number
        if not accepted.owner:
            raise VerificationError("only owners begin epochs", where=where)
        if number <= latest:
            text = f"a second epoch message of number {number}"
            self.raise_alarm("epoch-fork", f"epoch {number}", text, message.digest, now)
            raise RefusedError(text, where=where)
        if number > latest + 1:
            raise NotYetError(f"epoch {latest + 1} has not arrived", where=where)
        before = None if current is None else self.roster.manifests[current.manifest]
        if before is not None and manifest.version < before.version:
            raise RefusedError("was made for an older manifest than the last epoch", where=where)
        body = parse_epoch_body(message.body)
        if body.previous != (None if current is None else current.digest):
            raise VerificationError("does not follow the epoch before it", where=where)
        if current is not None and header.ts < current.created:
            raise VerificationError("was made before the epoch before it", where=where)
        kems = {audience: frozenset(body.wraps[audience]) for audience in SEALED_AUDIENCES}
        for audience in SEALED_AUDIENCES:
            if kems[audience] != self.roster.kems(audience, manifest):
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
        return lambda: self.roster.add_epoch(epoch)

    def _check_heartbeat(self, message: Message, now: int) -> None:
        heartbeat = parse_heartbeat(message.body)
        if heartbeat.epoch is None:
            return
        epoch = self.roster.epochs.get(heartbeat.epoch)
        if epoch is None:
            raise NotYetError(f"epoch {heartbeat.epoch} was withheld", where=_place(message.header))
        if epoch.digest != heartbeat.digest:
            # A claim, not a proof: one member's word must not stop everybody from publishing.
            text = f"the sender holds another epoch {heartbeat.epoch}"
            self.raise_alarm("epoch-claim", f"epoch {epoch.number}", text, message.digest, now)
            raise RefusedError(text, where=_place(message.header))

    def tombstone(self, message: Message, card: Card) -> Apply:
        tombstone = parse_tombstone(message.body)
        where = _place(message.header)
        for row in tombstone.messages:
            owner = self.roster.by_key.get(row.pub)
            if owner is None or owner.member != card.member:
                raise VerificationError("deletes somebody else's message", where=where)
            if self.chains.at(row.pub, row.seq) not in (None, row.digest):
                raise VerificationError("names another message than was accepted", where=where)
            # Else a chain could skip a message that only some are ever given.
            if row.pub == message.header.pub and row.seq >= (message.header.seq or 0):
                raise VerificationError("deletes a message that is not before it", where=where)

        def apply() -> None:
            for row in tombstone.messages:
                self.chains.delete(row.pub, row.seq, row.digest)

        return apply

    # -- results ---------------------------------------------------------------------------------

    def _accepted(
        self, message: Message, card: Card, manifest: Manifest, now: int, duplicate: bool
    ) -> Accepted:
        row = manifest.member(card.member)
        exp = message.header.exp
        posters = {card.member}
        if message.header.t is MessageType.CARD:
            posters |= self._owner_members(self.roster.manifest)
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
        members = (*self.roster.manifest.members, *new.members)
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


def needed(old: Manifest, new: Manifest) -> int:
    """How many of the old owners must sign: the threshold, or the approvals that joiners need.

    Else one owner would get round them: by another root for a member, other owners, or fewer
    approvals first.
    """
    roots = {member.member: member.root for member in old.members}
    eased = (
        any(roots.get(member.member) != member.root for member in new.members)
        or set(new.owners) != set(old.owners)
        or new.policy.approvals < old.policy.approvals
    )
    approvals = old.policy.approvals if eased else 1
    return max(old.threshold, min(approvals, len(old.owners)))


def check_signatures(signed: SignedManifest, old: Manifest | None, where: str) -> None:
    """Require the thresholds of the owners before and after, and no signature but owners'.

    Args:
        signed: the manifest with its signatures.
        old: the manifest before it; None for a genesis.
        where: the place, for the error.
    Raises:
        VerificationError: too few sign, a signature is wrong, or somebody else signed too.
    """
    new = signed.manifest
    owners = set(new.owners)
    if old is not None:
        owners.update(old.owners)
        signed.check_threshold(old.owners, needed(old, new), f"{where}, by the owners before it")
    signed.check_threshold(new.owners, new.threshold, f"{where}, by its own owners")
    if not owners.issuperset(signed.signatures):
        raise VerificationError("carries a signature of somebody who is no owner", where=where)


def _chained(header: Header) -> tuple[str, int]:
    assert header.pub is not None
    assert header.seq is not None
    return header.pub, header.seq


def _place(header: Header) -> str:
    if header.pub is None:
        return f"{header.t} message"
    return f"{header.t} {header.seq} of {header.pub[:16]}"


def check_not_from_the_future(ts: int, now: int) -> None:
    if ts > now + CLOCK_SKEW:
        raise NotYetError(
            f"is dated {ts - now} s in the future",
            where="header.ts",
            hint="compare this machine's clock with the sender's",
        )


def _nothing() -> None:
    return None
