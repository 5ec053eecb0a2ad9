"""The organisation's private keys at rest."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Unlock:
    """What opens the keyring: a passphrase, or the key file inside the home.

    Attributes:
        secret: the passphrase; None stands for the key file.
    """

    secret: bytes | None = dataclasses.field(repr=False)

    @classmethod
    def passphrase(cls, secret: bytes) -> Unlock:
        """Unlock by a passphrase."""
        return cls(secret)

    @classmethod
    def key_file(cls) -> Unlock:
        """Unlock by the key file in the home (mode 0600)."""
        return cls(None)
