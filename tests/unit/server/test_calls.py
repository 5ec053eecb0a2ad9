"""Store calls: on the event loop for a file, in threads for a server, refused while it is away."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from hub.errors import InputError, StoreAwayError, StoreError
from hub.server.calls import NotHereError, StoreCalls, on_event_loop
from hub.server.refusals import BusyError
from hub.settings import HubLimits
from hub.store.sqlite import SqliteStore


class Server(SqliteStore):
    """A store that says that it is a server, and can go away."""

    remote = True
    away = False

    def ping(self) -> None:
        if self.away:
            raise StoreAwayError("the database cannot be reached")
        super().ping()


class Stage:
    """Calls with a clock that a test sets."""

    def __init__(self, store: SqliteStore, **limits: Any) -> None:
        self.now = 100.0
        self.store = store
        self.calls = StoreCalls(store, HubLimits(**limits), monotonic=lambda: self.now)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(work)


@pytest.fixture
def remote(tmp_path: Path) -> Server:
    made = Server.open(tmp_path / "hub.db")
    assert isinstance(made, Server)
    return made


@pytest.fixture
def local(tmp_path: Path) -> SqliteStore:
    return SqliteStore.open(tmp_path / "hub.db")


def fails() -> None:
    raise StoreAwayError("the connection broke")


def test_short_calls_on_a_file_run_where_they_are(local: SqliteStore) -> None:
    stage = Stage(local)
    assert stage.run(stage.calls.short(threading.get_ident)) == threading.get_ident()
    assert stage.run(stage.calls.long(threading.get_ident)) != threading.get_ident()
    stage.calls.close()
    local.close()


def test_what_has_long_work_to_do_goes_to_a_thread(local: SqliteStore) -> None:
    def work() -> int:
        if on_event_loop():
            raise NotHereError
        return threading.get_ident()

    stage = Stage(local)
    assert stage.run(stage.calls.short(work)) != threading.get_ident()
    stage.calls.close()
    local.close()


def test_calls_to_a_server_never_run_on_the_event_loop(remote: Server) -> None:
    stage = Stage(remote)
    for way in (stage.calls.short, stage.calls.long):
        assert stage.run(way(on_event_loop)) is False
    with pytest.raises(InputError):
        stage.run(stage.calls.short(_refuse))
    # An error of the request's own says nothing about the server.
    assert stage.run(stage.calls.short(on_event_loop)) is False
    stage.calls.close()
    remote.close()


def _refuse() -> None:
    raise InputError("no such collection")


def test_while_a_server_is_away_calls_fail_at_once_and_one_tries(remote: Server) -> None:
    stage, tried = Stage(remote), list[str]()

    def work(answer: Callable[[], None] | None) -> None:
        tried.append("call")
        if answer is not None:
            answer()

    for _ in range(5):
        with pytest.raises(StoreAwayError):
            stage.run(stage.calls.short(work, fails))
    assert tried == ["call"]
    stage.now += 0.6
    for _ in range(5):
        with pytest.raises(StoreAwayError):
            stage.run(stage.calls.short(work, fails))
    assert tried == ["call"] * 2
    stage.now += 0.6
    for _ in range(5):
        stage.run(stage.calls.short(work, None))
    assert tried == ["call"] * 7
    stage.calls.close()
    remote.close()


def test_a_server_that_hangs_costs_its_own_call_only(remote: Server) -> None:
    gate = threading.Event()
    stage = Stage(remote, store_seconds=0.05, store_threads=2)

    async def hang() -> float:
        began = time.monotonic()
        with pytest.raises(StoreAwayError, match="in time"):
            await stage.calls.long(gate.wait)
        return time.monotonic() - began

    assert stage.run(hang()) < 5
    gate.set()
    stage.now += 1
    assert stage.run(stage.calls.long(on_event_loop)) is False
    stage.calls.close()
    remote.close()


@pytest.mark.parametrize("opened", [Server, SqliteStore])
def test_more_calls_than_may_wait_are_refused(opened: type[SqliteStore], tmp_path: Path) -> None:
    gate = threading.Event()
    store = opened.open(tmp_path / "hub.db")
    stage = Stage(store, store_threads=1, store_waiting=2)

    async def flood() -> list[Any]:
        tasks = [asyncio.ensure_future(stage.calls.long(gate.wait)) for _ in range(4)]
        await asyncio.sleep(0)
        gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = stage.run(flood())
    assert found[:2] == [True, True]
    assert [type(one) for one in found[2:]] == [BusyError, BusyError]
    stage.calls.close()
    store.close()


def test_readiness_follows_the_server_and_ends_the_refusals(remote: Server) -> None:
    stage = Stage(remote)
    with pytest.raises(StoreAwayError):
        stage.run(stage.calls.short(fails))
    remote.away = True
    assert stage.run(stage.calls.ready()) is False
    remote.away = False
    assert stage.run(stage.calls.ready()) is True
    assert stage.run(stage.calls.short(on_event_loop)) is False
    stage.calls.close()
    remote.close()


def test_a_commit_is_waited_for(local: SqliteStore, remote: Server) -> None:
    for store in (local, remote):
        stage, commit = Stage(store), Future[str]()
        commit.set_result("stored")
        assert stage.run(stage.calls.patiently(commit)) == "stored"
        stage.calls.close()
        store.close()


def test_what_ends_together_wakes_the_event_loop_once(local: SqliteStore) -> None:
    calls = StoreCalls(local, HubLimits())
    commits: list[Future[int]] = [Future() for _ in range(20)]

    async def wait() -> tuple[list[int], int]:
        loop = asyncio.get_running_loop()
        woken: list[object] = []
        wake = loop.call_soon_threadsafe

        def counted(*args: Any, **named: Any) -> asyncio.Handle:
            woken.append(args)
            return wake(*args, **named)

        waiting = [asyncio.create_task(calls.patiently(commit)) for commit in commits]
        await asyncio.sleep(0)
        with mock.patch.object(loop, "call_soon_threadsafe", counted):
            for number, commit in enumerate(commits):
                commit.set_result(number)
        return await asyncio.gather(*waiting), len(woken)

    assert asyncio.run(wait()) == (list(range(20)), 1)
    calls.close()


def test_who_stops_waiting_for_a_commit_cancels_it(local: SqliteStore) -> None:
    calls = StoreCalls(local, HubLimits())
    commit: Future[int] = Future()
    failed: Future[int] = Future()

    async def leave() -> None:
        waiting = asyncio.create_task(calls.patiently(commit))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        failed.set_exception(StoreError("no"))
        with pytest.raises(StoreError, match="no"):
            await calls.patiently(failed)

    asyncio.run(leave())
    assert commit.cancelled()
    calls.close()
