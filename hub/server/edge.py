"""What every request passes: framing, a request id, the trailing slash, unread bodies, the log.

A plain ASGI layer, because the answer's size and status are known only on the way out.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from functools import lru_cache
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.server import answers
from hub.server.metrics import reason_of
from hub.server.observing import Observer
from hub.server.rates import Rate, network
from hub.server.refusals import (
    HeadersTooLargeError,
    HiddenError,
    MalformedError,
    RefusalError,
    TooManyRequestsError,
)
from hub.settings import HubLimits

_TOO_SLOW: Final = 408
_DISCARD_SECONDS: Final = 5.0
_FRAMING: Final = frozenset({b"host", b"transfer-encoding"})
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{0,5}))?")
_ENCODED_SLASH: Final = re.compile(rb"%2[fF]")
_LAST_PORT: Final = 65_535
_LINE_BYTES: Final = 4
"""Colon, space and line end of a header."""
_PROBES: Final = frozenset({"/livez/", "/readyz/"})


class Edge:
    """Wraps the application.

    Args:
        app: the next layer.
        behind_proxy: believe the last entries of `X-Forwarded-For` and `X-Forwarded-Proto`.
        limits: `content_length` bounds what is read of a body that was refused; `address_rate`
            and `address_burst` how often one address may ask. The probes are not counted.
        observer: what is told of each request.
    """

    def __init__(
        self, app: ASGIApp, *, behind_proxy: bool, limits: HubLimits, observer: Observer
    ) -> None:
        self._app = app
        self._observer = observer
        self._behind_proxy = behind_proxy
        self._most_unread = 4 * limits.content_length
        self._header_bytes = limits.header_bytes
        self._rate = Rate(limits.address_rate, limits.address_burst, "address")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        inner = dict(scope)
        path = str(scope["path"])
        inner["path"] = path if path.endswith("/") else path + "/"
        seen = self._observer.begin(inner)
        request_id = seen.correlation.request_id
        inner["state"] = {
            **scope.get("state", {}),
            "request_id": request_id,
            "peer": client_address(scope),
        }
        if self._behind_proxy:
            _believe_proxy(inner)
        body = _Incoming(receive, scope)

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] != _TOO_SLOW:
                    await body.discard(self._most_unread)
                seen.status = message["status"]
                told = [(b"x-request-id", request_id.encode("ascii"))]
                state = inner["app"].state
                ending = state.draining or state.leaving or body.withheld
                if ending and scope["http_version"].startswith("1"):
                    # A connection that is kept alive would not notice that its balancer turned, or
                    # that another process has taken over; or a body might come that nobody reads.
                    told.append((b"connection", b"close"))
                message["headers"] = [*message["headers"], *told]
            else:
                seen.sent += len(message.get("body", b""))
            await send(message)

        try:
            refusal = self._refusal(inner)
            if refusal is None:
                await self._app(inner, body.receive, watch)
            else:
                await _refuse(refusal, inner, body.receive, watch)
        finally:
            seen.end(inner, client=client_address(inner), received=body.bytes)

    def _refusal(self, scope: Scope) -> RefusalError | None:
        if _header_bytes(scope) > self._header_bytes:
            # The server beneath looks at its cap between two reads only, and lets some through.
            return HeadersTooLargeError(
                f"the request line and headers may have {self._header_bytes} bytes",
                headers={"connection": "close"},
            )
        fault = _framing_fault(scope)
        if fault is not None:
            return MalformedError(fault, headers={"connection": "close"})
        if _ENCODED_SLASH.search(scope.get("raw_path", b"")):
            # Else it would be a slash like the others here, and none to what stands in front.
            return HiddenError("no such resource")
        if scope["path"] in _PROBES:
            return None
        try:
            self._rate.take(network(client_address(scope)))
        except TooManyRequestsError as error:
            return error
        return None


class _Incoming:
    """A request's body on its way in.

    A refusal that leaves a body unread makes the kernel reset the connection, and the client often
    sees that instead of the refusal. So the rest is read and thrown away first, within bounds.
    """

    def __init__(self, receive: Receive, scope: Scope) -> None:
        self._receive = receive
        self._more = False
        self.bytes = 0
        self.withheld = False
        """Whether the client waits with its body (`Expect`) until we begin to read it."""
        for name, value in scope["headers"]:
            if name == b"expect":
                self.withheld = True
            elif name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
                self._more = True
        if self.withheld:
            self._more = False

    async def receive(self) -> Message:
        """The next message, noting whether another follows."""
        self.withheld = False
        message = await self._receive()
        self._more = message["type"] == "http.request" and bool(message.get("more_body"))
        self.bytes += len(message.get("body", b""))
        return message

    async def discard(self, most: int) -> None:
        """Read at most so many bytes, for at most `_DISCARD_SECONDS`."""
        if self._more:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._read_away(most), _DISCARD_SECONDS)

    async def _read_away(self, most: int) -> None:
        while self._more and most > 0:
            message = await self.receive()
            most -= len(message.get("body", b""))


def _framing_fault(scope: Scope) -> str | None:
    """What makes a request one that another server on its way might have read differently.

    The server beneath refuses what it cannot delimit. A length beside chunks never gets here: it
    reads the chunks alone, takes the length away and closes the connection (RFC 9112, section 6.1).
    """
    if not scope["http_version"].startswith("1"):
        return None
    if scope["method"] == "CONNECT" or not scope["path"].startswith("/"):
        return "a request names a path"
    framing = [(name, value) for name, value in scope["headers"] if name in _FRAMING]
    hosts = [value for name, value in framing if name == b"host"]
    # Granian gives an empty host where the request has none, which HTTP/1.0 allows.
    host = hosts[0] if hosts else b""
    if len(hosts) > 1 or (not host and scope["http_version"] == "1.1"):
        return "a request has one Host"
    if host and not _is_host(host):
        return "a Host is a name or an address, and a port"
    codings = [value.lower() for name, value in framing if name == b"transfer-encoding"]
    if codings not in ([], [b"chunked"]):
        return "a body comes plain or chunked"
    return None


def _header_bytes(scope: Scope) -> int:
    size = len(scope.get("raw_path", b"")) + len(scope["query_string"])
    for name, value in scope["headers"]:
        size += len(name) + len(value) + _LINE_BYTES
    return size


@lru_cache(maxsize=256)
def _is_host(value: bytes) -> bool:
    found = _HOST.fullmatch(value)
    return found is not None and int(found[1] or 0) <= _LAST_PORT


async def _refuse(error: RefusalError, scope: Scope, receive: Receive, send: Send) -> None:
    scope["state"]["refused"] = reason_of(error)
    response = answers.failure(Request(scope), error, error_id=scope["state"]["request_id"])
    await response(scope, receive, send)


def client_address(scope: Scope) -> str:
    """Where a request came from, as far as that is known."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def _believe_proxy(scope: Scope) -> None:
    for name, value in scope["headers"]:
        last = value.rsplit(b",", 1)[-1].strip().decode("latin-1")
        if name == b"x-forwarded-for" and last:
            scope["client"] = (last, 0)
        elif name == b"x-forwarded-proto" and last in ("http", "https"):
            scope["scheme"] = last
