"""Back-ups of either store restore into either, whole, as of one moment, with another epoch."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hub.errors import InputError, StoreError
from hub.store.interface import Store
from hub.store.migrate import downgrade
from hub.store.opening import StoreTarget, open_store
from hub.store.records import Batch, CheckpointRow, Kind, StatusRecord
from hub.store.transfer import backup, digest, restore
from hub.taxii.filters import EVERY, Filters
from tests import postgres
from tests.store.conftest import make_object

Targets = Callable[[Path], StoreTarget]


def _sqlite(folder: Path) -> StoreTarget:
    return StoreTarget(path=folder / "hub.db")


def _postgres(folder: Path) -> StoreTarget:
    folder.mkdir(exist_ok=True)
    url = postgres.database()
    (folder / "database").write_text(url)
    return postgres.target(folder, url)


_KINDS: dict[str, Targets] = {"postgres": _postgres, "sqlite": _sqlite}


def _filled(store: Store) -> tuple[str, str, str]:
    """Something in every table; ids of a channel and a plain collection, and a token's text."""
    org = store.create_org("Übung", government=True)
    other = store.create_org("Lab")
    token = store.create_token(other.id, scopes=frozenset({"read"}))
    new = store.rotate_token(token.token.id, overlap=60, now=1_790_000_000)
    channel = store.create_collection(Kind.CHANNEL, "c", owner_org=other.id).id
    store.create_collection(Kind.INBOX, "i", owner_org=other.id, inbox_of=channel)
    plain = store.create_collection(Kind.PLAIN, "p", owner_org=org.id, alias="p").id
    store.set_grant(plain, other.id, can_read=True, can_write=False)
    store.append(channel, [make_object(number, note="\0\u2028é") for number in range(1200)])
    versions = [make_object(7, modified=f"2026-01-0{day}T00:00:00Z") for day in range(1, 6)]
    store.append(plain, [*versions, make_object(8, modified=None, type="artifact")])
    store.delete(channel, make_object(3).id, EVERY)
    store.put_status(StatusRecord("s", plain, org.id, 5, b'{"\xff"}'))
    store.put_challenge(org.id, "ab", expires=2**40)
    store.bind_member(other.id, "identity--a", "root")
    store.put_checkpoint(channel, CheckpointRow(1, 2, quorum=True, raw="note"))
    store.audit("event", org_id=org.id, detail={"ü": "x"}, concerns=frozenset({other.id}))
    store.log_time()
    return channel, plain, new.secret


@pytest.mark.parametrize("source", sorted(_KINDS))
@pytest.mark.parametrize("into", sorted(_KINDS))
def test_a_back_up_restores_into_either_store(source: str, into: str, tmp_path: Path) -> None:
    target = _KINDS[source](tmp_path / "one")
    store = open_store(target)
    channel, plain, secret = _filled(store)
    held, cursor = digest(target), store.page(channel, Filters(), 5).next
    told: list[tuple[str, int]] = []
    backup(target, tmp_path / "kept.db", progress=lambda *found: told.append(found))
    assert digest(target) == held
    store.append(plain, [make_object(9)])
    assert digest(target) != held
    again = _KINDS[into](tmp_path / "two")
    if again.token_key is not None:
        again.token_key.unlink()
    restore(tmp_path / "kept.db", again, progress=lambda *found: told.append(found))
    assert digest(again) == held
    if "postgres" in (source, into):
        assert ("object", 1205) in told
    with closing(open_store(again)) as restored:
        assert restored.epoch != store.epoch
        with pytest.raises(InputError, match="restored"):
            restored.page(channel, Filters(next=cursor), 5)
        assert restored.find_token(secret, now=0) is not None
        assert restored.verify_log(channel) == 1200
        assert restored.verify_audit() == 1
        [fate] = restored.append(plain, [make_object(10)])
        assert fate.date_added > (store.head(channel) or 0)
        assert (
            restored.create_collection(Kind.PLAIN, "new", owner_org=restored.orgs()[0].id)
            in restored.collections()
        )
    store.close()


@pytest.mark.parametrize("kind", sorted(_KINDS))
def test_a_back_up_beside_a_writer_is_a_moment_of_its_history(kind: str, tmp_path: Path) -> None:
    target = _KINDS[kind](tmp_path / "one")
    store = open_store(target)
    org = store.create_org("Lab").id
    ids = [store.create_collection(Kind.CHANNEL, "c", owner_org=org).id for _ in range(2)]
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            with store.appending(ids) as appending:
                for collection in ids:
                    appending.append(_batch(collection, number))
            number += 2

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            backup(target, tmp_path / f"kept{number}.db")
    finally:
        stop.set()
        writer.join()
    for number in range(3):
        place = StoreTarget(path=tmp_path / f"kept{number}.db")
        with closing(open_store(place)) as kept:
            one, two = (list(kept.raw_messages(collection)) for collection in ids)
            assert one == two
            assert len(one) % 2 == 0
            assert kept.verify_log(ids[0]) == len(one)
    store.close()


def _batch(collection: str, number: int) -> Batch:
    return Batch(collection, [make_object(number), make_object(number + 1)])


def test_what_is_not_empty_is_not_written_over(tmp_path: Path) -> None:
    source = _sqlite(tmp_path / "one")
    with closing(open_store(source)) as store:
        _filled(store)
    backup(source, tmp_path / "kept.db")
    with pytest.raises(StoreError, match="already"):
        backup(source, tmp_path / "kept.db")
    full = _postgres(tmp_path / "two")
    assert full.token_key is not None
    with pytest.raises(StoreError, match="another token key"):
        restore(tmp_path / "kept.db", full)
    full.token_key.unlink()
    restore(tmp_path / "kept.db", full)
    held = digest(full)
    with pytest.raises(StoreError, match="not empty"):
        restore(tmp_path / "kept.db", full)
    assert digest(full) == held
    # The key of a full database that lost its own is not replaced by the back-up's.
    full.token_key.unlink()
    with pytest.raises(StoreError, match="not empty"):
        restore(tmp_path / "kept.db", full)
    assert not full.token_key.exists()


def test_the_key_is_there_before_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed right after the commit, a restore has left a hub that knows its tokens."""
    source = _sqlite(tmp_path / "one")
    with closing(open_store(source)) as store:
        _filled(store)
    backup(source, tmp_path / "kept.db")
    empty = _postgres(tmp_path / "two")
    assert empty.token_key is not None
    empty.token_key.unlink()
    keys: list[bytes] = []

    def fill(*_: object) -> None:
        assert empty.token_key is not None
        keys.append(empty.token_key.read_bytes())

    monkeypatch.setattr("hub.store.postgres.copying.fill", fill)
    restore(tmp_path / "kept.db", empty)
    assert source.path is not None
    assert keys == [source.path.with_name(source.path.name + ".token-key").read_bytes()]


def test_a_damaged_or_foreign_back_up_is_refused_whole(tmp_path: Path) -> None:
    source = _sqlite(tmp_path / "one")
    with closing(open_store(source)) as store:
        _filled(store)
    kept = tmp_path / "kept.db"
    backup(source, kept)
    target = _postgres(tmp_path / "two")
    assert target.token_key is not None
    target.token_key.unlink()
    empty = digest(target)
    octets = bytearray(kept.read_bytes())
    octets[20_000:60_000] = bytes(40_000)
    kept.write_bytes(octets)
    with pytest.raises(StoreError):
        restore(kept, target)
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE x (y)")
    (tmp_path / "other.db.token-key").write_bytes(bytes(32))
    with pytest.raises(StoreError, match="no back-up"):
        restore(tmp_path / "other.db", target)
    with pytest.raises(StoreError, match="missing"):
        restore(tmp_path / "nothing.db", target)
    assert digest(target) == empty
    assert not target.token_key.exists()


@pytest.mark.parametrize("kind", sorted(_KINDS))
def test_a_back_up_of_an_older_release_is_migrated(kind: str, tmp_path: Path) -> None:
    source = _sqlite(tmp_path / "one")
    with closing(open_store(source)) as store:
        channel, _, _ = _filled(store)
    backup(source, tmp_path / "kept.db")
    downgrade(StoreTarget(path=tmp_path / "kept.db"), to="0002")
    before = (tmp_path / "kept.db").read_bytes()
    target = _KINDS[kind](tmp_path / "two")
    if target.token_key is not None:
        target.token_key.unlink()
    restore(tmp_path / "kept.db", target)
    with closing(open_store(target)) as restored:
        assert restored.verify_log(channel) == 1200
    assert (tmp_path / "kept.db").read_bytes() == before


def test_the_digest_sees_every_column(tmp_path: Path) -> None:
    target = _sqlite(tmp_path / "one")
    with closing(open_store(target)) as store:
        _filled(store)
    seen = {digest(target)}
    changes = [
        "UPDATE object SET body = body || x'20' WHERE seq = 1",
        "UPDATE object SET is_last = NOT is_last WHERE seq = 2",
        "UPDATE org SET name = 'x' WHERE name = 'Lab'",
        "UPDATE collection_head SET last_added = last_added + 1",
        "DELETE FROM log_node WHERE level = 3 AND position = 5",
        "UPDATE collection SET description = ''",
    ]
    for change in changes:
        with closing(sqlite3.connect(target.path or "")) as connection:
            connection.execute(change)
            connection.commit()
        seen.add(digest(target))
    assert len(seen) == len(changes) + 1
