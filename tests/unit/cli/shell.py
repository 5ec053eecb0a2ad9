"""Runs the members' commands in this process, over a hub in memory."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hub.cli.main import cli
from hub.errors import StillwatchError
from tests.unit.client.memory_hub import API_ROOT, C1, MemoryHub

TOKENS = {"lab": "t0ken-of-lab", "provider": "t0ken-of-provider"}


class Shell:
    """Runs commands; each member has a home and a token file."""

    def __init__(self, folder: Path, hub: MemoryHub) -> None:
        self.folder = folder
        self.hub = hub
        self._runner = CliRunner()
        for name, token in TOKENS.items():
            path = folder / f"{name}.token"
            path.touch(mode=0o600)
            path.write_text(token + "\n")

    def run(self, member: str, *words: str, given: str | None = None) -> Result:
        """A command that must not fail."""
        return self._runner.invoke(
            cli,
            [*words, "--home", str(self.folder / member)],
            input=given,
            catch_exceptions=False,
            standalone_mode=False,
        )

    def json(self, member: str, *words: str) -> Any:
        """The JSON of a command."""
        return json.loads(self.run(member, *words, "--json").stdout)

    def fails(self, family: type[StillwatchError], member: str, *words: str) -> StillwatchError:
        """A command that must fail, without a secret in what it says."""
        with pytest.raises(family) as caught:
            self.run(member, *words)
        said = f"{caught.value} {caught.value.hint}"
        assert not [token for token in TOKENS.values() if token in said]
        assert not re.search(r"stillwatch-invite1:\w", said)
        return caught.value

    def init(self, member: str) -> Any:
        """Make a home."""
        return self.json(member, "init", "--organisation", member.title(), "--key-file")

    def create(self) -> Any:
        """The lab's channel."""
        self.init("lab")
        hub = ("--hub", API_ROOT, "--collection", C1, "--token-file", self.path("lab.token"))
        return self.json("lab", "channel", "create", "circle", *hub)

    def invite(self, role: str = "report") -> str:
        """An invitation for the provider, as a file."""
        path = self.path("invitation")
        who = ("--organisation", "Provider", "--role", role)
        self.run("lab", "channel", "invite", "circle", *who, "--out", path)
        return path

    def join(self, *more: str, role: str = "report") -> Any:
        """The provider answers."""
        self.init("provider")
        given = (
            "--invitation-file",
            self.invite(role),
            "--token-file",
            self.path("provider.token"),
        )
        return self.json("provider", "join", *given, "--name", "circle", *more)

    def path(self, name: str) -> str:
        """A file in the test's folder."""
        return str(self.folder / name)

    def admit(self) -> None:
        """The provider is in."""
        self.create()
        joined = self.join()
        words = " ".join(joined["words"])
        self.run("lab", "channel", "approve", "circle", "--words", words.upper())
        self.run("provider", "pull")
