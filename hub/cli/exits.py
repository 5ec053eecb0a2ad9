"""Exit codes, one table, so that scripts can tell the families of failure apart."""

from __future__ import annotations

from typing import Final

from hub.errors import (
    AccessError,
    ConflictError,
    InputError,
    StillwatchError,
    StoreError,
    TransportError,
    VerificationError,
)

OK: Final = 0
ATTENTION: Final = 10
"""`status` and `channel renew`: works, but something expires soon or lags."""
EXPIRED: Final = 11
"""`status`: a card, manifest or epoch has expired, or the last pull failed."""
ALARM: Final = 12
"""`pull`, `status`: somebody altered, replayed, forged or withheld; people must look at it."""
SICK: Final = 13
"""`doctor`: a client would lose objects at the server, or could not use it."""

_CODES: Final[tuple[tuple[type[StillwatchError], int], ...]] = (
    (InputError, 2),
    (VerificationError, 3),
    (AccessError, 4),
    (ConflictError, 5),
    (StoreError, 6),
    (TransportError, 7),
)


def exit_code(error: StillwatchError) -> int:
    """The exit code of an error's family; 1 for one of no family."""
    return next((code for family, code in _CODES if isinstance(error, family)), 1)
