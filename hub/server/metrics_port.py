"""Where Prometheus reads: an address of its own, apart from the one that members reach.

The processes of one hub share that address (SO_REUSEPORT), so a scrape reaches any one of them. It
asks the others over Unix sockets in a private directory and answers for all, each with its number
in the label `worker`: sums over workers that were taken here would fall whenever one of them ends,
and a falling counter is a restart to Prometheus. A number is claimed with a file lock, which the
kernel gives back however its holder ends; while a hub renews its processes the new ones take the
next free numbers, so that there are never more than twice as many as processes.

Everything runs on threads of its own: a hub whose event loop is stuck can still be looked at.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hub.errors import InputError, TransportError
from hub.server.metrics import Metrics

_logger = logging.getLogger("stillwatch.metrics")
_MOST_WORKERS: Final = 256
_MOST_BYTES: Final = 16 * 1024 * 1024
_SIBLING_SECONDS: Final = 1.0
_CLIENT_SECONDS: Final = 5.0
_MOST_CLIENTS: Final = 8
PATH: Final = "/metrics"


@dataclass(frozen=True, slots=True)
class MetricsAddress:
    """An address to listen on."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> MetricsAddress:
        """Read `PORT` (on loopback), `HOST:PORT` or `[IPV6]:PORT`.

        Raises:
            InputError: something else.
        """
        host, colon, port = text.strip().rpartition(":")
        if not colon:
            host = "127.0.0.1"
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            host = ""
        if not host or not port.isascii() or not port.isdecimal() or not 0 <= int(port) <= 65_535:
            raise InputError(
                "an address to listen on is HOST:PORT",
                where="--metrics-listen",
                hint="such as 127.0.0.1:9427; a port alone listens on loopback",
            )
        return cls(host, int(port))


class MetricsPort:
    """Serves `/metrics` while entered.

    Args:
        metrics: of this process.
        address: where; port 0 takes a free one.
        siblings: directory that the processes of one hub share, with mode 0700 and a short path;
            None for a hub of one process, which then refuses an address that is taken.
    """

    def __init__(
        self, metrics: Metrics, address: MetricsAddress, *, siblings: Path | None = None
    ) -> None:
        self._metrics = metrics
        self._address = address
        self._siblings = siblings
        self._worker = "0"
        self._held = contextlib.ExitStack()
        self.port = address.port

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            if self._siblings is not None:
                self._worker = stack.enter_context(_claimed(self._siblings))
                path = self._siblings / f"{self._worker}.sock"
                stack.enter_context(_Listener(path, self._families_as_json))
            server = _listening(self._address, self._answer, shared=self._siblings is not None)
            self.port = int(server.server_address[1])
            thread = threading.Thread(
                target=server.serve_forever, args=(0.1,), name="stillwatch-metrics", daemon=True
            )
            thread.start()
            stack.callback(server.server_close)
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            self._held = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._held.close()

    def _families(self) -> Iterator[Metric]:
        for family in self._metrics.registry.collect():
            labelled = Metric(family.name, family.documentation, family.type)
            for sample in family.samples:
                labels = {**sample.labels, "worker": self._worker}
                labelled.add_sample(sample.name, labels, sample.value)
            yield labelled

    def _families_as_json(self) -> bytes:
        families = [
            (one.name, one.documentation, one.type, [tuple(sample)[:3] for sample in one.samples])
            for one in self._families()
        ]
        return json.dumps(families).encode()

    def _answer(self) -> bytes:
        merged = {family.name: family for family in self._families()}
        silent = 0
        answering = 1
        for path in self._other_sockets():
            try:
                raw = _ask(path)
            except (ConnectionRefusedError, FileNotFoundError):
                continue  # it has ended
            except OSError as error:
                silent += 1
                fields = {"worker": path.stem, "cause": error.strerror or str(error)}
                _logger.warning("a worker does not tell its metrics", extra={"fields": fields})
                continue
            try:
                told = json.loads(raw)
            except ValueError:
                # It ended in the middle of its answer.
                silent += 1
                continue
            answering += 1
            _merge(merged, told)
        workers = GaugeMetricFamily(
            "stillwatch_workers", "Processes of this hub, by whether they answer.", labels=["state"]
        )
        workers.add_metric(["answering"], answering)
        workers.add_metric(["silent"], silent)
        return generate_latest(_Fixed([*merged.values(), workers]))

    def _other_sockets(self) -> list[Path]:
        if self._siblings is None:
            return []
        own = f"{self._worker}.sock"
        return sorted(path for path in self._siblings.glob("*.sock") if path.name != own)


def _merge(merged: dict[str, Metric], families: list[Any]) -> None:
    for name, documentation, kind, samples in families:
        family = merged.setdefault(name, Metric(name, documentation, kind))
        for sample, labels, value in samples:
            family.add_sample(sample, labels, value)


class _Fixed(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


@contextlib.contextmanager
def _claimed(directory: Path) -> Iterator[str]:
    """The lowest number that no other process holds, for as long as the block runs."""
    for number in range(_MOST_WORKERS):
        handle = os.open(directory / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            continue
        try:
            yield str(number)
        finally:
            os.close(handle)
        return
    raise TransportError("too many processes share one hub's metrics", where=str(directory))


class _Listener:
    """Hands what `make` makes to whoever connects to a Unix socket."""

    def __init__(self, path: Path, make: Callable[[], bytes]) -> None:
        self._path = path
        self._make = make
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self) -> Self:
        self._path.unlink(missing_ok=True)
        try:
            self._socket.bind(str(self._path))
        except OSError as error:
            self._socket.close()
            raise TransportError(
                f"cannot listen: {error.strerror or error}",
                where=str(self._path),
                hint="a socket's path has at most about 100 characters; see TMPDIR",
            ) from error
        self._socket.listen(_MOST_CLIENTS)
        self._thread = threading.Thread(target=self._run, name="stillwatch-sibling", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            # Wakes the thread out of accept.
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        while True:
            try:
                other, _ = self._socket.accept()
            except OSError:
                return
            with other, contextlib.suppress(OSError):
                other.settimeout(_SIBLING_SECONDS)
                other.sendall(self._make())


def _ask(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(_SIBLING_SECONDS)
        asking.connect(str(path))
        received = bytearray()
        while chunk := asking.recv(65_536):
            received += chunk
            if len(received) > _MOST_BYTES:
                raise OSError("it says too much")
    if not received:
        raise OSError("it ended in between")
    return bytes(received)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    answer: Callable[[], bytes]

    def __init__(self, *arguments: Any) -> None:
        self._free = threading.BoundedSemaphore(_MOST_CLIENTS)
        super().__init__(*arguments)

    def server_bind(self) -> None:
        """Bind, without asking the resolver for this machine's name as the base class does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), 0

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address  # a scraper that went away


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _CLIENT_SECONDS
    server_version = "stillwatch"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a scrape."""
        if self.path.partition("?")[0] != PATH:
            self.send_error(404)
            return
        body = self.server.answer()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any, **__: Any) -> None:
        """Scrapes are not worth a line."""


def _listening(address: MetricsAddress, answer: Callable[[], bytes], *, shared: bool) -> _Server:
    class Bound(_Server):
        address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        allow_reuse_port = shared

    try:
        server = Bound((address.host, address.port), _Handler)
    except OSError as error:
        raise TransportError(
            f"cannot listen for scrapes: {error.strerror or error}",
            where=f"{address.host}:{address.port}",
            hint="choose another --metrics-listen",
        ) from error
    server.answer = answer
    return server
