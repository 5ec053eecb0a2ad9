"""The negative control: a hub that writes a message's leaf in a transaction of its own.

Run as `python -m tests.faults.late_log hub dev ...`. Nothing of this is in the package.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from hub.cli.main import main
from hub.store.records import Appended, Batch
from hub.store.sqlite import objects
from hub.store.sqlite.log import extend_log

DELAY_SECONDS = 0.3
"""Between the two transactions; a kill in it leaves a message without its leaf."""
_Leaves = Sequence[tuple[int, bytes]]


def make_late() -> None:
    """Put the leaves off."""
    later: list[tuple[int, _Leaves]] = []
    whole = objects.Objects.append_batches

    def keep(connection: sqlite3.Connection, key: int, leaves: _Leaves) -> None:
        del connection
        later.append((key, leaves))

    def append_batches(self: objects.Objects, batches: Sequence[Batch]) -> list[list[Appended]]:
        fates = whole(self, batches)
        while later:
            time.sleep(DELAY_SECONDS)
            with self._database.write() as connection:
                extend_log(connection, *later.pop(0))
        return fates

    vars(objects)["extend_log"] = keep
    type.__setattr__(objects.Objects, "append_batches", append_batches)


if __name__ == "__main__":
    make_late()
    main()
