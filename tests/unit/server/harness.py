"""The application in this process, without sockets: one event loop, requests one at a time."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import uuid
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import zstandard
from starlette.types import Message

from hub.channel.primitives.sign import NotePrivate
from hub.server.app import create_app
from hub.server.appender import Appender
from hub.server.metrics import Metrics
from hub.server.submission import Submit
from hub.server.tracing import OFF, Tracing
from hub.settings import HubSettings
from hub.store.records import Kind, Org
from hub.store.sqlite import SqliteStore

TAXII = "application/taxii+json;version=2.1"
Headers = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass
class Answer:
    """An HTTP answer; `headers` in lower case, `body` decompressed."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> bytes:
        coding = self.headers.get("content-encoding")
        if coding == "gzip":
            return gzip.decompress(self.raw)
        if coding == "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(self.raw)
        return self.raw

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class House:
    """A hub with one owner of everything, and whatever a test adds."""

    path: Path
    settings: HubSettings = field(default_factory=HubSettings)
    appender: type[Appender] = Appender
    log_key: NotePrivate | None = field(default_factory=lambda: NotePrivate(b"\x07" * 32))
    submit: Submit | None = None
    metrics: Metrics | None = None
    tracing: Tracing = OFF
    rw: str = ""
    opener: Callable[[Path], Any] | None = None
    """Opens another store in the folder than SQLite's."""

    def __enter__(self) -> Self:
        other = self.opener
        self.store: SqliteStore = (
            SqliteStore.open(self.path / "hub.db") if other is None else other(self.path)
        )
        self.runner = asyncio.Runner()
        self._start()
        self.owner = self.store.create_org("owner")
        self.tokens = {"owner": self.store.create_token(self.owner.id).secret}
        self.orgs = {"owner": self.owner}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.runner.run(self._leave())
        self.runner.close()
        self.store.close()

    def _start(self) -> None:
        writer = self.appender(self.store, self.settings.limits)
        self.app = create_app(
            self.settings,
            self.store,
            appender=writer,
            log_key=self.log_key,
            submit=self.submit,
            metrics=self.metrics,
            tracing=self.tracing,
        )
        self._lifespan = self.app.router.lifespan_context(self.app)
        self.runner.run(self._enter())

    def restart(self) -> None:
        """End the application and make another on the same store."""
        self.runner.run(self._leave())
        self._start()

    async def _enter(self) -> None:
        await self._lifespan.__aenter__()

    async def _leave(self) -> None:
        await self._lifespan.__aexit__(None, None, None)

    def org(self, name: str) -> Org:
        """An organisation with a token of its own name."""
        made = self.store.create_org(name)
        self.orgs[name] = made
        self.tokens[name] = self.store.create_token(made.id).secret
        return made

    def plain(self, **grants: str) -> str:
        """A plain collection; keyword `name="rw"` grants an organisation that exists."""
        made = self.store.create_collection(Kind.PLAIN, "plain", owner_org=self.owner.id)
        for name, letters in grants.items():
            self.store.set_grant(
                made.id,
                self.orgs[name].id,
                can_read="r" in letters,
                can_write="w" in letters,
            )
        return made.id

    def ask(
        self,
        method: str,
        path: str,
        *,
        who: str | None = "owner",
        query: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        headers: Headers = (),
        body: bytes | None = None,
        client: str = "192.0.2.1",
    ) -> Answer:
        """Send one request; `who` names an organisation whose token goes along as Basic."""
        return self.runner.run(
            self.ask_async(
                method, path, who=who, query=query, headers=headers, body=body, client=client
            )
        )

    async def ask_async(
        self,
        method: str,
        path: str,
        *,
        who: str | None = "owner",
        query: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        headers: Headers = (),
        body: bytes | None = None,
        client: str = "192.0.2.1",
    ) -> Answer:
        """As `ask`, inside the loop."""
        sent = dict(headers)
        if who is not None and not {"authorization", "x-api-key"} & {name.lower() for name in sent}:
            pair = base64.b64encode(f"user:{self.tokens[who]}".encode()).decode()
            sent["authorization"] = f"Basic {pair}"
        sent.setdefault("host", "hub.example")
        sent.setdefault("accept", TAXII)
        if body is not None:
            sent.setdefault("content-type", TAXII)
            sent.setdefault("content-length", str(len(body)))
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": urlencode(list(dict(query).items())).encode()
            if isinstance(query, Mapping)
            else urlencode(list(query)).encode(),
            "root_path": "",
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in sent.items()],
            "client": (client, 50000),
            "server": ("hub.example", 80),
        }
        messages: list[Message] = []
        incoming = [{"type": "http.request", "body": body or b"", "more_body": False}]

        async def receive() -> Message:
            return incoming.pop(0) if incoming else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            messages.append(message)

        await self.app(scope, receive, send)
        start = messages[0]
        names = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
        return Answer(
            start["status"], names, b"".join(part.get("body", b"") for part in messages[1:])
        )

    def post(self, collection_id: str, *objects: Any, who: str = "owner") -> Answer:
        """Post an envelope of objects."""
        return self.ask(
            "POST",
            f"/stillwatch/collections/{collection_id}/objects/",
            who=who,
            body=json.dumps({"objects": list(objects)}).encode(),
        )


def indicator(
    number: int, *, modified: str = "2026-01-01T00:00:00.000Z", **more: Any
) -> dict[str, Any]:
    """A small valid indicator; equal numbers give equal ids."""
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{uuid.uuid5(uuid.NAMESPACE_OID, str(number))}",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": modified,
        "name": f"number {number}",
        "pattern": "[ipv4-addr:value = '192.0.2.7']",
        "pattern_type": "stix",
        "valid_from": "2026-01-01T00:00:00Z",
        **more,
    }


def deflated(body: bytes) -> bytes:
    """`body` as gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()
