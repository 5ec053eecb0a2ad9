"""The one writer of a hub process: a bounded queue, batches across requests, then the answer.

Each post waits in a queue that is bounded in objects and bytes. One thread takes what has gathered,
has channel messages checked in the order in which they will be stored, writes everything in one
transaction, and only after the commit lets the requests answer. Stamping `date_added` anywhere else
(before the commit, or in several writers) loses objects to pollers.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from hub.errors import AccessError, InputError, StillwatchError, StoreError
from hub.server.metrics import Metrics
from hub.server.refusals import BusyError
from hub.server.tracing import OFF, Tracing
from hub.settings import HubLimits
from hub.store.interface import Store
from hub.store.records import Appended, Batch, NewObject, StatusRecord

_logger = logging.getLogger("stillwatch.appender")


class Screen(Protocol):
    """A check that depends on what is stored before, so that only the writer may run it."""

    def review(self, items: Sequence[NewObject]) -> Sequence[str | None]:
        """Judge objects in order: None to store, else the reason of the refusal.

        Raises:
            AccessError: the poster may write none of them.
        """
        ...

    def committed(self) -> None:
        """The reviewed objects are stored."""
        ...

    def failed(self) -> None:
        """The reviewed objects were not stored: forget what the review concluded."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a post.

    Args:
        appended: fates of the objects that were let through, in order.
        refused: index into `Post.items` -> reason, of those that were not.
        status: the status resource that was stored with them.
    """

    appended: Sequence[Appended]
    refused: dict[int, str]
    status: StatusRecord


@dataclass(frozen=True, slots=True)
class Post:
    """Objects of one request for one collection.

    Args:
        collection_id: where to.
        items: at least one object, or none when all failed before they came here.
        report: makes the status resource, inside the transaction.
        screen: see `Screen`; None for collections whose objects are judged one by one.
    """

    collection_id: str
    items: Sequence[NewObject]
    report: Callable[[Sequence[Appended], dict[int, str]], StatusRecord]
    screen: Screen | None = None

    @property
    def size(self) -> int:
        """Bytes of all bodies."""
        return sum(len(item.raw) for item in self.items)


@dataclass(slots=True)
class _Waiting:
    post: Post
    objects: int
    size: int
    link: object | None = None
    answer: Future[Verdict] = field(default_factory=Future)


@dataclass(slots=True)
class _Reviewed:
    waiting: _Waiting
    refused: dict[int, str]
    verdict: Verdict | None = None

    def batch(self) -> Batch:
        post = self.waiting.post
        passed = [item for index, item in enumerate(post.items) if index not in self.refused]

        def status(appended: Sequence[Appended]) -> StatusRecord:
            record = post.report(appended, self.refused)
            self.verdict = Verdict(appended, self.refused, record)
            return record

        return Batch(post.collection_id, passed, status)


class Appender:
    """See the module's text.

    Args:
        store: where to write.
        limits: sizes of queue and batch.
    """

    def __init__(self, store: Store, limits: HubLimits) -> None:
        self._store = store
        self._limits = limits
        self._queue: deque[_Waiting] = deque()
        self._objects = 0
        self._bytes = 0
        self._stopping = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._metrics = Metrics(process=False)
        self._tracing = OFF

    def count_in(self, metrics: Metrics, tracing: Tracing = OFF) -> None:
        """Count the queue, batches and failures there, and trace; call it before `start`."""
        self._metrics, self._tracing = metrics, tracing
        metrics.watch("stillwatch_appender_queue_objects", lambda: self._objects)
        metrics.watch("stillwatch_appender_queue_bytes", lambda: self._bytes)

    def start(self) -> None:
        """Start the writing thread."""
        self._thread = threading.Thread(target=self._run, name="stillwatch-appender")
        self._thread.start()

    def stop(self) -> None:
        """Refuse new posts, write all that wait, and end; again is fine."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    @property
    def waiting(self) -> int:
        """Objects in the queue."""
        return self._objects

    def submit(self, post: Post) -> Future[Verdict]:
        """Queue a post; the future is done after the commit.

        A post that is larger than the whole queue is taken when nothing else waits.

        Raises:
            BusyError: the queue is full, or the hub is stopping.
        """
        waiting = _Waiting(post, objects=max(1, len(post.items)), size=post.size)
        waiting.link = self._tracing.current()
        retry = {"retry-after": str(self._limits.retry_after_seconds)}
        with self._changed:
            if self._stopping:
                raise BusyError("the hub is stopping", headers=retry)
            full = (
                self._objects + waiting.objects > self._limits.queue_objects
                or self._bytes + waiting.size > self._limits.queue_bytes
            )
            if full and self._queue:
                raise BusyError("too many objects wait to be stored", headers=retry)
            self._queue.append(waiting)
            self._objects += waiting.objects
            self._bytes += waiting.size
            self._changed.notify_all()
        return waiting.answer

    def _run(self) -> None:
        while not self._ended():
            gathered = self._gather()
            if gathered:
                self._process(gathered)

    def _ended(self) -> bool:
        with self._changed:
            return self._stopping and not self._queue

    def _gather(self) -> list[_Waiting]:
        with self._changed:
            while not self._queue and not self._stopping:
                self._changed.wait()
            gathered: list[_Waiting] = []
            objects = 0
            while self._queue and (
                not gathered or objects + self._queue[0].objects <= self._limits.batch_objects
            ):
                waiting = self._queue.popleft()
                objects += waiting.objects
                self._objects -= waiting.objects
                self._bytes -= waiting.size
                # From here on the answer cannot be cancelled; one cancelled before is not wanted.
                if waiting.answer.set_running_or_notify_cancel():
                    gathered.append(waiting)
            return gathered

    def _process(self, gathered: Sequence[_Waiting]) -> None:
        reviewed = [review for waiting in gathered if (review := self._review(waiting))]
        if not reviewed:
            return
        began = time.perf_counter()
        try:
            links = [review.waiting.link for review in reviewed]
            with self._tracing.transaction(links, sum(one.waiting.objects for one in reviewed)):
                self.commit([review.batch() for review in reviewed])
        except InputError as error:
            if len(reviewed) == 1:
                self._refuse(reviewed, error)
                return
            _forget(reviewed)
            # One post must not cost the others theirs.
            for review in reviewed:
                self._process([review.waiting])
        except StoreError as error:
            self._metrics.store_failed(error.where)
            _logger.error("could not store", extra={"fields": {"cause": error.message}})
            self._refuse(reviewed, error)
        except Exception:
            _logger.exception("the appender failed")
            self._refuse(reviewed, StillwatchError("the hub could not store the objects"))
        else:
            self._count(reviewed, time.perf_counter() - began)
            for review in reviewed:
                self._acknowledge(review)

    def _count(self, reviewed: Sequence[_Reviewed], seconds: float) -> None:
        fates = [one for each in reviewed if each.verdict for one in each.verdict.appended]
        refused = sum(len(review.refused) for review in reviewed)
        self._metrics.committed(seconds=seconds, appended=fates, refused=refused)

    def _review(self, waiting: _Waiting) -> _Reviewed | None:
        screen = waiting.post.screen
        if screen is None:
            return _Reviewed(waiting, {})
        try:
            with self._tracing.review(waiting.link, len(waiting.post.items)):
                reasons = screen.review(waiting.post.items)
        except (AccessError, InputError, StoreError) as error:
            screen.failed()
            _answer(waiting, error)
            return None
        except Exception:
            _logger.exception("the check of channel messages failed")
            screen.failed()
            _answer(waiting, StillwatchError("the hub could not check the messages"))
            return None
        refused = {index: reason for index, reason in enumerate(reasons) if reason is not None}
        return _Reviewed(waiting, refused)

    def commit(self, batches: Sequence[Batch]) -> None:
        """Write batches in one transaction; durable on return."""
        self._store.append_batches(batches)

    def _acknowledge(self, review: _Reviewed) -> None:
        screen = review.waiting.post.screen
        if screen is not None:
            screen.committed()
        assert review.verdict is not None
        review.waiting.answer.set_result(review.verdict)

    def _refuse(self, reviewed: Sequence[_Reviewed], error: Exception) -> None:
        _forget(reviewed)
        for review in reviewed:
            _answer(review.waiting, error)


def _forget(reviewed: Sequence[_Reviewed]) -> None:
    for review in reviewed:
        if review.waiting.post.screen is not None:
            review.waiting.post.screen.failed()


def _answer(waiting: _Waiting, error: Exception) -> None:
    waiting.answer.set_exception(error)
