"""What nearly every request asks of accounts and collections, remembered while it holds.

A store in a file tells cheaply whether anything was committed since, by whatever process: then what
was looked up is looked up again, so an answer from memory is as good as one from the file. A
database server is not asked each time: there an answer is a second old at most, which bounds how
long a revoked token is still let in. Time passes too (tokens expire), so nothing outlives the
second of the wall clock in which it was found. Failed log-ins are never remembered.
What would need a trip to a database server raises NotHereError on the event loop.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

from hub.server.calls import NotHereError, on_event_loop
from hub.store.interface import Store
from hub.store.records import Binding, Collection, Credential, Grant

T = TypeVar("T")

_MOST: Final = 20_000
_REMOTE_SECONDS: Final = 1.0


class Remembered:
    """See the module's text.

    Args:
        store: where things are looked up.
        now: wall clock in whole seconds UTC.
        monotonic: clock in seconds.
    """

    def __init__(
        self,
        store: Store,
        *,
        now: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._now = now
        self._monotonic = monotonic
        # Tokens are remembered as hashes under a key of this process.
        self._key = secrets.token_bytes(32)
        self._kept: dict[Hashable, Any] = {}
        self._state: tuple[int | None, int] = (None, 0)
        self._until = 0.0
        self._asked = False

    def known_credential(self, secret: str) -> Credential | None:
        """The credential behind a token if it is remembered; asks no database server."""
        self._refresh()
        found: Credential | None = self._kept.get(self._digest(secret))
        return found

    def credential(self, secret: str, *, now: int) -> Credential | None:
        """See `AccountStore.credential`."""
        self._refresh()
        return self._look(
            self._digest(secret), lambda: self._store.credential(secret, now=now), refusal=None
        )

    def collection(self, id_or_alias: str) -> Collection | None:
        """See `CollectionStore.collection`."""
        self._refresh()
        return self._look(
            ("collection", id_or_alias), lambda: self._store.collection(id_or_alias), refusal=None
        )

    def grant(self, collection_id: str, org_id: str) -> Grant | None:
        """See `CollectionStore.grant`."""
        self._refresh()
        key = ("grant", collection_id, org_id)
        return self._look(key, lambda: self._store.grant(collection_id, org_id))

    def bindings(self, org_id: str) -> list[Binding]:
        """See `AccountStore.bindings`."""
        self._refresh()
        return self._look(("bindings", org_id), lambda: self._store.bindings(org_id))

    def forget(self) -> None:
        """Look everything up again: this process has just changed some of it."""
        self._until = 0.0
        self._kept = {}

    def whole(self, key: Hashable, look: Callable[[], T], *, lasts: Callable[[T], bool]) -> T:
        """Remember what follows from the store alone, for stores that tell of every commit.

        Of a database server that is kept only which `lasts`: what depends on a channel's messages
        or on who watches is as fresh as they are, and is looked up each time.
        """
        self._refresh()
        if not self._store.remote:
            return self._look(("whole", key), look)
        kept = self._kept
        found = look()
        if lasts(found) and len(kept) < _MOST:
            kept["whole", key] = found
        return found

    def known_whole(self, key: Hashable) -> Any:
        """What `whole` remembers, or None; asks no database server."""
        self._refresh()
        return self._kept.get(("whole", key))

    def _look(self, key: Hashable, look: Callable[[], T], *, refusal: object = ...) -> T:
        # The memory of now: an answer that comes after a change must not be put into that of later.
        kept = self._kept
        if key in kept:
            found: T = kept[key]
            return found
        if self._store.remote and on_event_loop():
            raise NotHereError
        found = look()
        if found is not refusal and len(kept) < _MOST:
            kept[key] = found
        return found

    def _refresh(self) -> None:
        """Forget everything, unless it is known to hold still."""
        if self._asked:
            return
        second = self._now()
        if self._store.remote:
            moment = self._monotonic()
            if moment >= self._until or second != self._state[1]:
                self._until = moment + _REMOTE_SECONDS
                self._kept, self._state = {}, (None, second)
            return
        # Queued before the question: what another thread brings from now on comes after it.
        holds = self._until_next_round()
        state = (self._store.changes(), second)
        if state != self._state or state[0] is None:
            self._kept, self._state = {}, state
        self._asked = holds

    def _until_next_round(self) -> bool:
        """Ask no more in this round of the event loop: all its requests came before the answer."""
        try:
            asyncio.get_running_loop().call_soon(self._let_go)
        except RuntimeError:
            return False
        return True

    def _let_go(self) -> None:
        self._asked = False

    def _digest(self, secret: str) -> bytes:
        octets = secret.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(octets, key=self._key, digest_size=16).digest()
