"""What somebody with a key, an account or a good position could try beside the protocol's path."""

from __future__ import annotations

import pytest

from hub.channel.epoch import unwrap
from hub.channel.fingerprint_keys import FingerprintSecret, keys_to_bytes
from hub.channel.header import frame, parse_message
from hub.channel.invite import MAX_JOIN, join_request, new_invitation, parse_join
from hub.channel.ledger import MAX_ALARMS
from hub.channel.manifest import DAY, Policy, Role, cosign, next_version, sign_manifest
from hub.channel.notices import Deleted
from hub.channel.open import open_data, open_keys
from hub.channel.primitives.sign import SIGNATURE_SIZE
from hub.channel.seal import seal_keys, seal_tombstone
from hub.channel.verify import TrustedChannel
from hub.errors import InputError, VerificationError
from tests.unit.channel.cast import (
    NOW,
    PUBLISHER,
    Person,
    Scene,
    indicator,
    opening_scene,
    stix,
)


def test_a_known_manifest_cannot_be_spelled_anew() -> None:
    scene, lab, provider, _ = opening_scene()
    genesis, size = scene.wire[0], len(scene.trusted.state())
    again = cosign(genesis, [lab.root])
    assert scene.trusted.accept(again, now=NOW).duplicate
    message = parse_message(genesis)
    garbage = message.body[:-SIGNATURE_SIZE] + bytes(SIGNATURE_SIZE)
    with pytest.raises(VerificationError, match="signature is not valid"):
        scene.trusted.accept(frame(message.header_raw, garbage, b""), now=NOW)
    with pytest.raises(VerificationError, match="somebody who is no owner"):
        scene.trusted.accept(cosign(genesis, [provider.root]), now=NOW)
    assert len(scene.trusted.state()) == size


def test_a_manifest_carries_no_signature_but_its_owners() -> None:
    scene, lab, provider, _ = opening_scene()
    new = next_version(scene.manifest, created=NOW, expires=NOW + DAY)
    with pytest.raises(VerificationError, match="somebody who is no owner"):
        scene.post(sign_manifest(new, [lab.root, provider.root]))
    assert scene.post(sign_manifest(new, [lab.root])).posters == {lab.id}


def test_a_genesis_carries_no_signature_but_its_owners() -> None:
    scene, _, provider, _ = opening_scene()
    raw = cosign(scene.wire[0], [provider.root])
    with pytest.raises(VerificationError, match="somebody who is no owner"):
        TrustedChannel.from_genesis(raw, owner_roots=None, now=NOW)


def test_a_tombstone_of_another_channel_deletes_nothing() -> None:
    scene, lab, _, _ = opening_scene()
    elsewhere = Scene(lab, Policy(tlp="TLP:GREEN"))
    elsewhere.rotate()
    position, _ = scene.trusted.position(lab.pub)
    raw = seal_tombstone(
        elsewhere.trusted,
        lab.signing,
        [Deleted(lab.pub, position, "ab" * 32)],
        reason="error",
        now=NOW,
    )
    before = scene.trusted.state()
    with pytest.raises(VerificationError, match="another channel"):
        scene.trusted.note_deletion(raw, now=NOW)
    assert scene.trusted.state() == before


def test_a_tombstone_names_no_message_that_comes_after_it() -> None:
    scene, lab, _, _ = opening_scene()
    position, _ = scene.trusted.position(lab.pub)
    for ahead in (position, position + 1):
        rows = [Deleted(lab.pub, ahead, "ab" * 32)]
        raw = seal_tombstone(scene.trusted, lab.signing, rows, reason="error", now=NOW)
        with pytest.raises(VerificationError, match="not before it"):
            scene.post(raw)
        with pytest.raises(VerificationError, match="not before it"):
            scene.trusted.note_deletion(raw, now=NOW)
    assert scene.trusted.deleted == frozenset()


def test_a_removed_key_deletes_nothing_any_more() -> None:
    scene, _, _, _ = opening_scene()
    other = Person("other lab")
    scene.admit((other, PUBLISHER))
    said = scene.publish(other, [indicator(other)]).message
    late = seal_tombstone(
        scene.trusted,
        other.signing,
        [Deleted(other.pub, 1, said.digest)],
        reason="error",
        now=NOW,
    )
    scene.remove(other)
    with pytest.raises(VerificationError, match="removed after message 1"):
        scene.trusted.note_deletion(late, now=NOW)


def test_a_flood_of_alarms_of_one_kind_hides_no_other() -> None:
    scene, _, _, _ = opening_scene()
    for number in range(MAX_ALARMS + 5):
        scene.trusted.raise_alarm("ownership", f"object {number}", "x", "ab" * 32, NOW)
    scene.trusted.raise_alarm("epoch-fork", "epoch 2", "x", "ab" * 32, NOW)
    kinds = [alarm.kind for alarm in scene.trusted.alarms]
    assert kinds.count("ownership") == MAX_ALARMS
    assert kinds[-1] == "epoch-fork"
    with pytest.raises(VerificationError, match="forked"):
        scene.trusted.check_can_publish(NOW)


def test_a_fingerprint_key_is_named_for_its_channel() -> None:
    channel = "0123456789abcdef" * 4
    good = FingerprintSecret("0123456789abcdef.2027q1-2", b"k" * 32, NOW)
    assert keys_to_bytes([good], channel)
    for key_id in ("fedcba9876543210.2027q1", "0123456789abcdef.2027q5", "0123456789abcdef.x"):
        with pytest.raises(InputError, match="a key of this channel"):
            keys_to_bytes([FingerprintSecret(key_id, b"k" * 32, NOW)], channel)


def test_an_owner_cannot_change_a_fingerprint_key_under_its_name() -> None:
    scene, lab, provider, _ = opening_scene()
    name = f"{scene.trusted.channel[:16]}.2027q1"
    first, other = (FingerprintSecret(name, secret * 32, NOW) for secret in (b"a", b"b"))
    raws = [
        scene.post(seal_keys(scene.trusted, scene.current, lab.signing, [key], now=NOW))
        for key in (first, other)
    ]
    secrets = unwrap(scene.trusted, scene.epochs[-1], provider.kem)
    assert open_keys(scene.trusted, raws[0], secrets, known={name: first.secret}) == [first]
    with pytest.raises(VerificationError, match="another secret under the name"):
        open_keys(scene.trusted, raws[1], secrets, known={name: first.secret})
    assert [alarm.kind for alarm in scene.trusted.alarms] == ["key-change"]


def test_the_policy_that_the_sender_held_is_the_one_that_counts() -> None:
    scene, lab, provider, _ = opening_scene()
    marked = indicator(lab) | {
        "object_marking_refs": ["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"]
    }
    raw = scene.publish(lab, [marked]).message.raw
    stricter = Policy(tlp="TLP:GREEN")
    scene.publish_manifest(
        next_version(scene.manifest, created=NOW, expires=NOW + DAY, policy=stricter)
    )
    reader = scene.reader()
    accepted = reader.accept(raw, now=NOW)
    opened = open_data(reader, accepted, unwrap(reader, scene.epochs[-1], provider.kem))
    assert opened.objects == [marked]
    with pytest.raises(VerificationError, match="above the channel's TLP:GREEN"):
        scene.open(reader, scene.publish(lab, [marked]).message.raw, provider)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("object_refs", 5),
        ("object_refs", []),
        ("object_refs", [7]),
        ("sighting_of_ref", {"a": 1}),
        ("created", "yesterday"),
        ("modified", 3),
        ("last_seen", "2027-02-30T00:00:00Z"),
        ("name", ["a"]),
        ("revoked", "true"),
        ("count", True),
        ("confidence", -1),
        ("extensions", {"x": 1}),
        ("external_references", "x"),
        ("labels", [None]),
    ],
)
def test_a_property_of_another_type_reaches_nobody(name: str, value: object) -> None:
    scene, lab, provider, _ = opening_scene()
    odd = stix("campaign", lab, "odd", name="A") | {name: value}
    with pytest.raises(InputError, match=f"`{name}` is not of the type"):
        scene.open(scene.reader(), scene.seal(lab, [odd]), provider)


def test_an_invitation_names_an_owner() -> None:
    with pytest.raises(InputError, match="at least one owner"):
        new_invitation(
            channel="ab" * 32,
            owners=[],
            api_root="https://hub.example/stillwatch/",
            collection="0e2b7f3c-5a55-4f0e-8d4a-1f7a5f2b9c10",
            inbox=None,
            roles=[Role.READ],
            organisation="Example",
            sponsor=Person("lab").root.public.id,
            expires=NOW + DAY,
        )


def test_a_join_request_holds_as_many_cards_as_a_chain_may() -> None:
    people = [Person("joiner")]
    while len(people) < 64:
        people.append(people[-1].renewed())
    lab = Person("lab").root.public.id
    invitation = new_invitation(
        channel="ab" * 32,
        owners=[lab],
        api_root="https://hub.example/stillwatch/",
        collection="0e2b7f3c-5a55-4f0e-8d4a-1f7a5f2b9c10",
        inbox=None,
        roles=[Role.READ],
        organisation="Example",
        sponsor=lab,
        expires=NOW + DAY,
    )
    raw = join_request(invitation, [each.card_raw for each in people], people[-1].signing, now=NOW)
    assert len(raw) < MAX_JOIN
    assert parse_join(raw).card.number == 64


def test_a_member_id_is_known_by_the_roots_that_had_it() -> None:
    scene, _, provider, _ = opening_scene()
    scene.remove(provider)
    assert scene.trusted.roots_of(provider.id) == {provider.root.public.id}
    assert scene.trusted.roots_of(Person("joiner").id) == frozenset()


def test_nobody_can_take_anothers_identity_in_advance() -> None:
    scene, lab, provider, _ = opening_scene()
    me = stix("identity", lab, "me", name="Lab") | {"id": lab.id}
    raw = scene.publish(lab, [me]).message.raw
    reader = scene.reader()
    secrets = unwrap(reader, scene.epochs[-1], provider.kem)
    # Another member had published an identity of this id before its member joined.
    squatted = {lab.id: provider.id}
    accepted = reader.accept(raw, now=NOW)
    assert open_data(reader, accepted, secrets, owners=squatted).objects == [me]
