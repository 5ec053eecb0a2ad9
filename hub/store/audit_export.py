"""The audit log as lines of JSON, and its verification without a hub.

The first line is `{"stillwatch_audit": 1, "after": n, "previous": hash}`: the number and hash of
the row before the first; every other line is a row with its hash. A row's hash is SHA-256 of the
previous row's hash and the JSON array of its other fields, as in `hub.store.audit`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from hub.errors import InputError, VerificationError
from hub.store.audit import START, chained, detail_text
from hub.store.records import AuditRow

_FIELDS: Final = ("seq", "time", "event", "org_id", "token_id", "collection_id", "detail", "hash")
_LONGEST: Final = 1024 * 1024


class Verified(NamedTuple):
    """What an export holds; `head` is the last row's hash in hex."""

    first: int
    last: int
    rows: int
    head: str


def head_line(after: int, previous: bytes | None) -> bytes:
    """The first line of an export."""
    before = START if previous is None else previous
    return _line({"stillwatch_audit": 1, "after": after, "previous": before.hex()})


def row_line(row: AuditRow) -> bytes:
    """A row's line."""
    return _line({**row._asdict(), "detail": dict(row.detail), "hash": row.hash.hex()})


def verify_export(lines: Iterable[bytes], *, where: str, head: str | None = None) -> Verified:
    """Recompute the chain of an export.

    Args:
        lines: of the file.
        where: what to call it in errors.
        head: what the last row's hash must be, in hex; without it a shortened file passes.
    Raises:
        InputError: not an export.
        VerificationError: a row was changed, left out or put in; `where` names its line.
    """
    numbered = enumerate(lines, start=1)
    first = next(numbered, None)
    if first is None:
        raise InputError("the file is empty", where=where)
    start = _object(first[1], f"{where}:1")
    after, previous = start.get("after"), _hash(start.get("previous"), f"{where}:1")
    if start.get("stillwatch_audit") != 1 or type(after) is not int or after < 0:
        raise InputError("not an exported audit log", where=f"{where}:1")
    if after == 0 and previous != START:
        raise VerificationError("the log does not begin at its beginning", where=f"{where}:1")
    seq = after
    for number, line in numbered:
        at = f"{where}:{number}"
        row = _object(line, at)
        if tuple(row) != _FIELDS or not isinstance(row["detail"], dict):
            raise InputError("not a row of the audit log", where=at)
        seq += 1
        fields = (*list(row.values())[:6], detail_text(row["detail"]))
        if row["seq"] != seq or _hash(row["hash"], at) != chained(previous, fields):
            raise VerificationError("the audit log was altered", where=at)
        previous = bytes.fromhex(row["hash"])
    if head is not None and previous.hex() != head.lower():
        raise VerificationError("the log does not end with the head that was kept", where=where)
    return Verified(after + 1, seq, seq - after, previous.hex())


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _object(line: bytes, where: str) -> dict[str, Any]:
    if len(line) > _LONGEST:
        raise InputError("the line is too long", where=where)
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError("not a line of JSON", where=where) from error
    if not isinstance(found, dict):
        raise InputError("not a JSON object", where=where)
    return found


def _hash(value: object, where: str) -> bytes:
    try:
        found = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        found = b""
    if len(found) != 32:
        raise InputError("a SHA-256 in hex is expected", where=where)
    return found
