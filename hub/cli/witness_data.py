"""The witness's folder, and what its commands share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from hub.channel.log.note import KeyType, VerifierKey
from hub.channel.primitives.sign import NotePrivate
from hub.errors import ConflictError, InputError, StoreError
from hub.keyfile import make_seed, read_seed
from hub.witness.state import State

DATABASE: Final = "witness.db"
KEY: Final = "witness.key"
DATA_VARIABLE: Final = "STILLWATCH_WITNESS_DATA"

data_option: Final = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    envvar=DATA_VARIABLE,
    required=True,
    help=f"The witness's folder (or {DATA_VARIABLE}).",
)


def create(data: Path, name: str) -> str:
    """Make a folder of mode 0700 with a key and an empty memory; the verifier key.

    Raises:
        InputError: the name cannot be a key's.
        ConflictError: there is a witness already.
        StoreError: the place cannot be written.
    """
    if (data / DATABASE).exists():
        raise ConflictError("there is a witness already", where=str(data))
    # The name must do before anything is made.
    VerifierKey(name, KeyType.WITNESS, NotePrivate(bytes(32)).public)
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        data.chmod(0o700)
    except OSError as error:
        raise StoreError(f"cannot be made: {error.strerror}", where=str(data)) from error
    # A key without a memory signs nothing, a memory without a key neither.
    key = NotePrivate(make_seed(data / KEY))
    State.create(data / DATABASE, name).close()
    return VerifierKey(name, KeyType.WITNESS, key.public).text


@contextlib.contextmanager
def opened(data: Path) -> Iterator[tuple[State, NotePrivate]]:
    """An existing witness; its logs may be changed while it serves.

    Raises:
        InputError: there is none.
        StoreError: its key or memory is missing or damaged.
    """
    if not (data / KEY).exists():
        raise InputError(
            "there is no witness here",
            where=str(data),
            hint="stillwatch witness init --data DIR NAME",
        )
    key = NotePrivate(read_seed(data / KEY))
    state = State.open(data / DATABASE)
    try:
        yield state, key
    finally:
        state.close()
