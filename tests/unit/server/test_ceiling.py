"""A post is held to the ceiling that its collection has when it is stored."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from hub.model.markings import TLP
from hub.server.ceiling import Ceilings, CeilingScreen
from hub.store.records import Kind
from hub.store.sqlite import SqliteStore
from tests.store.conftest import make_object


def test_a_post_that_waited_is_held_to_the_ceiling_of_now(tmp_path: Path) -> None:
    with closing(SqliteStore.open(tmp_path / "hub.db")) as store:
        org = store.create_org("Lab").id
        place = store.create_collection(Kind.PLAIN, "p", owner_org=org).id
        # The request came, and chose its screen, before the ceiling was set.
        screen = CeilingScreen(Ceilings(store), place)
        with store.appending([place]) as appending:
            assert screen.review([make_object(1)], appending) == [None]
        store.set_ceiling(place, TLP.GREEN)
        with store.appending([place]) as appending:
            [reason] = screen.review([make_object(1)], appending)
        assert reason is not None
        assert "TLP:GREEN" in reason
