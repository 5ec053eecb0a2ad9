"""Progress over bytes of log on standard error: rate and time left; silent off a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

Show = Callable[[str, int], None]
"""Takes what is being read, and the bytes done in all."""


@contextlib.contextmanager
def byte_progress(total: int) -> Iterator[Show]:
    """Show a bar of bytes while the block runs.

    Args:
        total: bytes to read, as stored.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda label, done: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("match", total=total)

        def show(label: str, done: int) -> None:
            bars.update(task, description=label, completed=done)

        yield show
