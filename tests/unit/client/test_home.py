"""Homes: modes, keys at rest, one process at a time, a full disk."""

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from hub.client.home import Home
from hub.client.keyring import KEY_FILE, KEYRING_FILE, Unlock, stretched
from hub.client.schema import SCHEMA_VERSION
from hub.client.state import State
from hub.client.transport import HubAccount
from hub.errors import AccessError, ConflictError, InputError, StoreError, VerificationError
from tests.unit.client.circle import SETTINGS, START, Circle, write_files

PASSPHRASE = Unlock.passphrase(b"correct horse battery staple")


def _make(path: Path, unlock: Unlock = PASSPHRASE) -> Home:
    return Home.create(path, "Lab", unlock, now=START, settings=SETTINGS)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_modes_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with _make(tmp_path / "home", Unlock.key_file()) as home, home.locked():
            files = [each for each in home.path.iterdir() if each.is_file()]
            assert _mode(home.path) == 0o700
            assert {_mode(each) for each in files} == {0o600}
            assert {KEY_FILE, KEYRING_FILE, "lock", "state.sqlite"} <= {f.name for f in files}
    finally:
        os.umask(before)


def test_keys_come_back_with_the_passphrase_only(tmp_path: Path) -> None:
    with _make(tmp_path / "home") as home:
        root, member = home.keyring.root_id, home.member_id
    with Home.open(tmp_path / "home", PASSPHRASE) as home:
        assert (home.keyring.root_id, home.member_id) == (root, member)
    with pytest.raises(AccessError, match="does not open") as caught:
        Home.open(tmp_path / "home", Unlock.passphrase(b"wrong"))
    assert "wrong" not in str(caught.value)
    with pytest.raises(AccessError, match="opens with a passphrase"):
        Home.open(tmp_path / "home", Unlock.key_file())


def test_no_seed_lies_in_clear(tmp_path: Path) -> None:
    with _make(tmp_path / "home", Unlock.key_file()) as home:
        keys = home.keyring
        assert keys.current.kem is not None
        secrets = [
            keys.root_key().to_seed(),
            keys.current.signing.to_seed(),
            keys.current.kem.to_seed(),
        ]
        home.put_account(HubAccount("http://127.0.0.1/r/", "lab", "t0ken-t0ken"), stillwatch=True)
        home.put_secret("c", "epoch", "1", b"epoch secret bytes", START)
        assert home.account("http://127.0.0.1/r/").token == "t0ken-t0ken"
        assert home.secrets("c", "epoch") == {"1": b"epoch secret bytes"}
    needles = [*secrets, keys.state_key, b"t0ken-t0ken", b"epoch secret bytes"]
    needles += [each.hex().encode() for each in needles]
    for path in (tmp_path / "home").iterdir():
        content = path.read_bytes()
        assert not [each for each in needles if each in content]


def test_a_secret_does_not_open_in_another_place(tmp_path: Path) -> None:
    with _make(tmp_path / "home", Unlock.key_file()) as home:
        home.put_secret("c", "epoch", "1", b"secret", START)
        sealed = home.state.secrets("c", "epoch")["1"]
        home.state.put_secret("c", "epoch", "2", sealed, START)
        with pytest.raises(Exception, match=r".+") as caught:
            home.secrets("c", "epoch")
        assert b"secret" not in str(caught.value).encode()


def test_a_key_file_that_others_read_is_refused(tmp_path: Path) -> None:
    _make(tmp_path / "home", Unlock.key_file()).close()
    (tmp_path / "home" / KEY_FILE).chmod(0o640)
    with pytest.raises(AccessError, match="other accounts"):
        Home.open(tmp_path / "home", Unlock.key_file())


@pytest.mark.parametrize("content", [b"", b"{", b'{"v":1}', b'{"v":2}', b'{"v":1,"v":1}'])
def test_a_damaged_keyring_is_told(tmp_path: Path, content: bytes) -> None:
    _make(tmp_path / "home", Unlock.key_file()).close()
    (tmp_path / "home" / KEYRING_FILE).write_bytes(content)
    with pytest.raises((InputError, AccessError)):
        Home.open(tmp_path / "home", Unlock.key_file())


def test_there_is_one_home_at_a_place(tmp_path: Path) -> None:
    _make(tmp_path / "home").close()
    with pytest.raises(ConflictError):
        _make(tmp_path / "home")
    with pytest.raises(InputError, match="no organisation's home"):
        Home.open(tmp_path / "elsewhere", PASSPHRASE)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201])
def test_a_name_is_printable(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        Home.create(tmp_path / "home", name, PASSPHRASE, now=START, settings=SETTINGS)
    assert not Home.exists(tmp_path / "home")


def test_an_init_that_was_cut_off_is_repeated(tmp_path: Path) -> None:
    home = _make(tmp_path / "home", Unlock.key_file())
    home.close()
    (home.path / KEYRING_FILE).unlink()
    with _make(tmp_path / "home", Unlock.key_file()) as again:
        assert again.member_id != home.member_id


def _hold(path: Path, ready: Any, done: Any) -> None:
    with Home.open(path, Unlock.key_file(), settings=SETTINGS) as home, home.locked():
        ready.set()
        done.wait(30)


def test_two_processes_do_not_share_a_home(tmp_path: Path) -> None:
    with _make(tmp_path / "home", Unlock.key_file()) as home:
        context = multiprocessing.get_context("spawn")
        ready, done = context.Event(), context.Event()
        other = context.Process(target=_hold, args=(home.path, ready, done))
        other.start()
        try:
            assert ready.wait(60)
            with pytest.raises(ConflictError, match="another stillwatch process"), home.locked():
                pass
        finally:
            done.set()
            other.join(60)
        with home.locked(), home.locked():
            assert other.exitcode == 0


def test_a_newer_state_is_not_touched(tmp_path: Path) -> None:
    with _make(tmp_path / "home", Unlock.key_file()) as home:
        home.state._db.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match="this release reads"):
        State.open(tmp_path / "home" / "state.sqlite")


def test_a_full_disk_loses_nothing(circle: Circle, tmp_path: Path) -> None:
    circle.open_channel()
    circle.admit("provider", "read")
    circle.publish("lab", *write_files(tmp_path))
    state = circle.desks["provider"].home.state
    pages = state._db.execute("PRAGMA page_count").fetchone()[0]
    cursor = state.channel("circle").cursor
    state._db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreError, match="disk is full"):
        circle.pull("provider")
    assert state.channel("circle").cursor == cursor
    state._db.execute("PRAGMA max_page_count=1000000")
    assert circle.pull("provider").objects["indicator"] == 7


def test_an_erased_key_stays_erased_and_the_rest_opens(tmp_path: Path) -> None:
    with _make(tmp_path / "home", Unlock.key_file()) as home:
        keys = home.keyring.with_next_card(now=START, card_lifetime_s=1000)
        with pytest.raises(ConflictError, match="in use keeps its key"):
            keys.without_kem({2})
        first = keys.cards[0].kem
        assert first is not None
        with home.locked():
            home.replace_keyring(keys.without_kem({1, 7}))
    with Home.open(tmp_path / "home", Unlock.key_file()) as home:
        kept = home.keyring.cards
        assert [each.kem is None for each in kept] == [True, False]
        assert kept[0].signing.public.id == kept[0].card.sign_id
        again = home.keyring.with_next_card(now=START, card_lifetime_s=1000)
        assert again.current.card.number == 3
        assert first.to_seed() not in home.keyring.to_bytes()


def test_a_lost_card_has_its_place_and_no_keys(tmp_path: Path) -> None:
    with _make(tmp_path / "home", Unlock.key_file()) as home:
        old = home.keyring
    lost = old.with_next_card(now=START, card_lifetime_s=1000)
    other = old.with_next_card(now=START + 1, card_lifetime_s=1000)
    known = old.with_lost_cards([each.card for each in lost.cards])
    assert known.current.card.hash == lost.current.card.hash
    with pytest.raises(AccessError, match="keys of card 2 are not in this home"):
        _ = known.current.signing
    third = known.with_next_card(now=START, card_lifetime_s=1000)
    assert (third.current.card.number, third.current.card.prev) == (3, lost.current.card.hash)
    follower = other.with_next_card(now=START, card_lifetime_s=1000)
    with pytest.raises(VerificationError, match="does not follow"):
        known.with_lost_cards([follower.current.card])


def test_a_held_passphrase_opens_and_saves_without_stretching_again(tmp_path: Path) -> None:
    _make(tmp_path / "home").close()
    held = stretched(tmp_path / "home", b"correct horse battery staple")
    with Home.open(tmp_path / "home", Unlock.held(held)) as home, home.locked():
        home.replace_keyring(home.keyring.with_next_card(now=START, card_lifetime_s=1000))
    with Home.open(tmp_path / "home", PASSPHRASE) as home:
        assert len(home.keyring.cards) == 2
        # A new passphrase has a new salt, under which the old one opens nothing.
        home.keyring.save(home.path, Unlock.passphrase(b"another passphrase"))
    with pytest.raises(AccessError, match="does not open"):
        Home.open(tmp_path / "home", Unlock.held(held))
    with pytest.raises(AccessError, match="does not open"):
        stretched(tmp_path / "home", b"wrong")
