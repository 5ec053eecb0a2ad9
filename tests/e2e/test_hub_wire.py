"""Bytes on the wire that no library sends: smuggling, slow and huge headers, broken bodies."""

from __future__ import annotations

import json
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.faults.hub_process import HubProcess
from tests.unit.server.harness import TAXII, indicator


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    place: Path = tmp_path_factory.mktemp("wire") / "hub"
    with HubProcess(place) as made:
        yield made


def speak(hub: HubProcess, sent: bytes, *, seconds: float = 5.0) -> bytes:
    """Send bytes, and read until the hub closes or falls silent."""
    port = int(hub.root.split(":")[2].split("/")[0])
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as peer:
        peer.sendall(sent)
        peer.settimeout(1.0)
        try:
            while chunk := peer.recv(65536):
                got += chunk
        except TimeoutError:
            pass
    return got


def head(hub: HubProcess, line: str, *headers: str) -> bytes:
    path = hub.objects("rw1").split("/", 3)[3]
    fields = [
        line.replace("PATH", f"/{path}"),
        "Host: 127.0.0.1",
        f"Authorization: Bearer {hub.line['token']}",
        f"Accept: {TAXII}",
        f"Content-Type: {TAXII}",
        *headers,
    ]
    return "\r\n".join(fields).encode("latin-1") + b"\r\n\r\n"


def code(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def test_two_lengths(hub: HubProcess) -> None:
    sent = head(hub, "POST PATH HTTP/1.1", "Content-Length: 2", "Content-Length: 5")
    assert code(speak(hub, sent + b"{}abc")) == 400


def test_a_length_beside_chunks_never_smuggles(hub: HubProcess) -> None:
    """The chunks count, and the connection ends, so that nothing behind them is a request."""
    smuggled = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    sent = head(
        hub,
        "POST PATH HTTP/1.1",
        f"Content-Length: {len(smuggled) + 5}",
        "Transfer-Encoding: chunked",
    )
    answer = speak(hub, sent + b"0\r\n\r\n" + smuggled)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert code(answer) in (400, 422)


@pytest.mark.parametrize(
    "header", ["X-Long: " + "a" * 100_000, "X: a\r\n folded", "X : space", "X\x00: nul", "Bad"]
)
def test_headers_that_are_none(hub: HubProcess, header: str) -> None:
    assert code(speak(hub, head(hub, "GET PATH HTTP/1.1", header))) in (400, 431)


def test_a_chunked_body_without_a_length(hub: HubProcess) -> None:
    body = json.dumps({"objects": [indicator(77)]}).encode()
    half = len(body) // 2
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:], b"")
    )
    sent = head(hub, "POST PATH HTTP/1.1", "Transfer-Encoding: chunked", "Connection: close")
    assert code(speak(hub, sent + chunks)) == 202


def test_a_body_that_breaks_off_stores_nothing(hub: HubProcess) -> None:
    port = int(hub.root.split(":")[2].split("/")[0])
    url = f"http://127.0.0.1:{port}"
    with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
        peer.sendall(head(hub, "POST PATH HTTP/1.1", "Content-Length: 1000") + b'{"objects":[')
    time.sleep(0.1)
    assert requests.get(f"{url}/readyz", timeout=5).text == "ok\n"


def test_many_requests_on_one_connection(hub: HubProcess) -> None:
    one = head(hub, "GET PATH?limit=1 HTTP/1.1")
    answer = speak(hub, one * 20)
    assert answer.count(b"HTTP/1.1 200") == 20


def test_strange_paths_are_not_found(hub: HubProcess) -> None:
    for path in ("/%2e%2e/%2e%2e/etc/passwd", "/stillwatch/../taxii2/", "/%00", "/\xff", "//"):
        answer = speak(hub, head(hub, f"GET {path} HTTP/1.1"))
        assert code(answer) in (400, 404), path


@pytest.mark.parametrize(
    ("status", "length", "token", "content_type"),
    [
        (413, 9 * 1024 * 1024, True, TAXII),
        (415, 3 * 1024 * 1024, True, "text/plain"),
        (401, 3 * 1024 * 1024, False, TAXII),
    ],
)
def test_a_refusal_reaches_a_client_that_still_sends(
    hub: HubProcess, status: int, length: int, token: bool, content_type: str
) -> None:
    """The body of a refused post is read and thrown away, so that no reset hides the answer."""
    port = int(hub.root.split(":")[2].split("/")[0])
    path = hub.objects("rw1").split("/", 3)[3]
    secret = hub.line["token"] if token else "nobody"
    fields = [
        f"POST /{path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {secret}",
        f"Content-Type: {content_type}",
        f"Content-Length: {length}",
    ]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        peer.sendall("\r\n".join(fields).encode() + b"\r\n\r\n")
        for _ in range(length // 65536):
            peer.sendall(b" " * 65536)
        assert code(peer.recv(4096)) == status


def test_a_thousand_slow_clients_do_not_keep_the_others_out(hub: HubProcess) -> None:
    port = int(hub.root.split(":")[2].split("/")[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2048:
        resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
    slow = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(1100)]
    try:
        for peer in slow:
            peer.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n")
        began = time.perf_counter()
        assert requests.get(f"http://127.0.0.1:{port}/livez", timeout=5).status_code == 200
        assert time.perf_counter() - began < 5
    finally:
        for peer in slow:
            peer.close()
