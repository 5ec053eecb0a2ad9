"""The steps between two schemas, as Alembic knows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from sqlalchemy.engine import Connection

from hub.errors import InputError, StoreError

BASE: Final = "base"
"""The revision of a database without tables."""


@dataclass(frozen=True, slots=True)
class Step:
    """One migration: its revision, and its first line as a title."""

    revision: str
    title: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a step is; `total` is None where it is not known."""

    step: Step
    done: int = 0
    total: int | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Where a database's schema stands.

    Args:
        current: its revision, None for a database without one.
        head: the revision that this release needs.
        pending: steps from the one to the other.
    """

    current: str | None
    head: str
    pending: tuple[Step, ...]


Report = Callable[[Progress], None]
Counted = Callable[[int, int | None], None]


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration for one connection, without an ini file."""
    config = Config()
    config.set_main_option("path_separator", "os")
    config.set_main_option("script_location", "hub.store:migrations")
    config.attributes["connection"] = connection
    return config


def step_of(script: Script) -> Step:
    """What people are told of a migration."""
    return Step(script.revision, (script.doc or "").rstrip("."))


def scripts(above: str | None, to: str) -> Sequence[Script]:
    """Migrations from one revision to a newer one, oldest first; none when it is not newer.

    Raises:
        InputError: there is no such revision.
    """
    known = _all()
    names = [script.revision for script in known]
    if to not in names or (above is not None and above not in names):
        raise InputError(
            f"there is no revision {to}", where="to", hint=f"the revisions are {', '.join(names)}"
        )
    first = 0 if above is None else names.index(above) + 1
    return known[first : names.index(to) + 1]


def require_known(current: str | None, name: str) -> None:
    """Raise StoreError for a database that a later release has migrated."""
    if current is not None and current not in {script.revision for script in _all()}:
        raise newer(name)


def newer(name: str) -> StoreError:
    """What is said of such a database."""
    return StoreError(
        "the database was made by a newer release",
        where=name,
        hint="install that release, or restore a backup made before the upgrade",
    )


def _all() -> list[Script]:
    directory = ScriptDirectory.from_config(alembic_config())
    return list(reversed(list(directory.walk_revisions())))
