"""kill -9 of a real hub while a member posts and another watches the log.

After each kill the log goes on from what it had shown: no checkpoint that anybody was given is
contradicted, each acknowledged message is logged once, and leaves and objects agree. The same
check, run on a hub that writes leaves later than messages, must fail.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from hub.channel.card import card_message
from hub.channel.carriage import to_artifact
from hub.channel.log.checkpoint import Checkpoint, parse_checkpoint
from hub.channel.log.tree import root_at
from hub.channel.manifest import genesis, sign_manifest
from hub.channel.seal import seal_heartbeat
from hub.channel.verify import TrustedChannel
from hub.errors import VerificationError
from hub.store.records import Kind
from hub.store.sqlite import SqliteStore
from tests.faults.hub_process import HubProcess
from tests.store.test_log_contract import Stored
from tests.unit.server.test_admission import DAY, Party

TAXII = "application/taxii+json;version=2.1"
BATCH = 3
TIMEOUT_SECONDS = 10.0


@dataclass
class Seen:
    """What the clients remember: digests that were acknowledged, checkpoints in order."""

    acknowledged: list[str] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)


class Sender:
    """The owner of a channel, with an account on the hub that is bound to it."""

    def __init__(self, data: Path) -> None:
        self.party = Party(1)
        now = int(time.time())
        manifest = genesis(
            owners=[self.party.root.public.id],
            members=[self.party.row],
            created=now,
            expires=now + 90 * DAY,
        )
        raw = sign_manifest(manifest, [self.party.root])
        self.trusted = TrustedChannel.from_genesis(raw, owner_roots=None, now=now)
        card = card_message(self.trusted.channel, self.party.card)
        self.trusted.accept(card, now=now)
        self.first = [raw, card]
        store = SqliteStore.open(data / "hub.db")
        org = store.create_org("Lab")
        self.token = store.create_token(org.id).secret
        self.collection = store.create_collection(Kind.CHANNEL, "c", owner_org=org.id).id
        store.bind_member(org.id, self.party.member, self.party.root.public.id)
        store.close()

    def beats(self) -> list[bytes]:
        """The next messages of its chain."""
        made = []
        for _ in range(BATCH):
            now = int(time.time())
            raw = seal_heartbeat(self.trusted, self.party.signing, now=now)
            self.trusted.accept(raw, now=now)
            made.append(raw)
        return made


def post_on(root: str, sender: Sender, seen: Seen, stop: threading.Event) -> None:
    """Post until told to stop; what was not answered is posted again, unchanged."""
    url = f"{root}collections/{sender.collection}/objects/"
    pending = sender.first
    with requests.Session() as session:
        session.headers.update(
            {"Authorization": f"Bearer {sender.token}", "Content-Type": TAXII, "Accept": TAXII}
        )
        while not stop.is_set():
            body = json.dumps({"objects": [to_artifact(raw) for raw in pending]})
            try:
                answer = session.post(url, data=body, timeout=TIMEOUT_SECONDS)
            except requests.RequestException:
                stop.wait(0.02)
                continue
            if answer.status_code == 202 and answer.json()["success_count"] == len(pending):
                seen.acknowledged += [hashlib.sha256(raw).hexdigest() for raw in pending]
                pending = sender.beats()
            elif answer.status_code != 503:
                seen.odd.append(f"a post was answered {answer.status_code}: {answer.text[:300]}")
                stop.set()


def watch(root: str, sender: Sender, seen: Seen, stop: threading.Event) -> None:
    """Ask for checkpoints until told to stop."""
    url = f"{root}channels/{sender.trusted.channel}/checkpoint/"
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {sender.token}"
        while not stop.is_set():
            try:
                answer = session.get(url, timeout=TIMEOUT_SECONDS)
            except requests.RequestException:
                stop.wait(0.02)
                continue
            if answer.status_code == 200:
                seen.checkpoints.append(parse_checkpoint(answer.text).checkpoint)
            stop.wait(0.005)


def drill(data: Path, kills: int, *, launcher: str = "hub.cli", seed: int = 1) -> Seen:
    """Kill the hub so often under load."""
    chance = random.Random(seed)
    seen, stop = Seen(), threading.Event()
    hub = HubProcess(data, launcher=launcher)
    with hub:
        sender = Sender(data)
        hub.port = int(hub.root.split(":")[2].split("/")[0])
        threads = [
            threading.Thread(target=target, args=(hub.root, sender, seen, stop))
            for target in (post_on, watch)
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in range(kills):
                progress(seen, stop)
                time.sleep(chance.uniform(0.05, 0.4))
                hub.kill()
                hub.start()
            progress(seen, stop)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        hub.kill()
    judge(data, sender.collection, seen)
    return seen


def progress(seen: Seen, stop: threading.Event) -> None:
    """Wait until the hub has acknowledged and shown something more."""
    before, deadline = (len(seen.acknowledged), len(seen.checkpoints)), time.monotonic() + 60
    while len(seen.acknowledged) <= before[0] or len(seen.checkpoints) <= before[1]:
        assert time.monotonic() < deadline, "the hub stores or shows nothing any more"
        assert not stop.is_set(), seen.odd
        time.sleep(0.01)


def judge(data: Path, collection: str, seen: Seen) -> None:
    """Compare what is stored with what the clients remember.

    Raises:
        VerificationError: log and objects disagree.
    """
    assert seen.odd == []
    assert contradictions(seen.checkpoints) == []
    store = SqliteStore.open(data / "hub.db")
    try:
        size = store.verify_log(collection)
        leaves = [one.hex() for one in store.log_digests(collection, 0, size)]
        stored = Stored(store, collection)
        assert max(one.size for one in seen.checkpoints) <= size
        for one in seen.checkpoints:
            assert root_at(stored, one.size) == one.root, f"the log of {one.size} was another"
        assert store.count(collection) == size
    finally:
        store.close()
    assert len(set(leaves)) == len(leaves), "a message is logged twice"
    assert leaves[: len(seen.acknowledged)] == seen.acknowledged


def contradictions(checkpoints: Sequence[Checkpoint]) -> list[str]:
    """What two checkpoints in the order in which they were given say against the log."""
    found = []
    for before, after in itertools.pairwise(checkpoints):
        if after.size < before.size or after.time < before.time:
            found.append(f"{before.size} at {before.time}, then {after.size} at {after.time}")
    return found


def test_two_kills_leave_log_and_objects_agreed(tmp_path: Path) -> None:
    seen = drill(tmp_path / "hub", 2)
    assert len(seen.acknowledged) > BATCH
    assert len({one.size for one in seen.checkpoints}) > 1


@pytest.mark.drill
@pytest.mark.timeout(900)
def test_twenty_kills_leave_log_and_objects_agreed(tmp_path: Path) -> None:
    drill(tmp_path / "hub", 20, seed=20)


def test_a_leaf_that_is_written_later_is_caught(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="no leaf"):
        drill(tmp_path / "hub", 2, launcher="tests.faults.late_log")


def test_contradictions_are_seen() -> None:
    def at(size: int, time: int) -> Checkpoint:
        return Checkpoint("o.example", size, bytes(32), time)

    assert contradictions([at(3, 1), at(3, 2), at(4, 2)]) == []
    assert len(contradictions([at(3, 1), at(2, 2), at(5, 1)])) == 2
