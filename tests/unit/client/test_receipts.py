"""Receipts: who has dropped what was withdrawn, and what a false word looks like."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from hub.channel.header import Audience
from hub.channel.manifest import Role
from hub.channel.receipt import RECEIPT_LABEL, Receipt, parse_receipt
from hub.client import receipts
from hub.client.choices import RECEIPTS, Choices
from hub.client.dropped import Drop, Withdrawal, withdrawals
from hub.client.membership import remove
from hub.client.plan import PlanFile
from hub.client.publisher import retract, seal_objects
from hub.client.purges import Purged, Purges
from hub.client.work import flush
from hub.errors import InputError, StoreError, TransportError
from hub.hunt.hunted import Hunted, Versions
from hub.hunt.store import EventStore
from hub.model.codec import Json
from hub.model.markings import TLP
from tests.unit.client.circle import Circle
from tests.unit.client.test_direct import patterns, proxies, release


@pytest.fixture
def five(circle: Circle, tmp_path: Path) -> Circle:
    """A lab that published two indicators, and one member of each kind who pulled them."""
    circle.open_channel()
    for name, role in (
        ("provider", "report"),
        ("other", "publish"),
        ("reader", "read"),
        ("observer", "liaison"),
    ):
        circle.admit(name, role)
    circle.publish("lab", proxies(tmp_path, "203.0.113.7", "203.0.113.9"))
    for name in ("lab", "provider", "other", "reader", "observer"):
        circle.pull(name)
    circle.clock.now += 60
    return circle


def ids(circle: Circle) -> list[str]:
    return [row.id for row in circle.desks["lab"].home.state.objects(types=("indicator",))]


def withdraw(circle: Circle, *which: str) -> None:
    lab = circle.desks["lab"]
    retract(lab, lab.home.state.channel("circle"), which)


def status(circle: Circle, *which: str) -> list[Withdrawal]:
    home = circle.desks["lab"].home
    return withdrawals(home, home.state.channel("circle"), which)


def drops(found: Withdrawal) -> dict[str, Drop]:
    return {each.name: each.drop for each in found.members}


def receipt_notes(circle: Circle, name: str) -> list[Json]:
    rows = circle.desks[name].home.state.objects(types=("note",))
    return [row.body for row in rows if RECEIPT_LABEL in row.body.get("labels", ())]


def test_each_member_says_whether_it_dropped_it(five: Circle) -> None:
    withdraw(five, *ids(five))
    assert set(drops(status(five)[0]).values()) == {Drop.UNSEEN, Drop.CANNOT_SAY}
    five.clock.now += 60
    news = five.pull("provider")
    assert (len(news.revoked), news.receipts) == (2, 1)
    assert five.pull("reader").receipts == 0
    news = five.pull("lab")
    # The channel's own business is no material.
    assert (news.reports, news.objects) == (0, {})
    lab = five.desks["lab"].home.state
    assert "note" not in lab.count_objects(lab.channel("circle").channel_id)
    assert len(receipt_notes(five, "lab")) == 1
    one, two = status(five)
    assert (
        drops(one)
        == drops(two)
        == {
            "Provider": Drop.DROPPED,
            "Other": Drop.UNSEEN,
            "Reader": Drop.CANNOT_SAY,
        }
    )
    at = {each.name: (each.at, each.seen) for each in one.members}
    assert at["Provider"] == (five.clock.now, five.clock.now)
    assert at["Other"] == (None, None)
    assert json.loads(json.dumps(one.to_json()))["members"][0]["drop"] == "not seen since"


def test_a_receipt_is_signed_once(five: Circle) -> None:
    withdraw(five, *ids(five))
    assert [five.pull("provider").receipts for _ in range(3)] == [1, 0, 0]
    five.pull("lab")
    (note,) = receipt_notes(five, "lab")
    assert sorted(note["object_refs"]) == sorted(ids(five))
    said = parse_receipt(note)
    assert said == Receipt((status(five)[0].message,), five.clock.now)


def test_what_was_withdrawn_is_purged_everywhere(five: Circle) -> None:
    (first, second) = ids(five)
    home = five.desks["provider"].home
    known = Versions.of(home.indicator_objects(five.clock()))
    EventStore.create(home.path / "hunt")
    hunted = Hunted({})
    hunted.note(known, 3)
    hunted.save(home.path / "hunt")
    plan = PlanFile(home.path)
    plan.write(b"d" * 32, b"compiled of both indicators")
    body = home.state.object(first)
    assert body is not None
    pattern = str(body.body["pattern"]).encode()
    withdraw(five, first)
    five.pull("provider")
    assert plan.read(b"d" * 32) is None
    assert list(Hunted.load(home.path / "hunt").due(known, 3)) == [(0, frozenset({first}))]
    assert len(patterns(home, five.clock())) == 1
    for path in home.path.glob("state.sqlite*"):
        assert pattern not in path.read_bytes(), path.name
    left = home.state.object(first)
    assert left is not None
    assert left.revoked
    assert home.state.object(second) is not None
    # The same of the publisher's own home.
    own = five.desks["lab"].home
    for path in own.path.glob("state.sqlite*"):
        assert pattern not in path.read_bytes(), path.name


def test_a_crash_before_the_receipt_costs_nothing(
    five: Circle, monkeypatch: pytest.MonkeyPatch
) -> None:
    withdraw(five, ids(five)[0])
    with monkeypatch.context() as patch:
        patch.setattr(receipts, "seal_objects", _fails)
        with pytest.raises(StoreError):
            five.pull("provider")
    assert len(patterns(five.desks["provider"].home, five.clock())) == 1
    assert five.pull("provider").receipts == 1
    five.pull("lab")
    assert len(receipt_notes(five, "lab")) == 1


def _fails(*args: object, **options: object) -> tuple[int, int]:
    raise StoreError("the disk is full")


def test_a_lost_answer_does_not_sign_a_second_receipt(five: Circle) -> None:
    withdraw(five, ids(five)[0])

    def lose(request: str) -> None:
        if request == "added":
            raise TransportError("the answer was lost")

    five.hub.fail = lose
    news = five.pull("provider")
    assert news.problem is not None
    five.hub.fail = lambda request: None
    assert five.pull("provider").receipts == 0
    five.pull("lab")
    assert drops(status(five)[0])["Provider"] is Drop.DROPPED
    assert len(receipt_notes(five, "lab")) == 1


def test_receipts_can_be_declined(five: Circle) -> None:
    home = five.desks["provider"].home
    Choices(home.state).put(RECEIPTS, on=False)
    withdraw(five, ids(five)[0])
    five.clock.now += 90_000
    assert five.pull("provider").receipts == 0
    assert len(patterns(home, five.clock())) == 1
    five.pull("other")
    five.pull("lab")
    assert drops(status(five)[0])["Provider"] is Drop.UNSEEN
    Choices(home.state).put(RECEIPTS, on=True)
    assert five.pull("provider").receipts == 1


def test_who_was_heard_of_and_signed_no_receipt_has_not_dropped_it(five: Circle) -> None:
    Choices(five.desks["other"].home.state).put(RECEIPTS, on=False)
    withdraw(five, ids(five)[0])
    # A publisher with nothing to say signs a heartbeat.
    five.clock.now += 90_000
    five.pull("other")
    five.pull("lab")
    found = {each.name: each for each in status(five)[0].members}["Other"]
    assert found.drop is Drop.NOT_YET
    assert found.seen == five.clock.now


def say(circle: Circle, name: str, receipt: Json, refs: list[str]) -> None:
    desk = circle.desks[name]
    channel = desk.home.state.channel("circle")
    body = receipts._note(
        desk.home,
        [
            dataclasses.replace(each, object_id=object_id)
            for object_id in refs
            for each in _sample(circle)
        ],
        TLP.AMBER,
    ) | {"content": json.dumps(receipt, sort_keys=True, separators=(",", ":"))}
    seal_objects(desk, channel, {Audience.DETAIL: [body]}, role=Role.PUBLISH)
    flush(desk, channel)


def _sample(circle: Circle) -> list[Purged]:
    home = circle.desks["lab"].home
    return Purges(home.state).of(home.state.channel("circle").channel_id)[:1]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"digests": ["ab" * 32], "purged": 1_790_000_100}, "names another message"),
        ({"digests": [], "purged": 1_790_000_100}, "is not readable"),
        ({"digests": "all", "purged": 1_790_000_100}, "is not readable"),
        ({"purged": 1_790_000_100}, "is not readable"),
    ],
)
def test_a_false_receipt_is_shown_as_such(five: Circle, content: Json, why: str) -> None:
    (first, _) = ids(five)
    withdraw(five, first)
    say(five, "other", content, [first])
    five.pull("lab")
    found = {each.name: each for each in status(five)[0].members}["Other"]
    assert found.drop is Drop.FALSE
    assert why in found.why


def test_a_receipt_from_before_the_withdrawal_is_false(five: Circle) -> None:
    (first, _) = ids(five)
    withdraw(five, first)
    digest = status(five)[0].message
    say(five, "other", {"digests": [digest], "purged": five.clock() - 5_000}, [first])
    five.pull("lab")
    found = {each.name: each for each in status(five)[0].members}["Other"]
    assert (found.drop, found.at) == (Drop.FALSE, five.clock() - 5_000)


def test_nobody_signs_for_another(five: Circle) -> None:
    (first, _) = ids(five)
    withdraw(five, first)
    say(
        five,
        "other",
        {"digests": [status(five)[0].message], "purged": five.clock()},
        [first, five.desks["provider"].home.member_id],
    )
    five.pull("lab")
    assert drops(status(five)[0])["Provider"] is Drop.UNSEEN
    assert drops(status(five)[0])["Other"] is Drop.DROPPED


def test_who_was_given_it_directly_answers_directly(five: Circle, tmp_path: Path) -> None:
    release(five, ["Provider", "Observer"], proxies(tmp_path, "198.51.100.4"))
    for name in ("provider", "observer"):
        five.pull(name)
    secret = next(
        row.id
        for row in five.desks["lab"].home.state.objects(types=("indicator",))
        if row.audience == "direct"
    )
    withdraw(five, secret)
    five.clock.now += 60
    for name in ("provider", "observer", "other", "lab"):
        five.pull(name)
    (found,) = status(five, secret)
    assert drops(found) == {"Provider": Drop.DROPPED, "Observer": Drop.CANNOT_SAY}
    assert not receipt_notes(five, "other")
    assert (
        next(e.why for e in found.members if e.name == "Observer") == "a liaison signs no receipts"
    )


def test_members_who_left_or_came_are_told_apart(five: Circle) -> None:
    withdraw(five, ids(five)[0])
    lab = five.desks["lab"]
    remove(lab, "circle", five.desks["other"].home.member_id)
    five.admit("newcomer", "report")
    five.pull("lab")
    found = drops(status(five)[0])
    assert found["Other"] is Drop.GONE
    assert found["Newcomer"] is Drop.LATER


def test_only_own_withdrawals_have_a_status(five: Circle) -> None:
    (first, second) = ids(five)
    withdraw(five, first)
    with pytest.raises(InputError, match="withdrew no such indicator"):
        status(five, second)
    five.pull("provider")
    home = five.desks["provider"].home
    assert withdrawals(home, home.state.channel("circle")) == []
