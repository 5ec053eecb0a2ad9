"""The append-only, hash-chained audit log, on either engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hub.errors import VerificationError
from hub.store.clock import GuardedClock
from hub.store.records import AuditNote, AuditRow
from hub.store.sql import Connection, Serial, Sql

START: Final = bytes(32)
"""What stands before the first row's hash."""
_VERIFY_ROWS: Final = 1000
_SELECT: Final = "SELECT seq, time, event, org_id, token_id, collection_id, detail, hash FROM audit"
_CONCERNING: Final = (
    "SELECT a.seq, a.time, a.event, a.org_id, a.token_id, a.collection_id, a.detail, a.hash"
    " FROM audit_concern c JOIN audit a ON a.seq = c.seq"
    " WHERE c.org_id = ? AND c.seq > ? ORDER BY c.seq LIMIT ?"
)


class Audit:
    """`AuditStore`."""

    _database: Sql
    _clock: GuardedClock

    def audit(
        self,
        event: str,
        *,
        org_id: str | None = None,
        token_id: str | None = None,
        collection_id: str | None = None,
        detail: Mapping[str, str] | None = None,
        concerns: frozenset[str] = frozenset(),
    ) -> AuditRow:
        """See `AuditStore.audit`."""
        note = AuditNote(event, org_id, token_id, collection_id, dict(detail or {}), concerns)
        return self.audit_all([note])[0]

    def audit_all(self, notes: Sequence[AuditNote]) -> list[AuditRow]:
        """See `AuditStore.audit_all`."""
        if not notes:
            return []
        with self._database.write(Serial.OWN) as connection:
            return self.audit_within(connection, notes)

    def audit_within(self, connection: Connection, notes: Sequence[AuditNote]) -> list[AuditRow]:
        """Append lines in a transaction that does more than that."""
        self._database.lock_audit(connection)
        last = connection.execute(f"{_SELECT} ORDER BY seq DESC LIMIT 1").fetchone()
        seq, previous = (0, START) if last is None else (last[0], bytes(last[7]))
        made = []
        for note in notes:
            seq += 1
            fields = (
                seq,
                self._clock.seconds(),
                note.event,
                note.org_id,
                note.token_id,
                note.collection_id,
                _text(note),
            )
            previous = chained(previous, fields)
            connection.execute(
                "INSERT INTO audit (seq, time, event, org_id, token_id, collection_id, detail,"
                " hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*fields, previous),
            )
            for org_id in sorted(note.concerns):
                connection.execute(
                    "INSERT INTO audit_concern (org_id, seq) VALUES (?, ?)", (org_id, seq)
                )
            made.append(_row((*fields, previous)))
        return made

    def audit_rows(self, *, after: int = 0, limit: int = 1000) -> list[AuditRow]:
        """See `AuditStore.audit_rows`."""
        return [_row(row) for row in self._raw_rows(after, limit)]

    def audit_concerning(self, org_id: str, *, after: int = 0, limit: int = 1000) -> list[AuditRow]:
        """See `AuditStore.audit_concerning`."""
        return [_row(row) for row in self._database.rows(_CONCERNING, (org_id, after, limit))]

    def verify_audit(self) -> int:
        """See `AuditStore.verify_audit`."""
        count, previous = 0, START
        while rows := self._raw_rows(count, _VERIFY_ROWS):
            for row in rows:
                count += 1
                if row[0] != count or bytes(row[7]) != chained(previous, tuple(row[:7])):
                    raise VerificationError("the audit log was altered", where=f"row {count}")
                previous = bytes(row[7])
        return count

    def _raw_rows(self, after: int, limit: int) -> list[Any]:
        return self._database.rows(f"{_SELECT} WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))


def detail_text(detail: Mapping[str, str]) -> str:
    """A row's detail as it goes into the chain."""
    return json.dumps(dict(detail), sort_keys=True, separators=(",", ":"))


def chained(previous: bytes, fields: tuple[object, ...]) -> bytes:
    """Hash of a row: SHA-256 of the previous row's hash and the other fields as JSON."""
    text = json.dumps(list(fields), separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(previous + text.encode()).digest()


def _text(note: AuditNote) -> str:
    detail = dict(note.detail)
    if note.concerns:
        # In the chain too, so that nobody can be left out afterwards.
        detail["concerns"] = " ".join(sorted(note.concerns))
    return detail_text(detail)


def _row(row: Any) -> AuditRow:
    *fields, detail, digest = row
    return AuditRow._make((*fields, json.loads(detail), bytes(digest)))
