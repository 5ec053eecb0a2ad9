"""Simulated power cuts of the real SQLite store: what was not synced is lost, kept or torn.

A writer process appends to the real store, and notes each write and sync below SQLite. From that,
disks are made up as they might be after a cut at any moment, and opened with the real store: what
was acknowledged is there, once, whole and in order; log and objects agree; no size that was shown
is rolled back; and it goes on storing. The controls sync less, or acknowledge too early, and must
lose.
"""

from __future__ import annotations

import pickle
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from hub.channel.log.tree import root_at
from hub.errors import StoreError, VerificationError
from hub.store.sqlite import SqliteStore
from hub.taxii.filters import EVERY, Filters
from tests.faults.disk_model import (
    Cropped,
    Cut,
    FolderSynced,
    Linked,
    Made,
    Operation,
    Removed,
    Renamed,
    Said,
    Synced,
    Written,
    cuts,
)
from tests.faults.hub_process import REPOSITORY
from tests.faults.power_writer import BATCH
from tests.store.conftest import make_object
from tests.store.test_log_contract import Stored


def recorded(folder: Path, commits: int, manner: str = "full") -> list[Operation]:
    """What a writer does to a new store in this folder."""
    folder.mkdir()
    record = folder.with_suffix(".record")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.faults.power_writer",
            str(folder),
            str(record),
            str(commits),
            manner,
        ],
        cwd=REPOSITORY,
        check=True,
        timeout=300,
    )
    made: list[Operation] = pickle.loads(record.read_bytes())
    return made


def faults(
    folder: Path, operations: Sequence[Operation], count: int, *, seed: int = 1
) -> list[str]:
    """Cut the power so often; what was wrong with the disk afterwards."""
    fates = random.Random(seed)
    cut, done, found = Cut(fates), 0, []
    key = (folder / "hub.db.token-key").read_bytes()
    for moment in cuts(operations, count, fates):
        cut.apply(operations[done:moment])
        done = moment
        place = folder.with_name("after")
        place.mkdir()
        cut.build(place)
        # Written before the database and not by SQLite: `test_power_loss_traced` cuts that.
        (place / "hub.db.token-key").write_bytes(key)
        wrong = judge(place, cut.said)
        if wrong is not None:
            found.append(f"cut at {moment}: {wrong}")
        shutil.rmtree(place)
    return found


def judge(place: Path, said: Sequence[str]) -> str | None:
    """What is wrong with a store after a cut, or None."""
    try:
        store = SqliteStore.open(place / "hub.db")
    except StoreError as error:
        return f"cannot be opened: {error}"
    try:
        sound = store._database.rows("PRAGMA integrity_check")
        if sound != [("ok",)]:
            return f"damaged: {sound[:3]}"
        if not said:
            return None
        return _history(store, said[0].split()[1], [line.split() for line in said[1:]])
    except (StoreError, VerificationError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        store.close()


def _history(store: SqliteStore, collection: str, shown: Sequence[Sequence[str]]) -> str | None:
    if store.collection(collection) is None:
        return "the acknowledged collection is lost"
    rows = store.page(collection, Filters(versions=EVERY), 10**6).rows
    bodies = {row.id: row.raw for row in rows}
    for first, _size, _root in shown:
        for number in range(int(first), int(first) + BATCH):
            item = make_object(number, note="x" * 700)
            if bodies.get(item.id) != item.raw:
                return f"object {number} was acknowledged and is lost"
    if len(bodies) != len(rows) or len(rows) % BATCH:
        return "an object twice, or half a batch"
    if [row.date_added for row in rows] != sorted({row.date_added for row in rows}):
        return "out of order"
    if store.verify_log(collection) != len(rows):
        return "log and objects differ"
    for _first, size, root in shown[-3:]:
        if int(size) and root_at(Stored(store, collection), int(size)).hex() != root:
            return f"the log of size {size} is another than was shown"
    items = [make_object(10**6 + number) for number in range(BATCH)]
    newest = store.append(collection, items)[0].date_added
    return None if not rows or newest > rows[-1].date_added else "the stamps went back"


def test_fifty_cuts_lose_nothing(tmp_path: Path) -> None:
    operations = recorded(tmp_path / "hub", 120)
    assert faults(tmp_path / "hub", operations, 50) == []


def test_less_syncing_is_caught(tmp_path: Path) -> None:
    found = faults(tmp_path / "hub", recorded(tmp_path / "hub", 60, "normal"), 20)
    assert any("acknowledged and is lost" in one for one in found)


def test_an_early_acknowledgement_is_caught(tmp_path: Path) -> None:
    found = faults(tmp_path / "hub", recorded(tmp_path / "hub", 60, "early"), 20)
    assert any("acknowledged and is lost" in one for one in found)


@pytest.mark.drill
@pytest.mark.timeout(1800)
def test_two_hundred_cuts_lose_nothing(tmp_path: Path) -> None:
    # Enough for several checkpoints of the write-ahead log into the database.
    operations = recorded(tmp_path / "hub", 600)
    assert faults(tmp_path / "hub", operations, 200, seed=200) == []
    lost = {}
    for manner in ("normal", "early"):
        folder = tmp_path / manner
        operations = recorded(folder, 600, manner)
        lost[manner] = len(faults(folder, operations, 200, seed=200))
    print(f"power cuts: 0 of 200 lost anything; controls {lost}")
    assert min(lost.values()) > 20


def disk(tmp_path: Path, operations: Sequence[Operation], seed: int) -> dict[str, bytes]:
    """One possible state after operations, as contents by name."""
    cut = Cut(random.Random(seed))
    cut.apply(operations)
    place = tmp_path / "state"
    place.mkdir()
    cut.build(place)
    state = {path.name: path.read_bytes() for path in place.iterdir()}
    shutil.rmtree(place)
    return state


def test_the_model_of_the_disk(tmp_path: Path) -> None:
    """What is synced is always there; what is not is sometimes there, gone or torn."""
    data = b"a" * 2048
    start: list[Operation] = [
        Made("f", 1),
        Written(1, 0, b"b" * 1024),
        Synced(1),
        FolderSynced("."),
    ]
    pending: list[Operation] = [Written(1, 1024, data), Cropped(1, 4000), Made("g", 2), Said("x")]
    states = [disk(tmp_path, [*start, *pending], seed) for seed in range(200)]
    contents = {state["f"] for state in states}
    assert all(one.startswith(b"b" * 1024) for one in contents)
    assert {b"b" * 1024, b"b" * 1024 + data + bytes(928)} <= contents
    assert any(len(one) > 1024 and one.count(b"a") % 512 > 0 for one in contents)
    assert {("g" in state) for state in states} == {True, False}
    certain = [*start, *pending, Synced(1), FolderSynced("."), Said("y")]
    assert {disk(tmp_path, certain, seed)["f"] for seed in range(50)} == {
        b"b" * 1024 + data + bytes(928)
    }
    moved = [*certain, Linked("h", 1), Removed("f"), Renamed("h", "k")]
    names = {frozenset(disk(tmp_path, moved, seed)) for seed in range(100)}
    assert names == {
        frozenset(one) for one in (("f", "g"), ("f", "g", "h"), ("g", "h"), ("g", "k"))
    }
