"""`stillwatch hub`: what an operator is told, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hub.cli.hub import command
from hub.cli.hub_data import DATABASE, LOG_KEY
from hub.errors import ConflictError, InputError, StillwatchError, StoreError
from hub.store.sqlite import SqliteStore


@pytest.fixture
def data(tmp_path: Path) -> Path:
    place = tmp_path / "hub"
    _run("init", "--data", str(place))
    _run("org", "add", "Lab", "--data", str(place))
    return place


def _run(*words: str) -> Result:
    return CliRunner().invoke(command, words, catch_exceptions=False, standalone_mode=False)


def _fails(family: type[StillwatchError], *words: str) -> StillwatchError:
    with pytest.raises(family) as caught:
        _run(*words)
    return caught.value


def test_an_account_is_unbound(data: Path) -> None:
    store = SqliteStore.open(data / DATABASE)
    (lab,) = store.orgs()
    store.bind_member(lab.id, "identity--a", "root")
    assert "bound to no channel member; it was to 1" in (
        _run("org", "unbind", "Lab", "--data", str(data)).output
    )
    assert store.bindings(lab.id) == []
    store.close()


def test_no_file_is_written_over(data: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("precious")
    at = ("--data", str(data))
    _fails(ConflictError, "backup", str(there), *at)
    _fails(ConflictError, "token", "issue", "Lab", "--out", str(there), *at)
    assert there.read_text() == "precious"
    assert "No tokens." in _run("token", "list", *at).output


def test_a_token_in_a_file_is_not_said_to_be_shown(data: Path, tmp_path: Path) -> None:
    at = ("--data", str(data))
    out = tmp_path / "token"
    assert "shown" not in _run("token", "issue", "Lab", "--out", str(out), *at).output
    assert "shown this once" in _run("token", "issue", "Lab", *at).output


def test_a_rotated_token_names_its_successor(data: Path) -> None:
    at = ("--data", str(data))
    _run("token", "issue", "Lab", *at)
    first = _run("token", "list", *at).output.split()[0]
    _run("token", "rotate", first, "--overlap-hours", "0", *at)
    listed = _run("token", "list", *at).output.splitlines()
    second = next(line.split()[0] for line in listed if not line.startswith(first))
    (replaced,) = (line for line in listed if line.startswith(first))
    assert f"replaced by {second}, ended" in replaced


def test_grants_are_listed_and_a_title_twice_is_warned_of(data: Path) -> None:
    at = ("--data", str(data))
    add = ("collection", "add", "Circle", "--owner", "Lab", "--kind", "plain", *at)
    assert "warning" not in _run(*add).output
    assert "another collection is called Circle" in _run(*add).output
    assert "    Lab may read and write" in _run("collection", "list", *at).output


def test_a_failed_restore_leaves_nothing(tmp_path: Path) -> None:
    damaged = tmp_path / "backup"
    damaged.write_text("no database")
    place = tmp_path / "new"
    _fails(StoreError, "restore", str(damaged), "--data", str(place))
    assert not place.exists()


def test_a_copy_of_a_new_directory_signs_with_the_same_key(data: Path) -> None:
    assert len((data / LOG_KEY).read_bytes()) == 32


def test_an_account_is_found_by_a_name_that_only_one_has(data: Path) -> None:
    at = ("--data", str(data))
    _run("account", "add", "Lab", "feed", *at)
    _run("role", "set", "feed", "subscriber", *at)
    _run("token", "issue", "Lab", "--account", "feed", *at)
    assert "  Lab/feed" in _run("token", "list", *at).output
    _run("org", "add", "Other", *at)
    _fails(InputError, "token", "issue", "Other", "--account", "feed", *at)
    _run("account", "add", "Other", "feed", *at)
    error = _fails(InputError, "role", "set", "feed", "subscriber", *at)
    assert "several organisations" in str(error)
    _run("token", "issue", "Other", "--account", "feed", *at)
    assert "  Other/feed" in _run("token", "list", "Other", *at).output
