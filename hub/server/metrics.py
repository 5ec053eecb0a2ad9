"""What a hub process counts about itself, and how that reads to Prometheus.

One `Metrics` belongs to one application; nothing is global. The counters are plain numbers, each
group of them filled by one thread or under a lock, and become Prometheus' families only when
somebody asks: a request pays about a microsecond. No label ever holds a name, an identifier or
anything else that a client chooses, so that neither the number of series nor what they tell grows
with the members.
"""

from __future__ import annotations

import logging
import platform
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from hub.errors import StillwatchError, StoreError
from hub.server.refusals import (
    BusyError,
    ForbiddenError,
    HeadersTooLargeError,
    HiddenError,
    LengthMismatchError,
    TooLargeError,
    TooManyFailuresError,
    TooManyRequestsError,
    TooSlowError,
    UnauthenticatedError,
    status_of,
)
from hub.store.clock import steady_seconds, wall_micros
from hub.store.records import Appended

_logger = logging.getLogger("stillwatch.metrics")
T = TypeVar("T")

REQUEST_SECONDS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
COMMIT_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
BATCH_OBJECTS: Final = (1.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 5_000.0, 20_000.0)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS"})
_REASONS: Final[tuple[tuple[type[StillwatchError], str], ...]] = (
    (UnauthenticatedError, "auth"),
    (TooManyFailuresError, "login_failures"),
    (ForbiddenError, "permission"),
    (HiddenError, "hidden"),
    (TooLargeError, "size"),
    (HeadersTooLargeError, "size"),
    (TooManyRequestsError, "rate"),
    (TooSlowError, "slow_body"),
    (LengthMismatchError, "broken_off"),
    (BusyError, "queue"),
    (StoreError, "store"),
)
_REASON_OF_STATUS: Final[Mapping[int, str]] = {429: "rate", 409: "conflict", 500: "internal"}
"""For errors that stand in no line above; any other is called malformed."""

WATCHED: Final[Mapping[str, str]] = {
    "stillwatch_appender_queue_objects": "Objects that wait for the appender.",
    "stillwatch_appender_queue_bytes": "Bytes that wait for the appender.",
    "stillwatch_store_pool_size": "Connections to the database that are open.",
    "stillwatch_store_pool_used": "Connections to the database that are in use.",
    "stillwatch_store_pool_waiting": "Requests that wait for a connection to the database.",
    "stillwatch_event_streams": "Subscribers that listen for events.",
    "stillwatch_segment_cache_bytes": "Bytes of compressed segments that are kept.",
    "stillwatch_logs": "Logs of channels.",
    "stillwatch_log_leaves": "Leaves of all logs together.",
    "stillwatch_logs_without_quorum": "Logs whose newest checkpoint lacks the witnesses' quorum.",
    "stillwatch_cosignature_age_seconds": "Age of the oldest checkpoint with a quorum.",
    "stillwatch_ready": "1 while /readyz answers 200 as far as this process decides it.",
}
"""Gauges that are read when somebody asks: name -> help. See `Metrics.watch`."""

TALLIED: Final[Mapping[str, tuple[str, str]]] = {
    "stillwatch_segment_cache_requests": ("Look-ups of cached segments.", "result"),
    "stillwatch_events": ("Announcements to subscribers.", "kind"),
    "stillwatch_checkpoints": ("Checkpoints signed, cosigned, and attempts that failed.", "result"),
}
"""Counters that are read likewise: name -> help, label. See `Metrics.tally`."""


def reason_of(error: StillwatchError) -> str:
    """Why a request was refused, as one of few words."""
    for family, reason in _REASONS:
        if isinstance(error, family):
            return reason
    return _REASON_OF_STATUS.get(status_of(error)[0], "malformed")


class Spread:
    """A histogram that one thread fills.

    Args:
        bounds: upper bounds, ascending; beyond the last is one more bucket.
    """

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def read(self) -> tuple[list[tuple[str, float]], float]:
        """Cumulative (bound, count) pairs up to +Inf, and the sum."""
        total, pairs = 0, []
        for bound, count in zip((*self._bounds, float("inf")), list(self._counts), strict=True):
            total += count
            pairs.append(("+Inf" if bound == float("inf") else repr(bound), float(total)))
        return pairs, self._sum


class Metrics:
    """See the module's text.

    Args:
        store: what kind of store is behind, for the build information: "sqlite", "postgresql".
        version: of the program.
        process: also tell memory, processor time and descriptors of this process.
    """

    def __init__(self, *, store: str = "", version: str = "", process: bool = True) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._build = {
            "version": version,
            "python": platform.python_version(),
            "store": store,
        }
        # Filled by the event loop alone.
        self._requests: dict[tuple[str, str, int], Spread] = {}
        self._received = self._sent = 0
        self._in_flight = 0
        self._refused: Counter[str] = Counter()
        # Filled by the appender's thread alone.
        self._batches = Spread(BATCH_OBJECTS)
        self._commits = Spread(COMMIT_SECONDS)
        self._fates: Counter[str] = Counter()
        # Filled by any thread.
        self._lock = threading.Lock()
        self._failed = {"clock": 0, "store": 0}
        self._watched: dict[str, Callable[[], float]] = {}
        self._tallied: dict[str, Callable[[], Mapping[str, float]]] = {}
        self._clock = wall_micros() / 1e6 - steady_seconds()
        self.registry.register(_Own(self._families))
        if process:
            ProcessCollector(registry=self.registry)

    # -- requests: called on the event loop -------------------------------------------------------

    def began(self) -> None:
        """A request arrived."""
        self._in_flight += 1

    def ended(
        self, route: str, method: str, status: int, *, received: int, sent: int, seconds: float
    ) -> None:
        """A request that `began` is over.

        Args:
            route: path of the route's table, with its braces; "" for none.
            method: as sent.
            status: of the answer; 0 when there was none.
            received: bytes of the request's body that were read.
            sent: bytes of the answer's body.
            seconds: from the first to the last.
        """
        self._in_flight -= 1
        self._received += received
        self._sent += sent
        key = (route, method, status // 100)
        spread = self._requests.get(key)
        if spread is None:
            if method not in _METHODS:
                # A client chooses these; one series for all of them.
                key = (route, "other", status // 100)
            spread = self._requests.setdefault(key, Spread(REQUEST_SECONDS))
        spread.observe(seconds)

    def refused(self, reason: str) -> None:
        """A request was refused; `reason` comes from `reason_of` or is a literal."""
        self._refused[reason] += 1

    # -- the appender: called on its thread -------------------------------------------------------

    def committed(self, *, seconds: float, appended: Iterable[Appended], refused: int = 0) -> None:
        """A transaction of the appender ended well.

        Args:
            seconds: from taking the locks to the commit.
            appended: the fates of all objects that were let through.
            refused: objects that the review refused.
        """
        objects = refused
        for one in appended:
            self._fates[one.outcome.value] += 1
            objects += 1
        if refused:
            self._fates["refused"] += refused
        self._batches.observe(objects)
        self._commits.observe(seconds)

    # -- anything else: any thread ----------------------------------------------------------------

    def store_failed(self, where: str | None = None) -> None:
        """The store raised; `where` is the error's field, of which only the clock matters."""
        with self._lock:
            self._failed["clock" if where == "clock" else "store"] += 1

    def watch(self, name: str, read: Callable[[], float]) -> None:
        """Have a gauge read when somebody asks, on a thread of its own.

        Args:
            name: one of `WATCHED`; a second call replaces the first.
            read: quick, safe from any thread; what it raises leaves the gauge out.
        """
        if name not in WATCHED:
            raise ValueError(f"no gauge is called {name}")
        self._watched[name] = read

    def tally(self, name: str, read: Callable[[], Mapping[str, float]]) -> None:
        """Have counters read likewise.

        Args:
            name: one of `TALLIED`; a second call replaces the first.
            read: as in `watch`; value of the label -> count since the process began.
        """
        if name not in TALLIED:
            raise ValueError(f"no counter is called {name}")
        self._tallied[name] = read

    # -- reading ----------------------------------------------------------------------------------

    def _families(self) -> Iterator[Metric]:
        yield from self._request_families()
        yield from self._appender_families()
        yield self._failures()
        for name, read in list(self._watched.items()):
            if (value := _read(name, read)) is not None:
                yield _gauge(name, WATCHED[name], float(value))
        for name, tell in list(self._tallied.items()):
            if (values := _read(name, tell)) is not None:
                yield _by(name, *TALLIED[name], values)
        drift = wall_micros() / 1e6 - steady_seconds() - self._clock
        yield _gauge("stillwatch_clock_drift_seconds", "Wall clock against steady clock.", drift)
        build = GaugeMetricFamily("stillwatch_build_info", "Always 1.", labels=list(self._build))
        build.add_metric(list(self._build.values()), 1)
        yield build

    def _request_families(self) -> Iterator[Metric]:
        durations = HistogramMetricFamily(
            "stillwatch_http_request_duration_seconds",
            "Time from a request's headers to the end of its answer.",
            labels=["route", "method", "status"],
        )
        for (route, method, hundreds), spread in sorted(self._requests.items()):
            buckets, total = spread.read()
            status = f"{hundreds}xx" if hundreds else "none"
            durations.add_metric([route or "none", method, status], buckets, total)
        yield durations
        yield _gauge("stillwatch_http_requests_in_flight", "Requests under way.", self._in_flight)
        yield _counter("stillwatch_http_received_bytes", "Bytes of bodies read.", self._received)
        yield _counter("stillwatch_http_sent_bytes", "Bytes of bodies sent.", self._sent)
        yield _by(
            "stillwatch_http_refused",
            "Requests refused, by reason.",
            "reason",
            {reason: 0 for _, reason in _REASONS} | dict(self._refused),
        )

    def _appender_families(self) -> Iterator[Metric]:
        yield _histogram(
            "stillwatch_appender_batch_objects", "Objects in one transaction.", self._batches
        )
        yield _histogram(
            "stillwatch_appender_commit_duration_seconds",
            "Time of one transaction, with its locks.",
            self._commits,
        )
        fates = dict.fromkeys(("stored", "duplicate", "conflict", "refused"), 0)
        yield _by("stillwatch_objects", "Objects posted, by fate.", "fate", fates | self._fates)

    def _failures(self) -> Metric:
        with self._lock:
            failed = dict(self._failed)
        return _by("stillwatch_store_errors", "Failures of the store.", "kind", failed)


class _Own(Collector):
    """Gives a registry what a function makes."""

    def __init__(self, families: Callable[[], Iterator[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return self._families()


def _read(name: str, read: Callable[[], T]) -> T | None:
    """What a callback says; None, and a line in the log, when it fails."""
    try:
        return read()
    except StillwatchError as error:
        fields = {"metric": name, "cause": error.message}
        _logger.warning("a metric could not be read", extra={"fields": fields})
    except Exception:
        # One of them must not cost an operator all the others.
        _logger.exception("a metric failed", extra={"fields": {"metric": name}})
    return None


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _by(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for kind, value in sorted(values.items()):
        family.add_metric([kind], value)
    return family


def _histogram(name: str, text: str, spread: Spread) -> Metric:
    buckets, total = spread.read()
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=total)
