"""What is PostgreSQL's own: a server that dies and returns, settings that lose, errors, plans."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from hub.errors import InputError, StoreAwayError, StoreError, VerificationError
from hub.store.interface import Store
from hub.store.migrate import upgrade
from hub.store.opening import open_store
from hub.store.postgres.connection import translated
from hub.store.postgres.database import PostgresDatabase
from hub.store.postgres.store import PostgresStore
from hub.store.records import Batch, Kind
from hub.store.select import Selection, select, select_keys
from hub.taxii.filters import EVERY, SPEC_VERSIONS, Filters, VersionFilter
from tests import postgres
from tests.store.conftest import make_object


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PostgresStore]:
    (tmp_path / "database").write_text(url := postgres.database())
    opened = open_store(postgres.target(tmp_path, url))
    assert isinstance(opened, PostgresStore)
    yield opened
    opened.close()


@pytest.fixture
def collection(store: Store) -> str:
    return store.create_collection(Kind.CHANNEL, "t", owner_org=store.create_org("Lab").id).id


def _url(tmp_path: Path) -> str:
    return (tmp_path / "database").read_text()


def test_a_server_that_is_killed_is_missed_and_found_again(tmp_path: Path) -> None:
    """Connections that were idle when it died are replaced, and none is lost for good."""
    # Killing the server leaves the machine's cache as it is, so that nothing here needs a sync.
    server = postgres.Server(settings={"fsync": "off"})
    server.start()
    try:
        target = postgres.target(tmp_path, server.create())
        upgrade(target)
        with pytest.raises(StoreError, match="fsync") as refused:
            open_store(target)
        assert refused.value.hint
        store = open_store(replace(target, unsafe=True))
        org = store.create_org("Lab").id
        collection = store.create_collection(Kind.CHANNEL, "t", owner_org=org).id
        with ThreadPoolExecutor(6) as threads:
            list(threads.map(lambda _: store.count(collection), range(60)))
        store.append(collection, [make_object(1)])
        with pytest.raises(StoreAwayError):
            _append_while(store, collection, server.kill)
        asks: list[Callable[[], object]] = [
            lambda: store.page(collection, Filters(), 5),
            lambda: store.append(collection, [make_object(3)]),
        ]
        for ask in asks:
            began = time.monotonic()
            with pytest.raises(StoreAwayError) as caught:
                ask()
            assert caught.value.hint
            assert time.monotonic() - began < 10
        server.start()
        _wait_for(store)
        assert store.append(collection, [make_object(4)])[0].ok
        held = [row.id for row in store.page(collection, Filters(), 5).rows]
        assert held == [make_object(1).id, make_object(4).id]
        assert store.verify_log(collection) == 2
        store.close()
    finally:
        server.remove()


def _append_while(store: Store, collection: str, happens: Callable[[], None]) -> None:
    with store.appending([collection]) as writing:
        writing.append(Batch(collection, [make_object(2)]))
        happens()


def _wait_for(store: Store) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            store.ping()
        except StoreAwayError:
            assert time.monotonic() < deadline
        else:
            return


def _end_backends(tmp_path: Path) -> None:
    with closing(psycopg.connect(_url(tmp_path), autocommit=True)) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid != pg_backend_pid()"
        )


def test_ended_connections_cost_nobody_an_answer(
    store: PostgresStore, collection: str, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: store.count(collection), range(60)))
    assert store.pool()["size"] > 1
    for number in range(3):
        _end_backends(tmp_path)
        assert store.append(collection, [make_object(number)])[0].ok
        _end_backends(tmp_path)
        assert store.count(collection) == number + 1


def test_a_connection_lost_in_a_transaction_undoes_it(
    store: PostgresStore, collection: str, tmp_path: Path
) -> None:
    with pytest.raises(StoreAwayError):
        _append_while(store, collection, lambda: _end_backends(tmp_path))
    assert store.count(collection) == 0
    assert store.head(collection) is None


def test_a_busy_pool_says_so_soon(tmp_path: Path) -> None:
    (tmp_path / "database").write_text(url := postgres.database())
    store = open_store(replace(postgres.target(tmp_path, url), pool_size=1))
    org = store.create_org("Lab").id
    collection = store.create_collection(Kind.PLAIN, "t", owner_org=org).id
    with store.appending([collection]) as writing:
        with pytest.raises(StoreAwayError, match="became free"):
            store.ping()
        writing.append(Batch(collection, [make_object(1)]))
    assert store.count(collection) == 1
    store.close()


def test_writers_of_the_same_collections_do_not_deadlock(store: PostgresStore) -> None:
    org = store.create_org("Lab").id
    ids = [store.create_collection(Kind.CHANNEL, "t", owner_org=org).id for _ in range(3)]

    def write(writer: int) -> None:
        for number in range(15):
            named = ids if writer % 2 else ids[::-1]
            first = make_object(writer * 100 + number)
            store.append_batches([Batch(name, [first]) for name in named])
            store.delete(named[0], first.id, EVERY)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))
    assert [store.verify_log(name) for name in ids] == [60, 60, 60]


def test_texts_that_no_database_holds(store: PostgresStore, collection: str) -> None:
    store.append(collection, [make_object(1)])
    for text in ("\0", "a\0b", "\ud800"):
        assert store.collection(text) is None
        assert store.org(text) is None
        assert not store.has_object(collection, text)
        wanted = Filters(ids=frozenset({text, make_object(1).id}))
        assert len(store.page(collection, wanted, 5).rows) == 1
        with pytest.raises(InputError, match="cannot be stored"):
            store.create_collection(Kind.PLAIN, text, owner_org=store.orgs()[0].id)
    assert len(store.collections()) == 1


@pytest.mark.parametrize(
    ("url", "error", "match"),
    [
        ("postgresql://hub:s3cret@[bad/x", InputError, "not a PostgreSQL URL"),
        ("host=x password='s3cret", InputError, "not a PostgreSQL URL"),
        ("postgresql://hub:s3cret@127.0.0.1:1/x", StoreAwayError, "does not answer"),
        ("{server}/s3cret?host={folder}", StoreError, "no such database"),
        ("postgresql://s3cret@/postgres?host={folder}", StoreError, "refuses the hub's role"),
    ],
)
def test_addresses_that_lead_nowhere(
    url: str, error: type[Exception], match: str, tmp_path: Path
) -> None:
    address = url.format(server="postgresql://hub@", folder=postgres.server().folder)
    with pytest.raises(error, match=match) as caught:
        open_store(postgres.target(tmp_path, address))
    found: BaseException | None = caught.value
    assert isinstance(found, InputError | StoreError)
    assert found.hint
    assert "s3cret" not in str(found) + str(found.hint)
    assert "s3cret" not in repr(postgres.target(tmp_path, address))


def test_a_schema_of_another_release_is_refused(tmp_path: Path) -> None:
    target = postgres.target(tmp_path, postgres.empty_database())
    with pytest.raises(StoreError, match="no schema") as caught:
        open_store(target)
    assert "hub migrate" in (caught.value.hint or "")
    upgrade(target, to="0003")
    with pytest.raises(StoreError, match="older"):
        open_store(target)
    upgrade(target)
    open_store(target).close()
    with closing(psycopg.connect(target.url or "", autocommit=True)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for attempt in (open_store, upgrade):
        with pytest.raises(StoreError, match="newer release"):
            attempt(target)


def test_commits_that_do_not_last_are_refused(tmp_path: Path) -> None:
    target = postgres.target(tmp_path, postgres.server().create(template="template0"))
    upgrade(target)
    name = (target.url or "").partition("@/")[2].partition("?")[0]
    with closing(psycopg.connect(target.url or "", autocommit=True)) as connection:
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
    with pytest.raises(StoreError, match="synchronous_commit"):
        open_store(target)


def test_the_audit_log_resists_and_shows_tampering(store: PostgresStore, tmp_path: Path) -> None:
    for number in range(4):
        store.audit("event", detail={"number": str(number)})
    for change in (
        "UPDATE audit SET event = 'x'",
        "DELETE FROM audit",
        "TRUNCATE audit CASCADE",
    ):
        with pytest.raises(StoreError, match="append-only"), store._database.write() as connection:
            connection.execute(change)
    assert store.verify_audit() == 4
    with closing(psycopg.connect(_url(tmp_path), autocommit=True)) as server:
        server.execute("SET session_replication_role = replica")
        server.execute("UPDATE audit SET detail = '{}' WHERE seq = 3")
    with pytest.raises(VerificationError) as caught:
        store.verify_audit()
    assert caught.value.where == "row 3"


_FAULTS = {
    "a leaf changed": "UPDATE log_leaf SET digest = decode(repeat('00', 32), 'hex')"
    " WHERE position = 3",
    "a leaf lost": "DELETE FROM log_leaf WHERE position = 3",
    "a node changed": "UPDATE log_node SET hash = decode(repeat('00', 32), 'hex') WHERE level = 2",
    "a node lost": "DELETE FROM log_node WHERE level = 1 AND position = 1",
    "an object changed": "UPDATE object SET body = '{}' WHERE date_added ="
    " (SELECT min(date_added) FROM object)",
}


@pytest.mark.parametrize("fault", list(_FAULTS))
def test_disagreements_in_the_log_are_found(
    store: PostgresStore, collection: str, tmp_path: Path, fault: str
) -> None:
    store.append(collection, [make_object(number) for number in range(7)])
    assert store.verify_log(collection) == 7
    with closing(psycopg.connect(_url(tmp_path), autocommit=True)) as connection:
        connection.execute(_FAULTS[fault].encode())
    with pytest.raises(VerificationError):
        store.verify_log(collection)


_FIRST = VersionFilter(first=True, last=False)


@pytest.mark.parametrize("analysed", [False, True])
def test_pages_are_read_along_an_index(
    store: PostgresStore, collection: str, tmp_path: Path, analysed: bool
) -> None:
    """With old statistics too, and with the plan that is kept for every value."""
    store.append(collection, [make_object(number) for number in range(2000)])
    if analysed:
        with closing(psycopg.connect(_url(tmp_path), autocommit=True)) as connection:
            connection.execute("VACUUM ANALYZE object")
    key = store._known_key(collection)
    # Of the two in order of date_added the planner may take either, as few or many rows are last.
    for filters, index in (
        (Filters(), "object_"),
        (Filters(types=frozenset({"indicator", "campaign"})), "object_"),
        (Filters(spec_versions=frozenset({"2.0"})), "ux_object_added"),
        (Filters(versions=EVERY), "ux_object_added"),
        (Filters(versions=EVERY, spec_versions=SPEC_VERSIONS), "ux_object_added"),
        (Filters(versions=_FIRST), "ux_object_added"),
        (Filters(ids=frozenset({"a", "b"})), "ux_object_version"),
    ):
        for position in (None, 5):
            chosen = Selection(key, position, filters, PostgresDatabase.dialect)
            statement, values = select(chosen, 10, body=True, room=10**7)
            plan = "\n".join(row[0] for row in store._database.rows(f"EXPLAIN {statement}", values))
            assert re.search(rf"using \w*{index}\w* on object o", plan), plan
            assert "Seq Scan" not in plan
            assert ("Sort" in plan) is (index == "ux_object_version"), plan


def test_nothing_the_client_sends_becomes_sql() -> None:
    hostile = "'; DROP TABLE object; --"
    filters = Filters(
        ids=frozenset({hostile}), types=frozenset({hostile}), spec_versions=frozenset({hostile})
    )
    chosen = Selection(1, None, filters, PostgresDatabase.dialect)
    for statement, values in (select(chosen, 1, body=True, room=5), select_keys(chosen)):
        assert b"DROP" not in translated(statement)
        assert list(values.values()).count([hostile]) == 3


def _refuse() -> None:
    raise InputError("no")


def test_word_comes_with_the_commit_and_not_before(store: PostgresStore, collection: str) -> None:
    hints = store.hints()
    assert hints is not None
    with store.appending([collection]) as writing:
        writing.append(Batch(collection, [make_object(1)]))
        assert hints.wait(0.1) == frozenset()
    assert hints.wait(5) == {collection}
    store.append(collection, [make_object(1)])
    assert hints.wait(0.1) == frozenset()
    with pytest.raises(InputError):
        _append_while(store, collection, _refuse)
    assert hints.wait(0.1) == frozenset()
    hints.close()
