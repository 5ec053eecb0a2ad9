"""The one writer of a hub process: a bounded queue, batches across requests, then the answer.

Each post waits in a queue that is bounded in objects and bytes. One thread takes what has gathered,
opens a transaction that locks the heads of the collections concerned, has channel messages checked
in the order in which they will be stored, writes everything, and only after the commit lets the
requests answer. Other processes do the same: under the locks nobody else stores there, so what is
checked is checked against everything before it. Stamping `date_added` outside of the locks loses
objects to pollers.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, Protocol

from hub.errors import AccessError, InputError, StillwatchError, StoreError
from hub.server.metrics import Metrics
from hub.server.refusals import BusyError
from hub.server.tracing import OFF, Tracing
from hub.settings import HubLimits
from hub.store.interface import Appending, Store
from hub.store.records import Appended, Batch, NewObject, StatusRecord

_logger = logging.getLogger("stillwatch.appender")
LINGER_SECONDS: Final = 0.004
"""How long posts are waited for when several came together before: they will again."""


class Screen(Protocol):
    """A check that depends on what is stored before, so that only the writer may run it."""

    def review(self, items: Sequence[NewObject], appending: Appending) -> Sequence[str | None]:
        """Judge objects in order: None to store, else the reason of the refusal.

        Args:
            items: of one post.
            appending: the transaction that will store them; it gives what is stored before.
        Raises:
            AccessError: the poster may write none of them.
            StoreError: what is stored cannot be read.
        """
        ...

    def committed(self, head: int | None) -> None:
        """The reviewed objects are stored; `head` is their collection's last date_added."""
        ...

    def failed(self) -> None:
        """The transaction was undone: forget what any review in it concluded."""
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
class Waiting:
    """A post in the queue; `link` is the trace that it came with."""

    post: Post
    objects: int
    size: int
    link: object | None = None
    answer: Future[Verdict] = field(default_factory=Future)


@dataclass(slots=True)
class Reviewed:
    """A post on its way through a transaction.

    Args:
        waiting: the post.
        refused: see `Verdict`.
        error: why none of it is stored, when that was found in the review.
        verdict: once it is written.
        head: of its collection at the end of the transaction.
    """

    waiting: Waiting
    refused: dict[int, str]
    error: StillwatchError | None = None
    verdict: Verdict | None = None
    head: int | None = None

    def batch(self) -> Batch:
        """What is to be stored of it."""
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
        self._queue: deque[Waiting] = deque()
        self._objects = 0
        self._bytes = 0
        self._crowd = 1
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
        waiting = Waiting(post, objects=max(1, len(post.items)), size=post.size)
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
            if len(self._queue) == 1 or len(self._queue) >= self._crowd:
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

    def _gather(self) -> list[Waiting]:
        with self._changed:
            while not self._queue and not self._stopping:
                self._changed.wait()
            if self._crowd > 1 and not self._stopping:
                self._changed.wait_for(self._gathered, LINGER_SECONDS)
            gathered: list[Waiting] = []
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
            self._crowd = len(gathered)
            return gathered

    def _gathered(self) -> bool:
        return len(self._queue) >= self._crowd or self._stopping

    def _process(self, gathered: Sequence[Waiting]) -> None:
        began = time.perf_counter()
        try:
            links = [waiting.link for waiting in gathered]
            with self._tracing.transaction(links, sum(one.objects for one in gathered)):
                reviewed = self.commit(gathered)
        except StoreError as error:
            self._metrics.store_failed(error.where)
            _logger.error("could not store", extra={"fields": {"cause": error.message}})
            _refuse(gathered, error)
        except InputError as error:
            self._part(gathered, error)
        except Exception:
            _logger.exception("the appender failed")
            self._part(gathered, StillwatchError("the hub could not store the objects"))
        else:
            self._settle(reviewed, time.perf_counter() - began)

    def _settle(self, reviewed: Sequence[Reviewed], seconds: float) -> None:
        """What follows a commit; nothing of it may end this thread, or cost a post its answer."""
        try:
            self._count(reviewed, seconds)
        except Exception:
            _logger.exception("a commit could not be counted")
        for review in reviewed:
            try:
                _publish(review)
            except Exception:
                _logger.exception("what is stored could not be made known")
            _acknowledge(review)

    def _part(self, gathered: Sequence[Waiting], error: StillwatchError) -> None:
        """One post must not cost the others theirs: those that came together go one by one."""
        if len(gathered) == 1:
            _refuse(gathered, error)
            return
        _forget(gathered)
        for waiting in gathered:
            self._process([waiting])

    def _count(self, reviewed: Sequence[Reviewed], seconds: float) -> None:
        fates = [one for each in reviewed if each.verdict for one in each.verdict.appended]
        refused = sum(len(review.refused) for review in reviewed)
        self._metrics.committed(seconds=seconds, appended=fates, refused=refused)

    def commit(self, gathered: Sequence[Waiting]) -> list[Reviewed]:
        """Review and write posts in one transaction; durable on return.

        Raises:
            InputError: one of them cannot be stored, so none is.
            StoreError: the store failed, or nobody knows whether it did.
        """
        ids = list(dict.fromkeys(waiting.post.collection_id for waiting in gathered))
        with self._store.appending(ids) as appending:
            reviewed = [self._review(waiting, appending) for waiting in gathered]
            passed = [review for review in reviewed if review.error is None]
            appending.append_all([review.batch() for review in passed])
            for review in reviewed:
                review.head = appending.head(review.waiting.post.collection_id)
        return reviewed

    def _review(self, waiting: Waiting, appending: Appending) -> Reviewed:
        screen = waiting.post.screen
        if screen is None:
            return Reviewed(waiting, {})
        try:
            with self._tracing.review(waiting.link, len(waiting.post.items)):
                reasons = screen.review(waiting.post.items, appending)
        except (AccessError, InputError) as error:
            return Reviewed(waiting, {}, error=error)
        refused = {index: reason for index, reason in enumerate(reasons) if reason is not None}
        return Reviewed(waiting, refused)


def _publish(review: Reviewed) -> None:
    screen = review.waiting.post.screen
    if screen is not None:
        screen.committed(review.head)


def _acknowledge(review: Reviewed) -> None:
    if review.error is not None:
        review.waiting.answer.set_exception(review.error)
        return
    assert review.verdict is not None
    review.waiting.answer.set_result(review.verdict)


def _refuse(gathered: Sequence[Waiting], error: Exception) -> None:
    _forget(gathered)
    for waiting in gathered:
        waiting.answer.set_exception(error)


def _forget(gathered: Sequence[Waiting]) -> None:
    for waiting in gathered:
        if waiting.post.screen is not None:
            waiting.post.screen.failed()
