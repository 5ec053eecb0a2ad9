"""One serving process: Granian embedded in our own event loop, so that signals are ours.

The hub, a witness and a custodian run the same way. The order on the way down matters: for a while
serve on but answer /readyz with 503 (so that balancers turn away), then stop accepting, let running
requests finish (what they write is answered after its commit), end the application's lifespan (the
hub's drains the appender there), close the store. Each step has its time, and so has the whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import importlib.util
import ipaddress
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from granian import net
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from hub.deadline import end_within
from hub.errors import InputError, StoreError, TransportError
from hub.settings import KIB, ServeSettings
from hub.signals import heard
from hub.supervise import Worker
from hub.tls_files import check_tls_files

_logger = logging.getLogger("stillwatch.server")
_READY_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.02
_GIVE_WAY_SECONDS: Final = 1.0
_CLOSING_SECONDS: Final = 13.0
"""For everything behind the last request; a supervisor kills two seconds later."""
_OTHER_FILES: Final = 256
_COLLECT: Final = (10_000, 20, 50)
_SWITCH_SECONDS: Final = 0.001
_UNREAD_FACTOR: Final = 4
"""So many times the cap is read and thrown away of a body that is too long."""


class ConnectionLimits(Protocol):
    """What one client or a full house may ask of a serving process; `HubLimits` is one."""

    @property
    def connections(self) -> int:
        """Open connections at one time."""
        ...

    @property
    def backlog(self) -> int:
        """Connections that may wait to be accepted."""
        ...

    @property
    def header_milliseconds(self) -> int:
        """Request headers must have arrived within this time."""
        ...

    @property
    def header_bytes(self) -> int:
        """Longest request line plus headers."""
        ...

    @property
    def drain_seconds(self) -> float:
        """How long to serve on after a stop signal, while /readyz refuses."""
        ...

    @property
    def shutdown_seconds(self) -> int:
        """How long running requests may take to end after that."""
        ...


@dataclass(frozen=True, slots=True)
class SmallService:
    """`ConnectionLimits` of a service with few clients and short requests."""

    connections: int = 1024
    backlog: int = 256
    header_milliseconds: int = 10_000
    header_bytes: int = 16 * KIB
    drain_seconds: float = 0.0
    shutdown_seconds: int = 10


class BodyTooLongError(InputError):
    """A request's body is longer than its cap (413)."""


class BodyTooSlowError(TransportError):
    """A request's body did not arrive in time (408)."""


class BodyBrokenOffError(TransportError):
    """The client went away before the end of its body (400)."""


async def read_capped(request: Request, most: int, seconds: float) -> bytes:
    """Read a request's body within caps of size and time.

    Of a body that is too long, some is read and thrown away before the refusal: else the kernel
    resets the connection, and the client sees that instead of the answer.

    Args:
        request: unread so far.
        most: bytes that the body may have.
        seconds: it must have arrived by then.
    Raises:
        BodyTooLongError, BodyTooSlowError, BodyBrokenOffError: see there.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size <= most:
                    chunks.append(chunk)
                elif size > _UNREAD_FACTOR * most:
                    break
    except TimeoutError as error:
        raise BodyTooSlowError(f"the body did not arrive within {seconds:g} seconds") from error
    except ClientDisconnect as error:
        raise BodyBrokenOffError("the body broke off") from error
    if size > most:
        raise BodyTooLongError(f"a body may have {most} bytes", where="body")
    return b"".join(chunks)


def livez() -> Route:
    """`GET /livez`: that the process answers at all; needs no credentials."""

    async def live(request: Request) -> Response:
        del request
        return PlainTextResponse("ok\n")

    return Route("/livez", live)


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_exposure(serve: ServeSettings, *, behind_proxy: bool) -> None:
    """Refuse to send API tokens over a network in clear.

    Raises:
        InputError: an address beyond loopback without TLS, half a TLS pair, client certificates
            without TLS, or files that are none of these.
    """
    if (serve.tls_cert is None) != (serve.tls_key is None):
        raise InputError("a TLS certificate needs its key, and the key its certificate")
    if serve.tls_client_ca is not None and serve.tls_cert is None:
        raise InputError("client certificates need TLS", hint="give --tls-cert and --tls-key")
    if serve.tls_cert is None and not is_loopback(serve.host) and not behind_proxy:
        raise InputError(
            f"{serve.host} is reachable from other machines, and there is no TLS",
            where="--host",
            hint="give --tls-cert and --tls-key, or --behind-proxy when a proxy ends TLS",
        )
    check_tls_files(serve.tls_cert, serve.tls_key, serve.tls_client_ca)


def free_port(host: str) -> int:
    """A TCP port that nobody listens on."""
    with _bound(host, 0) as probe:
        return int(probe.getsockname()[1])


def check_port(host: str, port: int) -> None:
    """Make sure that no other process listens there.

    Granian binds with SO_REUSEPORT, so that two hubs on one port would silently share it.

    Raises:
        TransportError: the port is taken, or the address is not this machine's.
    """
    _bound(host, port).close()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    probe = socket.socket(family, socket.SOCK_STREAM)
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((host, port))
        probe.listen(1)
    except OSError as error:
        probe.close()
        taken = error.errno == errno.EADDRINUSE
        raise TransportError(
            "another process listens there" if taken else f"cannot listen: {error.strerror}",
            where=f"{host}:{port}",
            hint="choose another --port" if taken else None,
        ) from error
    return probe


def run(
    app: Starlette,
    serve: ServeSettings,
    limits: ConnectionLimits,
    *,
    on_ready: Callable[[], None],
    worker: Worker | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then end in order; a second signal skips the draining.

    The process is to end then: whatever it still does 13 seconds after the time that requests have
    to end, it is ended by force.

    Args:
        app: the application; its lifespan is run here. `app.state.draining` becomes true with the
            first stop signal, `app.state.leaving` once answers shall close their connections.
        serve: where to listen.
        limits: of connections, headers and shutdown.
        on_ready: called once connections are accepted.
        worker: what a supervisor left: its socket is listened on, and its word is heard.
    Raises:
        TransportError: the port is taken.
        StoreError: the server ended by itself.
    """
    if worker is None:
        check_port(serve.host, serve.port)
    _allow_connections(limits.connections)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(app, serve, limits, on_ready, worker))
    finally:
        if worker is not None:
            worker.close()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop where that is installed, which serves a third more polls; else None."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module(
        "uvloop"
    ).new_event_loop
    return factory


def _allow_connections(connections: int) -> None:
    """Raise the soft limit of open files, as far as the hard one lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class _Ending:
    """The way down: streams end, answers close their connections, then the server ends."""

    def __init__(self, app: Starlette, server: Server, limits: ConnectionLimits) -> None:
        self.asked = False
        self._bounded = False
        self._app = app
        self._server = server
        self._limits = limits

    def ask(self) -> None:
        """As an operator does; who asks again does not want to wait."""
        wait = 0.0 if self.asked else self._limits.drain_seconds
        if not self.asked:
            _logger.info("stopping")
        self.asked = self._app.state.draining = True
        if wait:
            _logger.info("draining", extra={"fields": {"seconds": wait}})
            asyncio.get_running_loop().call_later(wait, self._leave)
        else:
            self._leave()

    def give_way(self) -> None:
        """As a supervisor does when a successor serves on the same port.

        Clients that ask often learn from an answer that their connection ends; of the others a
        connection is closed while they do not use it.
        """
        self.asked = True
        self._leave(_GIVE_WAY_SECONDS)

    def _leave(self, after: float = 0.0) -> None:
        if not self._bounded:
            self._bounded = True
            end_within(after + self._limits.shutdown_seconds + _CLOSING_SECONDS)
        self._app.state.leaving = True
        # Answers that would not end by themselves, such as streams of events; not before: they
        # would come back as long as the balancer sends them here.
        getattr(self._app.state, "on_stop", _nothing)()
        asyncio.get_running_loop().call_later(after, self._server.stop)


async def _serve(
    app: Starlette,
    serve: ServeSettings,
    limits: ConnectionLimits,
    on_ready: Callable[[], None],
    worker: Worker | None,
) -> None:
    server = _server(app, serve, limits, worker)
    ending = _Ending(app, server, limits)
    if worker is not None:
        worker.watch(give_way=ending.give_way, end=ending.ask)
    stops = dict.fromkeys((signal.SIGTERM, signal.SIGINT), ending.ask)
    with heard(stops):
        await _until_ended(app, server, serve, limits, on_ready, worker)
    if not ending.asked:
        raise StoreError("the server ended unexpectedly")


async def _until_ended(
    app: Starlette,
    server: Server,
    serve: ServeSettings,
    limits: ConnectionLimits,
    on_ready: Callable[[], None],
    worker: Worker | None,
) -> None:
    loop = asyncio.get_running_loop()
    async with app.router.lifespan_context(app):
        _calm()
        if worker is not None:
            worker.listener.listen(limits.backlog)
        serving = loop.create_task(server.serve())
        announcing = loop.create_task(_announce(serve, on_ready, worker))
        try:
            await serving
        except TimeoutError:
            _logger.warning("some connections did not end in time and were closed")
        finally:
            announcing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await announcing


def _nothing() -> None:
    pass


def _calm() -> None:
    """Have the collector of cycles look at what requests leave behind, seldom, and at no more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT)
    # A thread that waits for its turn, as the server's own does to hand over each request, gets it
    # sooner than by default.
    sys.setswitchinterval(_SWITCH_SECONDS)


async def _announce(
    serve: ServeSettings, on_ready: Callable[[], None], worker: Worker | None
) -> None:
    if worker is not None:
        # A connection might reach another process; this one's socket listens already.
        await asyncio.sleep(_POLL_SECONDS)
        worker.ready()
        return
    host = _reachable(serve.host)
    async with asyncio.timeout(_READY_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, serve.port)
            except OSError:
                await asyncio.sleep(_POLL_SECONDS)
                continue
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            break
    on_ready()


def _reachable(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "::1" if address.version == 6 else "127.0.0.1"


class _SocketServer(Server):
    """Listens on a socket that a supervisor bound."""

    listener: socket.socket
    queue: int

    def _init_shared_socket(self) -> None:
        # Its stub knows neither the arguments nor that it may be made from a descriptor.
        holder: Callable[..., object] = vars(net)["SocketHolder"]
        # It closes the descriptor that it is given.
        vars(self)["_shd"] = holder(os.dup(self.listener.fileno()), False, self.queue)


def _server(
    app: Starlette, serve: ServeSettings, limits: ConnectionLimits, worker: Worker | None
) -> Server:
    kind = Server if worker is None else _SocketServer
    server = kind(
        app,
        address=serve.host,
        port=serve.port,
        # Without lifespan: `_serve` runs it, so that draining comes after the last answer.
        interface=Interfaces.ASGINL,
        websockets=False,
        backlog=limits.backlog,
        backpressure=limits.connections,
        # HTTP/1.1 alone. Its header deadline bounds idle connections too; where both versions are
        # spoken, a connection that never says which, and an idle one of HTTP/2, stay for ever.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=limits.header_milliseconds,
            max_buffer_size=limits.header_bytes,
        ),
        log_enabled=False,
        ssl_cert=serve.tls_cert,
        ssl_key=serve.tls_key,
        ssl_ca=serve.tls_client_ca,
        ssl_client_verify=serve.tls_client_ca is not None,
    )
    server.workers_kill_timeout = limits.shutdown_seconds
    if isinstance(server, _SocketServer) and worker is not None:
        server.listener, server.queue = worker.listener, limits.backlog
    return server
