"""Power cuts under a witness: what it cosigned it remembers, or it might sign another history.

The control has a memory that is synced less.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from pathlib import Path

from hub.channel.log.checkpoint import log_key
from hub.channel.primitives.sign import NotePrivate
from hub.errors import StoreError
from hub.witness.state import State
from tests.faults.disk_model import Cut, Operation, Said, cuts
from tests.faults.sqlite_recorder import Recorder

ORIGIN = "hub.example/log"
KEY = NotePrivate(b"\x05" * 32)
NOW = 1_790_000_000


def recorded(folder: Path, count: int, synchronous: str = "FULL") -> list[Operation]:
    """What a witness that cosigns so often does to its memory."""
    folder.mkdir()
    recorder = Recorder(folder)
    with recorder.recording():
        state = State.create(folder / "witness.db", "witness.example")
        state.add_log(log_key(ORIGIN, KEY).text)
        state._connection.execute(f"PRAGMA synchronous = {synchronous}")
        recorder.operations.append(Said("0"))
        for size in range(1, count + 1):
            seen = state.log(ORIGIN)
            assert seen is not None
            assert state.advance(seen, size, bytes([size]) * 32, "note\n" * 100, NOW)
            recorder.operations.append(Said(str(size)))
        # What has been noted ends here; the files themselves may be closed.
        operations = list(recorder.operations)
        state.close()
    return operations


def forgotten(folder: Path, operations: Sequence[Operation], count: int) -> list[str]:
    """Cut the power so often; where the witness knew less than it had signed."""
    fates = random.Random(count)
    cut, done, found = Cut(fates), 0, []
    for moment in cuts(operations, count, fates):
        cut.apply(operations[done:moment])
        done = moment
        if not cut.said:
            continue
        place = folder.with_name("after")
        place.mkdir()
        cut.build(place)
        try:
            state = State.open(place / "witness.db")
            known = state.log(ORIGIN)
            state.close()
            if known is None or known.size < int(cut.said[-1]):
                found.append(f"cut at {moment}: signed {cut.said[-1]}, remembers {known}")
        except StoreError as error:
            found.append(f"cut at {moment}: {error}")
        shutil.rmtree(place)
    return found


def test_a_witness_remembers_what_it_signed(tmp_path: Path) -> None:
    operations = recorded(tmp_path / "witness", 200)
    assert forgotten(tmp_path / "witness", operations, 200) == []


def test_a_witness_that_syncs_less_is_caught(tmp_path: Path) -> None:
    operations = recorded(tmp_path / "witness", 200, "NORMAL")
    assert len(forgotten(tmp_path / "witness", operations, 100)) > 20
