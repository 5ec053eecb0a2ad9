"""What pull, status and the commands that pull first say in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.cli.pull import announce
from hub.client.subscriber import Pulled
from hub.errors import AccessError, TransportError
from tests.unit.cli.shell import Shell
from tests.unit.client.circle import write_files


def _break(shell: Shell, error: Exception | None) -> None:
    def fail(request: str) -> None:
        if error is not None:
            raise error

    shell.hub.fail = fail


def test_a_failed_pull_is_called_that_and_told_once(shell: Shell) -> None:
    shell.admit()
    _break(shell, TransportError("the hub cannot be reached", where="http://127.0.0.1/"))
    with pytest.raises(TransportError):
        shell.run("provider", "pull")
    _break(shell, None)
    shown = shell.run("provider", "status").stdout
    assert "circle: pull failed" in shown
    assert "expired" not in shown
    shell.run("provider", "pull")
    assert "circle: ok" in shell.run("provider", "status").stdout


def test_who_waits_for_approval_is_told_so(shell: Shell) -> None:
    shell.create()
    shell.join()
    # This hub lets everybody read; a pull then succeeds and brings nothing.
    assert "has not approved" in shell.run("provider", "pull").stdout
    shown = shell.run("provider", "status").stdout
    assert "circle: waiting" in shown
    shell.hub.readers = lambda account, collection: False
    shell.fails(AccessError, "provider", "pull")
    assert "circle: waiting" in shell.run("provider", "status").stdout


def test_a_removed_member_is_told_at_each_pull(shell: Shell) -> None:
    shell.admit()
    shell.run("lab", "channel", "remove", "circle", "Provider", "--yes")
    for _ in range(2):
        assert "you are no longer a member" in shell.run("provider", "pull").stdout
    assert "channel forget circle" in shell.run("provider", "status").stdout


def test_what_report_pulls_first_is_announced(shell: Shell, tmp_path: Path) -> None:
    shell.admit()
    rows = shell.json("lab", "publish", *[str(path) for path in write_files(tmp_path)])["rows"]
    target = next(row["indicators"][0] for row in rows if row["where"] == "proxies.csv:3")
    said = shell.run("provider", "report", target)
    assert "circle: pulled first: new: " in said.stderr
    assert "1 time, last" in said.stdout
    assert "2 reports about your indicators" in shell.run("lab", "retract", target).stderr


def test_nothing_new_is_not_announced(capsys: pytest.CaptureFixture[str]) -> None:
    announce(Pulled("circle"))
    assert capsys.readouterr().err == ""
    announce(Pulled("circle", alarms=["forged"], revoked=["indicator--1"]))
    said = capsys.readouterr().err
    assert "ALARM: forged" in said
    assert "withdrawn by its publisher: indicator--1" in said


def test_a_channel_that_was_left_is_told(shell: Shell) -> None:
    shell.admit()
    shell.run("provider", "channel", "leave", "circle", "--yes")
    assert "circle: you left it; " in shell.run("provider", "pull").stdout
