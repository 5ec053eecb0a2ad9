"""The negative control: a hub that acknowledges before it commits.

Run as `python -m tests.faults.early_hub hub dev ...`. Nothing of this is in the package.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from hub.cli.main import main
from hub.server import app
from hub.server.appender import Appender, Reviewed, Waiting
from hub.store.records import Appended, Batch, NewObject, Outcome

DELAY_SECONDS = 0.03
"""Between the acknowledgement and the commit; what a kill in it loses was acknowledged."""


class EarlyAppender(Appender):
    """Answers first, writes afterwards."""

    def _process(self, gathered: Sequence[Waiting]) -> None:
        reviewed = [Reviewed(waiting, {}) for waiting in gathered]
        batches = [review.batch() for review in reviewed]
        for batch in batches:
            _claim(batch)
        for review in reviewed:
            assert review.verdict is not None
            review.waiting.answer.set_result(review.verdict)
        time.sleep(DELAY_SECONDS)
        self._store.append_batches(batches)


def _claim(batch: Batch) -> None:
    assert batch.status is not None
    batch.status([_stored(item) for item in batch.items])


def _stored(item: NewObject) -> Appended:
    return Appended(item.id, item.version or "", 0, Outcome.STORED)


if __name__ == "__main__":
    vars(app)["Appender"] = EarlyAppender
    main()
