"""Direct material between homes: who gets it, on what ground, and until when."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.client.direct import Terms
from hub.client.health import health
from hub.client.home import Home
from hub.client.latecomers import note_again
from hub.client.liaison import campaigns
from hub.client.plan import PlanFile
from hub.client.preparing import Options, again, prepare
from hub.client.publisher import Published, publish, retract
from hub.client.recipients import terms
from hub.client.releases import Releases
from hub.client.reporter import Seen, prepare_false_positive, prepare_sightings, send
from hub.errors import InputError, VerificationError
from hub.model.codec import Json
from hub.model.markings import TLP
from tests.unit.client.circle import Circle

BASIS = "Art. 6(1)(f) GDPR, request 118"
DAY = 86_400


def proxies(folder: Path, *addresses: str) -> Path:
    path = folder / "proxies.csv"
    rows = [f"{each},LANTERN,2026-09-02T00:00:00Z,2026-11-21T00:00:00Z" for each in addresses]
    path.write_text("\n".join(["address,campaign,first_seen,valid_until", *rows]) + "\n")
    return path


def release(
    circle: Circle, to: list[str], *files: Path, until: int | None = None, tlp: TLP = TLP.RED
) -> Published:
    desk = circle.desks["lab"]
    channel = desk.home.state.channel("circle")
    wanted = terms(desk.home, channel, to, BASIS, until, now=circle.clock())
    prepared = prepare(desk.home, channel, files, Options(tlp=tlp, direct=True), now=circle.clock())
    return publish(desk, channel, prepared, terms=wanted)


def patterns(home: Home, now: int) -> set[str]:
    return {
        str(each["pattern"])
        for each in home.indicator_objects(now)
        if each["type"] == "indicator" and not each.get("revoked")
    }


def own_indicators(home: Home) -> list[Json]:
    return [row.body for row in home.state.objects(types=("indicator",))]


@pytest.fixture
def four(circle: Circle) -> Circle:
    circle.open_channel()
    circle.admit("provider", "report")
    circle.admit("other", "publish")
    circle.admit("observer", "liaison")
    for name in ("lab", "provider", "other", "observer"):
        circle.pull(name)
    return circle


def test_named_members_read_it_and_nobody_else(four: Circle, tmp_path: Path) -> None:
    sent = release(four, ["Provider", "Observer"], proxies(tmp_path, "203.0.113.7"))
    assert (sent.messages, sent.objects) == (1, 4)
    now = four.clock()
    for name in ("provider", "observer"):
        news = four.pull(name)
        assert news.objects["indicator"] == 1
        assert news.objects["campaign"] == 1
        assert patterns(four.desks[name].home, now) == {"[ipv4-addr:value = '203.0.113.7']"}
    news = four.pull("other")
    assert (news.objects, news.sealed, news.refused, news.alarms) == ({}, 1, 0, [])
    assert not patterns(four.desks["other"].home, now)
    observer = four.desks["observer"].home
    (given,) = {
        (each.basis, each.valid_until, len(each.recipients))
        for each in Releases(observer.state).of(observer.state.channel("circle").channel_id)
    }
    assert given == (BASIS, None, 3)


def test_what_named_members_have_never_reaches_the_others(four: Circle, tmp_path: Path) -> None:
    release(four, ["Provider"], proxies(tmp_path, "203.0.113.7"))
    lab = four.desks["lab"]
    channel = lab.home.state.channel("circle")
    repeated = again(lab.home, channel, now=four.clock())
    assert [each["type"] for each in repeated.detail] == []
    four.publish("lab", proxies(tmp_path, "203.0.113.8"))
    four.pull("other")
    assert patterns(four.desks["other"].home, four.clock()) == {"[ipv4-addr:value = '203.0.113.8']"}
    campaign = next(iter(four.desks["other"].home.state.objects(types=("campaign",))))
    scale = next(iter(campaign.body["extensions"].values()))["indicator_count"]
    assert (scale["low"], scale["high"]) == (1, 5)


def test_it_may_be_published_for_all_later(four: Circle, tmp_path: Path) -> None:
    path = proxies(tmp_path, "203.0.113.7")
    release(four, ["Provider"], path)
    four.pull("provider")
    # In the same second: the version is the same, the audience is wider.
    four.publish("lab", path, options=Options(tlp=TLP.AMBER))
    for name in ("provider", "other"):
        four.pull(name)
        assert len(patterns(four.desks[name].home, four.clock())) == 1
    lab = four.desks["lab"].home
    rows = list(lab.state.objects(types=("indicator",)))
    assert [row.audience for row in rows] == ["detail"]


def test_a_liaison_is_given_what_the_others_have(four: Circle, tmp_path: Path) -> None:
    path = proxies(tmp_path, "203.0.113.7", "203.0.113.9")
    four.publish("lab", path)
    (before, _) = own_indicators(four.desks["lab"].home)
    four.clock.now += 60
    release(four, ["Observer"], path, tlp=TLP.AMBER)
    four.pull("observer")
    observer = four.desks["observer"].home
    assert len(patterns(observer, four.clock())) == 2
    held = observer.state.object(str(before["id"]))
    assert held is not None
    assert held.body == before
    assert {row.audience for row in four.desks["lab"].home.state.objects(types=("indicator",))} == {
        "detail"
    }


def test_recipients_stop_using_it_when_its_release_ends(four: Circle, tmp_path: Path) -> None:
    path = proxies(tmp_path, "203.0.113.7")
    ends = four.clock() + DAY
    release(four, ["Observer"], path, until=ends)
    four.pull("observer")
    observer, lab = four.desks["observer"].home, four.desks["lab"].home
    assert patterns(observer, ends - 1)
    # Before any pull: what matching is given lacks it.
    assert not patterns(observer, ends)
    assert patterns(lab, ends)
    four.clock.now = ends
    plan = PlanFile(observer.path)
    plan.write(b"d" * 32, b"compiled with it")
    four.pull("observer")
    assert plan.read(b"d" * 32) is None
    (row,) = observer.state.objects(types=("indicator",))
    assert "pattern" not in row.body
    assert not patterns(observer, ends - 1)
    # Released anew, the same version counts again.
    release(four, ["Observer"], path)
    four.pull("observer")
    assert patterns(observer, four.clock())


def test_an_ended_release_is_not_opened_by_who_comes_late(four: Circle, tmp_path: Path) -> None:
    release(four, ["Observer"], proxies(tmp_path, "203.0.113.7"), until=four.clock() + DAY)
    four.clock.now += DAY + 1
    news = four.pull("observer")
    assert (news.objects, news.refused) == ({}, 0)


def test_a_withdrawal_goes_the_same_way(four: Circle, tmp_path: Path) -> None:
    release(four, ["Provider"], proxies(tmp_path, "203.0.113.7"))
    for name in ("provider", "other"):
        four.pull(name)
    lab, provider = four.desks["lab"], four.desks["provider"].home
    (made,) = own_indicators(lab.home)
    retract(lab, lab.home.state.channel("circle"), [made["id"]], reason="was wrong")
    assert four.pull("provider").revoked == [made["id"]]
    assert not patterns(provider, four.clock())
    news = four.pull("other")
    assert news.objects == {}
    assert news.revoked == []
    assert four.desks["other"].home.state.object(made["id"]) is None


def test_a_withdrawal_of_what_all_have_reaches_the_liaison_too(
    four: Circle, tmp_path: Path
) -> None:
    path = proxies(tmp_path, "203.0.113.7")
    four.publish("lab", path)
    release(four, ["Observer", "Provider"], path, tlp=TLP.AMBER)
    for name in ("provider", "other", "observer"):
        four.pull(name)
    lab = four.desks["lab"]
    (made,) = own_indicators(lab.home)
    sent, _ = retract(lab, lab.home.state.channel("circle"), [made["id"]])
    for name in ("provider", "other", "observer"):
        assert four.pull(name).revoked == [made["id"]], name
    (row,) = lab.home.state.objects(types=("indicator",))
    assert (row.audience, row.revoked) == ("detail", True)
    assert "pattern" not in row.body
    assert sent.messages == 3


def test_red_for_all_is_refused(four: Circle, tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="is marked above the channel's TLP:AMBER"):
        four.publish("lab", proxies(tmp_path, "203.0.113.7"), options=Options(tlp=TLP.RED))


@pytest.mark.parametrize(
    ("to", "basis", "until", "error"),
    [
        ([], BASIS, None, "name the members who may read"),
        (["Nobody"], BASIS, None, "no such member; known: Lab, Observer, Other, Provider"),
        (["Lab"], BASIS, None, "this organisation itself need not be named"),
        (["Provider"], " ", None, "a legal basis of 1 to 256 characters"),
        (["Provider"], "x" * 257, None, "a legal basis of 1 to 256 characters"),
        (["Provider"], "asked by ann@mailbox.example", None, "the basis "),
        (["Provider"], BASIS, 5, "lies in the past"),
    ],
)
def test_terms_are_complete(
    four: Circle, to: list[str], basis: str, until: int | None, error: str
) -> None:
    home = four.desks["lab"].home
    with pytest.raises(InputError, match=error):
        terms(home, home.state.channel("circle"), to, basis, until, now=four.clock())


def test_members_are_named_by_name_or_id(four: Circle) -> None:
    home = four.desks["lab"].home
    channel = home.state.channel("circle")
    wanted = [four.desks["provider"].home.member_id, "obSERVER", "Observer"]
    found = terms(home, channel, wanted, BASIS, None, now=four.clock())
    assert found == Terms(
        tuple(sorted(four.desks[each].home.member_id for each in ("provider", "observer"))), BASIS
    )


def test_a_receiver_starts_over_without_losing_what_it_was_given(
    four: Circle, tmp_path: Path
) -> None:
    release(four, ["Observer"], proxies(tmp_path, "203.0.113.7"))
    for name in ("observer", "lab"):
        four.pull(name)
        home = four.desks[name].home
        channel_id = home.state.channel("circle").channel_id
        home.state.abandon(channel_id)
        home.state.run("DELETE FROM object")
        four.pull(name)
        assert len(patterns(home, four.clock())) == 1, name


def test_status_tells_of_direct_material_and_of_newcomers(four: Circle, tmp_path: Path) -> None:
    four.publish("lab", proxies(tmp_path, "203.0.113.9"))
    ends = four.clock() + DAY
    release(four, ["Observer"], proxies(tmp_path, "203.0.113.7"), until=ends)
    four.admit("newcomer", "read")
    for name in ("lab", "observer"):
        four.pull(name)
    for name, own, now in (("lab", True, ends - 1), ("observer", False, ends)):
        home = four.desks[name].home
        (channel,) = health(home, now=now).channels
        (view,) = channel.direct
        assert (view.own, view.by, view.to) == (own, "Lab", ("Observer",))
        assert (view.basis, view.valid_until, view.ended) == (BASIS, ends, now == ends)
    lab = four.desks["lab"].home
    wanted = "joined after you published, and cannot open it: Newcomer: stillwatch publish --again"
    row = lab.state.channel("circle")
    assert wanted in health(lab, now=four.clock()).channels[0].notes
    publish(four.desks["lab"], row, again(lab, row, now=four.clock()))
    note_again(lab, row, four.clock())
    assert wanted not in health(lab, now=four.clock()).channels[0].notes
    four.pull("newcomer")
    assert patterns(four.desks["newcomer"].home, four.clock()) == {
        "[ipv4-addr:value = '203.0.113.9']"
    }


def test_a_liaison_sees_the_ground_beside_the_campaign(four: Circle, tmp_path: Path) -> None:
    release(four, ["Observer"], proxies(tmp_path, "203.0.113.7"))
    four.pull("observer")
    (view,) = campaigns(four.desks["observer"].home)
    assert (view.name, view.tlp) == ("LANTERN", "TLP:RED")
    assert [each.basis for each in view.direct] == [BASIS]
    four.pull("other")
    assert campaigns(four.desks["other"].home) == []


def test_reports_on_it_reach_its_publisher_alone(four: Circle, tmp_path: Path) -> None:
    release(four, ["Provider", "Observer"], proxies(tmp_path, "203.0.113.7"))
    for name in ("provider", "observer"):
        four.pull(name)
    provider = four.desks["provider"]
    (made,) = own_indicators(provider.home)
    seen = Seen(str(made["id"]), 3, *(datetime.fromtimestamp(four.clock(), UTC),) * 2)
    prepared = prepare_sightings(provider.home, [seen], now=four.clock())
    assert not prepared.channels
    assert [each["type"] for each in prepared.objects()] == ["sighting"]
    assert send(provider, prepared).messages == 1
    assert four.pull("lab").reports == 1
    for name in ("other", "observer"):
        assert four.pull(name).objects == {}, name
    opinion = prepare_false_positive(provider.home, str(made["id"]), "shared", now=four.clock())
    send(provider, opinion)
    assert four.pull("lab").objects["opinion"] == 1
    assert four.pull("other").objects == {}
