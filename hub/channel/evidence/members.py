"""Contradictions that members' and owners' own signatures show.

Source: schemas/channel-v1.md, "Proof files".
"""

from __future__ import annotations

from hub.channel.evidence.case import Case, Signed
from hub.channel.evidence.finding import Shown
from hub.channel.evidence.proof import Accused, Party
from hub.channel.header import MessageType, parse_message
from hub.channel.ledger import CLOCK_SKEW
from hub.channel.manifest import Manifest, Removed, parse_signed
from hub.errors import VerificationError


def message_fork(case: Case) -> Shown:
    """One signing key continued its chain twice.

    Raises:
        VerificationError: the two messages are compatible.
    """
    first, second = _two(case)
    _same_key(first, second)
    who = case.signer(first.card)
    accused = Accused(Party.ROOT, first.card.root_id)
    if first.header.seq == second.header.seq:
        if _content(first) == _content(second):
            raise VerificationError("is the same message twice", where="messages")
        said = f"The key of {who} signed two different messages of position {first.header.seq}."
        return Shown(accused, who, (said,))
    older, newer = sorted((first, second), key=lambda each: each.header.seq or 0)
    if newer.header.seq != (older.header.seq or 0) + 1 or older.digest is None:
        raise VerificationError(
            "are neither of one position nor two in a row, the older one whole", where="messages"
        )
    if newer.header.prev == older.digest:
        raise VerificationError("the second one does follow the first", where="messages")
    said = (
        f"The key of {who} signed message {older.header.seq}, and then message "
        f"{newer.header.seq} as the successor of another one."
    )
    return Shown(accused, who, (said,))


def epoch_fork(case: Case) -> Shown:
    """Two epoch messages of one number, by owners.

    Raises:
        VerificationError: they are not.
    """
    first, second = _two(case)
    for each in (first, second):
        if each.header.t is not MessageType.EPOCH or not case.is_owner(each):
            raise VerificationError(
                "is not an epoch message of an owner by a manifest of the file", where=each.name
            )
    if first.header.ep != second.header.ep:
        raise VerificationError("have different epoch numbers", where="messages")
    if first.header.pub == second.header.pub and _content(first) == _content(second):
        raise VerificationError("is the same message twice", where="messages")
    number = first.header.ep
    if first.card.root_id == second.card.root_id:
        who = case.signer(first.card)
        said = f"The owner {who} signed two different messages that begin epoch {number}."
        return Shown(Accused(Party.ROOT, first.card.root_id), who, (said,))
    who = f"{case.signer(first.card)} and {case.signer(second.card)}"
    said = f"Two owners, {who}, each signed a message that begins epoch {number}."
    return Shown(Accused(Party.OWNERS), who, (said,))


def manifest_fork(case: Case) -> Shown:
    """Two manifests of one version, both signed by the threshold.

    Raises:
        VerificationError: they are not.
    """
    rival = case.rival()
    number = rival.manifest.version
    if rival.manifest.hash in case.by_hash:
        raise VerificationError("is the same manifest twice", where="rival")
    known = parse_signed(parse_message(case.proof.manifests[number - 1]))
    both = sorted(rival.signatures.keys() & known.signatures.keys())
    signers = ", ".join(f"{root[:16]}…" for root in both)
    said = f"Owners signed two different manifests of version {number}."
    if len(both) == 1:
        who = f"the owner with root {both[0][:16]}…"
        return Shown(Accused(Party.ROOT, both[0]), who, (said, f"{who} signed both.".capitalize()))
    also = (f"These roots signed both: {signers}.",) if both else ()
    return Shown(Accused(Party.OWNERS), "the channel's owners", (said, *also))


def card_fork(case: Case) -> Shown:
    """A root signed two cards of one number.

    Raises:
        VerificationError: it did not.
    """
    if len(case.cards) != 2:
        raise VerificationError("two cards are expected", where="cards")
    first, second = case.cards
    if (first.root_id, first.number) != (second.root_id, second.number):
        raise VerificationError("are not of one root and number", where="cards")
    if first.hash == second.hash:
        raise VerificationError("is the same card twice", where="cards")
    who = case.signer(first)
    said = f"The root of {who} signed two different cards of number {first.number}."
    return Shown(Accused(Party.ROOT, first.root_id), who, (said,))


def after_final(case: Case) -> Shown:
    """A removed key signed beyond the final position that the owners gave it.

    Raises:
        VerificationError: it did not.
    """
    if len(case.messages) != 1:
        raise VerificationError("one message is expected", where="messages")
    (signed,) = case.messages
    manifest, final = _removal(case, signed)
    seq = signed.header.seq or 0
    replaced = seq == final.seq and signed.digest is not None and signed.digest != final.hash
    if seq <= final.seq and not replaced:
        raise VerificationError("is not beyond the final position", where=signed.name)
    who = case.signer(signed.card)
    removed = f"The owners removed the key of {who} with manifest {manifest.version}, after its "
    proven = [
        f"{removed}message {final.seq}.",
        f"The same key signed {'another message' if replaced else 'message'} {seq}.",
    ]
    accused = Accused(Party.ROOT, signed.card.root_id)
    held = case.by_hash.get(signed.header.man or "")
    if held is not None and held.version >= manifest.version:
        proven.append(f"It names manifest {held.version}: its signer knew of the removal.")
        return Shown(accused, who, tuple(proven))
    late = signed.header.ts - manifest.created
    if late > CLOCK_SKEW:
        proven.append(f"By its own date that was {late} s after the removal, as owners dated it.")
    # Owners choose date and position, and who was not shown the removal publishes on in good faith.
    claimed = "That its signer knew of the removal: owners may have left the message out, or dated "
    return Shown(accused, who, tuple(proven), (f"{claimed}the manifest back.",))


def _removal(case: Case, signed: Signed) -> tuple[Manifest, Removed]:
    for manifest in case.manifests:
        final = manifest.finals.get(signed.header.pub or "")
        if final is not None:
            return manifest, final
    raise VerificationError("no manifest of the file removes its signer's key", where=signed.name)


def _two(case: Case) -> tuple[Signed, Signed]:
    if len(case.messages) != 2:
        raise VerificationError("two messages are expected", where="messages")
    first, second = case.messages
    return first, second


def _same_key(first: Signed, second: Signed) -> None:
    if first.header.pub != second.header.pub:
        raise VerificationError("are of two keys", where="messages")


def _content(signed: Signed) -> tuple[bytes, str]:
    """What was signed; the signature itself is randomised."""
    return signed.item.header, signed.item.body_hash
