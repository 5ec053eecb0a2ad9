"""Signals are heard while other threads fill what wakes the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

import pytest
import uvloop

from hub.signals import heard

_CALLS = 5000
_Way = Callable[[Mapping[signal.Signals, Callable[[], None]]], AbstractContextManager[None]]


@contextlib.contextmanager
def as_asyncio_does(calls: Mapping[signal.Signals, Callable[[], None]]) -> Iterator[None]:
    """The control: the loop's own handlers."""
    loop = asyncio.get_running_loop()
    for number, call in calls.items():
        loop.add_signal_handler(number, call)
    # Without the interpreter's warning, which the tests take for an error.
    signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)
    try:
        yield
    finally:
        for number in calls:
            loop.remove_signal_handler(number)


async def told(way: _Way, *, busy: bool) -> list[str]:
    """What is heard of one signal, sent while many calls of other threads wait."""
    loop = asyncio.get_running_loop()
    news: list[str] = []
    with way({signal.SIGUSR1: lambda: news.append("usr1")}):
        if busy:
            for _ in range(_CALLS):
                loop.call_soon_threadsafe(lambda: None)
        os.kill(os.getpid(), signal.SIGUSR1)
        for _ in range(20):
            await asyncio.sleep(0.001)
    return news


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("busy", [False, True])
def test_a_signal_is_heard_once(
    busy: bool, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(told(heard, busy=busy)) == ["usr1"]


def test_a_handler_that_shares_the_loops_pipe_is_caught() -> None:
    assert asyncio.run(told(as_asyncio_does, busy=False)) == ["usr1"]
    assert asyncio.run(told(as_asyncio_does, busy=True)) == []


def test_what_was_before_comes_back() -> None:
    former = signal.getsignal(signal.SIGUSR1)
    asyncio.run(told(heard, busy=True))
    assert signal.getsignal(signal.SIGUSR1) is former
    end = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(end)
    assert end == -1


def test_each_signal_calls_its_own() -> None:
    async def both() -> list[str]:
        news: list[str] = []
        calls = {
            signal.SIGUSR1: lambda: news.append("usr1"),
            signal.SIGUSR2: lambda: news.append("usr2"),
        }
        with heard(calls):
            for number in (signal.SIGUSR2, signal.SIGUSR1, signal.SIGUSR2):
                os.kill(os.getpid(), number)
                await asyncio.sleep(0.01)
        return news

    assert asyncio.run(both()) == ["usr2", "usr1", "usr2"]
