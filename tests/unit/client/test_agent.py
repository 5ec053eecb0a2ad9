"""The agent: it opens homes for its own account, for a while, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.channel.primitives.rest import Stretched
from hub.client import agent, agent_link, agent_wire
from hub.client.agent import MAX_CONNECTIONS, MAX_HOMES, Agent
from hub.client.agent_wire import ANSWER, HEAD, MAGIC, Answer, Operation, expected, request
from hub.client.hardening import LockedSecret
from hub.errors import AccessError, ConflictError, InputError, StoreError, TransportError

SECRET = Stretched(b"h" * 28, b"k" * 32)
RAW = SECRET.head + SECRET.key


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "stillwatch"


@pytest.fixture
def running(runtime: Path) -> Iterator[Agent]:
    made = Agent(runtime, 60)
    made.listen()
    thread = threading.Thread(target=made.serve)
    thread.start()
    yield made
    made._stopping = True
    with socket.socket(socket.AF_UNIX) as waking, contextlib.suppress(OSError):
        waking.connect(str(runtime / "agent.sock"))
    thread.join(20)
    made.close()
    assert not thread.is_alive()


def _raw(folder: Path, data: bytes) -> bytes:
    """Send bytes of any kind; what comes back until the agent closes."""
    answer = b""
    with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
        connection.settimeout(10)
        connection.connect(str(folder / "agent.sock"))
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(4096):
            answer += part
    return answer


def test_it_holds_several_homes_and_forgets_them(running: Agent, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    assert agent_link.held(first) is None
    other = Stretched(b"g" * 28, b"l" * 32)
    agent_link.hold(first, SECRET, 60)
    agent_link.hold(second, other, 30)
    assert (agent_link.held(first), agent_link.held(second)) == (SECRET, other)
    status = agent_link.status()
    assert [each["home"] for each in status["homes"]] == [str(first), str(second)]
    assert b"k" * 32 not in repr(status).encode()
    agent_link.forget(first)
    assert (agent_link.held(first), agent_link.held(second)) == (None, other)
    agent_link.lock()
    assert agent_link.held(second) is None
    assert agent_link.running()


def test_time_runs_out(running: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[LockedSecret] = []
    agent_link.hold(tmp_path, SECRET, 100)
    held += [each.secret for each in running._held.values()]
    running._until += 1000
    start = agent.now()
    monkeypatch.setattr(agent, "now", lambda: start + 99)
    assert agent_link.held(tmp_path) == SECRET
    monkeypatch.setattr(agent, "now", lambda: start + 101)
    assert agent_link.held(tmp_path) is None
    for each in held:
        with pytest.raises(ValueError, match="closed"), each.view():
            pass


def test_nothing_is_left_behind(runtime: Path, tmp_path: Path) -> None:
    made = Agent(runtime, 60)
    made.listen()
    path = runtime / "agent.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o700
    with pytest.raises(ConflictError, match="runs already"):
        Agent(runtime, 60).listen()
    made.close()
    made.close()
    assert not runtime.exists()
    assert not agent_link.running()
    with pytest.raises(TransportError, match="no agent"):
        agent_link.lock()
    with pytest.raises(TransportError, match="no agent"):
        agent_link.hold(tmp_path, SECRET, 5)


def test_a_killed_agent_leaves_a_socket_that_the_next_one_takes(runtime: Path) -> None:
    runtime.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(runtime / "agent.sock"))
    assert not agent_link.running()
    made = Agent(runtime, 60)
    made.listen()
    made.close()


@pytest.mark.parametrize("fault", ["mode", "link", "file"])
def test_a_folder_that_others_may_change_is_not_used(
    runtime: Path, tmp_path: Path, fault: str
) -> None:
    if fault == "mode":
        runtime.mkdir()
        runtime.chmod(0o770)
    elif fault == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        runtime.symlink_to(tmp_path / "elsewhere")
    else:
        runtime.touch(0o600)
    with pytest.raises((AccessError, StoreError)):
        Agent(runtime, 60).listen()
    with pytest.raises(AccessError, match="not a folder of this account alone"):
        agent_link.hold(tmp_path, SECRET, 5)
    assert agent_link.held(tmp_path) is None


def test_another_account_gets_nothing(
    running: Agent, runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent_link.hold(tmp_path, SECRET, 60)
    true = agent_wire.peer_uid
    monkeypatch.setattr(agent_wire, "peer_uid", lambda connection: true(connection) + 1)
    assert _raw(runtime, request(Operation.GET, str(tmp_path))) == b""
    with pytest.raises(AccessError, match="another account's"):
        agent_link.status()
    assert agent_link.held(tmp_path) is None
    # A connection is looked at a little after it was made: only then may the peer be itself again.
    deadline = time.monotonic() + 20
    while running.refused < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    monkeypatch.setattr(agent_wire, "peer_uid", true)
    assert agent_link.status()["refused"] == 3
    assert agent_link.held(tmp_path) == SECRET


def test_the_kernel_names_the_peer_or_nobody_is_served() -> None:
    one, two = socket.socketpair(socket.AF_UNIX)
    with one, two:
        assert agent_wire.peer_uid(one) == os.getuid()
        with pytest.raises(AccessError, match="does not tell"):
            agent_wire.peer_uid(one, "sunos5")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SW",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        MAGIC + bytes(3),
        HEAD.pack(MAGIC, 99, 0, 0, 0),
        HEAD.pack(b"SWAG\x02", Operation.STATUS, 0, 0, 0),
        HEAD.pack(MAGIC, Operation.GET, 0, 65_535, 0) + bytes(65_535),
        HEAD.pack(MAGIC, Operation.GET, 0, 4, 60) + b"/abc" + RAW,
        HEAD.pack(MAGIC, Operation.PUT, 60, 4, 59) + b"/abc" + RAW[:59],
        HEAD.pack(MAGIC, Operation.PUT, 0, 4, 60) + b"/abc" + RAW,
        HEAD.pack(MAGIC, Operation.PUT, 2**32 - 1, 4, 60) + b"/abc" + RAW,
        HEAD.pack(MAGIC, Operation.PUT, 60, 3, 60) + b"abc" + RAW,
        HEAD.pack(MAGIC, Operation.STATUS, 0, 0, 0) * 2,
        request(Operation.PUT, "/abc", RAW, 60)[:-1],
        b"\xff" * 100_000,
    ],
)
def test_hostile_requests_change_nothing(running: Agent, runtime: Path, data: bytes) -> None:
    assert _raw(runtime, data) in (b"", ANSWER.pack(MAGIC, Answer.REFUSED, 0))
    assert agent_link.status()["homes"] == []


def test_many_silent_connections_do_not_keep_others_out(
    running: Agent, runtime: Path, tmp_path: Path
) -> None:
    agent_link.hold(tmp_path, SECRET, 60)
    silent = []
    try:
        for number in range(MAX_CONNECTIONS + 8):
            connection = socket.socket(socket.AF_UNIX)
            silent.append(connection)
            connection.connect(str(runtime / "agent.sock"))
            connection.sendall(request(Operation.GET, str(tmp_path))[: number % 12])
            if number % 10 == 0:
                assert agent_link.held(tmp_path) == SECRET
        assert agent_link.held(tmp_path) == SECRET
        assert len(running._callers) <= MAX_CONNECTIONS
        # Half a request is not waited for.
        silent[-1].settimeout(20)
        assert silent[-1].recv(1) == b""
    finally:
        for connection in silent:
            connection.close()


def test_it_holds_so_many_and_no_more(running: Agent, tmp_path: Path) -> None:
    for number in range(MAX_HOMES):
        agent_link.hold(tmp_path / str(number), SECRET, 60)
    with pytest.raises(AccessError, match="does not take"):
        agent_link.hold(tmp_path / "more", SECRET, 60)
    agent_link.hold(tmp_path / "0", SECRET, 60)


@pytest.mark.parametrize(
    "answer",
    [b"", b"SWAG", ANSWER.pack(MAGIC, 7, 0), ANSWER.pack(MAGIC, 0, 2**32 - 1), b"x" * 200],
)
def test_a_false_agent_is_not_believed(runtime: Path, tmp_path: Path, answer: bytes) -> None:
    runtime.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(runtime / "agent.sock"))
        listener.listen()

        def serve() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                connection.recv(100)
                connection.sendall(answer)
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        assert agent_link.held(tmp_path) is None
        with pytest.raises(TransportError):
            agent_link.lock()
        thread.join(20)


def test_a_long_path_is_refused_before_it_is_sent() -> None:
    with pytest.raises(InputError, match="longer than"):
        request(Operation.GET, "/" + "x" * 2000)
    assert expected(request(Operation.GET, "/x")) == (Operation.GET, 0, 2, 0)


def test_without_a_runtime_folder_it_lies_beside_the_home(tmp_path: Path) -> None:
    environment: dict[str, Any] = {}
    assert agent_wire.folder(environment) == Path.home() / ".stillwatch-agent"
    assert agent_wire.folder({"XDG_RUNTIME_DIR": str(tmp_path / "no")}).name == ".stillwatch-agent"
