"""The stores that the contract is checked on, and what its tests are built from."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hub.store.interface import Store
from hub.store.objects import new_object
from hub.store.opening import open_store
from hub.store.records import Kind, NewObject
from hub.store.sqlite import SqliteStore
from tests import postgres

NOW = 1_790_000_000_000_000


@dataclass
class Clocks:
    """Clocks that a test sets: wall in microseconds UTC, steady in seconds."""

    wall: int = NOW
    steady: float = 100.0

    def move(self, seconds: float) -> None:
        """Let time pass as it does."""
        self.wall += int(seconds * 1_000_000)
        self.steady += seconds


Opener = Callable[[Path, Clocks | None], Store]


def _open_sqlite(folder: Path, clocks: Clocks | None) -> Store:
    if clocks is None:
        return SqliteStore.open(folder / "hub.db")
    return SqliteStore.open(
        folder / "hub.db", clock=lambda: clocks.wall, steady=lambda: clocks.steady
    )


def _open_postgres(folder: Path, clocks: Clocks | None) -> Store:
    # The folder stands for the database, also in the processes that a test starts.
    address = folder / "database"
    if not address.exists():
        address.write_text(postgres.database())
    target = postgres.target(folder, address.read_text())
    if clocks is None:
        return open_store(target)
    return open_store(target, clock=lambda: clocks.wall, steady=lambda: clocks.steady)


STORES: dict[str, Opener] = {"postgres": _open_postgres, "sqlite": _open_sqlite}


@pytest.fixture(autouse=True)
def _databases(tmp_path: Path) -> Iterator[None]:
    yield
    give_back_databases(tmp_path)


def give_back_databases(folder: Path) -> None:
    """Let others have the databases that stores of PostgreSQL in a folder stood for."""
    for address in folder.rglob("database"):
        postgres.give_back(address.read_text())


@pytest.fixture(params=sorted(STORES))
def opener(request: pytest.FixtureRequest) -> Opener:
    """Opens the store under test in a folder; again gives the same data."""
    return STORES[request.param]


@pytest.fixture
def clocks() -> Clocks:
    """The clocks of `store`."""
    return Clocks()


@pytest.fixture
def store(opener: Opener, tmp_path: Path, clocks: Clocks) -> Iterator[Store]:
    """An empty store of each kind."""
    opened = opener(tmp_path, clocks)
    yield opened
    opened.close()


@pytest.fixture
def org(store: Store) -> str:
    """Id of an organisation."""
    return store.create_org("Example Lab").id


@pytest.fixture
def collection(store: Store, org: str) -> str:
    """Id of a plain collection."""
    return store.create_collection(Kind.PLAIN, "Plain", owner_org=org).id


Make = Callable[..., NewObject]


@pytest.fixture
def make() -> Make:
    """Makes objects: `make(number, modified=..., type=..., **fields)`."""
    return make_object


def make_object(
    number: int, *, modified: str | None = "2026-01-01T00:00:00.000Z", **fields: Any
) -> NewObject:
    """An object whose id is fixed by its number; unversioned when `modified` is None."""
    kind = fields.pop("type", "indicator")
    obj: dict[str, Any] = {
        "type": kind,
        "spec_version": "2.1",
        "id": f"{kind}--{uuid.UUID(int=number, version=4)}",
        **fields,
    }
    if modified is not None:
        obj |= {"created": "2020-01-01T00:00:00.000Z", "modified": modified}
    return new_object(obj, json.dumps(obj, indent=1).encode())
