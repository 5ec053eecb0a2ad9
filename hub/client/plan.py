"""The compiled indicators, kept in the home so that the next match need not compile them.

The file begins with the digest of the objects that were compiled; what follows is checked by
whoever reads it. It is a copy of what the state holds, so that losing it costs only time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path
from typing import Final

import msgspec

from hub.errors import StoreError
from hub.model.codec import Json

_FILE: Final = "plan.arrow"
_DIGEST: Final = hashlib.sha256().digest_size
_OTHERS: Final = 0o022


class ObjectsDigest:
    """The digest of objects in the order in which they pass."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._encode = msgspec.json.Encoder().encode

    def add(self, item: Json) -> None:
        """Take the next object."""
        data = self._encode(item)
        self._hash.update(len(data).to_bytes(8, "big"))
        self._hash.update(data)

    def value(self) -> bytes:
        """The digest of all objects so far."""
        return self._hash.digest()


class PlanFile:
    """The file of compiled indicators of one home.

    Args:
        folder: the home.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE

    def read(self, digest: bytes) -> bytes | None:
        """What was compiled of exactly these objects; None if there is no such thing.

        A file that somebody else could have written is not looked at.
        """
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                if found.st_uid != os.geteuid() or found.st_mode & _OTHERS:
                    return None
                if file.read(_DIGEST) != digest:
                    return None
                return file.read()
        except OSError:
            return None

    def drop(self) -> None:
        """Remove the file: something that was compiled may not be used any more.

        Raises:
            StoreError: the disk refuses.
        """
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"cannot be removed: {error.strerror}", where=_FILE) from error

    def write(self, digest: bytes, compiled: bytes) -> None:
        """Keep what was compiled, whole or not at all; a full disk is no error here."""
        part = self._path.with_name(f".{_FILE}.{secrets.token_hex(4)}.part")
        try:
            descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(digest)
                file.write(compiled)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink()
