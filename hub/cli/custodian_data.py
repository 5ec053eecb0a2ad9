"""The custodian's folder, and what its commands share."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from hub.channel.primitives.hash import is_hash
from hub.cli.options import read_secret
from hub.client.hardening import protect_process
from hub.custody.channels import Channels
from hub.custody.folder import Folder, Unlock
from hub.errors import AccessError, InputError

DATA_VARIABLE: Final = "STILLWATCH_CUSTODIAN_DATA"
UNLOCK_VARIABLE: Final = "STILLWATCH_CUSTODIAN_PASSPHRASE_FILE"

data_option: Final = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    envvar=DATA_VARIABLE,
    required=True,
    help=f"The custodian's folder (or {DATA_VARIABLE}).",
)
passphrase_option: Final = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    envvar=UNLOCK_VARIABLE,
    help="File holding the folder's passphrase; else its key file, else a prompt.",
)


def unlock_of(data: Path, passphrase_file: Path | None) -> Unlock:
    """How an existing folder is unlocked; closes the process to others before keys come into it.

    Raises:
        AccessError: it needs a passphrase, and nobody is there to type it.
    """
    protect_process()
    if passphrase_file is not None:
        return Unlock(passphrase_in(passphrase_file))
    if Folder.has_key_file(data) or not data.exists():
        return Unlock()
    return Unlock(prompted(confirm=False))


def prompted(*, confirm: bool) -> str:
    """A passphrase typed at the terminal.

    Raises:
        AccessError: there is no terminal.
    """
    if not sys.stdin.isatty():
        raise AccessError(
            "the folder needs a passphrase, and there is no terminal to ask at",
            hint=f"--passphrase-file FILE, or {UNLOCK_VARIABLE}",
        )
    return str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True))


@contextlib.contextmanager
def opened(data: Path, unlock: Unlock | None = None) -> Iterator[Folder]:
    """The folder; may be used while the custodian serves. Without `unlock` its keys stay sealed."""
    folder = Folder.open(data, unlock)
    try:
        yield folder
    finally:
        folder.close()


def find_channel(folder: Folder, text: str) -> str:
    """A channel by its id or the beginning of it.

    Raises:
        InputError: none, or several.
    """
    found = [each for each in Channels(folder).ids() if each.startswith(text)]
    if len(found) != 1:
        raise InputError(
            "several channels begin so" if found else "this channel is not served here",
            where=text[:64],
            hint="stillwatch custodian channel list",
        )
    return found[0]


def check_hash(text: str, where: str) -> str:
    """64 lower-case hex digits.

    Raises:
        InputError: it is something else.
    """
    if not is_hash(text):
        raise InputError("64 lower-case hex digits are expected", where=where)
    return text


def passphrase_in(file: Path) -> str:
    """The passphrase in a file.

    Raises:
        InputError: unreadable, empty, or not UTF-8.
    """
    try:
        return read_secret(file).decode()
    except UnicodeDecodeError:
        raise InputError("the passphrase is not UTF-8", where=str(file)) from None
