"""Our errors for PostgreSQL's. No statement, value or address is in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import psycopg
from psycopg_pool import PoolTimeout

from hub.errors import InputError, StillwatchError, StoreAwayError, StoreError

PLACE: Final = "database"
"""`where` of every error: its address may hold a password."""
_AWAY: Final = (
    "look at the database server, its address and the way to it; "
    "a hub that serves tries again by itself"
)
_HINTS: Final[Mapping[str, tuple[str, str]]] = {
    "53100": ("the disk is full", "free space on the database server's disk; reading goes on"),
    "25006": ("the database cannot be written", "name the primary server, not a standby"),
    "55P03": ("another process keeps the database locked", "try again"),
    "40P01": ("two writers waited for each other", "try again"),
    "57014": ("a statement took too long", "try again; look at the load of the database server"),
    "42501": ("the database role may not do this", "make the hub's role the owner of the tables"),
    "42P01": ("a table is missing", "run `stillwatch hub migrate`"),
    "42703": ("a column is missing", "run `stillwatch hub migrate`"),
    "3D000": ("there is no such database", "make it (createdb NAME), then run the command again"),
    "58030": ("the disk failed", "look at the log and the disk of the database server"),
    "XX001": ("the database is damaged", "restore the last backup"),
    "XX002": ("an index of the database is damaged", "run REINDEX, or restore the last backup"),
}
_AWAY_STATES: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "53300"})
_OWN_TRIGGER: Final = "P0001"
_REFUSED: Final = (
    "the database server refuses the hub's role",
    "look at the role's name and password (PGPASSFILE) and at pg_hba.conf",
)


def is_away(error: Exception) -> bool:
    """Whether the server was not there, rather than asked for something wrong."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    state = error.sqlstate
    return state is None or state.startswith("08") or state in _AWAY_STATES


def wrapped(error: Exception) -> StillwatchError:
    """Our error for one of psycopg's."""
    if isinstance(error, UnicodeEncodeError) or (
        isinstance(error, psycopg.DataError)
        and (error.sqlstate is None or error.sqlstate.startswith("22"))
    ):
        return InputError("a text holds characters that cannot be stored", where=PLACE)
    if isinstance(error, PoolTimeout):
        return StoreAwayError("no connection to the database became free", where=PLACE, hint=_AWAY)
    state = getattr(error, "sqlstate", None)
    if state is not None and state.startswith("28"):
        return StoreError(_REFUSED[0], where=PLACE, hint=_REFUSED[1])
    if is_away(error):
        return StoreAwayError("the database server does not answer", where=PLACE, hint=_AWAY)
    if state == _OWN_TRIGGER and isinstance(error, psycopg.Error):
        # Raised by a trigger of ours, in our words.
        return StoreError(str(error.diag.message_primary), where=PLACE)
    message, hint = _HINTS.get(
        state or "", (f"the database failed (SQLSTATE {state})", "see the database server's log")
    )
    return StoreError(message, where=PLACE, hint=hint)
