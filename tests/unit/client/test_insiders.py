"""Members that lie within their rights, and what a refused step leaves behind."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from hub.channel.carriage import to_artifact
from hub.channel.header import Audience
from hub.channel.manifest import Policy, Role
from hub.channel.seal import seal_keys
from hub.channel.verify import TrustedChannel
from hub.client.home import Home
from hub.client.joining import join
from hub.client.keyring import Keyring, Unlock
from hub.client.membership import approve, create, invite, remove
from hub.client.publisher import Options, prepare, publish, seal_objects
from hub.client.renewal import renew
from hub.client.reporter import Seen, prepare_sightings
from hub.client.requests import candidates
from hub.client.stated import read_stated
from hub.client.subscriber import pull
from hub.client.work import Desk, current_secrets, flush, object_row
from hub.errors import ConflictError, InputError, VerificationError
from hub.model.codec import Json
from hub.model.objects import network_indicator
from tests.unit.client.circle import SETTINGS, Circle
from tests.unit.client.memory_hub import C1

ADDRESS_ID = "ipv4-addr--ff26c055-6336-5bc5-b98d-13d6226742dd"


@pytest.fixture
def pair(circle: Circle) -> Circle:
    """A lab that owns the channel, and a provider that publishes too."""
    circle.open_channel()
    circle.admit("provider", "publish")
    return circle


def _seal(circle: Circle, name: str, content: list[Json]) -> None:
    desk = circle.desks[name]
    with desk.home.locked():
        channel = desk.home.state.channel("circle")
        seal_objects(desk, channel, {Audience.DETAIL: content}, role=Role.PUBLISH)
        flush(desk, desk.home.state.channel("circle"))


def _indicators(circle: Circle, name: str, *addresses: str) -> list[Json]:
    now = datetime.fromtimestamp(circle.clock(), UTC)
    return [
        network_indicator(
            address,
            created_by=circle.desks[name].home.member_id,
            created=now,
            valid_from=now,
            valid_until=datetime.fromtimestamp(circle.clock() + 86_400, UTC),
            confidence=50,
        )
        for address in addresses
    ]


def test_no_part_of_a_refused_message_is_used(
    pair: Circle, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = _indicators(pair, "provider", "198.51.100.7", "198.51.100.8")
    _seal(pair, "provider", content)

    def second_fails(*args: Any) -> Any:
        if args[2]["id"] == content[1]["id"]:
            raise InputError("not a time")
        return object_row(*args)

    monkeypatch.setattr("hub.client.intake.object_row", second_fails)
    assert pair.pull("lab").refused == 1
    assert pair.desks["lab"].home.state.object(str(content[0]["id"])) is None


def test_the_first_body_of_an_observable_stays(pair: Circle) -> None:
    # An observable has no version; one that is invented must not decide whose body stays.
    dated = {"modified": "2020-01-01T00:00:00.000Z"}
    for name, extra in (("lab", dated), ("provider", {})):
        body = {"type": "ipv4-addr", "id": ADDRESS_ID, "value": "192.0.2.1", "by": name}
        _seal(pair, name, [body | extra])
        pair.pull("lab")
    kept = pair.desks["lab"].home.state.object(ADDRESS_ID)
    assert kept is not None
    assert kept.body["by"] == "lab"
    assert kept.member == pair.desks["lab"].home.member_id


def test_an_owner_cannot_change_a_fingerprint_key(pair: Circle) -> None:
    lab, provider = pair.desks["lab"].home, pair.desks["provider"].home
    channel = lab.state.channel("circle")
    (before,) = provider.fingerprint_secrets(channel.channel_id)
    trusted = lab.trusted(channel)
    other = dataclasses.replace(before, secret=b"x" * 32)
    signing = lab.keyring.current.signing
    secrets = current_secrets(lab, channel, trusted)
    raw = seal_keys(trusted, secrets, signing, [other], now=pair.clock())
    pair.hub.collections[C1].rows.append((pair.hub.stamp(), to_artifact(raw)))
    result = pair.pull("provider")
    assert any("another secret under the name" in each for each in result.alarms)
    assert provider.fingerprint_secrets(channel.channel_id) == [before]


def test_a_bad_wrap_of_the_past_does_not_cost_the_present(
    pair: Circle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bad(*args: Any) -> Any:
        raise VerificationError("the wrapped secret does not open with this key and context")

    renew(pair.desks["lab"], "circle", force=True)
    monkeypatch.setattr("hub.client.intake.unwrap_history", bad)
    assert pair.pull("provider").refused == 1
    home = pair.desks["provider"].home
    assert 3 in home.epoch_secrets(home.state.channel("circle").channel_id)


def test_two_processes_that_looked_at_once_do_not_fork(pair: Circle, tmp_path: Path) -> None:
    desk = pair.desks["lab"]
    with Home.open(tmp_path / "lab", Unlock.key_file(), settings=SETTINGS) as home:
        other = Desk(home, pair.hub.connect, pair.clock)
        seen = [(each, each.home.state.channel("circle")) for each in (desk, other)]
        for number, (each, channel) in enumerate(seen):
            path = tmp_path / f"{number}.csv"
            path.write_text(f"address,campaign\n198.51.100.{number + 1},LANTERN\n")
            made = prepare(each.home, channel, [path], Options(), now=pair.clock())
            assert publish(each, channel, made).messages >= 1
    result = pair.pull("provider")
    assert (result.alarms, result.refused, result.waiting) == ([], 0, 0)
    assert result.objects["indicator"] == 2


def test_a_key_that_never_went_out_is_given_up_with_its_message(pair: Circle) -> None:
    lab = pair.desks["lab"]
    channel = lab.home.state.channel("circle")
    (before,) = lab.home.fingerprint_secrets(channel.channel_id)
    pair.hub.refuse = lambda account, each: "no"
    with pytest.raises(ConflictError, match="refused a message"):
        remove(lab, "circle", pair.desks["provider"].home.member_id)
    assert len(lab.home.fingerprint_secrets(channel.channel_id)) == 2
    pair.hub.refuse = lambda account, each: None
    renew(lab, "circle", abandon=True)
    assert lab.home.fingerprint_secrets(channel.channel_id) == [before]


def test_a_clock_that_runs_backwards_costs_no_rounds(
    pair: Circle, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 30
    desk = pair.desks["provider"]
    for number in range(count):
        pair.clock.now -= 1
        _seal(pair, "provider", _indicators(pair, "provider", f"198.51.100.{number + 1}"))
    tries = 0
    accept = TrustedChannel.accept

    def counted(self: TrustedChannel, raw: bytes, *, now: int) -> Any:
        nonlocal tries
        tries += 1
        return accept(self, raw, now=now)

    monkeypatch.setattr(TrustedChannel, "accept", counted)
    assert pair.pull("lab").objects["indicator"] == count
    assert tries <= 2 * count
    assert desk.home.state.unsent(desk.home.state.channel("circle").channel_id) == []


@pytest.mark.parametrize(
    "content",
    [
        '{"LANTERN of ann@mailbox.example": {}}',
        '{"LANTERN": {"targeted_models": ["seen from 198.51.100.7"]}}',
    ],
)
def test_what_is_stated_of_a_campaign_names_nobody(tmp_path: Path, content: str) -> None:
    path = tmp_path / "campaigns.json"
    path.write_text(content)
    with pytest.raises(InputError, match="liaisons would read it") as caught:
        read_stated(path)
    assert "ann" not in str(caught.value)
    assert "198.51" not in str(caught.value)


OTHER: Final = "00000000-0000-4000-8000-0000000000c2"


def _in_another_channel(pair: Circle, address: str, change: Json) -> tuple[Home, Json]:
    """The provider is in a channel of strangers too, where one publishes the lab's indicator."""
    (mine,) = _indicators(pair, "lab", address)
    _seal(pair, "lab", [mine])
    pair.pull("provider")
    mallory, provider = pair.add("mallory"), pair.desks["provider"]
    create(
        mallory, "other", pair.account("mallory"), pair.hub.add_channel_collection(OTHER), Policy()
    )
    invitation = invite(mallory, "other", "Provider", "report")
    join(provider, invitation.text, pair.account("provider"), "other", by_file=False)
    approve(mallory, "other", candidates(mallory, "other")[0][0])
    pair.clock.now += 60
    stolen = mine | {
        "created_by_ref": mallory.home.member_id,
        "modified": "2027-01-01T00:00:00.000Z",
        **change,
    }
    with mallory.home.locked():
        channel = mallory.home.state.channel("other")
        seal_objects(mallory, channel, {Audience.DETAIL: [stolen]}, role=Role.PUBLISH)
        flush(mallory, mallory.home.state.channel("other"))
    assert [each.refused for each in pull(provider)] == [0, 0]
    return provider.home, mine


@pytest.mark.parametrize("change", [{"revoked": True}, {"confidence": 1}])
def test_another_channel_cannot_take_over_an_indicator(pair: Circle, change: Json) -> None:
    home, mine = _in_another_channel(pair, "198.51.100.7", change)
    assert [each for each in home.indicator_objects() if each["id"] == mine["id"]] == [mine]


def test_a_sighting_goes_to_the_channel_of_the_first_publisher(pair: Circle) -> None:
    home, mine = _in_another_channel(pair, "198.51.100.7", {})
    moment = datetime.fromtimestamp(pair.clock(), UTC)
    reporting = prepare_sightings(
        home, [Seen(str(mine["id"]), 1, moment, moment)], now=pair.clock()
    )
    assert list(reporting.channels) == [home.state.channel("circle").channel_id]


def test_a_joiner_cannot_take_a_removed_members_id(pair: Circle) -> None:
    lab, gone = pair.desks["lab"], pair.desks["provider"].home.member_id
    remove(lab, "circle", gone)
    thief = pair.add("thief")
    keys = Keyring.new(gone, "Thief", now=pair.clock(), card_lifetime_s=86_400)
    thief.home.replace_keyring(dataclasses.replace(keys, state_key=thief.home.keyring.state_key))
    invitation = invite(lab, "circle", "Thief", "publish")
    join(thief, invitation.text, pair.account("thief"), "circle", by_file=False)
    (found,), _ = candidates(lab, "circle")
    with pytest.raises(VerificationError, match="belongs to another root"):
        approve(lab, "circle", found)
    assert lab.home.trusted(lab.home.state.channel("circle")).manifest.member(gone) is None


def test_who_verifies_anew_is_not_led_back_before_a_removal(pair: Circle) -> None:
    pair.admit("removed", "read")
    pair.pull("provider")
    before = len(pair.hub.collections[C1].rows)
    remove(pair.desks["lab"], "circle", pair.desks["removed"].home.member_id)
    pair.pull("provider")
    provider = pair.desks["provider"]
    # The hub colludes with the removed member: it shows the channel as it was.
    pair.hub.rewrite = lambda rows: rows[:before]
    for _ in range(2):
        with pytest.raises(VerificationError, match="less than before: a manifest, an epoch"):
            renew(provider, "circle", abandon=True)
    (result,) = pull(provider)
    assert "less than before" in str(result.problem)
    assert provider.home.state.alarms()
    pair.hub.rewrite = lambda rows: rows
    assert pair.pull("provider").problem is None
    assert renew(provider, "circle", abandon=True).done
