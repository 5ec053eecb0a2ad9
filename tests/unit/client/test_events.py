"""Reading events, waking and following: servers that tell, that do not, that break off."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest

from hub.client.events import Event, NoEventsError, read_events
from hub.client.follow import Listener, Waking
from hub.errors import TransportError

STREAM = (
    b"retry: 2000\n\nid: c1\nevent: open\ndata: {}\n\n:\n\n"
    b'id: c2\r\nevent: added\r\ndata: {"count":1}\r\n\r\ndata: a\ndata: b\n\nid: only\n\n'
)
EVENTS = [
    Event("open", "c1", "{}"),
    Event("added", "c2", '{"count":1}'),
    Event("message", None, "a\nb"),
]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_events_are_read_however_they_are_cut(size: int) -> None:
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    assert list(read_events(pieces, where="hub")) == EVENTS


@pytest.mark.parametrize("stream", [b"x" * 70_000, b"data: x\n" * 10_000])
def test_an_event_without_end_is_refused(stream: bytes) -> None:
    pieces = [stream[at : at + 4096] for at in range(0, len(stream), 4096)]
    with pytest.raises(TransportError, match="too long"):
        list(read_events(pieces, where="hub"))


def test_what_is_half_there_is_no_event() -> None:
    assert list(read_events([b"event: added\ndata: {}\n"], where="hub")) == []


class Script:
    """A `Bulk` that plays streams one after the other; an exception is raised, and the last one
    ends the waking."""

    def __init__(self, waking: Waking, *streams: list[Event] | Exception) -> None:
        self.waking = waking
        self.streams = list(streams)
        self.asked: list[str | None] = []

    def snapshot(self) -> bytes | None:
        """None."""
        return None

    def piece(self, name: str, start: int, size: int) -> bytes | None:
        """None."""
        return None

    @contextlib.contextmanager
    def events(self, last: str | None) -> Iterator[Iterator[Event]]:
        """The next stream."""
        self.asked.append(last)
        stream = self.streams.pop(0)
        if not self.streams:
            self.waking.end()
        if isinstance(stream, Exception):
            raise stream
        yield iter(stream)


class Counted(Waking):
    """Counts wakes, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.woken: list[str] = []
        self.slept: list[float] = []

    def wake(self, name: str) -> None:
        self.woken.append(name)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def run(*streams: list[Event] | Exception) -> tuple[Script, Counted]:
    waking = Counted()
    script = Script(waking, *streams)
    Listener(script, "circle", waking, jitter=lambda: 0.5).run()
    return script, waking


def test_a_listener_goes_on_after_the_last_event() -> None:
    script, waking = run(
        [Event("open", "c1", "{}"), Event("added", "c2", "{}"), Event("end", None, "{}")],
        TransportError("broke off"),
        [Event("open", "c3", "{}")],
        [],
    )
    assert script.asked == [None, "c2", "c2", "c3"]
    assert waking.woken == ["circle"] * 3


def test_a_listener_begins_anew_after_a_reset() -> None:
    script, _ = run([Event("open", "c1", "{}"), Event("reset", "c9", "{}")], [], [])
    assert script.asked == [None, None, None]


def test_pauses_grow_and_stay_bounded() -> None:
    _, waking = run(*[TransportError("down")] * 12)
    assert waking.slept[:4] == [1.0, 2.0, 4.0, 8.0]
    assert max(waking.slept) == 60.0


def test_a_server_without_events_is_left_alone() -> None:
    script, waking = run(NoEventsError("none"), [], [])
    assert script.asked == [None]
    assert waking.slept == []


def test_waking_tells_each_channel_once() -> None:
    waking = Waking()
    waking.wake("one")
    waking.wake("two")
    waking.wake("one")
    assert waking.wait(5) == {"one", "two"}
    assert waking.wait(0.01) == frozenset()


def test_an_end_is_noticed_by_who_waits() -> None:
    waking = Waking()
    threading.Timer(0.05, waking.end).start()
    assert waking.wait(30) == frozenset()
    assert waking.ended
    waking.sleep(30)
