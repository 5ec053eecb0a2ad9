"""The embedded store: one SQLite file in WAL mode, `synchronous=FULL`."""

from __future__ import annotations

from hub.store.sqlite.store import SqliteStore, restore

__all__ = ["SqliteStore", "restore"]
