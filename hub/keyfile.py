"""Seeds of service keys in files of mode 0600: a hub's log key, a witness's key."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from hub.errors import ConflictError, StoreError

SEED_BYTES: Final = 32
_OTHERS: Final = 0o077


def read_seed(path: Path) -> bytes:
    """The 32 secret bytes of a key file.

    Raises:
        StoreError: it is missing, of another length, or others may read it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            seed = file.read(SEED_BYTES + 1)
    except OSError as error:
        raise StoreError(f"the key cannot be read: {error.strerror}", where=str(path)) from error
    if mode & _OTHERS:
        raise StoreError(
            "the key can be read by others than its owner",
            where=str(path),
            hint=f"chmod 600 {path}",
        )
    if len(seed) != SEED_BYTES:
        raise StoreError(f"a key file has {SEED_BYTES} bytes", where=str(path))
    return seed


def make_seed(path: Path) -> bytes:
    """Write a new key, whole or not at all, and durable on return.

    Raises:
        ConflictError: there is a file already.
        StoreError: it cannot be written.
    """
    seed = secrets.token_bytes(SEED_BYTES)
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(seed)
                file.flush()
                os.fsync(file.fileno())
            # A link does not replace: of two starting processes one makes the key.
            path.hardlink_to(partial)
        finally:
            partial.unlink()
        _sync_folder(path.parent)
    except FileExistsError as error:
        raise ConflictError("there is a key already", where=str(path)) from error
    except OSError as error:
        raise StoreError(f"the key cannot be written: {error.strerror}", where=str(path)) from error
    return seed


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
