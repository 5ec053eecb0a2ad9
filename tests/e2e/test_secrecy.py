"""The hub holds no plaintext; the liaison's keys open no detail.

One exchange (publish, sight, call false, retract) with canaries in everything that people write.
The search covers the hub's files, log and memory. Its control is a build that skips the cipher:
there the same search must find every canary, or its silence would prove nothing.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from hub.channel.accepted import Accepted
from hub.channel.carriage import from_artifact
from hub.channel.epoch import EpochSecrets
from hub.channel.header import Audience, MessageType
from hub.channel.open import open_data
from hub.channel.verify import TrustedChannel
from hub.cli.demo_stage import Stage, free_port
from hub.client.home import Home
from hub.client.keyring import Unlock
from hub.errors import VerificationError
from hub.model import codec
from hub.plaintext import occurrences, search_folder, search_process
from hub.store.sqlite import SqliteStore

CANARIES: Final = {
    "campaign": b"CANARY-CAMPAIGN-7c41",
    "literal": b"canary literal 9f02 of a prompt",
    "pattern": b"canary-pattern-55d8-[0-9]",
    "domain": b"canary-domain-2be0.example",
    "address": b"203.0.113.199",
    "false positive": b"canary reason 81aa of a provider",
    "retraction": b"canary reason c3f7 of the lab",
}
CIPHERLESS: Final = str(Path(__file__).with_name("without_cipher.py"))


class CipherlessStage(Stage):
    """Runs the build that does not encrypt."""

    def _argv(self, words: tuple[str, ...]) -> list[str]:
        return [sys.executable, CIPHERLESS, *super()._argv(words)[3:]]


class Exchange:
    """A hub and three members after one exchange, the hub still running."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.folder = stage.folder

    def play(self) -> None:
        port = free_port(0)
        self._hub(port)
        self._channel(port)
        self._exchange()

    def _hub(self, port: int) -> None:
        run = self.stage.run
        run("hub", "init", "--data", "hub")
        for party in ("lab", "provider", "liaison"):
            run("hub", "org", "add", party, "--data", "hub")
            run("hub", "token", "issue", party, "--data", "hub", "--out", f"{party}.token")
        run("hub", "collection", "add", "Circle", "--owner", "lab", "--data", "hub")
        self.stage.serve(
            *("hub", "serve", "--data", "hub", "--port", str(port)),
            name="HUB",
            log="hub.log",
            ready=f"http://127.0.0.1:{port}/readyz",
        )

    def _channel(self, port: int) -> None:
        run = self.stage.run
        for party in ("lab", "provider", "liaison"):
            run("init", "--home", party, "--organisation", party, "--key-file")
        run(
            *("channel", "create", "circle", "--home", "lab", "--collection", "Circle"),
            *("--hub", f"http://127.0.0.1:{port}/stillwatch/", "--token-file", "lab.token"),
        )
        for party, role in (("provider", "report"), ("liaison", "liaison")):
            run(
                *("channel", "invite", "circle", "--home", "lab", "--role", role),
                *("--organisation", party, "--out", f"{party}.invitation"),
            )
            run(
                *("join", "--home", party, "--token-file", f"{party}.token"),
                *("--invitation-file", f"{party}.invitation"),
            )
            run("channel", "approve", "circle", "--home", "lab", "--yes-words-match")

    def _exchange(self) -> None:
        run = self.stage.run
        text = {name: value.decode() for name, value in CANARIES.items()}
        start = {"campaign": text["campaign"], "first_seen": "2026-11-01T00:00:00Z"}
        rows = [
            {**start, "kind": "literal", "text": text["literal"]},
            {**start, "kind": "regex", "pattern": text["pattern"]},
        ]
        lines = "".join(f"{json.dumps(row)}\n" for row in rows)
        (self.folder / "prompts.jsonl").write_text(lines)
        (self.folder / "places.csv").write_text(
            "address,domain,campaign,first_seen\n"
            f"{text['address']},,{text['campaign']},2026-11-01T00:00:00Z\n"
            f",{text['domain']},{text['campaign']},2026-11-01T00:00:00Z\n"
        )
        run("publish", "--home", "lab", "prompts.jsonl", "places.csv")
        run("pull", "--home", "provider")
        self.stage.let(
            *("WRONG", "indicators", "--home", "provider", "--find", text["address"], "--ids")
        )
        run("report", "$WRONG", "--home", "provider", "--count", "3")
        run(
            *("report", "$WRONG", "--home", "provider", "--false-positive"),
            *("--reason", text["false positive"]),
        )
        run("retract", "$WRONG", "--home", "lab", "--reason", text["retraction"])
        for party in ("lab", "provider", "liaison"):
            run("pull", "--home", party)

    def found(self) -> dict[str, set[bytes]]:
        """Where the canaries are at the hub: file, `log`, `memory`."""
        needles = list(CANARIES.values())
        places = search_folder(self.folder / "hub", needles)
        places["log"] = occurrences((self.folder / "hub.log").read_bytes(), needles)
        places["memory"] = search_process(self.stage.process("HUB"), needles)
        return {place: found for place, found in places.items() if found}


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """The exchange as the product makes it."""
    with Stage(tmp_path_factory.mktemp("sealed"), steps=1) as stage:
        exchange = Exchange(stage)
        exchange.play()
        yield exchange


def test_the_hub_holds_no_plaintext(sealed: Exchange) -> None:
    assert sealed.found() == {}


def test_the_same_search_finds_every_canary_without_the_cipher(tmp_path: Path) -> None:
    with CipherlessStage(tmp_path, steps=1) as stage:
        exchange = Exchange(stage)
        exchange.play()
        places = exchange.found()
    assert set(CANARIES.values()) == set[bytes]().union(*places.values())
    assert set(CANARIES.values()) <= places["hub.db"] | places.get("hub.db-wal", set())


def test_the_liaisons_raw_keys_open_no_detail(sealed: Exchange) -> None:
    with Home.open(sealed.folder / "liaison", Unlock.key_file()) as home:
        channel = home.state.channels()[0].channel_id
        held = list(home.epoch_secrets(channel).values())
        assert home.fingerprint_keys() == []
    assert held
    assert all(each.detail is None for each in held)
    aggregates = [each.aggregate for each in held if each.aggregate is not None]
    assert aggregates
    details = opened = 0
    for trusted, accepted in _replayed(sealed.folder / "hub"):
        header = accepted.message.header
        if header.t is not MessageType.DATA:
            continue
        mine = [each for each in held if each.epoch == header.ep]
        if header.aud is Audience.AGGREGATE and mine:
            opened += len(open_data(trusted, accepted, mine[0]).objects)
        if header.aud is Audience.DETAIL:
            details += 1
            for secret in aggregates:
                # As if an aggregate secret were the one for detail.
                tried = EpochSecrets(channel, header.ep or 0, header.man or "", secret, secret)
                with pytest.raises(VerificationError):
                    open_data(trusted, accepted, tried)
    assert details >= 3
    assert opened >= 1, "the liaison opens its aggregates"


def _replayed(data: Path) -> Iterator[tuple[TrustedChannel, Accepted]]:
    """The channel's messages as the hub stored them, each with the state before it."""
    with closing(SqliteStore.open(data / "hub.db")) as store:
        bodies = [
            body
            for collection in store.collections()
            if collection.kind == "channel"
            for body in store.raw_messages(collection.id)
        ]
    genesis, *later = [from_artifact(codec.loads(body)) for body in bodies]
    now = int(time.time())
    trusted = TrustedChannel.from_genesis(genesis, owner_roots=None, now=now)
    for raw in later:
        yield trusted, trusted.accept(raw, now=now)
