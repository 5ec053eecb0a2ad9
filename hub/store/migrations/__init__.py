"""Schema migrations, run by Alembic when a store is opened."""

from __future__ import annotations

from typing import Final

HEAD: Final = "0005"
"""Revision of the newest schema; stores at it are opened without loading Alembic."""
