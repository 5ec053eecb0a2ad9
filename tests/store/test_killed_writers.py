"""Contract: what was acknowledged outlives kill -9, whole, once, in order.

Writers run in processes of their own and print each object's number once `append` has returned.
The negative control prints before it appends; the same check must catch that.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hub.store.records import Kind
from hub.taxii.filters import EVERY, Filters
from tests.store.conftest import STORES, make_object

_ROUNDS = 3
_WRITERS = 3

_WRITER = """
import sys
from pathlib import Path
from tests.store.conftest import STORES, make_object
name, folder, collection, first, early = sys.argv[1:]
store = STORES[name](Path(folder), None)
print("ready", flush=True)
number = int(first)
while True:
    items = [make_object(number + offset, note="x" * 500) for offset in range(3)]
    if early == "early":
        print(number, flush=True)
    store.append(collection, items)
    if early != "early":
        print(number, flush=True)
    number += 3
"""


def _lost(name: str, folder: Path, *, early: bool) -> tuple[set[int], int]:
    """Kill writers again and again; numbers acknowledged but not stored, and how many were."""
    store = STORES[name](folder, None)
    org = store.create_org("Lab").id
    collection = store.create_collection(Kind.PLAIN, "t", owner_org=org).id
    acknowledged: set[int] = set()
    moment = random.Random(4)
    for attempt in range(_ROUNDS):
        writers = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    _WRITER,
                    name,
                    str(folder),
                    collection,
                    str((attempt * _WRITERS + writer + 1) * 1_000_000),
                    "early" if early else "durable",
                ],
                cwd=Path(__file__).parents[2],
                stdout=subprocess.PIPE,
                text=True,
            )
            for writer in range(_WRITERS)
        ]
        for process in writers:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        time.sleep(moment.uniform(0.05, 0.2))
        for process in writers:
            process.kill()
        for process in writers:
            lines = process.communicate()[0].splitlines(keepends=True)
            firsts = [int(line) for line in lines if line.endswith("\n")]
            acknowledged |= {first + offset for first in firsts for offset in range(3)}
    store.close()
    store = STORES[name](folder, None)
    try:
        rows = store.page(collection, Filters(versions=EVERY), 10**6).rows
    finally:
        store.close()
    bodies = {row.id: row.raw for row in rows}
    assert len(bodies) == len(rows), "an object is stored twice"
    assert [row.date_added for row in rows] == sorted({row.date_added for row in rows})
    assert len(rows) % 3 == 0, "half a batch is stored"
    lost = set()
    for number in acknowledged:
        item = make_object(number, note="x" * 500)
        if bodies.get(item.id) != item.raw:
            lost.add(number)
    return lost, len(acknowledged)


@pytest.mark.parametrize("name", sorted(STORES))
def test_nothing_acknowledged_is_lost(name: str, tmp_path: Path) -> None:
    lost, acknowledged = _lost(name, tmp_path, early=False)
    assert lost == set()
    assert acknowledged > 100


def test_acknowledging_before_the_commit_is_caught(tmp_path: Path) -> None:
    lost, acknowledged = _lost("sqlite", tmp_path, early=True)
    assert lost
    assert acknowledged > len(lost)
