"""What metrics read from the parts of a hub when somebody scrapes; nothing here costs a request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol, runtime_checkable

from hub.server.cosigning import Cosigner
from hub.server.logbook import Logbook
from hub.server.metrics import Metrics
from hub.server.push import Push
from hub.store.interface import Store
from hub.store.records import Kind

_KEPT_SECONDS: Final = 10.0
_NO_POOL: Final = {"size": 0, "available": 0, "waiting": 0}


@runtime_checkable
class _Pooled(Protocol):
    def pool(self) -> Mapping[str, int]: ...


class LogGauges:
    """Counts logs and their leaves, all channels together, at most every few seconds.

    Args:
        store: asked on the thread of whoever scrapes.
        monotonic: clock in seconds.
    """

    def __init__(self, store: Store, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._read = float("-inf")
        self._sizes: dict[str, int] = {}

    def sizes(self) -> Mapping[str, int]:
        """Collection id -> leaves of its log."""
        with self._lock:
            now = self._monotonic()
            if now - self._read >= _KEPT_SECONDS:
                self._sizes = {
                    collection.id: self._store.log_size(collection.id)
                    for collection in self._store.collections()
                    if collection.kind is Kind.CHANNEL
                }
                self._read = now
            return self._sizes


def watch(
    metrics: Metrics,
    store: Store,
    push: Push,
    logbook: Logbook,
    cosigner: Cosigner,
    *,
    ready: Callable[[], bool],
) -> None:
    """Have everything that these know told among the metrics.

    Args:
        metrics: where to tell it.
        store: its pool of connections, and the sizes of logs.
        push: streams and cached segments.
        logbook: how many checkpoints were signed.
        cosigner: what witnesses did.
        ready: whether this process has not begun to leave.
    """
    logs = LogGauges(store)
    pool = store.pool if isinstance(store, _Pooled) else lambda: _NO_POOL
    metrics.watch("stillwatch_ready", ready)
    metrics.watch("stillwatch_logs", lambda: len(logs.sizes()))
    metrics.watch("stillwatch_log_leaves", lambda: sum(logs.sizes().values()))
    metrics.watch("stillwatch_logs_without_quorum", lambda: cosigner.standing(logs.sizes())[0])
    metrics.watch("stillwatch_cosignature_age_seconds", lambda: cosigner.standing(logs.sizes())[1])
    metrics.watch("stillwatch_store_pool_size", lambda: pool()["size"])
    metrics.watch("stillwatch_store_pool_used", lambda: pool()["size"] - pool()["available"])
    metrics.watch("stillwatch_store_pool_waiting", lambda: pool()["waiting"])
    metrics.watch("stillwatch_event_streams", lambda: push.events.streams)
    metrics.watch("stillwatch_segment_cache_bytes", lambda: push.segments.bytes)
    metrics.tally(
        "stillwatch_segment_cache_requests",
        lambda: {"hit": push.segments.hits, "miss": push.segments.misses},
    )
    metrics.tally("stillwatch_events", lambda: {"added": push.events.told})
    metrics.tally(
        "stillwatch_checkpoints",
        lambda: {
            "signed": logbook.signed,
            "cosigned": cosigner.answered,
            "failed": cosigner.failed,
        },
    )
