"""Two hub processes on one database: on one port (SQLite), or on a port each (PostgreSQL)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.hub_process import HubProcess
from tests.postgres import empty_database, give_back

STORES = ("postgresql", "sqlite")


@dataclass(frozen=True)
class Pair:
    """Where two processes answer: two API roots, or one that both share.

    Args:
        hubs: the processes that were started here.
        auth: user and token of the account of `hub dev`.
    """

    hubs: tuple[HubProcess, ...]

    @property
    def auth(self) -> tuple[str, str]:
        return self.hubs[0].auth

    def objects(self, name: str) -> tuple[str, ...]:
        """URLs of a collection's objects."""
        return tuple(hub.objects(name) for hub in self.hubs)


@contextlib.contextmanager
def pair(store: str, folder: Path, *, launcher: str = "hub.cli") -> Iterator[Pair]:
    """Run two processes while the block runs."""
    data = folder / "hub"
    if store == "sqlite":
        with HubProcess(data, launcher=launcher, arguments=("--processes", "2")) as both:
            yield Pair((both,))
        return
    url = empty_database()
    try:
        first = HubProcess(data, launcher=launcher, arguments=("--database", url))
        # The second finds the URL in the data directory, as on a machine of its own with a copy.
        second = HubProcess(data, launcher=launcher)
        with first, second:
            yield Pair((first, second))
    finally:
        give_back(url)
