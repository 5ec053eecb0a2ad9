"""The last resort of a process that has been told to stop: an end at a time that was promised."""

from __future__ import annotations

import logging
import os
import threading
from typing import Final

_logger = logging.getLogger("stillwatch.server")
ABANDONED: Final = 6
"""Exit code, as of other failures of the store or the machine."""


def end_within(seconds: float) -> None:
    """End this process after a while, unless it has ended by itself.

    For what hangs in spite of everything: a task that does not let itself be cancelled, a thread
    that waits for a disk. What was acknowledged is durable by then; nothing else is waited for.

    Args:
        seconds: from now on.
    """
    timer = threading.Timer(seconds, _abandon)
    timer.name = "stillwatch-deadline"
    timer.daemon = True
    timer.start()


def _abandon() -> None:
    running = sorted(each.name for each in threading.enumerate() if each.is_alive())
    _logger.critical(
        "did not end in time: what still runs is abandoned", extra={"fields": {"threads": running}}
    )
    logging.shutdown()
    os._exit(ABANDONED)
