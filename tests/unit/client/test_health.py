"""What `status` notices."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.channel.manifest import Policy
from hub.client.health import ALARM, ATTENTION, EXPIRED, FAILED, FINE, health
from hub.errors import TransportError
from tests.unit.client.circle import Circle, write_files

DAY = 86_400


@pytest.fixture
def channel(circle: Circle, tmp_path: Path) -> Circle:
    circle.open_channel()
    circle.admit("provider", "report")
    circle.publish("lab", *write_files(tmp_path))
    circle.pull("lab")
    circle.pull("provider")
    return circle


def _look(circle: Circle, name: str = "provider") -> tuple[str, str]:
    found = health(circle.desks[name].home, now=circle.clock())
    return found.level, "; ".join(found.channels[0].notes)


def test_all_is_well(channel: Circle) -> None:
    assert _look(channel) == (FINE, "")
    assert _look(channel, "lab") == (FINE, "")
    found = health(channel.desks["lab"].home, now=channel.clock()).channels[0]
    assert (found.roles, found.members, found.lag_s) == (["owner", "publish", "read"], 2, 0)
    assert found.objects["indicator"] == 7


def test_a_pull_long_ago(channel: Circle) -> None:
    channel.clock.now += 2 * DAY
    level, notes = _look(channel)
    assert level == ATTENTION
    assert "last pull 48 hours ago" in notes


@pytest.mark.parametrize(
    ("days", "level", "said"),
    [
        (30, ATTENTION, "the epoch is due to rotate"),
        (32, EXPIRED, "the epoch is too old"),
        (91, EXPIRED, "manifest has expired"),
    ],
)
def test_what_has_expired(channel: Circle, days: int, level: str, said: str) -> None:
    channel.clock.now += days * DAY
    found, notes = _look(channel)
    assert found == level
    assert said in notes


def test_what_expires_soon(circle: Circle) -> None:
    circle.open_channel(Policy(rotation=200 * DAY))
    circle.admit("provider", "report")
    circle.clock.now += 75 * DAY
    assert "manifest" not in _look(circle)[1]
    circle.clock.now += 2 * DAY
    level, notes = _look(circle)
    assert level == ATTENTION
    assert "manifest in 13 days" in notes
    circle.clock.now += 95 * DAY
    assert "card of Provider in 8 days" in _look(circle)[1]


def test_a_pull_that_failed(channel: Circle) -> None:
    def fail(request: str) -> None:
        raise TransportError("the hub cannot be reached, or broke off")

    channel.hub.fail = fail
    assert channel.pull("provider").problem is not None
    level, notes = _look(channel)
    assert level == FAILED
    assert "cannot be reached" in notes
    channel.hub.fail = lambda request: None
    channel.pull("provider")
    assert _look(channel) == (FINE, "")


def test_a_publisher_that_fell_silent(channel: Circle) -> None:
    channel.clock.now += 4 * DAY
    channel.pull("provider")
    level, notes = _look(channel)
    assert level == ATTENTION
    assert "nothing from Lab, not even a heartbeat" in notes
    # The lab's own pull sends the heartbeat.
    channel.pull("lab")
    channel.pull("provider")
    assert _look(channel) == (FINE, "")


def test_alarms_stand_until_somebody_looked(channel: Circle) -> None:
    state = channel.desks["provider"].home.state
    assert state.raise_alarm(None, "d", "something is wrong", 1)
    channel_id = state.channel("circle").channel_id
    assert state.raise_alarm(channel_id, "d", "x", 1)
    assert not state.raise_alarm(channel_id, "d", "x", 2)
    assert _look(channel)[0] == ALARM
    assert state.acknowledge_alarms(2) == 2
    assert _look(channel)[0] == FINE
    assert len(state.alarms(all_of_them=True)) == 2
