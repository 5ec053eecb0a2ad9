"""A channel whose changes several owners decide, around one hub in memory."""

from __future__ import annotations

import atexit
import copy
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Final

from hub.client.drafts import Wanted
from hub.client.governance import add_owner, set_threshold
from hub.client.home import Home
from hub.client.joining import join
from hub.client.keyring import Unlock
from hub.client.membership import approve, invite
from hub.client.proposals import Outcome, Standing, enact, open_ones, sign
from hub.client.requests import Candidate, candidates
from hub.client.rows import ChannelRow
from hub.client.subscriber import refresh
from hub.client.work import Desk
from tests.unit.client.circle import SETTINGS, Circle, Clock
from tests.unit.client.memory_hub import MemoryHub

NAMES: Final = ("lab", "second", "third")


@functools.cache
def _template(threshold: int) -> tuple[Path, MemoryHub, Clock]:
    """Such a channel, made once in a process."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    clock = Clock()
    circle = Circle(folder, MemoryHub(now=clock), clock)
    lab = circle.open_channel()
    others = [circle.admit(name, "publish") for name in NAMES[1:]]
    for desk in others:
        add_owner(lab, "circle", desk.home.member_id)
    if threshold > 1:
        set_threshold(lab, "circle", threshold)
        for desk in others[: threshold - 1]:
            countersign(circle, desk)
    for name in NAMES:
        assert circle.pull(name).alarms == []
    circle.close()
    return folder, circle.hub, clock


def council(circle: Circle, *, threshold: int = 2) -> list[Desk]:
    """A channel of three owners who publish: lab, second, third."""
    folder, hub, clock = _template(threshold)
    # Together, so that the hub's clock is the circle's.
    circle.hub, circle.clock = copy.deepcopy((hub, clock))
    for name in NAMES:
        shutil.copytree(folder / name, circle.folder / name)
        home = Home.open(circle.folder / name, Unlock.key_file(), settings=SETTINGS)
        circle.desks[name] = Desk(home, circle.hub.connect, circle.clock)
    return [circle.desks[name] for name in NAMES]


def row_of(desk: Desk) -> ChannelRow:
    """The channel as a home knows it."""
    return desk.home.state.channel("circle")


def version(desk: Desk) -> int:
    """The manifest in force at a home."""
    return desk.home.trusted(row_of(desk)).manifest.version


def asks(circle: Circle, sponsor: Desk, name: str, role: str = "read") -> Candidate:
    """An organisation answers an invitation of one owner."""
    desk = circle.desks.get(name) or circle.add(name)
    invitation = invite(sponsor, "circle", name.title(), role)
    join(desk, invitation.text, circle.account(name), "circle", by_file=False)
    found, _ = candidates(sponsor, "circle")
    return next(each for each in found if each.request.member == desk.home.member_id)


def admit(circle: Circle, sponsor: Desk, name: str, role: str = "read") -> Outcome:
    """The sponsor compares words and approves."""
    return approve(sponsor, "circle", asks(circle, sponsor, name, role))


def change(desk: Desk, wanted: Wanted) -> Outcome:
    """Enact what an owner wants, up to date."""
    with desk.home.locked():
        return enact(desk, refresh(desk, row_of(desk)), wanted)


def only(desk: Desk) -> Standing:
    """The one open proposal at a home."""
    home: Home = desk.home
    (found,) = open_ones(home, row_of(desk), desk.clock())
    return found


def countersign(circle: Circle, desk: Desk) -> Outcome:
    """Pull, and sign the one open proposal."""
    name = next(key for key, value in circle.desks.items() if value is desk)
    circle.pull(name)
    return sign(desk, row_of(desk), only(desk).proposal)
