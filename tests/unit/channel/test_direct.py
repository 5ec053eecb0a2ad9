"""Direct messages: who opens them, and every way in which one can lie."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hub.channel.accepted import Accepted, NotYetError, RefusedError
from hub.channel.direct import DirectBody, Release, parse_direct
from hub.channel.header import MAX_BODY, Audience, frame, parse_message, signed_bytes
from hub.channel.manifest import DAY, Policy
from hub.channel.members import MAX_MEMBERS
from hub.channel.open import Opened, open_data, open_direct
from hub.channel.primitives import kem as hpke
from hub.channel.seal import seal_data, seal_direct
from hub.channel.wraps import parse_epoch_body
from hub.errors import InputError, VerificationError
from hub.model.codec import Json
from hub.model.markings import TLP
from tests.unit.channel.cast import (
    NOW,
    Person,
    Scene,
    as_bundle,
    indicator,
    opening_scene,
    stix,
)

BASIS = "Art. 6(1)(f) GDPR, request 2027/118"


def note(sender: Person, to: Sequence[Person], about: Sequence[Json], **changes: object) -> Json:
    content = {
        "basis": BASIS,
        "opt_in": True,
        "recipients": sorted(each.id for each in to),
        "valid_until": None,
        **changes,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return stix(
        "note",
        sender,
        f"release {text}",
        labels=["stillwatch:release"],
        object_refs=[each["id"] for each in about],
        content=text,
    )


def red(sender: Person) -> Json:
    return indicator(sender) | {"object_marking_refs": [TLP.RED.id]}


def direct(
    scene: Scene,
    sender: Person,
    to: Sequence[Person],
    objects: Sequence[Json] | None = None,
    **options: Any,
) -> bytes:
    content = [red(sender)] if objects is None else list(objects)
    bundle = as_bundle([*content, note(sender, to, content)] if objects is None else content)
    ids = [each.id for each in options.pop("wraps_for", to)]
    return seal_direct(scene.trusted, sender.signing, ids, bundle, now=scene.now, **options)


def opened(scene: Scene, raw: bytes, person: Person) -> Opened:
    trusted = scene.reader()
    return open_direct(trusted, trusted.accept(raw, now=scene.now), person.kem)


def remade(scene: Scene, sender: Person, raw: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The message with another body, signed anew by its sender."""
    message = parse_message(raw)
    body = change(message.body)
    signature = sender.signing.sign(signed_bytes(message.header_raw, body))
    return frame(message.header_raw, body, signature)


def test_recipients_open_it_and_its_ground_is_recorded() -> None:
    scene, lab, _, liaison = opening_scene()
    raw = direct(scene, lab, [lab, liaison])
    for person in (lab, liaison):
        found = opened(scene, raw, person)
        assert [each["type"] for each in found.objects] == ["indicator", "note"]
        assert found.audience is Audience.DIRECT
        assert found.release == Release(BASIS, tuple(sorted((lab.id, liaison.id))), None)


def test_others_keep_it_as_a_place_in_the_chain() -> None:
    scene, lab, provider, liaison = opening_scene()
    raw = direct(scene, lab, [liaison])
    scene.post(raw)
    scene.publish(lab, [indicator(lab, "192.0.2.9")])
    trusted = scene.reader()
    again = trusted.accept(raw, now=scene.now)
    assert again.duplicate
    assert trusted.alarms == ()
    with pytest.raises(VerificationError, match=r"^message: is not sealed for this card$"):
        open_direct(trusted, again, provider.kem)


def test_no_epoch_secret_opens_it() -> None:
    scene, lab, _, liaison = opening_scene()
    trusted = scene.reader()
    accepted = trusted.accept(direct(scene, lab, [liaison]), now=scene.now)
    with pytest.raises(VerificationError, match="a direct message opens with a card's key"):
        open_data(trusted, accepted, scene.current)


def test_another_data_message_is_not_direct() -> None:
    scene, lab, provider, _ = opening_scene()
    accepted = scene.publish(lab, [indicator(lab)])
    with pytest.raises(VerificationError, match="a direct message is expected"):
        open_direct(scene.trusted, accepted, provider.kem)
    keys = scene.epochs[-1]
    accepted = scene.trusted.accept(keys, now=scene.now)
    with pytest.raises(VerificationError, match="a data message is expected, not epoch"):
        open_direct(scene.trusted, accepted, provider.kem)


def test_it_is_sealed_for_named_members() -> None:
    scene, lab, _, liaison = opening_scene()
    bundle = as_bundle([indicator(lab)])
    with pytest.raises(InputError, match="for named members"):
        seal_data(scene.trusted, scene.current, lab.signing, Audience.DIRECT, bundle, now=scene.now)
    with pytest.raises(InputError, match="names its recipients"):
        direct(scene, lab, [])
    with pytest.raises(InputError, match="not a member"):
        direct(scene, lab, [liaison, Person("stranger")])


def test_red_is_for_direct_messages_unless_the_ceiling_says_so() -> None:
    scene, lab, provider, _ = opening_scene()
    refused = scene.seal(lab, [red(lab)])
    with pytest.raises(VerificationError, match="is marked above the channel's TLP:AMBER"):
        scene.open(scene.reader(), refused, provider)
    raised = Scene(lab, Policy(tlp="TLP:RED"))
    raised.rotate()
    raw = raised.seal(lab, [red(lab)])
    assert raised.open(raised.reader(), raw, lab).objects[0]["type"] == "indicator"


def test_a_reporter_sends_no_indicators_directly() -> None:
    scene, lab, provider, _ = opening_scene()
    raw = direct(scene, provider, [lab])
    with pytest.raises(VerificationError, match="a reporter publishes no indicator"):
        opened(scene, raw, lab)
    seen = stix("opinion", provider, "o", opinion="agree", object_refs=[indicator(lab)["id"]])
    raw = direct(scene, provider, [lab], [seen, note(provider, [lab], [seen])])
    assert opened(scene, raw, lab).member == provider.id


def test_what_a_liaison_is_sent_is_still_its_senders_to_publish() -> None:
    scene, lab, provider, liaison = opening_scene()
    foreign = [indicator(provider)]
    raw = direct(scene, lab, [liaison], [*foreign, note(lab, [liaison], foreign)])
    trusted = scene.reader()
    accepted = trusted.accept(raw, now=scene.now)
    with pytest.raises(VerificationError, match="`created_by_ref` is not the sender"):
        open_direct(trusted, accepted, liaison.kem)
    assert [alarm.kind for alarm in trusted.alarms] == ["ownership"]


# -- lies ------------------------------------------------------------------------------------------


def swapped(scene: Scene, lab: Person, raw: bytes, wraps: dict[str, bytes]) -> bytes:
    def change(data: bytes) -> bytes:
        body = parse_direct(data)
        return DirectBody(wraps, body.commitment, body.sealed).to_bytes()

    return remade(scene, lab, raw, change)


def test_wraps_of_another_message_do_not_open() -> None:
    scene, lab, _, liaison = opening_scene()
    first = direct(scene, lab, [liaison])
    scene.post(first)
    second = direct(scene, lab, [liaison])
    taken = dict(parse_direct(parse_message(first).body).wraps)
    with pytest.raises(VerificationError, match="does not open with this key and context"):
        opened(scene, swapped(scene, lab, second, taken), liaison)


def test_wraps_of_another_audience_do_not_open() -> None:
    scene, lab, _, liaison = opening_scene()
    raw = direct(scene, lab, [liaison])
    body = parse_epoch_body(parse_message(scene.epochs[-1]).body)
    taken = {liaison.card.kem_id: body.wraps[Audience.AGGREGATE][liaison.card.kem_id]}
    with pytest.raises(VerificationError, match="does not open with this key and context"):
        opened(scene, swapped(scene, lab, raw, taken), liaison)


def test_wraps_that_change_places_do_not_open() -> None:
    scene, lab, provider, liaison = opening_scene()
    raw = direct(scene, lab, [provider, liaison])
    one, other = provider.card.kem_id, liaison.card.kem_id
    held = parse_direct(parse_message(raw).body).wraps
    mixed = swapped(scene, lab, raw, {one: held[other], other: held[one]})
    with pytest.raises(VerificationError, match="does not open with this key and context"):
        opened(scene, mixed, liaison)


def test_two_recipients_with_different_secrets_find_out(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, lab, provider, liaison = opening_scene()
    encrypt = hpke.encrypt

    def another(plain: bytes, public: bytes, info: bytes) -> bytes:
        other = b"\x07" * 32
        return encrypt(other if public == liaison.card.kem_public else plain, public, info)

    monkeypatch.setattr(hpke, "encrypt", another)
    raw = direct(scene, lab, [provider, liaison])
    monkeypatch.undo()
    assert opened(scene, raw, provider).objects
    trusted = scene.reader()
    accepted = trusted.accept(raw, now=scene.now)
    with pytest.raises(VerificationError, match="another secret for this member than it committed"):
        open_direct(trusted, accepted, liaison.kem)
    assert [(alarm.kind, alarm.digest) for alarm in trusted.alarms] == [
        ("commitment", accepted.message.digest)
    ]


@pytest.mark.parametrize("lie", ["more", "fewer"])
def test_a_recipient_list_that_lies_is_an_alarm(lie: str) -> None:
    scene, lab, provider, liaison = opening_scene()
    content = [red(lab)]
    said, wrapped = [lab, provider, liaison], [lab, liaison]
    if lie == "fewer":
        said, wrapped = wrapped, said
    raw = direct(scene, lab, said, [*content, note(lab, said, content)], wraps_for=wrapped)
    trusted = scene.reader()
    accepted = trusted.accept(raw, now=scene.now)
    with pytest.raises(VerificationError, match="names other recipients than can open"):
        open_direct(trusted, accepted, liaison.kem)
    assert [alarm.kind for alarm in trusted.alarms] == ["recipients"]


def test_a_recipient_who_is_no_member_is_a_lie_too() -> None:
    scene, lab, _, liaison = opening_scene()
    content, stranger = [red(lab)], Person("stranger")
    said = note(lab, [liaison, stranger], content)
    raw = direct(scene, lab, [liaison], [*content, said])
    with pytest.raises(VerificationError, match="names other recipients than can open"):
        opened(scene, raw, liaison)


def test_a_wrap_for_somebody_who_is_no_member_is_refused_by_all() -> None:
    scene, lab, _, liaison = opening_scene()
    raw = direct(scene, lab, [liaison])
    held = dict(parse_direct(parse_message(raw).body).wraps)
    held[Person("stranger").card.kem_id] = held[liaison.card.kem_id]
    ghost = swapped(scene, lab, raw, held)
    with pytest.raises(VerificationError, match="for somebody who is no member") as refused:
        scene.reader().accept(ghost, now=scene.now)
    assert not isinstance(refused.value, NotYetError | RefusedError)


def test_a_former_member_is_no_recipient_under_the_new_manifest() -> None:
    scene, lab, provider, liaison = opening_scene()
    scene.remove(provider)
    raw = direct(scene, lab, [liaison])
    held = dict(parse_direct(parse_message(raw).body).wraps)
    held[provider.card.kem_id] = held[liaison.card.kem_id]
    with pytest.raises(VerificationError, match="for somebody who is no member"):
        scene.reader().accept(swapped(scene, lab, raw, held), now=scene.now)


def _without(objects: list[Json]) -> list[Json]:
    return objects[:-1]


def _twice(objects: list[Json]) -> list[Json]:
    second = dict(objects[-1], id="note--00000000-0000-4000-8000-000000000002")
    return [*objects, second]


def _alone(objects: list[Json]) -> list[Json]:
    return objects[-1:]


def _about_another(objects: list[Json]) -> list[Json]:
    other = "indicator--00000000-0000-4000-8000-000000000002"
    return [*objects[:-1], dict(objects[-1], object_refs=[other])]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (_without, "holds no release note"),
        (_twice, "holds more than one release note"),
        (_alone, "releases nothing"),
        (_about_another, "names other objects than are sent"),
    ],
)
def test_the_release_note_is_there_once_and_true(
    change: Callable[[list[Json]], list[Json]], error: str
) -> None:
    scene, lab, _, liaison = opening_scene()
    content = [red(lab)]
    objects = change([*content, note(lab, [liaison], content)])
    raw = direct(scene, lab, [liaison], objects)
    with pytest.raises(VerificationError, match=error):
        opened(scene, raw, liaison)


@pytest.mark.parametrize("audience", [Audience.DETAIL, Audience.AGGREGATE])
def test_a_release_note_elsewhere_is_refused(audience: Audience) -> None:
    scene, lab, provider, _ = opening_scene()
    about = stix("campaign", lab, "c", name="LANTERN")
    raw = scene.seal(lab, [about, note(lab, [provider], [about])], audience=audience)
    with pytest.raises(VerificationError, match="belongs into a direct message"):
        scene.open(scene.reader(), raw, provider)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"opt_in": False}, "did not opt in"),
        ({"opt_in": 1}, "did not opt in"),
        ({"basis": ""}, "1 to 256 printable characters"),
        ({"basis": "x" * 257}, "1 to 256 printable characters"),
        ({"recipients": []}, "ids of members are expected"),
        ({"recipients": ["identity--1"]}, "ids of members are expected"),
        ({"valid_until": "2027"}, "an integer from 0"),
        ({"more": 1}, "1 unknown"),
    ],
)
def test_the_release_notes_content_is_closed(changes: dict[str, object], error: str) -> None:
    scene, lab, _, liaison = opening_scene()
    content = [red(lab)]
    objects = [*content, note(lab, [liaison], content, **changes)]
    with pytest.raises(InputError, match=error):
        opened(scene, direct(scene, lab, [liaison], objects), liaison)


def test_it_cannot_be_replayed_elsewhere() -> None:
    scene, lab, _, liaison = opening_scene()
    raw = direct(scene, lab, [liaison])
    other = Scene(lab, Policy(heartbeat=3600))
    other.rotate()
    with pytest.raises(VerificationError, match="is addressed to another channel"):
        other.trusted.accept(raw, now=scene.now)
    scene.post(raw)
    later = direct(scene, lab, [liaison])
    # The whole body of the first at the place of the second.
    moved = remade(scene, lab, later, lambda _: parse_message(raw).body)
    with pytest.raises(VerificationError, match="does not open with this key and context"):
        opened(scene, moved, liaison)


def test_its_body_cannot_go_into_another_epoch() -> None:
    scene, lab, _, liaison = opening_scene()
    twin = scene.copy()
    raw = direct(scene, lab, [liaison])
    twin.rotate()
    later = direct(twin, lab, [liaison], seq=9, prev="0" * 64)
    moved = remade(twin, lab, later, lambda _: parse_message(raw).body)
    accepted = Accepted(parse_message(moved), lab.card, lab.id, frozenset(), False, frozenset())
    with pytest.raises(VerificationError, match="does not open with this key and context"):
        open_direct(twin.trusted, accepted, liaison.kem)


def test_it_keeps_its_place_but_is_not_used_when_its_epoch_is_stale() -> None:
    scene, lab, provider, liaison = opening_scene()
    seen = stix("opinion", provider, "o", opinion="agree", object_refs=[indicator(lab)["id"]])
    objects = [seen, note(provider, [liaison], [seen])]
    late = direct(scene, provider, [liaison], objects)
    scene.rotate()
    scene.now = NOW + 3 * DAY
    scene.publish(lab, [indicator(lab)])
    with pytest.raises(RefusedError, match="epoch was superseded"):
        scene.post(late)
    assert scene.trusted.position(provider.pub)[0] == 2


def test_an_expired_one_is_not_opened() -> None:
    scene, lab, _, liaison = opening_scene()
    raw = direct(scene, lab, [liaison], expires=scene.now + 10)
    trusted = scene.reader()
    accepted = trusted.accept(raw, now=scene.now + 11)
    with pytest.raises(VerificationError, match="the message has expired"):
        open_direct(trusted, accepted, liaison.kem)


def _count(number: int) -> Callable[[bytes], bytes]:
    return lambda body: number.to_bytes(4, "big") + body[4:]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda body: b"", "ends inside count"),
        (_count(0), f"1 to {MAX_MEMBERS} wraps"),
        (_count(MAX_MEMBERS + 1), f"1 to {MAX_MEMBERS} wraps"),
        (_count(2**32 - 1), f"1 to {MAX_MEMBERS} wraps"),
        (_count(MAX_MEMBERS), "ends inside"),
        (lambda body: body[: 4 + 2 * 1200 + 31], "ends inside commitment"),
        (lambda body: body[:4] + body[1204:2404] + body[4:1204] + body[2404:], "must ascend"),
        (lambda body: body[:4] + body[4:1204] * 2 + body[2404:], "must ascend"),
    ],
)
def test_a_body_of_wrong_form_is_refused_by_all(
    change: Callable[[bytes], bytes], error: str
) -> None:
    scene, lab, provider, liaison = opening_scene()
    raw = direct(scene, lab, [provider, liaison])
    assert len(raw) < MAX_BODY
    with pytest.raises(InputError, match=error):
        scene.reader().accept(remade(scene, lab, raw, change), now=scene.now)


def test_an_altered_bundle_does_not_open() -> None:
    scene, lab, _, liaison = opening_scene()
    raw = direct(scene, lab, [liaison])
    bent = remade(scene, lab, raw, lambda body: body[:-1] + bytes([body[-1] ^ 1]))
    with pytest.raises(VerificationError, match="the sealed body does not open"):
        opened(scene, bent, liaison)
