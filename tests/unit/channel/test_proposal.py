"""Owners and thresholds: each transition that must not be, with what it says."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from hub.channel.card import card_message
from hub.channel.changes import changes
from hub.channel.header import parse_message
from hub.channel.ledger import needed
from hub.channel.manifest import (
    DAY,
    Manifest,
    Policy,
    genesis,
    manifest_message,
    next_version,
    sign_manifest,
    signed_bytes,
)
from hub.channel.proposal import Countersignature, Proposal, parse_proposal, propose
from hub.channel.seal import seal_heartbeat
from hub.channel.verify import TrustedChannel
from hub.errors import InputError, VerificationError
from hub.model.codec import Json, canonical
from tests.unit.channel.cast import NOW, PUBLISHER, READER, Person, seed

A, B, C, D = (Person(name) for name in ("anna", "bert", "carl", "dora"))
OUTSIDER = Person("olga")


def _genesis(threshold: int = 2, policy: Policy | None = None) -> Manifest:
    return genesis(
        owners=[each.root.public.id for each in (A, B, C)],
        members=[each.row(PUBLISHER) for each in (A, B, C)] + [D.row(READER)],
        created=NOW,
        expires=NOW + 90 * DAY,
        threshold=threshold,
        policy=policy,
        nonce=seed("council", 16),
    )


def _channel(first: Manifest, *signers: Person) -> TrustedChannel:
    raw = sign_manifest(first, [each.root for each in signers or (A, B)])
    trusted = TrustedChannel.from_genesis(raw, owner_roots=first.owners, now=NOW)
    for each in (A, B, C, D):
        trusted.accept(card_message(trusted.channel, each.card_raw), now=NOW)
    return trusted


def _without(before: Manifest, trusted: TrustedChannel, gone: Person) -> Manifest:
    """The version that removes a member, owner or not."""
    return next_version(
        before,
        created=NOW,
        expires=NOW + 80 * DAY,
        members=[row for row in before.members if row.member != gone.id],
        owners=[root for root in before.owners if root != gone.root.public.id],
        removed=[trusted.final_of(gone.id)],
    )


def _plain(before: Manifest, days: int = 80, threshold: int | None = None) -> Manifest:
    return next_version(before, created=NOW, expires=NOW + days * DAY, threshold=threshold)


def _proposal(before: Manifest, after: Manifest, by: Person = A) -> Proposal:
    return propose(
        before, after, proposer=by.card, signing=by.signing, reason="a reason", created=NOW
    )


def _refused(trusted: TrustedChannel, raw: bytes, match: str) -> None:
    state = trusted.state()
    with pytest.raises(VerificationError, match=match):
        trusted.accept(raw, now=NOW)
    assert json.loads(trusted.state())["roster"] == json.loads(state)["roster"]


def test_fewer_than_the_threshold_change_nothing() -> None:
    with pytest.raises(VerificationError, match="1 of 2 needed owners signed it"):
        _channel(_genesis(), A)
    trusted = _channel(_genesis())
    raw = sign_manifest(_plain(trusted.manifest), [A.root])
    _refused(trusted, raw, "by the owners before it: 1 of 2 needed owners signed it")
    trusted.accept(sign_manifest(_plain(trusted.manifest), [A.root, C.root]), now=NOW)
    assert trusted.manifest.version == 2


def test_a_new_threshold_needs_its_own_number() -> None:
    trusted = _channel(_genesis())
    draft = _plain(trusted.manifest, threshold=3)
    raw = sign_manifest(draft, [A.root, B.root])
    _refused(trusted, raw, "by its own owners: 2 of 3 needed owners signed it")
    trusted.accept(sign_manifest(draft, [A.root, B.root, C.root]), now=NOW)
    # Down again: the old number still decides.
    lower = _plain(trusted.manifest, 81, threshold=1)
    _refused(trusted, sign_manifest(lower, [A.root, B.root]), "2 of 3 needed owners signed it")


def test_one_signature_twice_is_one() -> None:
    trusted = _channel(_genesis())
    draft = _plain(trusted.manifest)
    entry = (A.root.public, A.root.sign(signed_bytes(draft)))
    raw = manifest_message(draft, {"1": entry, "2": entry})
    with pytest.raises(InputError, match="signatures must ascend by root id"):
        trusted.accept(raw, now=NOW)


def test_an_owner_is_not_two_members() -> None:
    twin = dataclasses.replace(A.row(READER), member=OUTSIDER.id, card=OUTSIDER.card.hash)
    before = _genesis()
    with pytest.raises(InputError, match="two members share one root"):
        next_version(before, created=NOW, expires=NOW + DAY, members=[*before.members, twin])
    with pytest.raises(InputError, match="must ascend, without duplicates"):
        next_version(
            before, created=NOW, expires=NOW + DAY, owners=[*before.owners, A.root.public.id]
        )


def test_signatures_of_others_do_not_count_and_spoil_the_message() -> None:
    trusted = _channel(_genesis())
    draft = _plain(trusted.manifest)
    for stranger in (D, OUTSIDER):
        raw = sign_manifest(draft, [A.root, stranger.root])
        _refused(trusted, raw, "1 of 2 needed owners signed it")
        raw = sign_manifest(draft, [A.root, B.root, stranger.root])
        _refused(trusted, raw, "a signature of somebody who is no owner")


def test_a_removed_owner_signs_nothing_any_more() -> None:
    trusted = _channel(_genesis())
    draft = _without(trusted.manifest, trusted, C)
    trusted.accept(sign_manifest(draft, [A.root, B.root]), now=NOW)
    late = _plain(trusted.manifest)
    _refused(trusted, sign_manifest(late, [A.root, C.root]), "1 of 2 needed owners signed it")
    _refused(trusted, sign_manifest(late, [A.root, B.root, C.root]), "somebody who is no owner")


def test_owners_do_not_go_back() -> None:
    trusted = _channel(_genesis())
    first = trusted.manifest
    trusted.accept(sign_manifest(_without(first, trusted, C), [A.root, B.root]), now=NOW)
    # A second version 2, and the return of the first list of owners.
    rival = sign_manifest(_plain(first), [A.root, B.root])
    _refused(trusted, rival, "owners signed a second manifest of this version")
    assert [alarm.kind for alarm in trusted.alarms] == ["manifest-fork"]
    # The genesis again is known, and changes nothing.
    again = sign_manifest(first, [A.root, B.root])
    assert trusted.accept(again, now=NOW).duplicate
    assert trusted.manifest.version == 2
    # A rollback that only a removed owner and one other signed is not even an alarm.
    forged = sign_manifest(_plain(first, 70), [A.root, C.root])
    _refused(trusted, forged, "1 of 2 needed owners signed it")
    assert len(trusted.alarms) == 1


def test_partial_signatures_do_not_move_to_another_draft() -> None:
    trusted = _channel(_genesis())
    one, other = _plain(trusted.manifest), _plain(trusted.manifest, 81)
    entries = {
        A.root.public.id: (A.root.public, A.root.sign(signed_bytes(one))),
        B.root.public.id: (B.root.public, B.root.sign(signed_bytes(other))),
    }
    _refused(trusted, manifest_message(other, entries), "the Ed25519 signature is not valid")
    proposal = _proposal(trusted.manifest, one).signed_by(A.root)
    with pytest.raises(VerificationError, match="the Ed25519 signature is not valid"):
        _proposal(trusted.manifest, other).with_entries(proposal.signatures.values())
    with pytest.raises(VerificationError, match="1 more owners must sign it"):
        proposal.message()


def test_a_proposal_replayed_later_follows_nothing() -> None:
    trusted = _channel(_genesis())
    first, second = _plain(trusted.manifest), _plain(trusted.manifest, 81)
    old = _proposal(trusted.manifest, first).signed_by(A.root).signed_by(B.root)
    trusted.accept(sign_manifest(second, [A.root, C.root]), now=NOW)
    _refused(trusted, old.message(), "owners signed a second manifest of this version")
    trusted.accept(sign_manifest(_plain(trusted.manifest, 82), [A.root, C.root]), now=NOW)
    assert trusted.manifest.version == 3
    _refused(trusted, old.message(), "version 3 is in force")
    with pytest.raises(VerificationError, match="does not follow the manifest before it"):
        trusted.check_draft(
            dataclasses.replace(_plain(trusted.manifest), prev=trusted.manifest.prev)
        )


def test_approvals_bind_joiners_and_nothing_else() -> None:
    trusted = _channel(_genesis(1, Policy(approvals=3)), A)
    joiner = next_version(
        trusted.manifest,
        created=NOW,
        expires=NOW + 80 * DAY,
        members=[*trusted.manifest.members, OUTSIDER.row(READER)],
    )
    _refused(trusted, sign_manifest(joiner, [A.root, B.root]), "2 of 3 needed owners signed it")
    proposal = _proposal(trusted.manifest, joiner).signed_by(A.root)
    assert proposal.missing == (2, 0)
    trusted.accept(sign_manifest(_plain(trusted.manifest), [B.root]), now=NOW)


def test_one_owner_does_not_get_round_the_approvals() -> None:
    before = _genesis(1, Policy(approvals=2))
    c = next(row for row in before.members if row.member == C.id)
    others = [row for row in before.members if row.member != C.id]
    ways: list[dict[str, Any]] = [
        {"members": (*others, dataclasses.replace(OUTSIDER.row(c.roles), member=C.id))},
        {"owners": (A.root.public.id,)},
        {"owners": tuple(sorted([*before.owners, OUTSIDER.root.public.id]))},
        {"policy": Policy(approvals=1)},
    ]
    for way in ways:
        assert needed(before, dataclasses.replace(_plain(before), **way)) == 2, way
    assert needed(before, _plain(before)) == 1
    assert needed(before, dataclasses.replace(_plain(before), policy=Policy(approvals=3))) == 1


def test_a_removed_publisher_does_not_backdate_with_the_hubs_help() -> None:
    trusted = _channel(_genesis())
    early = seal_heartbeat(trusted, C.signing, now=NOW)
    trusted.accept(early, now=NOW)
    # The hub gives the removed one its old view, and takes a message dated before the removal.
    old_view = TrustedChannel.restore(trusted.state())
    trusted.accept(
        sign_manifest(_without(trusted.manifest, trusted, C), [A.root, B.root]), now=NOW + 10
    )
    forged = seal_heartbeat(old_view, C.signing, now=NOW - 100)
    _refused(trusted, forged, "the key was removed after message 1")
    twin = seal_heartbeat(old_view, C.signing, now=NOW - 100, seq=1, prev=None)
    _refused(trusted, twin, "the key was removed after message 1")
    assert [alarm.kind for alarm in trusted.alarms] == ["after-final", "after-final"]
    assert trusted.accept(early, now=NOW + 10).duplicate


def test_a_proposal_travels_and_is_read_again() -> None:
    before = _genesis()
    after = next_version(
        before,
        created=NOW,
        expires=NOW + 80 * DAY,
        members=[*before.members, OUTSIDER.row(READER)],
    )
    made = propose(
        before,
        after,
        proposer=A.card,
        signing=A.signing,
        reason="Olga joins",
        created=NOW,
        cards=[OUTSIDER.card],
        names={OUTSIDER.id: "Olga & Co"},
    ).signed_by(A.root)
    read = parse_proposal(made.raw)
    assert read == made
    assert read.may_sign == frozenset(before.owners) - {A.root.public.id}
    extra = Countersignature.from_bytes(
        made.signed_by(B.root).countersignature(B.root.public.id).to_bytes()
    )
    full = read.with_entries([(extra.root, extra.signature)])
    assert full.complete
    trusted = _channel(before)
    trusted.accept(full.message(), now=NOW)
    (added, *_) = changes(before, after, made.names)
    assert added.kind == "member-added"
    assert added.root == OUTSIDER.root.public.id
    assert added.text.startswith("Olga & Co (identity--")


Spoil = Callable[[Json], object]


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda v: v.update(v=2), "a protocol version unknown here"),
        (lambda v: v.update(suite="none"), "a suite unknown here"),
        (lambda v: v.update(reason=""), "printable characters"),
        (lambda v: v.update(reason="another"), "the Ed25519 signature is not valid"),
        (lambda v: v.update(before=v["after"]), "does not follow the manifest it comes with"),
        (lambda v: v.update(extra=1), "the names are not the expected ones"),
        (lambda v: v.update(cards=[v["proposer"]]), "a card that the draft does not name"),
        (lambda v: v.update(proposer=_text(D.card_raw)), "its proposer is no owner"),
        (lambda v: v.update(names={"identity--x": "X"}), "ids of STIX identities"),
        (lambda v: v.update(cuts=["0" * 64]), "cuts a key that the draft does not end"),
        (lambda v: v["signatures"].append(v["signatures"][0]), "must ascend, without duplicates"),
    ],
)
def test_a_spoiled_proposal_is_refused(spoil: Spoil, match: str) -> None:
    before = _genesis()
    value = json.loads(_proposal(before, _plain(before)).signed_by(A.root).raw)
    spoil(value)
    with pytest.raises((InputError, VerificationError), match=match):
        parse_proposal(canonical(value))


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def test_hostile_bytes_of_a_proposal_raise_only_two_errors() -> None:
    before = _genesis()
    raw = _proposal(before, _plain(before)).signed_by(A.root).raw
    for at in range(0, len(raw), max(1, len(raw) // 60)):
        for spoiled in (raw[:at], raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]):
            with pytest.raises((InputError, VerificationError)):
                parse_proposal(spoiled)
    with pytest.raises(InputError):
        Countersignature.from_bytes(b"{}")
    assert parse_message(sign_manifest(before, [A.root, B.root])).header.man == before.hash
