"""The one writer: bounded, batching, acknowledging after the commit, draining at the end."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from hub.errors import InputError, StillwatchError, StoreError
from hub.server.appender import Appender, Post, Reviewed, Waiting
from hub.server.refusals import BusyError, ForbiddenError
from hub.settings import HubLimits
from hub.store.interface import Appending
from hub.store.records import Appended, Kind, NewObject, Outcome, StatusRecord
from hub.store.sqlite import SqliteStore

SECONDS = 10


class Gated(Appender):
    """Commits when the gate is open, and counts."""

    def __init__(self, store: SqliteStore, limits: HubLimits) -> None:
        super().__init__(store, limits)
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.sizes: list[int] = []
        self.trouble: Exception | None = None

    def commit(self, gathered: Sequence[Waiting]) -> list[Reviewed]:
        self.entered.set()
        assert self.gate.wait(SECONDS)
        self.sizes.append(len(gathered))
        if self.trouble is not None:
            raise self.trouble
        return super().commit(gathered)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore.open(tmp_path / "hub.db")
    yield made
    made.close()


@pytest.fixture
def collection(store: SqliteStore) -> str:
    return store.create_collection(Kind.PLAIN, "c", owner_org=store.create_org("o").id).id


def post(collection: str, count: int = 1) -> Post:
    items = [
        NewObject(f"note--{uuid.uuid4()}", "note", "2.1", "2026-01-01T00:00:00Z", b'{"n":1}')
        for _ in range(count)
    ]

    def report(appended: Sequence[Appended], refused: dict[int, str]) -> StatusRecord:
        raw = f"{len(appended)} of {len(items)}, {sorted(refused)}".encode()
        return StatusRecord(str(uuid.uuid4()), collection, "org", 0, raw)

    return Post(collection, items, report)


def started(store: SqliteStore, limits: HubLimits | None = None) -> Gated:
    made = Gated(store, limits or HubLimits())
    made.start()
    return made


def test_answers_after_the_commit_only(store: SqliteStore, collection: str) -> None:
    appender = started(store)
    answer = appender.submit(post(collection))
    assert appender.entered.wait(SECONDS)
    assert not answer.done()
    assert store.count(collection) == 0
    appender.gate.set()
    verdict = answer.result(SECONDS)
    assert store.count(collection) == 1
    kept = store.get_status(verdict.status.id)
    assert kept is not None
    assert kept.raw == b"1 of 1, []"
    appender.stop()


def test_posts_that_gather_share_a_commit(store: SqliteStore, collection: str) -> None:
    appender = started(store)
    answers = [appender.submit(post(collection))]
    assert appender.entered.wait(SECONDS)
    answers += [appender.submit(post(collection, 2)) for _ in range(10)]
    appender.gate.set()
    for answer in answers:
        answer.result(SECONDS)
    appender.stop()
    assert appender.sizes == [1, 10]
    assert store.count(collection) == 21


def test_a_full_queue_is_busy(store: SqliteStore, collection: str) -> None:
    appender = started(store, HubLimits(queue_objects=10, batch_objects=10))
    first = appender.submit(post(collection))
    assert appender.entered.wait(SECONDS)
    queued = [appender.submit(post(collection, 5)), appender.submit(post(collection, 5))]
    assert appender.waiting == 10
    with pytest.raises(BusyError) as caught:
        appender.submit(post(collection))
    assert caught.value.headers["retry-after"] == "1"
    appender.gate.set()
    for answer in [first, *queued]:
        answer.result(SECONDS)
    assert appender.submit(post(collection)).result(SECONDS).status.id
    appender.stop()
    assert store.count(collection) == 12


def test_a_post_larger_than_the_queue_is_taken_alone(store: SqliteStore, collection: str) -> None:
    appender = started(store, HubLimits(queue_objects=3, queue_bytes=8))
    appender.gate.set()
    assert appender.submit(post(collection, 7)).result(SECONDS).status.id
    appender.stop()
    assert store.count(collection) == 7


def test_stopping_drains(store: SqliteStore, collection: str) -> None:
    appender = started(store)
    answers = [appender.submit(post(collection)) for _ in range(5)]
    stopping = threading.Thread(target=appender.stop)
    stopping.start()
    appender.gate.set()
    stopping.join(SECONDS)
    assert not stopping.is_alive()
    assert all(answer.done() for answer in answers)
    assert store.count(collection) == 5
    with pytest.raises(BusyError):
        appender.submit(post(collection))
    appender.stop()


def test_a_client_that_left_is_not_waited_for(store: SqliteStore, collection: str) -> None:
    appender = started(store)
    first = appender.submit(post(collection))
    assert appender.entered.wait(SECONDS)
    assert not first.cancel()
    left = appender.submit(post(collection))
    stayed = appender.submit(post(collection))
    assert left.cancel()
    appender.gate.set()
    assert stayed.result(SECONDS).status.id
    appender.stop()
    assert store.count(collection) == 2


def test_one_unknown_collection_does_not_cost_the_others(
    store: SqliteStore, collection: str
) -> None:
    appender = started(store)
    first = appender.submit(post(collection))
    assert appender.entered.wait(SECONDS)
    lost = appender.submit(post(str(uuid.uuid4())))
    good = appender.submit(post(collection))
    appender.gate.set()
    assert first.result(SECONDS).status.id
    assert good.result(SECONDS).status.id
    with pytest.raises(InputError):
        lost.result(SECONDS)
    appender.stop()
    assert store.count(collection) == 2


@pytest.mark.parametrize("trouble", [StoreError("the disk is full"), RuntimeError("a bug")])
def test_the_writer_outlives_failures(
    store: SqliteStore, collection: str, trouble: Exception
) -> None:
    appender = started(store)
    appender.gate.set()
    appender.trouble = trouble
    with pytest.raises(Exception, match=r"disk is full|could not store"):
        appender.submit(post(collection)).result(SECONDS)
    appender.trouble = None
    assert appender.submit(post(collection)).result(SECONDS).status.id
    appender.stop()
    assert store.count(collection) == 1


class Doorman:
    """A screen that refuses every second object, or everybody."""

    def __init__(self, *, nobody: bool = False) -> None:
        self.nobody = nobody
        self.calls: list[str] = []
        self.heads: list[int | None] = []

    def review(self, items: Sequence[NewObject], appending: Appending) -> Sequence[str | None]:
        self.calls.append("review")
        if self.nobody:
            raise ForbiddenError("not a member")
        return ["odd" if index % 2 else None for index in range(len(items))]

    def committed(self, head: int | None) -> None:
        self.heads.append(head)
        self.calls.append("committed")

    def failed(self) -> None:
        self.calls.append("failed")


def screened(collection: str, doorman: Doorman) -> Post:
    plain = post(collection, 4)
    return Post(plain.collection_id, plain.items, plain.report, doorman)


def test_a_screen_lets_some_through(store: SqliteStore, collection: str) -> None:
    appender, doorman = started(store), Doorman()
    appender.gate.set()
    verdict = appender.submit(screened(collection, doorman)).result(SECONDS)
    assert verdict.refused == {1: "odd", 3: "odd"}
    assert verdict.status.raw == b"2 of 4, [1, 3]"
    assert doorman.calls == ["review", "committed"]
    assert doorman.heads == [store.head(collection)]
    assert store.head(collection) is not None
    appender.stop()


def test_a_screen_that_admits_nobody(store: SqliteStore, collection: str) -> None:
    appender, doorman = started(store), Doorman(nobody=True)
    appender.gate.set()
    with pytest.raises(ForbiddenError):
        appender.submit(screened(collection, doorman)).result(SECONDS)
    assert doorman.calls == ["review", "committed"]
    assert doorman.heads == [None]
    appender.stop()
    assert store.count(collection) == 0


def test_a_screen_hears_of_a_failed_commit(store: SqliteStore, collection: str) -> None:
    def fails(appended: Sequence[Appended], refused: dict[int, str]) -> StatusRecord:
        raise StoreError("the disk is full")

    appender, doorman, other = started(store), Doorman(), Doorman()
    first = appender.submit(post(collection))
    assert appender.entered.wait(SECONDS)
    good = appender.submit(screened(collection, other))
    plain = post(collection, 4)
    bad = appender.submit(Post(collection, plain.items, fails, doorman))
    appender.gate.set()
    assert first.result(SECONDS).status.id
    for answer in (good, bad):
        with pytest.raises(StoreError):
            answer.result(SECONDS)
    # They shared a transaction, so what the review of either concluded is void.
    assert doorman.calls == other.calls == ["review", "failed"]
    appender.stop()
    assert store.count(collection) == 1


def test_what_fails_after_the_commit_costs_no_answer(store: SqliteStore, collection: str) -> None:
    class Clumsy(Doorman):
        def committed(self, head: int | None) -> None:
            raise ValueError("stumbled")

    appender = started(store)
    appender.gate.set()
    verdict = appender.submit(screened(collection, Clumsy())).result(SECONDS)
    assert [one.outcome for one in verdict.appended] == [Outcome.STORED] * 2
    assert appender.submit(post(collection)).result(SECONDS).status.id
    appender.stop()
    assert store.count(collection) == 3


def test_a_post_that_breaks_the_check_costs_the_others_nothing(
    store: SqliteStore, collection: str
) -> None:
    class Broken(Doorman):
        def review(self, items: Sequence[NewObject], appending: Appending) -> Sequence[str | None]:
            raise RuntimeError("a bug")

    appender, broken = started(store), Broken()
    first = appender.submit(post(collection))
    assert appender.entered.wait(SECONDS)
    good = appender.submit(post(collection))
    bad = appender.submit(screened(collection, broken))
    appender.gate.set()
    assert first.result(SECONDS).status.id
    assert good.result(SECONDS).status.id
    with pytest.raises(StillwatchError, match="could not store"):
        bad.result(SECONDS)
    assert broken.calls == ["failed", "failed"]
    appender.stop()
    assert store.count(collection) == 2


def test_what_another_process_stored_is_there_to_be_judged_by(
    store: SqliteStore, collection: str, tmp_path: Path
) -> None:
    class Reader(Doorman):
        seen: Sequence[tuple[int, bytes]] = ()

        def review(self, items: Sequence[NewObject], appending: Appending) -> Sequence[str | None]:
            Reader.seen = list(appending.messages(collection, None))
            return super().review(items, appending)

    appender, reader = started(store), Reader()
    queued = appender.submit(screened(collection, reader))
    assert appender.entered.wait(SECONDS)
    other = SqliteStore.open(tmp_path / "hub.db")
    [fate] = other.append(collection, post(collection).items)
    other.close()
    appender.gate.set()
    assert queued.result(SECONDS).status.id
    assert Reader.seen == [(fate.date_added, b'{"n":1}')]
    appender.stop()


def test_after_a_crowd_the_next_one_is_waited_for(
    store: SqliteStore, collection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.server.appender.LINGER_SECONDS", SECONDS)
    appender = started(store)
    appender.gate.clear()
    answers = [appender.submit(post(collection))]
    assert appender.entered.wait(SECONDS)
    answers += [appender.submit(post(collection)) for _ in range(3)]
    appender.gate.set()
    for answer in answers:
        answer.result(SECONDS)
    # The writer is idle again; what now comes one by one is gathered as before.
    later = []
    for _ in range(3):
        later.append(appender.submit(post(collection)))
        time.sleep(0.02)
    for answer in later:
        answer.result(SECONDS)
    appender.stop()
    assert appender.sizes == [1, 3, 3]
