"""A lab, a provider and a partner around a real hub that they reach through a lying one."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from hub.channel.carriage import from_artifact
from hub.channel.header import Message, parse_message
from hub.cli.hub_data import log_key
from hub.cli.main import cli
from hub.cli.options import load_home
from hub.model.codec import Json
from tests.e2e.members import Work, end, free_port, wait_until_ready
from tests.faults.lying_hub import ForgedLog, Lies, LyingHub, digests_of
from tests.faults.quick_process import run


class Stage:
    """The hub process, the liar, and homes; commands that are no part of a test run in here."""

    def __init__(self, folder: Path, hub: Work, liar: LyingHub) -> None:
        self.folder = folder
        self.hub = hub
        self.liar = liar
        self._runner = CliRunner()
        self._numbers = itertools.count(1)
        self._copies = itertools.count(1)

    @property
    def api_root(self) -> str:
        """Where members reach the hub: the liar."""
        return f"http://127.0.0.1:{self.liar.port}/stillwatch/"

    def path(self, name: str) -> str:
        """A file or folder of the stage."""
        return str(self.folder / name)

    def run(self, home: str, *words: str, code: int = 0) -> Any:
        """A command in this process; its JSON."""
        given = [*words, "--json"]
        if words[0] != "hub":
            given += ["--home", self.path(home)]
        result = self._runner.invoke(cli, given)
        assert result.exit_code == code, f"{words}: {result.output} {result.exception!r}"
        return json.loads(result.stdout) if result.stdout else None

    def command(self, home: Path, *words: str) -> tuple[int, Any]:
        """A command in a process of its own, in the home's folder; exit code and JSON."""
        folder = home if home.is_dir() else home.parent
        code, out, err = run([*words, "--json"], folder, home, self.folder)
        assert "Traceback" not in err, err
        return code, json.loads(out) if out else err

    # -- members -----------------------------------------------------------------------------

    def account(self, name: str) -> None:
        """An organisation with a token, a home, and the liar's attention."""
        self.run("none", "hub", "org", "add", name, "--data", self.path("hub"))
        words = ("hub", "token", "issue", name, "--data", self.path("hub"))
        token = self.run("none", *words)["token"]
        path = self.folder / f"{name}.token"
        path.touch(mode=0o600)
        path.write_text(token)
        self.liar.know(name, token)
        self.run(name, "init", "--organisation", name.title(), "--key-file")

    def open_channel(self, name: str, *options: str) -> None:
        """A channel of the lab's."""
        words = ("hub", "collection", "add", name.title(), "--owner", "lab")
        found = self.run("none", *words, "--data", self.path("hub"))
        hub = ("--hub", self.api_root, "--token-file", self.path("lab.token"))
        self.run("lab", "channel", "create", name, *hub, "--collection", found["id"], *options)

    def invite(self, channel: str, name: str, role: str) -> str:
        """Invitation and join request; the words of the one who asks."""
        file = self.path(f"{name}.{channel}")
        who = ("--organisation", name.title(), "--role", role, "--out", file)
        self.run("lab", "channel", "invite", channel, *who)
        token = ("--token-file", self.path(f"{name}.token"))
        given = ("--invitation-file", file, *token, "--name", channel)
        return " ".join(self.run(name, "join", *given)["words"])

    def admit(self, channel: str, name: str, role: str) -> None:
        """Let a member in."""
        words = self.invite(channel, name, role)
        self.run("lab", "channel", "approve", channel, "--words", words)
        self.run(name, "pull", channel)

    def publish(self, name: str = "lab", channel: str = "circle") -> list[Message]:
        """Publish one new address; the messages that it took."""
        number = next(self._numbers)
        before = len(self.objects(channel))
        file = self.folder / f"{number}.csv"
        file.write_text(f"address,campaign\n198.51.100.{number},LANTERN\n")
        self.run(name, "publish", str(file), "--channel", channel)
        return [parse_message(from_artifact(each)) for each in self.objects(channel)[before:]]

    def victim(self, name: str = "provider") -> Path:
        """A copy of a member's home, up to date, which may come to grief."""
        self.run(name, "pull")
        home = self.folder / f"{name}-{next(self._copies)}"
        shutil.copytree(self.folder / name, home)
        return home

    # -- what the hub holds ----------------------------------------------------------------------

    def objects(self, channel: str = "circle") -> list[Json]:
        """Everything in a channel's collection, as it truly is."""
        path = f"/stillwatch/collections/{self._collection(channel)}/objects/?limit=1000"
        token = (self.folder / "lab.token").read_text()
        headers = {
            "authorization": f"Bearer {token}",
            "accept": "application/taxii+json;version=2.1",
        }
        status, _, data = self.liar.ask("GET", path, headers, b"")
        assert status == 200
        found: list[Json] = json.loads(data).get("objects", [])
        return found

    def _collection(self, channel: str) -> str:
        with load_home(self.folder / "lab", None) as home:
            return home.state.channel(channel).collection_id

    def forged_log(self, leaves: Sequence[bytes], time: int | None = None) -> ForgedLog:
        """A log of these leaves, signed with the hub's own key."""
        found = self.run("lab", "channel", "log", "circle")
        private = log_key(self.folder / "hub" / "log.key")
        return ForgedLog(found["origin"], private, list(leaves), time)

    def leaves(self) -> list[bytes]:
        """The digests in the true log."""
        return digests_of(self.objects())

    @contextmanager
    def lying(self, name: str = "provider") -> Iterator[Lies]:
        """What the liar does to a member; at the end it is honest again."""
        try:
            yield self.liar.lies(name)
        finally:
            self.liar.honest()


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """A channel `circle` with a log, of a lab, a provider and a partner that publishes."""
    work = Work(folder, free_port())
    liar = LyingHub(work.port)
    made = Stage(folder, work, liar)
    made.run("none", "hub", "init", "--data", made.path("hub"))
    with liar.serving():
        process = _serve(work, f"http://127.0.0.1:{liar.port}")
        try:
            for name in ("lab", "provider", "partner"):
                made.account(name)
            made.open_channel("circle")
            made.admit("circle", "provider", "report")
            made.admit("circle", "partner", "publish")
            made.publish()
            for name in ("provider", "partner", "lab"):
                made.run(name, "pull")
            yield made
        finally:
            end(process)


def _serve(work: Work, url: str) -> subprocess.Popen[bytes]:
    log = (work.folder / "hub.log").open("ab")
    with log:
        words = ("hub", "serve", "--data", "hub", "--port", str(work.port), "--public-url", url)
        process = subprocess.Popen(
            work.command(*words),
            cwd=work.folder,
            env=work.environment("none"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    wait_until_ready(work, process)
    return process
