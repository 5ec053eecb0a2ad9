"""The negative control: a hub that never asks what other processes have stored in a channel.

Run as `python -m tests.faults.stale_hub hub dev ...`. Nothing of this is in the package.
"""

from __future__ import annotations

from hub.cli.main import main
from hub.server import app
from hub.server.admission import Admission, _Known
from hub.store.records import Position


class StaleAdmission(Admission):
    """Believes for ever what it found when it first looked."""

    def _current(self, collection_id: str, position: Position | None = None) -> _Known:
        known = self._known.get(collection_id)
        return super()._current(collection_id, position) if known is None else known


if __name__ == "__main__":
    vars(app)["Admission"] = StaleAdmission
    main()
