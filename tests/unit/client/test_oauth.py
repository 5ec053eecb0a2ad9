"""An OAuth 2.0 client's way to a hub, against a scripted authorisation server and hub."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from hub.client.home import Home
from hub.client.keyring import Unlock
from hub.client.logins import SealedToken
from hub.client.oauth import AccessToken, ClientCredentials, OAuthBearer, fetch
from hub.client.transport import HubAccount, connect
from hub.errors import AccessError, InputError, StillwatchError, TransportError, VerificationError
from hub.settings import ClientSettings
from tests.unit.client.circle import START

FAST = ClientSettings(
    connect_timeout_s=2, read_timeout_s=0.5, attempts=2, backoff_base_s=0.01, backoff_cap_s=0.01
)
SECRET = "s3cret+/ &:"


@dataclasses.dataclass
class Servers:
    """One process that is both; `issue` answers token requests, `takes` judges access tokens."""

    issue: Callable[[int], tuple[int, Any]]
    takes: Callable[[str], bool] = lambda token: True
    redirect: bool = False
    forms: list[dict[str, list[str]]] = dataclasses.field(default_factory=list)
    basics: list[str] = dataclasses.field(default_factory=list)
    shown: list[str] = dataclasses.field(default_factory=list)
    url: str = ""

    def credentials(self, **more: Any) -> ClientCredentials:
        return ClientCredentials(f"{self.url}token", "lab&gate", SECRET, **more)

    def account(self, **more: Any) -> HubAccount:
        return HubAccount(f"{self.url}root/", None, "", oauth=self.credentials(), **more)


def token(text: object, lasts: Any = 3600, **more: Any) -> dict[str, Any]:
    return {"access_token": text, "token_type": "Bearer", "expires_in": lasts, **more}


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers(lambda number: (200, token(f"t{number}")))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            made.forms.append(parse_qs(body.decode()))
            made.basics.append(self.headers["Authorization"])
            if made.redirect:
                self.answer(307, {}, Location=f"{made.url}elsewhere")
            else:
                self.answer(*made.issue(len(made.forms)))

        def do_GET(self) -> None:
            given = self.headers["Authorization"].removeprefix("Bearer ")
            made.shown.append(given)
            about = {"software": "stillwatch", "protocol": 1, "time": START}
            self.answer(200, about) if made.takes(given) else self.answer(401, {})

        def answer(self, status: int, body: Any, **headers: str) -> None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            with contextlib.suppress(ConnectionError):
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_secret_goes_to_the_token_endpoint_alone(servers: Servers) -> None:
    with contextlib.closing(connect(servers.account(), FAST)) as hub:
        for _ in range(3):
            assert hub.about() is not None
    assert servers.shown == ["t1", "t1", "t1"]
    assert servers.forms == [{"grant_type": ["client_credentials"]}]
    pair = base64.b64decode(servers.basics[0].removeprefix("Basic ")).decode()
    # RFC 6749, section 2.3.1: both parts are form-encoded first.
    assert pair == "lab%26gate:s3cret%2B%2F+%26%3A"
    assert SECRET not in repr(servers.account())
    assert SECRET not in str(servers.account())


def test_scope_and_audience_are_asked_for(servers: Servers) -> None:
    fetch(servers.credentials(scope="read write", audience="https://hub.example"), FAST)
    assert servers.forms[0]["scope"] == ["read write"]
    assert servers.forms[0]["audience"] == ["https://hub.example"]


def test_a_refused_token_is_replaced_once(servers: Servers) -> None:
    servers.takes = lambda given: given == "t2"
    with contextlib.closing(connect(servers.account(), FAST)) as hub:
        assert hub.about() is not None
        assert servers.shown == ["t1", "t2"]
        assert hub.about() is not None
    assert servers.shown == ["t1", "t2", "t2"]
    assert len(servers.forms) == 2


def test_a_client_that_the_hub_does_not_know_is_told_so(servers: Servers) -> None:
    servers.takes = lambda given: False
    with contextlib.closing(connect(servers.account(), FAST)) as hub:
        for _ in range(3):
            with pytest.raises(AccessError, match="refuses the access tokens") as caught:
                hub.about()
            assert "bind-oauth" in str(caught.value.hint)
    # However often the hub is asked, its refusals do not become load on the other server.
    assert len(servers.forms) == 2
    assert servers.shown == ["t1", "t2", "t2", "t2"]


def test_a_token_is_renewed_shortly_before_it_expires() -> None:
    now, asked = [1000.0], []

    def get(credentials: ClientCredentials, settings: ClientSettings) -> AccessToken:
        asked.append(now[0])
        return AccessToken(f"t{len(asked)}", now[0] + 540)

    bearer = OAuthBearer(
        ClientCredentials("https://login.example/token", "lab", "secret"),
        FAST,
        get=get,
        clock=lambda: now[0],
    )
    assert [bearer._current(), bearer._current()] == ["t1", "t1"]
    now[0] += 539
    assert bearer._current() == "t1"
    now[0] += 1
    assert bearer._current() == "t2"
    # A clock that is set back must not keep a token for years.
    now[0] -= 10**6
    assert bearer._current() == "t3"


@pytest.mark.parametrize(
    ("lasts", "used"),
    [(3600, 3540), (100, 90), ("600", 540), (None, 54), (-5, 54), (True, 54), (10**9, 86_340)],
)
def test_how_long_a_token_is_used(servers: Servers, lasts: Any, used: float) -> None:
    servers.issue = lambda number: (200, token("t", lasts))
    assert fetch(servers.credentials(), FAST, clock=lambda: 1000.0).until == 1000 + used


@pytest.mark.parametrize(
    ("status", "body", "family", "said"),
    [
        (401, {"error": "invalid_client"}, AccessError, "invalid_client"),
        (400, {"error": "invalid_scope"}, AccessError, "invalid_scope"),
        (400, {"error": f"\x1b[31m{SECRET}"}, AccessError, "client: 400"),
        (403, b"<html>", AccessError, "403"),
        (404, {}, TransportError, "answered 404"),
        (500, {"error": ["x"]}, TransportError, "answered 500"),
        (200, b"<html>", TransportError, "holds no access token"),
        (200, [1], TransportError, "holds no access token"),
        (200, b"[" * 20_000, TransportError, "holds no access token"),
        (200, {"access_token": "t"}, TransportError, "no bearer tokens"),
        (200, token("t") | {"token_type": "mac"}, TransportError, "no bearer tokens"),
        (200, token("a b"), TransportError, "one word"),
        (200, token("a\r\nX: y"), TransportError, "one word"),
        (200, token("é"), TransportError, "one word"),
        (200, token("x" * 20_000), TransportError, "one word"),
        (200, token(7), TransportError, "one word"),
        (200, b"x" * 100_000, TransportError, "exceeds 65536 bytes"),
    ],
)
def test_answers_that_hold_no_token(
    servers: Servers, status: int, body: Any, family: type[StillwatchError], said: str
) -> None:
    servers.issue = lambda number: (status, body)
    with pytest.raises(family, match=said) as caught:
        fetch(servers.credentials(), FAST)
    assert SECRET not in str(caught.value) + str(caught.value.hint)
    assert caught.value.where == f"{servers.url}token"
    assert caught.value.hint


def test_the_secret_follows_no_redirect(servers: Servers) -> None:
    servers.redirect = True
    with pytest.raises(TransportError, match="redirects") as caught:
        fetch(servers.credentials(), FAST)
    assert len(servers.basics) == 1
    assert "--oauth-token-url" in str(caught.value.hint)


def test_a_server_that_is_away() -> None:
    gone = ClientCredentials("http://127.0.0.1:1/token", "lab", "secret")
    with pytest.raises(TransportError, match="authorisation server cannot be reached"):
        fetch(gone, FAST)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://login.example/token", "refusing plain http"),
        ("ftp://login.example/token", "not an https URL"),
        ("https://lab:secret@login.example/token", "must not hold credentials"),
        ("https://login.example/token#x", "must not hold credentials"),
        ("token", "not an https URL"),
    ],
)
def test_token_endpoints_that_would_leak(url: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        ClientCredentials(url, "lab", "secret")


@pytest.mark.parametrize("field", ["client_id", "secret", "scope", "audience"])
@pytest.mark.parametrize("text", ["", " ", "two\nlines", "é", "x" * 3000])
def test_fields_that_no_request_carries(field: str, text: str) -> None:
    fields = {"client_id": "lab", "secret": "secret"} | {field: text}
    with pytest.raises(InputError, match="visible ASCII") as caught:
        ClientCredentials("https://login.example/token", **fields)
    assert not text.strip() or text not in str(caught.value)


def test_a_login_has_one_kind_of_secret(servers: Servers) -> None:
    with pytest.raises(InputError, match="no user name and no token"):
        HubAccount("https://hub.example/r/", None, "token", oauth=servers.credentials())


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Home.create(tmp_path / "lab", "Lab", Unlock.key_file(), now=START) as made:
        yield made


def test_the_client_is_kept_sealed_with_the_account(home: Home, servers: Servers) -> None:
    given = servers.account(ca_file="/hub.pem")
    home.put_account(given, stillwatch=True)
    assert home.account(given.api_root) == given
    kept = b"".join(each.read_bytes() for each in home.path.iterdir() if each.is_file())
    assert SECRET.encode() not in kept


def test_a_stored_client_tells_its_secret_to_nobody_else(home: Home, servers: Servers) -> None:
    given = servers.account()
    home.put_account(given, stillwatch=True)
    row = home.state.hub(given.api_root)
    assert row is not None
    assert row.oauth is not None
    moved = row.oauth.replace(servers.url, "https://elsewhere.example/")
    home.state.put_hub(dataclasses.replace(row, oauth=moved))
    with pytest.raises(VerificationError):
        home.account(given.api_root)
    home.state.put_hub(dataclasses.replace(row, oauth=None))
    with pytest.raises(VerificationError):
        home.account(given.api_root)


def test_a_token_serves_later_commands(home: Home, servers: Servers) -> None:
    servers.issue = lambda number: (200, token(f"access-token-{number}"))
    home.put_account(servers.account(), stillwatch=True)
    for _ in range(2):
        with contextlib.closing(connect(home.account(f"{servers.url}root/"), FAST)) as hub:
            assert hub.about() is not None
    assert len(servers.forms) == 1
    kept = [each for each in home.path.iterdir() if each.name.startswith("access-")]
    assert len(kept) == 1
    assert kept[0].stat().st_mode & 0o777 == 0o600
    assert b"access-token" not in kept[0].read_bytes()
    # A refused one is replaced in the file, too.
    servers.takes = lambda given: given == "access-token-2"
    for _ in range(2):
        with contextlib.closing(connect(home.account(f"{servers.url}root/"), FAST)) as hub:
            assert hub.about() is not None
    assert len(servers.forms) == 2


def test_a_kept_token_is_another_secrets(home: Home, servers: Servers) -> None:
    key = home.keyring.state_key
    first = SealedToken(home.path, servers.credentials(), key)
    first.save(AccessToken("t", 5000))
    assert first.load() == AccessToken("t", 5000)
    other = dataclasses.replace(servers.credentials(), secret="rotated")
    assert SealedToken(home.path, other, key).load() is None
    path = next(each for each in home.path.iterdir() if each.name.startswith("access-"))
    for damaged in (b"", b"x" * 10, path.read_bytes()[:-1] + b"x"):
        path.write_bytes(damaged)
        assert first.load() is None
    first.save(None)
    assert not path.exists()
    assert first.load() is None
