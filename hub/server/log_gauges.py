"""How large a hub's logs are, for its metrics; looked up at most every few seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from hub.server.metrics import Metrics
from hub.store.interface import Store
from hub.store.records import Kind

_KEPT_SECONDS: Final = 10.0


class LogGauges:
    """Counts logs and their leaves, all channels together.

    Args:
        store: asked on the thread of whoever scrapes.
        monotonic: clock in seconds.
    """

    def __init__(self, store: Store, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._read = float("-inf")
        self._logs = self._leaves = 0

    def watch(self, metrics: Metrics) -> None:
        """Have them told among the metrics."""
        metrics.watch("stillwatch_logs", lambda: self._counts()[0])
        metrics.watch("stillwatch_log_leaves", lambda: self._counts()[1])

    def _counts(self) -> tuple[int, int]:
        with self._lock:
            now = self._monotonic()
            if now - self._read >= _KEPT_SECONDS:
                sizes = [
                    self._store.log_size(collection.id)
                    for collection in self._store.collections()
                    if collection.kind is Kind.CHANNEL
                ]
                self._logs, self._leaves = len(sizes), sum(sizes)
                self._read = now
            return self._logs, self._leaves
