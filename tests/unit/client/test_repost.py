"""A hub comes back from an older copy, and its members post again what it lacks."""

from __future__ import annotations

import atexit
import copy
import dataclasses
import functools
import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from hub.channel.carriage import from_artifact
from hub.channel.header import MessageType, parse_message, signed_message
from hub.channel.primitives.hash import digest
from hub.channel.verify import TrustedChannel
from hub.client import sent_bytes
from hub.client.governance import change_policy
from hub.client.home import Home
from hub.client.keyring import Unlock
from hub.client.log_pin import LogChoice, accept
from hub.client.renewal import renew
from hub.client.repost import Reposted, repost
from hub.client.work import Desk
from hub.errors import AccessError, ConflictError, InputError, VerificationError
from hub.model.codec import Json
from tests.unit.client.circle import SETTINGS, Circle, Clock
from tests.unit.client.council import NAMES, admit, council, countersign, version
from tests.unit.client.memory_hub import C1, MemoryHub, MemoryLog

MEMBERS: Final = (*NAMES, "fourth")
_OTHER_LOG: Final = "hub.example/stillwatch/c1/00000000000000e2"


def _lose(circle: Circle, keep: int) -> None:
    """The hub comes back with its first messages, and checks what it takes as a real one does."""
    stored = circle.hub.collections[C1]
    stored.rows = stored.rows[:keep]
    circle.hub.log = MemoryLog(origin=_OTHER_LOG)
    rows = [from_artifact(body) for _, body in stored.rows]
    circle.hub.log.digests = [bytes.fromhex(digest(raw)) for raw in rows]
    trusted = TrustedChannel.from_genesis(rows[0], owner_roots=None, now=circle.clock())
    for raw in rows:
        trusted.accept(raw, now=circle.clock())

    def refuse(account: str, each: Json) -> str | None:
        try:
            raw = from_artifact(each)
            accepted = trusted.examine(raw, now=circle.clock())
            if circle.hub.bound.get(account) not in accepted.posters:
                raise AccessError("your account is not bound to the member that signed it")
            trusted.accept(raw, now=circle.clock())
        except (InputError, VerificationError, AccessError) as error:
            return str(error)
        return None

    circle.hub.refuse = refuse


def _say(circle: Circle, name: str, number: int) -> None:
    path = circle.folder / f"{name}-{number}.csv"
    path.write_text(f"address,campaign\n198.51.100.{number},LANTERN\n")
    circle.clock.now += 1
    circle.pull(name)
    circle.publish(name, path)


def _live(circle: Circle) -> int:
    """Manifests, cards, epochs, keys and data of several; returns how many were there before."""
    lab, second, third = council(circle)
    kept = len(circle.hub.collections[C1].rows)
    _say(circle, "second", 1)
    change_policy(lab, "circle", {"staleness": 2 * 86_400})
    countersign(circle, second)
    assert not admit(circle, lab, "fourth", "publish").in_force
    countersign(circle, second)
    circle.pull("fourth")
    renew(third, "circle", new_card=True)
    renew(second, "circle", force=True)
    countersign(circle, lab)
    for number, name in enumerate(MEMBERS, start=10):
        _say(circle, name, number)
    for name in MEMBERS:
        assert circle.pull(name).alarms == []
    return kept


@functools.cache
def _template() -> tuple[Path, MemoryHub, Clock, int]:
    """That life, lived once in a process."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    clock = Clock()
    circle = Circle(folder, MemoryHub(now=clock), clock)
    kept = _live(circle)
    circle.close()
    return folder, circle.hub, circle.clock, kept


def _busy(circle: Circle) -> int:
    """A channel with such a life; returns how many messages were there before it."""
    folder, hub, clock, kept = _template()
    circle.hub, circle.clock = copy.deepcopy((hub, clock))
    for name in MEMBERS:
        shutil.copytree(folder / name, circle.folder / name)
        home = Home.open(circle.folder / name, Unlock.key_file(), settings=SETTINGS)
        circle.desks[name] = Desk(home, circle.hub.connect, circle.clock)
    return kept


def _again(circle: Circle, name: str) -> Reposted:
    return repost(circle.desks[name], "circle")


def _all_again(circle: Circle, names: list[str], dice: random.Random) -> int:
    """Everybody, in any order, until everybody is done; returns how many rounds it took."""
    for rounds in range(1, 20):
        dice.shuffle(names)
        done = [_again(circle, name).complete for name in names]
        if False not in done:
            return rounds
    raise AssertionError([_again(circle, name) for name in names])


def _view(circle: Circle, name: str) -> tuple[object, ...]:
    home = circle.desks[name].home
    trusted = home.trusted(home.state.channel("circle"))
    live = {
        str(body["id"]): str(body["modified"])
        for body in home.indicator_objects()
        if body["type"] == "indicator" and body.get("revoked") is not True
    }
    heads = {card.sign_id: trusted.last(card.sign_id) for card in trusted.cards.values()}
    return trusted.manifest.hash, trusted.epoch, heads, live


def _digests(circle: Circle) -> list[str]:
    return [digest(from_artifact(body)) for _, body in circle.hub.collections[C1].rows]


@pytest.mark.parametrize("seed", range(3))
def test_everybody_posts_again_and_all_agree(circle: Circle, seed: int) -> None:
    dice = random.Random(seed)
    kept = _busy(circle)
    names = list(MEMBERS)
    before = Counter(_digests(circle))
    lost = [parse_message(from_artifact(row)) for _, row in circle.hub.collections[C1].rows[kept:]]
    kinds = {each.header.t for each in lost}
    assert {*MessageType} - kinds <= {MessageType.TOMBSTONE, MessageType.HEARTBEAT}
    views = {name: _view(circle, name) for name in names}
    _lose(circle, kept if seed == 0 else dice.randrange(kept, sum(before.values())))

    _all_again(circle, names, dice)
    assert Counter(_digests(circle)) == before
    for name in names:
        result = circle.pull(name)
        assert (result.problem, result.alarms) == (None, []), name
        assert _view(circle, name) == views[name]
        # Who joined later has no history.
        assert views[name][:3] == views["lab"][:3]
    for number, name in enumerate(names, start=50):
        _say(circle, name, number)
    for name in names:
        assert circle.pull(name).objects.get("indicator", 0) <= len(names)
    assert len({repr(_view(circle, name)[:3]) for name in names}) == 1
    # Whoever reads all of it from the beginning sees the same.
    fresh = circle.desks["third"].home.state
    fresh.set_cursor(fresh.channel("circle").channel_id, "2000-01-01T00:00:00Z")
    assert circle.pull("third").alarms == []


def test_nothing_is_posted_that_the_hub_holds(circle: Circle) -> None:
    _busy(circle)
    circle.hub.requests.clear()
    for name in MEMBERS:
        found = _again(circle, name)
        assert (found.complete, found.posted, found.lacking) == (True, 0, 0)
    assert "add" not in circle.hub.requests


def test_a_dry_run_counts_and_posts_nothing(circle: Circle) -> None:
    kept = _busy(circle)
    _lose(circle, kept)
    circle.hub.requests.clear()
    found = repost(circle.desks["lab"], "circle", dry_run=True)
    assert found.lacking > 3
    assert (found.posted, found.complete) == (0, False)
    assert not {"add", "bind"} & set(circle.hub.requests)
    assert len(circle.hub.collections[C1].rows) == kept


def test_a_stuck_channel_works_again(circle: Circle) -> None:
    """Owners had tried to accept the log, and one to begin anew, before anybody posted again."""
    kept = _busy(circle)
    circle.hub.logged = True
    lab, second = circle.desks["lab"], circle.desks["second"]
    _lose(circle, kept)
    with pytest.raises(ConflictError, match="refused a message"):
        _say(circle, "lab", 90)
    with pytest.raises(VerificationError, match="shows less than before"):
        renew(second, "circle", new_card=True, abandon=True)
    _all_again(circle, list(MEMBERS), random.Random(1))
    for name in MEMBERS:
        assert circle.pull(name).problem is None, name
    outcome = accept(lab, "circle", LogChoice())
    assert not outcome.in_force
    assert countersign(circle, second).in_force
    for name in MEMBERS:
        circle.pull(name)
    assert len({version(circle.desks[name]) for name in MEMBERS}) == 1
    assert (
        circle.desks["third"]
        .home.trusted(circle.desks["third"].home.state.channel("circle"))
        .manifest.log
        == circle.hub.log.offer
    )


def test_what_stands_on_lost_bytes_is_told_and_not_posted(circle: Circle) -> None:
    council(circle)
    kept = len(circle.hub.collections[C1].rows)
    for number in range(3):
        _say(circle, "second", 20 + number)
    _lose(circle, kept)
    state = circle.desks["second"].home.state
    lacking = repost(circle.desks["second"], "circle", dry_run=True).lacking
    state.run(
        "UPDATE outbox SET raw=x'' WHERE digest=(SELECT digest FROM outbox WHERE"
        " channel_id=? ORDER BY position DESC LIMIT 1 OFFSET 1)",
        (state.channel("circle").channel_id,),
    )
    found = _again(circle, "second")
    assert (found.gone, found.waiting, found.posted) == (1, 1, lacking - 2)
    assert not found.complete


def test_what_was_given_up_for_a_new_card_stays_away(
    circle: Circle, monkeypatch: pytest.MonkeyPatch
) -> None:
    circle.open_channel()
    _say(circle, "lab", 1)
    kept = len(circle.hub.collections[C1].rows)
    _say(circle, "lab", 2)
    _lose(circle, kept)
    # As where the hub refuses it, because it is too old.
    monkeypatch.setattr("hub.client.renewal.send_again", lambda *given: 0)
    renew(circle.desks["lab"], "circle", new_card=True, abandon=True)
    renew(circle.desks["lab"], "circle")
    found = _again(circle, "lab")
    assert found.complete
    assert (found.lacking, found.gone) == (0, 0)
    assert 0 not in _kept(circle, "lab")


def test_what_a_home_sent_of_a_key_that_ended_is_not_posted(circle: Circle) -> None:
    _busy(circle)
    home = circle.desks["third"].home
    channel = home.state.channel("circle")
    trusted = home.trusted(channel)
    old = next(key for key in trusted.manifest.finals if trusted.holder(key) == home.member_id)
    seq = trusted.manifest.finals[old].seq
    rows = home.state.rows("SELECT raw FROM outbox WHERE target='channel'")
    raws = [bytes(row[0]) for row in rows]
    message = next(each for each in map(parse_message, raws) if each.header.pub is not None)
    header = dataclasses.replace(message.header, pub=old, seq=seq + 1)
    late = signed_message(header, message.body, home.keyring.cards[0].signing)
    home.state.enqueue(channel.channel_id, "channel", digest(late), late, "TLP:AMBER", 1)
    found = _again(circle, "third")
    assert (found.complete, found.posted, found.ended) == (True, 0, 1)


def test_a_hub_that_does_not_show_the_channel(circle: Circle) -> None:
    _busy(circle)
    circle.hub.readers = lambda account, collection: False
    with pytest.raises(AccessError, match="does not show this channel") as caught:
        _again(circle, "fourth")
    assert "channel account" in str(caught.value.hint)


def _kept(circle: Circle, name: str) -> list[int]:
    rows = circle.desks[name].home.state.rows(
        "SELECT length(raw) FROM outbox WHERE target='channel' ORDER BY position"
    )
    return [int(row[0]) for row in rows]


def test_kept_bytes_are_bounded(circle: Circle, monkeypatch: pytest.MonkeyPatch) -> None:
    circle.open_channel()
    _say(circle, "lab", 1)
    _say(circle, "lab", 2)
    sizes = _kept(circle, "lab")
    assert 0 not in sizes
    # The newest that fit stay.
    monkeypatch.setattr(sent_bytes, "KEPT_BYTES", sizes[-1] + sizes[-2])
    _say(circle, "lab", 3)
    after = _kept(circle, "lab")
    assert sum(after) <= sizes[-1] + sizes[-2]
    assert after[-1] > 0
    assert sorted(after, key=bool) == after
    # And none longer than that.
    monkeypatch.setattr(sent_bytes, "KEPT_SECONDS", 10)
    circle.clock.now += 11
    _say(circle, "lab", 4)
    assert _kept(circle, "lab")[: len(after)] == [0] * len(after)


def test_a_join_request_is_not_kept(circle: Circle) -> None:
    circle.open_channel()
    desk = circle.admit("provider", "read")
    rows = desk.home.state.rows("SELECT length(raw) FROM outbox WHERE target='inbox'")
    assert [int(row[0]) for row in rows] == [0]


def test_the_result_says_when_it_is_complete() -> None:
    found = Reposted("circle", lacking=2, posted=2)
    assert found.complete
    assert not dataclasses.replace(found, gone=1).complete
    assert not dataclasses.replace(found, posted=1).complete


def test_an_owner_posts_manifests_and_cards_that_others_had_posted(circle: Circle) -> None:
    kept = _busy(circle)
    _lose(circle, kept)
    # All that those who were last to sign had sent is gone with their homes.
    state = circle.desks["lab"].home.state
    sent = {str(row[0]) for row in state.rows("SELECT digest FROM outbox")}
    _again(circle, "lab")
    posted = [from_artifact(body) for _, body in circle.hub.collections[C1].rows[kept:]]
    of_others = {parse_message(raw).header.t for raw in posted if digest(raw) not in sent}
    assert of_others == {MessageType.MANIFEST, MessageType.CARD}
    # Who only reads and publishes posts nobody else's.
    own = circle.desks["fourth"].home.state
    sent = {str(row[0]) for row in own.rows("SELECT digest FROM outbox")}
    before = len(circle.hub.collections[C1].rows)
    _again(circle, "fourth")
    after = [from_artifact(body) for _, body in circle.hub.collections[C1].rows[before:]]
    assert {digest(raw) for raw in after} <= sent
