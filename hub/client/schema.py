"""The tables of a home's local state, and how a home of an earlier release is brought up to them.

A table with a column `channel_id` is erased with its channel.
"""

from __future__ import annotations

import sqlite3
from typing import Final

SCHEMA_VERSION: Final = 3
FIRST: Final = """
CREATE TABLE hub (
  api_root TEXT PRIMARY KEY, username TEXT, token BLOB NOT NULL, ca_file TEXT,
  plain_http INTEGER NOT NULL, stillwatch INTEGER NOT NULL, client_cert TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE channel (
  channel_id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, api_root TEXT NOT NULL,
  collection_id TEXT NOT NULL, inbox_id TEXT, standing TEXT NOT NULL, owner_roots TEXT NOT NULL,
  trusted BLOB, cursor TEXT, pulled_at INTEGER, pull_problem TEXT, created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE secret (
  channel_id TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, sealed BLOB NOT NULL,
  added_at INTEGER NOT NULL, PRIMARY KEY (channel_id, kind, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE invitation (
  invitation_id TEXT PRIMARY KEY, channel_id TEXT NOT NULL, organisation TEXT NOT NULL,
  roles TEXT NOT NULL, expires INTEGER NOT NULL, created_at INTEGER NOT NULL,
  used_at INTEGER, used_by TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE outbox (
  position INTEGER PRIMARY KEY AUTOINCREMENT, channel_id TEXT NOT NULL, target TEXT NOT NULL,
  digest TEXT NOT NULL UNIQUE, raw BLOB NOT NULL, tlp TEXT NOT NULL, added_at INTEGER NOT NULL,
  sent_at INTEGER, problem TEXT
) STRICT;
CREATE INDEX outbox_unsent ON outbox (channel_id, position) WHERE sent_at IS NULL;
CREATE TABLE message (
  channel_id TEXT NOT NULL, digest TEXT NOT NULL, outcome TEXT NOT NULL, type TEXT NOT NULL,
  member TEXT, publisher TEXT, seq INTEGER, epoch INTEGER, audience TEXT, sent_at INTEGER,
  received_at INTEGER NOT NULL, raw BLOB, reason TEXT, PRIMARY KEY (channel_id, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_kept ON message (channel_id, outcome) WHERE raw IS NOT NULL;
CREATE TABLE object (
  channel_id TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, modified TEXT NOT NULL,
  member TEXT NOT NULL, audience TEXT NOT NULL, revoked INTEGER NOT NULL, body BLOB NOT NULL,
  digest TEXT NOT NULL, verified_at INTEGER NOT NULL, PRIMARY KEY (channel_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX object_type ON object (type, channel_id);
CREATE TABLE alarm (
  position INTEGER PRIMARY KEY AUTOINCREMENT, channel_id TEXT, raised_at INTEGER NOT NULL,
  text TEXT NOT NULL, digest TEXT NOT NULL, acknowledged_at INTEGER,
  UNIQUE (channel_id, digest, text)
) STRICT;
"""

# One list of statements for each later version; every one is a whole statement.
_SECOND: Final = (
    # What is known of a channel's log on its hub, and what waits to be found in it.
    """
    CREATE TABLE log_head (
      channel_id TEXT NOT NULL, origin TEXT NOT NULL, pull INTEGER NOT NULL, size INTEGER NOT NULL,
      frontier BLOB NOT NULL, checkpoint TEXT, at INTEGER NOT NULL,
      PRIMARY KEY (channel_id, origin)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE log_leaf (
      channel_id TEXT NOT NULL, origin TEXT NOT NULL, position INTEGER NOT NULL,
      digest BLOB NOT NULL, given INTEGER NOT NULL, PRIMARY KEY (channel_id, origin, position)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX log_leaf_digest ON log_leaf (channel_id, origin, digest)",
    "CREATE INDEX log_leaf_missing ON log_leaf (channel_id, origin, position) WHERE given=0",
    """
    CREATE TABLE log_mark (
      channel_id TEXT NOT NULL, origin TEXT NOT NULL, size INTEGER NOT NULL,
      frontier BLOB NOT NULL, PRIMARY KEY (channel_id, origin, size)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE log_given (
      channel_id TEXT NOT NULL, digest BLOB NOT NULL, pull INTEGER NOT NULL,
      PRIMARY KEY (channel_id, digest)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE log_cited (
      channel_id TEXT NOT NULL, origin TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL,
      member TEXT NOT NULL, digest TEXT NOT NULL, raw TEXT NOT NULL, pull INTEGER NOT NULL,
      PRIMARY KEY (channel_id, origin, size, root)
    ) STRICT, WITHOUT ROWID
    """,
    # The custodians of oblivious tokens, how they are reached, and what they evaluated for us.
    """
    CREATE TABLE custodian (
      channel_id TEXT NOT NULL, key_id TEXT NOT NULL, custodian_id TEXT NOT NULL,
      url TEXT NOT NULL, public_key BLOB NOT NULL, created INTEGER NOT NULL,
      expires INTEGER NOT NULL, PRIMARY KEY (channel_id, key_id, custodian_id)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE custodian_way (
      channel_id TEXT NOT NULL, custodian_id TEXT NOT NULL, ca_file TEXT, client_cert TEXT,
      plain_http INTEGER NOT NULL, PRIMARY KEY (channel_id, custodian_id)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE custodian_quota (
      channel_id TEXT NOT NULL, custodian_id TEXT NOT NULL, day INTEGER NOT NULL,
      remaining INTEGER NOT NULL, resets INTEGER NOT NULL, burst INTEGER NOT NULL,
      burst_left INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (channel_id, custodian_id)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE evaluation (
      position INTEGER PRIMARY KEY AUTOINCREMENT, channel_id TEXT NOT NULL, key_id TEXT NOT NULL,
      custodian_id TEXT NOT NULL, sealed BLOB NOT NULL, added_at INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE INDEX evaluation_of ON evaluation (channel_id, key_id, custodian_id)",
    # What was signed, for proofs.
    """
    CREATE TABLE signed (
      position INTEGER PRIMARY KEY AUTOINCREMENT, channel_id TEXT NOT NULL, digest TEXT NOT NULL,
      type TEXT NOT NULL, publisher TEXT, seq INTEGER, epoch INTEGER, header BLOB NOT NULL,
      body_hash TEXT NOT NULL, signature BLOB NOT NULL, body BLOB, UNIQUE (channel_id, digest)
    ) STRICT
    """,
    "CREATE INDEX signed_chain ON signed (channel_id, publisher, seq)",
    # What was released directly to whom, what was purged after a revocation, what was erased.
    """
    CREATE TABLE released (
      channel_id TEXT NOT NULL, digest TEXT NOT NULL, object_id TEXT NOT NULL,
      member TEXT NOT NULL, basis TEXT NOT NULL, valid_until INTEGER, recipients TEXT NOT NULL,
      sent_at INTEGER NOT NULL, PRIMARY KEY (channel_id, digest, object_id)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX released_object ON released (channel_id, object_id)",
    """
    CREATE TABLE purged (
      channel_id TEXT NOT NULL, object_id TEXT NOT NULL, member TEXT NOT NULL,
      audience TEXT NOT NULL, digest TEXT NOT NULL, version TEXT, at INTEGER NOT NULL,
      cleaned INTEGER NOT NULL, receipt TEXT, PRIMARY KEY (channel_id, object_id)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE erased (
      channel_id TEXT NOT NULL, what TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL,
      PRIMARY KEY (channel_id, what, name)
    ) STRICT, WITHOUT ROWID
    """,
    # What was sent is found without reading past the bytes, which are kept for a while.
    """
    CREATE INDEX outbox_sent ON outbox (channel_id, target, sent_at, digest)
    WHERE sent_at IS NOT NULL
    """,
    "CREATE TABLE choice (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
)
_THIRD: Final = (
    # Where the access tokens of an OAuth client come from; its secret is sealed in `token`.
    "ALTER TABLE hub ADD COLUMN oauth TEXT",
    # Up to which line a hub's reads were shown, how many came since, and up to where that counts.
    """
    CREATE TABLE reads (
      api_root TEXT PRIMARY KEY, seen INTEGER NOT NULL, told INTEGER NOT NULL,
      news INTEGER NOT NULL, at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
)
_LATER: Final = {2: _SECOND, 3: _THIRD}


def bring_up(connection: sqlite3.Connection, version: int) -> int:
    """Make the tables that a home of this version lacks, all of them or none.

    Args:
        connection: the home's database, outside of a transaction.
        version: what it says of itself; 0 for an empty one.
    Returns:
        The version that it has now; one above `SCHEMA_VERSION` is left as it is.
    Raises:
        sqlite3.Error: the disk is full, or the database is busy or damaged.
    """
    if version >= SCHEMA_VERSION:
        return version
    statements = [] if version else [each for each in FIRST.split(";\n") if each.strip()]
    for later in range(max(version, 1) + 1, SCHEMA_VERSION + 1):
        statements += _LATER[later]
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have done it while this one waited for its turn.
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found == version:
            for each in statements:
                connection.execute(each)
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            found = SCHEMA_VERSION
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return found


def tables_by_channel(connection: sqlite3.Connection) -> list[str]:
    """The tables whose rows belong to one channel each."""
    return [
        str(row[0])
        for row in connection.execute(
            "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c"
            " WHERE m.type='table' AND c.name='channel_id' ORDER BY m.name"
        )
    ]
