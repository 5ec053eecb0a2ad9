"""Lab, provider and liaison around a stock medallion process: join requests travel as files."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hub.cli.main import cli
from tests.interop.medallion_process import PASSWORD, USER, medallion, stock_backend

ACCOUNTS = """email,campaign,first_seen,confidence
ann@mailbox-farm.example,LANTERN,2026-11-01T00:00:00Z,80
bob@mailbox-farm.example,LANTERN,2026-11-01T00:00:00Z,70
"""
PROXIES = """address,campaign,first_seen,valid_until
203.0.113.64/27,LANTERN,2026-11-01T00:00:00Z,2027-01-20T00:00:00Z
198.51.100.2,LANTERN,2026-11-02T00:00:00Z,2027-01-21T00:00:00Z
"""


class Members:
    """Commands in the names of members, in this process."""

    def __init__(self, folder: Path, url: str, collection: str) -> None:
        self.folder = folder
        self.api_root = f"{url}/stock/"
        self.collection = collection
        self._runner = CliRunner()
        (folder / "token").touch(mode=0o600)
        (folder / "token").write_text(PASSWORD)
        self.account = ["--username", USER, "--token-file", str(folder / "token")]

    def path(self, name: str) -> str:
        """A file of the test."""
        return str(self.folder / name)

    def run(self, member: str, *words: str) -> Any:
        """A command that must succeed; its JSON."""
        result = self._runner.invoke(
            cli,
            [*words, "--json", "--home", self.path(member)],
            catch_exceptions=False,
            standalone_mode=False,
        )
        assert result.exit_code == 0
        return json.loads(result.stdout)

    def admit(self, member: str, role: str) -> None:
        """Invitation, join request and approval, all as files."""
        self.run(member, "init", "--organisation", member.title(), "--key-file")
        invitation = ("--out", self.path(f"{member}.invitation"))
        who = ("--organisation", member.title(), "--role", role)
        self.run("lab", "channel", "invite", "circle", *who, *invitation)
        given = ("--invitation-file", self.path(f"{member}.invitation"), *self.account)
        request = self.path(f"{member}.request")
        joined = self.run(member, "join", *given, "--name", "circle", "--request-file", request)
        words = ("--words", " ".join(joined["words"]))
        self.run("lab", "channel", "approve", "circle", "--request", request, *words)


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Members]:
    collection = str(uuid.uuid4())
    backend = stock_backend(
        tmp_path / "data.json",
        [{"id": collection, "title": "Circle", "can_read": True, "can_write": True}],
    )
    # Small pages, so that `next` is used.
    with medallion(tmp_path, backend, page=3) as url:
        yield Members(tmp_path, url, collection)


def test_the_whole_job(members: Members, tmp_path: Path) -> None:
    (tmp_path / "accounts.csv").write_text(ACCOUNTS)
    (tmp_path / "proxies.csv").write_text(PROXIES)
    members.run("lab", "init", "--organisation", "Lab", "--key-file")
    hub = ("--hub", members.api_root, "--collection", members.collection, *members.account)
    made = members.run("lab", "channel", "create", "circle", *hub)
    assert made["inbox"] is None
    members.admit("provider", "report")
    members.admit("liaison", "liaison")

    files = (members.path("accounts.csv"), members.path("proxies.csv"))
    rows = members.run("lab", "publish", *files)["rows"]
    (pulled,) = members.run("provider", "pull")["channels"]
    assert (pulled["objects"]["indicator"], pulled["alarms"]) == (4, [])
    (seen,) = members.run("liaison", "pull")["channels"]
    assert "indicator" not in seen["objects"]
    (view,) = members.run("liaison", "campaign", "list")["campaigns"]
    assert view["name"] == "LANTERN"

    target = rows[-1]["indicators"][0]
    members.run("provider", "report", target, "--count", "3")
    reason = ("--false-positive", "--reason", "an office of a customer")
    members.run("provider", "report", target, *reason)
    (pulled,) = members.run("lab", "pull")["channels"]
    assert pulled["reports"] == 3
    members.run("lab", "retract", target)
    (pulled,) = members.run("provider", "pull")["channels"]
    assert pulled["revoked"] == [target]
    # Everything again, over the overlap: nothing is new, nothing alarms.
    (pulled,) = members.run("provider", "pull")["channels"]
    assert (pulled["messages"], pulled["objects"], pulled["alarms"]) == (0, {}, [])
