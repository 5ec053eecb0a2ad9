"""Who read what this organisation published, as far as its hubs tell.

A hub tells of reads by governments in detail, and of those behind broken glass. A pull counts what
is new and keeps the number, so that `status` needs no network; looking at the lines sets it to 0.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hub.client.pulled import Pulled
from hub.client.reads_port import Line
from hub.client.state import State
from hub.client.work import Desk
from hub.errors import StillwatchError

_LOG: Final = logging.getLogger(__name__)
PAGE: Final = 1000
_MOST_PAGES: Final = 10
"""Pages of one look; the next one goes on from there."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a hub's lines were looked at.

    Attributes:
        api_root: which hub.
        seen: number of the last line that was shown.
        told: number of the last line that was counted.
        news: reads between the two.
        at: when that was, UTC seconds.
    """

    api_root: str
    seen: int = 0
    told: int = 0
    news: int = 0
    at: int = 0


class ReadsSeen:
    """The standings of one home.

    Args:
        state: the home's state.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def all(self) -> list[Standing]:
        """Of every hub that told anything."""
        rows = self._state.rows("SELECT * FROM reads ORDER BY api_root")
        return [Standing(str(row[0]), row[1], row[2], row[3], row[4]) for row in rows]

    def of(self, api_root: str) -> Standing:
        """Of one hub."""
        return next((one for one in self.all() if one.api_root == api_root), Standing(api_root))

    def count(self, before: Standing, told: int, more: int, now: int) -> None:
        """Count reads up to a line, unless somebody else has done so meanwhile."""
        with self._state.transaction():
            if self.of(before.api_root) == before:
                self._put(Standing(before.api_root, before.seen, told, before.news + more, now))

    def look(self, api_root: str, seen: int, shown: int, now: int) -> None:
        """Note that everything up to a line was shown, of it so many reads for the first time."""
        with self._state.transaction():
            was = self.of(api_root)
            if seen >= was.told:
                self._put(Standing(api_root, seen, seen, 0, now))
            elif seen > was.seen:
                self._put(Standing(api_root, seen, was.told, max(0, was.news - shown), now))

    def _put(self, one: Standing) -> None:
        self._state.run(
            "INSERT OR REPLACE INTO reads VALUES (?,?,?,?,?)",
            (one.api_root, one.seen, one.told, one.news, one.at),
        )


@dataclass(frozen=True, slots=True)
class Told:
    """What a hub told.

    Attributes:
        rows: every line that concerns this organisation, oldest first.
        more: whether it has more after them.
    """

    rows: Sequence[Line]
    more: bool


def ask(desk: Desk, api_root: str, after: int) -> Told | None:
    """The lines after a number, at most ten pages of them; None where nothing is told.

    Raises:
        AccessError, TransportError: the hub does not answer, or not readably.
    """
    if not desk.home.is_stillwatch(api_root):
        return None
    hub = desk.hub_at(api_root)
    rows: list[Line] = []
    more = True
    for _ in range(_MOST_PAGES):
        found = hub.audit(after, PAGE)
        if found is None:
            return None
        rows += found.rows
        more = found.more
        if not more:
            break
        after = found.rows[-1].seq
    return Told(rows, more)


def count_news(desk: Desk, results: Sequence[Pulled]) -> None:
    """Count what is new, for `status`, at the hubs that a pull has just reached."""
    state = desk.home.state
    seen = ReadsSeen(state)
    for api_root in {state.channel(one.channel).api_root for one in results if one.error is None}:
        before = seen.of(api_root)
        try:
            found = ask(desk, api_root, before.told)
        except StillwatchError as error:
            # The pull is done all the same.
            _LOG.info("%s: nothing learnt of reads: %s", api_root, error)
            continue
        if found is None or not found.rows:
            continue
        reads = sum(one.is_read for one in found.rows)
        seen.count(before, found.rows[-1].seq, reads, desk.clock())
