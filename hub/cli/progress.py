"""Progress on standard error, for people only: silent when it is not a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

Advance = Callable[[float], None]
"""Adds an amount of work done, in the unit of the total."""


@contextlib.contextmanager
def progress(label: str, total: float | None = None) -> Iterator[Advance]:
    """Show a bar while the block runs.

    Args:
        label: what is being done.
        total: amount of work, None when unknown.

    Yields:
        A function that adds to the work done.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda amount: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task(label, total=total)
        yield lambda amount: bars.advance(task, amount)
