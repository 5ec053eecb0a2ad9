"""The demo's stage: real processes in one folder, narrated, and recorded as a script.

Every command of the demo runs as its own process with the folder as its working directory, so that
what the reader sees is what the reader can type.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from hub.errors import StillwatchError, TransportError

_COMMAND_SECONDS: Final = 120.0
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 10.0
_MAX_SHOWN_LINES: Final = 40


class DemoError(StillwatchError):
    """A step of the demo did not do what it should; the folder is kept for a look."""


class Stage:
    """Runs, shows and records commands; ends the processes that it started.

    Args:
        folder: an existing folder; every command runs in it.
        steps: how many steps will be announced, for the progress bar.
    """

    def __init__(self, folder: Path, *, steps: int) -> None:
        self.folder = folder
        self.script: list[str] = []
        self._variables: dict[str, str] = {}
        self.console = Console(highlight=False)
        self._background: list[subprocess.Popen[bytes]] = []
        self._bars = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            # The same console as the story's: two would overwrite each other's lines.
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task = self._bars.add_task("starting", total=steps)

    def __enter__(self) -> Stage:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()
        for process in self._background:
            self._end(process)

    @contextmanager
    def step(self, title: str, explanation: str) -> Iterator[None]:
        """Announce a step; the progress bar moves on when it is over."""
        self._bars.update(self._task, description=title)
        self.console.print(Text(f"\n{title}", style="bold cyan"))
        self.console.print(explanation)
        self.script += ["", f"# {title}"]
        yield
        self._bars.advance(self._task)

    def run(self, *words: str, assigned: str | None = None, shown: int = _MAX_SHOWN_LINES) -> str:
        """Run one `stillwatch` command to its end and show what it prints.

        Args:
            words: the command's words after `stillwatch`; `$NAME` is what `let` or `serve` named.
            assigned: record it as the assignment of what it prints to this name.
            shown: how many lines of output are shown at most; the rest is counted.

        Returns:
            What it printed on standard output.

        Raises:
            DemoError: it failed, or took too long.
        """
        self._record(words, assigned)
        try:
            done = subprocess.run(
                self._argv(words),
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_COMMAND_SECONDS,
                text=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DemoError("took too long", where=f"stillwatch {words[0]}") from error
        self._show(done.stdout, shown)
        self._show(done.stderr, shown)
        if done.returncode != 0:
            raise DemoError(f"ended with code {done.returncode}", where=f"stillwatch {words[0]}")
        return done.stdout

    def ask(self, *words: str) -> Any:
        """Run a command with `--json` unseen and unrecorded, and parse its answer."""
        done = subprocess.run(
            self._argv((*words, "--json")),
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise DemoError(done.stderr.decode().strip(), where=f"stillwatch {words[0]}")
        return json.loads(done.stdout)

    def let(self, name: str, *words: str) -> None:
        """Name what a command prints, for the words of later commands.

        Raises:
            DemoError: it failed, or printed more than one line.
        """
        printed = self.run(*words, assigned=name).split()
        if len(printed) != 1:
            raise DemoError("should have printed one word", where=f"stillwatch {words[0]}")
        self._variables[name] = printed[0]

    def serve(self, *words: str, name: str, log: str, ready: str) -> None:
        """Start a command that serves, and wait until it answers.

        Args:
            words: the command's words after `stillwatch`.
            name: how later commands name its process id.
            log: file in the folder that takes its output.
            ready: URL that answers once it accepts requests.

        Raises:
            DemoError: it ended.
            TransportError: it does not answer.
        """
        self._record((*words, ">", log, "2>&1", "&"))
        self.script.append(f"{name}=$!")
        with (self.folder / log).open("wb") as output:
            process = subprocess.Popen(
                self._argv(words),
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._background.append(process)
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(ready):
            if process.poll() is not None:
                raise DemoError("ended at once", where=log, hint=f"look into {self.folder / log}")
            if time.monotonic() > deadline:
                raise TransportError("the hub does not answer", where=ready)
            time.sleep(0.1)
        self._variables[name] = str(process.pid)

    def process(self, name: str) -> int:
        """The process id that `serve` named."""
        return int(self._variables[name])

    def say(self, text: str) -> None:
        """Print a line of explanation."""
        self.console.print(text)

    def _record(self, words: tuple[str, ...], assigned: str | None = None) -> None:
        line = "stillwatch " + " ".join(_quoted(word) for word in words)
        if assigned is not None:
            line = f"{assigned}=$({line})"
        self.script.append(line)
        self.console.print(Text(f"$ {line}", style="green"), soft_wrap=True)

    def _show(self, output: str, limit: int) -> None:
        lines = output.rstrip().splitlines()
        for line in lines[:limit]:
            self.console.print(Text(f"  {line}", style="dim"), soft_wrap=True)
        if len(lines) > limit:
            self.console.print(Text(f"  … {len(lines) - limit} more lines", style="dim"))

    def _argv(self, words: tuple[str, ...]) -> list[str]:
        known = {f"${name}": value for name, value in self._variables.items()}
        return [sys.executable, "-m", "hub.cli", *(known.get(word, word) for word in words)]

    @staticmethod
    def _environment() -> dict[str, str]:
        ours = {"COLUMNS": "100", "PYTHONUNBUFFERED": "1"}
        kept = {k: v for k, v in os.environ.items() if not k.startswith("STILLWATCH_")}
        return kept | ours

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port(wanted: int) -> int:
    """A free TCP port of the loopback address: the wanted one, or another."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            # As a server would, so that a port in TIME_WAIT counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found: int = probe.getsockname()[1]
                return found
    raise TransportError("no free port", where="127.0.0.1")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _quoted(word: str) -> str:
    if word.startswith("$"):
        return f'"{word}"'
    return word if word in {">", "2>&1", "&"} else shlex.quote(word)
