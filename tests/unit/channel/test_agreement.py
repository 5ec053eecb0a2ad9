"""Two members who meet only through the hub agree on members, epoch and heads.

200 random histories. In each, two members publish from what they themselves have verified so far,
while others join, leave, change cards and roles, and the hub hands everybody the same messages in
other portions and another order, some of them twice. The members crash and go on from their stored
state, and their clocks are up to a day before or behind the owner's.
Source: schemas/channel-v1.md, "Verification": the result does not depend on the receiver's clock.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from hub.channel.card import card_message
from hub.channel.epoch import EpochSecrets, unwrap
from hub.channel.header import Audience, MessageType
from hub.channel.ledger import CLOCK_SKEW
from hub.channel.manifest import DAY, Member, next_version
from hub.channel.notices import Deleted
from hub.channel.seal import seal_data, seal_heartbeat, seal_tombstone
from hub.channel.verify import TrustedChannel
from hub.errors import VerificationError
from tests.unit.channel.arrival import accept_many
from tests.unit.channel.cast import LIAISON, PUBLISHER, READER, Person, Scene, as_bundle, indicator

_HISTORIES: Final = 200
_GROUPS: Final = 8
_STEPS: Final = 12
_OTHERS: Final = tuple(Person(f"other {number}") for number in range(4))
_NORTH, _SOUTH, _LAB = Person("north"), Person("south"), Person("lab")


class Reader:
    """One of the two: knows what the hub handed it, and what it wrote itself."""

    def __init__(self, person: Person, scene: Scene, skew: int) -> None:
        self.person, self.scene, self.skew = person, scene, skew
        self.trusted = TrustedChannel.from_genesis(
            scene.wire[0], owner_roots=scene.manifest.owners, now=scene.now
        )
        self.cursor = 1
        self.waiting: list[bytes] = []
        self.secrets: dict[int, EpochSecrets] = {}

    @property
    def now(self) -> int:
        return self.scene.now + self.skew

    def pull(self, dice: random.Random, upto: int) -> None:
        """Take what the hub has up to a position, in any order, some of it twice."""
        new = self.scene.wire[self.cursor : upto]
        self.cursor = max(self.cursor, upto)
        batch = [*self.waiting, *new, *dice.sample(new, len(new) // 3)]
        dice.shuffle(batch)
        outcome = accept_many(self.trusted, batch, now=self.now)
        assert [str(error) for _, error in outcome.refused] == []
        self.waiting = list(dict.fromkeys(raw for raw, _ in outcome.waiting))
        for accepted in outcome.accepted:
            header = accepted.message.header
            if header.t is MessageType.EPOCH and header.ep is not None:
                opened = unwrap(self.trusted, accepted.message.raw, self.person.kem)
                self.secrets[header.ep] = opened

    def crash(self) -> None:
        self.trusted = TrustedChannel.restore(self.trusted.state())

    def write(self, dice: random.Random) -> None:
        """Seal from one's own view; a view that is too old fails closed, before sealing."""
        trusted, signing = self.trusted, self.person.signing
        # Further ahead than this its messages would wait at everybody else's.
        now = self.scene.now + max(-CLOCK_SKEW, min(CLOCK_SKEW, self.skew))
        try:
            trusted.check_can_publish(now, self.person.pub)
        except VerificationError:
            return
        assert trusted.epoch is not None
        kind = dice.choice(["data", "heartbeat", "tombstone"])
        last = trusted.last(self.person.pub)
        if kind == "tombstone" and last is not None:
            gone = Deleted(self.person.pub, *last)
            raw = seal_tombstone(trusted, signing, [gone], reason="error", now=now)
        elif kind == "heartbeat":
            raw = seal_heartbeat(trusted, signing, now=now)
        else:
            raw = seal_data(
                trusted,
                self.secrets[trusted.epoch.number],
                signing,
                Audience.DETAIL,
                as_bundle([indicator(self.person, f"192.0.2.{dice.randrange(1, 255)}")]),
                now=now,
            )
        # Its own state takes it before anybody else does, as the outbox does.
        trusted.accept(raw, now=now)
        self.scene.post(raw)

    def view(self) -> tuple[object, ...]:
        """Everything that two members must agree on."""
        trusted = self.trusted
        people = (_LAB, _NORTH, _SOUTH, *_OTHERS, _LAB.renewed(), *(o.renewed() for o in _OTHERS))
        return (
            trusted.manifest,
            trusted.epoch,
            tuple(trusted.epochs.items()),
            sorted((row.member, row.card) for row in trusted.manifest.members),
            [trusted.last(person.pub) for person in people],
            trusted.alarms,
        )


class History:
    """One channel's random life."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.scene = Scene(_LAB)
        self.scene.rotate()
        self.scene.admit((_NORTH, PUBLISHER), (_SOUTH, PUBLISHER))
        self.present: dict[str, Person] = {}
        self.absent = {person.name: person for person in _OTHERS}
        skews = (self.dice.randrange(-DAY, DAY), self.dice.randrange(-DAY, DAY))
        self.north = Reader(_NORTH, self.scene, skews[0])
        self.south = Reader(_SOUTH, self.scene, skews[1])
        self.readers = (self.north, self.south)

    def live(self) -> None:
        """Some steps, then everything arrives."""
        steps: tuple[Callable[[], None], ...] = (
            self.join,
            self.leave,
            self.renew,
            self.rotate,
            self.change_roles,
            self.crash,
            self.write,
            self.write,
            self.pull,
            self.pull,
        )
        for _ in range(_STEPS):
            self.scene.now += self.dice.randrange(1, 4 * 3600)
            self.dice.choice(steps)()
        # A clock that lags makes messages wait, until it has passed their time.
        self.scene.now += DAY
        for reader in self.readers:
            reader.pull(self.dice, len(self.scene.wire))

    def join(self) -> None:
        if self.absent:
            person = self.absent.pop(self.dice.choice(sorted(self.absent)))
            self.scene.admit((person, self.dice.choice([PUBLISHER, READER, LIAISON])))
            self.present[person.name] = person

    def leave(self) -> None:
        if self.present:
            self.scene.remove(self.present.pop(self.dice.choice(sorted(self.present))))

    def renew(self) -> None:
        """A member posts its next card; the owner takes it up."""
        names = [name for name, person in self.present.items() if person.card.number == 1]
        if not names:
            return
        old = self.present[self.dice.choice(names)]
        new = old.renewed()
        self.present[old.name] = new
        self.scene.post(card_message(self.scene.trusted.channel, new.card_raw))
        self._change(old.id, lambda row: replace(row, card=new.card.hash), removed=True)
        self.scene.rotate()

    def change_roles(self) -> None:
        if self.present:
            person = self.present[self.dice.choice(sorted(self.present))]
            roles = self.dice.choice([PUBLISHER, READER])
            row = self.scene.manifest.member(person.id)
            assert row is not None
            # A key that loses a right to sign has its last message named; its card goes with it.
            if row.roles <= roles:
                self._change(person.id, lambda row: replace(row, roles=roles), removed=False)
                self.scene.rotate()

    def _change(self, member: str, change: Callable[[Member], Member], *, removed: bool) -> None:
        old = self.scene.manifest
        self.scene.publish_manifest(
            next_version(
                old,
                members=[change(row) if row.member == member else row for row in old.members],
                removed=[self.scene.trusted.final_of(member)] if removed else [],
                created=self.scene.now,
                expires=self.scene.now + 90 * DAY,
            )
        )

    def rotate(self) -> None:
        self.scene.rotate()

    def crash(self) -> None:
        self.dice.choice(self.readers).crash()

    def write(self) -> None:
        reader = self.dice.choice(self.readers)
        if self.dice.random() < 0.8:
            reader.pull(self.dice, len(self.scene.wire))
        if not reader.waiting:
            reader.write(self.dice)

    def pull(self) -> None:
        reader = self.dice.choice(self.readers)
        reader.pull(self.dice, self.dice.randint(reader.cursor, len(self.scene.wire)))


@pytest.mark.parametrize("group", range(_GROUPS))
def test_two_members_agree(group: int) -> None:
    for seed in range(group, _HISTORIES, _GROUPS):
        history = History(seed)
        history.live()
        assert [reader.waiting for reader in history.readers] == [[], []], seed
        assert history.north.view() == history.south.view(), seed
        assert history.north.trusted.manifest == history.scene.manifest, seed
        assert history.north.trusted.alarms == (), seed


def test_a_hub_that_keeps_a_message_from_one_of_them_is_seen() -> None:
    """The comparison above can fail."""
    history = History(3)
    history.live()
    hidden = history.scene.wire.pop()
    late = Reader(_SOUTH, history.scene, 0)
    late.pull(history.dice, len(history.scene.wire))
    assert late.view() != history.north.view()
    history.scene.wire.append(hidden)
    late.pull(history.dice, len(history.scene.wire))
    assert late.view() == history.north.view()
