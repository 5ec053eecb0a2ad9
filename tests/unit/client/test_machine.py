"""A channel's whole life, at random, through the clients that people run.

Members with homes on disk join, leave, change cards, publish and retract, crash in the middle and
come back from old copies of their homes, each with a clock of its own, around a hub that now and
then shows one of them a false picture. Whatever happens:

- nobody holds an object that its publisher did not say, or in other words than it said it;
- no signing key ever has two messages of one position;
- nothing that was said after a removal is held by the one removed;
- manifest and epoch only go forward at everybody who did not come back from an old copy;
- as long as the hub was honest there is no alarm;
- once it is honest again, all members agree on members, epoch, heads and live indicators;
- where the hub keeps a log, whatever it hides from a member, or says of the log to one that it did
  not say to others, is an alarm of that member's very pull.

Source: schemas/channel-v1.md, "Verification".
"""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hub.channel.carriage import from_artifact, is_artifact
from hub.channel.header import parse_message
from hub.channel.manifest import Policy
from hub.channel.primitives.hash import digest
from hub.client.home import Home
from hub.client.keyring import Unlock
from hub.client.membership import remove
from hub.client.publisher import Options, prepare, publish, retract
from hub.client.renewal import renew
from hub.client.state import State
from hub.client.subscriber import refresh
from hub.client.work import Desk
from hub.model.codec import Json
from tests.unit.client.circle import SETTINGS, Circle, Clock
from tests.unit.client.memory_hub import C1, MemoryHub

LAB: Final = "lab"
PUBLISHERS: Final = ("north", "south")
READERS: Final = ("east",)
OTHERS: Final = (*PUBLISHERS, *READERS)
EVERYBODY: Final = (LAB, *OTHERS)
LIES: Final = ("drop", "tail", "reorder", "replay", "flip")
Rows = list[tuple[str, Json]]


class CrashError(BaseException):
    """The power went."""


class ChannelLife(RuleBasedStateMachine):
    """See the module's text."""

    logged = False

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.folder = Path(tempfile.mkdtemp(prefix="stillwatch-machine-"))
        self.clock = Clock()
        self.hub = MemoryHub(now=self.clock, page_size=7, logged=self.logged)
        self.circle = Circle(self.folder, self.hub, self.clock)
        self.circle.open_channel(Policy(history="all"))
        self.members: list[str] = [LAB]
        self.said: dict[str, list[Json]] = {}
        self.gone: dict[str, set[str]] = {}
        self.copies: dict[str, Path] = {}
        self.seen: Counter[tuple[str, str]] = Counter()
        self.lied = False
        self.restored: set[str] = set()
        self.clocks: dict[str, Clock] = {LAB: self.clock}
        for name in OTHERS[:2]:
            self._admit(name)

    # -- members ---------------------------------------------------------------------------------

    def _admit(self, name: str) -> None:
        if name not in self.circle.desks:
            self.circle.add(name)
            self._reopen(name)
        self.circle.admit(name, "publish" if name in PUBLISHERS else "report")
        self.members.append(name)
        self.gone.pop(name, None)

    @precondition(lambda self: len(self.members) < len(EVERYBODY))
    @rule()
    def join(self) -> None:
        self._admit(next(name for name in OTHERS if name not in self.members))

    @precondition(lambda self: len(self.members) > 2)
    @rule(index=st.integers(0, 9))
    def leave(self, index: int) -> None:
        name = self.members.pop(1 + index % (len(self.members) - 1))
        self._copy(name, "ghosts")
        remove(self.circle.desks[LAB], "circle", self._home(name).member_id)
        self.gone[name] = set(self.said)
        self._pull(name)

    @precondition(lambda self: bool(set(self.gone) & set(PUBLISHERS)))
    @rule(index=st.integers(0, 9), number=st.integers(1, 250))
    def backdate(self, index: int, number: int) -> None:
        """A removed publisher goes on from before its removal, and the hub takes what it says."""
        names = sorted(set(self.gone) & set(PUBLISHERS))
        name = names[index % len(names)]
        home = Home.open(self.folder / "ghosts" / name, Unlock.key_file(), settings=SETTINGS)
        self.lied = True
        path = self.folder / "ghost.csv"
        path.write_text(f"address,campaign\n203.0.113.{number},GHOST\n")
        with contextlib.closing(home), home.locked():
            desk = Desk(home, self.hub.connect, self.clock)
            channel = home.state.channel("circle")
            prepared = prepare(home, channel, [path], Options(), now=self.clock())
            publish(desk, channel, prepared)

    @rule(index=st.integers(0, 9))
    def renew_card(self, index: int) -> None:
        name = self._any(index)
        renew(self.circle.desks[name], "circle", new_card=True)
        renew(self.circle.desks[LAB], "circle")

    @rule()
    def rotate(self) -> None:
        renew(self.circle.desks[LAB], "circle", force=True)

    # -- what they say ---------------------------------------------------------------------------

    @rule(index=st.integers(0, 9), number=st.integers(1, 250))
    def publish(self, index: int, number: int) -> None:
        self._say(self._publisher(index), number)

    def _say(self, name: str, number: int) -> None:
        path = self.folder / f"{name}.csv"
        path.write_text(f"address,campaign\n198.51.100.{number},LANTERN\n")
        desk = self.circle.desks[name]
        with desk.home.locked():
            channel = refresh(desk, desk.home.state.channel("circle"))
            prepared = prepare(desk.home, channel, [path], Options(), now=desk.clock())
            publish(desk, channel, prepared)
        self._note(name)

    @rule(index=st.integers(0, 9))
    def retract(self, index: int) -> None:
        name = self._publisher(index)
        desk = self.circle.desks[name]
        own = [
            str(body["id"])
            for body in desk.home.indicator_objects()
            if body["type"] == "indicator"
            and body.get("created_by_ref") == desk.home.member_id
            and body.get("revoked") is not True
        ]
        if own:
            with desk.home.locked():
                channel = refresh(desk, desk.home.state.channel("circle"))
                retract(desk, channel, own[:1])
            self._note(name)

    def _note(self, name: str) -> None:
        """Remember, word for word, what a publisher holds to have said."""
        home = self._home(name)
        for row in home.state.objects(home.state.channel("circle").channel_id):
            if row.member == home.member_id and row.body not in self.said.setdefault(row.id, []):
                self.said[row.id].append(row.body)

    # -- what goes wrong -------------------------------------------------------------------------

    @rule(index=st.integers(0, 9), left=st.integers(0, 12), number=st.integers(1, 250))
    def crash(self, index: int, left: int, number: int) -> None:
        """The power goes at some step of a publication; then it is run again."""
        name = self._publisher(index)
        steps = iter(range(left, -1, -1))
        commit = State.commit

        def fragile(state: State) -> None:
            fuse("commit")
            commit(state)
            fuse("committed")

        def fuse(step: str) -> None:
            if next(steps, 0) == 0:
                raise CrashError(step)

        self.hub.fail = fuse
        with patch.object(State, "commit", fragile), contextlib.suppress(CrashError):
            self._say(name, number)
        self.hub.fail = lambda request: None
        self._reopen(name)
        self._note(name)
        self._say(name, number)

    @rule(index=st.integers(0, 9))
    def copy(self, index: int) -> None:
        """Somebody copies a home."""
        name = self._any(index)
        self.copies[name] = self._copy(name, "copies")

    def _copy(self, name: str, where: str) -> Path:
        self._home(name).close()
        target = self.folder / where / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.folder / name, target)
        self._reopen(name)
        return target

    @precondition(lambda self: self.copies)
    @rule(index=st.integers(0, 9))
    def restore(self, index: int) -> None:
        """A home comes back from its copy; like everybody, it pulls before it says anything."""
        name = sorted(self.copies)[index % len(self.copies)]
        copied = self.copies.pop(name)
        before = self._home(name).keyring.current.card.number
        self._home(name).close()
        kept = self.folder / f"{name}.lost"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.move(self.folder / name, kept)
        shutil.move(copied, self.folder / name)
        self._reopen(name)
        if self._home(name).keyring.current.card.number != before or name not in self.members:
            # Its newest keys were lost with the disk; that is another story.
            self._home(name).close()
            shutil.rmtree(self.folder / name)
            shutil.move(kept, self.folder / name)
            self._reopen(name)
            return
        self.restored.add(name)
        for key in [key for key in self.seen if key[0] == name]:
            del self.seen[key]
        self._pull(name)

    @rule(index=st.integers(0, 9), seconds=st.integers(-100, 100))
    def clocks_differ(self, index: int, seconds: int) -> None:
        name = self._any(index)
        self.clocks[name] = clock = Clock(self.clock.now + seconds)
        desk = self.circle.desks[name]
        self.circle.desks[name] = Desk(desk.home, self.hub.connect, clock)

    @rule(hours=st.integers(1, 12))
    def wait(self, hours: int) -> None:
        for clock in self._all_clocks():
            clock.now += hours * 3600

    @rule(index=st.integers(0, 9), lie=st.sampled_from(LIES))
    def lie(self, index: int, lie: str) -> None:
        """For one pull of one member the hub shows something else."""
        name = self._any(index)
        true = self.hub.collections[C1].rows
        shown = self._falsified(list(true), lie)
        hidden = {str(body["id"]): body for _, body in true}
        for _, body in shown:
            hidden.pop(str(body["id"]), None)
        missed = [each for each in hidden.values() if not self._holds(name, each)]
        self.hub.rewrite = lambda rows: shown
        self.hub.keeps_back = hidden.__contains__
        self.lied = True
        try:
            self.circle.pull(name)
        finally:
            self.hub.rewrite = lambda rows: rows
            self.hub.keeps_back = lambda object_id: False
        if self.hub.logged and missed:
            self._alarmed(name, "withheld")

    def _alarmed(self, name: str, word: str) -> None:
        """The same once more is not told twice: what is open counts."""
        texts = [each.text for each in self._home(name).state.alarms()]
        assert any(word in text for text in texts), (name, word, texts)

    def _holds(self, name: str, body: Json) -> bool:
        state = self._home(name).state
        channel_id = state.channel("circle").channel_id
        return state.outcome(channel_id, digest(from_artifact(body))) is not None

    def _falsified(self, rows: Rows, lie: str) -> Rows:
        if len(rows) < 3:
            return rows
        at = self.dice.randrange(2, len(rows))
        if lie == "drop":
            return rows[:at] + rows[at + 1 :]
        if lie == "tail":
            return rows[:at]
        if lie == "reorder":
            bodies = [body for _, body in rows]
            self.dice.shuffle(bodies)
            return [(stamp, body) for (stamp, _), body in zip(rows, bodies, strict=True)]
        if lie == "replay":
            stamp = rows[-1][0]
            return [*rows, *((stamp, body) for _, body in rows[:at])]
        body = dict(rows[at][1])
        payload = str(body["payload_bin"])
        spot = self.dice.randrange(len(payload) - 4)
        body["payload_bin"] = payload[:spot] + ("A" if payload[spot] != "A" else "B")
        body["payload_bin"] += payload[spot + 1 :]
        return [*rows[:at], (rows[at][0], body), *rows[at + 1 :]]

    @rule(index=st.integers(0, 9))
    def pull(self, index: int) -> None:
        self._pull(self._any(index))

    # -- what always holds -----------------------------------------------------------------------

    @invariant()
    def nobody_holds_what_was_not_said(self) -> None:
        for name in getattr(self, "members", ()):
            home = self._home(name)
            own = home.member_id
            for body in home.indicator_objects():
                if body["type"] == "indicator" and body.get("created_by_ref") != own:
                    assert body in self.said.get(str(body["id"]), []), (name, body["id"])

    @invariant()
    def no_position_is_taken_twice(self) -> None:
        if not hasattr(self, "hub"):
            return
        places = [
            (header.pub, header.seq)
            for _, body in self.hub.collections[C1].rows
            if is_artifact(body)
            for header in [parse_message(from_artifact(body)).header]
            if header.pub is not None
        ]
        assert len(places) == len(set(places))

    @invariant()
    def the_removed_hold_nothing_new(self) -> None:
        for name, before in getattr(self, "gone", {}).items():
            home = self._home(name)
            held = {
                str(body["id"])
                for body in home.indicator_objects()
                if body["type"] == "indicator" and body.get("created_by_ref") != home.member_id
            }
            assert held <= before, name

    @invariant()
    def manifest_and_epoch_go_forward(self) -> None:
        for name in getattr(self, "members", ()):
            channel = self._home(name).state.channel("circle")
            if channel.trusted is None:
                continue
            trusted = self._home(name).trusted(channel)
            epoch = trusted.epoch.number if trusted.epoch else 0
            for what, now in (("manifest", trusted.manifest.version), ("epoch", epoch)):
                assert now >= self.seen[name, what], (name, what)
                self.seen[name, what] = now

    @invariant()
    def an_honest_hub_raises_no_alarm(self) -> None:
        if not getattr(self, "lied", True):
            for name in self.members:
                assert [each.text for each in self._home(name).state.alarms()] == [], name

    def teardown(self) -> None:
        """In the end everybody pulls from an honest hub, and agrees."""
        if not hasattr(self, "circle"):
            return
        try:
            end = self.clock.now + 3600
            for clock in self._all_clocks():
                clock.now = end
            # A hidden last message shows when its sender speaks again.
            for name in self.members:
                if name not in READERS:
                    self._say(name, 251)
            for _ in range(2):
                for name in self.members:
                    self._pull(name)
            views = {name: self._view(name) for name in self.members}
            for name in self.members:
                assert views[name] == views[LAB], name
        finally:
            self.circle.close()
            shutil.rmtree(self.folder)

    def _view(self, name: str) -> tuple[object, ...]:
        home = self._home(name)
        trusted = home.trusted(home.state.channel("circle"))
        people = {row.member for row in trusted.manifest.members}
        live = {
            str(body["id"]): str(body["modified"])
            for body in home.indicator_objects()
            if body["type"] == "indicator" and body.get("revoked") is not True
        }
        heads = {card.sign_id: trusted.last(card.sign_id) for card in trusted.cards.values()}
        return trusted.manifest.hash, trusted.epoch, sorted(people), heads, live

    # -- homes -----------------------------------------------------------------------------------

    def _home(self, name: str) -> Home:
        return self.circle.desks[name].home

    def _all_clocks(self) -> list[Clock]:
        """The hub's and everybody's; the lab may go by the hub's."""
        return list({id(each): each for each in (self.clock, *self.clocks.values())}.values())

    def _any(self, index: int) -> str:
        return self.members[index % len(self.members)]

    def _publisher(self, index: int) -> str:
        names = [name for name in self.members if name not in READERS]
        return names[index % len(names)]

    def _pull(self, name: str) -> None:
        result = self.circle.pull(name)
        assert name not in self.members or result.problem is None, (name, result.problem)

    def _reopen(self, name: str) -> None:
        """The process ends, another one opens the home."""
        self._home(name).close()
        home = Home.open(self.folder / name, Unlock.key_file(), settings=SETTINGS)
        clock = self.clocks.setdefault(name, Clock(self.clock.now))
        self.circle.desks[name] = Desk(home, self.hub.connect, clock)


class LoggedLife(ChannelLife):
    """The same with a log, about which the hub lies too."""

    logged = True

    @rule(index=st.integers(0, 9), back=st.integers(1, 9))
    def roll_the_log_back(self, index: int, back: int) -> None:
        name = self._any(index)
        self._pull(name)
        self._show(name, lambda digests: digests[:-back], "rollback")

    @rule(index=st.integers(0, 9), at=st.integers(0, 99))
    def split_the_log(self, index: int, at: int) -> None:
        """An entry that the member has verified is another one now."""
        name = self._any(index)
        self._pull(name)
        place = at % len(self.hub.log.digests)
        other = bytes(32)
        self._show(name, lambda all_: [*all_[:place], other, *all_[place + 1 :]], "split")

    def _show(self, name: str, lie: Callable[[list[bytes]], list[bytes]], word: str) -> None:
        self.lied = True
        self.hub.log.show = lambda account, digests: lie(digests)
        try:
            self.circle.pull(name)
        finally:
            self.hub.log.show = lambda account, digests: digests
        self._alarmed(name, word)


def _settings(lives: int, steps: int, *, repeatable: bool) -> settings:
    return settings(
        max_examples=lives,
        stateful_step_count=steps,
        deadline=None,
        derandomize=repeatable,
        database=None,
        # A life shrinks too slowly to be worth it: the steps are printed as they were.
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


ChannelLife.TestCase.settings = _settings(4, 14, repeatable=True)
LoggedLife.TestCase.settings = _settings(4, 14, repeatable=True)
TestChannelLife = ChannelLife.TestCase
TestLoggedLife = LoggedLife.TestCase


@pytest.mark.drill
@pytest.mark.parametrize("life", [ChannelLife, LoggedLife])
def test_many_lives(life: type[ChannelLife]) -> None:
    """Others each time."""
    run_state_machine_as_test(life, settings=_settings(30, 25, repeatable=False))


def test_a_joiner_drops_what_was_backdated() -> None:
    """A joiner whose clock made the ghost's messages come before the removal that ends them."""
    life = LoggedLife()
    life.begin(seed=492)
    life.rotate()
    life.copy(index=7)
    life.leave(index=1)
    life.clocks_differ(index=9, seconds=42)
    life.restore(index=4)
    life.join()
    life.clocks_differ(index=0, seconds=99)
    life.split_the_log(at=4, index=2)
    life.leave(index=0)
    life.backdate(index=0, number=231)
    life.join()
    life.rotate()
    life.teardown()
