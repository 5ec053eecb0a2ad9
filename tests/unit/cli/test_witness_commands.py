"""`stillwatch witness`, and what `stillwatch hub log` tells its operator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hub.channel.log.note import KeyType, parse_key
from hub.cli.hub_data import LOG_KEY, Served, log_key, recalled, remember
from hub.cli.main import cli
from hub.errors import ConflictError, InputError, StillwatchError, StoreError
from hub.keyfile import make_seed, read_seed
from hub.settings import HubSettings, WitnessSettings
from hub.store.records import Kind
from hub.store.sqlite import SqliteStore


def run(*words: str | Path) -> str:
    done = CliRunner().invoke(
        cli, [str(word) for word in words], catch_exceptions=False, standalone_mode=False
    )
    return done.output


def fails(family: type[StillwatchError], *words: str | Path) -> StillwatchError:
    with pytest.raises(family) as caught:
        run(*words)
    return caught.value


@pytest.fixture
def data(tmp_path: Path) -> Path:
    place = tmp_path / "witness"
    run("witness", "init", "witness.example", "--data", place)
    return place


@pytest.fixture
def verifier_key(tmp_path: Path) -> str:
    """That of a log of another hub."""
    data = tmp_path / "other"
    return str(hub_log(data)["logs"][0]["verifier_key"])


def hub_log(data: Path) -> Any:
    """A hub with one channel that was served once."""
    run("hub", "init", "--data", data)
    store = SqliteStore.open(data / "hub.db")
    org = store.create_org("Lab").id
    store.create_collection(Kind.CHANNEL, "Lab and friends", owner_org=org)
    store.create_collection(Kind.PLAIN, "Plain", owner_org=org)
    store.close()
    remember(
        data,
        HubSettings(
            public_url="https://hub.example", witnesses=WitnessSettings(urls=("https://w.example",))
        ),
    )
    log_key(data / LOG_KEY)
    return json.loads(run("hub", "log", "--data", data, "--json"))


def test_a_witness_is_made_once(data: Path) -> None:
    text = run("witness", "key", "--data", data).strip()
    key = parse_key(text, KeyType.WITNESS)
    assert key.name == "witness.example"
    assert json.loads(run("witness", "key", "--data", data, "--json")) == {"verifier_key": text}
    fails(ConflictError, "witness", "init", "witness.example", "--data", data)
    for name in ("witness.key", "witness.db"):
        assert (data / name).stat().st_mode & 0o777 == 0o600
    assert data.stat().st_mode & 0o777 == 0o700


def test_logs_are_added_listed_and_removed(data: Path, verifier_key: str) -> None:
    at = ("--data", data)
    origin = verifier_key.split("+", 1)[0]
    assert run("witness", "log", "list", *at) == "No logs.\n"
    assert f"Cosigning {origin} from size 0." in run("witness", "log", "add", verifier_key, *at)
    (row,) = json.loads(run("witness", "log", "list", *at, "--json"))
    assert (row["origin"], row["active"], row["size"], row["refused"]) == (origin, True, 0, 0)
    assert "cosigned never" in run("witness", "log", "list", *at)
    assert "nothing is cosigned yet" in run("witness", "log", "show", origin, *at)
    unknown = fails(InputError, "witness", "log", "show", "nosuch", *at)
    assert (unknown.message, unknown.where) == ("no such log", "nosuch")
    run("witness", "log", "remove", origin, *at)
    assert f"{origin}  removed" in run("witness", "log", "list", *at)
    fails(InputError, "witness", "log", "remove", "elsewhere.example", *at)
    fails(InputError, "witness", "log", "add", "not-a-key", *at)
    own = run("witness", "key", *at).strip()
    assert "type 0x01" in fails(InputError, "witness", "log", "add", own, *at).message


def test_a_name_that_no_key_can_have_makes_nothing(tmp_path: Path) -> None:
    place = tmp_path / "witness"
    fails(InputError, "witness", "init", "two words", "--data", place)
    assert not place.exists()


def test_a_witness_needs_key_and_memory(data: Path) -> None:
    at = ("--data", data)
    (data / "witness.db").rename(data / "gone")
    assert "new key" in (fails(StoreError, "witness", "key", *at).hint or "")
    (data / "gone").rename(data / "witness.db")
    (data / "witness.key").chmod(0o644)
    assert "chmod 600" in (fails(StoreError, "witness", "key", *at).hint or "")
    (data / "witness.key").unlink()
    fails(InputError, "witness", "key", *at)


def test_the_hub_shows_its_logs(tmp_path: Path) -> None:
    data = tmp_path / "hub"
    shown = hub_log(data)
    (log,) = shown["logs"]
    assert log["origin"].startswith("hub.example/stillwatch/")
    assert log["verifier_key"].startswith(log["origin"] + "+")
    assert (log["title"], log["size"]) == ("Lab and friends", 0)
    assert shown["witnesses"] == ["https://w.example"]
    text = run("hub", "log", "--data", data)
    assert log["verifier_key"] in text
    assert "witness  https://w.example" in text


def test_a_hub_that_was_never_served_has_no_named_logs(tmp_path: Path) -> None:
    data = tmp_path / "hub"
    run("hub", "init", "--data", data)
    assert "hub serve" in (fails(InputError, "hub", "log", "--data", data).hint or "")
    (data / "served.json").write_text("{}")
    fails(StoreError, "hub", "log", "--data", data)


def test_how_the_hub_is_served_is_noted(tmp_path: Path) -> None:
    assert recalled(tmp_path) is None
    remember(tmp_path, HubSettings(public_url="https://hub.example", root="r"))
    assert recalled(tmp_path) == Served("https://hub.example", "r", ())


def test_the_log_key_is_made_once_and_stays(tmp_path: Path) -> None:
    path = tmp_path / LOG_KEY
    made = log_key(path)
    assert log_key(path).seed == made.seed == read_seed(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert made.seed.hex() not in repr(made)
    with pytest.raises(ConflictError):
        make_seed(path)
    path.write_bytes(b"short")
    with pytest.raises(StoreError, match="32 bytes"):
        log_key(path)
    with pytest.raises(StoreError):
        make_seed(tmp_path / "nowhere" / "key")


def test_a_copy_of_the_database_holds_no_log_key(tmp_path: Path) -> None:
    data = tmp_path / "hub"
    hub_log(data)
    seed = read_seed(data / LOG_KEY)
    run("hub", "backup", tmp_path / "copy" / "hub.db", "--data", data)
    run("hub", "restore", tmp_path / "copy" / "hub.db", "--data", tmp_path / "new")
    assert not (tmp_path / "copy" / LOG_KEY).exists()
    assert read_seed(tmp_path / "new" / LOG_KEY) != seed
    for folder in (tmp_path / "copy", tmp_path / "new"):
        for path in folder.iterdir():
            content = path.read_bytes()
            assert seed not in content
            assert seed.hex().encode() not in content


def test_the_data_is_verified_with_its_logs(tmp_path: Path) -> None:
    data = tmp_path / "hub"
    hub_log(data)
    assert "logs of 1 channels: 0 leaves verify" in run("hub", "verify", "--data", data)
