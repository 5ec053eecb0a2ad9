"""How long a home keeps the bytes of messages that its hub has confirmed.

A hub that is restored from an older copy lacks them, and `channel repost` posts them again. They
are what was posted: ciphertext, or messages of the protocol that everybody in the channel sees.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

KEPT_SECONDS: Final = 90 * 86_400
KEPT_BYTES: Final = 256 * 1024 * 1024

_DIGESTS: Final = 500
_TOO_OLD: Final = """
UPDATE outbox SET raw=x'' WHERE position IN (
  SELECT position FROM outbox
  WHERE channel_id=? AND target='channel' AND sent_at<? AND length(raw)>0)
"""
_TOO_MANY: Final = """
UPDATE outbox SET raw=x'' WHERE position IN (
  SELECT position FROM (
    SELECT position, sum(length(raw)) OVER (ORDER BY position DESC) AS total FROM outbox
    WHERE channel_id=? AND target='channel' AND sent_at IS NOT NULL AND length(raw)>0)
  WHERE total>?)
"""


def mark(connection: sqlite3.Connection, digests: Sequence[str], at: int) -> None:
    """Note that the hub holds messages, and empty those whose bytes are kept long enough.

    Args:
        connection: the home's database.
        digests: of rows of the outbox.
        at: UTC seconds.
    Raises:
        sqlite3.Error: the disk is full, or the database is busy or damaged.
    """
    connection.executemany(
        "UPDATE outbox SET sent_at=?, problem=NULL, raw=CASE target WHEN 'channel' THEN raw"
        " ELSE x'' END WHERE digest=?",
        [(at, each) for each in digests],
    )
    for channel_id in _channels(connection, digests):
        connection.execute(_TOO_OLD, (channel_id, at - KEPT_SECONDS))
        connection.execute(_TOO_MANY, (channel_id, KEPT_BYTES))


def _channels(connection: sqlite3.Connection, digests: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(digests), _DIGESTS):
        part = digests[start : start + _DIGESTS]
        sql = (
            f"SELECT DISTINCT channel_id FROM outbox WHERE digest IN ({','.join('?' * len(part))})"
        )
        found.update(str(row[0]) for row in connection.execute(sql, part))
    return found
