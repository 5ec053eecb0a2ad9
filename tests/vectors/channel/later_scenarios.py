"""Scenarios of direct messages, citations of the log, custodians and re-enrolment."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from hub.channel.card import card_message, issue_card, parse_card
from hub.channel.direct import Release, parse_direct
from hub.channel.header import (
    Header,
    MessageType,
    frame,
    parse_message,
    signed_bytes,
    signed_message,
)
from hub.channel.manifest import DAY, next_version
from hub.channel.notices import Heartbeat
from hub.channel.primitives.sign import NotePrivate
from hub.channel.seal import FingerprintSecret, seal_direct, seal_heartbeat, seal_keys
from hub.model.markings import TLP
from tests.unit.channel.cast import NOW, READER, Person, Scene, as_bundle, indicator, seed, stix
from tests.vectors.channel.parts import COSIGNED, LOG, cosigned, custodians, note

Record = tuple[list[bytes], str]
LAB, PROVIDER, LIAISON = Person("lab"), Person("provider"), Person("liaison")


def _direct(scene: Scene, to: Sequence[Person], named: Sequence[Person] | None = None) -> bytes:
    """A direct message of the lab; its release note names others than its wraps if `named`."""
    red = indicator(LAB) | {"object_marking_refs": [TLP.RED.id]}
    listed = tuple(sorted(each.id for each in named or to))
    ground = stix(
        "note",
        LAB,
        "release",
        labels=["stillwatch:release"],
        object_refs=[red["id"]],
        content=Release("Art. 6(1)(f) GDPR", listed, NOW + 30 * DAY).content(),
    )
    bundle = as_bundle([red, ground])
    ids = [each.id for each in to]
    return seal_direct(scene.trusted, LAB.signing, ids, bundle, now=scene.now)


def _changed(raw: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The message with another body, signed by the lab."""
    message = parse_message(raw)
    body = change(message.body)
    return frame(message.header_raw, body, LAB.signing.sign(signed_bytes(message.header_raw, body)))


def _opened(scene: Scene) -> Record:
    scene.post(_direct(scene, [LAB, PROVIDER]))
    scene.post(seal_heartbeat(scene.trusted, LAB.signing, now=NOW))
    return [], "accept"


def _for_another(scene: Scene) -> Record:
    return [_direct(scene, [LAB, LIAISON])], "open: refused: is not sealed for this card"


def _lying_list(scene: Scene) -> Record:
    raw = _direct(scene, [LAB, PROVIDER, LIAISON], named=[LAB, PROVIDER])
    return [raw], "open: refused: names other recipients than can open the message"


def _for_a_stranger(scene: Scene) -> Record:
    stranger = bytes.fromhex(Person("ghost").card.kem_id)

    def change(body: bytes) -> bytes:
        parsed = parse_direct(body)
        wraps = {**parsed.wraps, stranger.hex(): next(iter(parsed.wraps.values()))}
        return dataclasses.replace(parsed, wraps=wraps).to_bytes()

    raw = _changed(_direct(scene, [LAB, PROVIDER]), change)
    return [raw], "refused: wraps a direct message for somebody who is no member"


def _another_secret(scene: Scene) -> Record:
    def change(body: bytes) -> bytes:
        return dataclasses.replace(parse_direct(body), commitment="00" * 32).to_bytes()

    raw = _changed(_direct(scene, [LAB, PROVIDER]), change)
    return [raw], "open: refused: wrapped another secret for this member than it committed to"


def _pin(scene: Scene) -> None:
    scene.publish_manifest(
        next_version(
            scene.manifest, created=NOW, expires=NOW + 90 * DAY, log=LOG, witnesses=COSIGNED
        )
    )


def _says(scene: Scene, who: Person, cp: str) -> bytes:
    """A heartbeat that cites a checkpoint, whatever it is."""
    seq, prev = scene.trusted.position(who.pub)
    header = Header(
        t=MessageType.HEARTBEAT,
        ch=scene.trusted.channel,
        ts=NOW,
        man=scene.manifest.hash,
        pub=who.pub,
        seq=seq,
        prev=prev,
        cp=cp,
    )
    return signed_message(header, Heartbeat(DAY, None, None).to_bytes(), who.signing)


def _cites(scene: Scene) -> Record:
    _pin(scene)
    scene.post(_says(scene, LAB, cosigned(note(5))))
    scene.post(_says(scene, PROVIDER, note(9)))
    return [], "accept"


def _cites_another_key(scene: Scene) -> Record:
    _pin(scene)
    raw = _says(scene, LAB, note(5, key=NotePrivate(seed("another log", 32))))
    return [raw], "refused: cites no checkpoint of the channel's log"


def _cites_without_log(scene: Scene) -> Record:
    raw = _says(scene, LAB, note(5))
    return [raw], "refused: cites a checkpoint, but the channel has no log"


def _split_view(scene: Scene) -> Record:
    _pin(scene)
    scene.post(_says(scene, LAB, note(5)))
    scene.post(_says(scene, PROVIDER, note(5, name="other")))
    return [], "accept, alarm: split-view"


def _keys(scene: Scene) -> bytes:
    rows = custodians(scene.trusted.channel)
    key = FingerprintSecret(rows[0].key_id, seed("fingerprint key", 32), NOW)
    return seal_keys(scene.trusted, scene.current, LAB.signing, [key], now=NOW, custodians=rows)


def _custodians(scene: Scene) -> Record:
    scene.post(_keys(scene))
    return [], "accept"


def _other_custodians(scene: Scene) -> Record:
    scene.post(_keys(scene))
    a, b = custodians(scene.trusted.channel)
    other = dataclasses.replace(b, public_key=custodians("ab" * 32)[1].public_key)
    key = FingerprintSecret(a.key_id, seed("fingerprint key", 32), NOW)
    raw = seal_keys(
        scene.trusted, scene.current, LAB.signing, [key], now=NOW, custodians=[a, other]
    )
    return [raw], "open: refused: named other custodians for a known fingerprint key"


def re_enrolled() -> Person:
    """The liaison under its member id, with another root and another card."""
    person = Person("liaison anew")
    person.id = LIAISON.id
    person.card_raw = issue_card(
        person.root,
        person.id,
        person.signing,
        person.kem.public,
        number=1,
        prev=None,
        not_before=NOW - DAY,
        not_after=NOW + 180 * DAY,
    )
    person.card = parse_card(person.card_raw)
    return person


def _enrols_anew(scene: Scene) -> Record:
    anew = re_enrolled()
    rows = [row for row in scene.manifest.members if row.member != LIAISON.id]
    scene.publish_manifest(
        next_version(
            scene.manifest,
            created=NOW,
            expires=NOW + 90 * DAY,
            members=[*rows, anew.row(READER)],
            removed=[scene.trusted.final_of(LIAISON.id)],
        )
    )
    scene.post(card_message(scene.trusted.channel, anew.card_raw))
    scene.rotate()
    scene.post(seal_heartbeat(scene.trusted, anew.signing, now=NOW))
    late = _heartbeat_of(scene, LIAISON)
    return [late], "refused: the key was removed after message 0"


def _heartbeat_of(scene: Scene, who: Person) -> bytes:
    header = Header(
        t=MessageType.HEARTBEAT,
        ch=scene.trusted.channel,
        ts=NOW,
        man=scene.manifest.hash,
        pub=who.pub,
        seq=1,
    )
    return signed_message(header, Heartbeat(DAY, None, None).to_bytes(), who.signing)


SCENARIOS: dict[str, Callable[[Scene], Record]] = {
    "accepted-direct": _opened,
    "refused-direct-for-another": _for_another,
    "refused-direct-lying-recipients": _lying_list,
    "refused-direct-for-a-stranger": _for_a_stranger,
    "refused-direct-other-secret": _another_secret,
    "accepted-cited-checkpoint": _cites,
    "refused-cited-checkpoint-of-another-key": _cites_another_key,
    "refused-cited-checkpoint-without-log": _cites_without_log,
    "alarm-cited-split-view": _split_view,
    "accepted-keys-with-custodians": _custodians,
    "refused-other-custodians": _other_custodians,
    "refused-old-root-after-re-enrolment": _enrols_anew,
}
