"""Several hub processes as an operator runs them: channels, renewal, a database that is away."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from click.testing import CliRunner

from hub.channel.card import card_message
from hub.channel.carriage import to_artifact
from hub.channel.epoch import new_epoch
from hub.channel.header import Audience
from hub.channel.invite import binding
from hub.channel.manifest import genesis, next_version, sign_manifest
from hub.channel.seal import seal_data
from hub.channel.verify import TrustedChannel
from hub.cli.hub import command
from hub.cli.hub_database import target_of
from hub.store.interface import Store
from hub.store.opening import open_store
from hub.store.records import Kind
from tests.faults.hub_pair import Pair, pair
from tests.faults.hub_process import HubProcess
from tests.faults.traffic import TAXII, envelope
from tests.postgres import empty_database, give_back, server
from tests.unit.server.test_admission import DAY, Party, _bundle

SECONDS = 20.0


class Channel:
    """A channel whose messages go to one process after the other, each over a new connection."""

    def __init__(self, both: Pair, store: Store) -> None:
        self.roots = [hub.root for hub in both.hubs]
        self._turn = itertools.cycle(self.roots)
        owner = store.org("dev")
        assert owner is not None
        self.tokens = {"owner": both.auth[1]}
        self.provider_org = store.create_org("provider").id
        self.tokens["provider"] = store.create_token(self.provider_org).secret
        self.collection = store.create_collection(Kind.CHANNEL, "c", owner_org=owner.id).id
        self.lab, self.provider = Party(1), Party(2)

    def ask(
        self, method: str, path: str, who: str = "owner", root: str | None = None, **more: Any
    ) -> requests.Response:
        """One request to the next process."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}", "Accept": "*/*"}
        headers |= {"Content-Type": TAXII, "Connection": "close"}
        url = (root or next(self._turn)) + path
        return requests.request(method, url, headers=headers, timeout=SECONDS, **more)

    def bind(self, party: Party, who: str) -> None:
        root = self.roots[0]
        asked = self.ask("POST", "binding/challenge/", who, root)
        raw = binding(root, asked.json()["challenge"], party.card, party.signing)
        assert self.ask("POST", "binding/", who, root, data=raw).status_code == 200

    def send(self, raw: bytes) -> None:
        """Post a message; it must be stored."""
        path = f"collections/{self.collection}/objects/"
        answer = self.ask("POST", path, json={"objects": [to_artifact(raw)]})
        assert answer.status_code == 202, answer.text
        assert answer.json()["success_count"] == 1, answer.text

    def seen_by_provider(self, times: int) -> set[int]:
        """Status codes of so many reads."""
        path = f"collections/{self.collection}/objects/?limit=1"
        return {self.ask("GET", path, "provider").status_code for _ in range(times)}

    def open(self) -> int:
        """Found the channel, publish, let the provider in; the number of messages."""
        self.bind(self.lab, "owner")
        self.bind(self.provider, "provider")
        now = int(time.time())
        self.manifest = genesis(
            owners=[self.lab.root.public.id],
            members=[self.lab.row],
            created=now,
            expires=now + 90 * DAY,
        )
        raw = sign_manifest(self.manifest, [self.lab.root])
        self.trusted = TrustedChannel.from_genesis(raw, owner_roots=None, now=now)
        self.send(raw)
        count = 1 + self._take(card_message(self.trusted.channel, self.lab.card)) + self._rotate()
        for _ in range(6):
            count += self._take(
                seal_data(
                    self.trusted,
                    self.secrets,
                    self.lab.signing,
                    Audience.DETAIL,
                    _bundle(self.lab.member),
                    now=int(time.time()),
                )
            )
        count += self._change([self.lab.row, self.provider.row])
        count += self._take(card_message(self.trusted.channel, self.provider.card))
        return count + self._rotate()

    def remove(self) -> None:
        """Remove the provider; acknowledged by whichever process has its turn."""
        gone = self.trusted.final_of(self.provider.member)
        self._change([self.lab.row], removed=[gone])

    def _change(self, members: Any, **more: Any) -> int:
        now = int(time.time())
        self.manifest = next_version(
            self.manifest, created=now, expires=now + 90 * DAY, members=members, **more
        )
        return self._take(sign_manifest(self.manifest, [self.lab.root]))

    def _rotate(self) -> int:
        epoch, self.secrets = new_epoch(self.trusted, self.lab.signing, now=int(time.time()))
        return self._take(epoch)

    def _take(self, raw: bytes) -> int:
        self.trusted.accept(raw, now=int(time.time()))
        self.send(raw)
        return 1


def after_removal(store_name: str, folder: Path, launcher: str = "hub.cli") -> list[set[int]]:
    """How the processes answer a member whose removal one of them has just acknowledged.

    And then, when its tokens have been revoked from the command line.
    """
    with pair(store_name, folder, launcher=launcher) as both:
        store = open_store(target_of(folder / "hub"))
        try:
            channel = Channel(both, store)
            count = channel.open()
            assert store.verify_log(channel.collection) == count
            assert channel.seen_by_provider(8) == {200}
            channel.remove()
            removed = channel.seen_by_provider(12)
            for token in store.tokens(channel.provider_org):
                at = ["--data", str(folder / "hub")]
                CliRunner().invoke(
                    command, ["token", "revoke", token.id, *at], catch_exceptions=False
                )
            if store.remote:
                # What a process knows of accounts is a second old there at most.
                time.sleep(1.1)
            return [removed, channel.seen_by_provider(12)]
        finally:
            store.close()


@pytest.mark.parametrize("store", [pytest.param("postgresql", marks=pytest.mark.drill), "sqlite"])
def test_a_channel_stays_whole_and_a_removal_counts_everywhere(store: str, tmp_path: Path) -> None:
    assert after_removal(store, tmp_path) == [{404}, {401}]


@pytest.mark.drill
def test_a_hub_that_does_not_follow_is_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        assert after_removal("sqlite", tmp_path, "tests.faults.stale_hub") == [{404}, {401}]


@dataclass
class Load:
    """Requests without a pause. A kept connection that the server closed between two requests is
    opened again, as HTTP clients do, and counted; anything else that fails is a failure.
    """

    url: str
    auth: dict[str, str]
    answers: int = 0
    reopened: int = 0
    failures: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def keep(self, method: str) -> None:
        """Ask over one connection as long as it lasts."""
        # One that the server closed with an answer is opened again by the next request.
        with contextlib.closing(self._connect()) as connection:
            while not self.stop.is_set():
                try:
                    self._ask(connection, method)
                except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                    self.reopened += 1
                    connection.close()
                    self._try(connection, method)

    def renew(self, method: str) -> None:
        """Ask over a new connection each time, and never twice."""
        while not self.stop.is_set():
            with contextlib.closing(self._connect()) as connection:
                self._try(connection, method)

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        assert parts.hostname
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=SECONDS)

    def _try(self, connection: http.client.HTTPConnection, method: str) -> None:
        try:
            self._ask(connection, method)
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(repr(error))
            connection.close()

    def _ask(self, connection: http.client.HTTPConnection, method: str) -> None:
        body = None
        if method == "POST":
            body = requests.Request("POST", self.url, json=envelope()).prepare().body
        connection.request(method, urlsplit(self.url).path, body, self.auth)
        answer = connection.getresponse()
        answer.read()
        if answer.status not in (200, 202):
            self.failures.append(f"{method} was answered {answer.status}")
        self.answers += 1


def workers(supervisor: int) -> set[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(supervisor)], capture_output=True, text=True, check=False
    )
    return {int(pid) for pid in listed.stdout.split()}


def under_load(hub: HubProcess, act: Callable[[], None]) -> Load:
    """Let eight clients ask while something is done to the hub."""
    token = hub.auth[1]
    auth = {"Authorization": f"Bearer {token}", "Accept": TAXII, "Content-Type": TAXII}
    load = Load(hub.objects("rw1"), auth)
    habits = [load.keep, load.renew]
    threads = [
        threading.Thread(target=habit, args=(method,))
        for habit, method in itertools.product(habits, ("GET", "POST") * 2)
    ]
    for thread in threads:
        thread.start()
    try:
        act()
    finally:
        load.stop.set()
        for thread in threads:
            thread.join()
    return load


def test_renewing_the_processes_fails_no_request(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub", arguments=("--processes", "2")) as hub:
        before = workers(hub.process.pid)

        def renew() -> None:
            hub.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 60
            while workers(hub.process.pid) & before or len(workers(hub.process.pid)) != 2:
                assert time.monotonic() < deadline
                time.sleep(0.05)

        load = under_load(hub, renew)
        print(f"{load.answers} answers, {load.reopened} kept connections opened again")
        assert load.failures == []
        assert load.answers > 100
        assert hub.stop() == 0


@pytest.mark.drill
def test_a_killed_process_is_replaced(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub", arguments=("--processes", "2")) as hub:
        before = workers(hub.process.pid)
        os.kill(min(before), signal.SIGKILL)
        deadline = time.monotonic() + 60
        while len(now := workers(hub.process.pid)) != 2 or now == before:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for _ in range(10):
            assert requests.get(hub.objects("rw1"), auth=hub.auth, timeout=SECONDS).ok
        assert hub.stop() == 0


@pytest.fixture
def hub_on_postgres(tmp_path: Path) -> Iterator[HubProcess]:
    url = empty_database()
    with HubProcess(tmp_path / "hub", arguments=("--database", url)) as hub:
        yield hub
    give_back(url)


def test_a_database_that_is_away_is_said_and_comes_back(hub_on_postgres: HubProcess) -> None:
    hub = hub_on_postgres
    base = hub.root.removesuffix("stillwatch/")
    headers = {"Content-Type": TAXII, "Accept": TAXII}

    def post() -> requests.Response:
        return requests.post(
            hub.objects("rw1"), json=envelope(), auth=hub.auth, headers=headers, timeout=SECONDS
        )

    assert post().status_code == 202
    server().kill()
    try:
        away = [
            requests.get(hub.objects("rw1"), auth=hub.auth, timeout=SECONDS),
            requests.get(hub.objects("rw1"), auth=hub.auth, timeout=SECONDS),
            post(),
        ]
        assert [answer.status_code for answer in away] == [503, 503, 503]
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in away)
        began = time.monotonic()
        assert requests.get(f"{base}livez", timeout=SECONDS).status_code == 200
        assert time.monotonic() - began < 1
        assert requests.get(f"{base}readyz", timeout=SECONDS).status_code == 503
    finally:
        server().start()
    deadline = time.monotonic() + 30
    while post().status_code != 202 or not requests.get(f"{base}readyz", timeout=SECONDS).ok:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert hub.stop() == 0
