"""`stillwatch doctor` without a server: what it shows, what it refuses, how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from hub.cli import doctor
from hub.cli.main import cli
from hub.doctor.clients import PROFILES
from hub.doctor.wire import Answer, Request
from hub.errors import InputError
from tests.unit.doctor.scripted import ROOT, SECRET, USER, Server, collection_of


def ran(*words: str) -> Result:
    return CliRunner().invoke(cli, ["doctor", *words], catch_exceptions=True)


@pytest.fixture
def secret(tmp_path: Path) -> str:
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_text(SECRET)
    return str(path)


class Behind:
    """Stands for HttpAsk; asks a scripted server."""

    server: Server

    def __init__(self, **_: Any) -> None:
        self.closed = False

    def __call__(self, request: Request) -> Answer:
        return self.server(request)

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("server", "code", "verdict"),
    [
        (Server(rows=collection_of(20), page=7, date=4e9), 0, "works"),
        (Server(rows=collection_of(20), page=7, date=4e9, last=lambda *_: None), 10, "duplicates"),
        (Server(rows=collection_of(20), page=7, id="circle", date=4e9), 13, "fails"),
    ],
)
def test_the_exit_code_tells_the_worst(
    server: Server, code: int, verdict: str, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "HttpAsk", type("Ask", (Behind,), {"server": server}))
    who = "elastic" if code < 13 else "sentinel"
    url = f"{ROOT}collections/{server.id}/"
    words = (url, "--as", who, "--user", USER, "--password-file", secret)
    result = ran(*words, "--json")
    assert result.exit_code == code, result.output
    assert json.loads(result.stdout)["verdict"] == verdict
    text = ran(*words)
    assert text.exit_code == code
    assert SECRET not in result.output + text.output
    if code:
        assert "change:" in text.output


def test_a_dry_run_shows_the_objects_and_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise AssertionError("it asked")

    monkeypatch.setattr(doctor, "HttpAsk", refuse)
    result = ran(ROOT, "--write", "circle", "--dry-run", "--json")
    posts = json.loads(result.stdout)["posts"]
    assert [one["client"] for one in posts] == [
        "splunk/reporting",
        "misp/push",
        "taxii2-client/library",
    ]
    assert all("doctor" in one["object"]["name"] for one in posts)
    assert "would post to circle" in ran(ROOT, "--write", "circle", "--dry-run").output
    none = ran(ROOT, "--as", "elastic", "--write", "circle", "--dry-run")
    assert "None of these clients posts" in none.output


def test_every_habit_has_a_source() -> None:
    rows = json.loads(ran("--habits", "--json").stdout)["habits"]
    assert {one["client"] for one in rows} == set(PROFILES)
    assert all(one["source"] and one["basis"] for one in rows)
    assert "taxii_push.py" in ran("--habits", "--as", "misp").output


@pytest.mark.parametrize(
    "words",
    [
        (),
        (ROOT, "--dry-run"),
        (ROOT, "--user", "me"),
        (ROOT, "--password-file", "SECRET"),
        (ROOT, "--user", "me", "--password-file", "SECRET", "--token-file", "SECRET"),
        ("http://192.0.2.1/root/",),
        ("https://me:pw@taxii.example/root/",),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_sent(
    words: tuple[str, ...], secret: str
) -> None:
    result = ran(*[secret if word == "SECRET" else word for word in words])
    assert isinstance(result.exception, InputError)


def test_a_secret_with_control_characters_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_bytes(b"a\r\nX: y")
    result = ran(ROOT, "--token-file", str(path))
    assert isinstance(result.exception, InputError)
    assert "X: y" not in str(result.exception)


def test_the_shell_completes_the_clients() -> None:
    complete = ShellComplete(cli, {}, "stillwatch", "_STILLWATCH_COMPLETE")
    found = {one.value for one in complete.get_completions(["doctor", "--as"], "")}
    assert found == {*PROFILES, "all"}
    assert isinstance(doctor.command, click.Command)
