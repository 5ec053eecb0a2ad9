"""The key of the token hashes: a file beside the data directory's database, mode 0600.

It is not in the database, so that a copy of the database knows no token.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from hub.errors import StoreError

_KEY_BYTES: Final = 32


def key_path(path: Path) -> Path:
    """Where the key of a database's token hashes lies."""
    return path.with_name(path.name + ".token-key")


def read_key(path: Path) -> bytes:
    """Read a token key. Raises StoreError when absent or of another length."""
    try:
        key = path.read_bytes()
    except OSError as error:
        raise StoreError(
            "the key of the token hashes is missing",
            where=path.name,
            hint="put it back from the backup; without it no token is known",
        ) from error
    if len(key) != _KEY_BYTES:
        raise StoreError("the key of the token hashes is damaged", where=path.name)
    return key


def make_key(path: Path) -> None:
    """Write a new key. Raises FileExistsError when there is one."""
    write_key(path, secrets.token_bytes(_KEY_BYTES))


def write_key(path: Path, key: bytes) -> None:
    """Write a key at once or not at all, so that a second process never reads half of it."""
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(partial)
    finally:
        partial.unlink()
