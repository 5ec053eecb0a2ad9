"""The supervisor of several processes: starting, replacing, renewing, giving up, ending."""

from __future__ import annotations

import os
import signal
import socket
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.errors import StoreError, TransportError
from hub.serving import free_port
from hub.supervise import Patience, Supervisor

HOST = "127.0.0.1"
QUICK = Patience(ready=20.0, stop=5.0, pause=0.01, longest_pause=0.05, settled=60.0, deaths=3)
PRELUDE = """
    import json, os, signal, socket, sys
    told = json.loads(os.environ["STILLWATCH_WORKER"])
    line = socket.socket(fileno=told["line"])
    listener = socket.socket(fileno=told["listener"])
    mark = lambda text: open(told["given"]["journal"], "a").write(f"{told['number']} {text}\\n")
"""
SERVE = """
    signal.signal(signal.SIGTERM, lambda *_: (mark("stops"), os._exit(0)))
    listener.listen(8)
    mark(f"serves {os.getpid()}")
    line.send(b"r")
    import select, threading
    listener.setblocking(False)
    busy = threading.Lock()
    def answer():
        while True:
            select.select([listener], [], [])
            with busy:
                try:
                    connection, _ = listener.accept()
                except BlockingIOError:
                    continue
                connection.sendall(str(os.getpid()).encode())
                connection.close()
    threading.Thread(target=answer, daemon=True).start()
    try:
        said = line.recv(1)
    except ConnectionResetError:
        # A supervisor that was killed before it read what was sent.
        said = b""
    mark("gives way" if said else "orphaned")
    busy.acquire()
    os._exit(0)
"""


class Stage:
    """A supervisor of small scripts, and what they wrote down."""

    def __init__(self, folder: Path) -> None:
        self.journal = folder / "journal"
        self.journal.touch()
        self.port = free_port(HOST)
        self.ready = threading.Event()

    def supervisor(self, script: str, processes: int = 2) -> Supervisor:
        source = textwrap.dedent(PRELUDE) + textwrap.dedent(script)
        return Supervisor(
            HOST,
            self.port,
            processes,
            command=[sys.executable, "-S", "-c", source],
            given={"journal": str(self.journal)},
            patience=QUICK,
            on_ready=self.ready.set,
        )

    def lines(self) -> list[str]:
        return self.journal.read_text().splitlines()

    def pids(self, number: int) -> list[int]:
        return [int(line.split()[2]) for line in self.lines() if line.startswith(f"{number} serve")]

    def ask(self) -> int:
        """Process id of whoever answers a new connection."""
        with socket.create_connection((HOST, self.port), timeout=10) as connection:
            return int(connection.recv(16))

    def run(self, supervisor: Supervisor, act: Callable[[], None]) -> None:
        """Run it in this thread, `act` in another, and end it as an operator does."""
        failure: list[Exception] = []
        ended = threading.Event()

        def operator() -> None:
            try:
                assert self.ready.wait(20)
                act()
            except (AssertionError, OSError, ValueError) as error:
                failure.append(error)
            finally:
                if not ended.is_set():
                    os.kill(os.getpid(), signal.SIGTERM)

        thread = threading.Thread(target=operator)
        thread.start()
        try:
            supervisor.run()
        finally:
            ended.set()
            thread.join()
        if failure:
            raise failure[0]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_processes_share_a_port_and_end_in_order(stage: Stage) -> None:
    def act() -> None:
        until(lambda: {stage.ask() for _ in range(8)} == {*stage.pids(0), *stage.pids(1)})

    stage.run(stage.supervisor(SERVE), act)
    assert [line for line in sorted(stage.lines()) if "stops" in line] == ["0 stops", "1 stops"]


def test_one_that_dies_is_replaced_while_the_other_serves(stage: Stage) -> None:
    def act() -> None:
        os.kill(stage.pids(1)[0], signal.SIGKILL)
        until(lambda: len(stage.pids(1)) == 2)
        until(lambda: {stage.ask() for _ in range(8)} == {stage.pids(0)[0], stage.pids(1)[1]})

    stage.run(stage.supervisor(SERVE), act)
    assert len(stage.pids(0)) == 1


def test_a_renewal_replaces_all_without_a_refused_connection(stage: Stage) -> None:
    answered: list[int] = []

    def act() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        while len(stage.pids(1)) < 2 or stage.lines().count("1 gives way") < 1:
            answered.append(stage.ask())
        answered.append(stage.ask())

    stage.run(stage.supervisor(SERVE), act)
    assert answered[-1] in (stage.pids(0)[1], stage.pids(1)[1])
    assert stage.lines().index("0 gives way") < stage.lines().index(f"1 serves {stage.pids(1)[1]}")


def test_a_renewal_that_fails_keeps_the_old_ones(stage: Stage) -> None:
    broken = 'sys.exit(9) if os.path.exists(told["given"]["journal"] + ".broken") else None\n'

    def act() -> None:
        Path(f"{stage.journal}.broken").touch()
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(0.5)
        assert stage.ask() in (stage.pids(0)[0], stage.pids(1)[0])

    stage.run(stage.supervisor(broken + textwrap.dedent(SERVE)), act)
    assert "gives way" not in stage.journal.read_text()
    assert len(stage.pids(0)) == len(stage.pids(1)) == 1


def test_a_first_process_that_does_not_start_ends_it_at_once(stage: Stage) -> None:
    supervisor = stage.supervisor('mark("tries")\nsys.exit(6)\n')
    with pytest.raises(StoreError, match="did not start") as caught:
        supervisor.run()
    assert caught.value.where == "exit code 6"
    assert stage.lines() == ["0 tries"]


def test_it_gives_up_when_nobody_serves_any_more(stage: Stage) -> None:
    dying = """
    listener.listen(8)
    mark(f"serves {os.getpid()}")
    line.send(b"r")
    if len(open(told["given"]["journal"]).readlines()) > 2:
        os._exit(9)
    line.recv(1)
    """

    def act() -> None:
        for number in (0, 1):
            os.kill(stage.pids(number)[0], signal.SIGKILL)
        time.sleep(3.0)

    with pytest.raises(StoreError, match="3 times in a row"):
        stage.run(stage.supervisor(dying), act)


def test_processes_end_with_a_supervisor_that_is_killed(stage: Stage) -> None:
    child = os.fork()
    if not child:
        stage.supervisor(SERVE).run()
        os._exit(0)
    until(lambda: len(stage.lines()) == 2)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    until(lambda: stage.journal.read_text().count("orphaned") == 2)


def test_a_taken_port_is_refused(stage: Stage) -> None:
    with socket.create_server((HOST, stage.port)), pytest.raises(TransportError):
        stage.supervisor(SERVE)
