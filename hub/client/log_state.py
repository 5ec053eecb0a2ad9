"""What a home keeps of the logs of its channels.

Of each log: its head (size, frontier, checkpoint), the digest of every entry, and each thousandth
frontier, so that the root at any size is some thousand hashes away. Beside them what waits to be
found: messages that were given and are not in the log yet, and checkpoints that members cite.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hub.channel.log.cited import Cited
from hub.channel.log.tree import Frontier, leaf_hash
from hub.client.state import State

MARK_EVERY: Final = 1_024


@dataclass(frozen=True)
class Head:
    """The state of a log that was verified last.

    Args:
        origin: which log.
        pull: number of the pull that verified it.
        frontier: of the tree.
        checkpoint: the signed note; None before the first.
        at: when it was verified, UTC seconds.
    """

    origin: str
    pull: int
    frontier: Frontier
    checkpoint: str | None
    at: int


@dataclass(frozen=True)
class CitedRow:
    """A checkpoint that a member cited and that was not held against the log yet."""

    size: int
    root: bytes
    member: str
    digest: str
    raw: str
    pull: int


class LogState:
    """The log of one channel in the local state.

    Args:
        state: the home's.
        channel_id: whose.
    """

    def __init__(self, state: State, channel_id: str) -> None:
        self._state = state
        self._id = channel_id

    # The head

    def head(self, origin: str) -> Head | None:
        """The last verified state of a log, or None for a log that is new here."""
        rows = self._state.rows(
            "SELECT origin, pull, frontier, checkpoint, at FROM log_head"
            " WHERE channel_id=? AND origin=?",
            (self._id, origin),
        )
        return next(
            (Head(r[0], r[1], Frontier.from_bytes(bytes(r[2])), r[3], r[4]) for r in rows), None
        )

    def set_head(self, head: Head) -> None:
        """Remember a verified state."""
        self._state.run(
            "INSERT OR REPLACE INTO log_head VALUES (?,?,?,?,?,?,?)",
            (
                self._id,
                head.origin,
                head.pull,
                head.frontier.size,
                head.frontier.to_bytes(),
                head.checkpoint,
                head.at,
            ),
        )

    def pulls(self) -> int:
        """Number of the last pull that verified a log of this channel; 0 before the first."""
        sql = "SELECT coalesce(max(pull), 0) FROM log_head WHERE channel_id=?"
        return int(self._state.run(sql, (self._id,)).fetchone()[0])

    # Entries

    def append(
        self, origin: str, frontier: Frontier, entries: Sequence[tuple[bytes, bool]]
    ) -> None:
        """Store entries after those that are there, and extend the frontier by them.

        Args:
            origin: which log.
            frontier: of the tree before them; it grows.
            entries: digest, and whether this member was given the message.
        """
        rows, marks = [], []
        for digest, given in entries:
            rows.append((self._id, origin, frontier.size, digest, int(given)))
            frontier.append(leaf_hash(digest))
            if frontier.size % MARK_EVERY == 0:
                marks.append((self._id, origin, frontier.size, frontier.to_bytes()))
        self._state.run_many("INSERT OR REPLACE INTO log_leaf VALUES (?,?,?,?,?)", rows)
        self._state.run_many("INSERT OR REPLACE INTO log_mark VALUES (?,?,?,?)", marks)

    def digests(self, origin: str, start: int, end: int) -> Iterator[bytes]:
        """Digests of entries `start` to `end - 1`, in order."""
        for row in self._state.rows(
            "SELECT digest FROM log_leaf WHERE channel_id=? AND origin=? AND position>=?"
            " AND position<? ORDER BY position",
            (self._id, origin, start, end),
        ):
            yield bytes(row[0])

    def holds(self, origin: str, digest: bytes) -> bool:
        """Whether an entry of this digest is in the log."""
        sql = "SELECT 1 FROM log_leaf WHERE channel_id=? AND origin=? AND digest=? LIMIT 1"
        return self._state.run(sql, (self._id, origin, digest)).fetchone() is not None

    def missing(self, origin: str, most: int) -> list[tuple[int, bytes]]:
        """Position and digest of entries whose message this member was not given."""
        return [
            (int(r[0]), bytes(r[1]))
            for r in self._state.rows(
                "SELECT position, digest FROM log_leaf INDEXED BY log_leaf_missing"
                " WHERE channel_id=? AND origin=? AND given=0 ORDER BY position LIMIT ?",
                (self._id, origin, most),
            )
        ]

    def count_missing(self, origin: str) -> int:
        """How many there are."""
        sql = (
            "SELECT count(*) FROM log_leaf INDEXED BY log_leaf_missing"
            " WHERE channel_id=? AND origin=? AND given=0"
        )
        return int(self._state.run(sql, (self._id, origin)).fetchone()[0])

    def mark_given(self, origin: str, positions: Iterable[int]) -> None:
        """The messages of these entries were given, or deleted by their publisher."""
        self._state.run_many(
            "UPDATE log_leaf SET given=1 WHERE channel_id=? AND origin=? AND position=?",
            [(self._id, origin, each) for each in positions],
        )

    def roots(self, origin: str, sizes: Iterable[int]) -> dict[int, bytes]:
        """The root that the verified log had at each size; none above its present size."""
        found: dict[int, bytes] = {}
        frontier = Frontier()
        for size in sorted(set(sizes)):
            mark = self._mark(origin, size)
            if mark.size > frontier.size:
                frontier = mark
            frontier.extend(map(leaf_hash, self.digests(origin, frontier.size, size)))
            found[size] = frontier.root()
        return found

    def _mark(self, origin: str, size: int) -> Frontier:
        rows = self._state.rows(
            "SELECT frontier FROM log_mark WHERE channel_id=? AND origin=? AND size<=?"
            " ORDER BY size DESC LIMIT 1",
            (self._id, origin, size),
        )
        return Frontier.from_bytes(bytes(rows[0][0])) if rows else Frontier()

    # What waits to be found

    def note_given(self, digests: Iterable[bytes], pull: int) -> None:
        """Messages that the hub has shown, or says that it holds: they must be in its log."""
        self._state.run_many(
            "INSERT INTO log_given VALUES (?,?,?)"
            " ON CONFLICT DO UPDATE SET pull=min(pull, excluded.pull)",
            [(self._id, digest, pull) for digest in digests],
        )

    def was_given(self, digest: bytes) -> bool:
        """Whether the hub has shown these bytes, and they are no message that was taken."""
        sql = "SELECT 1 FROM log_given WHERE channel_id=? AND digest=?"
        return self._state.run(sql, (self._id, digest)).fetchone() is not None

    def settle_given(self, origin: str) -> None:
        """Forget those that are in the log by now."""
        self._state.run(
            "DELETE FROM log_given WHERE channel_id=? AND EXISTS (SELECT 1 FROM log_leaf l"
            " WHERE l.channel_id=log_given.channel_id AND l.origin=?"
            " AND l.digest=log_given.digest)",
            (self._id, origin),
        )

    def unlisted(self, pull: int) -> list[bytes]:
        """Messages that were given before this pull, and that the log does not have."""
        sql = "SELECT digest FROM log_given WHERE channel_id=? AND pull<? ORDER BY digest"
        return [bytes(r[0]) for r in self._state.rows(sql, (self._id, pull))]

    def confirmed_since(self, at: int) -> list[bytes]:
        """Own messages that the hub has confirmed at this time or later."""
        sql = "SELECT digest FROM outbox WHERE channel_id=? AND target='channel' AND sent_at>=?"
        return [bytes.fromhex(r[0]) for r in self._state.rows(sql, (self._id, at))]

    def drop_given(self, pull: int) -> None:
        """Forget what was given before this pull: the channel has another log now."""
        self._state.run("DELETE FROM log_given WHERE channel_id=? AND pull<?", (self._id, pull))

    def note_cited(self, cited: Iterable[Cited], pull: int) -> None:
        """Checkpoints that members cite, each once, to be held against the log."""
        self._state.run_many(
            "INSERT OR IGNORE INTO log_cited VALUES (?,?,?,?,?,?,?,?)",
            [
                (
                    self._id,
                    each.checkpoint.origin,
                    each.checkpoint.size,
                    each.checkpoint.root,
                    each.member,
                    each.digest,
                    each.raw,
                    pull,
                )
                for each in cited
            ],
        )

    def cited(self, origin: str) -> list[CitedRow]:
        """Those of a log that wait, the smallest first."""
        return [
            CitedRow(int(r[0]), bytes(r[1]), *tuple(r)[2:])
            for r in self._state.rows(
                "SELECT size, root, member, digest, raw, pull FROM log_cited"
                " WHERE channel_id=? AND origin=? ORDER BY size, root",
                (self._id, origin),
            )
        ]

    def settle_cited(self, origin: str, size: int) -> None:
        """Forget those up to a size: they were compared; and those of other logs."""
        self._state.run(
            "DELETE FROM log_cited WHERE channel_id=? AND (origin<>? OR size<=?)",
            (self._id, origin, size),
        )
