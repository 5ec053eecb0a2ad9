"""The log of a channel, held against what the hub shows: on every pull, before its messages count.

The checkpoint is fetched first and the messages after it, so that whatever the checkpoint covers
must be among them. Then the entries that are new are hashed on from the last verified tree:

- the checkpoint is signed by the pinned key, fresh, and cosigned where the manifest says so, else
  `bad-checkpoint`, `stale-checkpoint`, `no-quorum`;
- its tree continues the last one, and every tree that a member cites, else `rollback` and
  `split-view`;
- each entry is a message that was given, or that its publisher deleted, else `withheld`;
- each message that was given before this pull is an entry, else `unlisted`.

All of these are alarms. What was verified is what this member cites in its next messages.
Source: schemas/channel-v1.md, "Log".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from hub.channel.carriage import artifact_id, from_artifact
from hub.channel.ledger import CLOCK_SKEW
from hub.channel.log.checkpoint import SignedCheckpoint, check_quorum, verify_checkpoint
from hub.channel.log.tree import Frontier, leaf_hash, verify_consistency
from hub.channel.policy import DAY, Log
from hub.channel.primitives.hash import digest, sha256
from hub.channel.verify import TrustedChannel
from hub.client.answers import status_behind
from hub.client.evidence import Evidence
from hub.client.intake import Intake
from hub.client.log_gaps import strange
from hub.client.log_port import MAX_ENTRIES, ChannelLog
from hub.client.log_state import Head, LogState
from hub.client.pulled import Pulled
from hub.client.rows import ChannelRow
from hub.client.work import Desk
from hub.errors import AccessError, InputError, TransportError, VerificationError
from hub.model.codec import Json

SPLIT_VIEW: Final = "split-view"
ROLLBACK: Final = "rollback"
WITHHELD: Final = "withheld"
UNLISTED: Final = "unlisted"
STALE: Final = "stale-checkpoint"
BAD: Final = "bad-checkpoint"
NO_QUORUM: Final = "no-quorum"
# A hub could sign any size: what one pull takes of entries, and asks for or tells one by one.
MAX_NEW: Final = 1_000_000
MAX_ASKED: Final = 64
MAX_TOLD: Final = 20


class Watch:
    """One pull's look at the log of a channel: `begin`, `take` for each page, `finish`.

    Args:
        desk: the home, the network and the clock.
        channel: as it is before the pull.
        result: takes up new alarms.
    """

    def __init__(self, desk: Desk, channel: ChannelRow, result: Pulled) -> None:
        self._desk = desk
        self._channel = channel
        self._result = result
        self._log = LogState(desk.home.state, channel.channel_id)
        self._pull = self._log.pulls() + 1
        self._asked = False
        self._raw: str | None = None
        self._early: list[bytes] = []
        self._evidence: Evidence | None = None
        self._key = ""
        self._told = 0

    def begin(self) -> None:
        """Fetch the checkpoint, before any message.

        Raises:
            TransportError: the hub is not there.
            AccessError: it does not take the account.
        """
        home = self._desk.home
        if self._channel.trusted is None:
            # Of a channel that is new here the manifest comes with this pull.
            self._asked = home.is_stillwatch(self._channel.api_root)
        else:
            self._asked = home.trusted(self._channel).manifest.log is not None
        if not self._asked:
            return
        try:
            self._raw = self._port().checkpoint()
        except AccessError as error:
            if status_behind(error) == 401:
                raise

    def take(self, trusted: TrustedChannel | None, given: Iterable[bytes]) -> None:
        """Note what a page brought; inside the page's transaction.

        Args:
            trusted: the channel after the page.
            given: digest of each message in it.
        """
        self._early += given
        if trusted is None or trusted.manifest.log is None:
            return
        self._log.note_given(self._early, self._pull)
        self._early.clear()
        self._log.note_cited(trusted.take_citations(), self._pull)

    def finish(self) -> None:
        """Hold what was shown against the log, once everything is taken.

        Raises:
            TransportError: the hub is not there, or its answers are unreadable.
        """
        channel = self._desk.home.state.channel(self._channel.channel_id)
        if channel.trusted is None or not self._asked:
            return
        trusted = self._desk.home.trusted(channel)
        log = trusted.manifest.log
        if log is None:
            return
        self._evidence = Evidence(self._desk.home, channel, trusted, self._desk.clock())
        self._key = log.verifier_key
        signed = self._signed(log, trusted)
        if signed is None or not self._progress(signed, channel, trusted):
            return
        self._find_missing(signed, trusted)
        unlisted = self._log.unlisted(self._pull)
        own = set(self._log.confirmed_since(0)) if unlisted else set()
        for each in unlisted[:MAX_TOLD]:
            text = f"the hub has shown message {each.hex()[:16]}, and its log does not have it"
            if each in own:
                text += f"; if the hub was restored from a back-up: {_repost(self._channel)}"
            if self._tell(UNLISTED, text, each.hex()):
                leaves = self._leaves(signed)
                self._show(self._proofs.unlisted(self._key, signed.raw, leaves, each.hex()))
        if len(unlisted) > MAX_TOLD:
            text = f"the hub has shown {len(unlisted)} messages that its log does not have"
            self._tell(UNLISTED, text, log.origin, str(len(unlisted)))
        for found in strange(self._proofs, self._log, self._key, signed):
            if self._tell(found.kind, found.text, found.kind, found.digest):
                self._show(found.proof())

    # -- the checkpoint --------------------------------------------------------------------------

    def _signed(self, log: Log, trusted: TrustedChannel) -> SignedCheckpoint | None:
        """The checkpoint if its signature holds; its age and its witnesses are looked at too."""
        now, today = self._desk.clock(), str(self._desk.clock() // DAY)
        if self._raw is None and self._channel.trusted is None:
            # The request came before the owner's approval, and the messages after it.
            return None
        if self._raw is None:
            self._tell(BAD, "the hub shows no log, and the manifest names one", log.origin, today)
            return None
        try:
            signed = verify_checkpoint(self._raw, log.verifier_key)
        except (InputError, VerificationError) as error:
            text = (
                f"{error.message}; a hub that was restored from a back-up has a new log and "
                f"lacks messages: {_repost(self._channel)}, then an owner accepts the log: "
                f"stillwatch channel log {self._channel.name} --accept"
            )
            self._tell(BAD, text, log.origin, today)
            return None
        checkpoint, policy = signed.checkpoint, trusted.manifest.policy
        ahead = checkpoint.time - now
        if ahead > CLOCK_SKEW:
            text = f"the checkpoint is dated {ahead} s in the future; compare the clocks"
            self._tell(BAD, text, log.origin, today)
            return None
        if -ahead > policy.staleness + CLOCK_SKEW:
            text = f"the newest checkpoint of the hub is {-ahead} s old"
            if self._tell(STALE, text, log.origin, str(checkpoint.time)):
                self._show(self._proofs.stale(self._key, signed.raw))
        witnesses = trusted.manifest.witnesses
        if witnesses is not None:
            try:
                check_quorum(
                    signed,
                    witnesses.verifier_keys,
                    witnesses.quorum,
                    since=now - policy.staleness - CLOCK_SKEW,
                    until=now + CLOCK_SKEW,
                )
            except VerificationError as error:
                self._tell(NO_QUORUM, error.message, log.origin, today)
        return signed

    # -- the tree --------------------------------------------------------------------------------

    def _progress(
        self, signed: SignedCheckpoint, channel: ChannelRow, trusted: TrustedChannel
    ) -> bool:
        """Extend the verified tree to the checkpoint; False when it does not fit."""
        checkpoint = signed.checkpoint
        known = self._log.head(checkpoint.origin)
        head = known or Head(checkpoint.origin, 0, Frontier(), None, 0)
        size = head.frontier.size
        if checkpoint.size < size:
            text = f"the hub's log had {size} entries, and now shows {checkpoint.size}"
            if self._tell(ROLLBACK, text, checkpoint.origin, str(size), str(checkpoint.size)):
                notes = (head.checkpoint or "", signed.raw)
                self._show(self._proofs.rollback(self._key, notes))
            return False
        entries = self._entries(size, checkpoint.size)
        if entries is None:
            return False
        frontier = head.frontier.copy()
        frontier.extend(map(leaf_hash, entries))
        if frontier.root() != checkpoint.root:
            self._contradiction(head, signed)
            return False
        with self._desk.home.state.transaction():
            if known is None:
                # What another log should have had is not asked of this one.
                self._log.drop_given(self._pull)
            else:
                self._log.note_given(self._log.confirmed_since(head.at), self._pull - 1)
            taken = [(each, self._given(each)) for each in entries]
            self._log.append(checkpoint.origin, head.frontier, taken)
            self._log.settle_given(checkpoint.origin)
            self._log.set_head(
                Head(checkpoint.origin, self._pull, frontier, signed.raw, self._desk.clock())
            )
            self._compare_cited(signed)
            trusted.note_checkpoint(signed.raw)
            state = self._desk.home.state
            state.set_trusted(channel.channel_id, trusted.state(), channel.standing)
        return True

    def _entries(self, start: int, end: int) -> Sequence[bytes] | None:
        """Digests of the entries in a range; None when the hub shows fewer than it signed."""
        if end - start > MAX_NEW:
            raise TransportError(
                f"the hub's log grew by {end - start} entries, more than one pull takes",
                where=self._channel.name,
            )
        found: list[bytes] = []
        while start + len(found) < end:
            at = start + len(found)
            part = self._port().entries(at, min(end, at + MAX_ENTRIES))
            if not part:
                text = f"the hub signs a log of {end} entries, and shows {at} of them"
                if self._tell(WITHHELD, text, self._channel.channel_id, str(end)):
                    self._show(self._proofs.withheld(self._key, self._raw or "", (), ()))
                return None
            found += part
        return found

    def _contradiction(self, head: Head, signed: SignedCheckpoint) -> None:
        """The entries do not lead to the signed root: is it the entries, or the tree?"""
        new, size = signed.checkpoint, head.frontier.size
        key = (new.origin, str(size), str(new.size), new.root.hex())
        notes = (head.checkpoint or "", signed.raw)
        if new.size == size:
            if self._tell(SPLIT_VIEW, f"the log signed two trees of {size} entries", *key):
                self._show(self._proofs.split_view(self._key, notes))
            return
        proof = self._port().consistency(size, new.size)
        try:
            verify_consistency(size, head.frontier.root(), new.size, new.root, proof)
        except VerificationError:
            text = f"the log of {new.size} entries does not continue the verified one of {size}"
            if self._tell(SPLIT_VIEW, text, *key):
                # They prove it only if the hub shows the whole of the other tree.
                leaves = self._entries(0, new.size) or ()
                self._show(self._proofs.split_view(self._key, notes, leaves))
            return
        text = f"the hub shows other entries {size} to {new.size} than its log has"
        if self._tell(WITHHELD, text, *key):
            self._show(self._proofs.withheld(self._key, signed.raw, (), ()))

    def _compare_cited(self, signed: SignedCheckpoint) -> None:
        """Hold what members cite against the verified tree."""
        origin, size = signed.checkpoint.origin, signed.checkpoint.size
        rows = self._log.cited(origin)
        roots = self._log.roots(origin, [row.size for row in rows if row.size <= size])
        for row in rows:
            if row.size > size and row.pull < self._pull:
                text = f"{row.member} cites a log of {row.size} entries, the hub shows {size}"
                if self._tell(ROLLBACK, text, row.digest):
                    self._show(self._proofs.cited(self._key, signed.raw, row.digest))
            elif row.size <= size and roots[row.size] != row.root:
                text = f"{row.member} was shown another log of {row.size} entries"
                if self._tell(SPLIT_VIEW, text, row.digest):
                    notes = (row.raw, signed.raw)
                    leaves = () if row.size == size else self._leaves(signed)
                    self._show(self._proofs.split_view(self._key, notes, leaves))
        self._log.settle_cited(origin, size)

    # -- entries and messages --------------------------------------------------------------------

    def _given(self, entry: bytes) -> bool:
        """Whether the message of an entry was shown here at any time."""
        state = self._desk.home.state
        known = state.outcome(self._channel.channel_id, entry.hex())
        return known is not None or self._log.was_given(entry)

    def _find_missing(self, signed: SignedCheckpoint, trusted: TrustedChannel) -> None:
        """Ask for messages that the log has and no page brought; what stays away is withheld."""
        origin, deleted, found = signed.checkpoint.origin, trusted.deleted, []
        missing = []
        for position, entry in self._log.missing(origin, MAX_NEW):
            if entry.hex() in deleted or self._given(entry):
                found.append(position)
            else:
                missing.append((position, entry))
        objects: list[Json] = []
        for position, entry in missing[:MAX_ASKED]:
            each = self._fetch(entry)
            if each is not None:
                objects.append(each)
                found.append(position)
        state = self._desk.home.state
        with state.transaction():
            if objects:
                channel = state.channel(self._channel.channel_id)
                intake = Intake(self._desk.home, channel, self._desk.clock(), self._result)
                intake.take(objects)
                intake.store()
            self._log.mark_given(origin, found)
        withheld = [row for row in missing if row[0] not in set(found)]
        told = False
        for position, entry in withheld[:MAX_TOLD]:
            text = f"the log has message {entry.hex()[:16]} as entry {position}, which is not shown"
            told |= self._tell(WITHHELD, text, entry.hex())
        if told:
            places = [position for position, _ in withheld[:MAX_TOLD]]
            leaves = self._leaves(signed)
            self._show(self._proofs.withheld(self._key, signed.raw, leaves, places))
        if len(withheld) > MAX_TOLD:
            text = f"the log has {len(withheld)} messages that are not shown"
            self._tell(WITHHELD, text, origin, str(len(withheld)))

    def _fetch(self, entry: bytes) -> Json | None:
        """The artifact of a message, asked for by its id; None when the hub does not give it."""
        each = self._desk.collection_of(self._channel).get(artifact_id(entry.hex()))
        try:
            held = each is not None and digest(from_artifact(each, strict=False)) == entry.hex()
        except (InputError, VerificationError):
            return None
        return each if held else None

    def _port(self) -> ChannelLog:
        return self._desk.hub_of(self._channel).log(self._channel.channel_id)

    # -- telling ---------------------------------------------------------------------------------

    def _leaves(self, signed: SignedCheckpoint) -> Sequence[bytes]:
        """The digest of every entry of the verified log."""
        checkpoint = signed.checkpoint
        return list(self._log.digests(checkpoint.origin, 0, checkpoint.size))

    @property
    def _proofs(self) -> Evidence:
        assert self._evidence is not None
        return self._evidence

    def _show(self, path: Path | None) -> None:
        """Name the proof of the alarm that was told last."""
        if path is not None:
            self._result.alarms[-1] += f"; proof: {path}"

    def _tell(self, kind: str, text: str, *key: str) -> bool:
        """Raise an alarm, once for each key, a single digest being its own.

        Returns:
            Whether a proof is wanted: the alarm is new, and one of the first of this pull. A hub
            could give cause for any number, and each proof takes a look at the whole log.
        """
        name = key[0] if len(key) == 1 else sha256("\n".join((kind, *key)).encode()).hex()
        full = f"{self._channel.name}: {kind}: {text}"
        state, now = self._desk.home.state, self._desk.clock()
        # A member's flood of broken messages must not drown what the hub does.
        first = self._told < MAX_TOLD
        new = state.raise_alarm(self._channel.channel_id, name, full, now, urgent=first)
        if new:
            self._result.alarms.append(full)
            self._told += 1
        return new and first


def _repost(channel: ChannelRow) -> str:
    return f"every member runs stillwatch channel repost {channel.name}"
