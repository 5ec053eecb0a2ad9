"""Members' commands and a hub as processes of their own, in one folder."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


@dataclasses.dataclass
class Work:
    """A folder with a hub's data, homes and secrets in files."""

    folder: Path
    port: int

    @property
    def api_root(self) -> str:
        """Where the hub is reached."""
        return f"http://127.0.0.1:{self.port}/stillwatch/"

    def command(self, *words: str) -> list[str]:
        """The command line of `stillwatch` with these words."""
        return [sys.executable, "-m", "hub.cli", *words]

    def environment(self, home: str) -> dict[str, str]:
        """Without any secret."""
        root = str(Path(__file__).parents[2])
        kept = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG")}
        return {
            **kept,
            "PYTHONPATH": root,
            "PYTHONWARNINGS": "error",
            "HOME": str(self.folder),
            "STILLWATCH_HOME": str(self.folder / home),
        }

    def run(self, home: str, *words: str, code: int | None = 0) -> str:
        """Run a command to its end; its exit code must be `code`, None for any."""
        done = subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env=self.environment(home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done.stdout if code in (0, None) or "--json" in words else done.stdout + done.stderr

    def start(self, home: str, *words: str) -> subprocess.Popen[str]:
        """Start a command; the caller ends it."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env=self.environment(home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def json(self, home: str, *words: str, code: int | None = 0) -> Any:
        """Run a command with --json."""
        return json.loads(self.run(home, *words, "--json", code=code))

    def token(self, organisation: str) -> str:
        """Make an organisation on the hub, and a file with its token."""
        self.run("none", "hub", "org", "add", organisation, "--data", "hub")
        issued = self.json("none", "hub", "token", "issue", organisation, "--data", "hub")
        path = self.folder / f"{organisation}.token"
        path.touch(mode=0o600)
        path.write_text(issued["token"])
        return str(path)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def serve(work: Work, *more: str) -> subprocess.Popen[bytes]:
    """Start the hub, with more words on its command line, and wait until it answers."""
    log = (work.folder / "hub.log").open("ab")
    with log:
        process = subprocess.Popen(
            work.command("hub", "serve", "--data", "hub", "--port", str(work.port), *more),
            cwd=work.folder,
            env=work.environment("none"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    wait_until_ready(work, process)
    return process


def wait_until_ready(work: Work, process: subprocess.Popen[bytes]) -> None:
    """Wait until a hub process answers at the port."""
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, (work.folder / "hub.log").read_text()
        assert time.monotonic() < deadline, "the hub did not start"
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{work.port}/readyz", timeout=5
            ) as answer:
                assert answer.status == 200
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
