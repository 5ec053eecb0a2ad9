"""Proof files of a home: written when an alarm is raised, kept under `proofs`.

A proof is worth writing only where signatures say something; then a third party checks the file
offline. Making one never fails a pull: where nothing can be shown there is no file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from hub.channel.accepted import Alarm
from hub.channel.card import parse_card
from hub.channel.evidence import build
from hub.channel.evidence.build import Facts
from hub.channel.evidence.finding import Finding
from hub.channel.evidence.proof import MAX_PROOF, Proof, SignedHeader
from hub.channel.evidence.verify import verify
from hub.channel.header import Message, MessageType, frame, parse_message
from hub.channel.log.checkpoint import parse_checkpoint
from hub.channel.log.tree import leaf_hash, root_of
from hub.channel.manifest import parse_signed
from hub.channel.primitives.hash import digest
from hub.channel.verify import TrustedChannel
from hub.client.home import Home
from hub.client.rows import ChannelRow
from hub.client.signed import SignedMessages
from hub.client.unlock import write_private
from hub.errors import InputError, StillwatchError, StoreError, VerificationError

FOLDER: Final = "proofs"
MAX_FILES: Final = 200


class Evidence:
    """Makes the proof files of one channel.

    Args:
        home: where they are kept.
        channel: the channel.
        trusted: what is verified of it.
        now: seconds UTC.
    """

    def __init__(self, home: Home, channel: ChannelRow, trusted: TrustedChannel, now: int) -> None:
        self.home = home
        self.channel = channel
        self.trusted = trusted
        self.now = now
        self.signed = SignedMessages(home.state, channel.channel_id)

    @cached_property
    def facts(self) -> Facts:
        """What every proof begins with."""
        return Facts(
            channel=self.channel.channel_id,
            manifests=self.signed.manifests(self.trusted.manifest),
            cards={card.sign_id: card for card in self.signed.cards()},
            now=self.now,
        )

    # -- the log; `key` is its verifier key, notes are signed checkpoints ------------------------

    def split_view(
        self, key: str, notes: tuple[str, str], leaves: Sequence[bytes] = ()
    ) -> Path | None:
        """Two checkpoints that no tree fits; `leaves` are what the hub shows as the larger one."""
        first, second = (parse_checkpoint(each).checkpoint for each in notes)
        large = max(first, second, key=lambda each: each.size)
        whole = root_of(map(leaf_hash, leaves[: large.size])) == large.root
        sizes = (first.size, second.size)
        own = leaves if whole else ()
        return self._write(lambda: build.split_view(self.facts, key, notes, sizes, own))

    def rollback(self, key: str, notes: tuple[str, str]) -> Path | None:
        """A later checkpoint of a smaller log."""
        return self._write(lambda: build.rollback(self.facts, key, notes))

    def withheld(
        self, key: str, note: str, leaves: Sequence[bytes], missing: Sequence[int]
    ) -> Path | None:
        """The log holds messages at these positions that were not delivered."""
        return self._write(lambda: build.withheld_leaves(self.facts, key, note, leaves, missing))

    def cited(self, key: str, note: str, digest_: str) -> Path | None:
        """The message of this digest cites a larger log than the newest checkpoint, `note`."""
        return self._about(digest_, lambda item: build.withheld_cited(self.facts, key, note, item))

    def unlisted(self, key: str, note: str, leaves: Sequence[bytes], digest_: str) -> Path | None:
        """The complete log lacks the message of this digest, which was delivered."""
        return self._about(
            digest_, lambda item: build.unlisted(self.facts, key, note, leaves, item)
        )

    def stale(self, key: str, note: str) -> Path | None:
        """The newest checkpoint that the hub shows is old."""
        return self._write(lambda: build.stale_checkpoint(self.facts, key, note))

    def gap(
        self, key: str, note: str, leaves: Sequence[bytes], items: Sequence[SignedHeader]
    ) -> Path | None:
        """A message follows one that the complete log lacks."""
        return self._write(lambda: build.gap(self.facts, key, note, leaves, items))

    # -- members and owners ----------------------------------------------------------------------

    def withheld_before(self, item: SignedHeader) -> Path | None:
        """A message follows, or a heartbeat promised, one that was not delivered."""
        return self._write(lambda: build.withheld_before(self.facts, item))

    def forged(
        self, raw: bytes, pub: str | None, logged: tuple[str, str, Sequence[bytes], int] | None
    ) -> Path | None:
        """Bytes that no receiver accepts; `logged` as for `build.forged`."""
        card = self.facts.cards.get(pub or "")
        return self._write(lambda: build.forged(self.facts, raw, card, logged))

    def of_alarm(self, alarm: Alarm, message: Message) -> Path | None:
        """The proof of an alarm of `TrustedChannel`, raised by a message."""
        make = _MAKERS.get(alarm.kind)
        return None if make is None else self._write(lambda: make(self, message))

    def message_fork(self, message: Message) -> Proof:
        """The message against the one that was accepted in its place, or before it."""
        pub, seq = message.header.pub or "", message.header.seq or 0
        other = self.signed.at(pub, seq) or self.signed.at(pub, seq - 1)
        return build.message_fork(self.facts, _there(other), SignedHeader.of(message))

    def epoch_fork(self, message: Message) -> Proof:
        """The message against the one that began the epoch."""
        other = self.signed.epoch(message.header.ep or 0)
        return build.epoch_fork(
            self.facts, _there(other), SignedHeader.of(message, with_body=False)
        )

    def manifest_fork(self, message: Message) -> Proof:
        """The manifest against the one of its version that was accepted."""
        rival = parse_signed(message)
        known = self.facts.manifests[rival.manifest.version - 1 : rival.manifest.version]
        signers = {root for raw in known for root in _signers(raw)} & rival.signatures.keys()
        return build.manifest_fork(self.facts, message.raw, sorted(signers))

    def card_fork(self, message: Message) -> Proof:
        """The card against the one of its number that was accepted."""
        card = parse_card(message.body)
        for other in self.facts.cards.values():
            if (other.root_id, other.number) == (card.root_id, card.number):
                return build.card_fork(self.facts, other, card)
        raise InputError("the other card is not kept", where="proof")

    def after_final(self, message: Message) -> Proof:
        """The message, or those that the manifest cuts off."""
        if message.header.t is not MessageType.MANIFEST:
            return build.after_final(self.facts, SignedHeader.of(message))
        for final in self.trusted.manifest.removed:
            for seq in (final.seq + 1, final.seq):
                item = self.signed.at(final.key, seq)
                if item is not None and (
                    seq > final.seq or _digest(item) not in (None, final.hash)
                ):
                    return build.after_final(self.facts, item)
        raise InputError("what was cut off is not kept", where="proof")

    def cited_split(self, message: Message) -> Proof:
        """The checkpoint that the message cites against that of another member."""
        raw = message.header.cp or ""
        mine = parse_checkpoint(raw).checkpoint
        for other in self.trusted.cited:
            same = (other.checkpoint.origin, other.checkpoint.size) == (mine.origin, mine.size)
            if same and other.checkpoint.root != mine.root:
                log = self.trusted.manifest_by_hash(message.header.man or "")
                key = log.log.verifier_key if log is not None and log.log is not None else ""
                sizes = (mine.size, mine.size)
                return build.split_view(self.facts, key, (other.raw, raw), sizes, [])
        raise InputError("the other checkpoint is not kept", where="proof")

    # -- files -----------------------------------------------------------------------------------

    def _about(self, digest_: str, make: Callable[[SignedHeader], Proof]) -> Path | None:
        return self._write(lambda: make(_there(self.signed.item(digest_))))

    def _write(self, make: Callable[[], Proof]) -> Path | None:
        try:
            return write(self.home.path, make())
        except (InputError, VerificationError, StoreError):
            # The alarm stands without it.
            return None


_MAKERS: Final[dict[str, Callable[[Evidence, Message], Proof]]] = {
    "fork": Evidence.message_fork,
    "epoch-fork": Evidence.epoch_fork,
    "manifest-fork": Evidence.manifest_fork,
    "card-fork": Evidence.card_fork,
    "after-final": Evidence.after_final,
    "final-mismatch": Evidence.after_final,
    "split-view": Evidence.cited_split,
}


def write(home: Path, proof: Proof) -> Path:
    """Check a proof and keep it; the same one is kept once.

    Raises:
        InputError, VerificationError: it proves nothing.
        StoreError: the disk refuses, or too many are kept.
    """
    data, finding = build.finish(proof)
    path = home / FOLDER / _name(proof)
    if path.exists():
        return path
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if sum(1 for _ in path.parent.iterdir()) >= MAX_FILES:
            raise StoreError(
                f"{MAX_FILES} proof files are kept", where=str(path.parent), hint="move them away"
            )
    except OSError as error:
        raise StoreError(f"cannot be written: {error.strerror}", where=str(path)) from error
    write_private(path, data)
    assert finding.kind is proof.kind
    return path


def kept(home: Path, channel_id: str | None = None) -> list[Path]:
    """The proof files of a home, or of one channel of it, by name."""
    prefix = "" if channel_id is None else channel_id[:16]
    return sorted((home / FOLDER).glob(f"{prefix}*.json"))


def copy(path: Path, folder: Path) -> Path:
    """Copy a proof file to another folder, mode 0600; what is there under its name is replaced.

    Raises:
        StoreError: the disk refuses.
    """
    target = folder / path.name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot be copied: {error.strerror}", where=str(target)) from error
    write_private(target, data)
    return target


def check(path: Path, now: int) -> Finding:
    """Verify a proof file; needs no home.

    Raises:
        InputError: it cannot be read, or its form is wrong.
        VerificationError: it proves nothing.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PROOF + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    try:
        return verify(data, now)
    except StillwatchError as error:
        error.where = f"{path}: {error.where}" if error.where else str(path)
        raise


def _name(proof: Proof) -> str:
    """The same contradiction has the same name, whenever it is found."""
    parts = [
        proof.kind,
        *(parse_checkpoint(each).note.text for each in proof.checkpoints),
        *(each.header.hex() + each.body_hash for each in proof.messages),
        *(each.digest for each in proof.inclusions),
        *(each.hex() for each in proof.cards),
        digest(proof.rival or b""),
        digest(proof.forged or b""),
    ]
    return f"{proof.channel[:16]}-{proof.kind}-{digest(chr(10).join(parts).encode())[:16]}.json"


def _there(item: SignedHeader | None) -> SignedHeader:
    if item is None:
        raise InputError("the other message is not kept", where="proof")
    return item


def _signers(raw: bytes) -> frozenset[str]:
    return frozenset(parse_signed(parse_message(raw)).signatures)


def _digest(item: SignedHeader) -> str | None:
    return None if item.body is None else digest(frame(item.header, item.body, item.signature))
