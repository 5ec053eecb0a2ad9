"""The hub of the conformance tests: one real process for each module that asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.hub_process import HubProcess
from tests.interop.raw_http import Peer


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with HubProcess(tmp_path_factory.mktemp("conformance") / "hub") as hub:
        yield Peer(hub)
