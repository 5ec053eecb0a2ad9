"""What the operator of a home has chosen once and for all, until it is chosen otherwise."""

from __future__ import annotations

from typing import Final

from hub.client.state import State

RECEIPTS: Final = "receipts"
"""Whether publishers are told that a withdrawn indicator was dropped here."""

REISSUE: Final = "reissue"
"""Whether the values behind own tokens are kept, sealed, to issue them under a new key."""


class Choices:
    """The choices of one home; what was never chosen is on.

    Args:
        state: the home's state.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def get(self, name: str) -> bool:
        """Whether a choice is on."""
        rows = self._state.rows("SELECT value FROM choice WHERE name=?", (name,))
        return not rows or str(rows[0][0]) == "yes"

    def put(self, name: str, *, on: bool) -> None:
        """Choose."""
        self._state.run("INSERT OR REPLACE INTO choice VALUES (?,?)", (name, "yes" if on else "no"))
