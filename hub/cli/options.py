"""Options that several commands share, and how a command opens the organisation's home."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from hub.client import agent_link
from hub.client.hardening import protect_process
from hub.client.home import Home
from hub.client.keyring import Unlock
from hub.client.transport import connect
from hub.client.unlock import BY_KEY_FILE
from hub.client.work import Desk
from hub.errors import AccessError, InputError
from hub.model.codec import Json

F = TypeVar("F", bound=Callable[..., Any])

HOME_VARIABLE: Final = "STILLWATCH_HOME"
UNLOCK_VARIABLE: Final = "STILLWATCH_PASSPHRASE_FILE"
_MIN_PASSPHRASE: Final = 12
_MAX_SECRET_BYTES: Final = 4096

home_option: Final = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar=HOME_VARIABLE,
    default=lambda: Path.home() / ".stillwatch",
    show_default="~/.stillwatch",
    help="Folder of this organisation's keys and local state.",
)
passphrase_option: Final = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    envvar=UNLOCK_VARIABLE,
    default=None,
    help="File holding the passphrase of the keys; else key file, agent, or a prompt.",
)
json_option: Final = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document instead of text."
)


def home_options(command: F) -> F:
    """`--home` and `--passphrase-file`: what `load_home` needs."""
    return home_option(passphrase_option(command))


def load_home(home: Path, passphrase_file: Path | None) -> Home:
    """Open the organisation's home.

    The keys are unlocked by `--passphrase-file`, else by the key file that `init --key-file`
    left in the home, else by what an agent holds, else by a passphrase typed at the terminal.

    Raises:
        InputError: there is no home at that place.
        AccessError: the keys do not open, or nobody is there to type the passphrase.
    """
    protect_process()
    if passphrase_file is not None:
        return Home.open(home, Unlock.passphrase(read_secret(passphrase_file)))
    # Says first that there is no home, before anybody types a passphrase.
    if Home.opens_with(home) == BY_KEY_FILE:
        return Home.open(home, Unlock.key_file())
    held = agent_link.held(home)
    if held is not None:
        try:
            return Home.open(home, Unlock.held(held))
        except AccessError:
            # The passphrase was changed since, or the home is another one by now.
            agent_link.forget(home)
    return Home.open(home, Unlock.passphrase(_prompted(confirm=False)))


def given_passphrase(passphrase_file: Path | None) -> bytes:
    """The passphrase of an existing home, from a file or typed, never from an agent.

    Raises:
        AccessError: nobody is there to type it.
    """
    protect_process()
    if passphrase_file is not None:
        return read_secret(passphrase_file)
    return _prompted(confirm=False)


def new_unlock(*, key_file: bool, passphrase_file: Path | None, text: str = "Passphrase") -> Unlock:
    """How a home that is about to be made will be unlocked."""
    protect_process()
    if key_file and passphrase_file is not None:
        raise InputError("give --key-file or --passphrase-file, not both")
    if key_file:
        return Unlock.key_file()
    if passphrase_file is not None:
        chosen = read_secret(passphrase_file)
    else:
        chosen = _prompted(confirm=True, text=text)
    if len(chosen) < _MIN_PASSPHRASE:
        raise InputError(
            f"the passphrase has fewer than {_MIN_PASSPHRASE} characters",
            hint="it guards the organisation's identity: several random words",
        )
    return Unlock.passphrase(chosen)


def typed_passphrase(what: str) -> bytes:
    """A passphrase typed once at the terminal.

    Raises:
        AccessError: nobody is there to type it.
    """
    if not sys.stdin.isatty():
        raise AccessError(f"no terminal to ask at: {what}", hint="give it in a file")
    return str(click.prompt(what, hide_input=True, err=True)).encode()


def _prompted(*, confirm: bool, text: str = "Passphrase") -> bytes:
    if not sys.stdin.isatty():
        raise AccessError(
            "the keys need a passphrase, and there is no terminal to ask at",
            hint=f"stillwatch agent start, --passphrase-file FILE, or {UNLOCK_VARIABLE}",
        )
    typed = click.prompt(text, hide_input=True, confirmation_prompt=confirm, err=True)
    return str(typed).encode()


def read_secret(path: Path, *, most: int = _MAX_SECRET_BYTES) -> bytes:
    """The secret in a file, without the line end; `-` is standard input.

    Raises:
        InputError: unreadable, empty, too long, or readable by other accounts.
    """
    if str(path) == "-":
        data = sys.stdin.buffer.read(most + 1)
    else:
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_mode & 0o077 and os.fstat(file.fileno()).st_size:
                    click.echo(
                        f"stillwatch: warning: {path} can be read by other accounts; chmod 600",
                        err=True,
                    )
                data = file.read(most + 1)
        except OSError as error:
            raise InputError(
                f"cannot be read: {error.strerror or 'I/O error'}", where=str(path)
            ) from error
    if len(data) > most:
        raise InputError(f"longer than {most} bytes", where=str(path))
    secret = data.rstrip(b"\r\n")
    if not secret:
        raise InputError("is empty", where=str(path))
    return secret


def print_json(document: Json) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))


def desk_of(home: Home) -> Desk:
    """The home with the real network and clock."""
    return Desk(home, connect, lambda: int(time.time()))


def count_of(number: int, word: str) -> str:
    """A number and its noun."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def iso(seconds: int | None) -> str | None:
    """A time for JSON documents: ISO 8601 in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc(seconds: int | None) -> str:
    """A time for people."""
    if seconds is None:
        return "never"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
