"""The file: modes, full disks, damage, backup and restore, the audit log's armour."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hub.errors import InputError, StoreError, VerificationError
from hub.store.records import Kind
from hub.store.sqlite import SqliteStore, restore
from hub.store.sqlite.database import SqliteDatabase
from hub.taxii.filters import EVERY, Filters
from tests.store.conftest import make_object


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore.open(tmp_path / "data" / "hub.db")
    yield opened
    opened.close()


@pytest.fixture
def collection(store: SqliteStore) -> str:
    org = store.create_org("Lab").id
    return store.create_collection(Kind.PLAIN, "t", owner_org=org).id


def test_files_are_for_their_owner_alone(store: SqliteStore, tmp_path: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "data").iterdir()}
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert {"hub.db", "hub.db.token-key", "hub.db-wal"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_every_commit_is_synced(store: SqliteStore) -> None:
    with store._database.write() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_token_text_is_nowhere_in_the_files(store: SqliteStore, tmp_path: Path) -> None:
    made = store.create_token(store.create_org("Lab").id)
    key = (tmp_path / "data" / "hub.db.token-key").read_bytes()
    files = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("hub.db*"))
    assert made.token.prefix.encode() in files
    secret = made.secret.rpartition("_")[2]
    assert secret.encode() not in files
    assert bytes.fromhex(secret) not in files
    assert len(key) == 32


def test_a_full_database_refuses_and_reads_on_and_recovers(
    store: SqliteStore, collection: str
) -> None:
    store.append(collection, [make_object(1)])
    with store._database.write() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    batch = [make_object(number, note="x" * 2000) for number in range(2, 60)]
    with pytest.raises(StoreError, match="full") as caught:
        store.append(collection, batch)
    assert caught.value.hint is not None
    assert "reading goes on" in caught.value.hint
    assert [row.id for row in store.page(collection, Filters(), 99).rows] == [make_object(1).id]
    with store._database.write() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    assert all(fate.ok for fate in store.append(collection, batch))
    assert store.count(collection) == 59


_LIMITED = """
import resource, sys
from pathlib import Path
from hub.errors import StoreError
from hub.store.sqlite import SqliteStore
from hub.taxii.filters import Filters
from tests.store.conftest import make_object
store = SqliteStore.open(Path(sys.argv[1]))
[collection] = [found.id for found in store.collections()]
size = Path(sys.argv[1]).stat().st_size
usual, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100_000, hard))
stored = 0
try:
    for number in range(10_000):
        store.append(collection, [make_object(number, note="x" * 5000)])
        stored += 1
except StoreError as error:
    print("refused", bool(error.hint))
print("reads", len(store.page(collection, Filters(), 100_000).rows) == stored)
resource.setrlimit(resource.RLIMIT_FSIZE, (usual, hard))
print("recovers", store.append(collection, [make_object(20_000)])[0].ok)
print("kept", store.count(collection) == stored + 1)
store.close()
"""


def test_a_file_that_cannot_grow_is_survived(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "hub.db")
    org = store.create_org("Lab").id
    store.create_collection(Kind.PLAIN, "t", owner_org=org)
    store.close()
    found = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(tmp_path / "hub.db")],
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert found.stdout.splitlines() == ["refused True", "reads True", "recovers True", "kept True"]


def test_a_failed_block_leaves_nothing(store: SqliteStore, collection: str) -> None:
    def half() -> None:
        with store._database.write() as connection:
            connection.execute("DELETE FROM collection_head")
            connection.execute("INSERT INTO no_such_table VALUES (1)")

    with pytest.raises(StoreError):
        half()
    assert store.append(collection, [make_object(1)])[0].ok


def test_a_lost_token_key_is_not_replaced_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    SqliteStore.open(path).close()
    key = tmp_path / "hub.db.token-key"
    key.write_bytes(b"short")
    with pytest.raises(StoreError, match="damaged"):
        SqliteStore.open(path)
    key.unlink()
    with pytest.raises(StoreError, match="missing") as caught:
        SqliteStore.open(path)
    assert caught.value.where == "hub.db.token-key"
    assert not key.exists()


def test_what_is_no_database_is_said(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    SqliteStore.open(path).close()
    path.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(StoreError, match="not a database"):
        SqliteStore.open(path)
    with pytest.raises(StoreError) as caught:
        SqliteStore.open(path / "below" / "hub.db")
    assert caught.value.hint


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "hub.db")
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.ping()
    with pytest.raises(StoreError, match="closed"):
        store.create_org("Lab")


def test_backup_and_restore_start_another_history(
    store: SqliteStore, collection: str, tmp_path: Path
) -> None:
    org = store.orgs()[0].id
    token = store.create_token(org)
    store.append(collection, [make_object(number) for number in range(20)])
    cursor = store.page(collection, Filters(), 5).next
    store.backup(tmp_path / "kept" / "hub.db")
    store.append(collection, [make_object(99)])
    with pytest.raises(StoreError, match="already"):
        store.backup(tmp_path / "kept" / "hub.db")
    restore(tmp_path / "kept" / "hub.db", tmp_path / "again" / "hub.db")
    with pytest.raises(StoreError, match="already"):
        restore(tmp_path / "kept" / "hub.db", tmp_path / "again" / "hub.db")
    names = sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert names == ["hub.db", "hub.db.token-key"]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "kept").iterdir()} == {0o600}
    again = SqliteStore.open(tmp_path / "again" / "hub.db")
    try:
        assert again.count(collection) == 20
        assert again.epoch != store.epoch
        assert again.find_token(token.secret, now=0) == token.token
        with pytest.raises(InputError, match="restored"):
            again.page(collection, Filters(next=cursor), 5)
        [fate] = again.append(collection, [make_object(99)])
        assert fate.date_added > (store.head(collection) or 0)
    finally:
        again.close()


def test_a_backup_beside_a_writer_is_a_moment_of_its_history(
    store: SqliteStore, collection: str, tmp_path: Path
) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            store.append(collection, [make_object(number), make_object(number + 1)])
            number += 2

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(4):
            store.backup(tmp_path / f"kept{number}.db")
    finally:
        stop.set()
        writer.join()
    history = list(store.raw_messages(collection))
    counts: list[int] = []
    for number in range(4):
        kept = SqliteStore.open(tmp_path / f"kept{number}.db")
        found = list(kept.raw_messages(collection))
        kept.close()
        assert found == history[: len(found)]
        counts.append(len(found))
    assert counts == sorted(counts)
    assert all(count % 2 == 0 for count in counts)


def test_a_damaged_or_missing_backup_is_refused(
    store: SqliteStore, collection: str, tmp_path: Path
) -> None:
    store.append(collection, [make_object(number, note="x" * 3000) for number in range(50)])
    kept = tmp_path / "kept.db"
    store.backup(kept)
    octets = bytearray(kept.read_bytes())
    octets[20_000:60_000] = bytes(40_000)
    kept.write_bytes(octets)
    with pytest.raises(StoreError):
        restore(kept, tmp_path / "again.db")
    with pytest.raises(StoreError, match="missing"):
        restore(tmp_path / "nothing.db", tmp_path / "again.db")
    assert not list(tmp_path.glob("again.db*"))


def test_deleted_bytes_are_gone_from_the_database(
    store: SqliteStore, collection: str, tmp_path: Path
) -> None:
    item = make_object(1, note="canary-4711")
    store.append(collection, [item])
    store.delete(collection, item.id, EVERY)
    store.backup(tmp_path / "kept.db")
    assert b"canary-4711" not in (tmp_path / "kept.db").read_bytes()


def test_the_audit_log_resists_and_shows_tampering(store: SqliteStore, tmp_path: Path) -> None:
    for number in range(4):
        store.audit("event", detail={"number": str(number)})
    for statement in ("UPDATE audit SET event = 'x'", "DELETE FROM audit"):
        with pytest.raises(StoreError, match="append-only"), store._database.write() as connection:
            connection.execute(statement)
    assert store.verify_audit() == 4
    with closing(sqlite3.connect(tmp_path / "data" / "hub.db")) as connection:
        connection.execute("DROP TRIGGER audit_no_update")
        connection.execute("UPDATE audit SET detail = '{}' WHERE seq = 3")
        connection.commit()
    with pytest.raises(VerificationError) as caught:
        store.verify_audit()
    assert caught.value.where == "row 3"


def test_a_removed_audit_row_is_missed(store: SqliteStore) -> None:
    for _ in range(3):
        store.audit("event")
    with store._database.write() as connection:
        connection.execute("DROP TRIGGER audit_no_delete")
        connection.execute("DELETE FROM audit WHERE seq = 2")
    with pytest.raises(VerificationError):
        store.verify_audit()


def test_a_new_database_is_opened_once_by_two(tmp_path: Path) -> None:
    one = SqliteDatabase.open(tmp_path / "hub.db")
    two = SqliteDatabase.open(tmp_path / "hub.db")
    assert one.token_key == two.token_key
    assert one.row("SELECT value FROM meta") == two.row("SELECT value FROM meta")
    one.close()
    two.close()
