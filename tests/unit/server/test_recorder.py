"""Lines of the audit log: written together, never lost on a clean stop, and refused when late."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from hub.errors import StillwatchError, StoreError
from hub.server.recorder import Recorder
from hub.server.refusals import BusyError
from hub.store.records import AuditNote, AuditRow
from hub.store.sqlite import SqliteStore


class Slow(SqliteStore):
    """A store whose audit waits to be let on, and counts its transactions."""

    gate = threading.Event()
    transactions = 0

    def audit_all(self, notes: Sequence[AuditNote]) -> list[AuditRow]:
        self.gate.wait(20)
        self.transactions += 1
        return super().audit_all(notes)


@pytest.fixture
def store(tmp_path: Path) -> Slow:
    opened = Slow.open(tmp_path / "hub.db")
    assert isinstance(opened, Slow)
    opened.gate = threading.Event()
    return opened


def test_what_waits_is_written_together_and_before_the_end(store: Slow) -> None:
    recorder = Recorder(store)
    recorder.start()
    waiting = [recorder.submit([AuditNote(f"event.{number}")]) for number in range(50)]
    store.gate.set()
    recorder.stop()
    assert all(one.done() and one.exception() is None for one in waiting)
    assert len(store.audit_rows()) == store.verify_audit() == 50
    assert store.transactions <= 2
    with pytest.raises(BusyError):
        recorder.submit([AuditNote("late")])
    recorder.stop()
    store.close()


def test_who_waits_is_told_of_a_failure(store: Slow) -> None:
    def full(notes: Sequence[AuditNote]) -> list[AuditRow]:
        raise StoreError("the disk is full")

    vars(store)["audit_all"] = full
    recorder = Recorder(store)
    recorder.start()
    done = recorder.submit([AuditNote("event")])
    with pytest.raises(StoreError, match="full"):
        done.result(20)
    del vars(store)["audit_all"]
    store.gate.set()
    recorder.submit([AuditNote("event")]).result(20)
    recorder.stop()
    store.close()


@pytest.mark.parametrize("failure", ["cancelled", "unforeseen"])
def test_the_writer_outlives_whoever_waits(store: Slow, failure: str) -> None:
    recorder = Recorder(store)
    recorder.start()
    if failure == "cancelled":
        # Its request was broken off while it waited behind another.
        first, second = recorder.submit([AuditNote("first")]), recorder.submit([AuditNote("gone")])
        first.cancel()
        second.cancel()
    else:

        def broken(notes: Sequence[AuditNote]) -> list[AuditRow]:
            raise RuntimeError("not foreseen")

        vars(store)["audit_all"] = broken
        with pytest.raises(StillwatchError, match="record"):
            recorder.submit([AuditNote("event")]).result(20)
        del vars(store)["audit_all"]
    store.gate.set()
    recorder.submit([AuditNote("event")]).result(20)
    recorder.stop()
    store.close()
