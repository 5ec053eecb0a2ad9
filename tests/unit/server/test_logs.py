"""The log of a channel over HTTP, as a member and as an outsider see it."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.channel.log import tree
from hub.channel.log.checkpoint import Checkpoint, parse_checkpoint, verify_checkpoint
from hub.channel.primitives.sign import NotePrivate
from hub.errors import InputError, StoreError
from hub.server.logbook import MAX_ENTRIES, Logbook, Signed
from hub.settings import HubSettings
from hub.store.records import Kind, LogMark, NewObject
from hub.store.sqlite import SqliteStore, restore
from tests.store.conftest import Clocks, make_object
from tests.unit.server.harness import Answer
from tests.unit.server.test_admission import Channel, Town, fates

KEY = NotePrivate(b"\x07" * 32)
SETTINGS = HubSettings(public_url="https://hub.example:8443", other_urls=("https://hub.example",))


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with Town(tmp_path, SETTINGS) as made:
        made.build()
        yield made


def opened(town: Town) -> Channel:
    """A channel of three messages on the hub."""
    channel = town.open()
    assert fates(town.send(*channel.messages)) == (3, [])
    return channel


def asked(town: Town, channel: Channel, what: str, who: str = "owner", **query: int) -> Answer:
    path = f"/stillwatch/channels/{channel.trusted.channel}/{what}"
    given = [(name.rstrip("_"), str(value)) for name, value in query.items()]
    return town.ask("GET", path, who=who, query=given, headers={"accept": "*/*"})


def checkpoint(town: Town, channel: Channel) -> Checkpoint:
    answer = asked(town, channel, "checkpoint")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    log = town.ask("GET", f"/stillwatch/collections/{town.collection}/").json["x_stillwatch_log"]
    return verify_checkpoint(answer.body.decode(), log["verifier_key"]).checkpoint


def hashes(answer: Answer) -> list[bytes]:
    assert answer.status == 200
    return [base64.b64decode(line) for line in answer.body.decode().splitlines()]


def test_the_collection_says_which_log_it_has(town: Town) -> None:
    resource = town.ask("GET", f"/stillwatch/collections/{town.collection}/").json
    origin = f"hub.example:8443/stillwatch/{town.collection}/{town.store.epoch}"
    assert resource["x_stillwatch_log"]["origin"] == origin
    assert resource["x_stillwatch_log"]["verifier_key"].startswith(f"{origin}+")
    listed = town.ask("GET", "/stillwatch/collections/").json["collections"]
    assert [one["id"] for one in listed if "x_stillwatch_log" in one] == [town.collection]


def test_members_can_check_everything(town: Town) -> None:
    channel = opened(town)
    first = checkpoint(town, channel)
    assert first.size == 3
    assert abs(first.time - time.time()) < 60
    raws = [*channel.messages, *(town.sealed(channel) for _ in range(4))]
    assert fates(town.send(*raws[3:]))[0] == 4
    last = checkpoint(town, channel)
    digests = [hashlib.sha256(raw).digest() for raw in raws]
    leaves = [tree.leaf_hash(one) for one in digests]
    assert (last.size, last.root) == (7, tree.root_of(leaves))
    listed = asked(town, channel, "entries", from_=0, to=7).body.decode()
    assert listed == "".join(f"{one.hex()}\n" for one in digests)
    assert asked(town, channel, "entries", from_=6, to=6).body == b""
    for index, leaf in enumerate(leaves):
        proof = hashes(asked(town, channel, "proof/inclusion", size=7, index=index))
        tree.verify_inclusion(leaf, index, 7, proof, last.root)
    proof = hashes(asked(town, channel, "proof/consistency", from_=3, to=7))
    tree.verify_consistency(3, first.root, 7, last.root, proof)
    assert hashes(asked(town, channel, "proof/consistency", from_=0, to=7)) == []


def test_duplicates_and_refusals_are_not_logged(town: Town) -> None:
    channel = opened(town)
    data = town.sealed(channel)
    town.send(data)
    town.send(data, data[:-1] + bytes([data[-1] ^ 1]))
    assert checkpoint(town, channel).size == 4


@pytest.mark.parametrize("what", ["checkpoint", "proof/inclusion", "proof/consistency", "entries"])
def test_outsiders_see_no_log(town: Town, what: str) -> None:
    channel = opened(town)
    town.bind(town.provider, "provider")
    hidden = asked(town, channel, what, who="provider")
    path = f"/stillwatch/channels/{'0' * 64}/{what}"
    missing = town.ask("GET", path, who="provider")
    assert hidden.status == missing.status == 404
    assert {**hidden.json, "error_id": ""} == {**missing.json, "error_id": ""}
    assert town.ask("GET", path, who=None).status == 401
    town.send(*town.admit(channel))
    assert asked(town, channel, what, who="provider").status in (200, 400)
    assert asked(town, channel, what, who="outsider").status == 404


@pytest.mark.parametrize(
    ("what", "query"),
    [
        ("proof/inclusion", "size=3"),
        ("proof/inclusion", "size=3&index=3"),
        ("proof/inclusion", "size=4&index=0"),
        ("proof/inclusion", "size=0&index=0"),
        ("proof/inclusion", "size=3&index=-1"),
        ("proof/inclusion", "size=3&index=01"),
        ("proof/inclusion", "size=3&index=1&index=1"),
        ("proof/inclusion", "size=3&index=1&more=1"),
        ("proof/inclusion", "size=3&index=%D9%A1"),
        ("proof/inclusion", "size=3&index="),
        ("proof/inclusion", "size=9999999999999999999999&index=0"),
        ("proof/consistency", "from=2&to=1"),
        ("proof/consistency", "from=1&to=4"),
        ("proof/consistency", "from=x&to=3"),
        ("entries", "from=2&to=1"),
        ("entries", "from=0&to=4"),
        ("entries", "from=0&to=1e1"),
        ("entries", ""),
        ("checkpoint", "size=3"),
    ],
)
def test_bad_numbers_are_refused(town: Town, what: str, query: str) -> None:
    channel = opened(town)
    pairs = [tuple(pair.split("=")) for pair in query.replace("%D9%A1", "١").split("&") if pair]
    path = f"/stillwatch/channels/{channel.trusted.channel}/{what}"
    answer = town.ask("GET", path, query=[(name, value) for name, value in pairs])
    assert answer.status == 400, answer.body


def test_a_hub_without_a_name_or_a_key_has_no_logs(tmp_path: Path) -> None:
    for number, (settings, key) in enumerate(((HubSettings(), KEY), (SETTINGS, None))):
        with Town(tmp_path / str(number), settings, log_key=key) as town:
            town.build()
            resource = town.ask("GET", f"/stillwatch/collections/{town.collection}/").json
            assert "x_stillwatch_log" not in resource
            if key is None:
                assert asked(town, opened(town), "checkpoint").status == 404


class Desk:
    """A logbook on a store whose clocks a test sets."""

    def __init__(self, folder: Path) -> None:
        self.clocks = Clocks()
        self.store = SqliteStore.open(
            folder / "hub.db", clock=lambda: self.clocks.wall, steady=lambda: self.clocks.steady
        )
        org = self.store.create_org("Lab").id
        self.collection = self.store.create_collection(Kind.CHANNEL, "c", owner_org=org).id
        self.book = self.another(self.store)

    def another(self, store: SqliteStore) -> Logbook:
        """The logbook of another process."""
        return Logbook(SETTINGS, store, KEY, monotonic=lambda: self.clocks.steady)

    def add(self, *numbers: int) -> None:
        self.store.append(self.collection, [item(number) for number in numbers])

    def newest(self) -> Signed:
        return self.book.newest(self.collection)


def item(number: int) -> NewObject:
    return make_object(number, modified=None, type="artifact")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.store.close()


def test_once_a_second_while_nothing_is_added(desk: Desk) -> None:
    desk.add(1)
    first = desk.newest()
    desk.clocks.wall += 300_000 - desk.clocks.wall % 1_000_000
    again = desk.newest()
    assert again is first
    desk.add(2)
    grown = desk.newest()
    assert (grown.size, grown.time) == (2, first.time)
    desk.clocks.move(1.01)
    later = desk.newest()
    assert (later.size, later.time) == (2, first.time + 1)
    assert parse_checkpoint(later.raw).checkpoint.time == later.time


def test_a_later_checkpoint_is_never_smaller(desk: Desk) -> None:
    """Two requests at once, the slower of which had begun before the log grew."""
    desk.add(1)
    real, others = desk.store.log_mark, list[Signed]()
    threads: list[threading.Thread] = []

    def interrupted(collection_id: str) -> LogMark:
        vars(desk.store).pop("log_mark", None)
        mark = real(collection_id)
        desk.add(2)
        thread = threading.Thread(target=lambda: others.append(desk.newest()))
        thread.start()
        thread.join(0.3)
        threads.append(thread)
        desk.clocks.move(5)
        return mark

    vars(desk.store)["log_mark"] = interrupted
    slow = desk.newest()
    threads[0].join()
    assert [slow.size, others[0].size] == [1, 2]
    assert others[0].time >= slow.time


def test_checkpoints_of_two_processes_never_contradict(desk: Desk, tmp_path: Path) -> None:
    store = SqliteStore.open(
        tmp_path / "hub.db", clock=lambda: desk.clocks.wall, steady=lambda: desk.clocks.steady
    )
    books = (desk.book, desk.another(store))
    seen: list[Signed] = []
    for number in range(60):
        if number % 3 == 0:
            desk.add(number)
        # The second process's clock is behind, and both are asked at any moment of a second.
        desk.clocks.wall += -700_000 if number % 2 else 900_000
        desk.clocks.steady += 0.1
        seen.append(books[number % 2].newest(desk.collection))
    pairs = [(one.time, one.size) for one in seen]
    assert [size for _, size in pairs] == sorted(size for _, size in pairs)
    for moment, size in pairs:
        assert all(other <= size for earlier, other in pairs if earlier < moment)
    roots = {(one.size, parse_checkpoint(one.raw).checkpoint.root) for one in seen}
    assert len(roots) == len({size for size, _ in roots}) == 20
    store.close()


def test_reading_goes_on_when_nothing_can_be_written(desk: Desk) -> None:
    desk.add(1)

    def full(collection_id: str) -> LogMark:
        raise StoreError("the disk is full")

    vars(desk.store)["log_mark"] = full
    with pytest.raises(StoreError):
        desk.newest()
    vars(desk.store).pop("log_mark")
    known = desk.newest()
    vars(desk.store)["log_mark"] = full
    desk.clocks.move(60)
    assert desk.newest() is known


def test_entries_are_given_in_portions(desk: Desk) -> None:
    desk.store.append(desk.collection, [item(number) for number in range(MAX_ENTRIES + 1)])
    assert len(desk.book.entries(desk.collection, 1, MAX_ENTRIES + 1)) == MAX_ENTRIES
    with pytest.raises(InputError, match="at most 10000"):
        desk.book.entries(desk.collection, 0, MAX_ENTRIES + 1)


def test_what_is_restored_is_another_log(desk: Desk, tmp_path: Path) -> None:
    desk.add(1)
    desk.store.backup(tmp_path / "copy.db")
    restore(tmp_path / "copy.db", tmp_path / "new" / "hub.db")
    store = SqliteStore.open(tmp_path / "new" / "hub.db")
    book = Logbook(SETTINGS, store, KEY)
    assert book.origin(desk.collection) != desk.book.origin(desk.collection)
    assert store.verify_log(desk.collection) == 1
    store.close()
