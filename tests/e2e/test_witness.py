"""A hub, a witness and a member as processes: cosigned growth, a lost disk, and what people see."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.channel.log.checkpoint import check_quorum, parse_checkpoint
from tests.e2e.members import Work, end, free_port, serve


class Witness:
    """`stillwatch witness serve` in a process of its own."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        work.run("none", "witness", "init", "witness.example", "--data", "witness")
        self.key = work.run("none", "witness", "key", "--data", "witness").strip()
        self.start()

    def start(self) -> None:
        words = ("witness", "serve", "--data", "witness", "--port", str(self.port))
        log = (self._work.folder / "witness.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                self._work.command(*words),
                cwd=self._work.folder,
                env=self._work.environment("none"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while True:
            assert self.process.poll() is None, (self._work.folder / "witness.log").read_text()
            assert time.monotonic() < deadline, "the witness did not start"
            try:
                with urllib.request.urlopen(f"{self.url}/livez", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    made = Work(tmp_path, free_port())
    made.run("none", "hub", "init", "--data", "hub")
    made.token("lab")
    made.run("lab", "init", "--organisation", "Lab", "--key-file")
    return made


@pytest.fixture
def witness(work: Work) -> Iterator[Witness]:
    made = Witness(work)
    yield made
    if made.process.poll() is None:
        end(made.process)


def served(work: Work, channel: str, key: str) -> tuple[int, int]:
    """Size and number of cosignatures of the checkpoint that the lab is given."""
    token = (work.folder / "lab.token").read_text().strip()
    asked = urllib.request.Request(
        f"{work.api_root}channels/{channel}/checkpoint",
        headers={"authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(asked, timeout=10) as answer:
        signed = parse_checkpoint(answer.read().decode())
    return signed.checkpoint.size, len(check_quorum(signed, [key], 0))


def test_a_hub_that_is_set_back_gets_no_cosignature(work: Work, witness: Witness) -> None:
    hub = serve(work, "--witness", witness.url)
    try:
        add = ("hub", "collection", "add", "Circle", "--owner", "lab", "--data", "hub")
        collection = work.json("none", *add)["id"]
        shown = work.json("none", "hub", "log", "--data", "hub")
        assert shown["witnesses"] == [witness.url]
        (log,) = shown["logs"]
        work.run("none", "witness", "log", "add", log["verifier_key"], "--data", "witness")
        where = ("--hub", work.api_root, "--token-file", "lab.token", "--collection", collection)
        create = ("channel", "create", "circle", *where, "--witness", witness.key)
        channel = work.json("lab", *create)["channel_id"]
        size, count = served(work, channel, witness.key)
        assert (size >= 3, count) == (True, 1)
        work.run("lab", "pull")
        # What is cosigned outlives the witness's process.
        witness.process.send_signal(signal.SIGKILL)
        witness.process.wait(20)
        end(hub)
        shutil.copytree(work.folder / "hub", work.folder / "copy")
        witness.start()
        hub = serve(work, "--witness", witness.url)
        work.run("lab", "channel", "renew", "circle")
        grown, count = served(work, channel, witness.key)
        assert (grown > size, count) == (True, 1)
        work.run("lab", "pull")
        # The disk is set back below what was cosigned, and the hub goes on from there.
        end(hub)
        shutil.rmtree(work.folder / "hub")
        (work.folder / "copy").rename(work.folder / "hub")
        hub = serve(work, "--witness", witness.url)
        back, count = served(work, channel, witness.key)
        # The copy holds what was cosigned before it was taken, and gets nothing beyond.
        assert (back, count) == (size, 1)
        assert "contradicts" in (work.folder / "hub.log").read_text()
        (row,) = work.json("none", "witness", "log", "list", "--data", "witness")
        assert row["size"] == grown
        work.run("lab", "pull", code=None)
        alarms = work.run("lab", "status", code=None)
        assert "rollback" in alarms
    finally:
        end(hub)
