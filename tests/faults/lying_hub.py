"""A hub that lies: an HTTP server between members and a real hub, with a mind of its own.

Members reach the hub through it and cannot tell. It knows who asks by the token, and may show each
member something else: it drops, delays, reorders and replays messages, injects its own, keeps a log
of its own making, and swaps what stands in the join inbox.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from hub.channel.carriage import from_artifact
from hub.channel.fields import to_base64
from hub.channel.log.checkpoint import Checkpoint, sign_checkpoint
from hub.channel.log.tree import (
    LeafNodes,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
)
from hub.channel.primitives.hash import sha256
from hub.channel.primitives.sign import NotePrivate
from hub.model.codec import Json

Objects = list[Json]
_LIST: Final = re.compile(r".*/collections/([0-9a-f-]{36})/objects/")
_ONE: Final = re.compile(r".*/collections/([0-9a-f-]{36})/objects/([^/]+)/")
_LOG: Final = re.compile(
    r".*/channels/[0-9a-f]{64}/(checkpoint|entries|proof/inclusion|proof/consistency)"
)
_KEPT: Final = ("content-type", "x-taxii-date-added-first", "x-taxii-date-added-last", "allow")
_HOP: Final = frozenset({"host", "connection", "accept-encoding", "content-length"})


@dataclasses.dataclass
class ForgedLog:
    """A log of the liar's own making, signed with the hub's key.

    Args:
        origin: of the hub's log.
        private: the hub's key.
        leaves: digests of messages in any order that it likes.
        time: of its checkpoints; None for now.
    """

    origin: str
    private: NotePrivate
    leaves: list[bytes]
    time: int | None = None

    def answer(self, what: str, query: Mapping[str, list[str]]) -> str:
        """The text of one of the log's resources."""
        asked = {name: int(values[0]) for name, values in query.items()}
        hashes = [leaf_hash(each) for each in self.leaves]
        if what == "checkpoint":
            now = int(time.time()) if self.time is None else self.time
            checkpoint = Checkpoint(self.origin, len(hashes), root_of(hashes), now)
            return sign_checkpoint(checkpoint, self.private)
        if what == "entries":
            part = self.leaves[asked["from"] : asked["to"]]
            return "".join(f"{each.hex()}\n" for each in part)
        source = LeafNodes(hashes)
        path = (
            inclusion_proof(source, asked["index"], asked["size"])
            if what == "proof/inclusion"
            else consistency_proof(source, asked["from"], asked["to"])
        )
        return "".join(f"{to_base64(each)}\n" for each in path)


@dataclasses.dataclass
class Lies:
    """What the liar does to one member; all of it may change at any time.

    Attributes:
        hidden: digests of messages that this member is not shown.
        added: messages that are shown to it with its next page, once.
        always: messages that are shown to it with every page.
        arrange: changes the order, or anything, of a page.
        inbox: changes what stands in join inboxes.
        log: answers in place of the hub's log.
        fail: whether it answers nothing but 503.
    """

    hidden: set[str] = dataclasses.field(default_factory=set)
    added: Objects = dataclasses.field(default_factory=list)
    always: Objects = dataclasses.field(default_factory=list)
    arrange: Callable[[Objects], Objects] = lambda objects: objects
    inbox: Callable[[Json], Json] = lambda obj: obj
    log: ForgedLog | None = None
    fail: bool = False
    _held: Objects = dataclasses.field(default_factory=list)

    def page(self, objects: Objects) -> Objects:
        """What is shown in place of a page."""
        shown = []
        for each in objects:
            if _digest(each) in self.hidden:
                self._held.append(each)
            else:
                shown.append(self.inbox(each))
        late, self.added = self.added, []
        return self.arrange([*shown, *late, *self.always])

    def release(self) -> None:
        """Show with the next page what was hidden until now."""
        self.hidden = set()
        self.added += self._held
        self._held = []


class LyingHub:
    """The server; `lies(name)` says what it does to a member.

    Args:
        upstream: port of the real hub on loopback.
        port: to listen at; 0 takes a free one.
    """

    def __init__(self, upstream: int, port: int = 0) -> None:
        self.upstream = upstream
        self._tokens: dict[str, str] = {}
        self._lies: dict[str, Lies] = {}
        self._lock = threading.Lock()
        self.asked: list[tuple[str, str, str]] = []
        handler = type("Handler", (_Handler,), {"liar": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        """Where members reach it."""
        return int(self._server.server_address[1])

    @contextmanager
    def serving(self) -> Iterator[LyingHub]:
        """Serve in a thread."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def know(self, name: str, token: str) -> Lies:
        """Learn whose token that is."""
        self._tokens[token] = name
        return self.lies(name)

    def lies(self, name: str) -> Lies:
        """What is done to a member."""
        return self._lies.setdefault(name, Lies())

    def honest(self) -> None:
        """Forget every lie."""
        self._lies.clear()

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask the real hub, and say something else."""
        name = self._tokens.get(headers.get("authorization", "").removeprefix("Bearer "), "")
        with self._lock:
            lies = self.lies(name)
            self.asked.append((name, method, path))
        if lies.fail:
            return 503, {"retry-after": "0"}, b""
        parts = urlsplit(path)
        log = _LOG.fullmatch(parts.path)
        if log is not None and lies.log is not None and method == "GET":
            text = lies.log.answer(log[1], parse_qs(parts.query))
            return 200, {"content-type": "text/plain; charset=utf-8"}, text.encode()
        status, found, data = self.ask(method, path, headers, body)
        if method != "GET" or status != 200:
            return status, found, data
        if _LIST.fullmatch(parts.path):
            envelope = json.loads(data)
            with self._lock:
                objects = lies.page(envelope.get("objects", []))
            if objects:
                envelope["objects"] = objects
            else:
                envelope.pop("objects", None)
            return status, found, json.dumps(envelope).encode()
        one = _ONE.fullmatch(parts.path)
        if one is not None and any(_digest(each) in lies.hidden for each in _objects(data)):
            return 404, {"content-type": found.get("content-type", "")}, b"{}"
        return status, found, data

    def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """What the real hub answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=30)
        try:
            sent = {name: value for name, value in headers.items() if name not in _HOP}
            sent["Host"] = f"127.0.0.1:{self.port}"
            connection.request(method, path, body or None, sent)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        found = {name.lower(): value for name, value in response.getheaders()}
        return response.status, {n: found[n] for n in _KEPT if n in found}, data


class _Handler(BaseHTTPRequestHandler):
    liar: LyingHub
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, found, data = self.liar.answer(self.command, self.path, headers, body)
        self.send_response(status)
        for name, value in found.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, *args: Any) -> None:
        """Silent."""


def digests_of(objects: Sequence[Json]) -> list[bytes]:
    """Digests of the messages in artifacts."""
    return [sha256(from_artifact(each)) for each in objects]


def _objects(data: bytes) -> Objects:
    found: Objects = json.loads(data).get("objects", [])
    return found


def _digest(each: Json) -> str:
    hashes = each.get("hashes")
    return str(hashes.get("SHA-256", "")) if isinstance(hashes, dict) else ""
