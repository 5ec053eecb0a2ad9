"""Real hub processes for the fault drills and end-to-end tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0


@dataclass
class HubProcess:
    """`stillwatch hub dev` in a process of its own; `line` is what it printed.

    Args:
        data: its data directory; None lets it make a temporary one.
        port: None takes a free one.
        launcher: module to run in place of `hub.cli`.
        arguments: further words of the command.
        environment: variables beside those of this process.
    """

    data: Path | None = None
    port: int | None = None
    launcher: str = "hub.cli"
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    line: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.stop()
        self._close()

    def start(self) -> None:
        """Start, and wait until it says that it serves."""
        descriptor, name = tempfile.mkstemp(prefix="hub-errors-")
        self._log = Path(name)
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", self.launcher, "hub", *self.words()],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            # A file, because a pipe that nobody reads stops a hub that logs much.
            stderr=descriptor,
            text=True,
            env={**os.environ, "PYTHONPATH": _path(), **self.environment},
        )
        os.close(descriptor)
        self._said: str | None = None
        watchdog = threading.Timer(START_SECONDS, self.process.kill)
        watchdog.start()
        line = self.ready()
        watchdog.cancel()
        if line is None:
            self.process.wait(30)
            said = self.errors()
            self._close()
            raise AssertionError(f"the hub did not start: {said}")
        self.line = line

    def words(self) -> list[str]:
        """The command, behind `hub`."""
        words = ["dev"]
        if self.data is not None:
            words += ["--data", str(self.data)]
        if self.port is not None:
            words += ["--port", str(self.port)]
        return [*words, *self.arguments]

    def ready(self) -> dict[str, Any] | None:
        """Wait for its line; None when it ended instead."""
        assert self.process.stdout is not None
        printed = self.process.stdout.readline()
        return json.loads(printed) if printed else None

    def stay(self) -> None:
        """Start again at the same port from now on."""
        self.port = int(self.root.split(":")[2].split("/")[0])

    def stop(self) -> int:
        """End it as an operator does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(30)
            raise

    def kill(self) -> None:
        """End it as a power cut does to a process, and reap it."""
        self.process.kill()
        self.process.wait(30)
        self._close()

    def errors(self) -> str:
        """What it wrote to standard error; after it has ended."""
        return self._said if self._said is not None else self._log.read_text()

    def _close(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()
        if self._said is None:
            self._said = self._log.read_text()
            self._log.unlink()

    @property
    def root(self) -> str:
        """URL of the API root."""
        return str(self.line["api_root"])

    @property
    def auth(self) -> tuple[str, str]:
        """User and token, for Basic."""
        return str(self.line["user"]), str(self.line["token"])

    def objects(self, name: str) -> str:
        """URL of a collection's objects."""
        return f"{self.root}collections/{self.line['collections'][name]}/objects/"


def _path() -> str:
    inherited = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(REPOSITORY), *([inherited] if inherited else [])])
