"""Where the event store lies, for the commands that work with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from hub.hunt.store import EventStore

F = TypeVar("F", bound=Callable[..., Any])

_FOLDER: Final = "hunt"

store_option: Final = click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    show_default="hunt in the home",
    help="Folder of the event store.",
)


def store_path(store: Path | None, home: Path) -> Path:
    """The folder that `--store` names, else the one in the home."""
    return home / _FOLDER if store is None else store


def open_store(store: Path | None, home: Path) -> EventStore:
    """Open the event store.

    Raises:
        InputError: there is none.
        StoreError: it cannot be read.
    """
    return EventStore.open(store_path(store, home))
