"""The logs of a hub's channels: what they are called, signed checkpoints, proofs.

It asks no permission questions (`service` does), and reads nothing of messages but their digests.

A checkpoint must never be one that the log's own later checkpoints contradict, whichever process
signs them. So it speaks of what is durable only; and the store gives size and time of one moment,
because of two checkpoints of one log the later one may not be the smaller: that is how a
rolled-back log looks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from hub.channel.log import tree
from hub.channel.log.checkpoint import Checkpoint, log_key, sign_checkpoint
from hub.channel.log.snapshot import sign_snapshot
from hub.channel.primitives.sign import NotePrivate
from hub.errors import InputError, StoreError
from hub.settings import HubSettings
from hub.store.interface import LogStore, Store

MAX_ENTRIES: Final = 10_000
"""Digests in one answer."""
_FRESH_SECONDS: Final = 1.0
"""A log that does not grow is signed anew no more often: a new time is a write."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint as it was signed.

    Args:
        raw: the note.
        size: number of leaves.
        time: seconds UTC.
    """

    raw: str
    size: int
    time: int


class StoredTree:
    """The nodes of one collection's log; a `tree.NodeSource`."""

    def __init__(self, store: LogStore, collection_id: str) -> None:
        self._store = store
        self._collection_id = collection_id

    def nodes(self, wanted: Sequence[tree.Node]) -> Sequence[bytes]:
        """See `tree.NodeSource.nodes`."""
        return self._store.log_nodes(self._collection_id, wanted)


class Logbook:
    """See the module's text.

    Args:
        settings: names the hub; a log is named by the public URL.
        store: the leaves.
        key: signs checkpoints; None for a hub that offers no logs.
        monotonic: clock in seconds.
    """

    def __init__(
        self,
        settings: HubSettings,
        store: Store,
        key: NotePrivate | None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._fresh_until: dict[str, float] = {}
        self._store = store
        self._key = key
        place = urlsplit(settings.public_url or "").netloc.rpartition("@")[2]
        self._prefix = f"{place}/{settings.root}" if place else None
        self._signed: dict[str, Signed] = {}
        self._lock = threading.Lock()
        self.signed = 0

    @property
    def kept(self) -> bool:
        """Whether this hub signs checkpoints at all."""
        return self._key is not None and self._prefix is not None

    def origin(self, collection_id: str) -> str:
        """The name of a collection's log.

        It holds the store's epoch: what is restored from a back-up is another log.
        """
        return f"{self._prefix}/{collection_id}/{self._store.epoch}"

    def offer(self, collection_id: str) -> dict[str, str] | None:
        """What an owner pins in the manifest; None when this hub signs no checkpoints."""
        if self._key is None or self._prefix is None:
            return None
        origin = self.origin(collection_id)
        return {"origin": origin, "verifier_key": log_key(origin, self._key).text}

    def note(self, collection_id: str, manifest: bytes) -> str | None:
        """What the log's key says of a snapshot's manifest; None when this hub signs nothing."""
        if self._key is None or self._prefix is None:
            return None
        return sign_snapshot(manifest, self.origin(collection_id), self._key)

    def newest(self, collection_id: str) -> Signed:
        """The checkpoint of all that is durable, of this second or the last.

        Raises:
            InputError: no log.
            StoreError: the disk fails, and no earlier checkpoint says the same.
        """
        if self._key is None:
            raise InputError("this hub signs no checkpoints")
        with self._lock:
            size = self._store.log_size(collection_id)
            known = self._signed.get(collection_id)
            same = known if known is not None and known.size == size else None
            if same is not None and self._monotonic() < self._fresh_until[collection_id]:
                return same
            try:
                mark = self._store.log_mark(collection_id)
            except StoreError:
                # Reading goes on when the disk is full; members see how old it is.
                if same is not None:
                    return same
                raise
            if same is None or (mark.size, mark.time) != (same.size, same.time):
                root = tree.root_at(StoredTree(self._store, collection_id), mark.size)
                checkpoint = Checkpoint(self.origin(collection_id), mark.size, root, mark.time)
                raw = sign_checkpoint(checkpoint, self._key)
                same = self._signed[collection_id] = Signed(raw, mark.size, mark.time)
                self.signed += 1
            self._fresh_until[collection_id] = self._monotonic() + _FRESH_SECONDS
            return same

    def inclusion(self, collection_id: str, index: int, size: int) -> list[bytes]:
        """The audit path of a leaf. Raises InputError beyond what is durable."""
        self._check_reached(collection_id, size)
        return tree.inclusion_proof(StoredTree(self._store, collection_id), index, size)

    def consistency(self, collection_id: str, old: int, new: int) -> list[bytes]:
        """The proof between two sizes. Raises InputError beyond what is durable."""
        self._check_reached(collection_id, new)
        return tree.consistency_proof(StoredTree(self._store, collection_id), old, new)

    def entries(self, collection_id: str, first: int, end: int) -> list[bytes]:
        """Digests of leaves. Raises InputError for too many or beyond what is durable."""
        if end - first > MAX_ENTRIES:
            raise InputError(
                f"at most {MAX_ENTRIES} entries are given at once", where="to", hint="ask for fewer"
            )
        return self._store.log_digests(collection_id, first, end)

    def _check_reached(self, collection_id: str, size: int) -> None:
        reached = self._store.log_size(collection_id)
        if size > reached:
            raise InputError(f"the log has {reached} entries", where="size")
