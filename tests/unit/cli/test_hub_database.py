"""Which database the hub's commands work on; migrating, copying and verifying both kinds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hub.cli.hub import command
from hub.cli.hub_database import DATABASE_VARIABLE
from hub.errors import ConflictError, InputError, StillwatchError, StoreError, VerificationError
from hub.store.records import Kind
from hub.store.sqlite import SqliteStore
from tests.postgres import empty_database, give_back
from tests.store.conftest import make_object

URL = "postgresql://hub@database.example/stillwatch"


def run(*words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner(env=env).invoke(command, words, catch_exceptions=False, standalone_mode=False)


def code(*words: str) -> int:
    return CliRunner().invoke(command, words, standalone_mode=True).exit_code


def fails(
    family: type[StillwatchError], *words: str, env: dict[str, str] | None = None
) -> StillwatchError:
    with pytest.raises(family) as caught:
        run(*words, env=env)
    said = f"{caught.value} {caught.value.hint}"
    assert "hunter2" not in said
    return caught.value


def document(*words: str) -> Any:
    return json.loads(run(*words, "--json").stdout)


@pytest.fixture
def url() -> Iterator[str]:
    made = empty_database()
    yield made
    give_back(made)


@pytest.fixture
def data(tmp_path: Path) -> str:
    """A SQLite hub with an organisation, a channel collection and some objects."""
    place = tmp_path / "hub"
    run("init", "--data", str(place))
    run("org", "add", "Lab", "--data", str(place))
    store = SqliteStore.open(place / "hub.db")
    org = store.orgs()[0].id
    channel = store.create_collection(Kind.CHANNEL, "Channel", owner_org=org).id
    store.append(channel, [make_object(n, modified=None, type="artifact") for n in range(5)])
    plain = store.create_collection(Kind.PLAIN, "Plain", owner_org=org).id
    store.append(plain, [make_object(n) for n in range(7)])
    store.close()
    return str(place)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://hub:hunter2@database.example/stillwatch",
        "postgresql://database.example/stillwatch?user=hub&password=hunter2",
        "postgres://hub:hunter2@[::1/stillwatch?password",
    ],
)
def test_a_password_in_the_arguments_is_refused(url: str, tmp_path: Path) -> None:
    refused = fails(InputError, "init", "--data", str(tmp_path / "hub"), "--database", url)
    assert "PGPASSFILE" in str(refused.hint)
    assert DATABASE_VARIABLE in str(refused.hint)
    assert not (tmp_path / "hub").exists()


def test_what_is_no_url_of_postgresql_is_refused(tmp_path: Path) -> None:
    at = ("--data", str(tmp_path / "hub"))
    for text in ("hub.db", "mysql://hub@database.example/x", "host=database.example"):
        fails(InputError, "init", *at, "--database", text)


def test_a_file_and_a_url_at_once_are_refused(data: str) -> None:
    fails(InputError, "org", "list", "--data", data, "--database", URL)
    fails(InputError, "org", "list", "--data", data, env={DATABASE_VARIABLE: URL})
    assert "Lab" in run("org", "list", "--data", data).output


def test_a_hub_on_postgresql_needs_its_data_directory_alone(url: str, tmp_path: Path) -> None:
    place = tmp_path / "hub"
    at = ("--data", str(place))
    run("init", *at, "--database", url)
    assert (place / "database").read_text().strip() == url
    assert (place / "database").stat().st_mode & 0o777 == 0o600
    assert not (place / "hub.db").exists()
    run("org", "add", "Lab", *at)
    assert "Lab" in run("org", "list", *at).output
    assert document("migrate", *at)["steps"] == []
    assert "audit log" in run("verify", *at).output
    again = fails(ConflictError, "init", *at, "--database", url)
    assert "already" in str(again)
    other = fails(ConflictError, "init", "--data", str(tmp_path / "two"), "--database", url)
    assert "copy the data directory" in str(other.hint)


def test_a_password_from_the_environment_is_taken(tmp_path: Path) -> None:
    env = {DATABASE_VARIABLE: "postgresql://hub:hunter2@127.0.0.1:1/stillwatch"}
    # Nobody listens there; what matters is that it was tried, and that nothing is left behind.
    fails(StillwatchError, "init", "--data", str(tmp_path / "hub"), env=env)
    assert not (tmp_path / "hub" / "database").exists()


@pytest.mark.parametrize("end", [KeyboardInterrupt, StoreError])
def test_an_init_that_ends_in_the_middle(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: type[BaseException]
) -> None:
    at = ("--data", str(tmp_path / "hub"))
    with monkeypatch.context() as patched:

        def broken(*_: object, **__: object) -> None:
            raise end("in the middle")

        patched.setattr("hub.store.migrate.upgrade", broken)
        CliRunner().invoke(command, ["init", *at, "--database", url])
    # Killed, it goes on; of one that failed nothing is left.
    if end is KeyboardInterrupt:
        run("migrate", *at)
    else:
        run("init", *at, "--database", url)
    run("org", "add", "Lab", *at)
    assert "Lab" in run("org", "list", *at).output


def test_a_backup_moves_between_the_engines(data: str, url: str, tmp_path: Path) -> None:
    copy, back = tmp_path / "copy.db", tmp_path / "back.db"
    before = document("verify", "--data", data)
    assert sum(before["objects"].values()) == 12
    run("backup", str(copy), "--data", data)
    moved = ("--data", str(tmp_path / "moved"))
    # As a restore left it that was killed while it copied rows.
    (tmp_path / "moved").mkdir()
    key = copy.with_name("copy.db.token-key").read_bytes()
    (tmp_path / "moved" / "token.key").write_bytes(key)
    run("restore", str(copy), *moved, "--database", url)
    # From here on the directory says where the database is.
    after = document("verify", *moved)
    assert (after["objects"], after["log_leaves"]) == (before["objects"], before["log_leaves"])
    run("backup", str(back), *moved)
    returned = ("--data", str(tmp_path / "returned"))
    run("restore", str(back), *returned)
    assert document("verify", *returned)["objects"] == before["objects"]
    assert "Lab" in run("org", "list", *returned).output


def test_what_was_changed_is_found(data: str) -> None:
    with sqlite3.connect(Path(data) / "hub.db") as direct:
        direct.execute(
            "UPDATE object SET body = CAST(replace(body, 'fact', 'fict') AS BLOB)"
            " WHERE seq = (SELECT min(seq) FROM object)"
        )
    direct.close()
    found = fails(VerificationError, "verify", "--data", data)
    assert "not what its leaf says" in str(found)


def test_a_database_is_migrated_back_and_forth(data: str) -> None:
    at = ("migrate", "--data", data)
    newest = document(*at)
    assert newest["revision"] == newest["newest"]
    assert newest["steps"] == []
    assert code(*at, "--dry-run") == 0
    planned = CliRunner().invoke(command, [*at, "--dry-run", "--to", "0003", "--json"])
    assert planned.exit_code == 10
    plan = json.loads(planned.stdout)
    assert (plan["direction"], plan["revision"]) == ("down", newest["newest"])
    done = document(*at, "--to", "0003")
    assert done["revision"] == "0003"
    assert [step["revision"] for step in done["steps"]] == [
        step["revision"] for step in plan["steps"]
    ]
    assert code(*at, "--dry-run") == 10
    again = document(*at)
    assert again["revision"] == newest["newest"]
    assert [step["revision"] for step in again["steps"]] == [
        step["revision"] for step in reversed(plan["steps"])
    ]
    assert sum(document("verify", "--data", data)["objects"].values()) == 12


def test_a_revision_that_is_none(data: str) -> None:
    assert "0001" in str(fails(InputError, "migrate", "--data", data, "--to", "9999").hint)


def test_a_big_collection_gets_a_table_of_its_own(data: str, url: str, tmp_path: Path) -> None:
    assert "one table" in str(fails(InputError, "collection", "partition", "x", "--data", data))
    copy, there = str(tmp_path / "copy.db"), str(tmp_path / "there")
    run("backup", copy, "--data", data)
    run("restore", copy, "--data", there, "--database", url)
    fails(InputError, "collection", "partition", "no-such", "--data", there)
    plain = next(
        one for one in document("collection", "list", "--data", there) if one["objects"] == 7
    )
    first = document("collection", "partition", plain["id"], "--data", there)
    assert first == {"collection": plain["id"], "moved": 7, "partitioned": [plain["id"]]}
    again = document("collection", "partition", plain["id"], "--data", there)
    assert again["moved"] == 0
    assert document("verify", "--data", there)["objects"][plain["id"]] == 7
