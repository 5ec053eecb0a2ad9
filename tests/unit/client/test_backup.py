"""Back-ups: everything comes back, nothing half-written, and no message chain is forked."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from hub.channel.primitives import aead
from hub.channel.primitives.hash import label, lp
from hub.channel.recovery import backup_key, backup_key_id
from hub.client import backup, backup_file, restored
from hub.client.health import health
from hub.client.home import Home
from hub.client.keyring import Unlock
from hub.client.renewal import renew
from hub.client.work import Desk
from hub.errors import (
    AccessError,
    ConflictError,
    InputError,
    StillwatchError,
    StoreError,
    TransportError,
    VerificationError,
)
from tests.unit.client.circle import SETTINGS, START, Circle, write_files
from tests.unit.client.memory_hub import C1

NEW = Unlock.passphrase(b"another good passphrase")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.create(tmp_path / "home", "Lab", Unlock.key_file(), now=START, settings=SETTINGS)
    (made.path / "proofs").mkdir()
    (made.path / "proofs" / "fork-1.json").write_text('{"kind":"message-fork"}')
    (made.path / "proofs" / ".hidden").write_text("not a proof")
    return made


def test_keys_state_and_proofs_come_back(home: Home, tmp_path: Path) -> None:
    home.put_secret("c", "epoch", "1", b"epoch secret bytes", START)
    made = backup.export(home, tmp_path / "b", now=START)
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    assert backup.verify(tmp_path / "b", made.key) == made.index
    got = backup.restore(tmp_path / "b", made.key, tmp_path / "new", NEW, now=START)
    assert got.index.organisation == "Lab"
    with Home.open(tmp_path / "new", NEW) as again:
        assert again.keyring.to_bytes() == home.keyring.to_bytes()
        assert again.secrets("c", "epoch") == {"1": b"epoch secret bytes"}
    proofs = [each.name for each in (tmp_path / "new" / "proofs").iterdir()]
    assert proofs == ["fork-1.json"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["b", "home", "new"]
    assert {each.name for each in home.path.iterdir() if "backup" in each.name} == set()
    home.close()


def test_a_home_without_its_root_comes_back_without_it(home: Home, tmp_path: Path) -> None:
    with home.locked():
        home.replace_keyring(home.keyring.without_root())
    made = backup.export(home, tmp_path / "b", now=START)
    backup.restore(tmp_path / "b", made.key, tmp_path / "new", Unlock.key_file(), now=START)
    with Home.open(tmp_path / "new", Unlock.key_file()) as again:
        assert again.keyring.root is None
        assert again.keyring.root_id == home.keyring.root_id
    home.close()


def test_the_file_shows_nothing(home: Home, tmp_path: Path) -> None:
    made = backup.export(home, tmp_path / "b", now=START)
    keys = home.keyring
    assert keys.root is not None
    content = (tmp_path / "b").read_bytes()
    needles = [keys.root.to_seed(), keys.state_key, made.key, b"Lab", keys.member.encode()]
    assert not [each for each in needles if each in content]
    # The same search finds them in what the recovery key opens.
    opened = b"".join(
        aead.open_stream(
            backup_key(made.key),
            label("backup") + lp(backup_key_id(made.key)),
            [content[backup_file.HEAD_SIZE :]],
        )
    )
    assert b"Lab" in opened
    assert b"SQLite format 3" in opened
    home.close()


def test_nothing_is_overwritten(home: Home, tmp_path: Path) -> None:
    made = backup.export(home, tmp_path / "b", now=START)
    with pytest.raises(ConflictError, match="there already"):
        backup.export(home, tmp_path / "b", now=START)
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for target in (home.path, tmp_path / "b", tmp_path / "link", tmp_path):
        with pytest.raises(ConflictError, match="overwrites nothing"):
            backup.restore(tmp_path / "b", made.key, target, NEW, now=START)
    backup.restore(tmp_path / "b", made.key, tmp_path / "empty", NEW, now=START)
    assert Home.exists(tmp_path / "empty")
    home.close()


def test_a_damaged_file_leaves_nothing_behind(home: Home, tmp_path: Path) -> None:
    made = backup.export(home, tmp_path / "b", now=START)
    home.close()
    good = (tmp_path / "b").read_bytes()
    assert len(good) > 50_000
    head = backup_file.HEAD_SIZE
    bad = [good[:size] for size in (0, 1, head - 1, head, head + 31, head + 40, len(good) - 1)]
    bad += [good[: len(good) // 2], good + b"x", good + good]
    for at in (0, 5, head - 1, head, head + 33, len(good) // 2, len(good) - 1):
        bad.append(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    before = sorted(tmp_path.iterdir())
    for content in bad:
        (tmp_path / "b").write_bytes(content)
        for action in (
            lambda: backup.verify(tmp_path / "b", made.key),
            lambda: backup.restore(tmp_path / "b", made.key, tmp_path / "new", NEW, now=START),
        ):
            with pytest.raises((InputError, AccessError, VerificationError)) as caught:
                action()
            assert caught.value.__class__ in (InputError, AccessError, VerificationError)
        assert sorted(tmp_path.iterdir()) == before


def test_errors_are_exact(home: Home, tmp_path: Path) -> None:
    made = backup.export(home, tmp_path / "b", now=START)
    home.close()
    with pytest.raises(AccessError, match="belongs to another back-up"):
        backup.verify(tmp_path / "b", bytes(32))
    good = (tmp_path / "b").read_bytes()
    (tmp_path / "b").write_bytes(good[:-20])
    with pytest.raises(VerificationError, match="altered or cut off"):
        backup.verify(tmp_path / "b", made.key)
    (tmp_path / "b").write_bytes(b"PK\x03\x04" + bytes(200))
    with pytest.raises(InputError, match="no back-up of Stillwatch"):
        backup.verify(tmp_path / "b", made.key)


def _sealed(tmp_path: Path, key: bytes, plain: bytes) -> Path:
    """A file that the holder of the key made with ill intent."""
    context = label("backup") + lp(backup_key_id(key))
    body = b"".join(aead.seal_stream(backup_key(key), context, [plain]))
    path = tmp_path / "hostile"
    path.write_bytes(label("backup") + backup_key_id(key) + body)
    return path


INDEX = (
    '{"created":1,"files":[{"name":"keyring","sha256":"%(hash)s","size":%(size)s},'
    '{"name":"%(name)s","sha256":"%(hash)s","size":0}%(more)s],"made":1,"member":"m",'
    '"organisation":"o","root":"r","v":%(version)s}'
)
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
FINE: dict[str, object] = {
    "hash": EMPTY,
    "size": 0,
    "name": "state.sqlite",
    "more": "",
    "version": 1,
}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({}, "keyring"),
        ({"version": 2}, "newer release"),
        ({"name": "../state.sqlite"}, "index is damaged"),
        ({"name": "unlock.key"}, "index is damaged"),
        ({"size": -1}, "index is damaged"),
        ({"size": 2**40}, "index is damaged"),
        ({"size": "true"}, "index is damaged"),
        ({"size": 5}, "ends before"),
        ({"hash": "0" * 64}, "content that the index says"),
        ({"more": ',{"name":"proofs/../x","sha256":"","size":0}'}, "index is damaged"),
        ({"more": ',{"name":"proofs/.x","sha256":"","size":0}'}, "index is damaged"),
        ({"more": ',{"name":"keyring","sha256":"","size":0}'}, "index is damaged"),
        ({"more": ',{"name":"proofs/x","size":0}'}, "index is damaged"),
    ],
)
def test_a_hostile_index_is_refused(tmp_path: Path, changes: dict[str, object], match: str) -> None:
    index = (INDEX % (FINE | changes)).encode()
    path = _sealed(tmp_path, bytes(32), lp(index))
    for action in (
        lambda: backup.verify(path, bytes(32)),
        lambda: backup.restore(path, bytes(32), tmp_path / "new", NEW, now=START),
    ):
        with pytest.raises(StillwatchError, match=match) as caught:
            action()
        assert isinstance(caught.value, InputError | VerificationError)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["hostile"]


@pytest.mark.parametrize("plain", [b"", b"\xff\xff\xff\xff", lp(b"{}"), lp(b"x" * 100), b"\0\0\0"])
def test_a_hostile_body_is_refused(tmp_path: Path, plain: bytes) -> None:
    with pytest.raises((InputError, VerificationError)):
        backup.verify(_sealed(tmp_path, bytes(32), plain), bytes(32))


def test_a_damaged_state_is_not_backed_up(home: Home, tmp_path: Path) -> None:
    home.state.run("CREATE TABLE filler (x)")
    home.state.run("INSERT INTO filler SELECT hex(randomblob(200)) FROM hub UNION ALL VALUES (1)")
    home.close()
    path = home.path / "state.sqlite"
    content = bytearray(path.read_bytes())
    content[4096:12288] = b"\xff" * 8192
    path.write_bytes(content)
    again = Home(home.path, home.keyring, Unlock.key_file(), home.state, SETTINGS)
    with pytest.raises(StoreError):
        backup.export(again, tmp_path / "b", now=START)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["home"]
    assert not (home.path / ".backup.sqlite").exists()


def _import(circle: Circle, tmp_path: Path, name: str) -> Desk:
    """Back a home up and make another of it; the old one goes on until the test says so."""
    desk = circle.desks[name]
    made = backup.export(desk.home, tmp_path / f"{name}.bak", now=circle.clock())
    target = tmp_path / f"{name}-new"
    unlock = Unlock.key_file()
    backup.restore(tmp_path / f"{name}.bak", made.key, target, unlock, now=circle.clock())
    opened = Home.open(target, unlock, settings=SETTINGS)
    return Desk(opened, circle.hub.connect, circle.clock)


def test_after_an_import_nothing_is_sealed_before_a_pull(circle: Circle, tmp_path: Path) -> None:
    circle.open_channel()
    circle.admit("provider", "read")
    back = _import(circle, tmp_path, "lab")
    with pytest.raises(ConflictError, match="nothing of this channel was received yet"):
        back.home.trusted(back.home.state.channel("circle"))
    back.home.close()


def test_an_older_state_does_not_fork_the_chain(circle: Circle, tmp_path: Path) -> None:
    lab = circle.open_channel()
    circle.admit("provider", "read")
    files = write_files(tmp_path)
    circle.publish("lab", files[1])
    back = _import(circle, tmp_path, "lab")
    # The old machine went on after the back-up, and renewed its card; then it was lost.
    circle.publish("lab", files[0])
    circle.clock.now += 60
    renew(lab, "circle", new_card=True)
    circle.publish("lab", files[2])
    lost = [each.card.hash for each in lab.home.keyring.cards]
    lab.home.close()
    circle.desks["lab"] = back
    circle.clock.now += 60
    circle.pull("lab")
    known = back.home.state.channel("circle")
    old = back.home.keyring.cards[0].card.sign_id
    assert restored.retired(back.home, known.channel_id) == {old}
    with pytest.raises(ConflictError, match=r"came back from a back-up|a card that this home"):
        circle.publish("lab", *files)
    renew(back, "circle")
    cards = [each.card for each in back.home.keyring.cards]
    assert [each.hash for each in cards[:2]] == lost
    assert cards[2].number == 3
    circle.clock.now += 60
    circle.publish("lab", *files)
    circle.clock.now += 60
    pulled = circle.pull("provider")
    assert (pulled.alarms, pulled.refused, pulled.problem) == ([], 0, None)
    assert not circle.desks["provider"].home.state.alarms()


def test_a_hub_that_hides_our_last_messages_gets_no_fork(circle: Circle, tmp_path: Path) -> None:
    lab = circle.open_channel()
    circle.admit("provider", "read")
    files = write_files(tmp_path)
    back = _import(circle, tmp_path, "lab")
    rows = circle.hub.collections[C1].rows
    shown = len(rows)
    circle.publish("lab", files[1])
    circle.pull("provider")
    lab.home.close()
    hidden = rows[shown:]
    assert hidden
    # The new home is shown the channel as it was at the back-up: its next message would be a fork.
    circle.hub.rewrite = lambda rows: [each for each in rows if each not in hidden]
    circle.desks["lab"] = back
    circle.pull("lab")
    with pytest.raises(ConflictError, match="came back from a back-up"):
        circle.publish("lab", files[0])
    assert len(rows) == shown + len(hidden)


def test_a_member_waits_until_its_new_card_is_taken_up(circle: Circle, tmp_path: Path) -> None:
    circle.open_channel()
    provider = circle.admit("provider", "publish")
    files = write_files(tmp_path)
    circle.publish("provider", files[1])
    back = _import(circle, tmp_path, "provider")
    provider.home.close()
    circle.desks["provider"] = back
    circle.clock.now += 60
    circle.pull("provider")
    with pytest.raises(ConflictError, match="came back from a back-up"):
        circle.publish("provider", files[0])
    (seen,) = health(back.home, now=circle.clock()).channels
    assert [text for text in seen.notes if "needs a new card" in text]
    renew(back, "circle")
    with pytest.raises(ConflictError, match="came back from a back-up"):
        circle.publish("provider", files[0])
    # A day later the heartbeat is due, and is not sealed under the old card either.
    circle.clock.now += 2 * 86_400
    assert circle.pull("provider").problem is None
    renew(circle.desks["lab"], "circle")
    circle.pull("provider")
    assert len(back.home.keyring.cards) == 2
    circle.publish("provider", files[0])
    assert circle.pull("lab").alarms == []


def test_an_outbox_of_the_past_is_not_sent(circle: Circle, tmp_path: Path) -> None:
    lab = circle.open_channel()
    circle.admit("provider", "read")

    def down(request: str) -> None:
        raise TransportError("no answer")

    circle.hub.fail = down
    with pytest.raises(TransportError):
        circle.publish("lab", write_files(tmp_path)[1])
    waiting = len(lab.home.state.unsent(lab.home.state.channel("circle").channel_id))
    made = backup.export(lab.home, tmp_path / "b", now=circle.clock())
    # It is in the back-up, for whoever wants to look; the import tells how much is dropped.
    got = backup.restore(tmp_path / "b", made.key, tmp_path / "n", Unlock.key_file(), now=START)
    assert got.dropped == waiting > 0
    with Home.open(tmp_path / "n", Unlock.key_file()) as new:
        assert new.state.unsent(new.state.channel("circle").channel_id) == []
    shutil.rmtree(tmp_path / "n")


def test_a_copy_is_consistent_while_others_write(home: Home, tmp_path: Path) -> None:
    other = sqlite3.connect(home.path / "state.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO hub VALUES ('http://a/','u',x'',NULL,0,0,NULL,NULL)")
    made = backup.export(home, tmp_path / "b", now=START)
    other.execute("COMMIT")
    other.close()
    backup.restore(tmp_path / "b", made.key, tmp_path / "n", Unlock.key_file(), now=START)
    with Home.open(tmp_path / "n", Unlock.key_file()) as new:
        assert new.state.hubs() == []
    home.close()


def test_a_hub_that_shows_less_than_the_back_up_knew_is_caught(
    circle: Circle, tmp_path: Path
) -> None:
    lab = circle.open_channel()
    circle.admit("provider", "publish")
    shown = len(circle.hub.collections[C1].rows)
    circle.publish("provider", write_files(tmp_path)[1])
    circle.pull("lab")
    back = _import(circle, tmp_path, "lab")
    lab.home.close()
    circle.hub.rewrite = lambda rows: rows[:shown]
    circle.desks["lab"] = back
    assert "shows less than before" in str(circle.pull("lab").problem)
    assert back.home.state.alarms()
