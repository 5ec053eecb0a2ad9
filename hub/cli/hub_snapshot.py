"""`stillwatch hub snapshot`: frames for those who begin, made before the first one asks."""

from __future__ import annotations

from pathlib import Path

import click

from hub.cli.groups import ToldGroup
from hub.cli.hub_data import SNAPSHOTS, data_option, json_option, opened, show
from hub.cli.progress import progress
from hub.errors import InputError
from hub.server.snapshots import Snapshots
from hub.settings import GIB, PushSettings
from hub.store.interface import Store
from hub.store.records import Collection


@click.group(cls=ToldGroup)
def snapshot() -> None:
    """Cut what collections hold into frames, which a serving hub gives out signed."""


@snapshot.command()
@click.argument("collections", nargs=-1)
@data_option
@click.option(
    "--most",
    type=click.IntRange(1, 1024),
    default=4,
    show_default=True,
    help="GiB of disk for all frames; the hub's --snapshot-cache should be as much.",
)
@json_option
def build(collections: tuple[str, ...], data: Path, most: int, as_json: bool) -> None:
    """Build the frames of COLLECTIONS (ids or aliases), or of all.

    The hub may serve meanwhile, and does the same by itself when somebody asks for a snapshot. The
    frames lie in the data directory, under snapshots; what is deleted from a collection is in none
    that is given out afterwards.
    """
    made = []
    with opened(data) as store:
        chosen = _chosen(store, collections)
        settings = PushSettings(snapshots=data / SNAPSHOTS)
        snapshots = Snapshots(store, settings, most * GIB)
        total = sum(store.count(each.id) for each in chosen)
        try:
            with progress("Building", total) as advance:
                for each in chosen:
                    new = snapshots.build(each.id, advance=advance)
                    made.append({"collection": each.id, "title": each.title, "new_frames": new})
        finally:
            snapshots.close()
    lines = [
        f"{each['title']}: {each['new_frames']} new frames"
        f"{'' if each['new_frames'] else ' (what does not fill one is read in pages)'}"
        for each in made
    ]
    show({"collections": made}, lines or ["No collections."], as_json=as_json)


def _chosen(store: Store, names: tuple[str, ...]) -> list[Collection]:
    if not names:
        return store.collections()
    chosen = []
    for name in names:
        found = store.collection(name)
        if found is None:
            raise InputError(
                "no such collection", where=name, hint="stillwatch hub collection list"
            )
        chosen.append(found)
    return chosen
