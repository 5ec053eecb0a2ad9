"""A hub that drops, reorders, replays, withholds, alters, or dies; and members that lie."""

from __future__ import annotations

import base64
import dataclasses
import random
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.channel.carriage import from_artifact, to_artifact
from hub.channel.header import Audience, parse_message
from hub.channel.manifest import Role
from hub.channel.notices import Deleted
from hub.channel.seal import seal_tombstone
from hub.channel.verify import TrustedChannel
from hub.client.governance import change_policy
from hub.client.home import Home
from hub.client.keyring import Unlock
from hub.client.publisher import seal_objects
from hub.client.renewal import renew
from hub.client.subscriber import pull
from hub.client.work import Desk, Sealed, flush
from hub.errors import ConflictError, InputError, TransportError, VerificationError
from hub.model.codec import Json
from hub.model.objects import network_indicator, revoke
from tests.unit.client.circle import SETTINGS, Circle, write_files
from tests.unit.client.memory_hub import C1, MemoryHub

Rows = list[tuple[str, Json]]


@pytest.fixture
def published(circle: Circle, tmp_path: Path) -> Circle:
    """Three messages of data wait for the provider, a few others beside them."""
    circle.open_channel()
    circle.admit("provider", "publish")
    for number, path in enumerate(write_files(tmp_path)):
        circle.clock.now += number
        circle.publish("lab", path)
    return circle


def _count(circle: Circle) -> int:
    return sum(
        each["type"] == "indicator" for each in circle.desks["provider"].home.indicator_objects()
    )


def _new(circle: Circle, rows: Rows) -> Rows:
    """Those rows that the provider has not processed."""
    cursor = circle.desks["provider"].home.state.channel("circle").cursor or ""
    return [each for each in rows if each[0] > cursor]


def test_reordered_messages_are_put_in_order(published: Circle) -> None:
    spread = random.Random(7)

    def shuffled(rows: Rows) -> Rows:
        bodies = [body for _, body in rows]
        spread.shuffle(bodies)
        return [(date, body) for (date, _), body in zip(rows, bodies, strict=True)]

    published.hub.page_size = 2
    published.hub.rewrite = shuffled
    # A shuffled hub shows some rows behind the cursor; a full read brings them.
    state = published.desks["provider"].home.state
    state.set_cursor(state.channel("circle").channel_id, "2000-01-01T00:00:00Z")
    result = published.pull("provider")
    assert (result.alarms, result.waiting) == ([], 0)
    assert _count(published) == 7


def test_replayed_messages_change_nothing(published: Circle) -> None:
    published.pull("provider")
    published.hub.rewrite = lambda rows: (
        rows
        + [
            (f"2027-01-01T00:00:{index:02d}.000000Z", body)
            for index, (_, body) in enumerate(rows[:50])
        ]
    )
    result = published.pull("provider")
    assert (result.messages, result.objects, result.alarms) == (0, {}, [])


def test_a_withheld_message_holds_back_what_follows(published: Circle) -> None:
    hidden = _new(published, published.hub.collections[C1].rows)[0][1]["id"]
    published.hub.rewrite = lambda rows: [each for each in rows if each[1]["id"] != hidden]
    result = published.pull("provider")
    assert result.waiting > 0
    assert result.alarms == []
    # The message comes after all, with a later date, as from a hub that was slow.
    published.hub.rewrite = lambda rows: (
        [each for each in rows if each[1]["id"] != hidden]
        + [("2027-01-01T00:00:00.000000Z", body) for _, body in rows if body["id"] == hidden]
    )
    result = published.pull("provider")
    assert (result.waiting, result.alarms) == (0, [])
    assert _count(published) == 7


def test_a_tombstone_bridges_the_gap_of_what_it_deleted(published: Circle) -> None:
    lab = published.desks["lab"]
    waiting = [body for _, body in _new(published, published.hub.collections[C1].rows)]
    details = [parse_message(from_artifact(each)) for each in waiting]
    gone = next(each for each in details if each.header.aud is Audience.DETAIL)
    first = waiting[details.index(gone)]
    assert gone.header.seq is not None
    with lab.home.locked():
        channel = lab.home.state.channel("circle")
        trusted = lab.home.trusted(channel)
        deleted = Deleted(str(gone.header.pub), gone.header.seq, gone.digest)
        sealed = Sealed(lab.home, channel, trusted, published.clock())
        signing = lab.home.keyring.current.signing
        sealed.add(
            seal_tombstone(trusted, signing, [deleted], reason="error", now=published.clock())
        )
        sealed.store()
    flush(lab, channel)
    published.hub.rewrite = lambda rows: [each for each in rows if each[1]["id"] != first["id"]]
    result = published.pull("provider")
    assert (result.waiting, result.alarms) == (0, [])
    assert 0 < _count(published) < 7


def test_a_flood_of_early_messages_is_bounded(published: Circle) -> None:
    home = published.desks["provider"].home
    home.settings = dataclasses.replace(home.settings, max_waiting=1)
    hidden = _new(published, published.hub.collections[C1].rows)[0][1]["id"]
    published.hub.rewrite = lambda rows: [each for each in rows if each[1]["id"] != hidden]
    result = published.pull("provider")
    assert result.waiting == 1
    assert any("the rest was dropped" in each for each in result.alarms)
    published.hub.rewrite = lambda rows: rows
    # What was dropped is fetched again, so the flood costs no message.
    assert published.pull("provider").waiting == 0
    assert _count(published) == 7


def test_a_hub_that_dies_between_pages(published: Circle) -> None:
    published.hub.page_size = 1
    pages = 0

    def die(request: str) -> None:
        nonlocal pages
        pages += request == "page"
        if pages == 3:
            raise TransportError("the hub cannot be reached, or broke off")

    published.hub.fail = die
    result = published.pull("provider")
    assert result.problem is not None
    assert result.messages == 2
    published.hub.fail = lambda request: None
    result = published.pull("provider")
    assert result.problem is None
    assert _count(published) == 7
    assert published.hub.requests.count("page") < 25


def _altered(body: Json, position: int) -> Json:
    """The artifact of the same message with one bit flipped, hash and id as they must be."""
    raw = bytearray(from_artifact(body))
    raw[position] ^= 1
    return to_artifact(bytes(raw))


@pytest.mark.parametrize("position", [-1, -3500, 400])
def test_an_altered_message_is_an_alarm(published: Circle, position: int) -> None:
    target = _new(published, published.hub.collections[C1].rows)[0][1]["id"]
    published.hub.rewrite = lambda rows: [
        (date, _altered(body, position) if body["id"] == target else body) for date, body in rows
    ]
    result = published.pull("provider")
    assert result.refused + result.foreign + result.waiting > 0
    assert all(row.type != "campaign" for row in _rows(published))
    assert result.alarms or result.foreign or result.waiting


def _rows(circle: Circle) -> Iterator[Any]:
    return circle.desks["provider"].home.state.objects(types=("campaign",))


def test_an_altered_artifact_is_an_alarm(published: Circle) -> None:
    def altered(rows: Rows) -> Rows:
        date, body = rows[-1]
        payload = bytearray(base64.b64decode(body["payload_bin"]))
        payload[-1] ^= 1
        return [*rows[:-1], (date, body | {"payload_bin": base64.b64encode(payload).decode()})]

    published.hub.rewrite = altered
    result = published.pull("provider")
    assert result.refused == 1
    assert len(result.alarms) == 1
    assert published.desks["provider"].home.state.alarms()


def test_things_that_are_no_messages_are_counted(published: Circle) -> None:
    rows = published.hub.collections[C1].rows
    rows.append(("2027-01-01T00:00:00.000000Z", {"type": "identity", "id": "identity--1"}))
    rows.append(("2027-01-01T00:00:01.000000Z", to_artifact(b"no message")))
    result = published.pull("provider")
    assert (result.foreign, result.alarms) == (2, [])
    assert _count(published) == 7


def test_a_message_of_another_channel_is_an_alarm(published: Circle, tmp_path: Path) -> None:
    other = Circle(tmp_path / "other", MemoryHub(now=published.clock), published.clock)
    other.open_channel()
    strange = other.hub.collections[C1].rows[-1][1]
    other.close()
    published.hub.collections[C1].rows.append(("2027-01-01T00:00:00.000000Z", strange))
    result = published.pull("provider")
    assert result.refused == 1
    assert "another channel" in result.alarms[0]


def test_another_genesis_is_refused(circle: Circle, tmp_path: Path) -> None:
    circle.open_channel()
    circle.admit("provider", "read")
    home = circle.desks["provider"].home
    genesis = circle.hub.collections[C1].rows[0][1]
    trusted = home.trusted(home.state.channel("circle"))
    with pytest.raises(VerificationError, match="owners"):
        TrustedChannel.from_genesis(
            from_artifact(genesis), owner_roots={"0" * 64}, now=circle.clock()
        )
    assert trusted.channel == home.state.channel("circle").channel_id


def _lie(circle: Circle, content: list[Json]) -> None:
    """The provider seals what an honest client refuses to seal."""
    desk = circle.desks["provider"]
    with pytest.MonkeyPatch.context() as patch, desk.home.locked():
        patch.setattr("hub.client.publisher.check_bundle", lambda *args, **options: [])
        channel = desk.home.state.channel("circle")
        seal_objects(desk, channel, {Audience.DETAIL: content}, role=Role.PUBLISH)
        flush(desk, desk.home.state.channel("circle"))


@pytest.mark.parametrize("claims_author", [True, False])
def test_revoking_what_another_owns_is_an_alarm(published: Circle, claims_author: bool) -> None:
    published.pull("provider")
    home = published.desks["provider"].home
    target = next(each for each in home.indicator_objects() if each["type"] == "indicator")
    gone = revoke(target, datetime.fromtimestamp(published.clock() + 60, UTC))
    if claims_author:
        gone = gone | {"created_by_ref": home.member_id}
    _lie(published, [gone])
    result = published.pull("lab")
    assert result.refused == 1
    assert len(result.alarms) >= 1
    assert result.revoked == []
    kept = published.desks["lab"].home.state.object(str(target["id"]))
    assert kept is not None
    assert not kept.revoked


def test_an_honest_client_does_not_seal_a_lie(published: Circle) -> None:
    published.pull("provider")
    home = published.desks["provider"].home
    target = next(each for each in home.indicator_objects() if each["type"] == "indicator")
    desk = published.desks["provider"]
    with pytest.raises(VerificationError), desk.home.locked():
        seal_objects(
            desk, home.state.channel("circle"), {Audience.DETAIL: [target]}, role=Role.PUBLISH
        )
    assert home.state.unsent(home.state.channel("circle").channel_id) == []


def _own_indicator(circle: Circle, name: str, address: str) -> Json:
    now = datetime.fromtimestamp(circle.clock(), UTC)
    made = network_indicator(
        address,
        created_by=circle.desks[name].home.member_id,
        created=now,
        valid_from=now,
        valid_until=datetime.fromtimestamp(circle.clock() + 86_400, UTC),
        confidence=50,
    )
    return dict(made)


def _verifying(circle: Circle) -> None:
    """The hub refuses what the real one refuses."""
    rows = [from_artifact(body) for _, body in circle.hub.collections[C1].rows]
    trusted = TrustedChannel.from_genesis(rows[0], owner_roots=None, now=circle.clock())
    for raw in rows:
        trusted.accept(raw, now=circle.clock())

    def refuse(account: str, each: Json) -> str | None:
        try:
            raw = from_artifact(each)
            if parse_message(raw).header.ch == trusted.channel:
                trusted.examine(raw, now=circle.clock())
                trusted.accept(raw, now=circle.clock())
        except (InputError, VerificationError) as error:
            return str(error)
        return None

    circle.hub.refuse = refuse


def test_two_machines_with_one_key_are_told_apart_and_healed(
    published: Circle, tmp_path: Path
) -> None:
    _verifying(published)
    published.pull("provider")
    published.desks["provider"].home.close()
    shutil.copytree(tmp_path / "provider", tmp_path / "twin")
    for name in ("provider", "twin"):
        home = Home.open(tmp_path / name, Unlock.key_file(), settings=SETTINGS)
        published.desks[name] = Desk(home, published.hub.connect, published.clock)
    for name, address in (("provider", "198.51.100.7"), ("twin", "198.51.100.8")):
        desk = published.desks[name]
        content = [_own_indicator(published, name, address)]
        with desk.home.locked():
            channel = desk.home.state.channel("circle")
            seal_objects(desk, channel, {Audience.DETAIL: content}, role=Role.PUBLISH)
            if name == "provider":
                flush(desk, channel)
                continue
            with pytest.raises(ConflictError, match="refused a message") as caught:
                flush(desk, channel)
            assert "--new-card --abandon-outbox" in str(caught.value.hint)
    # The twin's own message is the fork that it then sees.
    (result,) = pull(published.desks["twin"])
    assert result.alarms


def test_a_message_that_came_too_late_is_given_up(published: Circle, tmp_path: Path) -> None:
    published.pull("provider")
    desk = published.desks["provider"]
    with desk.home.locked():
        channel = desk.home.state.channel("circle")
        content = [_own_indicator(published, "provider", "198.51.100.7")]
        seal_objects(desk, channel, {Audience.DETAIL: content}, role=Role.PUBLISH)
    # The machine was off; meanwhile the owner rotates, and the staleness window passes.
    published.clock.now += 3600
    renew(published.desks["lab"], "circle", force=True)
    published.clock.now += 3 * 86_400
    published.pull("lab")
    _verifying(published)
    (result,) = pull(desk)
    assert "refused a message" in str(result.problem)
    assert len(desk.home.state.unsent(channel.channel_id)) == 1

    done = renew(desk, "circle", new_card=True, abandon=True).done
    assert done[0].startswith("dropped 1 unsent")
    renew(published.desks["lab"], "circle")
    published.pull("provider")
    path = tmp_path / "again.csv"
    path.write_text("address,campaign\n198.51.100.7,LANTERN\n")
    assert published.publish("provider", path).messages == 2
    result = published.pull("lab")
    assert result.alarms == []
    assert result.objects["indicator"] == 1
    assert desk.home.state.alarms() == []


def test_what_a_restored_hub_lost_is_published_again(published: Circle, tmp_path: Path) -> None:
    lab = published.desks["lab"]
    kept = list(published.hub.collections[C1].rows)
    path = tmp_path / "later.csv"
    path.write_text("address,campaign\n198.51.100.7,LANTERN\n")
    published.publish("lab", path)
    published.hub.collections[C1].rows = kept
    # The back-up is older than what is kept of sent messages.
    lab.home.state.run("UPDATE outbox SET raw=x''")
    done = renew(lab, "circle", new_card=True, abandon=True).done
    assert any("on the hub no more" in each for each in done)
    renew(lab, "circle")
    assert published.publish("lab", path).messages > 0
    result = published.pull("provider")
    assert result.alarms == []
    values = [
        row.body["pattern"]
        for row in published.desks["provider"].home.state.objects()
        if row.type == "indicator"
    ]
    assert any("198.51.100.7" in each for each in values)


def test_what_a_restored_hub_lost_is_sent_again_with_manifests_and_epochs(
    published: Circle, tmp_path: Path
) -> None:
    lab, rows = published.desks["lab"], published.hub.collections[C1].rows
    kept = list(rows)
    change_policy(lab, "circle", {"staleness": 2 * 86_400})
    renew(lab, "circle", force=True)
    path = tmp_path / "later.csv"
    path.write_text("address,campaign\n198.51.100.7,LANTERN\n")
    published.publish("lab", path)
    published.pull("provider")
    lost = [each["id"] for _, each in rows if (_, each) not in kept]
    published.hub.collections[C1].rows = kept
    _verifying(published)
    path.write_text("address,campaign\n198.51.100.8,LANTERN\n")
    assert published.publish("lab", path).messages == 1
    held = [each["id"] for _, each in published.hub.collections[C1].rows]
    assert [each for each in held if each in lost] == lost
    result = published.pull("provider")
    assert (result.alarms, result.objects["indicator"]) == ([], 1)
    assert lab.home.state.unsent(lab.home.state.channel("circle").channel_id) == []


def test_what_can_be_sent_again_is_not_abandoned(published: Circle) -> None:
    lab = published.desks["lab"]
    kept = list(published.hub.collections[C1].rows)
    change_policy(lab, "circle", {"staleness": 2 * 86_400})
    published.hub.collections[C1].rows = kept
    _verifying(published)
    done = renew(lab, "circle", new_card=True, abandon=True).done
    assert any("that the hub had lost" in each for each in done)
    channel = lab.home.state.channel("circle")
    assert lab.home.trusted(channel).manifest.policy.staleness == 2 * 86_400
    assert published.pull("provider").alarms == []


def test_a_server_that_calls_a_repetition_a_failure(published: Circle, tmp_path: Path) -> None:
    published.hub.answers_failure_to_known = True

    def lose(request: str) -> None:
        if request == "added":
            raise TransportError("the hub cannot be reached, or broke off")

    published.hub.fail = lose
    with pytest.raises(TransportError):
        published.publish("lab", *_more(tmp_path))
    published.hub.fail = lambda request: None
    assert published.pull("lab").problem is None
    state = published.desks["lab"].home.state
    assert state.unsent(state.channel("circle").channel_id) == []
    assert published.pull("provider").objects["indicator"] == 8


def test_a_stale_manifest_stops_publishing(published: Circle, tmp_path: Path) -> None:
    published.clock.now += 100 * 86_400
    with pytest.raises(VerificationError, match="publishing stops") as caught:
        published.publish("lab", *_more(tmp_path))
    assert "renew" in str(caught.value.hint)


def _more(folder: Path) -> tuple[Path, ...]:
    path = folder / "more.csv"
    path.write_text("address,campaign\n198.51.100.99,LANTERN\n")
    return (path,)


def test_renewal_in_time_keeps_publishing(published: Circle, tmp_path: Path) -> None:
    for _ in range(5):
        published.clock.now += 29 * 86_400
        renew(published.desks["lab"], "circle")
        published.pull("provider")
    # The campaign's range has not changed, so only the detail goes out.
    assert published.publish("lab", *_more(tmp_path)).messages == 1
    result = published.pull("provider")
    assert result.alarms == []
    assert result.objects["indicator"] == 1


@pytest.mark.parametrize("days", [100, 200])
def test_an_owner_heals_a_channel_that_expired(
    published: Circle, tmp_path: Path, days: int
) -> None:
    published.pull("provider")
    published.clock.now += days * 86_400
    renew(published.desks["lab"], "circle")
    # A second round takes up the owner's own new card.
    renew(published.desks["lab"], "circle")
    published.pull("provider")
    assert published.publish("lab", *_more(tmp_path)).messages >= 1
    result = published.pull("provider")
    assert result.alarms == []
    assert result.objects["indicator"] == 1
