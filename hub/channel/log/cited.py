"""What members cite of the channel's log: the highest checkpoint of each author, for each log.

A member that was shown another tree than its peers says so without knowing it, in the `cp` of its
next message: two checkpoints of one log and size with different roots are signed by the log's own
key, and prove that it shows different trees to different members.
Source: schemas/channel-v1.md, "Log".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hub.channel.log.checkpoint import Checkpoint, parse_checkpoint, verify_checkpoint
from hub.channel.policy import Log
from hub.errors import InputError, VerificationError
from hub.model.codec import Json

# Four logs for the most members that a channel has.
MAX_CITED: Final = 4_000


@dataclass(frozen=True)
class Cited:
    """A checkpoint that a member's message quotes.

    Args:
        member: STIX id of the author.
        checkpoint: what it says.
        raw: the signed note.
        digest: of the message that quotes it.
    """

    member: str
    checkpoint: Checkpoint
    raw: str
    digest: str


def check_citation(cp: str | None, log: Log | None, where: str) -> Checkpoint | None:
    """The checkpoint that a header quotes, verified under the log of the manifest that it names.

    Raises:
        VerificationError: it is not one of this log, or there is no log.
    """
    if cp is None:
        return None
    if log is None:
        raise VerificationError("cites a checkpoint, but the channel has no log", where=where)
    try:
        return verify_checkpoint(cp, log.verifier_key).checkpoint
    except (InputError, VerificationError) as error:
        raise VerificationError(
            f"cites no checkpoint of the channel's log: {error.message}", where=where
        ) from None


class Citations:
    """The highest cited checkpoint per log and author, and the one that this reader quotes.

    Attributes:
        quoted: the note for the `cp` of this reader's next messages, or None.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Cited] = {}
        self._fresh: dict[tuple[str, int, bytes], Cited] = {}
        self.quoted: str | None = None

    @property
    def rows(self) -> Sequence[Cited]:
        """All of them, in the order of their authors' first citation."""
        return tuple(self._rows.values())

    def add(self, cited: Cited) -> Cited | None:
        """Keep a citation if it is its author's highest.

        Returns:
            One that says otherwise of the same size of the same log, if there is any.
        """
        new = cited.checkpoint
        other = next(
            (
                row
                for row in self._rows.values()
                if row.checkpoint.size == new.size
                and row.checkpoint.origin == new.origin
                and row.checkpoint.root != new.root
            ),
            None,
        )
        if len(self._fresh) < MAX_CITED:
            self._fresh.setdefault((new.origin, new.size, new.root), cited)
        key = (new.origin, cited.member)
        known = self._rows.get(key)
        if known is None or known.checkpoint.size < new.size:
            if known is None and len(self._rows) >= MAX_CITED:
                self._drop(new.origin)
            self._rows[key] = cited
        return other

    def copy(self) -> Citations:
        """Another that grows on its own."""
        made = Citations()
        made._rows, made._fresh, made.quoted = dict(self._rows), dict(self._fresh), self.quoted
        return made

    def take_fresh(self) -> Sequence[Cited]:
        """Each checkpoint that was cited since the last call, once; they are not stored."""
        fresh = tuple(self._fresh.values())
        self._fresh.clear()
        return fresh

    def to_json(self) -> Json:
        """The durable form."""
        return {
            "quoted": self.quoted,
            "rows": [[row.member, row.raw, row.digest] for row in self._rows.values()],
        }

    @classmethod
    def from_json(cls, value: Any) -> Citations:
        """What `to_json` gave; nothing from a state before there were logs.

        Raises:
            InputError: it is not of this form.
        """
        citations = cls()
        if value is None:
            return citations
        try:
            for member, raw, digest in value["rows"]:
                checkpoint = parse_checkpoint(raw).checkpoint
                citations._rows[checkpoint.origin, member] = Cited(member, checkpoint, raw, digest)
            citations.quoted = value["quoted"]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise InputError("not a state of citations", where="state") from None
        return citations

    def _drop(self, origin: str) -> None:
        """Make room: logs that the channel left go first, then the lowest."""
        rows = self._rows
        key = min(rows, key=lambda each: (each[0] == origin, rows[each].checkpoint.size))
        del rows[key]
