"""What `stillwatch indicators` lists, and in which state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hub.client.listing import EXPIRED, LIVE, PENDING, WITHDRAWN, indicators
from hub.model.codec import Json
from hub.model.identifiers import deterministic_id
from hub.model.indicators import network_indicator
from hub.model.objects import campaign, identity, relationship, revoke

NOW = datetime(2026, 11, 20, tzinfo=UTC)
LAB = deterministic_id("identity", "listing lab")


def made(address: str, start: datetime, days: int) -> Json:
    return network_indicator(
        address,
        created_by=LAB,
        created=NOW,
        valid_from=start,
        valid_until=start + timedelta(days=days),
        confidence=70,
    )


@pytest.fixture
def held() -> list[Json]:
    """One indicator in each state, two of them of one campaign."""
    live = made("192.0.2.1", NOW - timedelta(days=1), 30)
    expired = made("192.0.2.2", NOW - timedelta(days=30), 30)
    pending = made("192.0.2.3", NOW + timedelta(days=1), 30)
    withdrawn = revoke(made("192.0.2.4", NOW - timedelta(days=1), 30), NOW + timedelta(hours=1))
    hydra = campaign("HYDRA", created_by=LAB, created=NOW)
    links = [
        relationship(each["id"], "indicates", hydra["id"], created_by=LAB, created=NOW)
        for each in (live, expired)
    ]
    return [
        identity("Lab", created=NOW, identity_id=LAB),
        hydra,
        live,
        expired,
        pending,
        *links,
        withdrawn,
    ]


def test_each_has_its_state(held: list[Json]) -> None:
    found = {each.pattern.split("'")[1]: each for each in indicators(held, now=NOW)}
    assert {address: each.state for address, each in found.items()} == {
        "192.0.2.1": LIVE,
        "192.0.2.2": EXPIRED,
        "192.0.2.3": PENDING,
        "192.0.2.4": WITHDRAWN,
    }
    assert found["192.0.2.1"].campaigns == ("HYDRA",)
    assert found["192.0.2.1"].publisher == "Lab"
    assert found["192.0.2.1"].kind == "network.ipv4"


@pytest.mark.parametrize(
    ("wish", "count"),
    [
        ({"text": "192.0.2.3"}, 1),
        ({"text": "NETWORK"}, 4),
        ({"campaign": "HYDRA"}, 2),
        ({"campaign": "OTHER"}, 0),
        ({"kind": "network.ipv4", "campaign": "HYDRA", "text": ".2'"}, 1),
        ({"kind": "prompt.literal"}, 0),
    ],
)
def test_wishes_narrow_the_list(held: list[Json], wish: dict[str, str], count: int) -> None:
    assert len(indicators(held, now=NOW, **wish)) == count


def test_a_withdrawn_link_no_longer_names_the_campaign(held: list[Json]) -> None:
    held[-3] = revoke(held[-3], NOW + timedelta(hours=1))
    assert len(indicators(held, now=NOW, campaign="HYDRA")) == 1
