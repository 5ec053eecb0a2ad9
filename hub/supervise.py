"""Several processes on one port: started, watched, renewed without a refused connection, and ended.

The supervisor binds one socket for each process (SO_REUSEPORT: the kernel spreads connections over
those that listen) and keeps it open. A process that takes over from another gets the same socket,
so that what waited in its queue is answered by the successor; one that takes the place of a process
that died gets a fresh socket, which listens only when it can serve.

Processes are started anew from the program's own command line: a renewal brings new code, new
certificates and new settings of the environment. Each is tied to its supervisor by a socket pair:
it says there when it serves, is told there to give way, and ends when the other end is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hub.errors import StoreError, TransportError

_logger = logging.getLogger("stillwatch.supervisor")
_VARIABLE: Final = "STILLWATCH_WORKER"
SIBLINGS: Final = "STILLWATCH_HUB_SIBLINGS"
"""Environment variable: a private directory that the processes of one supervisor share."""
_READY: Final = b"r"
_GIVE_WAY: Final = b"g"


class Worker:
    """This process as one of several, made from what its supervisor left in the environment.

    Args:
        listener: bound; to be listened on once this process can serve.
        line: to the supervisor.
        number: from 0; the first process alone does what one is enough for.
        given: what the supervisor settled for all of them.
    """

    def __init__(
        self, listener: socket.socket, line: socket.socket, number: int, given: Mapping[str, str]
    ) -> None:
        self.listener = listener
        self.number = number
        self.given = dict(given)
        self._line = line

    @classmethod
    def current(cls) -> Worker | None:
        """The worker that this process is; None when nobody supervises it."""
        text = os.environ.pop(_VARIABLE, None)
        if text is None:
            return None
        # It is for the supervisor, but a terminal sends it to all.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        told = json.loads(text)
        line = socket.socket(fileno=told["line"])
        listener = socket.socket(fileno=told["listener"])
        for one in (line, listener):
            one.setblocking(False)
            one.set_inheritable(False)
        return cls(listener, line, told["number"], told["given"])

    def ready(self) -> None:
        """Tell the supervisor that connections are answered."""
        with contextlib.suppress(OSError):
            self._line.send(_READY)

    def close(self) -> None:
        """Let go of both sockets; the supervisor and a successor have their own."""
        self.listener.close()
        self._line.close()

    def watch(self, *, give_way: Callable[[], None], end: Callable[[], None]) -> None:
        """Listen to the supervisor, on the running event loop.

        Args:
            give_way: a successor serves already.
            end: the supervisor is gone.
        """
        loop = asyncio.get_running_loop()

        def heard() -> None:
            try:
                said = self._line.recv(16)
            except BlockingIOError:
                return
            except OSError:
                said = b""
            if said:
                give_way()
                return
            loop.remove_reader(self._line)
            end()

        loop.add_reader(self._line, heard)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a supervisor waits, in seconds, and when it gives up.

    Args:
        ready: a process must serve by then.
        stop: a process must have ended by then, once told.
        pause: before a process that died is started again; it doubles up to `longest_pause`.
        longest_pause: see `pause`.
        settled: a process that served for so long died for a new reason.
        deaths: after so many in a row, while no other process serves, the supervisor gives up.
    """

    ready: float = 120.0
    stop: float = 30.0
    pause: float = 0.5
    longest_pause: float = 30.0
    settled: float = 10.0
    deaths: int = 5


@dataclass(slots=True, eq=False)
class _Process:
    """A running worker."""

    process: asyncio.subprocess.Process
    line: socket.socket
    began: float
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def serves(self) -> bool:
        return self.ready.is_set() and not self.ended.is_set()

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    def give_way(self) -> None:
        with contextlib.suppress(OSError):
            self.line.send(_GIVE_WAY)


@dataclass(slots=True, eq=False)
class _Place:
    """One of the processes that shall run, whichever runs at present."""

    number: int
    listener: socket.socket
    holder: _Process | None = None
    deaths: int = 0

    @property
    def served(self) -> bool:
        return self.holder is not None and self.holder.serves


class Supervisor:
    """See the module's text.

    Args:
        host: address to bind.
        port: TCP port to bind; nobody else may listen there.
        processes: how many.
        command: starts one worker; this program's own command line unless given.
        given: what every worker is told, see `Worker.given`.
        patience: see there.
        on_ready: called once, when all of them serve.
    """

    def __init__(
        self,
        host: str,
        port: int,
        processes: int,
        *,
        command: Sequence[str] | None = None,
        given: Mapping[str, str] | None = None,
        patience: Patience | None = None,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._host = host
        self._port = port
        self._command = list(command or (sys.executable, *sys.orig_argv[1:]))
        self._given = dict(given or {})
        self._patience = patience or Patience()
        self._on_ready = on_ready
        self._places = [_Place(number, self._bound()) for number in range(processes)]
        self._siblings = ""
        self._running: set[_Process] = set()
        self._watching: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._failure: StoreError | None = None

    def run(self) -> None:
        """Run until SIGTERM or SIGINT; SIGHUP renews the processes one after the other.

        Raises:
            TransportError: the address cannot be bound.
            StoreError: a process does not start, or they keep dying; its own message says why.
        """
        self._siblings = tempfile.mkdtemp(prefix="stillwatch-")
        try:
            asyncio.run(self._run())
        finally:
            for place in self._places:
                place.listener.close()
            shutil.rmtree(self._siblings, ignore_errors=True)
        if self._failure is not None:
            raise self._failure

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        stop, renew = asyncio.Event(), asyncio.Event()

        def told() -> None:
            if not stop.is_set():
                _logger.info("stopping")
            else:
                # Who asks again does not want to wait: each process skips its draining.
                self._tell(signal.SIGTERM)
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told)
        loop.add_signal_handler(signal.SIGHUP, renew.set)
        stopped = loop.create_task(stop.wait())
        work = loop.create_task(self._serve(renew))
        await asyncio.wait({stopped, work}, return_when=asyncio.FIRST_COMPLETED)
        self._stopping = True
        stopped.cancel()
        if work.done():
            work.result()
        work.cancel()
        await self._end()
        await asyncio.gather(stopped, work, *self._watching, return_exceptions=True)

    async def _serve(self, renew: asyncio.Event) -> None:
        """Start all, then keep them; returns when there is no hope."""
        # One first: what is wrong with the settings or the store is said once.
        first = self._places[0].holder = await self._start(self._places[0])
        if not await self._becomes_ready(first):
            code = first.process.returncode
            self._failure = StoreError(
                "the first process did not start", where=f"exit code {code}", hint="see above"
            )
            return
        loop = asyncio.get_running_loop()
        keeping = [loop.create_task(self._keep(place)) for place in self._places]
        others = [loop.create_task(self._announce()), loop.create_task(self._renew_told(renew))]
        try:
            done, _ = await asyncio.wait(keeping, return_when=asyncio.FIRST_COMPLETED)
            for kept in done:
                kept.result()
        finally:
            for task in (*keeping, *others):
                task.cancel()

    async def _announce(self) -> None:
        while not all(place.served for place in self._places):
            await asyncio.sleep(0.02)
        self._on_ready()

    async def _keep(self, place: _Place) -> None:
        """See that a place is held; returns when the supervisor gives up."""
        while not self._stops():
            if place.holder is None:
                place.holder = await self._start(place)
            holder = place.holder
            await self._becomes_ready(holder)
            await holder.ended.wait()
            if place.holder is not holder:
                # A renewal put another in its place.
                continue
            if self._stops():
                return
            place.holder = None
            place.listener.close()
            place.listener = self._bound()
            settled = holder.ready.is_set() and (
                time.monotonic() - holder.began > self._patience.settled
            )
            place.deaths = 1 if settled else place.deaths + 1
            fields = {"process": place.number, "exit": holder.process.returncode}
            _logger.error("a process died", extra={"fields": {**fields, "deaths": place.deaths}})
            if place.deaths >= self._patience.deaths and not self._somebody_serves():
                self._failure = StoreError(
                    f"a process died {place.deaths} times in a row, and no other serves",
                    where=f"exit code {holder.process.returncode}",
                    hint="see what it said above",
                )
                return
            pause = self._patience.pause * 2 ** (place.deaths - 1)
            await asyncio.sleep(min(pause, self._patience.longest_pause))

    def _stops(self) -> bool:
        return self._stopping

    def _somebody_serves(self) -> bool:
        return any(place.served for place in self._places)

    async def _renew_told(self, renew: asyncio.Event) -> None:
        while True:
            await renew.wait()
            renew.clear()
            _logger.info("renewing the processes")
            done = 0
            for place in self._places:
                if not await self._renew(place):
                    break
                done += 1
            _logger.info("renewed", extra={"fields": {"processes": done}})

    async def _renew(self, place: _Place) -> bool:
        """Put a new process in a place, then end the old one; false when the new one fails."""
        old = place.holder
        if old is None or not old.serves:
            # It is being started anyway.
            return True
        new = await self._start(place)
        if not await self._becomes_ready(new):
            new.signal(signal.SIGKILL)
            _logger.error(
                "the new process does not serve: the old ones go on",
                extra={"fields": {"process": place.number, "exit": new.process.returncode}},
            )
            return False
        place.holder = new
        old.give_way()
        await self._ends(old)
        return True

    async def _becomes_ready(self, worker: _Process) -> bool:
        ready = asyncio.ensure_future(worker.ready.wait())
        ended = asyncio.ensure_future(worker.ended.wait())
        await asyncio.wait(
            {ready, ended}, timeout=self._patience.ready, return_when=asyncio.FIRST_COMPLETED
        )
        for one in (ready, ended):
            one.cancel()
        if not worker.serves:
            worker.signal(signal.SIGKILL)
        return worker.serves

    async def _ends(self, worker: _Process) -> None:
        try:
            async with asyncio.timeout(self._patience.stop):
                await worker.ended.wait()
        except TimeoutError:
            _logger.warning(
                "a process did not end in time", extra={"fields": {"pid": worker.process.pid}}
            )
            worker.signal(signal.SIGKILL)
            await worker.ended.wait()

    def _tell(self, number: signal.Signals) -> None:
        for worker in self._running:
            worker.signal(number)

    async def _end(self) -> None:
        self._tell(signal.SIGTERM)
        await asyncio.gather(*(self._ends(worker) for worker in list(self._running)))

    async def _start(self, place: _Place) -> _Process:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        told = {
            "listener": place.listener.fileno(),
            "line": theirs.fileno(),
            "number": place.number,
            "given": self._given,
        }
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                env={**os.environ, _VARIABLE: json.dumps(told), SIBLINGS: self._siblings},
                pass_fds=(place.listener.fileno(), theirs.fileno()),
            )
        worker = _Process(process, ours, time.monotonic())
        self._running.add(worker)
        watch = asyncio.get_running_loop().create_task(self._watch(worker))
        self._watching.add(watch)
        watch.add_done_callback(self._watching.discard)
        return worker

    async def _watch(self, worker: _Process) -> None:
        """Note when a worker serves, and when it has ended."""
        with contextlib.suppress(OSError):
            if await asyncio.get_running_loop().sock_recv(worker.line, 16):
                worker.ready.set()
        await worker.process.wait()
        worker.line.close()
        self._running.discard(worker)
        worker.ended.set()

    def _bound(self) -> socket.socket:
        """A socket on the port that does not listen yet. Raises TransportError."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind((self._host, self._port))
        except OSError as error:
            bound.close()
            raise TransportError(
                f"cannot listen: {error.strerror}", where=f"{self._host}:{self._port}"
            ) from error
        return bound
