"""Sealed messages that other systems' clients have written anew: the payload is what counts.

A lab's channel lies on one server; clients like OpenCTI's and MISP's carry its messages to another,
where a member reads them. What keeps payload and id is taken; all else is refused with its reason.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hub.channel.carriage import artifact_id
from hub.cli.exits import ALARM, OK
from hub.cli.main import cli
from hub.cli.options import load_home
from hub.client.transport import HubAccount
from tests.faults.hub_process import HubProcess
from tests.interop.medallion_process import PASSWORD, USER, medallion, stock_backend
from tests.interop.relays import fetch, misp, opencti, pass_on, plain

SOURCE, TARGETS = str(uuid.uuid4()), [str(uuid.uuid4()) for _ in range(4)]
STOCK = (USER, PASSWORD)
# The manifest that a channel begins with is not counted as news.
GENESIS = 1


class Journey:
    """A channel on a stock server, and a provider that was let in and has read nothing yet."""

    def __init__(self, folder: Path, stock: str) -> None:
        self.folder = folder
        self.stock = f"{stock}/stock/"
        self.source = f"{self.stock}collections/{SOURCE}/"
        self._runner = CliRunner()
        (folder / "token").touch(mode=0o600)
        (folder / "token").write_text(PASSWORD)
        self._make()

    def run(self, home: str, *words: str, code: int = OK) -> Any:
        """A command; its JSON."""
        given = [*words, "--json", "--home", str(self.folder / home)]
        result = self._runner.invoke(cli, given)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def _make(self) -> None:
        account = ("--username", USER, "--token-file", str(self.folder / "token"))
        for name in ("lab", "provider"):
            self.run(name, "init", "--organisation", name.title(), "--key-file")
        hub = ("--hub", self.stock, "--collection", SOURCE, *account)
        self.run("lab", "channel", "create", "circle", *hub)
        files = [str(self.folder / each) for each in ("invitation", "request", "proxies.csv")]
        who = ("--organisation", "Provider", "--role", "report")
        self.run("lab", "channel", "invite", "circle", *who, "--out", files[0])
        given = ("--invitation-file", files[0], *account, "--name", "circle")
        joined = self.run("provider", "join", *given, "--request-file", files[1])
        words = ("--words", " ".join(joined["words"]))
        self.run("lab", "channel", "approve", "circle", "--request", files[1], *words)
        Path(files[2]).write_text("address,campaign\n198.51.100.2,LANTERN\n203.0.113.9,LANTERN\n")
        self.run("lab", "publish", files[2])

    def reader(self, name: str, api_root: str, collection: str, account: tuple[str, str]) -> str:
        """The provider, who reads the channel from another server."""
        shutil.copytree(self.folder / "provider", self.folder / name)
        with load_home(self.folder / name, None) as home:
            home.put_account(HubAccount(api_root, account[0], account[1]), stillwatch=False)
            home.state.run("UPDATE channel SET api_root=?, collection_id=?", (api_root, collection))
        return name


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    folder = tmp_path_factory.mktemp("journey")
    rights = {"can_read": True, "can_write": True}
    collections = [{"id": each, "title": each, **rights} for each in (SOURCE, *TARGETS)]
    with medallion(folder, stock_backend(folder / "data.json", collections), page=5) as url:
        yield Journey(folder, url)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("target") / "hub") as made:
        yield made


@pytest.mark.parametrize(("number", "write"), [(0, opencti), (1, misp), (2, plain)])
def test_a_member_reads_what_a_client_carried_to_a_stock_server(
    journey: Journey, number: int, write: Callable[[list[dict[str, Any]]], bytes]
) -> None:
    target = f"{journey.stock}collections/{TARGETS[number]}/"
    carried = fetch(journey.source, STOCK)
    status = pass_on(target, STOCK, write(carried))
    assert (status["success_count"], status["failure_count"]) == (len(carried), 0)
    # The bytes of the JSON are others, those of the messages are not.
    stored = fetch(target, STOCK)
    assert stored != carried or write is plain
    assert [each["payload_bin"] for each in stored] == [each["payload_bin"] for each in carried]
    home = journey.reader(f"stock-{number}", journey.stock, TARGETS[number], STOCK)
    (pulled,) = journey.run(home, "pull")["channels"]
    assert (pulled["messages"], pulled["objects"]["indicator"]) == (len(carried) - GENESIS, 2)
    assert (pulled["alarms"], pulled["unread"], pulled["waiting"]) == ([], [], 0)


@pytest.mark.parametrize(("key", "write"), [("rw1", opencti), ("rw2", misp)])
def test_a_member_reads_what_a_client_carried_to_a_hub(
    journey: Journey,
    hub: HubProcess,
    key: str,
    write: Callable[[list[dict[str, Any]]], bytes],
) -> None:
    collection = hub.line["collections"][key]
    target = f"{hub.root}collections/{collection}/"
    carried = fetch(journey.source, STOCK)
    status = pass_on(target, hub.auth, write(carried))
    assert (status["success_count"], status["failure_count"]) == (len(carried), 0)
    home = journey.reader(f"hub-{key}", hub.root, collection, hub.auth)
    (pulled,) = journey.run(home, "pull")["channels"]
    assert (pulled["messages"], pulled["objects"]["indicator"]) == (len(carried) - GENESIS, 2)
    assert (pulled["alarms"], pulled["unread"]) == ([], [])


def test_what_was_not_kept_is_refused_with_its_reason(journey: Journey) -> None:
    carried = fetch(journey.source, STOCK)
    *kept, renamed, wrapped, bare = carried
    payload = wrapped["payload_bin"]
    spoilt = [
        # Base64 in lines, as in mail; an id of the client's own; no hash.
        {**wrapped, "payload_bin": f"{payload[:76]}\n{payload[76:]}"},
        {**renamed, "id": f"artifact--{uuid.uuid4()}"},
        {name: bare[name] for name in bare if name != "hashes"},
    ]
    target = f"{journey.stock}collections/{TARGETS[3]}/"
    pass_on(target, STOCK, plain([*kept, *spoilt]))
    home = journey.reader("spoilt", journey.stock, TARGETS[3], STOCK)
    (pulled,) = journey.run(home, "pull", code=ALARM)["channels"]
    assert pulled["messages"] + pulled["waiting"] == len(kept) - GENESIS
    assert sorted(pulled["unread"]) == sorted(
        [
            f"{wrapped['id']}: not base64",
            f"{bare['id']}: an artifact that carries a message has ['hashes'] too",
        ]
    )
    (alarm,) = pulled["alarms"]
    assert alarm == f"circle: {spoilt[1]['id']}: the id is not that of the message: squatted"
    # The whole messages heal it, from whomever they come.
    pass_on(target, STOCK, opencti([renamed]))
    (pulled,) = journey.run(home, "pull")["channels"]
    assert (pulled["messages"], pulled["alarms"]) == (1, [])
    assert renamed["id"] == artifact_id(renamed["hashes"]["SHA-256"])
