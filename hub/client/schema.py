"""The tables of a home's local state."""

from __future__ import annotations

from typing import Final

SCHEMA_VERSION: Final = 1
SCHEMA: Final = """
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
