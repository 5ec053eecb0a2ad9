"""Progress over bytes of log on standard error: rate and time left; silent off a terminal."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


class Show(Protocol):
    """Takes what is being read, and the bytes and perhaps the exchanges done in all."""

    def __call__(self, label: str, done: int, rows: int | None = None) -> None: ...


def _nothing(label: str, done: int, rows: int | None = None) -> None:
    """Off a terminal, nobody looks."""


@contextlib.contextmanager
def byte_progress(total: int) -> Iterator[Show]:
    """Show a bar of bytes while the block runs.

    Args:
        total: bytes to read, as stored.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _nothing
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("match", total=total, rate="")
        began = time.monotonic()

        def show(label: str, done: int, rows: int | None = None) -> None:
            rate = ""
            if rows is not None:
                rate = f"{rows / max(time.monotonic() - began, 0.001):,.0f} exchanges/s"
            bars.update(task, description=label, completed=done, rate=rate)

        yield show
