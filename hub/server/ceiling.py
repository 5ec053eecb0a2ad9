"""What may enter a plain collection with a TLP ceiling."""

from __future__ import annotations

from collections.abc import Sequence

from hub.model.markings import TLP
from hub.store.ceiling import beneath
from hub.store.interface import Appending
from hub.store.records import NewObject


class CeilingScreen:
    """Judges objects by their markings (see `appender.Screen`)."""

    def __init__(self, ceiling: TLP) -> None:
        self._ceiling = ceiling

    def review(self, items: Sequence[NewObject], appending: Appending) -> Sequence[str | None]:
        """Judge objects; None to store."""
        del appending
        reason = f"marked higher than {self._ceiling.label}, which this collection holds at most"
        return [None if beneath(item.raw, self._ceiling) else reason for item in items]

    def committed(self, head: int | None) -> None:
        """Nothing to remember."""

    def failed(self) -> None:
        """Nothing to forget."""
