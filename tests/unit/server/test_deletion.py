"""Deleting messages of a channel: what a tombstone names, by whom it is, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.channel.card import card_message, issue_card, parse_card
from hub.channel.carriage import to_artifact
from hub.channel.epoch import new_epoch
from hub.channel.header import parse_message
from hub.channel.manifest import Member, next_version, sign_manifest
from hub.channel.notices import Deleted
from hub.channel.primitives.kem import KemPrivate
from hub.channel.primitives.sign import SigningPrivate
from hub.channel.seal import seal_heartbeat, seal_tombstone
from hub.settings import HubSettings
from tests.unit.server.harness import Answer
from tests.unit.server.test_admission import DAY, PUBLISH, Channel, Town, fates, objects


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with Town(tmp_path, HubSettings(public_url="https://hub.example")) as made:
        made.build()
        yield made


def opened(town: Town) -> Channel:
    """A channel of the lab and the provider, each with its account."""
    channel = town.open()
    town.send(*channel.messages, *town.admit(channel))
    assert town.bind(town.provider, "provider").status == 200
    return channel


def named(raw: bytes) -> Deleted:
    message = parse_message(raw)
    assert message.header.pub is not None
    assert message.header.seq is not None
    return Deleted(message.header.pub, message.header.seq, message.digest)


def buried(town: Town, channel: Channel, *raws: bytes) -> bytes:
    """A tombstone of the lab, accepted by it."""
    now = int(time.time())
    rows = [named(raw) for raw in raws]
    raw = seal_tombstone(channel.trusted, town.lab.signing, rows, reason="retracted", now=now)
    channel.trusted.accept(raw, now=now)
    return raw


def delete(town: Town, raw: bytes, who: str = "owner") -> Answer:
    return town.ask("DELETE", f"{objects(town.collection)}{to_artifact(raw)['id']}/", who=who)


def size(town: Town) -> int:
    return town.store.log_size(town.collection)


def test_a_message_goes_once_its_tombstone_is_accepted(town: Town) -> None:
    channel = opened(town)
    data, kept = town.sealed(channel), town.sealed(channel)
    assert fates(town.send(data, kept)) == (2, [])
    early = delete(town, data)
    assert early.status == 403
    assert "tombstone" in early.json["description"]
    assert fates(town.send(buried(town, channel, data))) == (1, [])
    assert delete(town, data, who="outsider").status == 404
    other = delete(town, data, who="provider")
    assert other.status == 403
    assert "not bound to the member" in other.json["description"]
    before = size(town)
    assert delete(town, data).status == 200
    assert delete(town, data).status == 404
    assert delete(town, kept).status == 403
    assert size(town) == before
    assert town.store.verify_log(town.collection) == before
    names = {row.event for row in town.store.audit_rows()}
    assert "object.delete" in names


def test_what_was_deleted_does_not_come_back(town: Town) -> None:
    channel = opened(town)
    data = town.sealed(channel)
    town.send(data)
    town.send(buried(town, channel, data))
    # The outbox may still repeat it: as long as it is there, it is the same message.
    assert fates(town.send(data)) == (1, [])
    assert delete(town, data).status == 200
    before = size(town)
    assert fates(town.send(data)) == (0, ["its sender deleted the message"])
    town.restart()
    assert fates(town.send(data))[0] == 0
    assert size(town) == before


def test_what_the_channel_stands_on_stays(town: Town) -> None:
    channel = opened(town)
    genesis, card, epoch = channel.messages
    tombstone = buried(town, channel, epoch)
    assert fates(town.send(tombstone)) == (1, [])
    for raw in (genesis, card, epoch, tombstone):
        answer = delete(town, raw)
        assert answer.status == 403
        assert "only data and heartbeats" in answer.json["description"]


def test_a_restarted_hub_bridges_what_is_gone(town: Town) -> None:
    channel = opened(town)
    first, second = town.sealed(channel), town.sealed(channel)
    beat = seal_heartbeat(channel.trusted, town.lab.signing, now=int(time.time()))
    channel.trusted.accept(beat, now=int(time.time()))
    third = town.sealed(channel)
    town.send(first, second, beat, third)
    town.send(buried(town, channel, first, beat))
    assert delete(town, first).status == 200
    assert delete(town, beat).status == 200
    town.restart()
    following = town.sealed(channel)
    assert fates(town.send(following)) == (1, [])
    assert fates(town.send(first))[0] == 0
    town.send(buried(town, channel, third))
    assert delete(town, third).status == 200


def renew(town: Town, channel: Channel) -> list[bytes]:
    """The lab takes its second card: card, manifest and epoch."""
    now = int(time.time())
    lab, old = town.lab, parse_card(town.lab.card)
    signing = SigningPrivate.generate()
    lab.card = issue_card(
        lab.root,
        lab.member,
        signing,
        KemPrivate.generate().public,
        number=2,
        prev=old.hash,
        not_before=now - DAY,
        not_after=now + 90 * DAY,
    )
    card = card_message(channel.trusted.channel, lab.card)
    channel.trusted.accept(card, now=now)
    row = Member(lab.member, lab.root.public.id, parse_card(lab.card).hash, PUBLISH)
    manifest = next_version(
        channel.manifest,
        created=now,
        expires=now + 90 * DAY,
        members=[row, town.provider.row],
        removed=[channel.trusted.final_of(lab.member)],
    )
    raw = sign_manifest(manifest, [lab.root])
    channel.trusted.accept(raw, now=now)
    lab.signing, channel.manifest = signing, manifest
    epoch, channel.secrets = new_epoch(channel.trusted, signing, now=now)
    channel.trusted.accept(epoch, now=now)
    return [card, raw, epoch]


def test_a_tombstone_under_a_later_card_is_found_too(town: Town) -> None:
    """On the way to it, what follows the gap must wait."""
    channel = opened(town)
    first, second = town.sealed(channel), town.sealed(channel)
    assert fates(town.send(first, second)) == (2, [])
    assert fates(town.send(*renew(town, channel))) == (3, [])
    assert fates(town.send(buried(town, channel, first))) == (1, [])
    assert delete(town, first).status == 200
    town.restart()
    assert fates(town.send(town.sealed(channel))) == (1, [])
    # The old chain was read to its end: nothing may be added behind it.
    assert fates(town.send(second)) == (1, [])
    assert fates(town.send(first))[0] == 0
