"""The append-only, hash-chained audit log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from hub.errors import VerificationError
from hub.store.clock import GuardedClock
from hub.store.records import AuditRow
from hub.store.sqlite.database import Database

_START: Final = bytes(32)
_VERIFY_ROWS: Final = 1000
_SELECT: Final = "SELECT seq, time, event, org_id, token_id, collection_id, detail, hash FROM audit"


class Audit:
    """`AuditStore` on SQLite."""

    _database: Database
    _clock: GuardedClock

    def audit(
        self,
        event: str,
        *,
        org_id: str | None = None,
        token_id: str | None = None,
        collection_id: str | None = None,
        detail: Mapping[str, str] | None = None,
    ) -> AuditRow:
        """See `AuditStore.audit`."""
        text = json.dumps(dict(detail or {}), sort_keys=True, separators=(",", ":"))
        with self._database.write() as connection:
            last = connection.execute(f"{_SELECT} ORDER BY seq DESC LIMIT 1").fetchone()
            seq, previous = (1, _START) if last is None else (last[0] + 1, last[7])
            fields = (
                seq,
                self._clock.seconds(),
                event,
                org_id,
                token_id,
                collection_id,
                text,
            )
            row = (*fields, chained(previous, fields))
            connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        return _row(row)

    def audit_rows(self, *, after: int = 0, limit: int = 1000) -> list[AuditRow]:
        """See `AuditStore.audit_rows`."""
        return [_row(row) for row in self._raw_rows(after, limit)]

    def verify_audit(self) -> int:
        """See `AuditStore.verify_audit`."""
        count, previous = 0, _START
        while rows := self._raw_rows(count, _VERIFY_ROWS):
            for row in rows:
                count += 1
                if row[0] != count or row[7] != chained(previous, row[:7]):
                    raise VerificationError("the audit log was altered", where=f"row {count}")
                previous = row[7]
        return count

    def _raw_rows(self, after: int, limit: int) -> list[Any]:
        return self._database.rows(f"{_SELECT} WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))


def chained(previous: bytes, fields: tuple[object, ...]) -> bytes:
    """Hash of a row: SHA-256 of the previous row's hash and the other fields as JSON."""
    text = json.dumps(list(fields), separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(previous + text.encode()).digest()


def _row(row: Any) -> AuditRow:
    *fields, detail, digest = row
    return AuditRow._make((*fields, json.loads(detail), digest))
