"""Epochs for channels of every size: who gets which secret, and who gets none."""

from __future__ import annotations

import pytest

from hub.channel.epoch import unwrap
from hub.channel.header import MAX_BODY, parse_message
from hub.channel.wraps import parse_epoch_body
from tests.unit.channel.cast import LIAISON, READER, Person, Scene


@pytest.mark.parametrize("members", [2, 3, 40, 500])
def test_an_epoch_wraps_for_exactly_its_readers(members: int) -> None:
    owner = Person("lab")
    scene = Scene(owner)
    people = [Person(f"member {number}") for number in range(members - 1)]
    liaisons = people[1::3]
    readers = [each for each in people if each not in liaisons]
    scene.admit(*((each, READER) for each in readers), *((each, LIAISON) for each in liaisons))
    raw = scene.epochs[-1]
    body = parse_epoch_body(parse_message(raw).body)
    assert [len(wraps) for wraps in body.wraps.values()] == [1 + len(readers), members]
    assert len(parse_message(raw).body) < MAX_BODY
    for person in {readers[0], readers[-1]}:
        secrets = unwrap(scene.trusted, raw, person.kem)
        assert (secrets.detail, secrets.aggregate) == (
            scene.current.detail,
            scene.current.aggregate,
        )
    for person in liaisons[-1:]:
        secrets = unwrap(scene.trusted, raw, person.kem)
        assert (secrets.detail, secrets.aggregate) == (None, scene.current.aggregate)
    gone = readers[-1]
    scene.remove(gone)
    after = unwrap(scene.trusted, scene.epochs[-1], gone.kem)
    assert (after.detail, after.aggregate) == (None, None)
    wraps = parse_epoch_body(parse_message(scene.epochs[-1]).body).wraps.values()
    assert [len(each) for each in wraps] == [len(readers), members - 1]
