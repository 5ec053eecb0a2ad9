"""Which database a hub command works on: a file in the data directory, or a PostgreSQL server.

A URL is taken from `--database`, else from STILLWATCH_HUB_DATABASE, else from the file `database`
in the data directory, which `stillwatch hub init` wrote. Without any the hub is the SQLite file
there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

import click
from click.core import ParameterSource

from hub.cli.variables import VariableOption
from hub.errors import ConflictError, InputError, StoreError
from hub.store.opening import StoreTarget

DATABASE: Final = "hub.db"
DATABASE_URL: Final = "database"
TOKEN_KEY: Final = "token.key"
DATA_VARIABLE: Final = "STILLWATCH_HUB_DATA"
DATABASE_VARIABLE: Final = "STILLWATCH_HUB_DATABASE"
_SCHEMES: Final = ("postgresql://", "postgres://")
_NOTED: Final = "hub.cli.database"
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _note(context: click.Context, option: click.Parameter, url: str | None) -> None:
    if url is None:
        return
    check_url(url)
    source = context.get_parameter_source(option.name or "")
    if source is ParameterSource.COMMANDLINE and _holds_password(url):
        raise InputError(
            "a password on the command line can be read by everybody on this machine",
            where="--database",
            hint=f"leave it out and use PGPASSFILE, or put the URL in {DATABASE_VARIABLE}",
        )
    context.meta[_NOTED] = url


_DATA: Final = click.option(
    "--data",
    cls=VariableOption,
    type=click.Path(path_type=Path, file_okay=False),
    envvar=DATA_VARIABLE,
    required=True,
    help=f"The hub's data directory (or {DATA_VARIABLE}).",
)
database_option: Final = click.option(
    "--database",
    metavar="URL",
    envvar=DATABASE_VARIABLE,
    expose_value=False,
    callback=_note,
    help=f"postgresql://USER@HOST/NAME in place of SQLite (or {DATABASE_VARIABLE}).",
)


def data_option(command: _Command) -> _Command:
    """Give a command `data`, and let `--database` say where the hub's state is."""
    return _DATA(database_option(command))


def check_url(url: str) -> None:
    """Raise InputError unless it is the URL of a PostgreSQL database."""
    if not url.startswith(_SCHEMES):
        raise InputError(
            "a database is named by a URL that starts with postgresql://",
            where="--database",
            hint="for SQLite leave it out: the file lies in the data directory",
        )


def _holds_password(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.password is not None or any(
            name == "password" for name, _ in parse_qsl(parts.query)
        )
    except ValueError:
        return "password" in url


def given_url() -> str | None:
    """What the running command was given by option or variable."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get(_NOTED)


def target_of(data: Path, *, connections: int | None = None) -> StoreTarget:
    """Where the state of the hub in a data directory is.

    Args:
        data: the directory.
        connections: to a database server, at most.
    Raises:
        InputError: there is a SQLite hub in the directory, and a URL was given.
        StoreError: the file with the URL cannot be read.
    """
    url = given_url() or _recorded(data)
    if url is None:
        return StoreTarget(path=data / DATABASE)
    if (data / DATABASE).exists():
        raise InputError(
            "the hub in this directory is a SQLite file, and a database URL is given as well",
            where=str(data),
            hint=f"unset {DATABASE_VARIABLE}, or restore a back-up of it into the database "
            "with a --data directory of its own",
        )
    return StoreTarget(url=url, token_key=data / TOKEN_KEY, pool_size=connections)


def is_there(target: StoreTarget) -> bool:
    """Whether a data directory was made for this target."""
    return any(path is not None and path.exists() for path in (target.path, target.token_key))


def record(data: Path, url: str) -> None:
    """Keep the URL in the data directory (mode 0600). Raises StoreError."""
    path = data / DATABASE_URL
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(url + "\n")
    except FileExistsError as error:
        raise ConflictError("there is a hub already", where=str(data)) from error
    except OSError as error:
        raise StoreError(f"cannot be written: {error.strerror}", where=str(path)) from error


def _recorded(data: Path) -> str | None:
    path = data / DATABASE_URL
    try:
        url = path.read_text().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}", where=str(path)) from error
    check_url(url)
    return url
