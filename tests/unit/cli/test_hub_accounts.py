"""`stillwatch hub account`, `role`, `audit` and `break-glass`: what they do, and for whom."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import Encoding

from hub.cli.hub import command
from hub.cli.hub_data import DATABASE
from hub.errors import (
    AccessError,
    ConflictError,
    InputError,
    StillwatchError,
    VerificationError,
)
from hub.store.objects import new_object
from hub.store.sqlite import SqliteStore
from tests.unit.server.city import certificate
from tests.unit.server.harness import indicator


class Desk:
    """A hub's data, and commands on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = str(folder / "hub")
        self.run("init", data=True)
        for name in ("lab", "other"):
            self.run("org", "add", name, data=True)

    def run(self, *words: str, data: bool = False) -> str:
        given = [*words, "--data", self.data] if data else list(words)
        return (
            CliRunner().invoke(command, given, catch_exceptions=False, standalone_mode=False).output
        )

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json", data=True).partition("\nToken ")[0])

    def fails(self, family: type[StillwatchError], *words: str) -> None:
        with pytest.raises(family):
            self.run(*words, data=True)

    def token_of(self, account: str) -> str:
        """A file with a new token of an account."""
        org, _, name = account.partition("/")
        file = self.folder / f"{org}-{name}.token"
        self.run("token", "issue", org, "--account", account, "--out", str(file), data=True)
        assert file.stat().st_mode & 0o777 == 0o600
        return str(file)

    def person(self, account: str, *roles: str) -> str:
        org, _, name = account.partition("/")
        chosen = [word for role in roles for word in ("--role", role)]
        self.json("account", "add", org, name, "--person", *chosen)
        return self.token_of(account)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_accounts_and_roles(desk: Desk) -> None:
    made = desk.json("account", "add", "lab", "gateway")
    assert (made["kind"], made["roles"]) == ("service", ["publisher", "subscriber"])
    desk.fails(ConflictError, "account", "add", "lab", "gateway")
    assert desk.json("role", "set", "lab/gateway", "liaison")["roles"] == ["liaison"]
    assert desk.json("account", "bar", "lab/gateway")["disabled"]
    [listed] = desk.json("account", "list", "lab")
    assert (listed["id"], listed["disabled"]) == (made["id"], True)
    assert not desk.json("account", "admit", made["id"])["disabled"]
    assert desk.json("account", "list", "other") == []
    assert "gateway" in desk.run("account", "list", data=True)
    assert "reads only" in desk.run("role", "list")
    for unknown in ("lab/none", "none/gateway", "none"):
        desk.fails(InputError, "account", "bar", unknown)


def test_what_an_account_logs_in_with(desk: Desk, tmp_path: Path) -> None:
    desk.json("account", "add", "lab", "gateway")
    file = tmp_path / "gateway.pem"
    file.write_bytes(certificate().public_bytes(Encoding.PEM))
    key = desk.json("account", "bind-certificate", "lab/gateway", str(file), "--days", "3")
    assert (key["kind"], len(key["subject"])) == ("key", 64)
    one = desk.json("account", "bind-certificate", "lab/gateway", str(file), "--this-one-only")
    assert (one["kind"], one["expires"]) == ("certificate", None)
    oauth = ("account", "bind-oauth", "lab/gateway", "--issuer", "https://login.example/")
    client = desk.json(*oauth, "--client-id", "gateway", "--read-only")
    assert (client["kind"], client["scopes"]) == ("client", ["read"])
    desk.fails(ConflictError, *oauth, "--client-id", "gateway")
    assert len(desk.json("account", "list", "lab")[0]["logins"]) == 3
    desk.json("account", "unbind", key["id"])
    desk.fails(InputError, "account", "unbind", key["id"])
    file.write_bytes(certificate(days=-1).public_bytes(Encoding.PEM))
    desk.fails(InputError, "account", "bind-certificate", "lab/gateway", str(file))
    file.write_text("no certificate")
    desk.fails(InputError, "account", "bind-certificate", "lab/gateway", str(file))


def test_a_steward_manages_its_own(desk: Desk) -> None:
    steward = desk.person("lab/steward", "steward")
    admin = desk.person("lab/admin", "admin")
    reader = desk.person("lab/reader", "subscriber")
    by = ("--token-file", steward)
    desk.json("account", "add", "lab", "new", *by)
    desk.json("account", "bar", "lab/new", *by)
    issued = desk.json("token", "issue", "lab", "--account", "lab/new", *by)
    desk.json("token", "revoke", issued["id"], *by)
    place = desk.json("collection", "add", "Plain", "--owner", "lab", "--kind", "plain")["id"]
    assert desk.json("collection", "grant", place, "other", "--read", *by)["grants"]
    assert desk.json("collection", "government", place, "--open", *by)["government"]
    assert desk.json("collection", "ceiling", place, "green", *by)["ceiling"] == "green"
    foreign = desk.json("collection", "add", "Other", "--owner", "other", "--kind", "plain")["id"]
    tokens = desk.json("token", "list", "lab")
    admin_account = next(
        one["id"] for one in desk.json("account", "list", "lab") if one["name"] == "admin"
    )
    admin_token = next(one["id"] for one in tokens if one["account"] == admin_account)
    for words in (
        ("account", "add", "other", "new"),
        ("account", "add", "lab", "boss", "--role", "admin"),
        ("account", "bar", "lab/admin"),
        ("role", "set", "lab/new", "witness"),
        ("role", "set", "lab/admin", "publisher"),
        ("token", "issue", "lab", "--account", "lab/admin"),
        ("token", "issue", "other"),
        ("token", "rotate", admin_token),
        ("token", "revoke", admin_token),
        ("collection", "grant", foreign, "lab", "--read"),
        ("collection", "government", foreign, "--open"),
        ("org", "add", "more"),
        ("org", "bar", "other"),
        ("org", "kind", "lab", "government"),
    ):
        desk.fails(AccessError, *words, *by)
    desk.fails(AccessError, "account", "add", "lab", "x", "--token-file", reader)
    desk.json("account", "add", "other", "made", "--role", "witness", "--token-file", admin)
    desk.json("org", "add", "ministry", "--government", "--token-file", admin)
    desk.run("account", "bar", "lab/admin", data=True)
    desk.fails(AccessError, "org", "add", "late", "--token-file", admin)


def test_a_ceiling_is_not_set_below_what_there_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = desk.json("collection", "add", "Plain", "--owner", "lab", "--kind", "plain")["id"]
    store = SqliteStore.open(Path(desk.data) / DATABASE)
    held = indicator(1)
    store.append(place, [new_object(held, json.dumps(held).encode())])
    store.close()
    # Without a marking it counts as amber.
    looked: list[object] = []
    read = SqliteStore.raw_messages

    def look(store: SqliteStore, collection_id: str) -> Iterator[bytes]:
        found = store.collection(collection_id)
        assert found is not None
        looked.append(found.ceiling)
        return read(store, collection_id)

    monkeypatch.setattr(SqliteStore, "raw_messages", look)
    desk.fails(ConflictError, "collection", "ceiling", place, "green")
    # Nobody is let in by a ceiling before the collection was looked through.
    assert looked == [None]
    assert "holds up to" not in desk.run("collection", "list", data=True)
    assert desk.json("collection", "ceiling", place, "amber")["ceiling"] == "amber"
    assert "holds up to TLP:AMBER" in desk.run("collection", "list", data=True)
    assert desk.json("collection", "ceiling", place, "any")["ceiling"] is None
    channel = desk.json("collection", "add", "Circle", "--owner", "lab")["id"]
    desk.fails(InputError, "collection", "ceiling", channel, "red")
    desk.fails(InputError, "collection", "government", channel, "--open")


def test_two_break_glass(desk: Desk) -> None:
    first, second = desk.person("other/first", "admin"), desk.person("other/second", "admin")
    desk.json("collection", "add", "Plain", "--owner", "lab", "--kind", "plain")
    ask = ("break-glass", "request", "--org", "lab", "--reason", "a court asks", "--hours", "2")
    made = desk.json(*ask, "--token-file", first)
    assert (made["account"], made["open"], made["hours"]) == ("other/first", False, 2.0)
    approve = ("break-glass", "approve", made["id"])
    desk.fails(AccessError, *approve, "--token-file", first)
    late = desk.person("other/late", "admin")
    desk.fails(AccessError, *approve, "--token-file", late)
    opened = desk.json(*approve, "--token-file", second)
    assert opened["open"]
    assert opened["approver"] == "other/second"
    assert "open until" in desk.run("break-glass", "list", data=True)
    store = SqliteStore.open(Path(desk.data) / DATABASE)
    lab = store.org("lab")
    assert lab is not None
    told = [row.event for row in store.audit_concerning(lab.id)]
    store.close()
    assert told[-1] == "break-glass.open"
    reader = desk.person("other/reader", "liaison")
    desk.fails(AccessError, "break-glass", "end", made["id"], "--token-file", reader)
    assert desk.json("break-glass", "end", made["id"])["ended"]
    assert desk.json("break-glass", "list")[0]["open"] is False


def test_the_audit_log_leaves_and_verifies(desk: Desk, tmp_path: Path) -> None:
    whole, part = tmp_path / "audit.jsonl", tmp_path / "part.jsonl"
    exported = desk.json("audit", "export", "--out", str(whole))
    assert exported["rows"] == exported["last"] == 2
    found = json.loads(
        desk.run("audit", "verify", str(whole), "--head", exported["head"], "--json")
    )
    assert found == {"first": 1, "rows": 2, "last": 2, "head": exported["head"]}
    desk.json("audit", "export", "--after", "1", "--out", str(part))
    assert "1 rows verify" in desk.run("audit", "verify", str(part))
    desk.fails(ConflictError, "audit", "export", "--out", str(whole))
    whole.write_bytes(whole.read_bytes().replace(b"org.add", b"org.bar", 1))
    with pytest.raises(VerificationError):
        desk.run("audit", "verify", str(whole))
