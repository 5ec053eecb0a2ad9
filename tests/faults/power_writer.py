"""A process that writes to a real store and notes each operation on its files, for power cuts.

    python -m tests.faults.power_writer FOLDER RECORD COMMITS MANNER

MANNER is `full`, or one of the negative controls: `normal` (synchronous = NORMAL), `early` (says
that it stored before it does).
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from hub.channel.log.tree import root_at
from hub.store.records import Kind
from hub.store.sqlite import SqliteStore
from tests.faults.disk_model import Said
from tests.faults.sqlite_recorder import Recorder
from tests.store.conftest import make_object
from tests.store.test_log_contract import Stored

BATCH = 3


def record(folder: Path, commits: int, manner: str) -> Recorder:
    """Open a new store and append; `Said` are `ready COLLECTION` and `FIRST SIZE ROOT`."""
    recorder = Recorder(folder)
    with recorder.recording():
        store = SqliteStore.open(folder / "hub.db")
        org = store.create_org("Lab").id
        collection = store.create_collection(Kind.CHANNEL, "c", owner_org=org).id
        recorder.operations.append(Said(f"ready {collection}"))
        if manner == "normal":
            store._database._writer.execute("PRAGMA synchronous = NORMAL")
        for number in range(commits):
            first = number * BATCH
            items = [make_object(first + offset, note="x" * 700) for offset in range(BATCH)]
            if manner == "early":
                recorder.operations.append(Said(f"{first} 0 -"))
            store.append(collection, items)
            if manner != "early":
                size = store.log_size(collection)
                root = root_at(Stored(store, collection), size)
                recorder.operations.append(Said(f"{first} {size} {root.hex()}"))
        # Neither closed nor synced: the power fails.
    return recorder


if __name__ == "__main__":
    place, into, count, how = sys.argv[1:]
    made = record(Path(place), int(count), how)
    Path(into).write_bytes(pickle.dumps(made.operations))
