"""`cp` in headers: what may be cited, what is kept of it, and two trees of one size."""

from __future__ import annotations

import dataclasses

import pytest

from hub.channel.epoch import new_epoch
from hub.channel.header import Header, parse_message, signed_message
from hub.channel.log.checkpoint import Checkpoint, cosign, log_key, sign_checkpoint
from hub.channel.log.cited import MAX_CITED, Citations, Cited
from hub.channel.log.note import KeyType, VerifierKey, add_lines
from hub.channel.manifest import DAY, Log, Witnesses, next_version
from hub.channel.notices import Deleted
from hub.channel.primitives.sign import NotePrivate
from hub.channel.seal import FingerprintSecret, seal_heartbeat, seal_keys, seal_tombstone
from hub.channel.verify import TrustedChannel
from hub.errors import InputError, VerificationError
from hub.model.codec import canonical, loads
from tests.unit.channel.cast import NOW, Person, Scene, indicator, opening_scene

ORIGIN = "hub.example/stillwatch/c1/00000000000000e1"
KEY = NotePrivate(b"\x01" * 32)
WITNESS = NotePrivate(b"\x02" * 32)
LOG = Log(ORIGIN, log_key(ORIGIN, KEY).text)


def _note(size: int, root: bytes = b"\x07", *, origin: str = ORIGIN, time: int = NOW) -> str:
    return sign_checkpoint(Checkpoint(origin, size, root * 32, time), KEY)


def _logged() -> tuple[Scene, Person, Person]:
    scene, lab, provider, _ = opening_scene()
    scene.publish_manifest(
        next_version(scene.manifest, created=NOW, expires=NOW + 90 * DAY, log=LOG)
    )
    return scene, lab, provider


def test_every_type_quotes_what_was_noted() -> None:
    scene, lab, _ = _logged()
    line = cosign(_note(3), "witness.example/w1", WITNESS, NOW)
    noted = add_lines(_note(3), [line])
    scene.trusted.note_checkpoint(noted)
    scene.trusted = TrustedChannel.restore(scene.trusted.state())
    key = FingerprintSecret(f"{scene.trusted.channel[:16]}.2027q1", b"k" * 32, NOW)
    scene.post(seal_keys(scene.trusted, scene.current, lab.signing, [key], now=NOW))
    data = scene.publish(lab, [indicator(lab)])
    scene.post(seal_heartbeat(scene.trusted, lab.signing, now=NOW))
    gone = Deleted(lab.pub, data.message.header.seq or 0, data.message.digest)
    scene.post(seal_tombstone(scene.trusted, lab.signing, [gone], reason="expired", now=NOW))
    scene.rotate()
    assert [parse_message(raw).header.cp for raw in scene.wire[-5:]] == [noted] * 5
    (cited,) = scene.reader().cited
    assert (cited.member, cited.checkpoint.size, cited.raw) == (lab.id, 3, noted)
    assert cited.digest == parse_message(scene.wire[-5]).digest
    assert not scene.trusted.alarms


def test_what_may_not_be_cited() -> None:
    scene, lab, _ = _logged()
    other = NotePrivate(b"\x09" * 32)
    forged = sign_checkpoint(Checkpoint(ORIGIN, 3, b"\x07" * 32, NOW), other)
    for raw, text in (
        ("no note", "no note: text, a blank line and signatures are expected"),
        (_note(3, origin="hub.example/other"), "the checkpoint is of another log"),
        (forged, "the note is not signed by the expected key"),
        (_note(3).replace("\n3\n", "\n4\n"), "the Ed25519 signature is not valid"),
    ):
        match = f"cites no checkpoint of the channel's log: {text}"
        # The sender's own tools refuse it as much as every receiver does.
        with pytest.raises(VerificationError, match=match):
            scene.trusted.note_checkpoint(raw)
        with pytest.raises(VerificationError, match=match):
            seal_heartbeat(scene.trusted, lab.signing, now=NOW, checkpoint=raw)
        message = parse_message(seal_heartbeat(scene.trusted, lab.signing, now=NOW))
        header = dataclasses.replace(message.header, cp=raw)
        with pytest.raises(VerificationError, match=match):
            scene.post(_resigned(header, message.body, lab))
    assert scene.trusted.cited == ()


def _resigned(header: Header, body: bytes, person: Person) -> bytes:
    return signed_message(header, body, person.signing)


def test_a_channel_without_a_log_cites_nothing() -> None:
    scene, lab, _, _ = opening_scene()
    with pytest.raises(VerificationError, match="the channel has no log"):
        scene.trusted.note_checkpoint(_note(1))
    message = parse_message(seal_heartbeat(scene.trusted, lab.signing, now=NOW))
    assert message.header.cp is None
    header = dataclasses.replace(message.header, cp=_note(1))
    with pytest.raises(VerificationError, match="the channel has no log"):
        scene.post(_resigned(header, message.body, lab))


def test_a_log_that_was_left_is_not_quoted_any_more() -> None:
    scene, lab, _ = _logged()
    scene.trusted.note_checkpoint(_note(3))
    new = Log("hub.example/new", log_key("hub.example/new", KEY).text)
    scene.publish_manifest(
        next_version(scene.manifest, created=NOW, expires=NOW + 90 * DAY, log=new)
    )
    heartbeat = seal_heartbeat(scene.trusted, lab.signing, now=NOW)
    assert parse_message(scene.post(heartbeat).message.raw).header.cp is None
    raw, _ = new_epoch(scene.trusted, lab.signing, now=NOW, checkpoint=_note(1, origin=new.origin))
    assert scene.post(raw).message.header.cp == _note(1, origin=new.origin)


def test_two_trees_of_one_size_are_an_alarm() -> None:
    scene, lab, provider = _logged()
    scene.post(seal_heartbeat(scene.trusted, lab.signing, now=NOW, checkpoint=_note(3)))
    scene.post(seal_heartbeat(scene.trusted, lab.signing, now=NOW, checkpoint=_note(4, b"\x01")))
    same = _note(4, b"\x01", time=NOW - 60)
    scene.post(seal_heartbeat(scene.trusted, provider.signing, now=NOW, checkpoint=same))
    assert not scene.trusted.alarms
    raw = seal_heartbeat(scene.trusted, provider.signing, now=NOW, checkpoint=_note(4, b"\x02"))
    scene.post(raw)
    (alarm,) = scene.trusted.alarms
    assert (alarm.kind, alarm.where) == ("split-view", ORIGIN)
    assert alarm.digest == parse_message(raw).digest
    assert alarm.message == (
        f"the log signed two trees of 4 entries: {lab.id} cites another than {provider.id}"
    )
    scene.post(seal_heartbeat(scene.trusted, lab.signing, now=NOW, checkpoint=_note(3)))
    # Each author's highest is kept, and each distinct one is handed out once.
    assert [each.checkpoint.size for each in scene.trusted.cited] == [4, 4]
    taken = scene.trusted.take_citations()
    assert [(each.checkpoint.size, each.checkpoint.root[0]) for each in taken] == [
        (3, 7),
        (4, 1),
        (4, 2),
    ]
    assert scene.trusted.take_citations() == ()
    again = TrustedChannel.restore(scene.trusted.state())
    assert again.cited == scene.trusted.cited
    assert again.alarms == scene.trusted.alarms


def test_a_stale_message_is_evidence_all_the_same() -> None:
    """Its content is refused, but the log signed what it cites."""
    scene, _, provider = _logged()
    late = seal_heartbeat(scene.trusted, provider.signing, now=NOW, checkpoint=_note(5))
    scene.now = NOW + 3 * DAY
    scene.publish_manifest(next_version(scene.manifest, created=NOW + 60, expires=NOW + 90 * DAY))
    scene.rotate()
    with pytest.raises(VerificationError, match="superseded"):
        scene.post(late)
    assert [each.checkpoint.size for each in scene.trusted.cited] == [5]


def test_a_state_of_the_first_release_restores() -> None:
    scene, _, _ = _logged()
    state = loads(scene.trusted.state())
    del state["cited"]
    again = TrustedChannel.restore(canonical(state))
    assert again.cited == ()
    assert again.quote() is None
    for wrong in ({}, {"rows": [[1]], "quoted": None}, {"rows": [["m", "n", "d"]], "quoted": None}):
        with pytest.raises(InputError):
            TrustedChannel.restore(canonical({**state, "cited": wrong}))


def test_citations_are_bounded() -> None:
    citations = Citations()

    def cite(member: int, origin: str, size: int) -> None:
        point = Checkpoint(origin, size, b"\x07" * 32, NOW)
        citations.add(Cited(str(member), point, "raw", "digest"))

    for member in range(MAX_CITED):
        cite(member, "old.example", member + 1)
    cite(0, "new.example", 1)
    assert len(citations.rows) == MAX_CITED
    origins = [row.checkpoint.origin for row in citations.rows]
    assert (origins.count("old.example"), origins.count("new.example")) == (MAX_CITED - 1, 1)
    assert min(row.checkpoint.size for row in citations.rows[:-1]) == 2
    assert len(citations.take_fresh()) == MAX_CITED


def test_witnesses_need_a_log() -> None:
    scene, _, _, _ = opening_scene()
    key = VerifierKey("witness.example/w1", KeyType.WITNESS, WITNESS.public).text
    with pytest.raises(InputError, match="witnesses of no log"):
        next_version(scene.manifest, created=NOW, expires=NOW + DAY, witnesses=Witnesses(1, (key,)))
