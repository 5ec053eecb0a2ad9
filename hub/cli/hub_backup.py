"""`stillwatch hub backup`, `restore` and `verify`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import click

from hub.cli.hub_data import (
    LOG_KEY,
    data_option,
    json_option,
    log_key,
    make_directory,
    opened,
    refuse_existing,
    require_hub,
    show,
)
from hub.cli.hub_database import DATABASE, DATABASE_URL, is_there, record, target_of
from hub.cli.progress import Advance, progress
from hub.errors import ConflictError, StillwatchError
from hub.store.interface import Store
from hub.store.opening import StoreTarget
from hub.store.records import Kind

_TARGET = click.Path(path_type=Path, dir_okay=False)


@click.command()
@data_option
@click.argument("target", type=_TARGET)
@json_option
def backup(data: Path, target: Path, as_json: bool) -> None:
    """Write a consistent copy to TARGET while the hub serves.

    It is one SQLite file, of a hub on PostgreSQL too, and can be restored into either. The key of
    the token hashes is written beside it (TARGET.token-key): keep both, and keep them as safe as
    the hub itself.
    """
    from hub.store import transfer

    refuse_existing(target)
    source = target_of(data)
    require_hub(data, source)
    with progress("Backing up") as advance:
        transfer.backup(source, target, progress=_rows(advance))
    size = target.stat().st_size
    key = f"{target}.token-key"
    show(
        {"backup": str(target), "bytes": size, "token_key": key},
        [f"{target}: {size} bytes", f"{key}: keep it with the copy; without it no token is known"],
        as_json=as_json,
    )


@click.command()
@data_option
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@json_option
def restore(data: Path, source: Path, as_json: bool) -> None:
    """Make the data directory from the backup SOURCE.

    With --database the hub's state goes into an empty PostgreSQL database. Cursors that the lost
    hub gave out are refused afterwards, so that clients resync.
    """
    from hub.store import transfer

    target = target_of(data)
    if _is_whole(data, target):
        raise ConflictError("there is a hub already", where=str(data), hint="choose another --data")
    new = not data.exists()
    make_directory(data)
    try:
        with progress("Restoring") as advance:
            transfer.restore(source, target, progress=_rows(advance))
        if target.url is not None:
            record(data, target.url)
    except StillwatchError:
        if new:
            with contextlib.suppress(OSError):
                data.rmdir()
        raise
    with opened(data) as store:
        rows = store.verify_audit()
        store.audit("hub.restore", detail={"source": source.name})
    log_key(data / LOG_KEY)
    show(
        {"data": str(data), "audit_rows": rows},
        [
            f"Restored into {data}; the audit log's {rows} rows verify.",
            "Next: serve it; then members run: stillwatch channel repost NAME",
        ],
        as_json=as_json,
    )


@click.command()
@data_option
@json_option
def verify(data: Path, as_json: bool) -> None:
    """Recompute the audit log's chain, the tree of every channel's log and the hash of each object.

    Every object is read; one of a channel must be what its leaf says. The hub may serve meanwhile.
    Exit code 3 when something was changed, removed or put in, 6 when the store cannot be read.
    """
    with opened(data) as store:
        collections = store.collections()
        total = sum(store.count(one.id) for one in collections)
        with progress("Verifying", total) as advance:
            rows = store.verify_audit()
            counts = {one.id: _read(store, one.id, advance) for one in collections}
            channels = [one.id for one in collections if one.kind is Kind.CHANNEL]
            leaves = {one: store.verify_log(one) for one in channels}
    show(
        {"audit_rows": rows, "objects": counts, "log_leaves": leaves},
        [
            f"audit log: {rows} rows verify",
            f"objects: {sum(counts.values())} can be read",
            f"logs of {len(leaves)} channels: {sum(leaves.values())} leaves verify",
        ],
        as_json=as_json,
    )


def _read(store: Store, collection_id: str, advance: Advance) -> int:
    """Read all objects of a collection; how many."""
    count = 0
    for _ in store.raw_messages(collection_id):
        count += 1
        advance(1)
    return count


def _is_whole(data: Path, target: StoreTarget) -> bool:
    """Whether a hub is there: a token key alone is what a killed restore into a database left."""
    if target.url is None or (data / DATABASE).exists():
        return is_there(target) or (data / DATABASE).exists()
    return (data / DATABASE_URL).exists()


def _rows(advance: Advance) -> Callable[[str, int], None]:
    """Turn rows of one table after the other into progress."""
    done: dict[str, int] = {}

    def report(table: str, rows: int) -> None:
        advance(rows - done.get(table, 0))
        done[table] = rows

    return report
