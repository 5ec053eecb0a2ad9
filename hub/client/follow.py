"""Staying: pull when a hub says that something is new, and now and then all the same.

One thread for each channel holds its hub's stream of events and does nothing but wake the loop; the
loop pulls, in one thread, with the home's lock as every command. Events are hints that nobody
trusts: what they lead to is an ordinary pull, and without them there is the interval.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hub.client.events import NoEventsError
from hub.client.pulled import Pulled
from hub.client.rows import ChannelRow
from hub.client.snapshot_port import Bulk
from hub.client.subscriber import pull
from hub.client.work import Desk
from hub.errors import AccessError, ConflictError, InputError, TransportError

_LOG: Final = logging.getLogger(__name__)
_RANDOM: Final = random.SystemRandom()
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_LIVED: Final = 30.0
"""A stream that lasted so long was no failure."""
_NEWS: Final = frozenset({"open", "added", "reset"})


@dataclass(frozen=True, slots=True)
class Round:
    """One pull.

    Args:
        results: of each channel.
        woken: channels whose hub had said that something is new; the others had their turn.
    """

    results: Sequence[Pulled]
    woken: frozenset[str]


class Waking:
    """What the threads say to the loop: which channels have news, and that all shall end."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._names: set[str] = set()
        self._ended = False

    def wake(self, name: str) -> None:
        """A channel may have news."""
        with self._changed:
            self._names.add(name)
            self._changed.notify_all()

    def end(self) -> None:
        """Let everything end; safe in a signal handler's thread."""
        # A handler may run while this very thread holds the lock: it must not wait for it.
        self._ended = True
        if self._changed.acquire(blocking=False):
            try:
                self._changed.notify_all()
            finally:
                self._changed.release()

    @property
    def ended(self) -> bool:
        """Whether all shall end."""
        return self._ended

    def wait(self, seconds: float) -> frozenset[str]:
        """Channels that have news; none when the time is over, or all shall end."""
        until = time.monotonic() + seconds
        with self._changed:
            while not self._names and not self._ended:
                left = until - time.monotonic()
                if left <= 0:
                    break
                # In short turns, for an end that could not be told.
                self._changed.wait(min(left, 0.5))
            names, self._names = self._names, set()
            return frozenset(names)

    def sleep(self, seconds: float) -> None:
        """Wait, at most until all shall end."""
        until = time.monotonic() + seconds
        while not self._ended and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.5))


class Listener:
    """Holds the stream of events of one channel's collection; `run` is for a thread of its own.

    Args:
        bulk: reaches the hub.
        name: the channel's.
        waking: is told of news.
    """

    def __init__(
        self,
        bulk: Bulk,
        name: str,
        waking: Waking,
        *,
        jitter: Callable[[], float] = _RANDOM.random,
    ) -> None:
        self._bulk = bulk
        self._name = name
        self._waking = waking
        self._jitter = jitter
        self._last: str | None = None

    def run(self) -> None:
        """Follow until all shall end, or the server turns out to have no events."""
        pause = _FIRST_PAUSE
        while not self._waking.ended:
            began = time.monotonic()
            try:
                self._listen()
            except NoEventsError:
                _LOG.info("%s: the server has no events; it is asked instead", self._name)
                return
            except (TransportError, AccessError, ConflictError, InputError) as error:
                _LOG.info("%s: no events for now: %s", self._name, error)
            if time.monotonic() - began > _LIVED:
                pause = _FIRST_PAUSE
            self._waking.sleep(pause * (0.5 + self._jitter()))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _listen(self) -> None:
        with self._bulk.events(self._last) as events:
            for event in events:
                if self._waking.ended:
                    return
                if event.name == "reset":
                    self._last = None
                elif event.id is not None:
                    self._last = event.id
                if event.name in _NEWS:
                    self._waking.wake(self._name)


def follow(
    desk: Desk,
    names: Sequence[str],
    interval: float,
    waking: Waking,
    take: Callable[[Round], None],
    *,
    spread: Callable[[], float] = _RANDOM.random,
    listen: bool = True,
    snapshots: bool = False,
) -> None:
    """Pull at once, whenever there is news, and about every `interval` seconds, until the end.

    Args:
        desk: the home and the network.
        names: channels; none for all.
        interval: seconds, for servers without events, and because a hint may be lost.
        waking: `end` ends it.
        take: called with what each round brought.
        spread: a number in [0, 1), so that not all members come at once.
        listen: follow events; without it there is the interval only.
        snapshots: begin with a snapshot where much is missing.
    Raises:
        StoreError: the disk failed.
    """
    heard: dict[str, threading.Thread] = {}
    woken: frozenset[str] = frozenset()
    due = time.monotonic()
    while True:
        if time.monotonic() >= due:
            # Everybody's turn, also of channels of which nobody tells anything.
            woken = frozenset()
            due = time.monotonic() + interval * (0.9 + 0.2 * spread())
        try:
            take(Round(pull(desk, sorted(woken) or names, snapshots=snapshots), woken))
        except ConflictError as error:
            # Another command works with this home: the next round takes its turn.
            _LOG.warning("stillwatch: %s", error)
            waking.sleep(_FIRST_PAUSE)
            due = time.monotonic()
        else:
            if listen and not woken:
                _listen(desk, names, waking, heard)
            woken = waking.wait(max(0.0, due - time.monotonic()))
        if waking.ended:
            return


def _listen(
    desk: Desk, names: Sequence[str], waking: Waking, heard: dict[str, threading.Thread]
) -> None:
    """Begin to follow what is not followed: channels are joined, and servers learn."""
    state = desk.home.state
    for channel in [state.channel(each) for each in names] or state.channels():
        thread = heard.get(channel.channel_id)
        following = thread is not None and thread.is_alive()
        if not following and channel.standing not in ("removed", "left"):
            heard[channel.channel_id] = _start(desk, channel, waking)


def _start(desk: Desk, channel: ChannelRow, waking: Waking) -> threading.Thread:
    bulk = desk.hub_of(channel).bulk(channel.collection_id)
    listener = Listener(bulk, channel.name, waking)
    # It may sit in a read when the program ends, and holds nothing that must be put in order.
    thread = threading.Thread(target=listener.run, name=f"events-{channel.name}", daemon=True)
    thread.start()
    return thread
