"""Owners, members and clocks that lie about epochs: each attempt has its own error."""

from __future__ import annotations

import dataclasses

import pytest

from hub.channel.epoch import unwrap
from hub.channel.header import Audience, parse_message, signed_message
from hub.channel.manifest import DAY
from hub.channel.open import open_data
from hub.channel.seal import seal_data
from hub.channel.verify import NotYetError, TrustedChannel
from hub.channel.wraps import WRAPPED_SIZE, EpochBody
from hub.errors import InputError, VerificationError
from tests.unit.channel.cast import Scene, as_bundle, indicator, opening_scene
from tests.unit.channel.forgery import epoch_body, epoch_message

DETAIL, AGGREGATE = Audience.DETAIL, Audience.AGGREGATE


def _kinds(trusted: TrustedChannel) -> list[str]:
    return [alarm.kind for alarm in trusted.alarms]


def _rewrapped(scene: Scene, body: EpochBody) -> tuple[TrustedChannel, bytes]:
    """A reader that accepted the epoch message: without secrets nothing is wrong with it."""
    raw = epoch_message(scene, scene.owner, body)
    reader = scene.reader()
    reader.accept(raw, now=scene.now)
    return reader, raw


def test_wraps_that_change_places_open_for_nobody() -> None:
    scene, lab, provider, _ = opening_scene()
    body = epoch_body(scene)
    one, other = lab.card.kem_id, provider.card.kem_id
    detail = dict(body.wraps[DETAIL])
    detail[one], detail[other] = detail[other], detail[one]
    reader, raw = _rewrapped(scene, dataclasses.replace(body, wraps={**body.wraps, DETAIL: detail}))
    for person in (lab, provider):
        with pytest.raises(VerificationError, match="the wrapped secret does not open"):
            unwrap(reader, raw, person.kem)


def test_a_wrap_of_the_other_audience_does_not_open() -> None:
    scene, _, provider, _ = opening_scene()
    body = epoch_body(scene)
    key = provider.card.kem_id
    detail = {**body.wraps[DETAIL], key: body.wraps[AGGREGATE][key]}
    reader, raw = _rewrapped(scene, dataclasses.replace(body, wraps={**body.wraps, DETAIL: detail}))
    with pytest.raises(VerificationError, match="the wrapped secret does not open"):
        unwrap(reader, raw, provider.kem)


def test_wraps_out_of_order_are_refused_by_all() -> None:
    scene, lab, _, _ = opening_scene()
    whole = epoch_body(scene)
    size, data = 32 + WRAPPED_SIZE, whole.to_bytes()
    start = len(data) - size * sum(len(wraps) for wraps in whole.wraps.values())
    first, second = data[start : start + size], data[start + size : start + 2 * size]
    swapped = data[:start] + second + first + data[start + 2 * size :]
    header = parse_message(epoch_message(scene, lab, whole)).header
    for bad in (swapped, data[:start] + first + first + data[start + 2 * size :]):
        raw = signed_message(header, bad, lab.signing)
        with pytest.raises(InputError, match=r"epoch body.detail wraps: .*ascend"):
            scene.reader().accept(raw, now=scene.now)


def test_a_commitment_that_no_secret_matches_is_an_alarm_for_each_reader() -> None:
    scene, lab, provider, liaison = opening_scene()
    body = epoch_body(scene)
    reader, raw = _rewrapped(
        scene, dataclasses.replace(body, commitments=dict.fromkeys(body.commitments, "ab" * 32))
    )
    for person in (lab, provider, liaison):
        with pytest.raises(VerificationError, match="another secret for this member than it comm"):
            unwrap(reader, raw, person.kem)
    assert set(_kinds(reader)) == {"commitment"}


def test_an_epoch_that_skips_a_number_waits() -> None:
    scene, lab, _, _ = opening_scene()
    assert scene.trusted.epoch is not None
    number = scene.trusted.epoch.number + 2
    raw = epoch_message(scene, lab, epoch_body(scene), number=number)
    with pytest.raises(NotYetError, match=f"epoch {number - 1} has not arrived"):
        scene.reader().accept(raw, now=scene.now)


def test_an_epoch_that_follows_another_one_is_refused() -> None:
    scene, lab, _, _ = opening_scene()
    body = dataclasses.replace(epoch_body(scene), previous="cd" * 32)
    with pytest.raises(VerificationError, match="does not follow the epoch before it"):
        scene.reader().accept(epoch_message(scene, lab, body), now=scene.now)


def test_a_member_begins_no_epoch() -> None:
    scene, _, provider, _ = opening_scene()
    raw = epoch_message(scene, provider, epoch_body(scene))
    with pytest.raises(VerificationError, match="only owners begin epochs"):
        scene.reader().accept(raw, now=scene.now)


def test_a_body_does_not_open_in_another_epoch() -> None:
    """Its own sender signs it again under the next epoch: the key is another one."""
    scene, lab, provider, _ = opening_scene()
    old = parse_message(scene.seal(lab, [indicator(lab)]))
    scene.rotate()
    seq, prev = scene.trusted.position(lab.pub)
    header = dataclasses.replace(old.header, ep=scene.current.epoch, seq=seq, prev=prev)
    raw = signed_message(header, old.body, lab.signing)
    with pytest.raises(VerificationError, match="does not open with this key"):
        scene.open(scene.reader(), raw, provider)


def test_secrets_of_another_epoch_open_nothing() -> None:
    scene, lab, _, _ = opening_scene()
    accepted = scene.publish(lab, [indicator(lab)])
    before = scene.current
    scene.rotate()
    later = scene.publish(lab, [indicator(lab, "192.0.2.2")])
    with pytest.raises(VerificationError, match="secrets of epoch 3 are needed, not of 2"):
        open_data(scene.trusted, later, before)
    with pytest.raises(VerificationError, match="secrets of epoch 2 are needed, not of 3"):
        open_data(scene.trusted, accepted, scene.current)


@pytest.mark.parametrize("days", [-1, 1])
def test_a_day_of_clock_skew_forks_nothing(days: int) -> None:
    """A clock a day behind is taken, one a day ahead waits; neither is an alarm."""
    scene, lab, provider, _ = opening_scene()
    raw = seal_data(
        scene.trusted,
        scene.current,
        lab.signing,
        DETAIL,
        as_bundle([indicator(lab)]),
        now=scene.now + days * DAY,
    )
    reader = scene.reader()
    if days > 0:
        with pytest.raises(NotYetError, match="86400 s in the future"):
            reader.accept(raw, now=scene.now)
    accepted = reader.accept(raw, now=scene.now + max(0, days) * DAY)
    secrets = unwrap(reader, scene.epochs[-1], provider.kem)
    assert open_data(reader, accepted, secrets).member == lab.id
    assert reader.alarms == ()
