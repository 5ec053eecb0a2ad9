"""`stillwatch hub backup`, `restore` and `verify`."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from hub.cli.hub_data import DATABASE, data_option, json_option, opened, refuse_existing, show
from hub.cli.progress import progress
from hub.errors import ConflictError, StillwatchError, StoreError
from hub.store.records import Kind
from hub.store.sqlite import restore as restore_store

_TARGET = click.Path(path_type=Path, dir_okay=False)


@click.command()
@data_option
@click.argument("target", type=_TARGET)
@json_option
def backup(data: Path, target: Path, as_json: bool) -> None:
    """Write a consistent copy to TARGET while the hub serves.

    The key of the token hashes is written beside it (TARGET.token-key): keep both, and keep them
    as safe as the hub itself.
    """
    refuse_existing(target)
    with opened(data) as store, progress("Backing up"):
        store.backup(target)
    size = target.stat().st_size
    show({"backup": str(target), "bytes": size}, [f"{target}: {size} bytes"], as_json=as_json)


@click.command()
@data_option
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@json_option
def restore(data: Path, source: Path, as_json: bool) -> None:
    """Make the data directory from the backup SOURCE.

    Cursors that the lost hub gave out are refused afterwards, so that clients resync.
    """
    if (data / DATABASE).exists():
        raise ConflictError("there is a hub already", where=str(data), hint="choose another --data")
    new = not data.exists()
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        data.chmod(0o700)
    except OSError as error:
        raise StoreError(f"cannot be made: {error.strerror}", where=str(data)) from error
    try:
        with progress("Restoring"):
            restore_store(source, data / DATABASE)
    except StillwatchError:
        if new:
            with contextlib.suppress(OSError):
                data.rmdir()
        raise
    with opened(data) as store:
        rows = store.verify_audit()
        store.audit("hub.restore", detail={"source": source.name})
    show(
        {"data": str(data), "audit_rows": rows},
        [f"Restored into {data}; the audit log's {rows} rows verify."],
        as_json=as_json,
    )


@click.command()
@data_option
@json_option
def verify(data: Path, as_json: bool) -> None:
    """Recompute the audit log's hash chain, read every collection once, and recompute its log."""
    with opened(data) as store, progress("Verifying"):
        rows = store.verify_audit()
        counts = {one.id: sum(1 for _ in store.raw_messages(one.id)) for one in store.collections()}
        channels = [one.id for one in store.collections() if one.kind is Kind.CHANNEL]
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
