"""What opens a keyring: a passphrase, a key file, or what an agent holds; and private files."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
from pathlib import Path
from typing import Final

from hub.channel.primitives import rest
from hub.errors import AccessError, InputError, StoreError

KEY_FILE: Final = "unlock.key"
PASSPHRASE: Final = "passphrase"
BY_KEY_FILE: Final = "key-file"
_CONTEXT: Final = b"stillwatch keyring 1"


@dataclasses.dataclass(frozen=True)
class Unlock:
    """What opens the keyring: a passphrase, or the key file inside the home.

    Attributes:
        secret: the passphrase; None stands for the key file, or for `stretched`.
        stretched: a passphrase that went through Argon2id for this keyring, as an agent holds it.
    """

    secret: bytes | None = dataclasses.field(repr=False)
    stretched: rest.Stretched | None = dataclasses.field(default=None, repr=False)

    @classmethod
    def passphrase(cls, secret: bytes) -> Unlock:
        """Unlock by a passphrase."""
        return cls(secret)

    @classmethod
    def key_file(cls) -> Unlock:
        """Unlock by the key file in the home (mode 0600)."""
        return cls(None)

    @classmethod
    def held(cls, stretched: rest.Stretched) -> Unlock:
        """Unlock by what an agent holds."""
        return cls(None, stretched)

    @property
    def kind(self) -> str:
        """`passphrase` or `key-file`, as the keyring names it."""
        return PASSPHRASE if self.secret is not None or self.stretched is not None else BY_KEY_FILE

    def wrap(self, plain: bytes, folder: Path) -> bytes:
        """Encrypt a keyring's contents.

        Raises:
            AccessError: the key file cannot be read.
        """
        if self.stretched is not None:
            return rest.wrap_with_stretched(plain, self.stretched, context=_CONTEXT)
        if self.secret is not None:
            return rest.wrap_with_passphrase(plain, passphrase_text(self.secret), context=_CONTEXT)
        return rest.wrap_with_key(plain, _read_key_file(folder), context=_CONTEXT)

    def unwrap(self, sealed: bytes, folder: Path) -> bytes:
        """Decrypt a keyring's contents.

        Raises:
            AccessError: the key file cannot be read.
            InputError, VerificationError: the bytes do not open.
        """
        if self.stretched is not None:
            return rest.unwrap_with_stretched(sealed, self.stretched, context=_CONTEXT)
        if self.secret is not None:
            return rest.unwrap_with_passphrase(
                sealed, passphrase_text(self.secret), context=_CONTEXT
            )
        return rest.unwrap_with_key(sealed, _read_key_file(folder), context=_CONTEXT)


def make_key_file(folder: Path) -> None:
    """Put a new unlock key into the folder."""
    write_private(folder / KEY_FILE, secrets.token_hex(32).encode() + b"\n")


def write_private(path: Path, content: bytes) -> None:
    """Replace a file of mode 0600 at once: the old content, or the new, never a part.

    Raises:
        StoreError: the disk refuses.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise StoreError(f"cannot be written: {error.strerror}", where=str(path)) from error


def _read_key_file(folder: Path) -> bytes:
    path = folder / KEY_FILE
    try:
        if path.stat().st_mode & 0o077:
            raise AccessError(
                "the key file can be read by other accounts",
                where=str(path),
                hint=f"chmod 600 {path}",
            )
        return bytes.fromhex(path.read_text("ascii").strip())
    except (OSError, ValueError) as error:
        raise AccessError("the key file cannot be read", where=str(path)) from error


def passphrase_text(secret: bytes) -> str:
    """A passphrase as text.

    Raises:
        InputError: it is not UTF-8.
    """
    try:
        return secret.decode()
    except UnicodeDecodeError:
        raise InputError("the passphrase is not UTF-8") from None
