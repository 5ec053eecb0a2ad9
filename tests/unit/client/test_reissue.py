"""Live indicators are issued again after the fingerprint key changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.channel.manifest import DAY
from hub.client.home import Home
from hub.client.membership import remove
from hub.client.publisher import retract
from hub.client.reissue import lagging
from hub.client.renewal import renew
from hub.client.rows import ObjectRow
from hub.client.values import Values, choose_reissue
from hub.errors import TransportError
from tests.unit.client.circle import Circle, write_files


@pytest.fixture
def three(circle: Circle, tmp_path: Path) -> Circle:
    circle.open_channel()
    circle.admit("provider", "report")
    circle.admit("other", "publish")
    circle.pull("lab")
    circle.publish("lab", write_files(tmp_path)[0])
    circle.pull("provider")
    circle.clock.now += 60
    return circle


def tokens(home: Home) -> dict[str, ObjectRow]:
    return {row.id: row for row in home.state.objects(types=("indicator",))}


def live_key(home: Home) -> str:
    keys = home.fingerprint_secrets(home.state.channel("circle").channel_id)
    (key,) = [each.key_id for each in keys if each.live]
    return key


def values_of(home: Home) -> Values:
    return Values(home, home.state.channel("circle").channel_id)


def test_the_next_pull_issues_them_under_the_new_key(three: Circle) -> None:
    lab, provider = three.desks["lab"].home, three.desks["provider"].home
    before = tokens(provider)
    remove(three.desks["lab"], "circle", three.desks["other"].home.member_id)
    assert three.pull("lab").reissued == len(before) == 4
    assert three.pull("lab").reissued == 0
    news = three.pull("provider")
    assert news.updated["indicator"] == 4
    after, key = tokens(provider), live_key(lab)
    assert after.keys() == before.keys()
    for object_id, row in after.items():
        old = before[object_id]
        assert f":{key}:" in row.body["pattern"]
        assert row.body["extensions"] != old.body["extensions"] or "key_id" not in str(old.body)
        assert row.body["modified"] > old.body["modified"]
        for name in ("created", "valid_from", "valid_until", "confidence", "name"):
            assert row.body.get(name) == old.body.get(name), name


def test_a_quarters_change_does_it_too(three: Circle) -> None:
    three.clock.now += 20 * DAY
    renew(three.desks["lab"], "circle")
    lab = three.desks["lab"].home
    assert ".2026q4" in live_key(lab)
    assert three.pull("lab").reissued == 4
    assert not lagging(lab, lab.state.channel("circle"), three.clock())


def test_publishing_the_file_again_makes_no_second_indicator(three: Circle, tmp_path: Path) -> None:
    remove(three.desks["lab"], "circle", three.desks["other"].home.member_id)
    # Before the pull that would have issued them again.
    before = set(tokens(three.desks["lab"].home))
    sent = three.publish("lab", tmp_path / "accounts.csv")
    assert sent.objects >= 4
    assert set(tokens(three.desks["lab"].home)) == before
    assert three.pull("lab").reissued == 0
    three.publish("lab", tmp_path / "accounts.csv")
    assert set(tokens(three.desks["lab"].home)) == before


def test_values_rest_sealed_and_only_here(three: Circle) -> None:
    lab = three.desks["lab"].home
    assert ("email", "ann@mailbox-farm.example") in values_of(lab).all().values()
    for path in lab.path.rglob("*"):
        if path.is_file():
            assert b"ann@mailbox-farm" not in path.read_bytes(), path.name
    assert values_of(three.desks["provider"].home).all() == {}


def test_values_go_with_their_indicators(three: Circle) -> None:
    lab = three.desks["lab"]
    (first, *_) = values_of(lab.home).held()
    retract(lab, lab.home.state.channel("circle"), [first])
    assert len(values_of(lab.home).held()) == 3
    three.clock.now += 100 * DAY
    three.pull("lab")
    assert values_of(lab.home).held() == set()


def test_who_declines_keeps_nothing(three: Circle, tmp_path: Path) -> None:
    lab = three.desks["lab"].home
    choose_reissue(lab, on=False)
    assert values_of(lab).held() == set()
    remove(three.desks["lab"], "circle", three.desks["other"].home.member_id)
    assert three.pull("lab").reissued == 0
    assert len(lagging(lab, lab.state.channel("circle"), three.clock())) == 4
    three.publish("lab", tmp_path / "accounts.csv")
    assert values_of(lab).held() == set()
    choose_reissue(lab, on=True)
    three.publish("lab", tmp_path / "accounts.csv")
    assert len(values_of(lab).held()) == 4


def test_a_lost_hub_delays_and_loses_nothing(three: Circle) -> None:
    remove(three.desks["lab"], "circle", three.desks["other"].home.member_id)

    def lose(request: str) -> None:
        if request == "add":
            raise TransportError("the hub is not there")

    three.hub.fail = lose
    assert three.pull("lab").problem is not None
    three.hub.fail = lambda request: None
    three.pull("lab")
    assert three.pull("provider").updated["indicator"] == 4
