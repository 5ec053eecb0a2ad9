"""Requests that two servers might read differently, at the hub itself and behind the shipped nginx.

Each carries another request that only a misreading brings to life. None of those is ever served:
not as an answer, and not in the hub's own access log. What must be refused is: 400 or 431. Two
things RFC 9112 lets a server read instead, and hyper and nginx do: a bare LF as the end of a header
line (section 2.2), and chunks beside a length (section 6.1), after which the connection is closed.
The control is a server that believes whatever length it is told.
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.faults.hub_process import HubProcess
from tests.faults.proxied import nginx
from tests.faults.served_hub import NO_RATES, ServedHub
from tests.faults.tools import needed

INNER: Final = b"GET /inner-%d HTTP/1.1\r\nHost: hub.example\r\n\r\n"
READ: Final = frozenset({"length beside chunks", "chunks beside a length", "bare LF"})
"""What a server may read, as long as nothing behind it counts."""
Connect = Callable[[], socket.socket]


def attacks(auth: str, path: str) -> Mapping[str, bytes]:
    """Name -> bytes; the number of each is in the request that it hides."""
    numbers = iter(range(100))

    def inner() -> bytes:
        return INNER % next(numbers)

    def post(*fields: str) -> bytes:
        lines = [
            f"POST {path} HTTP/1.1",
            "Host: hub.example",
            f"Authorization: {auth}",
            "Content-Type: application/taxii+json;version=2.1",
            *fields,
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def behind(*fields: str) -> bytes:
        """The hidden request follows chunks that end at once, or a body of no bytes."""
        return post(*fields) + b"0\r\n\r\n" + inner()

    hidden = inner()
    size = b"%x\r\n" % len(hidden)
    in_chunk = size + hidden + b"\r\n0\r\n\r\n"
    both = ("Content-Length: 300", "Transfer-Encoding: chunked")
    short = f"Content-Length: {len(size)}"
    chunked = "Transfer-Encoding: chunked"
    return {
        "length beside chunks": behind(*both),
        "chunks beside a length": post(chunked, short) + in_chunk,
        "two lengths": post("Content-Length: 0", "Content-Length: 44") + inner(),
        "two lengths in one": post("Content-Length: 0, 44") + inner(),
        "a signed length": post("Content-Length: +0") + inner(),
        "a length in words": post("Content-Length: 0x0") + inner(),
        "space before the colon": behind("Transfer-Encoding : chunked", "Content-Length: 300"),
        "a coding that is none": behind("Transfer-Encoding: xchunked", "Content-Length: 300"),
        "two codings": behind(chunked, "Transfer-Encoding: identity", "Content-Length: 300"),
        "folded coding": behind("Transfer-Encoding:\r\n chunked", "Content-Length: 300"),
        "folded header": post("X-Folded: a\r\n Content-Length: 0") + inner(),
        "bare LF": behind("X-Field: a\nTransfer-Encoding: chunked", "Content-Length: 300"),
        "bare CR": post("X-Field: a\rContent-Length: 0") + inner(),
        "NUL": post("X-Field: a\x00", "Content-Length: 0") + inner(),
        "a field without a name": post(": a", "Content-Length: 0") + inner(),
        "100 KB header": post("X-Long: " + "a" * 100_000, "Content-Length: 0") + inner(),
        "100 KB of headers": post(*(f"X-{n}: {'a' * 90}" for n in range(1000))) + inner(),
        "100 KB target": f"GET /{'a' * 100_000} HTTP/1.1\r\nHost: h\r\n\r\n".encode() + inner(),
    }


def exchange(connect: Connect, sent: bytes, silence: float = 5.0) -> bytes:
    """Everything that comes back until the server closes, or is silent for so many seconds."""
    got = b""
    with connect() as peer:
        # A server that has seen enough closes before it has read everything.
        with contextlib.suppress(OSError):
            peer.sendall(sent)
        peer.settimeout(silence)
        with contextlib.suppress(OSError):
            while chunk := peer.recv(65536):
                got += chunk
    return got


def findings(connect: Connect, auth: str, path: str, silence: float = 5.0) -> list[str]:
    """Attacks that were neither refused nor harmless, judged by the answers."""
    found = []
    for name, sent in attacks(auth, path).items():
        statuses = re.findall(rb"HTTP/1\.[01] (\d{3})", exchange(connect, sent, silence))
        codes = [int(code) for code in statuses]
        refused = len(codes) == 1 and codes[0] in (400, 414, 431, 501)
        harmless = name in READ and len(codes) == 1
        if not refused and not harmless:
            found.append(f"{name}: {codes}")
    return found


def served_inside(hub: HubProcess) -> list[str]:
    """Hidden requests in the access log of a hub that has ended."""
    return re.findall(r"/inner-\d+", hub.errors())


def serving(folder: Path, *options: str) -> ServedHub:
    """A hub that logs each request."""
    return ServedHub(folder, arguments=("--access-log", *NO_RATES, *options))


def test_nothing_is_smuggled_into_the_hub(tmp_path: Path) -> None:
    with serving(tmp_path / "hub") as hub:

        def connect() -> socket.socket:
            return socket.create_connection(("127.0.0.1", hub.port), timeout=20)

        path = hub.objects("rw1").split("/", 3)[3]
        assert findings(connect, f"Bearer {hub.line['token']}", f"/{path}") == []
        sample = exchange(connect, INNER % 99)
        assert b" 404 " in sample[:20]
    # What is not hidden is in the log, so that the log would show it.
    assert served_inside(hub) == ["/inner-99"]


@pytest.mark.drill
def test_nothing_is_smuggled_through_the_shipped_proxy(tmp_path: Path) -> None:
    needed("nginx")
    address = ("--behind-proxy", "--public-url", "https://hub.example")
    with (
        serving(tmp_path / "hub", *address) as hub,
        nginx(tmp_path / "nginx", int(hub.port or 0)) as proxy,
    ):
        path = hub.objects("rw1").split("/", 3)[3]
        assert findings(proxy.connect, f"Bearer {hub.line['token']}", f"/{path}") == []
        good = exchange(
            proxy.connect,
            f"GET /{path} HTTP/1.1\r\nHost: hub.example\r\nConnection: close\r\n"
            f"Authorization: Bearer {hub.line['token']}\r\n\r\n".encode(),
        )
        assert good.startswith(b"HTTP/1.1 200"), good[:500]
    assert served_inside(hub) == []
    count = len(attacks("", ""))
    print(f"{count} ways of smuggling: refused or harmless at the hub and behind nginx, 0 served")


class _Credulous(socketserver.StreamRequestHandler):
    """Takes the first length that it finds, and any line end; knows no chunks."""

    def handle(self) -> None:
        while line := self.rfile.readline():
            if not line.strip():
                continue
            length = 0
            while (field := self.rfile.readline()).strip():
                name, _, value = field.partition(b":")
                if name.strip().lower() == b"content-length" and not length:
                    length = int(re.sub(rb"\D.*", b"", value.strip()) or 0)
            self.rfile.read(length)
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@contextlib.contextmanager
def credulous() -> Iterator[Connect]:
    """The control, running."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Credulous) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            port = int(server.server_address[1])
            yield lambda: socket.create_connection(("127.0.0.1", port), timeout=20)
        finally:
            server.shutdown()
            thread.join()


def test_a_credulous_server_is_caught() -> None:
    with credulous() as connect:
        found = findings(connect, "Bearer none", "/", silence=0.1)
    names = {one.split(":")[0] for one in found}
    assert {"chunks beside a length", "two lengths", "100 KB header", "NUL"} <= names
