"""Streams of events, in the application: what they tell, to whom, and when they end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.errors import StillwatchError, StoreError
from hub.server.refusals import IssuerDownError, TooManyFailuresError
from hub.settings import HubLimits, HubSettings, PushSettings
from hub.store.objects import new_object
from hub.store.records import Kind
from hub.store.sqlite import SqliteStore
from hub.taxii.filters import EVERY
from hub.taxii.times import to_text
from tests.unit.server.harness import House, indicator
from tests.unit.server.streams import Reader

QUICK = PushSettings(
    heartbeat_seconds=0.2,
    rights_seconds=0.3,
    write_seconds=0.4,
    local_poll_seconds=0.05,
    gather_seconds=0.01,
)
CALM = replace(QUICK, heartbeat_seconds=60.0, rights_seconds=60.0)


def settings(push: PushSettings = CALM, **limits: Any) -> HubSettings:
    return HubSettings(push=push, limits=HubLimits(**limits))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path, settings()) as made:
        yield made


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path, settings(QUICK)) as made:
        yield made


async def post(house: House, collection: str, *numbers: int) -> None:
    body = b'{"objects":[%s]}' % b",".join(_raw(number) for number in numbers)
    path = f"/stillwatch/collections/{collection}/objects/"
    answer = await house.ask_async("POST", path, body=body)
    assert answer.status == 202


def _raw(number: int) -> bytes:
    return json.dumps(indicator(number)).encode()


def test_what_is_added_is_told(house: House) -> None:
    collection = house.plain(owner="rw")

    async def play() -> None:
        async with Reader(house, collection) as reader:
            assert reader.status == 200
            assert reader.headers["content-type"].startswith("text/event-stream")
            assert reader.headers["cache-control"] == "no-store"
            opening = await reader.event()
            assert (opening.name, opening.id) == ("open", None)
            await post(house, collection, 1, 2, 3)
            first = await reader.event()
            await post(house, collection, 4)
            second = await reader.event()
        head = house.store.head(collection)
        assert head is not None
        assert (first.name, first.data["count"]) == ("added", 3)
        assert (second.data["count"], second.data["added_after"]) == (1, first.data["head"])
        assert second.data["head"] == to_text(head)
        assert second.data["collection"] == collection

    house.runner.run(play())


def test_an_event_is_a_place_to_read_on_from(house: House) -> None:
    """Its id is a cursor of pages, and its `added_after` gives exactly what it announces."""
    collection = house.plain(owner="rw")
    house.post(collection, indicator(1))

    async def play() -> None:
        async with Reader(house, collection) as reader:
            opening = await reader.event()
            await post(house, collection, 2, 3)
            event = await reader.event()
        path = f"/stillwatch/collections/{collection}/objects/"
        for query in ({"next": str(opening.id)}, {"added_after": event.data["added_after"]}):
            page = await house.ask_async("GET", path, query=query)
            assert len(page.json["objects"]) == event.data["count"] == 2
        rest = await house.ask_async("GET", path, query={"next": str(event.id)})
        assert "objects" not in rest.json

    house.runner.run(play())


def test_a_stream_goes_on_after_the_last_event(house: House) -> None:
    collection = house.plain(owner="rw")
    house.post(collection, indicator(1))

    async def play() -> None:
        async with Reader(house, collection) as reader:
            last = (await reader.event()).id
        assert last
        await post(house, collection, 2, 3)
        async with Reader(house, collection, headers={"last-event-id": last}) as reader:
            opening, missed = await reader.event(), await reader.event()
            assert (missed.name, missed.data["count"]) == ("added", 2)
            assert opening.id == missed.id
        # Up to date: only where it stands.
        async with Reader(house, collection, headers={"last-event-id": missed.id}) as reader:
            await reader.event()
            with pytest.raises(TimeoutError):
                await reader.event(0.2)

    house.runner.run(play())


def test_a_reader_may_say_up_to_where_it_has_all(house: House) -> None:
    collection = house.plain(owner="rw")
    house.post(collection, *(indicator(number) for number in range(5)))

    async def play() -> None:
        async with Reader(house, collection, "added_after=1970-01-01T00:00:00Z") as reader:
            await reader.event()
            assert (await reader.event()).data["count"] == 5

    house.runner.run(play())


@pytest.mark.parametrize("last", ["no-cursor", "AAAA", "A" * 36])
def test_what_cannot_go_on_is_reset(house: House, last: str) -> None:
    collection = house.plain(owner="rw")
    house.post(collection, indicator(1))

    async def play() -> None:
        async with Reader(house, collection, headers={"last-event-id": last}) as reader:
            assert (await reader.event()).name == "open"
            reset = await reader.event()
            assert reset.name == "reset"
            assert reset.data["reason"]

    house.runner.run(play())


def test_a_position_of_before_a_restore_is_reset(house: House) -> None:
    """A restored hub may lack what the reader has: it stands behind the reader's position."""
    collection = house.plain(owner="rw")
    house.post(collection, indicator(1))

    async def play() -> None:
        async with Reader(house, collection, "added_after=2100-01-01T00:00:00Z") as reader:
            await reader.event()
            assert (await reader.event()).name == "reset"

    house.runner.run(play())


def test_silence_carries_comments(quick: House) -> None:
    collection = quick.plain(owner="rw")

    async def play() -> None:
        async with Reader(quick, collection) as reader:
            assert (await reader.next()).name == "open"
            assert [(await reader.next()).name for _ in range(3)] == [":"] * 3

    quick.runner.run(play())


@pytest.mark.parametrize("how", ["token", "grant", "org"])
def test_who_loses_the_right_loses_the_stream(quick: House, how: str) -> None:
    org = quick.org("reader")
    collection = quick.plain(owner="rw", reader="r")

    async def play() -> None:
        async with Reader(quick, collection, who="reader") as reader:
            await reader.event()
            if how == "token":
                quick.store.revoke_token(quick.store.tokens(org.id)[0].id, now=1)
            elif how == "grant":
                quick.store.set_grant(collection, org.id, can_read=False, can_write=False)
            else:
                quick.store.disable_org(org.id)
            end = await reader.event(3)
            assert (end.name, end.data) == ("end", {"reason": "rights"})
            with pytest.raises(EOFError):
                await reader.event()

    quick.runner.run(play())


def test_no_event_leaves_on_rights_asked_long_ago(tmp_path: Path) -> None:
    with House(tmp_path, settings(replace(CALM, rights_seconds=0.2))) as house:
        org = house.org("reader")
        collection = house.plain(owner="rw", reader="r")

        async def play() -> None:
            async with Reader(house, collection, who="reader") as reader:
                await reader.event()
                house.store.set_grant(collection, org.id, can_read=False, can_write=False)
                await asyncio.sleep(0.25)
                await post(house, collection, 1)
                assert (await reader.event()).name == "end"

        house.runner.run(play())


def test_places_are_limited(tmp_path: Path) -> None:
    with House(tmp_path, settings(streams=3, account_streams=2)) as house:
        house.org("reader")
        collection = house.plain(owner="rw", reader="r")

        async def play() -> None:
            async with Reader(house, collection), Reader(house, collection) as second:
                async with Reader(house, collection) as refused:
                    assert refused.status == 429
                    assert int(refused.headers["retry-after"]) > 0
                async with Reader(house, collection, who="reader") as third:
                    assert third.status == 200
                    async with Reader(house, collection, who="reader") as fourth:
                        assert (fourth.status, "retry-after" in fourth.headers) == (503, True)
                assert second.status == 200
            # All places are free again, and nobody looks at the collection.
            events = house.app.state.events
            assert (events.streams, events.topics) == (0, 0)
            async with Reader(house, collection) as again:
                assert again.status == 200

        house.runner.run(play())


def test_streams_end_when_the_hub_stops(house: House) -> None:
    collection = house.plain(owner="rw")

    async def play() -> None:
        async with Reader(house, collection) as reader:
            await reader.event()
            house.app.state.on_stop()
            assert (await reader.event()).data == {"reason": "stopping"}
            with pytest.raises(EOFError):
                await reader.event()
            async with Reader(house, collection) as late:
                assert late.status == 503

    house.runner.run(play())


@pytest.mark.parametrize(("query", "status"), [("seconds=0", 200), ("seconds=x", 400)])
def test_a_stream_of_a_given_length(house: House, query: str, status: int) -> None:
    collection = house.plain(owner="rw")

    async def play() -> None:
        async with Reader(house, collection, query) as reader:
            assert reader.status == status
            if status == 200:
                assert (await reader.event()).name == "open"
                assert (await reader.event()).data == {"reason": "lifetime"}

    house.runner.run(play())


def test_a_slow_reader_gets_one_event_for_many_posts(tmp_path: Path) -> None:
    with House(tmp_path, settings(replace(CALM, write_seconds=30.0))) as house:
        collection = house.plain(owner="rw")

        async def play() -> None:
            async with Reader(house, collection) as reader:
                await reader.event()
                await post(house, collection, 0)
                await reader.event()
                reader.read.clear()
                for number in range(1, 8):
                    await post(house, collection, number)
                    await asyncio.sleep(0.03)
                reader.read.set()
                told = [(await reader.event()).data]
                while told[-1]["head"] != to_text(house.store.head(collection) or 0):
                    told.append((await reader.event()).data)
                # One was on its way already, and one stands for all the others.
                assert len(told) == 2
                assert sum(each["count"] for each in told) == 7

        house.runner.run(play())


def test_a_reader_that_takes_nothing_is_let_go(quick: House) -> None:
    collection = quick.plain(owner="rw")

    async def play() -> None:
        async with Reader(quick, collection) as reader:
            await reader.event()
            reader.read.clear()
            await asyncio.wait_for(reader.task, 5)
            assert quick.app.state.events.streams == 0

    quick.runner.run(play())


def test_head_has_no_stream(house: House) -> None:
    collection = house.plain(owner="rw")
    answer = house.ask("HEAD", f"/stillwatch/collections/{collection}/events/")
    assert (answer.status, answer.raw) == (200, b"")
    assert house.app.state.events.streams == 0


def test_what_another_process_stores_is_found(house: House, tmp_path: Path) -> None:
    """Without any word of it: the store is asked now and then while somebody listens."""
    collection = house.plain(owner="rw")
    other = SqliteStore.open(tmp_path / "hub.db")

    async def play() -> None:
        async with Reader(house, collection) as reader:
            await reader.event()
            obj = indicator(1)
            await asyncio.to_thread(other.append, collection, [new_object(obj, _raw(1))])
            assert (await reader.event(2)).data["count"] == 1

    house.runner.run(play())
    other.close()


def test_a_deletion_is_no_news(house: House) -> None:
    collection = house.plain(owner="rw")
    house.post(collection, indicator(1))

    async def play() -> None:
        async with Reader(house, collection) as reader:
            await reader.event()
            house.store.delete(collection, indicator(1)["id"], EVERY)
            with pytest.raises(TimeoutError):
                await reader.event(0.3)

    house.runner.run(play())


def test_a_failing_store_ends_no_stream(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be looked at is told once it can."""
    collection = house.plain(owner="rw")

    async def play() -> None:
        async with Reader(house, collection) as reader:
            await reader.event()
            with monkeypatch.context() as broken:
                broken.setattr(house.store, "positions", _fail)
                await post(house, collection, 1)
                with pytest.raises(TimeoutError):
                    await reader.event(0.3)
            assert (await reader.event()).data["count"] == 1

    house.runner.run(play())


@pytest.mark.parametrize("fault", [IssuerDownError("away"), TooManyFailuresError("wait")])
def test_rights_that_cannot_be_asked_are_not_gone(quick: House, fault: StillwatchError) -> None:
    """A stream whose issuer is away ends with a reason to come back, not with a broken line."""
    collection = quick.plain(owner="rw")

    def away(*_: object, **__: object) -> None:
        raise fault

    async def play() -> None:
        async with Reader(quick, collection) as reader:
            await reader.event()
            vars(quick.store)["credential"] = away
            quick.org("somebody")
            assert (await reader.event(3)).data == {"reason": "unavailable"}
            with pytest.raises(EOFError):
                await reader.event()

    try:
        quick.runner.run(play())
    finally:
        del vars(quick.store)["credential"]


def test_a_store_that_fails_at_the_start_ends_the_stream(house: House) -> None:
    collection = house.plain(owner="rw")

    async def play() -> None:
        await post(house, collection, 1)
        vars(house.store)["added"] = _fail
        async with Reader(house, collection, "added_after=2020-01-01T00:00:00Z") as reader:
            assert (await reader.event()).data == {"reason": "unavailable"}

    try:
        house.runner.run(play())
    finally:
        del vars(house.store)["added"]


def _fail(*_: object) -> None:
    raise StoreError("the disk failed")


def test_an_inbox_has_events_for_its_owner(house: House) -> None:
    channel = house.store.create_collection(Kind.CHANNEL, "c", owner_org=house.owner.id)
    inbox = house.store.create_collection(
        Kind.INBOX, "i", owner_org=house.owner.id, inbox_of=channel.id
    )
    house.org("stranger")

    async def play() -> None:
        async with Reader(house, inbox.id) as reader:
            assert reader.status == 200
        async with Reader(house, inbox.id, who="stranger") as reader:
            assert reader.status == 403

    house.runner.run(play())
