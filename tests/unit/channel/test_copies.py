"""A copy of a channel is a draft: what it takes leaves the channel as it was."""

from __future__ import annotations

from hub.channel.notices import Deleted
from hub.channel.seal import seal_heartbeat, seal_tombstone
from tests.unit.channel.cast import NOW, indicator, opening_scene


def test_what_a_copy_takes_leaves_the_channel_as_it_was() -> None:
    scene, lab, provider, _ = opening_scene()
    first = scene.publish(lab, [indicator(lab)])
    trusted = scene.trusted
    before = trusted.state()
    draft = trusted.copy()
    assert draft.state() == before
    known = len(scene.wire)
    scene.trusted = draft
    scene.publish(lab, [indicator(lab, "192.0.2.9")])
    gone = Deleted(lab.pub, first.message.header.seq or 0, first.message.digest)
    scene.post(seal_tombstone(draft, lab.signing, [gone], reason="expired", now=NOW))
    scene.post(seal_heartbeat(draft, lab.signing, now=NOW))
    scene.remove(provider)
    scene.rotate()
    draft.raise_alarm("fork", "here", "a test", "00", NOW)
    assert trusted.state() == before
    assert trusted.epoch != draft.epoch
    for raw in scene.wire[known:]:
        trusted.accept(raw, now=NOW)
    trusted.raise_alarm("fork", "here", "a test", "00", NOW)
    assert trusted.state() == draft.state()
