"""Writers of one file in a line; each `Turns` here stands for a process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.store.sqlite.turns import Turns

SECONDS = 10


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Turns]:
    made = Turns.beside(tmp_path / "hub.db", SECONDS)
    yield made
    made.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Turns]:
    made = Turns.beside(tmp_path / "hub.db", SECONDS)
    yield made
    made.close()


def test_who_has_written_does_not_go_before_who_waits(one: Turns, other: Turns) -> None:
    order: list[str] = []

    def write() -> None:
        with other.taken():
            order.append("other")

    for _ in range(5):
        waiting = threading.Thread(target=write)
        with one.taken():
            order.append("one")
            waiting.start()
            time.sleep(0.02)
        with one.taken():
            order.append("one again")
        waiting.join()
    assert order == ["one", "other", "one again"] * 5


def test_a_writer_that_hangs_is_passed_by(tmp_path: Path, one: Turns) -> None:
    hasty = Turns.beside(tmp_path / "hub.db", 0.05)
    with one.taken():
        began = time.monotonic()
        with hasty.taken():
            assert 0.05 <= time.monotonic() - began < SECONDS
    hasty.close()
    hasty.close()


def test_a_failure_ends_the_turn(one: Turns, other: Turns) -> None:
    with pytest.raises(ValueError, match="failed"), one.taken():
        raise ValueError("failed")
    began = time.monotonic()
    with other.taken():
        assert time.monotonic() - began < SECONDS


def test_what_lies_beside_is_for_the_owner_only(tmp_path: Path, one: Turns) -> None:
    assert (tmp_path / "hub.db.turn").stat().st_mode & 0o777 == 0o600
