"""The threat table, row by row: each attack is attempted and has its own error."""

from __future__ import annotations

import pytest

from hub.channel.card import card_message, issue_card
from hub.channel.epoch import EpochSecrets, unwrap
from hub.channel.header import (
    Audience,
    Header,
    body_context,
    frame,
    parse_message,
    signed_message,
)
from hub.channel.manifest import (
    DAY,
    Policy,
    Removed,
    Role,
    cosign,
    genesis,
    next_version,
    parse_signed,
    sign_manifest,
)
from hub.channel.open import open_data
from hub.channel.primitives import aead
from hub.channel.primitives.hash import sha256
from hub.channel.seal import seal_heartbeat
from hub.channel.verify import NotYetError, RefusedError, TrustedChannel
from hub.channel.wraps import SEALED_AUDIENCES, message_key
from hub.errors import VerificationError
from hub.model.codec import canonical
from tests.unit.channel.cast import (
    NOW,
    PUBLISHER,
    READER,
    Person,
    Scene,
    indicator,
    opening_scene,
    stix,
)
from tests.unit.channel.forgery import epoch_body, epoch_message


def alarms(trusted: TrustedChannel) -> list[str]:
    return [alarm.kind for alarm in trusted.alarms]


def test_a_ghost_member_needs_an_owners_signature() -> None:
    scene, _, _, _ = opening_scene()
    ghost = Person("ghost")
    forged = next_version(
        scene.manifest,
        created=NOW,
        expires=NOW + DAY,
        members=[*scene.manifest.members, ghost.row({Role.READ})],
    )
    with pytest.raises(VerificationError, match="0 of 1 needed owners"):
        scene.post(sign_manifest(forged, [ghost.root]))
    assert scene.manifest.member(ghost.id) is None


def test_a_ghost_card_is_not_taken_while_no_manifest_names_it() -> None:
    scene, _, _, _ = opening_scene()
    ghost = Person("ghost")
    with pytest.raises(NotYetError, match="names no such member"):
        scene.post(card_message(scene.trusted.channel, ghost.card_raw))
    assert ghost.id not in scene.trusted.cards


def test_a_ghost_reader_in_the_wraps_is_refused() -> None:
    scene, lab, _, _ = opening_scene()
    ghost = Person("ghost")
    body = epoch_body(scene, extra=ghost)
    with pytest.raises(VerificationError, match="exactly the manifest's readers"):
        scene.post(epoch_message(scene, lab, body))


def test_a_member_left_out_of_the_wraps_is_noticed() -> None:
    scene, lab, provider, _ = opening_scene()
    body = epoch_body(scene, without=provider)
    with pytest.raises(VerificationError, match="exactly the manifest's readers"):
        scene.post(epoch_message(scene, lab, body))


def test_a_forged_manifest_signature_is_refused() -> None:
    scene, lab, _, _ = opening_scene()
    new = next_version(scene.manifest, created=NOW, expires=NOW + DAY)
    message = parse_message(sign_manifest(new, [lab.root]))
    body = bytearray(message.body)
    body[-1] ^= 1
    with pytest.raises(VerificationError, match="ML-DSA-65 signature is not valid"):
        scene.post(frame(message.header_raw, bytes(body), b""))


def test_an_unsigned_manifest_is_refused() -> None:
    scene, lab, _, _ = opening_scene()
    stranger = Person("stranger")
    new = next_version(scene.manifest, created=NOW, expires=NOW + DAY)
    raw = sign_manifest(new, [stranger.root])
    with pytest.raises(VerificationError, match="0 of 1 needed owners"):
        scene.post(raw)
    assert parse_signed(parse_message(cosign(raw, [lab.root]))).manifest == new


def test_a_new_owner_needs_the_old_owners_and_the_new_ones() -> None:
    scene, lab, provider, _ = opening_scene()
    both = sorted([lab.root.public.id, provider.root.public.id])
    new = next_version(scene.manifest, created=NOW, expires=NOW + DAY, owners=both, threshold=2)
    with pytest.raises(VerificationError, match="1 of 2 needed owners signed it"):
        scene.post(sign_manifest(new, [lab.root]))
    with pytest.raises(VerificationError, match="0 of 1 needed owners signed it"):
        scene.post(sign_manifest(new, [provider.root]))
    scene.post(cosign(sign_manifest(new, [lab.root]), [provider.root]))
    assert scene.manifest.owners == tuple(both)


def test_a_joiner_needs_as_many_approvals_as_the_policy_says() -> None:
    scene, lab, provider, _ = opening_scene()
    both = sorted([lab.root.public.id, provider.root.public.id])
    strict = Policy(approvals=2)
    shared = next_version(
        scene.manifest, created=NOW, expires=NOW + DAY, owners=both, policy=strict
    )
    scene.post(sign_manifest(shared, [lab.root]))
    rows = [*scene.manifest.members, Person("joiner").row({Role.READ})]
    joined = next_version(scene.manifest, created=NOW, expires=NOW + DAY, members=rows)
    with pytest.raises(VerificationError, match="1 of 2 needed owners signed it"):
        scene.post(sign_manifest(joined, [lab.root]))
    scene.post(sign_manifest(joined, [lab.root, provider.root]))
    renewed = next_version(scene.manifest, created=NOW, expires=NOW + DAY)
    assert scene.post(sign_manifest(renewed, [provider.root])).posters == {provider.id}


def test_a_swapped_card_does_not_fit_the_manifest() -> None:
    scene, _, _, _ = opening_scene()
    joiner, twin = Person("joiner"), Person("joiner").renewed()
    rows = [*scene.manifest.members, joiner.row({Role.READ})]
    scene.publish_manifest(
        next_version(scene.manifest, created=NOW, expires=NOW + DAY, members=rows)
    )
    with pytest.raises(NotYetError, match="names another card"):
        scene.post(card_message(scene.trusted.channel, twin.card_raw))


def test_a_root_that_signs_two_cards_of_one_number_is_an_alarm() -> None:
    scene, _, provider, _ = opening_scene()
    scene.post(card_message(scene.trusted.channel, provider.renewed().card_raw))
    other = Person("provider", generation=2, before=provider)
    twin = issue_card(
        other.root,
        other.id,
        Person("twin").signing,
        Person("twin").kem.public,
        number=2,
        prev=provider.card.hash,
        not_before=NOW,
        not_after=NOW + DAY,
    )
    with pytest.raises(VerificationError, match="two cards of number 2"):
        scene.post(card_message(scene.trusted.channel, twin))
    assert alarms(scene.trusted) == ["card-fork"]


def test_another_genesis_is_refused_by_the_invited() -> None:
    scene, lab, _, _ = opening_scene()
    mallory = Person("mallory")
    false = genesis(
        owners=[mallory.root.public.id],
        members=[mallory.row(PUBLISHER)],
        created=NOW,
        expires=NOW + DAY,
    )
    raw = sign_manifest(false, [mallory.root])
    with pytest.raises(VerificationError, match="not those of the invitation"):
        TrustedChannel.from_genesis(raw, owner_roots=[lab.root.public.id], now=NOW)
    assert TrustedChannel.from_genesis(raw, owner_roots=None, now=NOW).channel != (
        scene.trusted.channel
    )


def test_an_insider_cannot_sign_for_another() -> None:
    scene, lab, provider, _ = opening_scene()
    message = parse_message(scene.seal(lab, [indicator(lab)]))
    forged = signed_message(message.header, message.body, provider.signing)
    with pytest.raises(VerificationError, match="Ed25519 signature is not valid"):
        scene.post(forged)


def test_an_insider_cannot_sign_anothers_body_as_its_own() -> None:
    scene, lab, provider, _ = opening_scene()
    message = parse_message(scene.seal(lab, [indicator(lab)]))
    mine = Header(**{**vars(message.header), "pub": provider.pub, "seq": 1, "prev": None})
    raw = signed_message(mine, message.body, provider.signing)
    reader = scene.reader()
    with pytest.raises(VerificationError, match="does not open with this key"):
        scene.open(reader, raw, provider)


def test_an_insider_cannot_publish_anothers_object() -> None:
    scene, lab, _, _ = opening_scene()
    other = Person("other lab")
    scene.admit((other, PUBLISHER))
    raw = scene.seal(other, [indicator(lab)])
    with pytest.raises(VerificationError, match="`created_by_ref` is not the sender"):
        scene.open(scene.reader(), raw, lab)


@pytest.mark.parametrize("change", [{"revoked": True}, {"confidence": 1}])
def test_an_insider_cannot_overwrite_or_revoke_anothers_indicator(
    change: dict[str, object],
) -> None:
    scene, lab, provider, _ = opening_scene()
    other = Person("other lab")
    scene.admit((other, PUBLISHER))
    stolen = indicator(lab) | {"created_by_ref": other.id, "modified": "2027-01-16T08:00:00.000Z"}
    raw = scene.post(scene.seal(other, [stolen | change])).message.raw
    reader = scene.reader()
    accepted = reader.accept(raw, now=NOW)
    secrets = unwrap(reader, scene.epochs[-1], provider.kem)
    with pytest.raises(VerificationError, match="first published by another member"):
        open_data(reader, accepted, secrets, owners={str(stolen["id"]): lab.id})
    assert alarms(reader) == ["ownership"]


def test_a_reporter_publishes_no_indicator() -> None:
    scene, _, provider, _ = opening_scene()
    raw = scene.seal(provider, [indicator(provider)])
    with pytest.raises(VerificationError, match="a reporter publishes no indicator"):
        scene.open(scene.reader(), raw, provider)
    sighting = stix("sighting", provider, "seen", sighting_of_ref=indicator(scene.owner)["id"])
    assert scene.open(scene.reader(), scene.seal(provider, [sighting]), provider).objects


def test_nobody_publishes_another_members_identity() -> None:
    scene, lab, provider, _ = opening_scene()
    identity = {"type": "identity", "id": lab.id, "created_by_ref": provider.id}
    with pytest.raises(VerificationError, match="another member's identity"):
        scene.open(scene.reader(), scene.seal(provider, [identity]), lab)


def test_a_message_forwarded_into_another_channel_is_refused() -> None:
    scene, lab, _, _ = opening_scene()
    elsewhere = Scene(Person("other owner"))
    with pytest.raises(VerificationError, match="another channel"):
        elsewhere.post(scene.seal(lab, [indicator(lab)]))


def test_a_replay_is_a_duplicate_and_changes_nothing() -> None:
    scene, lab, _, _ = opening_scene()
    first = scene.publish(lab, [indicator(lab)])
    before = scene.trusted.state()
    again = scene.trusted.accept(first.message.raw, now=NOW)
    assert again.duplicate
    assert not first.duplicate
    assert scene.trusted.state() == before


def test_a_dropped_message_leaves_a_gap() -> None:
    scene, lab, _, _ = opening_scene()
    reader = scene.reader()
    scene.publish(lab, [indicator(lab)])
    second = scene.publish(lab, [indicator(lab, "192.0.2.2")])
    with pytest.raises(NotYetError, match=r"message 3 of this sender is missing"):
        reader.accept(second.message.raw, now=NOW)


def test_a_fork_of_a_chain_is_an_alarm() -> None:
    scene, lab, _, _ = opening_scene()
    place = scene.trusted.position(lab.pub)
    twin = scene.seal(lab, [indicator(lab, "192.0.2.9")], seq=place[0], prev=place[1])
    scene.publish(lab, [indicator(lab)])
    with pytest.raises(VerificationError, match="two messages of position 3"):
        scene.post(twin)
    assert alarms(scene.trusted) == ["fork"]


def test_an_unauthenticated_fork_is_no_alarm() -> None:
    scene, lab, _, _ = opening_scene()
    message = scene.publish(lab, [indicator(lab)]).message
    header = canonical(message.header.to_json() | {"ts": NOW + 1})
    with pytest.raises(VerificationError, match="signature"):
        scene.post(frame(header, message.body, message.signature))
    assert alarms(scene.trusted) == []


def test_another_predecessor_is_a_fork() -> None:
    scene, lab, _, _ = opening_scene()
    seq, _ = scene.trusted.position(lab.pub)
    with pytest.raises(VerificationError, match="another predecessor"):
        scene.post(scene.seal(lab, [indicator(lab)], seq=seq, prev="0" * 64))
    assert alarms(scene.trusted) == ["fork"]


def test_a_manifest_cannot_be_rolled_back() -> None:
    scene, lab, _, _ = opening_scene()
    old = scene.manifest
    scene.publish_manifest(next_version(old, created=NOW, expires=NOW + DAY))
    rival = next_version(old, created=NOW, expires=NOW + 2 * DAY)
    with pytest.raises(VerificationError, match="second manifest of this version"):
        scene.post(sign_manifest(rival, [lab.root]))
    assert alarms(scene.trusted) == ["manifest-fork"]
    assert scene.post(sign_manifest(old, [lab.root])).duplicate
    assert scene.manifest.version == old.version + 1


def test_a_liaison_cannot_open_detail_even_with_raw_keys() -> None:
    scene, lab, _, liaison = opening_scene()
    accepted = scene.publish(lab, [indicator(lab)])
    message, header = accepted.message, accepted.message.header
    secrets = unwrap(scene.trusted, scene.epochs[-1], liaison.kem)
    assert secrets.detail is None
    assert secrets.aggregate is not None
    with pytest.raises(VerificationError, match="no detail secret"):
        open_data(scene.trusted, accepted, secrets)
    assert header.ep is not None
    for audience in SEALED_AUDIENCES:
        key = message_key(secrets.aggregate, audience, header.ch, header.ep, lab.pub, 3)
        with pytest.raises(VerificationError, match="does not open"):
            aead.open_sealed(key, body_context(message.header_raw), message.body, most=10**6)
    forced = EpochSecrets(
        secrets.channel, secrets.epoch, secrets.manifest, secrets.aggregate, secrets.aggregate
    )
    with pytest.raises(VerificationError, match="does not open"):
        open_data(scene.trusted, accepted, forced)


def test_detail_cannot_travel_as_an_aggregate() -> None:
    scene, lab, _, liaison = opening_scene()
    raw = scene.seal(lab, [indicator(lab)], audience=Audience.AGGREGATE)
    with pytest.raises(VerificationError, match="cannot be an aggregate"):
        scene.open(scene.reader(), raw, liaison)
    campaign = stix("campaign", lab, "copper", name="Copper")
    raw = scene.seal(lab, [campaign], audience=Audience.AGGREGATE)
    assert scene.open(scene.reader(), raw, liaison).objects == [campaign]


def test_an_owner_that_wraps_two_secrets_is_caught_by_the_commitment() -> None:
    scene, lab, provider, _ = opening_scene()
    body = epoch_body(scene, partitioned=provider)
    raw = epoch_message(scene, lab, body)
    scene.post(raw)
    assert unwrap(scene.trusted, raw, lab.kem).detail is not None
    with pytest.raises(VerificationError, match="another secret"):
        unwrap(scene.trusted, raw, provider.kem)
    assert alarms(scene.trusted) == ["commitment"]


def test_two_epoch_messages_of_one_number_are_an_alarm_and_stop_publishing() -> None:
    scene, lab, _, _ = opening_scene()
    first = epoch_message(scene, lab, epoch_body(scene))
    scene.post(first)
    second = epoch_message(scene, lab, epoch_body(scene), number=3)
    with pytest.raises(RefusedError, match="second epoch message of number 3"):
        scene.post(second)
    assert alarms(scene.trusted) == ["epoch-fork"]
    with pytest.raises(VerificationError, match="forked"):
        scene.trusted.check_can_publish(NOW)
    with pytest.raises(RefusedError, match="second epoch message"):
        scene.post(second)
    scene.rotate()
    scene.trusted.check_can_publish(NOW, lab.pub)


def test_a_heartbeat_shows_that_its_sender_holds_another_epoch() -> None:
    scene, _, provider, _ = opening_scene()
    reader = scene.reader()
    # A colluding owner and hub gave the provider another second epoch.
    message = parse_message(seal_heartbeat(scene.trusted, provider.signing, now=NOW))
    body = canonical({"every": 3600, "epoch": {"number": 2, "digest": "ab" * 32}})
    with pytest.raises(RefusedError, match="holds another epoch 2"):
        reader.accept(signed_message(message.header, body, provider.signing), now=NOW)
    assert alarms(reader) == ["epoch-claim"]
    # One member's word stops nobody: only two epoch messages that owners signed do.
    reader.check_can_publish(NOW)


def test_a_removed_member_reads_nothing_new() -> None:
    scene, lab, provider, _ = opening_scene()
    old = unwrap(scene.trusted, scene.epochs[-1], provider.kem)
    scene.remove(provider)
    accepted = scene.publish(lab, [indicator(lab)])
    late = unwrap(scene.trusted, scene.epochs[-1], provider.kem)
    assert late.detail is None
    assert late.aggregate is None
    with pytest.raises(VerificationError, match="secrets of epoch 3 are needed"):
        open_data(scene.trusted, accepted, old)
    renumbered = EpochSecrets(old.channel, 3, old.manifest, old.detail, old.aggregate)
    with pytest.raises(VerificationError, match="does not open"):
        open_data(scene.trusted, accepted, renumbered)


def test_a_removed_publisher_cannot_backdate() -> None:
    scene, _, _, _ = opening_scene()
    other = Person("other lab")
    scene.admit((other, PUBLISHER))
    scene.publish(other, [indicator(other)])
    backdated = scene.seal(other, [indicator(other, "192.0.2.7")])
    scene.remove(other)
    with pytest.raises(VerificationError, match="removed after message 1"):
        scene.post(backdated)
    assert alarms(scene.trusted) == ["after-final"]
    rejoined = scene.reader()
    with pytest.raises(VerificationError, match="removed after message 1"):
        rejoined.accept(backdated, now=NOW)


def test_a_message_withheld_until_after_the_removal_still_counts() -> None:
    scene, _, _, _ = opening_scene()
    other = Person("other lab")
    scene.admit((other, PUBLISHER))
    kept = scene.publish(other, [indicator(other)]).message.raw
    scene.remove(other)
    reader = TrustedChannel.from_genesis(scene.wire[0], owner_roots=None, now=NOW)
    for raw in scene.wire[1:]:
        if raw != kept:
            reader.accept(raw, now=NOW)
    assert reader.accept(kept, now=NOW).member == other.id


def test_a_manifest_must_name_the_final_message_of_whom_it_removes() -> None:
    scene, lab, provider, _ = opening_scene()
    rows = [row for row in scene.manifest.members if row.member != provider.id]
    careless = next_version(scene.manifest, created=NOW, expires=NOW + DAY, members=rows)
    with pytest.raises(VerificationError, match="not among the removed"):
        scene.post(sign_manifest(careless, [lab.root]))


def test_a_removed_key_stays_removed() -> None:
    scene, lab, provider, _ = opening_scene()
    scene.remove(provider)
    back = next_version(
        scene.manifest,
        created=NOW,
        expires=NOW + DAY,
        members=[*scene.manifest.members, provider.row(READER)],
    )
    with pytest.raises(VerificationError, match="has a removed key"):
        scene.post(sign_manifest(back, [lab.root]))


def test_after_a_removal_nobody_publishes_under_the_old_epoch() -> None:
    scene, lab, provider, _ = opening_scene()
    raw = scene.seal(lab, [indicator(lab)])
    scene.publish_manifest(scene.removal(provider))
    with pytest.raises(VerificationError, match="no new epoch was made"):
        scene.seal(lab, [indicator(lab)])
    message = parse_message(raw)
    header = Header(**{**vars(message.header), "man": scene.manifest.hash})
    with pytest.raises(VerificationError, match="not made for the readers"):
        scene.post(signed_message(header, message.body, lab.signing))


@pytest.mark.parametrize("kept", [slice(0, 64), slice(64, None), slice(0, 0)])
def test_a_stripped_signature_is_refused(kept: slice) -> None:
    scene, lab, _, _ = opening_scene()
    message = parse_message(scene.seal(lab, [indicator(lab)]))
    with pytest.raises(VerificationError, match="bytes of signature"):
        scene.post(frame(message.header_raw, message.body, message.signature[kept]))


@pytest.mark.parametrize(("field", "value"), [("suite", "x25519.aes128gcm"), ("v", 2)])
def test_a_changed_version_or_suite_is_refused(field: str, value: object) -> None:
    scene, lab, _, _ = opening_scene()
    message = parse_message(scene.seal(lab, [indicator(lab)]))
    header = canonical(message.header.to_json() | {field: value})
    data = b"\x00\x00\x00\x14stillwatch/1 message" + sha256(header) + sha256(message.body)
    with pytest.raises(VerificationError, match=r"unknown here"):
        scene.post(frame(header, message.body, lab.signing.sign(data)))


def test_a_false_final_position_is_an_alarm_for_who_saw_more() -> None:
    scene, lab, _, _ = opening_scene()
    other = Person("other lab")
    scene.admit((other, PUBLISHER))
    scene.publish(other, [indicator(other)])
    rows = [row for row in scene.manifest.members if row.member != other.id]
    hiding = next_version(
        scene.manifest,
        created=NOW,
        expires=NOW + DAY,
        members=rows,
        removed=[Removed(other.pub, 0, None)],
    )
    scene.post(sign_manifest(hiding, [lab.root]))
    assert alarms(scene.trusted) == ["after-final"]
