"""The audit of use: rows chained by hash, so that none can be altered or taken out unseen.

Who asked when for how many elements, under which key, and what the operator did; never an element.
Cutting rows off the end is seen by whoever noted the head.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Final

from hub.channel.primitives.hash import digest, label, lp
from hub.custody.folder import Folder
from hub.errors import InputError, VerificationError
from hub.model.codec import canonical, loads_canonical

START: Final = "0" * 64
"""What the first row names as the hash before it."""
EVENTS: Final = (
    "channel-added",
    "evaluated",
    "exhausted",
    "key-created",
    "key-destroyed",
    "quota-set",
)
_MAX_ROW: Final = 4_096


@dataclass(frozen=True)
class Entry:
    """One row.

    Args:
        at: seconds UTC.
        event: one of `EVENTS`.
        channel: channel id.
        member: STIX id of the member that asked, or for whom a quota was set.
        key: fingerprint key id.
        count: elements that were charged, or refused.
        left: what the member had left of its day.
        note: what else there is to say.
    """

    at: int
    event: str
    channel: str
    member: str | None = None
    key: str | None = None
    count: int | None = None
    left: int | None = None
    note: str | None = None


def append(folder: Folder, entry: Entry) -> None:
    """Add a row; inside the transaction of what it tells of."""
    position, before = _last(folder)
    row = canonical({**asdict(entry), "position": position + 1})
    folder.run("INSERT INTO audit VALUES (?,?,?)", (position + 1, row, _hash(before, row)))


def entries(folder: Folder, *, last: int | None = None) -> Iterator[Entry]:
    """The rows, oldest first.

    Args:
        folder: the custodian's.
        last: only so many of the newest.
    """
    for _, row, _ in _rows(folder, last):
        yield _entry(row)


def verify(folder: Folder) -> tuple[int, str]:
    """Check the whole chain.

    Returns:
        The number of rows, and the head: note it elsewhere, and later heads follow it.
    Raises:
        VerificationError: a row was altered, put in or taken out.
    """
    before, count = START, 0
    for position, row, stated in _rows(folder, None):
        count += 1
        where = f"audit row {count}"
        if position != count:
            raise VerificationError("is not there", where=where)
        before = _hash(before, row)
        if before != stated:
            raise VerificationError("was altered, or a row before it", where=where)
        try:
            _entry(row)
        except InputError as error:
            raise VerificationError("is not a row", where=where) from error
    return count, before


def head_at(folder: Folder, position: int) -> str | None:
    """The hash of a row, to compare with a head that was noted; None where there is no such row."""
    if position == 0:
        return START
    found = folder.rows("SELECT hash FROM audit WHERE position=?", (position,))
    return str(found[0][0]) if found else None


def _hash(before: str, row: bytes) -> str:
    return digest(label("custodian audit") + lp(bytes.fromhex(before)) + lp(row))


def _last(folder: Folder) -> tuple[int, str]:
    found = folder.rows("SELECT position, hash FROM audit ORDER BY position DESC LIMIT 1")
    if not found:
        return 0, START
    position, stated = found[0]
    assert isinstance(position, int)
    return position, str(stated)


def _rows(folder: Folder, last: int | None) -> list[tuple[int, bytes, str]]:
    found = []
    for position, row, stated in folder.rows(
        "SELECT * FROM (SELECT * FROM audit ORDER BY position DESC LIMIT ?) ORDER BY position",
        (-1 if last is None else last,),
    ):
        assert isinstance(position, int)
        assert isinstance(row, bytes)
        found.append((position, row, str(stated)))
    return found


def _entry(row: bytes) -> Entry:
    value = loads_canonical(row, where="audit row", max_bytes=_MAX_ROW)
    value.pop("position", None)
    try:
        return Entry(**value)
    except TypeError:
        raise InputError("not a row of this release", where="audit row") from None
