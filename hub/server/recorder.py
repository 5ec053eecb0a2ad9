"""The audit log's one writer in this process, off the way of requests that need not wait for it.

Lines that come while a transaction runs go into the next one together, so that a hundred waiting
requests cost one commit. Who waits has its line durable before it answers: what cannot be recorded
is not done.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final

from hub.errors import StillwatchError
from hub.server.refusals import BusyError
from hub.store.interface import AuditStore
from hub.store.records import AuditNote

_logger = logging.getLogger("stillwatch.recorder")
_MOST_WAITING: Final = 10_000
_BATCH: Final = 500

_Job = tuple[Sequence[AuditNote], "Future[None]"]


class Recorder:
    """Appends to the audit log in a thread of its own.

    Args:
        store: keeps the log.
    """

    def __init__(self, store: AuditStore) -> None:
        self._store = store
        self._jobs: queue.Queue[_Job | None] = queue.Queue(_MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._open = False
        self._door = threading.Lock()

    def start(self) -> None:
        """Begin."""
        self._open = True
        self._thread = threading.Thread(target=self._write, name="stillwatch-audit", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end; again is fine."""
        with self._door:
            # From here on nothing is put behind the end.
            self._open = False
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def submit(self, notes: Sequence[AuditNote]) -> Future[None]:
        """Append lines; the future ends when they are durable, or tells why they are not.

        Raises:
            BusyError: too many lines wait, or the hub is stopping.
        """
        done: Future[None] = Future()
        with self._door:
            if not self._open:
                raise BusyError("the hub is stopping", headers={"retry-after": "1"})
            try:
                self._jobs.put_nowait((notes, done))
            except queue.Full as error:
                raise BusyError("the audit log is behind", headers={"retry-after": "1"}) from error
        return done

    def _write(self) -> None:
        while (job := self._jobs.get()) is not None:
            batch, ended = self._gather(job)
            self._append(batch)
            if ended:
                return

    def _gather(self, first: _Job) -> tuple[list[_Job], bool]:
        batch = [first]
        while len(batch) < _BATCH:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return batch, True
            batch.append(job)
        return batch, False

    def _append(self, gathered: Sequence[_Job]) -> None:
        # From here on the wait cannot be cancelled; whoever did so before reads nothing.
        batch = [job for job in gathered if job[1].set_running_or_notify_cancel()]
        try:
            self._store.audit_all([note for notes, _ in batch for note in notes])
        except StillwatchError as error:
            _logger.exception("lines of the audit log were not written")
            _fail(batch, error)
        except Exception:
            # This thread must outlive whatever happens: all recorded reads wait for it.
            _logger.exception("the audit log's writer failed")
            _fail(batch, StillwatchError("the hub could not record the read"))
        else:
            for _, done in batch:
                done.set_result(None)


def _fail(batch: Sequence[_Job], error: StillwatchError) -> None:
    for _, done in batch:
        done.set_exception(error)
