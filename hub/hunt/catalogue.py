"""The list of what an event store holds: one JSON file, replaced whole.

A file that the list does not name is no part of the store, so that a run which is killed leaves
nothing half-done: what it wrote is swept away by the next.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from hub.errors import InputError, StoreError

FILE: Final = "catalogue.json"
FORMAT: Final = 1
_MAX_BYTES: Final = 256 << 20


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One Parquet file of the store: exchanges of one log and one UTC day.

    Attributes:
        file: its place below the store.
        source: the log's name, as matches show it.
        first, last: times of its exchanges, microseconds since 1970.
        generation: number of the addition that brought it.
        columns: those that hold anything.
    """

    file: str
    source: str
    rows: int
    bytes: int
    first: int
    last: int
    generation: int
    columns: tuple[str, ...]


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A log that was added.

    Logs are told apart by how they begin, unpacked, so that one that is renamed, packed or has
    grown is known again.

    Attributes:
        head: SHA-256 of its first `head_bytes` unpacked bytes.
        rows: exchanges read of it so far, in the order of the file.
        bytes, modified: of the file as it was read; `modified` in nanoseconds since 1970.
    """

    head: str
    head_bytes: int
    rows: int
    bytes: int
    modified: int


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything in an event store.

    Attributes:
        days: how long exchanges are kept.
        texts: whether prompts are kept as text.
        generation: number of the last addition.
    """

    format: int
    days: int
    texts: bool
    generation: int = 0
    parts: tuple[Part, ...] = ()
    logs: tuple[Log, ...] = ()


def load(store: Path) -> Catalogue:
    """Read the catalogue of the store in a folder.

    Raises:
        InputError: there is no store, or one of another version.
        StoreError: the disk fails, or the file is damaged.
    """
    path = store / FILE
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise InputError(
            "there is no event store here", where=str(store), hint="stillwatch hunt add FILE..."
        ) from error
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}", where=str(path)) from error
    try:
        found = msgspec.json.decode(data, type=Catalogue)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise StoreError(
            "the list of the event store is damaged",
            where=str(path),
            hint="remove the store, and add the logs again",
        ) from error
    if found.format != FORMAT:
        raise InputError(f"an event store of format {found.format}", where=str(path))
    return found


def save(store: Path, catalogue: Catalogue) -> None:
    """Replace the catalogue, whole or not at all.

    Raises:
        StoreError: the disk fails.
    """
    replace_file(store / FILE, msgspec.json.encode(catalogue))


def replace_file(path: Path, data: bytes) -> None:
    """Write a file that only its owner reads, so that a crash leaves the old one or the new one.

    Raises:
        StoreError: the disk fails.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        descriptor = os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"cannot be written: {error.strerror}", where=str(path)) from error


def sync_folder(folder: Path) -> None:
    """Make renames and removals in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
