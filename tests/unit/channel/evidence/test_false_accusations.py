"""Files that accuse the innocent: each is refused, or says that it is its maker's word."""

from __future__ import annotations

import dataclasses

import pytest

from hub.channel.card import Card, issue_card, parse_card
from hub.channel.evidence import build
from hub.channel.evidence.proof import Accused, Inclusion, Kind, Party, Prefix, Proof
from hub.channel.evidence.verify import verify
from hub.channel.header import parse_message
from hub.channel.log.checkpoint import Checkpoint, log_key, sign_checkpoint
from hub.channel.log.tree import leaf_hash, root_of
from hub.channel.manifest import DAY, Log, Removed, genesis, next_version, sign_manifest
from hub.channel.primitives.sign import NotePrivate
from hub.errors import InputError, VerificationError
from tests.unit.channel.cast import NOW, PUBLISHER, Person, seed
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


def refused(proof: Proof, said: str) -> None:
    with pytest.raises((InputError, VerificationError), match=said):
        verify(proof.to_bytes(), NOW + 2_000)


def second_card(of: Person) -> tuple[Person, Card]:
    """A member's next card, which no manifest names."""
    after = of.renewed()
    return after, after.card


def test_a_made_up_beginning_is_no_split_view() -> None:
    leaves, facts = some(9), World().facts
    proof = build.split_view(facts, KEY, (note(leaves[:5]), note(leaves)), (5, 9), leaves)
    assert proof.prefix is not None
    for prefix in (
        Prefix(seed("another root", 32), proof.prefix.path),
        Prefix(seed("another root", 32), ()),
        Prefix(proof.prefix.root, proof.prefix.path[:-1]),
    ):
        refused(dataclasses.replace(proof, prefix=prefix), "consistency proof")


def test_a_message_that_the_log_lacks_too_makes_no_gap() -> None:
    world = World()
    second, leaves = world.message(2, "11" * 32), some(4)
    proof = build.gap(world.facts, KEY, note(leaves), leaves, [item(second)])
    assert not verify(proof.to_bytes()).conclusive


def test_an_entry_that_the_log_does_not_hold_is_not_withheld() -> None:
    leaves = some(9)
    proof = build.withheld_leaves(World().facts, KEY, note(leaves), leaves, [3])
    (held,) = proof.inclusions
    for other in (
        Inclusion(4, held.digest, held.path),
        Inclusion(3, "11" * 32, held.path),
        Inclusion(3, held.digest, held.path[:-1]),
        Inclusion(9, held.digest, held.path),
    ):
        refused(dataclasses.replace(proof, inclusions=(other,)), "inclusion proof")


def test_forged_bytes_that_the_log_does_not_hold_convict_nobody() -> None:
    world = World()
    ghost = sign_manifest(world.next(), [EVE.root])
    leaves = some(4)
    proof = build.forged(world.facts, ghost, logged=(KEY, note(leaves), leaves, 2))
    refused(proof, "nothing shows that the log holds it")


def test_a_log_with_the_other_branch_of_an_owners_fork_is_not_forged() -> None:
    world, public = World(), World()
    handed = dataclasses.replace(public.next(after=5), owners=(PROVIDER.root.public.id,))
    second = sign_manifest(handed, [LAB.root, PROVIDER.root])
    third = next_version(handed, created=handed.created + 1, expires=handed.expires)
    logged = sign_manifest(third, [PROVIDER.root])
    world.follow(world.next(after=2))
    leaves = [*some(2), *digests(second, logged)]
    proof = build.forged(world.facts, logged, logged=(KEY, note(leaves), leaves, 3))
    refused(proof, "nothing in the file says that it is forged")


def test_a_log_of_another_channel_that_a_manifest_names_convicts_nobody() -> None:
    theirs, mine = World(), World()
    first = genesis(
        owners=[EVE.root.public.id],
        members=[EVE.row(PUBLISHER)],
        created=NOW,
        expires=NOW + 90 * DAY,
        nonce=seed("mine", 16),
    )
    first = dataclasses.replace(first, log=theirs.chain[0].log)
    mine.chain, mine.raw = [first], [sign_manifest(first, [EVE.root])]
    good = theirs.message()
    leaves = [*some(2), *digests(good)]
    proof = build.forged(mine.facts, good, logged=(KEY, note(leaves), leaves, 2))
    found = verify(proof.to_bytes())
    assert found.claimed == ("That this log is the channel's own.",)


def test_checkpoints_of_two_logs_do_not_contradict_each_other() -> None:
    world = World()
    private, origin = NotePrivate(seed("next log", 32)), "hub.example/stillwatch/c1/ffff"
    other = Log(origin, log_key(origin, private).text)
    world.follow(dataclasses.replace(world.next(), log=other))
    leaves = some(6)
    root = root_of(map(leaf_hash, leaves))
    restored = sign_checkpoint(Checkpoint(origin, 6, root, NOW + 200), private)
    proof = build.rollback(world.facts, KEY, (note(some(9)), restored))
    whole = dataclasses.replace(proof, manifests=tuple(world.raw))
    refused(whole, "two logs")
    cited = item(world.message(cp=restored))
    proof = build.withheld_cited(world.facts, KEY, note(some(3)), cited)
    refused(dataclasses.replace(proof, manifests=tuple(world.raw)), "two logs")


def test_a_signature_must_be_its_signers_own() -> None:
    world = World(log=False)
    first, second = item(world.message()), item(world.message(ts=NOW + 11))
    forged = dataclasses.replace(second, signature=first.signature)
    refused(build.message_fork(world.facts, first, forged), "signature is not valid")
    header = dataclasses.replace(second, header=first.header, body_hash="11" * 32, body=None)
    refused(build.message_fork(world.facts, first, header), "signature is not valid")


def test_a_message_of_another_channel_accuses_nobody_here() -> None:
    world, other = World(log=False), World()
    proof = build.message_fork(world.facts, item(world.message()), item(other.message()))
    refused(proof, "addressed to another channel")


def test_a_card_that_no_manifest_names_speaks_for_nobody() -> None:
    world = World(log=False)
    after, card = second_card(PROVIDER)
    world.cards.append(card)
    pair = [item(world.message(person=after, ts=NOW + each)) for each in (1, 2)]
    refused(build.message_fork(world.facts, pair[0], pair[1]), "lists its signer's card")


def test_a_card_of_a_stranger_or_a_borrowed_member_id_is_refused() -> None:
    world = World(log=False)
    raw = issue_card(
        EVE.root,
        PROVIDER.id,
        EVE.signing,
        EVE.kem.public,
        number=1,
        prev=None,
        not_before=NOW,
        not_after=NOW + DAY,
    )
    accused = Accused(Party.ROOT, EVE.card.root_id)
    proof = Proof(
        Kind.CARD_FORK, world.channel, accused, "x", NOW, tuple(world.raw), cards=(raw, raw)
    )
    refused(proof, "no manifest of the file has this member and root")
    assert parse_card(raw).member == PROVIDER.id


def test_a_rival_must_follow_the_same_manifest_and_carry_its_signatures() -> None:
    world = World(log=False)
    twin = World(log=False)
    twin.follow(twin.next(after=5))
    elsewhere = sign_manifest(twin.next(), [LAB.root])
    unsigned = sign_manifest(world.next(after=7), [EVE.root])
    world.follow()
    world.follow()
    owner = [LAB.root.public.id]
    refused(build.manifest_fork(world.facts, elsewhere, owner), "follow the same manifest")
    refused(build.manifest_fork(world.facts, unsigned, owner), "owners signed it")
    first = dataclasses.replace(build.manifest_fork(world.facts, unsigned, owner), rival=None)
    refused(first, "second manifest is missing")


def test_a_body_must_be_the_one_that_was_signed() -> None:
    world = World(log=False)
    first, second = item(world.message()), item(world.message(2, "11" * 32))
    swapped = dataclasses.replace(first, body=b"another body")
    with pytest.raises(InputError, match="not the hash of the body"):
        build.message_fork(world.facts, swapped, second).to_bytes()


def test_a_chain_of_manifests_that_forgets_a_removal_is_none() -> None:
    world = World(log=False)
    removal = dataclasses.replace(
        world.next(),
        members=tuple(row for row in world.chain[0].members if row.member == LAB.id),
        removed=(Removed(PROVIDER.pub, 1, "22" * 32),),
    )
    world.follow(removal)
    world.follow(dataclasses.replace(world.next(), removed=()))
    pair = [item(world.message(ts=NOW + each, person=LAB)) for each in (1, 2)]
    proof = build.message_fork(world.facts, pair[0], pair[1])
    refused(dataclasses.replace(proof, manifests=tuple(world.raw)), "drops or changes")


def test_the_genesis_of_another_channel_serves_nobody() -> None:
    world = World(log=False)
    other = genesis(
        owners=[EVE.root.public.id],
        members=[EVE.row(PUBLISHER)],
        created=NOW,
        expires=NOW + DAY,
    )
    later = next_version(other, created=NOW + 1, expires=NOW + DAY)
    pair = [item(world.message(ts=NOW + each)) for each in (1, 2)]
    proof = build.message_fork(world.facts, pair[0], pair[1])
    for chain, said in (
        ((sign_manifest(other, [EVE.root]),), "belongs to another channel"),
        ((world.raw[0], sign_manifest(later, [EVE.root])), "belongs to another channel"),
        ((), "genesis manifest is missing"),
    ):
        refused(dataclasses.replace(proof, manifests=chain), said)


def test_a_digest_without_a_body_needs_the_next_message_of_the_same_key() -> None:
    world = World()
    first = world.message()
    second = world.message(2, parse_message(first).digest)
    lab = world.message(3, parse_message(second).digest, person=LAB)
    leaves = [*some(4), *digests(second)]
    pair = [item(second, with_body=False), item(lab, with_body=False)]
    proof = build.gap(world.facts, KEY, note(leaves), leaves, pair)
    assert not verify(proof.to_bytes()).conclusive
