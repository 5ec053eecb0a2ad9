"""A collection in a table of its own answers as before, along its own indexes only."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from hub.errors import InputError, StoreError
from hub.store.migrate import upgrade
from hub.store.opening import StoreTarget, open_store
from hub.store.postgres.database import PostgresDatabase
from hub.store.postgres.partitions import partition, partitioned
from hub.store.postgres.store import PostgresStore
from hub.store.records import Kind, Outcome
from hub.store.select import Selection, select
from hub.store.transfer import backup, digest, restore
from hub.taxii.filters import EVERY, Filters, VersionFilter
from tests import postgres
from tests.store.conftest import make_object


def _filled(target: StoreTarget) -> tuple[PostgresStore, list[str]]:
    store = open_store(target)
    assert isinstance(store, PostgresStore)
    org = store.create_org("Lab").id
    ids = [store.create_collection(Kind.CHANNEL, "c", owner_org=org).id for _ in range(3)]
    for name in ids:
        store.append(name, [make_object(number) for number in range(400)])
        store.append(name, [make_object(1, modified="2026-02-01T00:00:00Z")])
    return store, ids


def test_partitioned_collections_answer_as_before(tmp_path: Path) -> None:
    target = postgres.target(tmp_path, postgres.empty_database())
    upgrade(target)
    store, ids = _filled(target)
    url = target.url or ""
    held = digest(target)
    pages = [store.page(name, Filters(), 500) for name in ids]
    stop = threading.Event()
    wrong: list[str] = []

    def read() -> None:
        while not stop.is_set():
            if [store.page(name, Filters(), 500) for name in ids] != pages:
                wrong.append("another page")

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert partition(url, ids[0]) == 401
        assert partition(url, ids[2]) == 401
        assert partition(url, ids[2]) == 0
    finally:
        stop.set()
        reader.join()
    assert wrong == []
    assert partitioned(url) == [ids[0], ids[2]]
    assert digest(target) == held
    with pytest.raises(InputError):
        partition(url, "0" * 36)
    for name in ids:
        assert store.append(name, [make_object(1)])[0].outcome is Outcome.DUPLICATE
        assert store.append(name, [make_object(1, name="x")])[0].outcome is Outcome.CONFLICT
        assert store.append(name, [make_object(1, modified="2026-03-01T00:00:00Z")])[0].ok
        assert store.delete(name, make_object(1).id, VersionFilter()) == 1
        [last] = store.page(name, Filters(ids=frozenset({make_object(1).id})), 9).rows
        assert last.version == "2026-02-01T00:00:00Z"
        assert store.delete(name, make_object(1).id, EVERY) == 2
        assert store.verify_log(name) == 402
    backup(target, tmp_path / "kept.db")
    again = StoreTarget(path=tmp_path / "again.db")
    restore(tmp_path / "kept.db", again)
    assert digest(again) == digest(target)
    store.close()


def test_nobody_queues_behind_a_move_that_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = postgres.target(tmp_path, postgres.empty_database())
    upgrade(target)
    store, ids = _filled(target)
    url = target.url or ""
    partition(url, ids[0])
    monkeypatch.setattr("hub.store.postgres.partitions._ATTACH_TRIES", 2)
    monkeypatch.setattr("hub.store.postgres.partitions._ATTACH_PAUSE", 0.0)
    raised: list[StoreError] = []

    def move() -> None:
        try:
            partition(url, ids[1])
        except StoreError as error:
            raised.append(error)

    with closing(psycopg.connect(url)) as reader:
        # As a back-up, to its end.
        reader.execute("SELECT count(*) FROM object")
        moving = threading.Thread(target=move)
        moving.start()
        moving.join(20)
        waits = moving.is_alive()
    moving.join()
    assert not waits
    assert [error.message for error in raised] == ["another process keeps the database locked"]
    assert partitioned(url) == [ids[0]]
    assert partition(url, ids[1]) == 401
    store.close()


def test_statements_are_pruned_to_one_table(tmp_path: Path) -> None:
    target = postgres.target(tmp_path, postgres.empty_database())
    upgrade(target)
    store, ids = _filled(target)
    partition(target.url or "", ids[0])
    for name, table, other in (
        (ids[0], "object_c", "object_rest"),
        (ids[1], "object_rest", "object_c"),
    ):
        key = store._known_key(name)
        for filters in (
            Filters(),
            Filters(versions=EVERY),
            Filters(ids=frozenset({"a"})),
            Filters(versions=VersionFilter(first=True, last=False)),
        ):
            chosen = Selection(key, 5, filters, PostgresDatabase.dialect)
            statement, values = select(chosen, 10, body=True, room=10**7)
            rows = store._database.rows(f"EXPLAIN {statement}", values)
            plan = "\n".join(row[0] for row in rows)
            assert f" on {table}" in plan, plan
            assert other not in plan, plan
            assert "Seq Scan" not in plan
            assert ("->  Sort" in plan) is bool(filters.ids), plan
    store.close()


def test_the_database_itself_refuses_a_version_twice(tmp_path: Path) -> None:
    target = postgres.target(tmp_path, postgres.empty_database())
    upgrade(target)
    store, ids = _filled(target)
    partition(target.url or "", ids[0])
    with closing(psycopg.connect(target.url or "", autocommit=True)) as connection:
        for change in ("date_added + 10000000", "date_added"):
            with pytest.raises(psycopg.errors.UniqueViolation):
                connection.execute(
                    "INSERT INTO object (collection_key, date_added, object_id, object_type,"
                    " spec_version, version, version_text, is_last, body)"
                    f" SELECT collection_key, {change}, object_id, object_type, spec_version,"
                    " version, version_text, is_last, body FROM object"
                    " WHERE collection_key = 1 LIMIT 1".encode()
                )
    store.close()
