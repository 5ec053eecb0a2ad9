"""Alarms leave proof files, and an audit looks at everything once more."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.channel.card import card_message, issue_card
from hub.channel.carriage import to_artifact
from hub.channel.epoch import new_epoch
from hub.channel.evidence.finding import Finding
from hub.channel.header import parse_message
from hub.channel.manifest import DAY, next_version, sign_manifest
from hub.channel.notices import parse_heartbeat
from hub.channel.seal import seal_heartbeat
from hub.channel.verify import TrustedChannel
from hub.client import evidence
from hub.client.audit import ALARM, WARNING, audit
from hub.client.health import health
from hub.client.membership import remove
from hub.client.signed import SMALL_BODY, SignedMessages
from hub.client.work import Desk
from hub.errors import InputError, StoreError
from tests.unit.channel.cast import Person
from tests.unit.client.circle import Circle, write_files
from tests.unit.client.memory_hub import C1


@pytest.fixture
def pair(circle: Circle) -> Circle:
    """A lab that owns the channel, and a provider that publishes too."""
    circle.open_channel()
    circle.admit("provider", "publish")
    circle.pull("lab")
    return circle


def trusted_of(desk: Desk) -> TrustedChannel:
    return desk.home.trusted(desk.home.state.channel("circle"))


def post(circle: Circle, *raws: bytes) -> None:
    """Put messages into the collection, as a hub does that checks nothing."""
    rows = circle.hub.collections[C1].rows
    rows += [(circle.hub.stamp(), to_artifact(raw)) for raw in raws]


def finding(circle: Circle, name: str, kind: str) -> Finding:
    """What the one proof file of a home shows."""
    (path,) = evidence.kept(circle.desks[name].home.path)
    found = evidence.check(path, circle.clock())
    assert path.stat().st_mode & 0o777 == 0o600
    assert (found.kind, kind in path.name) == (kind, True)
    return found


def heartbeat(circle: Circle, name: str, after: int = 0, prev: str | None = None) -> bytes:
    """A heartbeat of a member in its next place, or another one."""
    desk = circle.desks[name]
    trusted, signing = trusted_of(desk), desk.home.keyring.current.signing
    seq = None if prev is None else trusted.position(signing.public.id)[0] + 1
    return seal_heartbeat(trusted, signing, now=circle.clock() + after, seq=seq, prev=prev)


def test_two_messages_of_one_place(pair: Circle) -> None:
    post(pair, heartbeat(pair, "provider"), heartbeat(pair, "provider", after=1))
    assert len(pair.pull("lab").alarms) >= 1
    found = finding(pair, "lab", "message-fork")
    assert found.conclusive
    assert found.accused.id == pair.desks["provider"].home.keyring.root_id
    notes = health(pair.desks["lab"].home, now=pair.clock()).channels[0].notes
    assert any("1 proof files: stillwatch channel audit circle" in each for each in notes)


def test_a_message_that_follows_another_one(pair: Circle) -> None:
    post(pair, heartbeat(pair, "provider"), heartbeat(pair, "provider", prev="11" * 32))
    pair.pull("lab")
    assert finding(pair, "lab", "message-fork").conclusive


def test_two_epochs_of_one_number(pair: Circle) -> None:
    lab = pair.desks["lab"]
    trusted, signing = trusted_of(lab), lab.home.keyring.current.signing
    first, _ = new_epoch(trusted, signing, now=pair.clock())
    message = parse_message(first)
    seq = (message.header.seq or 0) + 1
    second, _ = new_epoch(trusted, signing, now=pair.clock() + 1, seq=seq, prev=message.digest)
    post(pair, first, second)
    pair.pull("provider")
    found = finding(pair, "provider", "epoch-fork")
    assert (found.conclusive, found.accused.id) == (True, lab.home.keyring.root_id)


def test_two_manifests_of_one_version(pair: Circle) -> None:
    lab = pair.desks["lab"]
    old, root = trusted_of(lab).manifest, lab.home.keyring.root_key()
    for number in (1, 2):
        new = next_version(old, created=pair.clock() + number, expires=pair.clock() + 30 * DAY)
        post(pair, sign_manifest(new, [root]))
    pair.pull("provider")
    found = finding(pair, "provider", "manifest-fork")
    assert (found.conclusive, found.accused.id) == (True, root.public.id)


def test_two_cards_of_one_number(pair: Circle) -> None:
    keyring = pair.desks["provider"].home.keyring
    for name in ("one", "two"):
        person = Person(name)
        raw = issue_card(
            keyring.root_key(),
            keyring.member,
            person.signing,
            person.kem.public,
            number=2,
            prev=keyring.current.card.hash,
            not_before=pair.clock(),
            not_after=pair.clock() + DAY,
        )
        post(pair, card_message(trusted_of(pair.desks["lab"]).channel, raw))
    pair.pull("lab")
    found = finding(pair, "lab", "card-fork")
    assert (found.conclusive, found.accused.id) == (True, keyring.root_id)


@pytest.mark.parametrize("after", [0, 601])
def test_a_message_after_the_removal(pair: Circle, after: int) -> None:
    provider = pair.desks["provider"].home
    remove(pair.desks["lab"], "circle", provider.member_id)
    pair.clock.now += after + 2
    post(pair, heartbeat(pair, "provider"))
    pair.pull("lab")
    # The provider was not shown its removal: it spoke in good faith.
    assert not finding(pair, "lab", "after-final").conclusive


def test_the_same_contradiction_is_kept_once(pair: Circle) -> None:
    post(pair, heartbeat(pair, "provider"), heartbeat(pair, "provider", after=1))
    pair.pull("lab")
    lab = pair.desks["lab"].home
    state, (path,) = lab.state, evidence.kept(lab.path)
    pair.clock.now += 60
    state.run("DELETE FROM message")
    state.run("DELETE FROM alarm")
    state.set_cursor(state.channel("circle").channel_id, "2000-01-01T00:00:00Z")
    assert pair.pull("lab").alarms
    assert evidence.kept(lab.path) == [path]


def test_proofs_are_bounded(pair: Circle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "MAX_FILES", 0)
    post(pair, heartbeat(pair, "provider"), heartbeat(pair, "provider", after=1))
    # The alarm stands without a file.
    assert pair.pull("lab").alarms
    assert evidence.kept(pair.desks["lab"].home.path) == []


def test_what_is_kept_is_bounded(pair: Circle, tmp_path: Path) -> None:
    pair.publish("lab", write_files(tmp_path)[0])
    pair.pull("provider")
    home = pair.desks["provider"].home
    channel = home.state.channel("circle")
    signed = SignedMessages(home.state, channel.channel_id)
    count = len(list(signed.items()))
    sizes = [len(each.body) for each in signed.items() if each.body is not None]
    # Of each key the newest whole; of older ones what is small.
    assert sum(size > SMALL_BODY for size in sizes) <= 2
    signed.trim(most=3)
    assert len(list(signed.items())) == 3 < count
    manifest = home.trusted(channel).manifest
    assert len(signed.manifests(manifest)) == manifest.version
    home.state.forget(channel.channel_id)
    assert home.state.rows("SELECT * FROM signed") == []


def kinds(circle: Circle, name: str) -> list[tuple[str, str]]:
    """Level and kind of what an audit finds."""
    home = circle.desks[name].home
    found = audit(home, home.state.channel("circle"), circle.clock())
    return [(each.level, each.kind) for each in found.problems]


@pytest.fixture
def logged(circle: Circle, tmp_path: Path) -> Circle:
    """As `pair`, with a log, and something published."""
    circle.hub.logged = True
    circle.open_channel()
    circle.admit("provider", "publish")
    circle.publish("lab", write_files(tmp_path)[0])
    circle.pull("provider")
    circle.pull("lab")
    return circle


def test_an_audit_of_an_honest_channel_finds_nothing(logged: Circle) -> None:
    home = logged.desks["provider"].home
    found = audit(home, home.state.channel("circle"), logged.clock())
    assert found.problems == []
    assert found.entries == len(logged.hub.log.digests)
    assert found.messages == len(list(SignedMessages(home.state, found.channel_id).items()))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE log_leaf SET digest=zeroblob(32) WHERE position=2",
        "DELETE FROM log_leaf WHERE position=(SELECT max(position) FROM log_leaf)",
        "UPDATE log_head SET checkpoint=replace(checkpoint, 'time ', 'time 1')",
        "UPDATE signed SET signature=zeroblob(3373) WHERE type='epoch'",
        "UPDATE signed SET body_hash=hex(zeroblob(32)) WHERE type='epoch'",
    ],
)
def test_an_audit_finds_a_home_that_was_altered(logged: Circle, change: str) -> None:
    home = logged.desks["provider"].home
    home.state.run(change)
    found = kinds(logged, "provider")
    assert found
    assert set(found) == {(ALARM, "held")}


def test_an_audit_tells_of_silence_and_proves_the_promise(pair: Circle) -> None:
    post(pair, heartbeat(pair, "lab"))
    pair.pull("provider")
    home = pair.desks["provider"].home
    last = SignedMessages(home.state, home.state.channel("circle").channel_id).last_of(
        pair.desks["lab"].home.keyring.current.card.sign_id
    )
    assert last is not None
    assert last.body is not None
    every = parse_heartbeat(last.body).every
    pair.clock.now += every + 500
    assert kinds(pair, "provider") == []
    pair.clock.now += 200
    assert (WARNING, "silent") in kinds(pair, "provider")
    assert not finding(pair, "provider", "withheld").conclusive


def test_an_audit_without_the_first_manifests_says_so(pair: Circle) -> None:
    pair.desks["provider"].home.state.run("DELETE FROM signed WHERE type='manifest'")
    assert kinds(pair, "provider") == [(WARNING, "manifests")]


def test_a_file_that_is_none_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        evidence.check(tmp_path / "nowhere", 0)
    path = tmp_path / "empty.json"
    path.write_bytes(b"{}")
    with pytest.raises(InputError, match=r"empty\.json"):
        evidence.check(path, 0)
    with pytest.raises(StoreError):
        evidence.copy(path, path)
