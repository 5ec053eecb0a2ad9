"""Hyperscan, where its module is installed: many regular expressions in time linear in the text."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Sequence
from typing import Any


def hyperscan() -> Any:
    """The optional module, or None."""
    try:
        return importlib.import_module("hyperscan")
    except ImportError:
        return None


class Scanner:
    """One compiled database; each thread that scans has scratch space of its own.

    Args:
        expressions: what `expressions.spelled` gives.
        unicode: read texts as UTF-8, with classes and case of Unicode; else as ASCII.
        ascii_classes: read texts as UTF-8, with classes and case of ASCII alone.
        lines: `^` and `$` are found at the ends of each line too.
    Raises:
        hyperscan.error: an expression cannot be read, or all are too much for one database.
    """

    def __init__(
        self,
        module: Any,
        expressions: Sequence[str],
        *,
        unicode: bool,
        ascii_classes: bool = False,
        lines: bool = False,
    ) -> None:
        self._database = module.Database()
        flags = int(module.HS_FLAG_SINGLEMATCH) | int(module.HS_FLAG_ALLOWEMPTY)
        if lines:
            flags |= int(module.HS_FLAG_MULTILINE)
        if unicode or ascii_classes:
            flags |= int(module.HS_FLAG_UTF8)
        if unicode:
            flags |= int(module.HS_FLAG_UCP)
        self._database.compile(
            expressions=[expression.encode() for expression in expressions],
            ids=list(range(len(expressions))),
            elements=len(expressions),
            flags=[flags] * len(expressions),
        )
        self._threads = threading.local()

    def candidates(self, text: bytes | memoryview) -> list[int]:
        """Numbers of the expressions that are found in the text, each once."""
        found: list[int] = []
        scratch = getattr(self._threads, "scratch", None)
        if scratch is None:
            scratch = self._threads.scratch = self._database.scratch.clone()
        self._database.scan(text, _note, 0, found, scratch)
        return found


def _note(number: int, _start: int, _end: int, _flags: int, found: list[int]) -> None:
    found.append(number)
