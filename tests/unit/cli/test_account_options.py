"""How commands are told to enter a hub: a token, or an OAuth client, not both by halves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from hub.cli.account_options import Login, account_of, account_options
from hub.cli.channel import command as channel
from hub.cli.join import command as join
from hub.client.home import Home
from hub.client.keyring import Unlock
from hub.errors import AccessError, InputError

HUB = "https://hub.example/stillwatch/"
TOKEN_URL = "https://login.example/token"


@click.command()
@account_options
@click.pass_obj
def said(into: list[Login], login: Login) -> None:
    """Keep what was said."""
    into.append(login)


def parsed(*words: str) -> Login:
    found: list[Login] = []
    done = CliRunner().invoke(said, words, obj=found, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return found[0]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Home.create(tmp_path / "lab", "Lab", Unlock.key_file(), now=1_790_000_000) as made:
        yield made


@pytest.fixture
def secret(tmp_path: Path) -> str:
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_text("client secret\n")
    return str(path)


def test_a_client_is_an_account(home: Home, secret: str) -> None:
    words = ("--oauth-token-url", TOKEN_URL, "--oauth-client-id", "lab", "--oauth-scope", "read")
    made = account_of(home, HUB, parsed(*words, "--oauth-secret-file", secret))
    assert (made.username, made.token) == (None, "")
    assert made.oauth is not None
    assert dataclasses.astuple(made.oauth) == (
        TOKEN_URL,
        "lab",
        "client secret",
        "read",
        None,
        None,
    )
    # Kept, it serves the commands that are told nothing.
    home.put_account(made, stillwatch=True)
    assert account_of(home, HUB, parsed()) == made


def test_plain_http_to_another_machine_needs_to_be_allowed(home: Home, secret: str) -> None:
    words = ("--oauth-token-url", TOKEN_URL, "--oauth-client-id", "lab")
    login = parsed(*words, "--oauth-secret-file", secret)
    with pytest.raises(InputError, match="refusing plain http"):
        account_of(home, "http://hub.example/r/", login)
    assert account_of(home, "http://hub.example/r/", login.plainly(True)).allow_plain_http
    # The token endpoint has no such exception.
    login = dataclasses.replace(login.plainly(True), oauth_url="http://login.example/token")
    with pytest.raises(InputError, match="refusing plain http") as caught:
        account_of(home, HUB, login)
    assert caught.value.where == "--oauth-token-url"


@pytest.mark.parametrize("left_out", ["oauth_url", "oauth_client_id", "oauth_secret_file"])
def test_half_a_client_is_refused(home: Home, secret: str, left_out: str) -> None:
    words = ("--oauth-token-url", TOKEN_URL, "--oauth-client-id", "lab")
    login = parsed(*words, "--oauth-secret-file", secret)
    changed: dict[str, Any] = {left_out: None}
    with pytest.raises(InputError, match="needs three options"):
        account_of(home, HUB, dataclasses.replace(login, **changed))


@pytest.mark.parametrize("words", [("--username", "lab"), ("--token-file", "-")])
def test_a_client_beside_a_token_is_refused(
    home: Home, secret: str, words: tuple[str, ...]
) -> None:
    login = parsed(*words, "--oauth-token-url", TOKEN_URL, "--oauth-secret-file", secret)
    with pytest.raises(InputError, match="no token of the hub"):
        account_of(home, HUB, login)


def test_nothing_said_and_nobody_there(home: Home) -> None:
    with pytest.raises(AccessError, match="wants a token") as caught:
        account_of(home, HUB, parsed())
    assert "--oauth-token-url" in str(caught.value.hint)


def test_every_command_that_takes_a_token_takes_a_client() -> None:
    taking = {"join": join, **channel.commands}
    named = {
        name: {each.name for each in one.params}
        for name, one in taking.items()
        if "token_file" in {each.name for each in one.params}
    }
    assert set(named) == {"join", "create", "account", "succeed"}
    for names in named.values():
        assert {field.name for field in dataclasses.fields(Login)} <= names
