"""An organisation's home: a folder with its keys and its local state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hub.client.keyring import Unlock
from hub.errors import InputError
from hub.model.codec import Json

_KEY_FILE: Final = "unlock.key"
_KEYRING: Final = "keyring.json"


class Home:
    """The folder of one organisation: keyring (encrypted), state (SQLite), one lock.

    Make one with `create` or `open`; use it as a context manager.
    """

    def __init__(self, path: Path, member_id: str, organisation: str) -> None:
        self.path = path
        self.member_id = member_id
        self.organisation = organisation

    @staticmethod
    def exists(path: Path) -> bool:
        """Whether a home was made at that place."""
        return (path / _KEYRING).is_file()

    @staticmethod
    def has_key_file(path: Path) -> bool:
        """Whether the home is unlocked by its key file."""
        return (path / _KEY_FILE).is_file()

    @classmethod
    def open(cls, path: Path, unlock: Unlock) -> Home:
        """Open an existing home.

        Raises:
            InputError: there is none.
            AccessError: the keys do not open.
            StoreError: the state cannot be read.
        """
        raise InputError("no home here", where=str(path), hint="stillwatch init")

    def indicator_objects(self) -> Iterator[Json]:
        """Latest version of every object opened, over all channels.

        Indicators, campaigns, relationships, identities, infrastructure ...; a revoked object is
        given with `revoked` true.
        """
        raise InputError("no home here", where=str(self.path))
