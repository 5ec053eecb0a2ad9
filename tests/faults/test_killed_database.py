"""kill -9 of PostgreSQL under a hub with posters and a poller, which goes on by itself.

While the server is away posts are answered 503 or 507, never 202, and reads fail; once it is back,
so is the hub. The control is a hub that acknowledges before it commits.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.stores import hub_on
from tests.faults.traffic import Load, Seen, problems
from tests.postgres import Server

REFUSALS = frozenset({503, 507})


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that may be killed."""
    made = Server()
    made.start()
    yield made
    made.remove()


def drill(server: Server, folder: Path, kills: int) -> tuple[Seen, list[str]]:
    """Kill the server so often under load; what the clients saw, and what is stored."""
    chance = random.Random(kills)
    hub = hub_on("postgres", folder, url=server.create())
    with hub:
        hub.stay()
        with Load(hub, refusals=REFUSALS) as load:
            for _ in range(kills):
                load.progress()
                time.sleep(chance.uniform(0.02, 0.3))
                server.kill()
                load.refused(503)
                server.start()
            load.progress()
        stored = load.stored()
    return load.seen, stored


def test_a_killed_database_loses_nothing(server: Server, tmp_path: Path) -> None:
    seen, stored = drill(server, tmp_path / "hub", 2)
    assert problems(seen, stored) == []
    assert len(stored) >= len(seen.acknowledged) > 0


@pytest.mark.drill
@pytest.mark.timeout(900)
def test_fifteen_kills_of_the_database_lose_nothing(server: Server, tmp_path: Path) -> None:
    seen, stored = drill(server, tmp_path / "hub", 15)
    assert problems(seen, stored) == []
    print(f"15 kills of PostgreSQL: {len(seen.acknowledged)} acknowledged, {dict(seen.statuses)}")


@pytest.mark.drill
def test_an_early_acknowledgement_is_caught(server: Server, tmp_path: Path) -> None:
    early = "tests.faults.early_hub"
    hub = hub_on("postgres", tmp_path / "hub", launcher=early, url=server.create())
    with hub:
        hub.stay()
        with Load(hub, refusals=REFUSALS) as load:
            for _ in range(3):
                load.progress()
                server.kill()
                # Its appender has ended with the first commit that failed.
                hub.kill()
                server.start()
                hub.start()
            load.progress()
        found = problems(load.seen, load.stored())
    assert any("acknowledged objects lost" in one for one in found)
