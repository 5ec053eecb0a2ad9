"""The hub's data directory, and what its commands share."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from hub.channel.primitives.sign import NotePrivate
from hub.cli.hub_database import (
    DATA_VARIABLE,
    DATABASE,
    DATABASE_URL,
    TOKEN_KEY,
    data_option,
    is_there,
    record,
    target_of,
)
from hub.errors import ConflictError, InputError, StillwatchError, StoreError
from hub.keyfile import make_seed, read_seed
from hub.settings import HubSettings, WitnessSettings
from hub.store.interface import Store
from hub.store.keys import make_key
from hub.store.opening import StoreTarget, open_store
from hub.store.records import Collection, Org

__all__ = ["DATABASE", "DATA_VARIABLE", "data_option"]

LOCK: Final = "hub.lock"
LOG_KEY: Final = "log.key"
SNAPSHOTS: Final = "snapshots"
"""Folder of the frames of snapshots: a cache, which may be removed."""
SERVED: Final = "served.json"

json_option: Final = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON instead of text."
)


def create(data: Path) -> Store:
    """Make a data directory (mode 0700) with an empty hub and its key (mode 0600).

    Where a database URL was given, the database's schema is made, and the URL is kept beside the
    key.

    Raises:
        ConflictError: there is a hub already, in the directory or in the database.
        StoreError: the place cannot be written, or the database cannot be reached.
    """
    target = target_of(data)
    if is_there(target) or (data / DATABASE).exists():
        raise ConflictError("there is a hub already", where=str(data), hint="choose another --data")
    make_directory(data)
    if target.url is not None and target.token_key is not None:
        _require_no_hub(target)
        # First what can be made once only: killed from here on, `hub migrate` goes on.
        make_key(target.token_key)
        record(data, target.url)
        _make_schema(data, target)
    store = open_store(target)
    # Now, not at the first start: copies of the directory for other machines must hold one key.
    log_key(data / LOG_KEY)
    return store


def make_directory(data: Path) -> None:
    """Make a data directory, mode 0700. Raises StoreError."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        data.chmod(0o700)
    except OSError as error:
        raise StoreError(f"cannot be made: {error.strerror}", where=str(data)) from error


def _require_no_hub(target: StoreTarget) -> None:
    from hub.store import migrate

    if migrate.state(target).current is not None:
        raise ConflictError(
            "the database is a hub's already",
            where="--database",
            hint="to serve it from here, copy the data directory that was made with it",
        )


def _make_schema(data: Path, target: StoreTarget) -> None:
    from hub.store import migrate

    try:
        migrate.upgrade(target)
    except StillwatchError:
        for name in (TOKEN_KEY, DATABASE_URL):
            (data / name).unlink(missing_ok=True)
        raise


def require_hub(data: Path, target: StoreTarget) -> None:
    """Raise InputError unless the data directory was made for this target."""
    if not is_there(target):
        raise InputError(
            "there is no hub here", where=str(data), hint="stillwatch hub init --data DIR"
        )


@contextlib.contextmanager
def opened(data: Path, *, connections: int | None = None) -> Iterator[Store]:
    """The store of an existing hub; may be used while the hub serves.

    Args:
        data: its directory.
        connections: to a database server, at most.
    Raises:
        InputError: there is none.
    """
    target = target_of(data, connections=connections)
    require_hub(data, target)
    store = open_store(target)
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def serving(data: Path) -> Iterator[None]:
    """Hold what may be served once: the directory of a SQLite hub, by one server or supervisor.

    A database server may be served from several places, which all see the same.

    Raises:
        ConflictError: it is served already.
    """
    if target_of(data).path is None:
        yield
        return
    with sole_server(data):
        yield


@contextlib.contextmanager
def sole_server(data: Path) -> Iterator[None]:
    """Hold a data directory for one server: a process, or the supervisor of several.

    Raises:
        ConflictError: another serves it.
    """
    descriptor = os.open(data / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConflictError("another process serves this directory", where=str(data)) from error
        yield
    finally:
        os.close(descriptor)


def log_key(path: Path) -> NotePrivate:
    """The key that signs checkpoints of the hub's logs; made when there is none yet.

    Raises:
        StoreError: it cannot be read or written, or others may read it.
    """
    if not path.exists():
        # Another starting process may be faster; then its key counts.
        with contextlib.suppress(ConflictError):
            return NotePrivate(make_seed(path))
    return NotePrivate(read_seed(path))


@dataclass(frozen=True, slots=True)
class Served:
    """How the hub was served last: what the names of its logs are made of, and its witnesses."""

    public_url: str
    root: str
    witnesses: tuple[str, ...]


def remember(data: Path, settings: HubSettings) -> None:
    """Note how the hub is served, for `stillwatch hub log`. Raises StoreError."""
    document = {
        "public_url": settings.public_url,
        "root": settings.root,
        "witnesses": settings.witnesses.urls,
    }
    path = data / SERVED
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(document, file)
        partial.rename(path)
    except OSError as error:
        raise StoreError(f"cannot be written: {error.strerror}", where=str(path)) from error


def recalled(data: Path) -> Served | None:
    """What `remember` noted, None before the first start. Raises StoreError."""
    path = data / SERVED
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_bytes())
        return Served(found["public_url"], found["root"], tuple(found["witnesses"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            "cannot be read", where=str(path), hint="it is written anew when the hub is served"
        ) from error


def witness_settings(urls: Sequence[str]) -> WitnessSettings:
    """The witnesses that options name."""
    return WitnessSettings(urls=tuple(dict.fromkeys(url.rstrip("/") for url in urls)))


witness_option: Final = click.option(
    "--witness",
    "witnesses",
    multiple=True,
    metavar="URL",
    envvar="STILLWATCH_HUB_WITNESS",
    help="Ask this witness to cosign the logs of channels that name witnesses; repeatable.",
)


def find_org(store: Store, id_or_name: str) -> Org:
    """An organisation by id or name. Raises InputError when there is none."""
    org = store.org(id_or_name)
    if org is None:
        raise InputError(
            "there is no such organisation", where=id_or_name, hint="stillwatch hub org list"
        )
    return org


def find_collection(store: Store, id_or_alias: str) -> Collection:
    """A collection by id or alias. Raises InputError when there is none."""
    collection = store.collection(id_or_alias)
    if collection is None:
        raise InputError(
            "there is no such collection", where=id_or_alias, hint="stillwatch hub collection list"
        )
    return collection


def refuse_existing(out: Path | None) -> None:
    """Refuse to write over a file: what was in it may be the only copy.

    Raises:
        ConflictError: the file exists.
    """
    if out is not None and out.exists():
        raise ConflictError("exists already", where=str(out), hint="name another file")


def moment(seconds: int | None) -> str:
    """Seconds UTC as text; `never` for None."""
    if seconds is None:
        return "never"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def show(document: Any, lines: list[str], *, as_json: bool) -> None:
    """Print the JSON document, or the lines meant for people."""
    if as_json:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    for line in lines:
        click.echo(line)
