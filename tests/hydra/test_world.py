"""The generator repeats itself, and its populations are what they claim to be."""

from __future__ import annotations

import functools
import ipaddress
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hub.match.pattern import parse
from tests.hydra.crude import crude
from tests.hydra.honest import KINDS
from tests.hydra.prompts import FREE
from tests.hydra.published import publish
from tests.hydra.scenario import LEVELS, Scenario
from tests.hydra.world import World, generate

SMALL = Scenario(seed=7, level=LEVELS["26 a day"], people=900, sizes=(12, 40))


@functools.cache
def world() -> World:
    return generate(SMALL)


def members(kind: str) -> pa.Table:
    """Truth and customer columns of the accounts of a kind."""
    truth = world().truth.filter(pc.field("kind") == kind)
    return truth.join(world().accounts, "account_id")


def events_of(kind: str) -> pa.Table:
    chosen = members(kind)["account_id"]
    return world().events.filter(pc.is_in(world().events["account_id"], chosen))


def test_the_same_seed_gives_the_same_world_and_another_gives_another() -> None:
    again = generate(SMALL)
    assert again.events.equals(world().events)
    assert again.accounts.equals(world().accounts)
    assert again.truth.equals(world().truth)
    other = generate(Scenario(seed=8, level=SMALL.level, people=900, sizes=(12, 40)))
    assert not other.events.equals(world().events)


def test_every_kind_of_account_is_there_and_nothing_is_null_in_the_log() -> None:
    assert set(world().truth["kind"].to_pylist()) == set(KINDS)
    assert all(column.null_count == 0 for column in world().events.columns)
    times = world().events["timestamp"].cast(pa.int64()).to_numpy()
    assert (np.diff(times) >= 0).all()
    assert (times[-1] - times[0]) < SMALL.days * 86_400_000_000


def test_addresses_lie_in_ranges_for_tests_and_documents() -> None:
    allowed = [
        ipaddress.ip_network(net)
        for net in (
            "198.18.0.0/15",
            "192.0.2.0/24",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "100.64.0.0/10",
            "10.0.0.0/8",
            "2001:db8::/32",
        )
    ]
    for text in pc.unique(world().events["client_ip"]).to_pylist():
        address = ipaddress.ip_address(text)
        assert any(address in net for net in allowed), text


def test_clusters_keep_their_rate_size_and_share_cards_in_small_groups() -> None:
    heads = world().truth.filter(pc.field("cluster") >= 0)
    assert sorted(pc.unique(heads["cluster"]).to_pylist()) == [0, 1]
    day = events_of("hydra")["timestamp"].cast(pa.int64()).to_numpy() // 86_400_000_000
    inner = np.sort(np.unique(day))[6]
    rows = events_of("hydra").filter(pa.array(day == inner))
    alive = rows.group_by("account_id").aggregate([("request_id", "count")])
    counts = np.sort(alive["request_id_count"].to_numpy())
    assert 52 * 0.85 <= len(counts) <= 52 * 1.2
    assert 22 <= np.median(counts) <= 30
    held = members("hydra").group_by("payment").aggregate([("account_id", "count")])
    sharing = held["account_id_count"].to_numpy()
    assert sharing.max() <= 10
    assert 0.3 < sharing[sharing > 1].sum() / sharing.sum() < 0.8


def test_clusters_mix_honest_text_in_and_leave_through_addresses_of_honest_users() -> None:
    hydra = pc.is_in(world().events["account_id"], members("hydra")["account_id"])
    chosen = world().template[hydra.to_numpy()]
    assert 0.18 < np.mean(chosen == FREE) < 0.3
    person = pc.is_in(world().events["account_id"], members("person")["account_id"])
    assert world().template[person.to_numpy()].max() < 60
    theirs = set(pc.unique(events_of("hydra")["client_ip"]).to_pylist())
    honest = set(pc.unique(world().events.filter(pc.invert(hydra))["client_ip"]).to_pylist())
    assert theirs & honest
    assert theirs - honest


def test_innocent_groups_share_what_makes_them_look_guilty() -> None:
    company = members("large company")
    assert len(pc.unique(company["payment"])) == 1
    gates = events_of("large company").group_by("client_ip").aggregate([("account_id", "count")])
    assert gates["account_id_count"].to_numpy().max() > 100
    assert len(pc.unique(members("shared computers")["device"])) == 2
    users = events_of("white-label end user")
    assert len(pc.unique(users["org_id"])) == 2
    assert len(pc.unique(users["client_ip"])) <= 6
    crowd = members("hackathon")["signup_time"].cast(pa.int64()).to_numpy()
    assert np.ptp(crowd) < 86_400_000_000
    assert len(pc.unique(members("reseller's client")["payment"])) == 1
    spread = events_of("person").group_by("account_id").aggregate([("request_id", "count")])
    counts = spread["request_id_count"].to_numpy()
    assert np.percentile(counts, 99) > 10 * np.median(counts)


def test_one_popular_template_is_everywhere_and_missing_columns_are_left_out() -> None:
    popular = np.bincount(world().template[world().template >= 0])[:60]
    assert popular[0] > 5 * np.median(popular)
    bare = generate(
        Scenario(1, SMALL.level, people=300, sizes=(8,), without=("prompt", "ja4", "device"))
    )
    assert {"prompt", "ja4"}.isdisjoint(bare.events.column_names)
    assert "device" not in bare.accounts.column_names


def test_published_indicators_name_planted_accounts_and_are_patterns(tmp_path: Path) -> None:
    bundle = json.loads(publish(world(), tmp_path / "bundle.json").read_text())
    patterns = [one["pattern"] for one in bundle["objects"]]
    assert all(parse(pattern) for pattern in patterns)
    planted = set(members("hydra")["account_id"].to_pylist())
    named = {pattern.split("'")[1] for pattern in patterns if "user_id" in pattern}
    assert named
    assert named <= planted
    assert len(patterns) == 2 * len(named)


def test_the_simpler_world_repeats_itself_and_plants_what_it_says() -> None:
    small = Scenario(3, SMALL.level, people=200, days=4, clusters=2, sizes=(10, 20))
    plain = crude(small)
    assert plain.events.equals(crude(small).events)
    planted = plain.truth.filter(pc.field("cluster") >= 0)
    assert sorted(planted["cluster"].to_pylist()) == [0] * 10 + [1] * 20
