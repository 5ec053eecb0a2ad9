"""Contract: what was acknowledged outlives kill -9, whole, once, in order, and so does the log.

Writers run in processes of their own and print each object's number once `append` has returned, and
the size and root of the log that a reader is shown then. Two negative controls must be caught by
the same checks: one prints before it appends, one writes the log in a transaction of its own.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hub.channel.log.tree import root_at
from hub.errors import VerificationError
from hub.store.records import Kind
from hub.taxii.filters import EVERY, Filters
from tests.store.conftest import STORES, make_object
from tests.store.test_log_contract import Stored

_ROUNDS = 3
_WRITERS = 3

_WRITER = """
import sys
import time
from pathlib import Path
from hub.channel.log.tree import root_at
from hub.store import appending
from tests.store.conftest import STORES, make_object
from tests.store.test_log_contract import Stored
name, folder, collection, first, manner = sys.argv[1:]
store = STORES[name](Path(folder), None)
extend, later = appending.extend_log, []
if manner == "log-later":
    appending.extend_log = lambda connection, key, leaves: later.append((key, leaves))
print("ready", flush=True)
number = int(first)
while True:
    items = [make_object(number + offset, note="x" * 500) for offset in range(3)]
    if manner == "early":
        print(number, flush=True)
    store.append(collection, items)
    while later:
        time.sleep(0.02)
        with store._database.write() as connection:
            extend(connection, *later.pop())
    if manner != "early":
        size = store.log_size(collection)
        print(number, size, root_at(Stored(store, collection), size).hex(), flush=True)
    number += 3
"""


def _lost(name: str, folder: Path, manner: str = "durable") -> tuple[set[int], int]:
    """Kill writers again and again; numbers acknowledged but not stored, and how many were.

    Raises:
        VerificationError: log and objects disagree.
    """
    store = STORES[name](folder, None)
    org = store.create_org("Lab").id
    collection = store.create_collection(Kind.CHANNEL, "t", owner_org=org).id
    acknowledged: set[int] = set()
    shown: dict[int, str] = {}
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
                    manner,
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
            said = [line.split() for line in lines if line.endswith("\n")]
            firsts = [int(words[0]) for words in said]
            shown |= {int(words[1]): words[2] for words in said if len(words) == 3}
            acknowledged |= {first + offset for first in firsts for offset in range(3)}
    store.close()
    store = STORES[name](folder, None)
    try:
        rows = store.page(collection, Filters(versions=EVERY), 10**6).rows
        leaves = store.verify_log(collection)
        assert max(shown, default=0) <= leaves, "a size that was shown is rolled back"
        stored = Stored(store, collection)
        assert {size: root_at(stored, size).hex() for size in shown} == shown
    finally:
        store.close()
    bodies = {row.id: row.raw for row in rows}
    assert len(bodies) == len(rows), "an object is stored twice"
    assert leaves == len(rows), "a leaf is left over"
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
    lost, acknowledged = _lost(name, tmp_path)
    assert lost == set()
    assert acknowledged > 100


def test_acknowledging_before_the_commit_is_caught(tmp_path: Path) -> None:
    lost, acknowledged = _lost("sqlite", tmp_path, "early")
    assert lost
    assert acknowledged > len(lost)


def test_a_log_that_is_written_later_is_caught(tmp_path: Path) -> None:
    with pytest.raises(VerificationError):
        _lost("sqlite", tmp_path, "log-later")
