"""The README's sessions run as written and print what it says; its help text is the real one.

In a session an ellipsis stands for anything: within a line for some text, on a line of its own for
any number of lines.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest

from hub.cli.demo_stage import Stage, free_port
from hub.cli.main import cli

ROOT: Final = Path(__file__).resolve().parents[2]
LAB_FILES: Final = [f"samples/lab/{name}" for name in ("accounts.csv", "proxies.csv")]


def sessions(path: Path) -> list[tuple[str, list[str]]]:
    """Every `$ command` of the console blocks, with the lines that should follow."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def pattern(lines: list[str]) -> re.Pattern[str]:
    """What the output must be, with its ellipses."""
    parts = []
    for line in lines:
        if line.strip() == "…":
            parts.append("(?:.*\n)*?")
        else:
            parts.append(".*".join(map(re.escape, line.rstrip().split("…"))) + " *\n")
    return re.compile("".join(parts))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A hub and a lab that has opened a channel, published, and invited the provider."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "samples").symlink_to(ROOT / "samples")
    with Stage(folder, steps=1) as stage:
        port = free_port(0)
        stage.run("hub", "init", "--data", "hub")
        for party in ("lab", "provider"):
            stage.run("hub", "org", "add", party, "--data", "hub")
            stage.run(*("hub", "token", "issue", party, "--data", "hub", "--out", f"{party}.token"))
        stage.run("hub", "collection", "add", "Circle A", "--owner", "lab", "--data", "hub")
        stage.serve(
            *("hub", "serve", "--data", "hub", "--port", str(port)),
            name="HUB",
            log="hub.log",
            ready=f"http://127.0.0.1:{port}/readyz",
        )
        stage.run("init", "--home", "lab", "--organisation", "Example Frontier Lab", "--key-file")
        stage.run(
            *("channel", "create", "circle-a", "--home", "lab", "--token-file", "lab.token"),
            *("--hub", f"http://127.0.0.1:{port}/stillwatch/", "--collection", "Circle A"),
        )
        stage.run(
            *("channel", "invite", "circle-a", "--home", "lab", "--role", "report"),
            *("--organisation", "Example Provider", "--out", "provider.invitation"),
        )
        yield stage


def type_in(folder: Path, command: str) -> str:
    """What a shell prints in a folder where `stillwatch` is on the path."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    script = bin_folder / "stillwatch"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hub.cli "$@"\n')
    script.chmod(0o755)
    ours = {
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "STILLWATCH_HOME": str(folder / "provider"),
        "COLUMNS": "80",
    }
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=os.environ | ours,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_sessions_print_what_the_readme_says(stage: Stage) -> None:
    ran = 0
    for command, lines in sessions(ROOT / "README.md"):
        if not command.startswith("stillwatch "):
            assert re.fullmatch(r"make (demo|test) +#.*", command)
            continue
        printed = type_in(stage.folder, command)
        if command != "stillwatch --help":
            printed = re.sub("\x1b\\[[0-9;]*m", "", printed)
            sought = pattern(_words_away(lines))
            assert sought.fullmatch(_only_text(printed)), f"$ {command}\n{printed}"
        else:
            assert printed == "\n".join(lines) + "\n"
        ran += 1
        if command.startswith("stillwatch join"):
            words = ("--home", "lab", "--yes-words-match")
            stage.run("channel", "approve", "circle-a", *words)
            stage.run("publish", "--home", "lab", *LAB_FILES, "samples/lab/prompts.jsonl")
    assert ran >= 7


def _words_away(lines: list[str]) -> list[str]:
    # Fingerprint words are different for every key.
    four_words = re.compile(r"  \w+(?: +\w+){3}")
    return ["…" if four_words.fullmatch(line) else line for line in lines]


def _only_text(printed: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in printed.splitlines())


def test_every_link_leads_somewhere() -> None:
    for readme in [*sorted(ROOT.glob("*/README.md")), ROOT / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", readme.read_text()):
            assert (readme.parent / target).exists(), f"{readme.name}: {target}"


def test_every_command_has_a_help_text() -> None:
    names = cli.list_commands(click.Context(cli))
    assert "publish" in names
    for name in names:
        done = subprocess.run(
            [sys.executable, "-m", "hub.cli", name, "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert f"Usage: stillwatch {name}" in done.stdout
