"""What may enter a plain collection with a TLP ceiling."""

from __future__ import annotations

from collections.abc import Sequence

from hub.model.markings import TLP
from hub.store.ceiling import beneath
from hub.store.interface import Appending, CollectionStore
from hub.store.records import NewObject


class Ceilings:
    """The ceilings that hold in the appender's transaction, for its thread only.

    One that was read before the collection's head was locked may have been lowered since, and
    readers let in by it; a post must not come behind that.

    Args:
        store: where they are.
    """

    def __init__(self, store: CollectionStore) -> None:
        self._store = store
        self._appending: Appending | None = None
        self._known: dict[str, TLP | None] = {}

    def of(self, collection_id: str, appending: Appending) -> TLP | None:
        """The ceiling of a collection that the transaction has locked; None for none."""
        if appending is not self._appending:
            self._appending, self._known = appending, {}
        if collection_id not in self._known:
            found = self._store.collection(collection_id)
            self._known[collection_id] = None if found is None else found.ceiling
        return self._known[collection_id]


class CeilingScreen:
    """Judges objects by their markings (see `appender.Screen`)."""

    def __init__(self, ceilings: Ceilings, collection_id: str) -> None:
        self._ceilings = ceilings
        self._collection_id = collection_id

    def review(self, items: Sequence[NewObject], appending: Appending) -> Sequence[str | None]:
        """Judge objects; None to store."""
        ceiling = self._ceilings.of(self._collection_id, appending)
        if ceiling is None:
            return [None] * len(items)
        reason = f"marked higher than {ceiling.label}, which this collection holds at most"
        return [None if beneath(item.raw, ceiling) else reason for item in items]

    def committed(self, head: int | None) -> None:
        """Nothing to remember."""

    def failed(self) -> None:
        """Nothing to forget."""
