"""No history of events confuses two readers: a state machine over a channel.

Source: schemas/channel-v1.md, "Verification".
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)

from hub.channel.epoch import unwrap
from hub.channel.seal import seal_heartbeat
from hub.channel.verify import TrustedChannel
from hub.errors import VerificationError
from tests.unit.channel.arrival import accept_many
from tests.unit.channel.cast import PUBLISHER, Person, indicator, opening_scene


class ChannelMachine(RuleBasedStateMachine):
    """An owner, publishers who come and go, and two readers served by an unreliable hub.

    One reader takes every message at once. The other takes them in batches that the hub shuffles,
    repeats and delays. Both must come to know the same, and nobody removed opens anything new.
    """

    delayed: Bundle[bytes] = Bundle("delayed")

    @initialize()
    def begin(self) -> None:
        self.scene, self.lab, self.provider, _ = opening_scene()
        self.members: dict[str, Person] = {}
        self.gone: dict[str, Person] = {}
        self.prompt = self.scene.reader()
        self.patient = self.scene.reader()
        self.seen = len(self.scene.wire)
        self.backlog: list[bytes] = []
        self.published: dict[str, bytes] = {}

    def deliver(self) -> None:
        for raw in self.scene.wire[self.seen :]:
            self.prompt.accept(raw, now=self.scene.now)
            self.backlog.append(raw)
        self.seen = len(self.scene.wire)

    @rule(name=st.sampled_from(["north", "south", "east"]))
    def join(self, name: str) -> None:
        if name in self.members or name in self.gone:
            return
        person = Person(name)
        self.scene.admit((person, PUBLISHER))
        self.members[name] = person
        self.deliver()

    @precondition(lambda self: self.members)
    @rule(index=st.integers(0, 10))
    def leave(self, index: int) -> None:
        name = sorted(self.members)[index % len(self.members)]
        person = self.members.pop(name)
        self.scene.remove(person)
        self.gone[name] = person
        self.deliver()

    @rule(index=st.integers(0, 10), number=st.integers(1, 250))
    def publish(self, index: int, number: int) -> None:
        people = [self.lab, *self.members.values()]
        person = people[index % len(people)]
        accepted = self.scene.publish(person, [indicator(person, f"192.0.2.{number}")])
        self.published[accepted.message.digest] = accepted.message.raw
        self.deliver()

    @rule(index=st.integers(0, 10))
    def beat(self, index: int) -> None:
        people = [self.lab, *self.members.values()]
        person = people[index % len(people)]
        self.scene.post(seal_heartbeat(self.scene.trusted, person.signing, now=self.scene.now))
        self.deliver()

    @rule()
    def rotate(self) -> None:
        self.scene.rotate()
        self.deliver()

    @rule(hours=st.integers(1, 12))
    def wait(self, hours: int) -> None:
        self.scene.now += hours * 3600

    @rule()
    def crash(self) -> None:
        self.patient = TrustedChannel.restore(self.patient.state())
        self.scene.trusted = TrustedChannel.restore(self.scene.trusted.state())

    @precondition(lambda self: self.backlog)
    @rule(target=delayed, index=st.integers(0, 100))
    def delay(self, index: int) -> bytes:
        return self.backlog.pop(index % len(self.backlog))

    @rule(raw=consumes(delayed))
    def arrive(self, raw: bytes) -> None:
        self.backlog.insert(0, raw)

    @rule(random=st.randoms(use_true_random=False), twice=st.booleans())
    def pull(self, random: Any, twice: bool) -> None:
        batch = self.backlog * (2 if twice else 1)
        random.shuffle(batch)
        outcome = accept_many(self.patient, batch, now=self.scene.now)
        assert [str(error) for _, error in outcome.refused] == []
        self.backlog = list(dict.fromkeys(raw for raw, _ in outcome.waiting))

    @precondition(lambda self: self.gone and self.published)
    @rule(index=st.integers(0, 10))
    def a_removed_member_tries(self, index: int) -> None:
        name = sorted(self.gone)[index % len(self.gone)]
        person = self.gone[name]
        assert unwrap(self.prompt, self.scene.epochs[-1], person.kem).detail is None
        with pytest.raises(VerificationError, match="does not list this card"):
            self.scene.seal(person, [indicator(person)])

    @invariant()
    def the_prompt_reader_knows_what_the_owner_knows(self) -> None:
        assert self.prompt.manifest == self.scene.manifest
        assert self.prompt.epoch == self.scene.trusted.epoch
        assert self.prompt.alarms == self.patient.alarms == ()

    def teardown(self) -> None:
        """In the end everything arrives, and the patient reader has caught up."""
        if not hasattr(self, "scene"):
            return
        outcome = accept_many(self.patient, self.scene.wire[1:], now=self.scene.now)
        assert [str(error) for _, error in (*outcome.waiting, *outcome.refused)] == []
        assert self.patient.manifest == self.scene.manifest
        assert self.patient.epoch == self.scene.trusted.epoch
        for person in (self.lab, *self.members.values(), *self.gone.values()):
            assert self.patient.last(person.pub) == self.prompt.last(person.pub)


ChannelMachine.TestCase.settings = settings(
    max_examples=6,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    # A history of signatures shrinks too slowly to be worth it: the steps are printed as they were.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestChannelMachine = ChannelMachine.TestCase
