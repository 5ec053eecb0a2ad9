"""Agent, passphrase and back-up commands, in this process."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hub.channel.recovery import recovery_lines
from hub.cli.durations import duration, in_words
from hub.cli.main import cli
from hub.cli.recovery_form import recovery_key
from hub.client import agent_link, agent_wire
from hub.client.agent import Agent
from hub.errors import AccessError, ConflictError, InputError, StoreError, TransportError
from tests.unit.cli.shell import Shell

OLD = "old horse battery staple"
NEW = "new horse battery staple"


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    made = Agent(agent_wire.folder(), 600)
    made.listen()
    thread = threading.Thread(target=made.serve)
    thread.start()
    yield made
    made._stopping = True
    with socket.socket(socket.AF_UNIX) as waking, contextlib.suppress(OSError):
        waking.connect(str(made.folder / "agent.sock"))
    thread.join(20)
    made.close()


@pytest.fixture
def lab(shell: Shell) -> Shell:
    for name, text in (("old", OLD), ("new", NEW), ("short", "short")):
        Path(shell.path(name)).touch(0o600)
        Path(shell.path(name)).write_text(text + "\n")
    shell.run("lab", "init", "--organisation", "Lab", "--passphrase-file", shell.path("old"))
    return shell


def test_every_command_uses_the_agent(lab: Shell, agent: Agent) -> None:
    lab.fails(AccessError, "lab", "status")
    said = lab.run("lab", "agent", "start", "--passphrase-file", lab.path("old"), "--timeout", "9m")
    assert "for 9 min" in said.output
    assert "Lab" in lab.run("lab", "status").output
    assert lab.run("lab", "channel", "renew").exit_code == 0
    shown = CliRunner().invoke(cli, ["agent", "status"], catch_exceptions=False).output
    assert f"{lab.folder / 'lab'}: 8 min left" in shown
    CliRunner().invoke(cli, ["agent", "lock"], catch_exceptions=False)
    lab.fails(AccessError, "lab", "status")
    assert "It opens nothing" in CliRunner().invoke(cli, ["agent", "status"]).output
    wrong = lab.fails(AccessError, "lab", "agent", "start", "--passphrase-file", lab.path("new"))
    assert OLD not in str(wrong)
    assert agent_link.status()["homes"] == []


def test_a_changed_passphrase_is_asked_for(lab: Shell, agent: Agent) -> None:
    old, new = lab.path("old"), lab.path("new")
    change = ("passphrase", "change", "--new-passphrase-file", new)
    lab.run("lab", "agent", "start", "--passphrase-file", old)
    # Even with an agent: whoever finds a desk unlocked must not take over the keys.
    assert "no terminal" in str(lab.fails(AccessError, "lab", *change))
    lab.fails(AccessError, "lab", *change, "--passphrase-file", new)
    short = ("passphrase", "change", "--new-passphrase-file", lab.path("short"))
    lab.fails(InputError, "lab", *short, "--passphrase-file", old)
    assert "Lab" in lab.run("lab", "status").output
    lab.run("lab", *change, "--passphrase-file", old)
    lab.fails(AccessError, "lab", "status")
    lab.fails(AccessError, "lab", "status", "--passphrase-file", old)
    lab.run("lab", "status", "--passphrase-file", new)


def test_between_passphrase_and_key_file(lab: Shell, agent: Agent) -> None:
    key = lab.folder / "lab" / "unlock.key"
    lab.run("lab", "passphrase", "change", "--passphrase-file", lab.path("old"), "--key-file")
    assert key.stat().st_mode & 0o777 == 0o600
    lab.run("lab", "status")
    assert "no agent is needed" in str(lab.fails(InputError, "lab", "agent", "start"))
    lab.fails(ConflictError, "lab", "passphrase", "change", "--key-file")
    lab.run("lab", "passphrase", "change", "--new-passphrase-file", lab.path("new"))
    assert not key.exists()
    lab.run("lab", "status", "--passphrase-file", lab.path("new"))


def test_a_crash_in_between_leaves_one_that_opens(
    lab: Shell, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    change = ("passphrase", "change", "--passphrase-file", lab.path("old"))
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        lab.fails(StoreError, "lab", *change, "--new-passphrase-file", lab.path("new"))
        lab.fails(StoreError, "lab", *change, "--key-file")
    lab.run("lab", "status", "--passphrase-file", lab.path("old"))
    # A key file that was written before the crash opens nothing, and is replaced.
    (lab.folder / "lab" / "unlock.key").write_text("00" * 32 + "\n")
    lab.run("lab", *change, "--key-file")
    lab.run("lab", "status")


def test_without_an_agent_it_is_said(
    lab: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for words in (["agent", "lock"], ["agent", "stop"]):
        with pytest.raises(TransportError, match="no agent is running"):
            CliRunner().invoke(cli, words, catch_exceptions=False, standalone_mode=False)
    assert "No agent" in CliRunner().invoke(cli, ["agent", "status"]).output
    assert '"running": false' in CliRunner().invoke(cli, ["agent", "status", "--json"]).output


def test_no_passphrase_is_an_argument_or_an_environment_value() -> None:
    words = {"passphrase", "password", "secret", "recovery"}

    def walk(command: click.Command, context: click.Context) -> Iterator[click.Parameter]:
        yield from command.params
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                assert found is not None
                yield from walk(found, context)

    for each in walk(cli, click.Context(cli)):
        if words & set(str(each.name).split("_")) and not getattr(each, "is_flag", False):
            assert isinstance(each.type, click.Path | click.Choice), each.name


@pytest.mark.parametrize("text", ["", "8", "0h", "8w", "99d", "-1h", "1.5h", "8h "])
def test_a_duration_has_a_unit(text: str) -> None:
    with pytest.raises(click.BadParameter, match="such as 30m or 8h"):
        duration(86_400 * 7)(click.Context(cli), click.Option(["--timeout"]), text)


def test_durations_in_words() -> None:
    assert [in_words(each) for each in (5, 60, 3_599, 3_600, 28_740)] == [
        "5 s",
        "1 min",
        "59 min",
        "1 h",
        "7 h 59 min",
    ]


def test_a_typed_recovery_key_is_checked_line_by_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [" ".join(line) for line in recovery_lines(bytes(range(32)))]
    typed = [*lines[:2], "acid acre actor agent album", "acid", *lines[2:]]
    # Line 9 that does not fit the whole asks for everything again.
    typed = [*lines[:8], "acid acre actor agent", *typed]
    hidden: list[object] = []

    def prompt(text: str, **options: object) -> str:
        hidden.append(options.get("hide_input"))
        return typed.pop(0)

    monkeypatch.setattr(click, "prompt", prompt)
    assert recovery_key(None, interactive=True) == bytes(range(32))
    assert typed == []
    assert set(hidden) == {True}
    said = capsys.readouterr().err
    assert said.count("type this line again") == 2
    assert said.count("once more from the first line") == 1
    with pytest.raises(AccessError, match="no terminal"):
        recovery_key(None, interactive=False)


def test_a_back_up_prints_its_form_once(shell: Shell) -> None:
    shell.init("lab")
    said = shell.run("lab", "backup", "export", shell.path("b"))
    assert "RECOVERY FORM" in said.stdout
    path = Path(shell.path("form"))
    path.touch(0o600)
    path.write_text(said.stdout)
    got = CliRunner().invoke(
        cli, ["backup", "verify", shell.path("b"), "--recovery-file", str(path)]
    )
    assert "is whole: Lab" in got.output
    assert [each.name for each in shell.folder.iterdir() if "form" in each.name] == ["form"]
    made = shell.json("lab", "backup", "export", shell.path("c"))
    assert [len(line) for line in made["recovery"]] == [5] * 8 + [4]
    shell.fails(ConflictError, "lab", "backup", "export", shell.path("c"))
    # A form that is there is not replaced, and no back-up without a form is left behind.
    shell.fails(ConflictError, "lab", "backup", "export", shell.path("d"), "--form", str(path))
    assert not Path(shell.path("d")).exists()
    again = ("backup", "import", shell.path("c"), "--recovery-file", str(path), "--key-file")
    shell.fails(AccessError, "new", *again)
    shell.fails(ConflictError, "lab", *again)
    again = ("backup", "import", shell.path("b"), "--recovery-file", str(path), "--key-file")
    document = shell.json("new", *again)
    assert (document["organisation"], document["channels"], document["dropped"]) == ("Lab", [], 0)
    assert "Lab" in shell.run("new", "status").output
