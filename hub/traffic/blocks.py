"""Blocks of whole lines, and the plain file that they are read from when they are decoded."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hub.errors import InputError

_SPARE: Final[list[bytearray]] = []
"""Memory of blocks that were decoded, kept for the next; list operations are atomic."""
_KEPT: Final = 8


class OpenFile:
    """A file that blocks read from, in any thread; closed when the last of them is gone.

    Raises:
        InputError: it cannot be opened or, later, read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        with _disk(path):
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def read_into(self, view: memoryview, start: int) -> int:
        """Fill `view` from the byte `start` on; gives how much there was, less only at the end."""
        done = 0
        with _disk(self._path):
            while done < len(view):
                got = os.preadv(self._descriptor, [view[done:]], start + done)
                if not got:
                    break
                done += got
        return done


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", where=str(path)) from error


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of a log; the last line of a file may lack its end.

    Args:
        line: the 1-based number of the first.
        count: how many line feeds it has.
        text: its bytes, where it holds them.
        file, start, size: where it lies otherwise. With neither it is one line that is too long.
    """

    line: int
    count: int
    text: bytes | None = None
    file: OpenFile | None = None
    start: int = 0
    size: int = 0

    @property
    def is_too_long(self) -> bool:
        """Whether it is one line that is longer than a log may have."""
        return self.file is None and self.text is None

    @property
    def data(self) -> bytes | None:
        """The bytes of the lines; None for one line that is too long."""
        if self.file is None:
            return self.text
        with self.view() as view:
            return bytes(view)

    @contextlib.contextmanager
    def view(self) -> Iterator[memoryview]:
        """The bytes of the lines, which must not be used after the context ends.

        Raises:
            InputError: the disk fails.
        """
        if self.file is None:
            yield memoryview(self.text or b"")
            return
        with borrowed(self.size) as room:
            yield room[: self.file.read_into(room, self.start)].toreadonly()


@contextlib.contextmanager
def borrowed(size: int) -> Iterator[memoryview]:
    """Memory of `size` bytes that was perhaps used before.

    Fresh memory of megabytes costs more to get from the system than to fill.
    """
    spare = _SPARE.pop() if _SPARE else bytearray()
    if len(spare) < size:
        spare = bytearray(size)
    try:
        yield memoryview(spare)[:size]
    finally:
        if len(_SPARE) < _KEPT:
            _SPARE.append(spare)
