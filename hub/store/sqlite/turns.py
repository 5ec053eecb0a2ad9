"""Whose turn it is to write, among processes that share a database file.

SQLite lets one write at a time, but makes the others wait blindly: they sleep for up to a tenth of
a second at a time, and who comes at the right moment passes all of them by. Here they stand in a
line. Who is first in it holds the line's lock while waiting for the turn, so that who has just
written cannot go again before. The locks only order: what keeps writers apart is SQLite's own lock,
so whoever waits too long, or writes without asking here, does no harm. A process that dies leaves
both.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_POLL_SECONDS: Final = 0.0003


class Turns:
    """The line of one database file, made by `Turns.beside`; for one thread at a time.

    Args:
        turn: descriptor of the lock that the writer holds.
        line: of the one that who comes next holds.
        seconds: after this wait SQLite's lock decides.
    """

    def __init__(self, turn: int, line: int, seconds: float) -> None:
        self._turn = turn
        self._line = line
        self._seconds = seconds

    @classmethod
    def beside(cls, path: Path, seconds: float) -> Turns:
        """The line of a database; `<name>.turn`, which stays empty, lies beside it.

        Raises:
            OSError: that file cannot be made.
        """
        mark = path.with_name(path.name + ".turn")
        turn = os.open(mark, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            return cls(turn, os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC), seconds)
        except OSError:
            os.close(turn)
            raise

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Have the turn for the length of the block."""
        end = time.monotonic() + self._seconds
        try:
            if _locked(self._line, end):
                _locked(self._turn, end)
                fcntl.flock(self._line, fcntl.LOCK_UN)
            yield
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def close(self) -> None:
        """Leave for good; again is fine."""
        for descriptor in (self._turn, self._line):
            if descriptor >= 0:
                os.close(descriptor)
        self._turn = self._line = -1


def _locked(descriptor: int, end: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            # Not a blocking call: nothing would end it when the other one hangs.
            time.sleep(_POLL_SECONDS)
        else:
            return True
