"""The negative control: a slow hub that hears signals as asyncio does.

Run as `python -m tests.faults.deaf_hub hub serve ...`. Nothing of this is in the package.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping

from hub import serving
from hub.cli.main import main
from tests.faults.slow_hub import slow_down


@contextlib.contextmanager
def as_asyncio_does(calls: Mapping[signal.Signals, Callable[[], None]]) -> Iterator[None]:
    """In place of `hub.signals.heard`: the pipe that wakes the loop takes the signals, too."""
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


if __name__ == "__main__":
    slow_down()
    vars(serving)["heard"] = as_asyncio_does
    main()
