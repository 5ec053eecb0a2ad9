"""Development hubs on either store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests import postgres
from tests.faults.hub_process import HubProcess

STORES: Final = ("postgres", "sqlite")


def hub_on(
    store: str,
    folder: Path,
    *,
    launcher: str = "hub.cli",
    url: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> HubProcess:
    """A development hub that is not started yet.

    Args:
        store: one of `STORES`.
        folder: its data directory, new or known.
        launcher: see `HubProcess`.
        url: of an empty PostgreSQL database, or of the hub's; by default a new one.
        environment: see `HubProcess`.
    """
    words: tuple[str, ...] = ()
    if store == "postgres":
        words = ("--database", url or postgres.empty_database())
    return HubProcess(folder, launcher=launcher, arguments=words, environment=environment or {})
