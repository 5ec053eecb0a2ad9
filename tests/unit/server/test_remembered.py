"""How often a store is asked whether what is remembered still holds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.server.remembered import Remembered
from hub.store.records import Kind
from hub.store.sqlite import SqliteStore


class Counting(SqliteStore):
    """Counts the questions."""

    asked = 0

    def changes(self) -> int:
        self.asked += 1
        return super().changes()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Counting]:
    made = Counting.open(tmp_path / "hub.db")
    assert isinstance(made, Counting)
    yield made
    made.close()


def test_requests_of_one_round_share_a_question(store: Counting) -> None:
    org = store.create_org("o").id
    collection = store.create_collection(Kind.PLAIN, "c", owner_org=org)
    remembered = Remembered(store, now=lambda: 0)

    async def ask(found: list[str]) -> None:
        seen = remembered.collection(collection.id)
        found.append("none" if seen is None else seen.title)

    async def two_rounds() -> list[str]:
        found: list[str] = []
        await asyncio.gather(ask(found), ask(found), ask(found))
        assert store.asked == 1
        await asyncio.gather(ask(found))
        assert store.asked == 2
        return found

    assert asyncio.run(two_rounds()) == ["c"] * 4


def test_what_was_committed_is_seen_in_the_next_round(store: Counting) -> None:
    org = store.create_org("o").id
    collection = store.create_collection(Kind.PLAIN, "c", owner_org=org)
    remembered = Remembered(store, now=lambda: 0)

    async def revoke() -> tuple[bool, bool]:
        store.set_grant(collection.id, org, can_read=True, can_write=True)
        before = remembered.grant(collection.id, org) is not None
        store.set_grant(collection.id, org, can_read=False, can_write=False)
        await asyncio.sleep(0)
        return before, remembered.grant(collection.id, org) is not None

    assert asyncio.run(revoke()) == (True, False)


def test_without_an_event_loop_each_question_is_asked(store: Counting) -> None:
    remembered = Remembered(store, now=lambda: 0)
    for _ in range(3):
        assert remembered.collection("none") is None
    assert store.asked == 3
