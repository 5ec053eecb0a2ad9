"""The whole job between a lab, a provider and a liaison, over a hub in memory."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.channel.manifest import Policy
from hub.client.health import health
from hub.client.liaison import campaigns
from hub.client.membership import remove
from hub.client.publisher import Options, again, prepare, publish, retract
from hub.client.reporter import Seen, prepare_false_positive, prepare_sightings, send
from hub.errors import AccessError, ConflictError, TransportError
from tests.unit.client.circle import Circle, write_files


def _indicators(circle: Circle, name: str) -> dict[str, bool]:
    return {
        str(each["id"]): each.get("revoked") is True
        for each in circle.desks[name].home.indicator_objects()
        if each["type"] == "indicator"
    }


def test_publish_pull_report_retract(circle: Circle, tmp_path: Path) -> None:
    lab = circle.open_channel()
    provider = circle.admit("provider", "report")
    circle.admit("liaison", "liaison")
    circle.pull("lab")

    circle.publish("lab", *write_files(tmp_path))
    pulled = circle.pull("provider")
    assert not pulled.alarms
    assert pulled.objects["indicator"] == 7
    assert _indicators(circle, "provider") == _indicators(circle, "lab")
    assert [k.key_id for k in provider.home.fingerprint_keys()] == [
        k.key_id for k in lab.home.fingerprint_keys()
    ]

    seen = circle.pull("liaison")
    assert "indicator" not in seen.objects
    assert seen.objects["campaign"] == 1
    (view,) = campaigns(circle.desks["liaison"].home)
    assert view.name == "LANTERN"
    assert view.publisher_name == "Lab"
    assert view.scale["account_count"]["low"] == 1
    assert view.structure[0]["role"] == "egress"
    assert not circle.desks["liaison"].home.fingerprint_keys()

    target = min(_indicators(circle, "provider"))
    moment = datetime(2026, 9, 20, tzinfo=UTC)
    sightings = prepare_sightings(
        provider.home, [Seen(target, 12, moment, moment)], now=circle.clock()
    )
    assert send(provider, sightings).messages == 2
    wrong = prepare_false_positive(
        provider.home, target, "an office of a customer", now=circle.clock()
    )
    assert send(provider, wrong).messages == 1
    assert circle.pull("lab").reports == 3
    reports = health(lab.home, now=circle.clock()).channels[0].reports
    counts = {each["of"].partition("--")[0]: each["count"] for each in reports["sightings"]}
    assert counts == {"indicator": 12, "campaign": 1}
    assert reports["opinions"][0]["explanation"] == "an office of a customer"
    circle.pull("liaison")
    (view,) = campaigns(circle.desks["liaison"].home)
    assert view.sources == 2
    assert view.sightings[0]["name"] == "Provider"

    circle.clock.now += 60
    _, before = retract(lab, lab.home.state.channel("circle"), [target], reason="wrong office")
    assert before == []
    assert circle.pull("provider").revoked == [target]
    assert _indicators(circle, "provider")[target] is True


def test_publishing_again_sends_nothing(circle: Circle, tmp_path: Path) -> None:
    circle.open_channel()
    files = write_files(tmp_path)
    assert circle.publish("lab", *files).messages == 2
    circle.clock.now += 3600
    assert circle.publish("lab", *files).messages == 0


def test_only_the_publisher_retracts(circle: Circle, tmp_path: Path) -> None:
    circle.open_channel()
    provider = circle.admit("provider", "publish")
    circle.publish("lab", *write_files(tmp_path))
    circle.pull("provider")
    target = min(_indicators(circle, "provider"))
    with pytest.raises(AccessError, match="somebody else published this"):
        retract(provider, provider.home.state.channel("circle"), [target])


def test_a_later_member_opens_what_is_sealed_again(circle: Circle, tmp_path: Path) -> None:
    lab = circle.open_channel()
    circle.admit("early", "read")
    circle.publish("lab", *write_files(tmp_path))
    circle.pull("early")
    circle.admit("late", "read")
    assert _indicators(circle, "late") == {}
    channel = lab.home.state.channel("circle")
    publish(lab, channel, again(lab.home, channel, now=circle.clock()))
    assert circle.pull("late").objects["indicator"] == 7
    early = circle.pull("early")
    assert (early.objects, early.updated, early.alarms) == ({}, {}, [])


def test_history_for_joiners_where_the_policy_says_so(circle: Circle, tmp_path: Path) -> None:
    circle.open_channel(Policy(history="all"))
    circle.publish("lab", *write_files(tmp_path))
    circle.admit("late", "read")
    assert len(_indicators(circle, "late")) == 7


def test_a_removed_member_reads_nothing_further(circle: Circle, tmp_path: Path) -> None:
    lab = circle.open_channel()
    provider = circle.admit("provider", "publish")
    circle.publish("provider", *write_files(tmp_path))
    remove(lab, "circle", provider.home.member_id)
    more = tmp_path / "more.csv"
    more.write_text("address,campaign\n198.51.100.99,LANTERN\n")
    circle.publish("lab", more)
    # What the removed member had said before stays.
    assert len(_indicators(circle, "lab")) == 8
    # A hub that still answers the removed member gives it sealed bytes only.
    result = circle.pull("provider")
    assert (result.objects, result.sealed) == ({}, 3)
    assert provider.home.state.channel("circle").standing == "removed"
    with pytest.raises(ConflictError, match="not a member"):
        circle.publish("provider", more)
    keys = {key.key_id for key in lab.home.fingerprint_keys()}
    assert keys - {key.key_id for key in provider.home.fingerprint_keys()}


def test_a_shared_identifier_is_one_indicator_over_its_rows(circle: Circle, tmp_path: Path) -> None:
    circle.open_channel()
    path = tmp_path / "accounts.csv"
    path.write_text(
        "email,device,campaign,first_seen,confidence\n"
        "a@m.example,dev-0000-1111-2222,ONE,2026-09-10T00:00:00Z,60\n"
        "b@m.example,dev-0000-1111-2222,TWO,2026-09-05T00:00:00Z,80\n"
    )
    desk = circle.desks["lab"]
    channel = desk.home.state.channel("circle")
    prepared = prepare(desk.home, channel, [path], Options(), now=circle.clock())
    devices = [each for each in prepared.detail if each.get("name") == "account.device-keyed"]
    assert [(each["valid_from"], each["confidence"]) for each in devices] == [
        ("2026-09-05T00:00:00.000Z", 80)
    ]
    assert prepared.campaigns == ["ONE", "TWO"]
    links = [each for each in prepared.detail if each["type"] == "relationship"]
    assert len([each for each in links if each["source_ref"] == devices[0]["id"]]) == 2
    publish(desk, channel, prepared)
    assert circle.publish("lab", path).messages == 0


def test_a_hub_that_is_down_while_publishing(circle: Circle, tmp_path: Path) -> None:
    lab = circle.open_channel()
    circle.admit("provider", "read")

    def down(request: str) -> None:
        if request == "add":
            raise TransportError("the hub cannot be reached, or broke off")

    circle.hub.fail = down
    with pytest.raises(TransportError):
        circle.publish("lab", *write_files(tmp_path))
    assert health(lab.home, now=circle.clock()).channels[0].outbox == 2
    circle.hub.fail = lambda request: None
    assert circle.pull("lab").sent == 2
    assert circle.pull("provider").objects["indicator"] == 7
