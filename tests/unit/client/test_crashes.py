"""A crash at any step: what ran half is completed by running it again, and nothing forks.

A step is a commit of the local state, or a request to the hub. The crash comes right before it or
right after it, in every place in turn.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.channel.manifest import Policy
from hub.client.home import Home
from hub.client.joining import join
from hub.client.keyring import Unlock
from hub.client.membership import approve, create, invite
from hub.client.publisher import Options, prepare, publish, retract
from hub.client.renewal import renew
from hub.client.requests import candidates
from hub.client.state import State
from hub.client.subscriber import refresh
from hub.client.work import Desk
from tests.unit.client.circle import SETTINGS, Circle, Clock, write_files
from tests.unit.client.memory_hub import C1, MemoryHub


class CrashError(BaseException):
    """The power went."""


class Fuse:
    """Counts steps and crashes at one of them."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.count = 0

    def step(self, name: str = "") -> None:
        """One step."""
        self.count += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise CrashError


@pytest.fixture
def fuse(monkeypatch: pytest.MonkeyPatch) -> Fuse:
    made = Fuse()
    commit = State.commit

    def fragile(state: State) -> None:
        made.step()
        commit(state)
        made.step()

    monkeypatch.setattr(State, "commit", fragile)
    return made


def _copy(circle: Circle, folder: Path) -> Circle:
    """The circle as it is, elsewhere: every attempt begins from the same state."""
    clock = Clock(circle.clock.now)
    hub = MemoryHub(page_size=2, now=clock, bound=dict(circle.hub.bound), logged=circle.hub.logged)
    hub.log.digests = list(circle.hub.log.digests)
    for each in circle.hub.collections.values():
        hub.add_channel_collection(each.collection_id, inbox=False)
        hub.collections[each.collection_id].rows = list(each.rows)
        hub.collections[each.collection_id].inbox_of = each.inbox_of
    # The copy's `date_added` go on after those it begins with.
    hub._ticks = iter(range(10_000, 99_999))
    made = Circle(folder, hub, clock)
    for name, desk in circle.desks.items():
        desk.home.close()
        shutil.copytree(circle.folder / name, folder / name)
        for one in (circle, made):
            home = Home.open(one.folder / name, Unlock.key_file(), settings=SETTINGS)
            one.desks[name] = Desk(home, one.hub.connect, one.clock)
    return made


Operation = Callable[[Circle], None]


def _attempts(circle: Circle, fuse: Fuse, tmp_path: Path, operation: Operation) -> Iterator[Circle]:
    """The circle after the operation crashed at step 0, 1, 2 ... and was run again."""
    for number in range(500):
        attempt = _copy(circle, tmp_path / f"attempt-{number}")
        attempt.hub.fail = fuse.step
        fuse.left = number
        crashed = False
        try:
            operation(attempt)
        except CrashError:
            crashed = True
        fuse.left = None
        for name, desk in list(attempt.desks.items()):
            desk.home.close()
            home = Home.open(attempt.folder / name, Unlock.key_file(), settings=SETTINGS)
            attempt.desks[name] = Desk(home, attempt.hub.connect, attempt.clock)
        if crashed:
            operation(attempt)
        yield attempt
        attempt.close()
        shutil.rmtree(attempt.folder)
        if not crashed:
            assert number > 3
            return
    raise AssertionError("the operation does not end")


def _revoked(circle: Circle, name: str) -> dict[str, bool]:
    return {
        str(each["id"]): each.get("revoked") is True
        for each in circle.desks[name].home.indicator_objects()
        if each["type"] == "indicator"
    }


@pytest.fixture
def channel(circle: Circle) -> Circle:
    circle.open_channel()
    circle.admit("provider", "report")
    return circle


@pytest.fixture
def logged(circle: Circle) -> Circle:
    circle.hub.logged = True
    circle.open_channel()
    circle.admit("provider", "report")
    return circle


def test_publish(logged: Circle, fuse: Fuse, tmp_path: Path) -> None:
    files = write_files(tmp_path)

    def operation(circle: Circle) -> None:
        desk = circle.desks["lab"]
        with desk.home.locked():
            row = refresh(desk, desk.home.state.channel("circle"))
            prepared = prepare(desk.home, row, files, Options(), now=circle.clock())
            publish(desk, row, prepared)

    for circle in _attempts(logged, fuse, tmp_path, operation):
        result = circle.pull("provider")
        assert result.alarms == []
        assert result.waiting == 0
        assert len(_revoked(circle, "provider")) == 7
        assert _revoked(circle, "provider") == _revoked(circle, "lab")
        lab = circle.desks["lab"].home.state
        assert lab.unsent(lab.channel("circle").channel_id) == []


def test_pull(logged: Circle, fuse: Fuse, tmp_path: Path) -> None:
    logged.publish("lab", *write_files(tmp_path))

    for circle in _attempts(logged, fuse, tmp_path, lambda circle: _pull(circle)):
        assert len(_revoked(circle, "provider")) == 7
        assert circle.desks["provider"].home.state.alarms() == []
        assert circle.pull("provider").messages == 0


def _pull(circle: Circle) -> None:
    result = circle.pull("provider")
    assert result.alarms == []


def test_retract(channel: Circle, fuse: Fuse, tmp_path: Path) -> None:
    channel.publish("lab", *write_files(tmp_path))
    target = min(_revoked(channel, "lab"))

    def operation(circle: Circle) -> None:
        desk = circle.desks["lab"]
        circle.clock.now += 60
        row = refresh(desk, desk.home.state.channel("circle"))
        retract(desk, row, [target])

    for circle in _attempts(channel, fuse, tmp_path, operation):
        assert circle.pull("provider").alarms == []
        assert [k for k, gone in _revoked(circle, "provider").items() if gone] == [target]


def test_create(circle: Circle, fuse: Fuse, tmp_path: Path) -> None:
    circle.add("lab")
    circle.hub.add_channel_collection()

    def operation(each: Circle) -> None:
        create(each.desks["lab"], "circle", each.account("lab"), C1, Policy())

    for attempt in _attempts(circle, fuse, tmp_path, operation):
        attempt.admit("provider", "read")
        assert attempt.desks["provider"].home.state.alarms() == []


def test_join_and_approve(circle: Circle, fuse: Fuse, tmp_path: Path) -> None:
    circle.open_channel()
    circle.add("provider")
    invitation = invite(circle.desks["lab"], "circle", "Provider", "report")

    def operation(each: Circle) -> None:
        provider = each.desks["provider"]
        if not any(row.standing == "member" for row in provider.home.state.channels()):
            join(provider, invitation.text, each.account("provider"), "circle", by_file=False)
        found, _ = candidates(each.desks["lab"], "circle")
        for candidate in found:
            approve(each.desks["lab"], "circle", candidate)
        # What was stored and not sent goes out with the owner's next pull.
        each.pull("lab")
        each.pull("provider")

    for attempt in _attempts(circle, fuse, tmp_path, operation):
        (row,) = attempt.desks["provider"].home.state.channels()
        assert row.standing == "member"
        assert attempt.desks["provider"].home.fingerprint_keys()
        assert attempt.desks["provider"].home.state.alarms() == []


def test_renewal_with_a_new_card(channel: Circle, fuse: Fuse, tmp_path: Path) -> None:
    files = write_files(tmp_path)

    def operation(circle: Circle) -> None:
        renew(circle.desks["lab"], "circle", new_card=True)

    for circle in _attempts(channel, fuse, tmp_path, operation):
        circle.publish("lab", *files)
        assert circle.pull("provider").alarms == []
        assert len(_revoked(circle, "provider")) == 7


def test_the_fuse_bites(channel: Circle, fuse: Fuse) -> None:
    channel.hub.fail = fuse.step
    fuse.left = 0
    with pytest.raises(CrashError):
        channel.pull("lab")
