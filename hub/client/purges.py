"""Purging what its publisher withdrew: from the state, and from what was derived of it.

What is left of an object says that it was there, whose it was, and that it is withdrawn. Compiled
indicators are dropped as a whole, and the marks of what was hunted go with it; both are copies
that the next run makes anew.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Final

from hub.client.home import Home
from hub.client.plan import PlanFile
from hub.client.releases import remains
from hub.client.rows import ObjectRow
from hub.client.state import State
from hub.errors import ConflictError, InputError

HUNT_FOLDER: Final = "hunt"


@dataclasses.dataclass(frozen=True)
class Purged:
    """An object that was withdrawn and is used here no more.

    Attributes:
        member: who withdrew it.
        audience: for whom the withdrawal was sealed.
        digest: of the message that withdrew it.
        version: `modified` of the version that was held, None if none was.
        at: when it was dropped, UTC seconds.
        cleaned: whether what was derived from it is gone too.
        receipt: id of the receipt, None before it is sealed.
    """

    channel_id: str
    object_id: str
    member: str
    audience: str
    digest: str
    version: str | None
    at: int
    cleaned: bool
    receipt: str | None


class Purges:
    """What was purged in a home.

    Args:
        state: the home's state.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def take(self, row: ObjectRow) -> str | None:
        """Store a withdrawal, of which only the remains are kept; as `State.put_object`.

        Args:
            row: the last version of the object, revoked; `verified_at` is the time of the purge.
        """
        held = self._state.object(row.id, row.channel_id)
        stored = self._state.put_object(dataclasses.replace(row, body=remains(row.body)))
        if stored is not None and row.type == "indicator":
            version = None if held is None else str(held.body.get("modified"))
            self._state.run(
                "INSERT OR REPLACE INTO purged VALUES (?,?,?,?,?,?,?,0,NULL)",
                (
                    row.channel_id,
                    row.id,
                    row.member,
                    row.audience,
                    row.digest,
                    version,
                    row.verified_at,
                ),
            )
        return stored

    def of(self, channel_id: str) -> list[Purged]:
        """Everything purged in a channel, oldest first."""
        rows = self._state.rows(
            "SELECT channel_id, object_id, member, audience, digest, version, at, cleaned, receipt"
            " FROM purged WHERE channel_id=? ORDER BY at, object_id",
            (channel_id,),
        )
        return [
            Purged(r[0], r[1], r[2], r[3], r[4], r[5], int(r[6]), bool(r[7]), r[8]) for r in rows
        ]

    def mark_cleaned(self, purged: Iterable[Purged]) -> None:
        """What was derived of these is gone."""
        for each in purged:
            self._state.run(
                "UPDATE purged SET cleaned=1 WHERE channel_id=? AND object_id=?",
                (each.channel_id, each.object_id),
            )

    def mark_receipt(self, purged: Iterable[Purged], receipt: str) -> None:
        """A receipt for these is sealed, and will be sent."""
        for each in purged:
            self._state.run(
                "UPDATE purged SET receipt=? WHERE channel_id=? AND object_id=?",
                (receipt, each.channel_id, each.object_id),
            )


def clean(home: Home, channel_id: str) -> None:
    """Drop what was derived of withdrawn objects; cut off anywhere, the next pull goes on.

    An event store that another process works with keeps its marks until the next pull.
    """
    purges = Purges(home.state)
    dirty = [each for each in purges.of(channel_id) if not each.cleaned]
    if not dirty:
        return
    PlanFile(home.path).drop()
    with contextlib.suppress(ConflictError):
        _unmark(home, dirty)
        with home.state.transaction():
            purges.mark_cleaned(dirty)
        # What the log of the database still holds of the objects goes with it.
        home.state.run("PRAGMA wal_checkpoint(TRUNCATE)")


def _unmark(home: Home, dirty: Sequence[Purged]) -> None:
    # Arrow takes long to load, and few pulls bring a withdrawal.
    from hub.hunt.hunted import Hunted
    from hub.hunt.store import EventStore

    folder = home.path / HUNT_FOLDER
    versions = {each.object_id: each.version for each in dirty if each.version is not None}
    if not versions or not EventStore.exists(folder):
        return
    with contextlib.suppress(InputError):  # a store of another release holds its own marks
        store = EventStore.open(folder)
        with store.locked():
            hunted = Hunted.load(folder)
            if hunted.forget(versions):
                hunted.save(folder)
