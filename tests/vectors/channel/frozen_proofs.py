"""One proof file of each kind, and some that prove nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

from hub.channel.card import issue_card, parse_card
from hub.channel.evidence import build
from hub.channel.evidence.proof import Proof
from hub.channel.header import MessageType, parse_message
from hub.channel.manifest import DAY, Removed, sign_manifest
from hub.model.codec import canonical, loads
from tests.unit.channel.cast import NOW, Person
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

Made = tuple[str, bytes]


def _made(proof: Proof, expect: str) -> Made:
    return expect, proof.to_bytes()


def _split_view() -> Made:
    notes = (note(some(5)), note(some(5, "other")))
    return _made(
        build.split_view(World().facts, KEY, notes, (5, 5), []), "accept: split-view log proven"
    )


def _split_view_by_prefix() -> Made:
    large = [*some(4, "other"), *some(7)]
    notes = (note(some(6)), note(large))
    proof = build.split_view(World().facts, KEY, notes, (6, 11), large)
    return _made(proof, "accept: split-view log proven")


def _rollback() -> Made:
    leaves = some(9)
    notes = (note(leaves, NOW + 100), note(leaves[:6], NOW + 101))
    return _made(build.rollback(World().facts, KEY, notes), "accept: rollback log proven")


def _gap() -> Made:
    world = World()
    second = world.message(2, parse_message(world.message()).digest)
    leaves = [*some(4), *digests(second)]
    proof = build.gap(world.facts, KEY, note(leaves), leaves, [item(second)])
    return _made(proof, "accept: gap log claimed")


def _withheld() -> Made:
    leaves = some(11)
    proof = build.withheld_leaves(World().facts, KEY, note(leaves), leaves, [2, 10])
    return _made(proof, "accept: withheld log claimed")


def _unlisted() -> Made:
    world = World()
    proof = build.unlisted(world.facts, KEY, note(some(4)), some(4), item(world.message()))
    return _made(proof, "accept: unlisted log claimed")


def _forged() -> Made:
    world = World()
    ghost = sign_manifest(world.next(), [EVE.root])
    leaves = [*some(3), *digests(ghost)]
    proof = build.forged(world.facts, ghost, logged=(KEY, note(leaves), leaves, 3))
    return _made(proof, "accept: forged log proven")


def _stale() -> Made:
    proof = build.stale_checkpoint(World().facts, KEY, note(some(3)))
    return _made(proof, "accept: stale-checkpoint log claimed")


def _message_fork() -> Made:
    world = World(log=False)
    pair = (item(world.message(ts=NOW + 10)), item(world.message(ts=NOW + 11)))
    return _made(build.message_fork(world.facts, *pair), "accept: message-fork root proven")


def _epoch_fork() -> Made:
    world = World(log=False)
    pair = [
        item(world.message(person=LAB, t=MessageType.EPOCH, ep=2, ts=NOW + at, body=b"e"))
        for at in range(2)
    ]
    return _made(build.epoch_fork(world.facts, *pair), "accept: epoch-fork root proven")


def _manifest_fork() -> Made:
    world = World(log=False)
    rival = sign_manifest(world.next(after=2), [LAB.root])
    world.follow()
    proof = build.manifest_fork(world.facts, rival, [LAB.root.public.id])
    return _made(proof, "accept: manifest-fork root proven")


def _card_fork() -> Made:
    other = issue_card(
        PROVIDER.root,
        PROVIDER.id,
        EVE.signing,
        EVE.kem.public,
        number=1,
        prev=None,
        not_before=NOW - DAY,
        not_after=NOW + DAY,
    )
    proof = build.card_fork(World(log=False).facts, PROVIDER.card, parse_card(other))
    return _made(proof, "accept: card-fork root proven")


def _after_final() -> Made:
    world = World(log=False)
    late = world.message(5, "11" * 32, ts=NOW + 5_000)
    rows = tuple(row for row in world.chain[0].members if row.member == LAB.id)
    gone = (Removed(PROVIDER.pub, 4, "22" * 32),)
    world.follow(dataclasses.replace(world.next(), members=rows, removed=gone))
    return _made(build.after_final(world.facts, item(late)), "accept: after-final root claimed")


def _another_channel() -> Made:
    value = loads(_rollback()[1], max_bytes=2**25) | {"channel": "11" * 32}
    return "refused: belongs to another channel", canonical(value)


def _another_party() -> Made:
    value = loads(_rollback()[1], max_bytes=2**25)
    value["accused"] = {"party": "root", "id": Person("ghost").root.public.id}
    return "refused: accuses another party than its signatures do", canonical(value)


def _no_contradiction() -> Made:
    leaves = some(9)
    notes = (note(leaves[:6]), note(leaves))
    proof = build.split_view(World().facts, KEY, notes, (6, 9), leaves)
    return _made(proof, "refused: are consistent")


PROOFS: Final[dict[str, Callable[[], Made]]] = {
    "split-view": _split_view,
    "split-view-by-prefix": _split_view_by_prefix,
    "rollback": _rollback,
    "gap": _gap,
    "withheld": _withheld,
    "unlisted": _unlisted,
    "forged": _forged,
    "stale-checkpoint": _stale,
    "message-fork": _message_fork,
    "epoch-fork": _epoch_fork,
    "manifest-fork": _manifest_fork,
    "card-fork": _card_fork,
    "after-final": _after_final,
    "refused-another-channel": _another_channel,
    "refused-another-party": _another_party,
    "refused-no-contradiction": _no_contradiction,
}
