"""A TAXII client that adds nothing: exact headers and bytes, over a socket to a hub's process."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import socket
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from tests.faults.hub_process import HubProcess

TAXII = "application/taxii+json;version=2.1"
STIX = "application/stix+json;version=2.1"
_SECONDS = 20.0

Pairs = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def objects(self) -> list[Any]:
        return list(self.json.get("objects", []))


class Peer:
    """Talks to one development hub.

    Args:
        hub: the running process.
    """

    def __init__(self, hub: HubProcess) -> None:
        self.hub = hub
        scheme, _, rest = hub.root.partition("://")
        assert scheme == "http"
        address, _, path = rest.partition("/")
        self.host, _, port = address.partition(":")
        self.port = int(port)
        self.root = f"/{path}"

    @property
    def basic(self) -> str:
        """Value of an Authorization header."""
        pair = ":".join(self.hub.auth).encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    def collection(self, name: str) -> str:
        """Path of a collection, `name` as in the hub's line (rw1, ro, ...)."""
        return f"{self.root}collections/{self.hub.line['collections'][name]}/"

    def objects(self, name: str, object_id: str | None = None) -> str:
        """Path of a collection's objects, or of one."""
        tail = "" if object_id is None else f"{object_id}/"
        return f"{self.collection(name)}objects/{tail}"

    def ask(
        self,
        method: str,
        path: str,
        query: Pairs = (),
        *,
        headers: Pairs | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Send one request on a connection of its own.

        Args:
            method: any token.
            path: sent as it is.
            query: encoded and put behind the path.
            headers: exactly these, beside Host and, with a body, Content-Length; by default
                those of a well-behaved client.
            body: of the request.
        """
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_SECONDS)
        try:
            return self.ask_on(connection, method, path, query, headers=headers, body=body)
        finally:
            connection.close()

    def ask_on(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        query: Pairs = (),
        *,
        headers: Pairs | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """As `ask`, on a connection that stays open."""
        encoded = urlencode(list(query), quote_via=quote)
        connection.putrequest(
            method, f"{path}?{encoded}" if encoded else path, skip_accept_encoding=True
        )
        sent = self.usual(body is not None) if headers is None else headers
        for name, value in sent:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, named, answer.read())

    def usual(self, posting: bool = False) -> list[tuple[str, str]]:
        """The headers of a well-behaved client."""
        sent = [("Authorization", self.basic), ("Accept", TAXII)]
        return [*sent, ("Content-Type", TAXII)] if posting else sent

    def get(self, path: str, query: Pairs = ()) -> Answer:
        """A well-behaved GET."""
        return self.ask("GET", path, query)

    def post(self, name: str, *objects: Any) -> Answer:
        """Post an envelope of objects to a collection."""
        return self.send(name, envelope(*objects))

    def send(self, name: str, body: bytes, *more: tuple[str, str]) -> Answer:
        """Post bytes to a collection, with further headers."""
        return self.ask("POST", self.objects(name), headers=[*self.usual(True), *more], body=body)

    def stored(self, name: str, *objects: Any) -> list[Any]:
        """Post objects that must all be taken; gives them back."""
        status = self.post(name, *objects).json
        assert status["success_count"] == len(objects), status
        return list(objects)

    def mark(self, name: str) -> str:
        """A point of time in a collection: `added_after` it gives what later posts add."""
        (stamp,) = self.stored(name, indicator())
        return self.get(self.objects(name, stamp["id"])).headers["x-taxii-date-added-last"]

    def wire(self, sent: bytes, *, seconds: float = 1.0) -> bytes:
        """Send bytes, and read until the hub closes or is silent for so long."""
        got = b""
        with socket.create_connection((self.host, self.port), timeout=_SECONDS) as peer:
            peer.sendall(sent)
            peer.settimeout(seconds)
            try:
                while chunk := peer.recv(65536):
                    got += chunk
            except (TimeoutError, ConnectionResetError):
                pass
        return got

    def lines(self, line: str, *fields: str) -> bytes:
        """A request's head as bytes, with credentials and media types."""
        usual = [f"{name}: {value}" for name, value in self.usual(True)]
        return "\r\n".join([line, "Host: hub.example", *usual, *fields, "", ""]).encode("latin-1")


def status_of(raw: bytes) -> int:
    """Status code of an answer read from the wire, 0 for none."""
    return int(raw.split(b" ", 2)[1]) if raw.startswith(b"HTTP/1.1 ") else 0


def envelope(*objects: Any) -> bytes:
    """A posted body."""
    return json.dumps({"objects": list(objects)}).encode()


def packed(body: bytes) -> bytes:
    """The body as gzip."""
    return gzip.compress(body)


def indicator(
    object_id: str | None = None, *, modified: Any = "2026-01-01T00:00:00.000Z", **more: Any
) -> dict[str, Any]:
    """A valid indicator, with a new id unless given."""
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": object_id or f"indicator--{uuid.uuid4()}",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": modified,
        "name": "an indicator",
        "pattern": "[ipv4-addr:value = '192.0.2.7']",
        "pattern_type": "stix",
        "valid_from": "2026-01-01T00:00:00Z",
        **more,
    }


def without(obj: dict[str, Any], *names: str) -> dict[str, Any]:
    """The object without some properties."""
    return {name: value for name, value in obj.items() if name not in names}


def ids(objects: Iterable[Any]) -> list[str]:
    """Ids in order."""
    return [obj["id"] for obj in objects]
