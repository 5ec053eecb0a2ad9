"""The negative control: a hub that writes a message's leaf in a transaction of its own.

Run as `python -m tests.faults.late_log hub dev ...`. Nothing of this is in the package.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

from hub.cli.main import main
from hub.store import appending as writing
from hub.store import contents
from hub.store.logs import extend_log
from hub.store.sql import Connection

DELAY_SECONDS = 0.3
"""Between the two transactions; a kill in it leaves a message without its leaf."""
_Leaves = Sequence[tuple[int, bytes]]


def make_late() -> None:
    """Put the leaves off."""
    later: list[tuple[int, _Leaves]] = []
    whole = contents.Contents.appending

    def keep(connection: Connection, key: int, leaves: _Leaves) -> None:
        del connection
        later.append((key, leaves))

    @contextlib.contextmanager
    def appending(
        self: contents.Contents, collection_ids: Sequence[str]
    ) -> Iterator[writing.Writing]:
        with whole(self, collection_ids) as opened:
            yield opened
        while later:
            time.sleep(DELAY_SECONDS)
            with self._database.write() as connection:
                extend_log(connection, *later.pop(0))

    vars(writing)["extend_log"] = keep
    type.__setattr__(contents.Contents, "appending", appending)


if __name__ == "__main__":
    make_late()
    main()
