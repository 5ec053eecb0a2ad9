"""Commands around oblivious tokens, with custodians in memory."""

from __future__ import annotations

import fcntl
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.channel.custodians import Custodian
from hub.client.custodian_port import CustodianPort
from hub.client.custodians import Way
from hub.client.oblivious import evaluate
from hub.client.tagging import Tagging
from hub.errors import AccessError, InputError
from hub.settings import ClientSettings
from tests.unit.cli.shell import Shell
from tests.unit.client.custodian_double import Pair
from tests.unit.client.memory_hub import API_ROOT, C1


class Scene:
    """The lab's channel, whose e-mail addresses are oblivious, and its two custodians."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.ways: list[Way] = []
        shell.init("lab")
        made = self.lab(
            "channel", "create", "circle", "--hub", API_ROOT, "--collection", C1,
            "--token-file", shell.path("lab.token"), "--no-log",
            "--fingerprint", "email=oblivious", "--fingerprint", "api-key=oblivious",
        )  # fmt: skip
        key_id = self.lab("channel", "custodians", "circle")["live_key"]
        self.pair = Pair.of(made["channel_id"], key_id, lambda: int(time.time()))
        for name, each in self.pair.custodians.items():
            (shell.folder / f"{name}.row").write_text(each.row().text + "\n")

    def lab(self, *words: str) -> Any:
        """The JSON of a command of the lab."""
        return self.shell.json("lab", *words)

    def reach(self, custodian: Custodian, way: Way, settings: ClientSettings) -> CustodianPort:
        """The port's way in."""
        self.ways.append(way)
        return self.pair.reach(custodian, way, settings)

    def rows(self) -> list[str]:
        """Both rows as options."""
        return [w for n in ("alder", "birch") for w in ("--row", self.shell.path(f"{n}.row"))]

    def file(self, name: str, *lines: str) -> str:
        """A file of these lines."""
        (self.shell.folder / name).write_text("\n".join(lines) + "\n")
        return self.shell.path(name)

    def tables(self) -> tuple[str, str, str]:
        """What the lab found, a customer table, and a log in which every customer asks."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = self.file(
            "found.csv",
            "email,api_key,campaign,first_seen",
            *(f"drone{n}@mailbox-farm.example,,LANTERN,{now[:10]}" for n in range(3)),
            f",sk-fic-7Qaaaaaaaaaaaaaaaaaaaa,LANTERN,{now[:10]}",
        )
        customers = self.file(
            "customers.csv",
            "account_id,email",
            "cus-1,drone1@mailbox-farm.example",
            *(f"cus-{n},person{n}@company.example" for n in range(2, 60)),
        )
        log = self.file(
            "log.csv",
            "timestamp,account_id,prompt",
            *(f"{now},cus-{n},hello" for n in range(1, 60)),
        )
        return found, customers, log


@pytest.fixture
def scene(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene(shell)
    for function in (evaluate, Tagging.__init__):
        assert function.__kwdefaults__ is not None
        monkeypatch.setitem(function.__kwdefaults__, "reach", made.reach)
        monkeypatch.setitem(function.__kwdefaults__, "sleep", lambda seconds: None)
    return made


def test_owners_state_rows_and_a_bad_one_is_told(scene: Scene) -> None:
    shell = scene.shell
    said = shell.run("lab", "channel", "custodians", "circle").stdout
    assert "api-key keyed, email oblivious; others keyed" in said
    assert "no custodians serve it" in said
    listed = scene.lab("channel", "custodians", "circle")
    assert len(listed["channel_id"]) == 64
    assert listed["channel_id"] in said
    assert f"fingerprint key {listed['live_key']}" in said
    for name, content, wrong in (
        ("empty.row", b"", "not the row of a custodian"),
        ("binary.row", b"\xff\xfe", "not the row of a custodian"),
        ("long.row", b"{" * 9999, "not the row of a custodian"),
        ("other.row", b'{"id":"x"}', "not the row of a custodian"),
    ):
        (shell.folder / name).write_bytes(content)
        error = shell.fails(
            InputError, "lab", "channel", "custodians", "circle", "--row", shell.path(name)
        )
        assert wrong in str(error)
        assert name in str(error)
    one = shell.fails(InputError, "lab", "channel", "custodians", "circle", *scene.rows()[:2])
    assert "two custodians are wanted" in str(one)
    twice = (*scene.rows()[:2], *scene.rows()[:2])
    same = shell.fails(InputError, "lab", "channel", "custodians", "circle", *twice)
    assert "two rows of one custodian, alder" in str(same)
    stated = scene.lab("channel", "custodians", "circle", *scene.rows())["custodians"]
    assert [(each["id"], each["live"], each["evaluated"]) for each in stated] == [
        ("alder", True, 0),
        ("birch", True, 0),
    ]
    assert scene.lab("status")["channels"][0]["notes"] == []


def test_status_says_that_custodians_are_missing(scene: Scene) -> None:
    (channel,) = scene.lab("status")["channels"]
    assert any("no custodians serve the fingerprint key" in each for each in channel["notes"])
    assert channel["level"] == "attention"


def test_ways_to_custodians_are_kept_apart(scene: Scene) -> None:
    shell = scene.shell
    found, _, _ = scene.tables()
    scene.lab("channel", "custodians", "circle", *scene.rows())
    ca = scene.file("ca.pem", "fictional")
    words = ("channel", "custodians", "circle", "--ca-file", ca, "--custodian")
    error = shell.fails(InputError, "lab", *words, "cedar")
    assert "known: alder, birch" in str(error)
    scene.lab(*words, "birch")
    scene.lab("publish", found)
    assert scene.ways == [Way(), Way(ca_file=ca)]


def test_publish_asks_once_and_tells_before(scene: Scene) -> None:
    shell = scene.shell
    found, _, _ = scene.tables()
    refused = shell.run("lab", "publish", found, "--dry-run").stdout
    assert "no custodians serve its fingerprint key yet" in refused
    scene.lab("channel", "custodians", "circle", *scene.rows())
    dry = shell.run("lab", "publish", found, "--dry-run")
    assert "3 identifiers would be evaluated by alder and birch" in dry.stdout
    assert "nobody was asked today" in dry.stdout
    assert "so they stay keyed" in dry.stderr
    assert scene.pair.asked == 0
    done = scene.lab("publish", found)
    assert (done["counts"]["tokenised"], done["messages"]) == (4, 2)
    assert done["oblivious"]["quota_left"] == {"alder": 9_997, "birch": 9_997}
    assert done["kept_keyed"] == ["api-key"]
    again = scene.lab("publish", found)
    assert (again["messages"], scene.pair.asked) == (0, 6)
    listed = scene.lab("channel", "custodians", "circle")["custodians"][0]
    assert (listed["evaluated"], listed["quota_left"]) == (3, 9_997)
    assert (
        scene.lab("channel", "custodians", "circle", "--forget")["custodians"][0]["evaluated"] == 0
    )
    forms = sorted(each["form"] for each in scene.lab("indicators")["indicators"])
    assert forms == ["hmac", "oblivious", "oblivious", "oblivious"]
    assert "tokens of identifiers: 1 keyed, 3 oblivious" in shell.run("lab", "status").stdout


def test_a_dry_run_counts_rows_as_the_run_does(scene: Scene) -> None:
    scene.lab("channel", "custodians", "circle", *scene.rows())
    before = scene.file("before.csv", "email,api_key", ",sk-fic-7Qbbbbbbbbbbbbbbbbbbbb")
    scene.lab("publish", before)
    # A row of which a part is out already is no duplicate while another part waits.
    mixed = scene.file(
        "mixed.csv", "email,api_key", "drone7@mailbox-farm.example,sk-fic-7Qbbbbbbbbbbbbbbbbbbbb"
    )
    counted = scene.lab("publish", mixed, "--dry-run")["counts"]
    assert (counted["tokenised"] + counted["warned"], counted["duplicate"]) == (1, 0)
    assert scene.lab("publish", mixed)["counts"] == counted


def test_other_commands_need_not_wait_while_custodians_are_asked(scene: Scene) -> None:
    found, _, _ = scene.tables()
    scene.lab("channel", "custodians", "circle", *scene.rows())
    seen: list[bool] = []

    def look(request: object) -> None:
        with (scene.shell.folder / "lab" / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            seen.append(True)

    scene.pair.custodians["alder"].fail = look
    assert scene.lab("publish", found)["messages"] == 2
    assert len(seen) == 2, "refused once, for want of the manifests"


def test_nothing_is_half_published(scene: Scene) -> None:
    found, _, _ = scene.tables()
    scene.lab("channel", "custodians", "circle", *scene.rows())
    scene.pair.custodians["birch"].day = 2
    error = scene.shell.fails(AccessError, "lab", "publish", found)
    assert "quota is used up; 2 of 3 identifiers were evaluated" in str(error)
    assert "the same command goes on from there" in str(error.hint)
    assert scene.lab("indicators")["indicators"] == []
    scene.pair.custodians["birch"].day = 100
    assert scene.lab("publish", found)["messages"] == 2
    assert scene.pair.custodians["birch"].asked == [2, 1]


def test_match_cluster_and_hunt_ask_about_customers(scene: Scene) -> None:
    shell = scene.shell
    found, customers, log = scene.tables()
    scene.lab("channel", "custodians", "circle", *scene.rows())
    scene.lab("publish", found)
    given = (log, "--accounts", customers)
    dry = shell.run("lab", "match", *given, "--dry-run")
    assert "would be evaluated by alder and birch" in dry.stderr
    assert dry.stdout == ""
    wanted = scene.lab("match", *given, "--dry-run")["oblivious"]
    assert (wanted["identifiers"], wanted["cached"]) == (59, 1)

    scene.pair.down.add("alder")
    if wanted["left"]:
        away = shell.run("lab", "match", *given)
        assert "custodian alder: cannot be reached" in away.stderr
        assert "1 of 59 exchanges match" in away.stdout
        assert "not looked up" in away.stdout
        assert "part" in away.stdout.split("Which layers")[1].split("left out")[1]
    offline = scene.lab("match", *given, "--offline")
    assert (offline["matched_exchanges"], offline["oblivious"]["left"]) == (1, wanted["left"])
    scene.pair.down.clear()

    told = shell.run("lab", "match", *given)
    assert f"59 identifiers, {wanted['in_buckets']:,} in buckets" in told.stderr
    assert f"{wanted['left']:,} asked, 1 cached, 0 left" in told.stderr
    asked = scene.pair.asked
    clustered = scene.lab("cluster", *given)["oblivious"]
    assert (clustered["asked"], clustered["cached"]) == (0, wanted["in_buckets"])
    shell.run("lab", "hunt", "add", log)
    hunted = scene.lab("hunt", "run", "--accounts", customers)
    assert (hunted["matched_exchanges"], hunted["oblivious"]["asked"]) == (1, 0)
    assert scene.pair.asked == asked


def test_a_hunt_leaves_due_what_quota_left_open(scene: Scene) -> None:
    shell = scene.shell
    found, customers, log = scene.tables()
    scene.lab("channel", "custodians", "circle", *scene.rows())
    scene.lab("publish", found)
    scene.lab("channel", "custodians", "circle", "--forget")
    shell.run("lab", "hunt", "add", log)
    hunt = ("hunt", "run", "--accounts", customers)
    first = scene.lab(*hunt, "--offline")
    assert (first["matched_exchanges"], first["oblivious"]["left"] > 0) == (0, True)
    second = scene.lab(*hunt)
    assert (second["matched_exchanges"], second["oblivious"]["left"]) == (1, 0)
    assert scene.lab(*hunt)["passes"] == []


def test_a_dry_run_needs_a_customer_table(scene: Scene) -> None:
    found, _, log = scene.tables()
    scene.lab("channel", "custodians", "circle", *scene.rows())
    scene.lab("publish", found)
    error = scene.shell.fails(InputError, "lab", "match", log, "--dry-run")
    assert "no customer table to ask about" in str(error)
