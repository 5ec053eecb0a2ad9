"""Proof files: each kind proves what it says to somebody who knows the channel's id alone."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.channel.card import issue_card, parse_card
from hub.channel.evidence import build
from hub.channel.evidence.finding import Finding
from hub.channel.evidence.proof import MAX_PROOF, Party, Proof, parse_proof
from hub.channel.evidence.verify import verify
from hub.channel.header import MessageType, parse_message
from hub.channel.manifest import DAY, Removed, sign_manifest
from hub.channel.primitives.sign import NotePrivate
from hub.errors import InputError, VerificationError
from hub.model.codec import canonical
from tests.unit.channel.cast import NOW, Person, seed
from tests.unit.channel.evidence.world import (
    EVE,
    KEY,
    LAB,
    PROVIDER,
    World,
    digests,
    item,
    note,
    some,
)


def shown(proof: Proof) -> Finding:
    """The finding, by way of the file."""
    data = proof.to_bytes()
    assert parse_proof(data) == proof
    return verify(data, NOW + 2_000)


# -- the log -------------------------------------------------------------------------------------


def test_two_roots_of_one_size_are_a_split_view() -> None:
    facts = World().facts
    notes = (note(some(5)), note(some(5, "other")))
    found = shown(build.split_view(facts, KEY, notes, (5, 5), []))
    assert found.conclusive
    assert (found.accused.party, found.accused.id) == (Party.LOG, KEY)
    assert len(found.proven) == 2


def test_a_larger_log_with_another_beginning_is_a_split_view() -> None:
    large = [*some(4, "other"), *some(7)]
    for small in range(1, 11):
        notes = (note(some(small)), note(large))
        found = shown(build.split_view(World().facts, KEY, notes, (small, len(large)), large))
        assert found.conclusive
        assert any("not that of the smaller one" in said for said in found.proven)
        # Where the hub did not show the entries, it can still show that they fit.
        found = shown(build.split_view(World().facts, KEY, notes, (small, len(large)), []))
        assert not found.conclusive


def test_a_log_that_grew_is_no_split_view() -> None:
    leaves = some(9)
    for notes, sizes in (
        ((note(leaves), note(leaves)), (9, 9)),
        ((note(leaves[:6]), note(leaves)), (6, 9)),
    ):
        proof = build.split_view(World().facts, KEY, notes, sizes, leaves)
        with pytest.raises(VerificationError, match=r"same root|are consistent"):
            build.finish(proof)


def test_a_smaller_log_later_is_a_rollback() -> None:
    leaves = some(9)
    notes = (note(leaves, NOW + 100), note(leaves[:6], NOW + 101))
    found = shown(build.rollback(World().facts, KEY, notes))
    assert found.conclusive
    assert "3 messages short" in found.proven[-1]
    # An older checkpoint that is shown again contradicts nothing by itself.
    for first, second in ((100, 100), (101, 100)):
        notes = (note(leaves, NOW + first), note(leaves[:6], NOW + second))
        found = shown(build.rollback(World().facts, KEY, notes))
        assert not found.conclusive
    notes = (note(leaves), note(leaves))
    with pytest.raises(VerificationError, match="one size"):
        build.finish(build.rollback(World().facts, KEY, notes))


def test_a_log_without_the_predecessor_of_what_it_holds_is_a_gap() -> None:
    world = World()
    first = world.message()
    second = world.message(2, parse_message(first).digest)
    third = world.message(3, parse_message(second).digest)
    leaves = [*some(4), *digests(second)]
    found = shown(build.gap(world.facts, KEY, note(leaves), leaves, [item(second)]))
    assert found.claimed == ("That no tombstone of its publisher stands for the missing message.",)
    # The digest of a message whose body is gone is what the next one names.
    pair = [item(second, with_body=False), item(third, with_body=False)]
    found = shown(build.gap(world.facts, KEY, note(leaves), leaves, pair))
    assert "does hold the one that follows" in found.proven[-1]
    # Alone it is a message that names another: the hub may never have been given it.
    found = shown(build.gap(world.facts, KEY, note(leaves), leaves, pair[:1]))
    assert found.claimed == ("That the hub had been given the missing message.",)
    whole = [*some(4), *digests(first, second)]
    with pytest.raises(VerificationError, match="does hold the message before it"):
        build.finish(build.gap(world.facts, KEY, note(whole), whole, [item(second)]))


def test_a_list_that_is_not_the_whole_log_proves_no_gap() -> None:
    world = World()
    second = world.message(2, "11" * 32)
    leaves = [*some(4), *digests(second)]
    for listed in (leaves[:-1], [*leaves, *some(1)], leaves[::-1]):
        with pytest.raises(VerificationError, match=r"digests, but|do not lead"):
            build.finish(build.gap(world.facts, KEY, note(leaves), listed, [item(second)]))


def test_what_was_withheld_is_named_and_not_delivering_it_is_a_claim() -> None:
    leaves = some(11)
    found = shown(build.withheld_leaves(World().facts, KEY, note(leaves), leaves, [2, 10]))
    assert not found.conclusive
    assert all(leaves[index].hex()[:16] in found.proven[1] for index in (2, 10))
    assert "did not deliver" in found.claimed[0]
    found = shown(build.withheld_leaves(World().facts, KEY, note(leaves), leaves, []))
    assert found.claimed == ("That the hub did not show the entries of its log.",)


def test_a_citation_of_a_larger_log_is_one_members_word_unless_the_smaller_is_later() -> None:
    world = World()
    cited = item(world.message(cp=note(some(9), NOW + 100)))
    found = shown(build.withheld_cited(world.facts, KEY, note(some(6), NOW + 90), cited))
    assert not found.conclusive
    found = shown(build.withheld_cited(world.facts, KEY, note(some(6), NOW + 101), cited))
    assert found.conclusive
    with pytest.raises(VerificationError, match="no larger log"):
        build.finish(build.withheld_cited(world.facts, KEY, note(some(9)), cited))


def test_a_promise_and_a_predecessor_accuse_a_server_without_a_key() -> None:
    world = World(log=False)
    found = shown(build.withheld_before(world.facts, item(world.message())))
    assert (found.accused.party, found.conclusive) == (Party.SERVER, False)
    assert "promised" in found.proven[0]
    second = item(world.message(2, "11" * 32, t=MessageType.TOMBSTONE, body=b"x"))
    found = shown(build.withheld_before(world.facts, second))
    assert "follows message 1111111111111111" in found.proven[0]
    early = dataclasses.replace(world.facts, now=NOW + 70)
    with pytest.raises(VerificationError, match="not due"):
        build.finish(build.withheld_before(early, item(world.message())))


def test_an_unlisted_message_is_the_makers_word() -> None:
    world = World()
    raw, leaves = world.message(), some(4)
    found = shown(build.unlisted(world.facts, KEY, note(leaves), leaves, item(raw)))
    assert not found.conclusive
    listed = [*leaves, *digests(raw)]
    with pytest.raises(VerificationError, match="does hold it"):
        build.finish(build.unlisted(world.facts, KEY, note(listed), listed, item(raw)))


def test_a_forged_manifest_in_the_log_is_proven() -> None:
    world = World()
    ghost = sign_manifest(world.next(), [EVE.root])
    leaves = [*some(3), *digests(ghost)]
    logged = (KEY, note(leaves), leaves, 3)
    found = shown(build.forged(world.facts, ghost, logged=logged))
    assert found.conclusive
    assert "is forged" in found.proven[1]
    found = shown(build.forged(world.facts, ghost))
    assert (found.accused.party, found.conclusive) == (Party.SERVER, False)


def test_forged_messages_are_told_from_good_and_from_unknown_ones() -> None:
    world = World()
    good = world.message()
    flipped = bytes([*good[:-1], good[-1] ^ 1])
    assert not shown(build.forged(world.facts, flipped, PROVIDER.card)).conclusive
    assert not shown(build.forged(world.facts, b"nothing")).conclusive
    owned = sign_manifest(world.next(), [LAB.root])
    for raw in (good, world.message(person=EVE), owned):
        with pytest.raises(VerificationError, match="says that it is forged"):
            build.finish(build.forged(world.facts, raw, PROVIDER.card))


def test_an_old_checkpoint_is_a_claim() -> None:
    found = shown(build.stale_checkpoint(World().facts, KEY, note(some(3))))
    assert (found.conclusive, found.claimed) == (
        False,
        ("That it was the newest the hub showed 900 s later.",),
    )


def test_a_key_that_no_manifest_pins_proves_nothing() -> None:
    other = NotePrivate(seed("other log", 32))
    leaves = some(9)
    notes = (note(leaves, NOW + 100), note(leaves[:6], NOW + 101, key=other))
    with pytest.raises(VerificationError, match=r"signature|key"):
        build.finish(build.rollback(World().facts, KEY, notes))
    with pytest.raises(InputError, match="pins this log key"):
        build.rollback(World(log=False).facts, KEY, notes)


def test_a_log_that_is_pinned_later_needs_the_manifests_up_to_then() -> None:
    world = World(log=False)
    pinned = dataclasses.replace(world.next(), log=World().chain[0].log)
    world.follow(pinned)
    world.follow()
    notes = (note(some(9), NOW + 100), note(some(6), NOW + 101))
    proof = build.rollback(world.facts, KEY, notes)
    assert len(proof.manifests) == 2
    assert shown(proof).conclusive


# -- members and owners --------------------------------------------------------------------------


def test_two_messages_of_one_position_are_a_fork() -> None:
    world = World(log=False)
    first, second = world.message(ts=NOW + 10), world.message(ts=NOW + 11)
    found = shown(build.message_fork(world.facts, item(first, with_body=False), item(second)))
    assert found.conclusive
    assert (found.accused.party, found.accused.id) == (Party.ROOT, PROVIDER.card.root_id)
    # Signing is randomised: the same content twice is no fork.
    same = world.message(ts=NOW + 10)
    assert same != first
    with pytest.raises(VerificationError, match="same message twice"):
        build.finish(build.message_fork(world.facts, item(first), item(same)))


def test_a_message_that_follows_another_predecessor_is_a_fork() -> None:
    world = World(log=False)
    first = world.message()
    wrong = world.message(2, "11" * 32)
    right = world.message(2, parse_message(first).digest)
    assert shown(build.message_fork(world.facts, item(first), item(wrong))).conclusive
    with pytest.raises(VerificationError, match="does follow"):
        build.finish(build.message_fork(world.facts, item(first), item(right)))
    bare = item(first, with_body=False)
    with pytest.raises(VerificationError, match="the older one whole"):
        build.finish(build.message_fork(world.facts, bare, item(wrong)))


def test_two_keys_make_no_fork() -> None:
    world = World(log=False)
    pair = item(world.message()), item(world.message(person=LAB))
    with pytest.raises(VerificationError, match="two keys"):
        build.finish(build.message_fork(world.facts, *pair))


def test_two_epoch_messages_of_one_number() -> None:
    world = World(log=False)

    def epoch(person: Person = LAB, ts: int = NOW, ep: int = 2) -> bytes:
        return world.message(person=person, t=MessageType.EPOCH, ep=ep, ts=ts, body=b"e")

    found = shown(build.epoch_fork(world.facts, item(epoch()), item(epoch(ts=NOW + 1))))
    assert (found.accused.id, found.conclusive) == (LAB.card.root_id, True)
    for other in (epoch(PROVIDER), epoch(ep=3), epoch()):
        with pytest.raises(VerificationError, match=r"of an owner|epoch numbers|twice"):
            build.finish(build.epoch_fork(world.facts, item(epoch()), item(other)))


def test_two_manifests_of_one_version() -> None:
    world = World(log=False)
    rival = sign_manifest(world.next(after=2), [LAB.root])
    world.follow()
    found = shown(build.manifest_fork(world.facts, rival, [LAB.root.public.id]))
    assert (found.accused.id, found.conclusive) == (LAB.root.public.id, True)
    with pytest.raises(VerificationError, match="same manifest"):
        build.finish(build.manifest_fork(world.facts, world.raw[1], [LAB.root.public.id]))
    stranger = sign_manifest(world.chain[1], [EVE.root])
    with pytest.raises(VerificationError):
        build.finish(build.manifest_fork(world.facts, stranger, []))


def test_two_cards_of_one_number() -> None:
    world = World(log=False)
    raw = parse_card(
        issue_card(
            PROVIDER.root,
            PROVIDER.id,
            EVE.signing,
            EVE.kem.public,
            number=1,
            prev=None,
            not_before=NOW - DAY,
            not_after=NOW + DAY,
        )
    )
    found = shown(build.card_fork(world.facts, PROVIDER.card, raw))
    assert (found.accused.id, found.conclusive) == (PROVIDER.card.root_id, True)
    with pytest.raises(VerificationError, match="same card"):
        build.finish(build.card_fork(world.facts, raw, raw))
    with pytest.raises(VerificationError, match="this member and root"):
        build.finish(build.card_fork(world.facts, EVE.card, EVE.card))


def test_a_message_after_the_final_one() -> None:
    world = World(log=False)
    early, late = world.message(5, "11" * 32), world.message(5, "11" * 32, ts=NOW + 5_000)
    final = dataclasses.replace(
        world.next(),
        members=tuple(row for row in world.chain[0].members if row.member == LAB.id),
        removed=(Removed(PROVIDER.pub, 4, "22" * 32),),
    )
    world.follow(final)
    found = shown(build.after_final(world.facts, item(world.message(5, "11" * 32))))
    assert found.conclusive
    found = shown(build.after_final(world.facts, item(early)))
    assert (len(found.proven), found.conclusive) == (2, False)
    # Owners date a manifest, and decide where a key ends: a late message alone convicts nobody.
    found = shown(build.after_final(world.facts, item(late)))
    assert (len(found.proven), found.conclusive) == (3, False)
    with pytest.raises(VerificationError, match="not beyond"):
        build.finish(
            build.after_final(world.facts, item(world.message(4, "33" * 32), with_body=False))
        )


# -- hostile files -------------------------------------------------------------------------------


def _rollback() -> bytes:
    leaves = some(9)
    notes = (note(leaves, NOW + 100), note(leaves[:6], NOW + 101))
    return build.rollback(World().facts, KEY, notes).to_bytes()


def _changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    value = json.loads(_rollback())
    change(value)
    return canonical(value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v.update(channel="11" * 32), "another channel"),
        (lambda v: v["accused"].update(id=KEY + "x"), "another party"),
        (lambda v: v["accused"].update(party="server", id=None), "another party"),
        (lambda v: v.update(made=NOW + 10_000), "future"),
        (lambda v: v.update(v=2), "version of proof files"),
        (lambda v: v.update(kind="gap"), "one checkpoint"),
        (lambda v: v.update(manifests=[]), "genesis"),
        (lambda v: v.update(extra=1), "unknown"),
        (lambda v: v.update(statement="\x1b[2J"), "printable"),
        (lambda v: v["checkpoints"].reverse() or v["checkpoints"].pop(), "two checkpoints"),
        (lambda v: v.update(leaves="AAAA"), "whole digests"),
        (lambda v: v.update(cards=["AA=="] * 9), "at most 8"),
        (lambda v: v["manifests"].append(v["manifests"][0]), "does not follow"),
    ],
)
def test_changed_files_are_refused(change: Callable[[dict[str, Any]], object], said: str) -> None:
    with pytest.raises((InputError, VerificationError), match=said):
        verify(_changed(change), NOW + 2_000)


def test_a_file_beyond_the_bound_is_refused_unread() -> None:
    with pytest.raises(InputError, match="exceed"):
        verify(b" " * (MAX_PROOF + 1))


_GOOD = _rollback()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, len(_GOOD) * 8 - 1), st.integers(0, len(_GOOD) - 1))
def test_no_flip_and_no_truncation_still_proves(bit: int, cut: int) -> None:
    flipped = bytearray(_GOOD)
    flipped[bit // 8] ^= 1 << bit % 8
    # What a file's maker says in its own name is not signed.
    words = json.loads(_GOOD)
    for data in (bytes(flipped), _GOOD[:cut]):
        try:
            found = verify(data, NOW + 2_000)
        except (InputError, VerificationError):
            continue
        kept = json.loads(data)
        assert {**kept, "statement": "", "made": 0} == {**words, "statement": "", "made": 0}
        assert found.conclusive
