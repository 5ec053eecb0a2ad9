"""Blocks of whole lines, in memory that is used again and again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_SPARE: Final[list[bytearray]] = []
"""Memory of blocks that were decoded, kept for the next; list operations are atomic."""
_KEPT: Final = 8


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of a log; the last line of a file may lack its end.

    Args:
        line: the 1-based number of the first.
        count: how many line feeds it has.
        text: its bytes; None for one line that is too long.
        room: what memory they lie in, if it may be used again after `view`.
    """

    line: int
    count: int
    text: bytes | memoryview | None = None
    room: bytearray | None = None

    @property
    def is_too_long(self) -> bool:
        """Whether it is one line that is longer than a log may have."""
        return self.text is None

    @property
    def data(self) -> bytes | None:
        """The bytes of the lines; None for one line that is too long."""
        return None if self.text is None else bytes(self.text)

    @contextlib.contextmanager
    def view(self) -> Iterator[memoryview]:
        """The bytes of the lines, once: they must not be used after the context ends."""
        try:
            yield memoryview(self.text or b"").toreadonly()
        finally:
            if self.room is not None:
                give_back(self.room)


def spare(size: int) -> bytearray:
    """Memory of at least `size` bytes that was perhaps used before.

    Fresh memory of megabytes costs more to get from the system than to fill.
    """
    found = _SPARE.pop() if _SPARE else bytearray()
    return found if len(found) >= size else bytearray(size)


def give_back(room: bytearray) -> None:
    """Let memory be used again."""
    if len(_SPARE) < _KEPT:
        _SPARE.append(room)
