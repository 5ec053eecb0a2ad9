"""`stillwatch hub collection partition`: a table of its own for a big collection."""

from __future__ import annotations

from pathlib import Path

import click

from hub.cli.hub_actor import acting, actor_option
from hub.cli.hub_data import data_option, find_collection, json_option, opened, show
from hub.cli.hub_database import target_of
from hub.cli.progress import progress
from hub.errors import InputError


@click.command()
@data_option
@click.argument("collection_id")
@actor_option
@json_option
def partition(data: Path, collection_id: str, token_file: Path | None, as_json: bool) -> None:
    """Give a big collection a table of its own; PostgreSQL only, from some ten million objects on.

    Reading goes on. Who writes to the collection waits, and is told to come back, while its rows
    are moved. The command may be killed: then it has happened or not, and may be run again.
    """
    url = target_of(data).url
    if url is None:
        raise InputError(
            "a SQLite hub has one table for all collections",
            where=str(data),
            hint="move it to PostgreSQL: stillwatch hub backup, then restore with --database",
        )
    with opened(data) as store:
        actor = acting(store, token_file)
        found = find_collection(store, collection_id)
        actor.operate()
        from hub.store.postgres.partitions import partition as move
        from hub.store.postgres.partitions import partitioned

        with progress("Moving"):
            moved = move(url, found.id)
        actor.audit(
            "collection.partition", None, collection_id=found.id, detail={"objects": str(moved)}
        )
    tables = partitioned(url)
    show(
        {"collection": found.id, "moved": moved, "partitioned": tables},
        [f"{found.title}: {moved:,} objects moved; {len(tables)} collections have own tables."],
        as_json=as_json,
    )
