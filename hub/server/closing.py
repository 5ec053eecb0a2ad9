"""Ending the parts of a hub in order, whatever one of them does.

A part that fails to end, or hangs, costs the others nothing: each gets its turn and its time. What
does not end in time is left behind; the process ends anyway.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

_logger = logging.getLogger("stillwatch.server")


async def ended(part: str, ending: Awaitable[object], seconds: float) -> None:
    """Wait until a part has ended; that it fails or takes too long is logged.

    Args:
        part: for the log.
        ending: ends it.
        seconds: its time.
    """
    try:
        async with asyncio.timeout(seconds):
            await ending
    except TimeoutError:
        fields = {"seconds": seconds}
        _logger.error("%s did not end in time and is left behind", part, extra={"fields": fields})
    except Exception:
        _logger.exception("%s failed to end", part)


async def in_a_thread(work: Callable[[], object]) -> None:
    """Do what waits for threads, in one that nobody waits for when this is given up.

    Unlike `asyncio.to_thread`, whose threads the event loop waits for at its own end.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="stillwatch-closing")
    try:
        await asyncio.get_running_loop().run_in_executor(pool, work)
    finally:
        pool.shutdown(wait=False)
