"""A custodian behind HTTP: what is sent, and what an answer may be."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.channel.custodian_replies import Refusal, Standing
from hub.channel.custodians import MAX_ANSWER, Custodian
from hub.client.custodian_port import CustodianPort, RefusedError, reach
from hub.client.custodians import Way
from hub.errors import InputError, TransportError
from hub.settings import ClientSettings

FAST = ClientSettings(connect_timeout_s=2.0, read_timeout_s=0.4, attempts=5)
CHANNEL = "ab" * 32

Answer = tuple[int, bytes, dict[str, str]]


@dataclasses.dataclass
class Script:
    """What the server answers, and what it was asked: method, path, body, headers."""

    respond: Callable[[str], Answer] = lambda path: (404, b"", {})
    asked: list[tuple[str, str, bytes, dict[str, str]]] = dataclasses.field(default_factory=list)
    url: str = ""

    def custodian(self, url: str | None = None) -> Custodian:
        """The row of a custodian at this server, or elsewhere."""
        return Custodian("alder", url or self.url, "abababababababab.2026q4", b"k" * 32, 1, 2)


@pytest.fixture
def script() -> Iterator[Script]:
    """A server in a thread."""
    made = Script()

    class Handler(http.server.BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            made.asked.append((self.command, self.path, body, dict(self.headers)))
            status, answer, headers = made.respond(self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(answer)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            # Who had enough has gone.
            with contextlib.suppress(OSError):
                self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            """Keep quiet."""

    for method in ("GET", "POST"):
        setattr(Handler, f"do_{method}", Handler._any)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def port(script: Script) -> Iterator[CustodianPort]:
    """The way to the server."""
    made = reach(script.custodian(), Way(), FAST)
    yield made
    made.close()


def test_requests_go_to_their_endpoints_as_octets(script: Script, port: CustodianPort) -> None:
    standing = Standing(CHANNEL, 0, None)
    script.respond = lambda path: (200, standing.to_bytes() if path[-1] == "b" else b"ok", {})
    assert port.evaluate(b"signed") == b"ok"
    port.post(CHANNEL, b"messages")
    assert port.standing(CHANNEL) == standing
    assert [each[:3] for each in script.asked] == [
        ("POST", "/v1/evaluate", b"signed"),
        ("POST", f"/v1/channels/{CHANNEL}/messages", b"messages"),
        ("GET", f"/v1/channels/{CHANNEL}", b""),
    ]
    assert script.asked[0][3]["Content-Type"] == "application/octet-stream"
    assert "Authorization" not in script.asked[0][3]


def test_a_refusal_is_given_on_as_it_was_said(script: Script, port: CustodianPort) -> None:
    said = Refusal("quota", "used up", "tomorrow", 60)
    script.respond = lambda path: (429, said.to_bytes(), {"Retry-After": "60"})
    with pytest.raises(RefusedError) as got:
        port.evaluate(b"signed")
    assert got.value.refusal == said
    # Tried again it would be counted again: whoever asks signs anew.
    assert len(script.asked) == 1


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"code":"quota"}', b"\xff" * 99])
def test_what_is_no_custodian_is_told(
    script: Script, port: CustodianPort, status: int, body: bytes
) -> None:
    script.respond = lambda path: (status, body, {})
    with pytest.raises(TransportError, match=f"answered {status}") as got:
        port.evaluate(b"signed")
    assert got.value.where == "custodian alder"
    assert len(script.asked) == 1


def test_answers_are_bounded(script: Script, port: CustodianPort) -> None:
    script.respond = lambda path: (200, bytes(2**21), {})
    with pytest.raises(TransportError, match="exceeds"):
        port.evaluate(b"signed")
    assert MAX_ANSWER < 2**20


def test_redirects_are_not_followed(script: Script, port: CustodianPort) -> None:
    script.respond = lambda path: (307, b"", {"Location": f"{script.url}/elsewhere"})
    with pytest.raises(TransportError, match="redirects"):
        port.evaluate(b"signed")
    assert [each[1] for each in script.asked] == ["/v1/evaluate"]


def test_silence_ends(script: Script, port: CustodianPort) -> None:
    def late(path: str) -> Answer:
        time.sleep(0.8)
        return 200, b"", {}

    script.respond = late
    with pytest.raises(TransportError, match="did not answer in time"):
        port.evaluate(b"signed")


def test_nobody_there(script: Script) -> None:
    made = reach(script.custodian(url="http://127.0.0.1:9"), Way(), FAST)
    with pytest.raises(TransportError, match="cannot be reached"):
        made.evaluate(b"signed")
    made.close()


def test_a_standing_of_another_form_is_refused(script: Script, port: CustodianPort) -> None:
    script.respond = lambda path: (200, b'{"version":7}', {})
    with pytest.raises(InputError, match="standing"):
        port.standing(CHANNEL)


def test_plain_http_to_another_machine_needs_a_word(script: Script) -> None:
    away = script.custodian(url="http://custody.example:8429")
    with pytest.raises(InputError, match="plain http") as got:
        reach(away, Way(), FAST)
    assert got.value.where == "custodian alder"
    assert "--allow-plain-http" in str(got.value.hint)
    reach(away, Way(plain_http=True), FAST).close()
    reach(script.custodian(url="https://custody.example"), Way(), FAST).close()
    with pytest.raises(InputError, match="credentials"):
        reach(script.custodian(url="https://a:b@custody.example"), Way(), FAST)


def test_no_password_of_the_machine_is_sent(
    script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login lab password hunter2\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    script.respond = lambda path: (200, b"ok", {})
    made = reach(script.custodian(), Way(), FAST)
    assert made.evaluate(b"signed") == b"ok"
    made.close()
    assert "Authorization" not in script.asked[0][3]
