"""TrustedChannel: time, order, renewal, gaps, durable state, fitness to publish."""

from __future__ import annotations

import random

import pytest

from hub.channel.card import card_message, issue_card
from hub.channel.epoch import EpochSecrets, new_epoch, unwrap, unwrap_history
from hub.channel.header import Header, parse_message, signed_message
from hub.channel.manifest import (
    DAY,
    Policy,
    Role,
    next_version,
    sign_manifest,
)
from hub.channel.notices import Deleted
from hub.channel.open import open_data, open_keys
from hub.channel.renewal import due
from hub.channel.seal import FingerprintSecret, seal_heartbeat, seal_keys, seal_tombstone
from hub.channel.verify import NotYetError, RefusedError, TrustedChannel
from hub.errors import InputError, VerificationError
from tests.unit.channel.arrival import accept_many
from tests.unit.channel.cast import (
    NOW,
    PUBLISHER,
    READER,
    Person,
    Scene,
    indicator,
    opening_scene,
)

KEY = FingerprintSecret(f"{opening_scene()[0].trusted.channel[:16]}.2027q1", b"k" * 32, NOW)


def test_every_message_type_is_accepted_and_opened() -> None:
    scene, lab, provider, _ = opening_scene()
    keys = scene.post(seal_keys(scene.trusted, scene.current, lab.signing, [KEY], now=NOW))
    data = scene.publish(lab, [indicator(lab)])
    scene.post(seal_heartbeat(scene.trusted, lab.signing, now=NOW))
    assert data.message.header.seq == 4
    gone = Deleted(lab.pub, 4, data.message.digest)
    scene.post(seal_tombstone(scene.trusted, lab.signing, [gone], reason="expired", now=NOW))
    reader = scene.reader()
    secrets = unwrap(reader, scene.epochs[-1], provider.kem)
    assert open_keys(reader, reader.accept(keys.message.raw, now=NOW), secrets) == [KEY]
    opened = open_data(reader, reader.accept(data.message.raw, now=NOW), secrets)
    assert opened.objects == [indicator(lab)]
    assert opened.member == lab.id
    assert reader.last(lab.pub) == scene.trusted.last(lab.pub)
    assert reader.alarms == ()


def test_only_owners_send_keys() -> None:
    scene, _, provider, _ = opening_scene()
    raw = seal_keys(scene.trusted, scene.current, provider.signing, [KEY], now=NOW)
    with pytest.raises(VerificationError, match="only owners send fingerprint keys"):
        scene.post(raw)


def test_a_reader_without_a_writing_role_says_nothing() -> None:
    scene, _, _, liaison = opening_scene()
    with pytest.raises(VerificationError, match="no role to publish or report"):
        scene.post(seal_heartbeat(scene.trusted, liaison.signing, now=NOW))


def test_state_survives_storage() -> None:
    scene, lab, _, _ = opening_scene()
    scene.publish(lab, [indicator(lab)])
    twin = scene.seal(lab, [indicator(lab)], seq=3, prev="0" * 64)
    with pytest.raises(VerificationError):
        scene.post(twin)
    stored = scene.trusted.state()
    restored = TrustedChannel.restore(stored)
    assert restored.state() == stored
    assert restored.alarms == scene.trusted.alarms
    raw = scene.seal(lab, [indicator(lab, "192.0.2.2")])
    assert restored.accept(raw, now=NOW).message.digest == scene.post(raw).message.digest


@pytest.mark.parametrize("bad", [b"{}", b'{"state":1}', b"[]", b'{"state":2}'])
def test_a_damaged_state_is_refused(bad: bytes) -> None:
    with pytest.raises(InputError, match=r"state|top"):
        TrustedChannel.restore(bad)


def test_a_shuffled_batch_ends_in_the_same_state() -> None:
    scene, lab, _, _ = opening_scene()
    other = Person("other lab")
    scene.admit((other, PUBLISHER))
    for number in range(6):
        scene.now += DAY
        scene.publish(lab if number % 2 else other, [indicator(lab if number % 2 else other)])
    scene.remove(other)
    scene.now += 3 * DAY
    scene.publish(lab, [indicator(lab, "198.51.100.1")])
    shuffled = scene.wire[1:]
    random.Random(4).shuffle(shuffled)
    reader = TrustedChannel.from_genesis(scene.wire[0], owner_roots=None, now=scene.now)
    batch = accept_many(reader, shuffled, now=scene.now)
    assert [str(error) for _, error in (*batch.waiting, *batch.refused)] == []
    assert len(batch.accepted) == len(shuffled)
    assert reader.manifest == scene.manifest
    assert reader.epoch == scene.trusted.epoch
    assert reader.last(lab.pub) == scene.trusted.last(lab.pub)


def test_a_batch_keeps_what_waits_and_sorts_out_what_is_wrong() -> None:
    scene, lab, _, _ = opening_scene()
    reader = scene.reader()
    first = scene.publish(lab, [indicator(lab)]).message.raw
    second = scene.publish(lab, [indicator(lab, "192.0.2.2")]).message.raw
    batch = accept_many(reader, [second, b"junk"], now=NOW)
    assert [raw for raw, _ in batch.waiting] == [second]
    assert [raw for raw, _ in batch.refused] == [b"junk"]
    batch = accept_many(reader, [second, first], now=NOW)
    assert [accepted.message.raw for accepted in batch.accepted] == [first, second]


def test_a_message_from_the_future_waits() -> None:
    scene, lab, _, _ = opening_scene()
    scene.now += DAY
    raw = scene.seal(lab, [indicator(lab)])
    reader = scene.reader()
    with pytest.raises(NotYetError, match="86400 s in the future"):
        reader.accept(raw, now=NOW)
    assert reader.accept(raw, now=scene.now).member == lab.id


def test_an_expired_manifest_stops_publishing_and_what_is_made_under_it() -> None:
    scene, lab, _, _ = opening_scene()
    raw = scene.seal(lab, [indicator(lab)])
    scene.now = NOW + 91 * DAY
    with pytest.raises(VerificationError, match="manifest has expired"):
        scene.seal(lab, [indicator(lab)])
    message = parse_message(raw)
    late = Header(**{**vars(message.header), "ts": scene.now})
    with pytest.raises(VerificationError, match="under an expired manifest"):
        scene.post(signed_message(late, message.body, lab.signing))


def test_an_old_epoch_stops_publishing() -> None:
    scene, lab, _, _ = opening_scene()
    policy = scene.manifest.policy
    at = NOW + policy.rotation
    assert scene.trusted.needs_epoch(at - 1) is None
    assert scene.trusted.needs_epoch(at) == "the epoch is older than the rotation period"
    scene.trusted.check_can_publish(at + policy.staleness)
    with pytest.raises(VerificationError, match="too old"):
        scene.trusted.check_can_publish(at + policy.staleness + 1)
    assert lab.id in scene.trusted.cards


def test_old_epochs_are_taken_only_within_the_staleness_window() -> None:
    scene, lab, _, _ = opening_scene()
    other = Person("other lab")
    scene.admit((other, PUBLISHER))
    early = scene.seal(other, [indicator(other)])
    scene.now += DAY
    scene.rotate()
    in_time, late = scene.reader(), scene.reader()
    assert in_time.accept(early, now=scene.now).member == other.id
    scene.now += DAY + 1
    tick = seal_heartbeat(scene.trusted, lab.signing, now=scene.now)
    late.accept(tick, now=scene.now)
    with pytest.raises(RefusedError, match="epoch was superseded 1 s longer ago"):
        late.accept(early, now=scene.now)
    with pytest.raises(RefusedError, match="superseded"):
        late.accept(early, now=scene.now)
    assert late.last(other.pub) == (1, parse_message(early).digest)
    assert TrustedChannel.restore(late.state()).state() == late.state()


def test_an_expired_message_is_marked_and_not_opened() -> None:
    scene, lab, _, _ = opening_scene()
    raw = scene.seal(lab, [indicator(lab)], expires=NOW + 60)
    accepted = scene.reader().accept(raw, now=NOW + 61)
    assert accepted.expired
    with pytest.raises(VerificationError, match="has expired"):
        open_data(scene.trusted, accepted, scene.current)


def test_a_new_card_heals_a_forked_chain() -> None:
    scene, _, provider, _ = opening_scene()
    lost = scene.trusted.position(provider.pub)
    scene.post(seal_heartbeat(scene.trusted, provider.signing, now=NOW))
    renewed = provider.renewed()
    scene.post(card_message(scene.trusted.channel, renewed.card_raw))
    assert scene.trusted.pending_card(provider.id) == renewed.card
    rows = [
        renewed.row(READER) if row.member == provider.id else row for row in scene.manifest.members
    ]
    scene.publish_manifest(
        next_version(
            scene.manifest,
            created=NOW,
            expires=NOW + 90 * DAY,
            members=rows,
            removed=[scene.trusted.final_of(provider.id)],
        )
    )
    assert scene.trusted.needs_epoch(NOW) == "members or their cards changed"
    scene.rotate()
    assert scene.trusted.pending_card(provider.id) is None
    assert lost == (1, None)
    with pytest.raises(VerificationError, match="removed after message 1"):
        scene.post(seal_heartbeat(scene.trusted, provider.signing, now=NOW))
    beat = scene.post(seal_heartbeat(scene.trusted, renewed.signing, now=NOW))
    assert beat.message.header.seq == 1
    assert unwrap(scene.trusted, scene.epochs[-1], renewed.kem).detail is not None


def test_a_card_that_does_not_follow_is_refused() -> None:
    scene, lab, _, _ = opening_scene()
    other = Person("provider", generation=2, before=lab)
    with pytest.raises(VerificationError, match="does not follow card 1"):
        scene.post(card_message(scene.trusted.channel, other.card_raw))


def test_a_card_further_ahead_waits_for_the_one_between() -> None:
    scene, _, provider, _ = opening_scene()
    skipped = provider.renewed().renewed()
    with pytest.raises(NotYetError, match="the manifest names another card"):
        scene.post(card_message(scene.trusted.channel, skipped.card_raw))


def test_a_deleted_message_leaves_a_bridge() -> None:
    scene, lab, _, _ = opening_scene()
    gone = scene.publish(lab, [indicator(lab)]).message
    kept = scene.publish(lab, [indicator(lab, "192.0.2.2")]).message
    tombstone = seal_tombstone(
        scene.trusted,
        lab.signing,
        [Deleted(lab.pub, 3, gone.digest)],
        reason="retracted",
        now=NOW,
    )
    scene.post(tombstone)
    scene.wire.remove(gone.raw)
    reader = TrustedChannel.from_genesis(scene.wire[0], owner_roots=None, now=NOW)
    batch = accept_many(reader, scene.wire[1:], now=NOW)
    assert len(batch.waiting) == 2
    reader.note_deletion(tombstone, now=NOW)
    assert reader.accept(kept.raw, now=NOW).member == lab.id
    assert reader.accept(tombstone, now=NOW).member == lab.id
    with pytest.raises(RefusedError, match="its publisher deleted it"):
        reader.accept(gone.raw, now=NOW)


def test_nobody_deletes_anothers_message() -> None:
    scene, lab, provider, _ = opening_scene()
    victim = scene.publish(lab, [indicator(lab)]).message
    raw = seal_tombstone(
        scene.trusted,
        provider.signing,
        [Deleted(lab.pub, 3, victim.digest)],
        reason="error",
        now=NOW,
    )
    with pytest.raises(VerificationError, match="somebody else's message"):
        scene.post(raw)
    with pytest.raises(VerificationError, match="somebody else's message"):
        scene.trusted.note_deletion(raw, now=NOW)


def test_joiners_get_history_only_by_policy() -> None:
    scene = Scene(Person("lab"), Policy(history="all"))
    lab, joiner = scene.owner, Person("provider")
    scene.rotate()
    old = scene.publish(lab, [indicator(lab)])
    rows = [*scene.manifest.members, joiner.row(READER)]
    scene.publish_manifest(
        next_version(scene.manifest, created=NOW, expires=NOW + 90 * DAY, members=rows)
    )
    scene.post(card_message(scene.trusted.channel, joiner.card_raw))
    raw, _ = new_epoch(
        scene.trusted, lab.signing, now=NOW, history=scene.secrets, joiners=[joiner.id]
    )
    scene.post(raw)
    reader = scene.reader()
    (first,) = unwrap_history(reader, raw, joiner.kem)
    accepted = reader.accept(old.message.raw, now=NOW)
    assert open_data(reader, accepted, first).objects == [indicator(lab)]
    assert unwrap_history(reader, raw, lab.kem) == []


def test_history_against_the_policy_is_refused() -> None:
    scene, lab, provider, _ = opening_scene()
    raw, _ = new_epoch(
        scene.trusted, lab.signing, now=NOW, history=scene.secrets, joiners=[provider.id]
    )
    with pytest.raises(VerificationError, match="gives joiners no history"):
        scene.post(raw)


def test_a_manifest_waits_for_the_one_before_it() -> None:
    scene, lab, _, _ = opening_scene()
    second = next_version(scene.manifest, created=NOW, expires=NOW + DAY)
    third = next_version(second, created=NOW, expires=NOW + DAY)
    with pytest.raises(NotYetError, match="version 3 is missing"):
        scene.post(sign_manifest(third, [lab.root]))
    scene.post(sign_manifest(second, [lab.root]))
    assert scene.post(sign_manifest(third, [lab.root])).posters == {lab.id}


def test_examine_changes_nothing() -> None:
    scene, lab, _, _ = opening_scene()
    before = scene.trusted.state()
    raw = scene.seal(lab, [indicator(lab)])
    assert scene.trusted.examine(raw, now=NOW).posters == {lab.id}
    assert scene.trusted.state() == before
    assert not scene.trusted.accept(raw, now=NOW).duplicate


def test_a_card_may_be_posted_by_its_member_or_an_owner() -> None:
    scene, lab, provider, _ = opening_scene()
    accepted = scene.post(card_message(scene.trusted.channel, provider.renewed().card_raw))
    assert accepted.posters == {lab.id, provider.id}
    assert scene.post(scene.wire[1]).duplicate


def test_secrets_of_another_epoch_do_not_seal() -> None:
    scene, lab, _, _ = opening_scene()
    stale = scene.secrets[1]
    scene.secrets[2] = stale
    with pytest.raises(VerificationError, match="not those of the current epoch"):
        scene.seal(lab, [indicator(lab)])
    assert EpochSecrets.from_bytes(stale.to_bytes()) == stale
    assert stale.detail is not None
    assert stale.detail.hex() not in repr(stale)
    assert repr(stale.detail) not in repr(stale)


def test_what_expires_soon_is_due() -> None:
    scene, lab, provider, liaison = opening_scene()
    assert due(scene.trusted, now=NOW) == []
    rows = due(scene.trusted, now=NOW + 80 * DAY)
    assert [(row.what, row.by_owner) for row in rows] == [("epoch", True), ("manifest", True)]
    rows = due(scene.trusted, now=NOW + 170 * DAY, members=[provider.id])
    assert [row.name for row in rows if row.what == "card"] == [provider.id]
    everybody = {row.name for row in due(scene.trusted, now=NOW + 170 * DAY) if not row.by_owner}
    assert everybody == {lab.id, provider.id, liaison.id}


def test_roles_that_contradict_each_other_are_refused() -> None:
    lab = Person("lab")
    for roles in ({Role.PUBLISH}, {Role.REPORT}, {Role.LIAISON, Role.READ}, set[Role]()):
        with pytest.raises(InputError, match=r"needs|excludes|role"):
            lab.row(roles)


def test_a_card_that_comes_after_its_members_removal_still_explains_the_past() -> None:
    scene, lab, _, _ = opening_scene()
    other = Person("other lab")
    scene.admit((other, PUBLISHER))
    said = scene.publish(other, [indicator(other)])
    scene.remove(other)
    late = card_message(scene.trusted.channel, other.card_raw)
    reader = TrustedChannel.from_genesis(scene.wire[0], owner_roots=None, now=NOW)
    batch = accept_many(reader, [raw for raw in scene.wire[1:] if raw != late], now=NOW)
    assert len(batch.waiting) == 3
    rest = accept_many(reader, [late, *(raw for raw, _ in batch.waiting)], now=NOW)
    assert (rest.waiting, rest.refused) == ([], [])
    assert reader.last(other.pub) == (1, said.message.digest)
    assert reader.epoch == scene.trusted.epoch
    assert lab.id in reader.cards


def test_a_card_from_the_future_does_not_age_the_channel() -> None:
    scene, _, provider, _ = opening_scene()
    fresh = Person("fresh")
    future = issue_card(
        provider.root,
        provider.id,
        fresh.signing,
        fresh.kem.public,
        number=2,
        prev=provider.card.hash,
        not_before=NOW + 1_000 * DAY,
        not_after=NOW + 1_001 * DAY,
    )
    before = scene.trusted.time
    scene.post(card_message(scene.trusted.channel, future))
    assert scene.trusted.time == before
