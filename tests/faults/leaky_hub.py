"""The control of the timing drill: a hub that hashes a secret only when it knows the prefix."""

from __future__ import annotations

import hashlib
from typing import Final

from hub.cli.main import main
from hub.store.accounts import Accounts
from hub.store.records import Credential

_ROUNDS: Final = 5_000
_found = Accounts.credential


def _leaking(self: Accounts, secret: str, *, now: int) -> Credential | None:
    prefix = secret.split("_")[1] if secret.count("_") == 2 else ""
    if self._database.row("SELECT 1 FROM token WHERE prefix = ?", (prefix,)) is not None:
        hashlib.pbkdf2_hmac("sha256", secret.encode(), b"salt", _ROUNDS)
    return _found(self, secret, now=now)


if __name__ == "__main__":
    type.__setattr__(Accounts, "credential", _leaking)
    main()
