"""Oblivious tokens end to end: a hub, two custodian processes, a publisher, a subscriber."""

from __future__ import annotations

import dataclasses
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.custody.channels import Channels
from hub.custody.folder import Folder, Unlock
from hub.custody.keys import new_key
from tests.e2e.members import Work, end, free_port, serve

PLANTED = ("cus-007", "cus-042", "cus-199")
BY_PHONE = "cus-100"
ACCOUNTS = (
    "drone1@mailbox-farm.example,",
    "Drone2+x@mailbox-farm.example,",
    "drone3@mailbox-farm.example,",
    "elsewhere@mailbox-farm.example,",
    ",+1 212 555 0147",
)


@dataclasses.dataclass
class Scene:
    """The channel `circle`, whose e-mail addresses are oblivious, and its custodians' folders."""

    work: Work
    urls: dict[str, str]
    key_id: str = ""
    channel: str = ""

    def folder(self, name: str) -> Path:
        """A custodian's folder."""
        return self.work.folder / name

    def custodian(self, name: str, *, folder: str | None = None) -> None:
        """Make a custodian with a key for the channel, and a file with its row."""
        made = Folder.create(self.folder(folder or name), name, self.urls[name], Unlock())
        Channels(made).add(self.channel, (), now=int(time.time()))
        row = new_key(made, self.channel, self.key_id, now=int(time.time()), days=30)
        (self.work.folder / f"{folder or name}.row").write_text(row.text)
        made.close()

    def serve(self, name: str, *, folder: str | None = None) -> subprocess.Popen[bytes]:
        """Start a custodian's process and wait until it answers."""
        port = self.urls[name].rpartition(":")[2]
        with (self.work.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                self.work.command(
                    "custodian", "serve", "--data", str(self.folder(folder or name)), "--port", port
                ),
                cwd=self.work.folder,
                env=self.work.environment("none"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, (self.work.folder / f"{name}.log").read_text()
            assert time.monotonic() < deadline, "the custodian did not start"
            try:
                with urllib.request.urlopen(f"{self.urls[name]}/livez", timeout=5):
                    return process
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)

    def quota(self, name: str, day: int) -> None:
        """Set everybody's quota."""
        words = ("--day", str(day), "--burst", str(max(day, 1)))
        data = ("--data", str(self.folder(name)))
        self.work.run("none", "custodian", "quota", self.channel, *words, *data)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Lab and provider are members; the custodians' rows lie in files, nobody serves yet."""
    work = Work(tmp_path, free_port())
    work.run("none", "hub", "init", "--data", "hub")
    for name in ("lab", "provider"):
        work.token(name)
        work.run(name, "init", "--organisation", name.title(), "--key-file")
    collection = work.json(
        "none", "hub", "collection", "add", "Circle", "--owner", "lab", "--data", "hub"
    )["id"]
    hub = serve(work)
    try:
        words = ("--hub", work.api_root, "--token-file", "lab.token", "--collection", collection)
        made = work.json(
            "lab", "channel", "create", "circle", *words, "--fingerprint", "email=oblivious"
        )
        asked = ("--organisation", "Provider", "--role", "report", "--out", "invitation")
        work.run("lab", "channel", "invite", "circle", *asked)
        given = ("--invitation-file", "invitation", "--token-file", "provider.token", "--name")
        joined = work.json("provider", "join", *given, "circle")
        work.run("lab", "channel", "approve", "circle", "--words", " ".join(joined["words"]))
        urls = {name: f"http://127.0.0.1:{free_port()}" for name in ("alder", "birch")}
        scene = Scene(work, urls, channel=str(made["channel_id"]))
        scene.key_id = work.json("lab", "channel", "custodians", "circle")["live_key"]
        for name in ("alder", "birch"):
            scene.custodian(name)
        _write_tables(tmp_path)
        yield scene
    finally:
        end(hub)


def _write_tables(folder: Path) -> None:
    """300 customers, of whom four are on the lab's list, and a log in which all of them ask."""
    emails = {f"cus-{n:03d}": f"person{n}@company{n % 17}.example" for n in range(300)}
    emails |= {name: f"drone{n + 1}@mailbox-farm.example" for n, name in enumerate(PLANTED)}
    rows = [
        f"{name},{mail},{'+12125550147' if name == BY_PHONE else ''}"
        for name, mail in emails.items()
    ]
    (folder / "customers.csv").write_text("\n".join(["account_id,email,phone", *rows]) + "\n")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    log = [f"{now},{name},hello" for name in emails]
    (folder / "log.csv").write_text("\n".join(["timestamp,account_id,prompt", *log]) + "\n")
    seen = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 5 * 86_400))
    listed = [f"{each},LANTERN,{seen}" for each in ACCOUNTS]
    (folder / "accounts.csv").write_text(
        "\n".join(["email,phone,campaign,first_seen", *listed]) + "\n"
    )


def _matched(scene: Scene) -> tuple[set[str], dict[str, int]]:
    """The customers that match, and what became of the identifiers."""
    out = scene.work.folder / "matches.jsonl"
    told = scene.work.json(
        "provider", "match", "log.csv", "--accounts", "customers.csv", "--out", str(out)
    )
    customers = {
        name
        for line in out.read_text().splitlines()
        for name in (*PLANTED, BY_PHONE, "cus-001")
        if f'"{name}"' in line
    }
    assert told["matched_exchanges"] == len(out.read_text().splitlines()) == len(customers)
    return customers, told["oblivious"]


def test_two_custodians_a_publisher_and_a_subscriber(scene: Scene) -> None:
    work = scene.work
    rows = ("--row", "alder.row", "--row", "birch.row")
    work.run("lab", "channel", "custodians", "circle", *rows)

    # Nobody is asked by a dry run: no custodian runs yet.
    dry = work.json("lab", "publish", "accounts.csv", "--dry-run")
    assert dry["oblivious"] == {"evaluations": 4, "quota_left": {"alder": None, "birch": None}}
    assert dry["counts"]["tokenised"] == 5

    # One that serves with another key than the one stated gets nothing published.
    scene.custodian("birch", folder="false-birch")
    alder = scene.serve("alder")
    false = scene.serve("birch", folder="false-birch")
    try:
        wrong = work.run("lab", "publish", "accounts.csv", code=3)
    finally:
        end(false)
    assert "custodian birch" in wrong
    assert "stated key" in wrong
    assert work.json("lab", "status")["channels"][0]["objects"] == {}

    birch = scene.serve("birch")
    try:
        published = work.json("lab", "publish", "accounts.csv")
        assert published["messages"] == 2
        shown = work.json("lab", "indicators")["indicators"]
        forms = sorted(each["form"] for each in shown)
        assert forms == ["hmac", "oblivious", "oblivious", "oblivious", "oblivious"]
        work.run("provider", "pull")

        # The quota runs out, and the next run goes on; nothing is asked twice.
        scene.quota("birch", 6)
        would = work.json(
            "provider", "match", "log.csv", "--accounts", "customers.csv", "--dry-run"
        )["oblivious"]
        assert would["identifiers"] == 300
        assert 3 <= would["left"] == would["in_buckets"] < 120
        customers, asked = _matched(scene)
        assert BY_PHONE in customers
        assert (asked["asked"], asked["left"]) == (6, would["left"] - 6)
        scene.quota("birch", 1_000)
        customers, asked = _matched(scene)
        assert customers == {*PLANTED, BY_PHONE}
        assert (asked["asked"], asked["cached"], asked["left"]) == (would["left"] - 6, 6, 0)
    finally:
        end(alder)
        end(birch)
    for name in ("alder", "birch"):
        kept = b"".join(p.read_bytes() for p in scene.folder(name).iterdir())
        assert b"mailbox-farm" not in kept
        assert b"company" not in kept
