"""Taking messages of one channel into its verified state: verify, open, store.

The caller holds one transaction around an intake, so that verified state, opened objects, secrets,
alarms and the cursor change together.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Final

from hub.channel.card import parse_card
from hub.channel.carriage import from_artifact, is_artifact
from hub.channel.direct import parse_direct
from hub.channel.epoch import EpochSecrets, unwrap, unwrap_history
from hub.channel.header import ROOT_SIGNED, Audience, Message, MessageType, parse_message
from hub.channel.manifest import manifest_of
from hub.channel.names import is_names, parse_names
from hub.channel.open import Opened, open_data, open_direct, open_key_set
from hub.channel.primitives.hash import digest
from hub.channel.proposal import is_governing
from hub.channel.receipt import is_receipt
from hub.channel.verify import Accepted, NotYetError, RefusedError, TrustedChannel
from hub.client.arrival import in_order
from hub.client.custodians import Custodians
from hub.client.evidence import Evidence
from hub.client.home import Home
from hub.client.naming import learn_names, member_names
from hub.client.pulled import MAX_UNREAD, Pulled
from hub.client.purges import Purges
from hub.client.releases import Releases
from hub.client.rows import ChannelRow, MessageRow, ObjectRow
from hub.client.signed import MAX_FORGED, SignedMessages
from hub.client.work import message_row, object_row, put_epoch
from hub.errors import InputError, StillwatchError, VerificationError
from hub.model.codec import Json

_SEALED: Final = "sealed"
_MAX_ROUNDS: Final = 64


class Intake:
    """Takes messages of one channel into its verified state, in one transaction."""

    def __init__(self, home: Home, channel: ChannelRow, now: int, result: Pulled) -> None:
        self.home = home
        self.channel = channel
        self.now = now
        self.result = result
        self.trusted = TrustedChannel.restore(channel.trusted) if channel.trusted else None
        self.standing = channel.standing
        self.dropped = False
        self.given: list[bytes] = []
        self._cards: dict[str, str | None] = {}
        self._secrets = home.epoch_secrets(channel.channel_id)
        self._owners = home.state.owners(channel.channel_id)
        self._signed = SignedMessages(home.state, channel.channel_id)
        self._purges = Purges(home.state)

    def take(self, objects: Iterable[Json]) -> None:
        """Verify and open what can be, keep what comes too early."""
        pending = {m.digest: m for m in self._kept()}
        for each in objects:
            message = self._message(each)
            if message is not None:
                pending[message.digest] = message
        left = self._rounds(in_order(list(pending.values())))
        if self._learn_deletions(left):
            left = self._rounds(left)
        self._keep(left)

    def _rounds(self, ordered: Sequence[Message]) -> list[Message]:
        """Take what can be taken, again while it helps; the rest waits."""
        left = list(ordered)
        # Rounds are bounded: each verifies anew what waits, and somebody may have made much wait.
        for _ in range(_MAX_ROUNDS):
            before = len(left)
            left = self._round(left)
            if not left or len(left) == before:
                break
        return left

    def _round(self, ordered: Sequence[Message]) -> list[Message]:
        """Take what can be taken, in order; a card right after the manifest that names it.

        A card is older than that manifest. If it waited for the next round, later manifests would
        come before what it signed, and leave it beyond the staleness window.
        """
        cards = {name: e for e in ordered if (name := self._card_hash(e)) is not None}
        done: set[str] = set()
        left = []
        for each in ordered:
            if each.digest in done:
                continue
            if not self._take(each):
                left.append(each)
            elif each.header.t is MessageType.MANIFEST and self.trusted is not None:
                for row in self.trusted.manifest.members:
                    card = cards.get(row.card)
                    if card is not None and self._take(card):
                        done.add(cards.pop(row.card).digest)
        return [each for each in left if each.digest not in done]

    def _card_hash(self, message: Message) -> str | None:
        """What a manifest would name, of a message that is a card of correct form."""
        if message.header.t is not MessageType.CARD:
            return None
        if message.digest not in self._cards:
            self._cards[message.digest] = None
            # One that is wrong is refused with its reason when its turn comes.
            with contextlib.suppress(InputError, VerificationError):
                self._cards[message.digest] = parse_card(message.body).hash
        return self._cards[message.digest]

    def _learn_deletions(self, early: Sequence[Message]) -> bool:
        """Let tombstones that wait behind a gap say that what is missing there was deleted."""
        learned = False
        for message in early:
            if self.trusted is not None and message.header.t is MessageType.TOMBSTONE:
                # One that is wrong is refused with its reason when its turn comes.
                with contextlib.suppress(InputError, VerificationError):
                    self.trusted.note_deletion(message.raw, now=self.now)
                    learned = True
        return learned

    def _called(self, where: str) -> str:
        """Whose key an alarm is about, where it is one's; people know names."""
        assert self.trusted is not None
        for member, name in member_names(self.home, self.channel).items():
            if any(card.sign_id == where for card in self.trusted.cards_of(member)):
                return f"{name}, key {where[:16]}"
        return where

    def store(self) -> None:
        """Write the verified state back."""
        if self.trusted is None:
            return
        self._signed.finish()
        for alarm in self.trusted.alarms:
            about = "split-view" if alarm.kind == "split-view" else self._called(alarm.where)
            self._alarm(alarm.digest, f"{about}: {alarm.message}")
        entry = self.trusted.manifest.member(self.home.member_id)
        if self.home.keyring.root_id in self.trusted.manifest.owners:
            self.standing = "owner"
        elif entry is not None:
            self.standing = "member"
        elif self.standing in ("member", "owner"):
            self.standing = "removed"
        self.home.state.set_trusted(self.channel.channel_id, self.trusted.state(), self.standing)

    def _keep(self, early: Sequence[Message]) -> None:
        """Keep what came too early, within bounds: outsiders may write to a stock server."""
        settings, size = self.home.settings, 0
        for number, message in enumerate(early):
            size += len(message.raw)
            if number >= settings.max_waiting or size > settings.max_waiting_bytes:
                text = f"more than {number} messages wait for earlier ones; the rest was dropped"
                self._alarm("flood", text)
                self.dropped = True
                state, channel_id = self.home.state, self.channel.channel_id
                state.drop_waiting(channel_id, [each.digest for each in early[number:]])
                return
            self.home.state.put_message(self._row(message, "waiting", None, message.raw))

    def _kept(self) -> list[Message]:
        rows = self.home.state.kept(self.channel.channel_id, "waiting")
        return [parse_message(row.raw) for row in rows if row.raw]

    def _message(self, each: Json) -> Message | None:
        if not is_artifact(each):
            self.result.foreign += 1
            return None
        object_id = "".join(char for char in str(each.get("id"))[:100] if char.isprintable())
        try:
            raw = from_artifact(each, strict=False)
            found = digest(raw)
            self.given.append(bytes.fromhex(found))
            known = self.home.state.outcome(self.channel.channel_id, found)
            return parse_message(raw) if known in (None, "waiting") else None
        except InputError as error:
            self.result.foreign += 1
            if len(self.result.unread) < MAX_UNREAD:
                self.result.unread.append(f"{object_id}: {error.message}")
        except VerificationError as error:
            self.result.refused += 1
            self._alarm(object_id, f"{object_id}: {error.message}")
        return None

    def _take(self, message: Message) -> bool:
        """True when the message is dealt with, one way or the other."""
        try:
            accepted = self._accept(message)
        except NotYetError:
            return False
        except RefusedError as error:
            self._signed.keep(message)
            self._refuse(message, error)
            return True
        except (InputError, VerificationError) as error:
            self._refuse(message, error)
            self._prove_forged(message)
            return True
        # The genesis is a duplicate by the time it gets here; proofs begin with it.
        if not accepted.duplicate or message.header.t in ROOT_SIGNED:
            self._signed.keep(message)
        try:
            outcome = "accepted" if accepted.duplicate else self._open(accepted)
        except NotYetError:
            return False
        except (InputError, VerificationError) as error:
            self._refuse(message, error)
            return True
        self.result.messages += not accepted.duplicate
        row = message_row(self.channel, accepted, self.now, outcome=outcome)
        if outcome == _SEALED:
            row = dataclasses.replace(row, raw=message.raw)
        self.home.state.put_message(row)
        if message.header.t is MessageType.MANIFEST:
            self._disown()
        self._prove(message)
        return True

    def _disown(self) -> None:
        """Drop what a removed key said beyond its final message: it had come before its removal."""
        assert self.trusted is not None
        for final in self.trusted.manifest.removed:
            last = self.trusted.last(final.key)
            if last is not None and last[0] > final.seq:
                self.home.state.disown(self.channel.channel_id, final.key, final.seq)

    def _accept(self, message: Message) -> Accepted:
        if self.trusted is None:
            if message.header.t != MessageType.MANIFEST or not manifest_of(message.raw).is_genesis:
                raise NotYetError("the genesis manifest has not come yet")
            trusted = TrustedChannel.from_genesis(
                message.raw, owner_roots=self.channel.owner_roots or None, now=self.now
            )
            if trusted.channel != self.channel.channel_id:
                raise VerificationError("this is the beginning of another channel")
            self._signed.keep(message)
            self.trusted = trusted
        return self.trusted.accept(message.raw, now=self.now)

    def _open(self, accepted: Accepted) -> str:
        """Open what can be; the outcome to remember."""
        assert self.trusted is not None
        header = accepted.message.header
        if header.t == MessageType.EPOCH:
            self._open_epoch(accepted.message.raw)
        if accepted.expired or header.t not in (MessageType.KEYS, MessageType.DATA):
            return "accepted"
        if header.aud is Audience.DIRECT:
            return self._open_directly(accepted)
        secrets = self._secrets_for(accepted)
        if secrets is None:
            self.result.sealed += 1
            # The next epoch may bring a joiner the secrets of the past.
            history = self.trusted.manifest.policy.history != "none"
            return _SEALED if history and (header.ep or 0) not in self._secrets else "accepted"
        if header.t == MessageType.KEYS:
            self._open_keys(accepted, secrets)
        else:
            assert self.trusted is not None
            self._take_in(accepted, open_data(self.trusted, accepted, secrets, owners=self._owners))
        return "accepted"

    def _open_directly(self, accepted: Accepted) -> str:
        """Open what names us; for all others it is a place in the chain."""
        assert self.trusted is not None
        message = accepted.message
        wraps = parse_direct(message.body).wraps
        found = [each for each in self.home.keyring.cards if each.card.kem_id in wraps]
        kem = found[-1].kem if found else None
        if kem is None:
            self.result.sealed += 1
            return "accepted"
        opened = open_direct(self.trusted, accepted, kem, owners=self._owners)
        assert opened.release is not None
        self._take_in(accepted, opened)
        Releases(self.home.state).put(
            self.channel.channel_id,
            message.digest,
            opened.member,
            opened.release,
            [str(each["id"]) for each in opened.objects],
            opened.sent,
        )
        return "accepted"

    def _open_epoch(self, raw: bytes) -> None:
        assert self.trusted is not None
        for keys in reversed(self.home.keyring.cards):
            if keys.kem is None:
                continue
            secrets = unwrap(self.trusted, raw, keys.kem)
            if secrets.detail is None and secrets.aggregate is None:
                continue
            # First what is sealed from now on: a bad wrap of the past must not cost it.
            self._learn(secrets)
            history = unwrap_history(self.trusted, raw, keys.kem)
            for each in history:
                self._learn(each)
            if history:
                self._open_the_past()
            return

    def _learn(self, secrets: EpochSecrets) -> None:
        put_epoch(self.home, self.channel.channel_id, secrets, self.now)
        self._secrets[secrets.epoch] = secrets

    def _open_the_past(self) -> None:
        """Open what was verified before its epoch's secret came."""
        assert self.trusted is not None
        for row in self.home.state.kept(self.channel.channel_id, _SEALED):
            assert row.raw is not None
            message = parse_message(row.raw)
            if message.header.ep not in self._secrets:
                continue
            self.result.sealed -= 1
            accepted = self.trusted.accept(row.raw, now=self.now)
            try:
                self._open(accepted)
            except (InputError, VerificationError) as error:
                self._refuse(message, error)
            else:
                self.home.state.put_message(message_row(self.channel, accepted, self.now))

    def _secrets_for(self, accepted: Accepted) -> EpochSecrets | None:
        header = accepted.message.header
        secrets = self._secrets.get(header.ep or 0)
        if secrets is None:
            return None
        wanted = secrets.aggregate if header.aud == Audience.AGGREGATE else secrets.detail
        return None if wanted is None else secrets

    def _open_keys(self, accepted: Accepted, secrets: EpochSecrets) -> None:
        assert self.trusted is not None
        held = self.home.fingerprint_secrets(self.channel.channel_id)
        known = {each.key_id: each.secret for each in held}
        custodians = Custodians(self.home.state, self.channel.channel_id)
        found = open_key_set(
            self.trusted, accepted, secrets, known=known, custodians=custodians.public_keys()
        )
        for key in found.keys:
            self.home.put_fingerprint_secret(self.channel.channel_id, key, self.now)
        custodians.put(found.custodians)

    def _take_in(self, accepted: Accepted, opened: Opened) -> None:
        # All of them before the first is stored: of a refused message no part is used.
        rows = [
            object_row(self.channel, accepted, body, opened.member, self.now)
            for body in opened.objects
        ]
        for row in rows:
            self._owners.setdefault(row.id, row.member)
            if row.revoked:
                stored = self._purges.take(row)
                if stored is not None and row.type == "indicator":
                    self.result.revoked.append(row.id)
                continue
            stored = self.home.state.put_object(row)
            if stored is None:
                continue
            if is_governing(row.body):
                self._learn_names(row)
                continue
            if not _about_channel(row.body):
                counts = self.result.objects if stored == "new" else self.result.updated
                counts[row.type] = counts.get(row.type, 0) + 1
            if self._about_us(row.body):
                self.result.reports += 1

    def _learn_names(self, row: ObjectRow) -> None:
        """Take what an owner calls the members; what anybody else says of it is passed over."""
        assert self.trusted is not None
        if is_names(row.body) and self.trusted.manifest.is_owner(row.member):
            with contextlib.suppress(InputError):
                names = parse_names(row.body)
                learn_names(self.home, self.channel.channel_id, names, self.now)

    def _about_us(self, body: Json) -> bool:
        about = [body.get("sighting_of_ref"), *(body.get("object_refs") or ())]
        mine = self.home.member_id
        return (
            body.get("created_by_ref") != mine
            and body["type"]
            in (
                "sighting",
                "opinion",
                "note",
            )
            and not is_receipt(body)
            and any(self._owners.get(str(each)) == mine for each in about)
        )

    def _refuse(self, message: Message, error: StillwatchError) -> None:
        self.result.refused += 1
        self.home.state.put_message(self._row(message, "refused", error.message, None))
        self._alarm(message.digest, f"message {message.digest[:16]}: {error}")
        self._prove(message)

    def _prove(self, message: Message) -> None:
        """Write the proofs of what a message contradicts."""
        if self.trusted is None:
            return
        alarms = [each for each in self.trusted.alarms if each.digest == message.digest]
        if alarms:
            self._signed.finish()
        for alarm in alarms:
            evidence = Evidence(self.home, self.channel, self.trusted, self.now)
            evidence.of_alarm(alarm, message)

    def _prove_forged(self, message: Message) -> None:
        """Keep some of what failed a check: the log may hold it."""
        if self.trusted is not None and self.result.refused <= MAX_FORGED:
            self._signed.keep_forged(message)
            evidence = Evidence(self.home, self.channel, self.trusted, self.now)
            evidence.forged(message.raw, message.header.pub, None)

    def _alarm(self, digest_: str, text: str) -> None:
        full = f"{self.channel.name}: {text}"
        if self.home.state.raise_alarm(self.channel.channel_id, digest_, full, self.now):
            self.result.alarms.append(full)

    def _row(
        self, message: Message, outcome: str, reason: str | None, raw: bytes | None
    ) -> MessageRow:
        header = message.header
        return MessageRow(
            channel_id=self.channel.channel_id,
            digest=message.digest,
            outcome=outcome,
            type=str(header.t),
            member=None,
            publisher=header.pub,
            seq=header.seq,
            epoch=header.ep,
            audience=None if header.aud is None else str(header.aud),
            sent_at=header.ts,
            received_at=self.now,
            raw=raw,
            reason=reason,
        )


def _about_channel(body: Json) -> bool:
    """Proposals, signatures, receipts and releases travel as notes, and are no material."""
    labels = body.get("labels") or ("",)
    return body["type"] == "note" and str(labels[0]).startswith("stillwatch:")
