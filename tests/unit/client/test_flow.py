"""The whole job between a lab, a provider and a liaison, over a hub in memory."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.client.health import health
from hub.client.liaison import campaigns
from hub.client.publisher import retract
from hub.client.reporter import Seen, prepare_false_positive, prepare_sightings, send
from hub.errors import AccessError
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
