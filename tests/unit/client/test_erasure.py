"""Erasure by policy: what is forgotten when, and what is not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hub.channel.manifest import DAY, Policy
from hub.client.erasure import Erased, erase
from hub.client.home import Home
from hub.client.keyring import Unlock
from hub.client.renewal import renew
from tests.unit.client.circle import SETTINGS, Circle, write_files
from tests.unit.client.test_direct import patterns, proxies

ERASURE = 3 * DAY


def opened(circle: Circle, *, erasure: int | None = ERASURE, history: str = "none") -> None:
    circle.open_channel(Policy(erasure=erasure, history=history))
    circle.admit("provider", "report")
    circle.pull("lab")


def held(circle: Circle, name: str) -> set[int]:
    home = circle.desks[name].home
    return set(home.epoch_secrets(home.state.channel("circle").channel_id))


def erased(circle: Circle, name: str) -> dict[str, dict[str, int]]:
    home = circle.desks[name].home
    return Erased(home.state, home.state.channel("circle").channel_id).all()


def turn(circle: Circle) -> None:
    """The owner begins another epoch."""
    renew(circle.desks["lab"], "circle", force=True)


def test_secrets_go_when_the_policy_says(circle: Circle, tmp_path: Path) -> None:
    opened(circle)
    circle.publish("lab", proxies(tmp_path, "203.0.113.7"))
    circle.pull("provider")
    assert held(circle, "provider") == {2}
    circle.clock.now += DAY
    turn(circle)
    circle.clock.now += ERASURE - 1
    circle.pull("provider")
    assert held(circle, "provider") == {2, 3}
    circle.clock.now += 1
    circle.pull("provider")
    assert held(circle, "provider") == {3}
    assert erased(circle, "provider") == {"epoch": {"00000002": circle.clock.now}}
    # What was opened stays.
    assert len(patterns(circle.desks["provider"].home, circle.clock())) == 1
    circle.pull("lab")
    assert held(circle, "lab") == {3}


@pytest.mark.parametrize("name", ["lab", "provider"])
def test_who_verifies_anew_keeps_the_fingerprint_key_of_an_erased_epoch(
    circle: Circle, name: str
) -> None:
    opened(circle)
    for each in ("provider", "lab"):
        renew(circle.desks[each], "circle", new_card=True)
    circle.clock.now += ERASURE
    for each in ("lab", "provider"):
        circle.pull(each)
    home = circle.desks[name].home
    channel_id = home.state.channel("circle").channel_id
    before = home.fingerprint_secrets(channel_id)
    renew(circle.desks[name], "circle", abandon=True)
    assert home.fingerprint_secrets(channel_id) == before != []
    assert circle.pull("provider").alarms == []


def test_nothing_goes_without_a_policy(circle: Circle) -> None:
    opened(circle, erasure=None)
    turn(circle)
    circle.clock.now += 300 * DAY // 10
    circle.pull("provider")
    assert held(circle, "provider") == {2, 3}
    assert erased(circle, "provider") == {}


def test_who_comes_back_late_reads_first_and_erases_then(circle: Circle, tmp_path: Path) -> None:
    opened(circle)
    circle.publish("lab", proxies(tmp_path, "203.0.113.7"))
    turn(circle)
    turn(circle)
    circle.clock.now += 2 * ERASURE
    circle.pull("provider")
    assert len(patterns(circle.desks["provider"].home, circle.clock())) == 1
    assert held(circle, "provider") == {4}
    assert set(erased(circle, "provider")["epoch"]) == {"00000002", "00000003"}


def test_joiners_are_given_the_past_as_far_as_it_was_not_erased(
    circle: Circle, tmp_path: Path
) -> None:
    opened(circle, history="all")
    circle.publish("lab", proxies(tmp_path, "203.0.113.7"))
    turn(circle)
    circle.clock.now += ERASURE
    circle.pull("lab")
    circle.publish("lab", proxies(tmp_path, "203.0.113.9"))
    circle.admit("newcomer", "read")
    assert patterns(circle.desks["newcomer"].home, circle.clock()) == {
        "[ipv4-addr:value = '203.0.113.9']"
    }
    assert held(circle, "newcomer") == {3, 4}
    home = circle.desks["newcomer"].home
    turn(circle)
    circle.clock.now += ERASURE
    circle.pull("newcomer")
    assert held(circle, "newcomer") == {5}
    # What of the past was kept for its secret is not kept for ever.
    channel_id = home.state.channel("circle").channel_id
    circle.clock.now += ERASURE
    turn(circle)
    circle.pull("newcomer")
    assert all((row.epoch or 0) < 3 for row in home.state.kept(channel_id, "sealed"))


def kems(home: Home) -> list[bool]:
    return [each.kem is not None for each in home.keyring.cards]


def test_the_key_of_an_old_card_goes_with_the_last_epoch_wrapped_for_it(
    circle: Circle, tmp_path: Path
) -> None:
    opened(circle)
    provider = circle.desks["provider"]
    renew(provider, "circle", new_card=True)
    turn(circle)
    circle.pull("provider")
    assert kems(provider.home) == [True, True]
    circle.clock.now += ERASURE - 1
    circle.pull("provider")
    assert kems(provider.home) == [True, True]
    circle.clock.now += 1
    circle.pull("provider")
    assert kems(provider.home) == [False, True]
    assert erased(circle, "provider")["card"] == {"00000001": circle.clock.now}
    # For good, and the home goes on.
    again = Home.open(provider.home.path, Unlock.key_file(), settings=SETTINGS)
    assert kems(again) == [False, True]
    again.close()
    circle.publish("lab", proxies(tmp_path, "203.0.113.7"))
    assert circle.pull("provider").objects["indicator"] == 1


def test_an_old_card_is_kept_while_anything_may_still_need_it(circle: Circle) -> None:
    opened(circle)
    provider = circle.desks["provider"]
    renew(provider, "circle", new_card=True)
    # No owner has taken the new card up.
    circle.clock.now += 2 * ERASURE
    circle.pull("provider")
    assert kems(provider.home) == [True, True]
    row = provider.home.state.channel("circle")
    turn(circle)
    circle.clock.now += ERASURE
    # It waits to be let in elsewhere.
    other = dataclasses.replace(
        row, channel_id="ab" * 32, name="elsewhere", trusted=None, standing="joining"
    )
    provider.home.state.add_channel(other)
    circle.desks["provider"].home.state.set_standing(other.channel_id, "joining")
    erase(provider.home, provider.home.state.channel("circle"), now=circle.clock())
    assert kems(provider.home) == [True, True]


def test_expired_fingerprint_keys_go_unless_an_indicator_needs_them(
    circle: Circle, tmp_path: Path
) -> None:
    opened(circle)
    circle.publish("lab", write_files(tmp_path)[0])
    circle.pull("provider")
    home = circle.desks["provider"].home
    channel_id = home.state.channel("circle").channel_id
    (key,) = home.fingerprint_secrets(channel_id)
    early = dataclasses.replace(key, expires=circle.clock() + DAY)
    home.put_fingerprint_secret(channel_id, early, circle.clock())
    circle.clock.now += DAY + ERASURE
    circle.pull("provider")
    assert [each.key_id for each in home.fingerprint_secrets(channel_id)] == [key.key_id]
    circle.clock.now += 80 * DAY
    erase(home, home.state.channel("circle"), now=circle.clock() + 20 * DAY)
    assert home.fingerprint_secrets(channel_id) == []
    assert set(erased(circle, "provider")["fingerprint"]) == {key.key_id}


@pytest.mark.parametrize("name", ["lab", "provider"])
def test_erased_secrets_are_not_in_the_files(circle: Circle, name: str) -> None:
    opened(circle)
    home = circle.desks[name].home
    channel_id = home.state.channel("circle").channel_id
    sealed = home.state.secrets(channel_id, "epoch")["00000002"]
    circle.clock.now += DAY
    turn(circle)
    circle.clock.now += ERASURE
    circle.pull(name)
    for path in home.path.glob("state.sqlite*"):
        assert sealed[-40:] not in path.read_bytes(), path.name
