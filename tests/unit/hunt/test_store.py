"""The event store on disk: adding, adding again, keeping, forgetting, and being killed."""

from __future__ import annotations

import gzip
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hub.errors import ConflictError, InputError, StoreError
from hub.fingerprint import prompts
from hub.hunt import catalogue as catalogues
from hub.hunt import store as stores
from hub.hunt.compact import expanded, stored_schema
from hub.hunt.store import Added, EventStore
from hub.traffic.formats import open_log
from tests.unit.hunt.logs import NOW, exchange, lines, write


@pytest.fixture
def store(tmp_path: Path) -> EventStore:
    return EventStore.create(tmp_path / "store")


def _add(store: EventStore, path: Path, **options: Any) -> Added:
    with store.locked():
        return store.add(open_log(path), path.name, **{"now": NOW, **options})


def _rows(store: EventStore, *columns: str) -> list[dict[str, Any]]:
    names = columns or stored_schema(texts=True).names
    return [
        row
        for part in store.parts()
        for batch in store.read(part, names)
        for row in expanded(batch).to_pylist()
    ]


def test_exchanges_come_back_without_their_prompts(store: EventStore, tmp_path: Path) -> None:
    log = write(tmp_path / "a.jsonl", [exchange(n, hours=n) for n in range(60)])
    assert _add(store, log) == Added(rows=60, known=0, expired=0)
    rows = _rows(store)
    assert [row["event_id"] for row in rows] == [f"r{n}" for n in range(60)]
    assert all("prompt" not in row for row in rows)
    found = prompts.features("Explain step by step the answer to task 7 of the long series")
    assert rows[7]["prompt_sha256_raw"] == found.sha256_raw
    assert rows[7]["prompt_template_sha256"] == found.template_sha256
    bands = [prompts.band_text(at, value) for at, value in enumerate(rows[7]["prompt_bands"])]
    assert bands == list(found.lsh_bands)
    files = list((store.path / "events").rglob("*.parquet"))
    assert len(files) == 3, "one file for each day"
    assert b"step by step" not in b"".join(file.read_bytes() for file in files)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o700


def test_texts_are_kept_if_asked_for(tmp_path: Path) -> None:
    store = EventStore.create(tmp_path / "store", texts=True)
    _add(store, write(tmp_path / "a.jsonl", [exchange(1)]))
    assert _rows(store, "prompt")[0]["prompt"].startswith("Explain step by step")


def test_a_log_is_added_once(store: EventStore, tmp_path: Path) -> None:
    log = write(tmp_path / "a.jsonl", [exchange(n) for n in range(10)])
    _add(store, log)
    assert _add(store, log) == Added(rows=0, known=10, expired=0)
    renamed = tmp_path / "a.jsonl.1.gz"
    renamed.write_bytes(gzip.compress(log.read_bytes()))
    assert _add(store, renamed) == Added(rows=0, known=10, expired=0)
    assert len(_rows(store, "event_id")) == 10


def test_of_a_log_that_has_grown_the_new_lines_are_added(store: EventStore, tmp_path: Path) -> None:
    log = write(tmp_path / "a.jsonl", [exchange(n) for n in range(700)])
    _add(store, log)
    with log.open("a") as file:
        file.write(lines(exchange(n) for n in range(700, 900)))
    assert _add(store, log) == Added(rows=200, known=700, expired=0)
    assert sorted(row["event_id"] for row in _rows(store, "event_id")) == sorted(
        f"r{n}" for n in range(900)
    )
    assert len(store.catalogue.logs) == 1


def test_two_logs_that_begin_alike_are_two(store: EventStore, tmp_path: Path) -> None:
    _add(store, write(tmp_path / "a.jsonl", [exchange(1), exchange(2)]))
    assert _add(store, write(tmp_path / "b.jsonl", [exchange(1), exchange(3)])).rows == 2


def test_old_exchanges_are_not_kept(store: EventStore, tmp_path: Path) -> None:
    old = [exchange(n, hours=-24 * 40) for n in range(3)]
    log = write(tmp_path / "a.jsonl", [*old, exchange(9)])
    assert _add(store, log) == Added(rows=1, known=0, expired=3)
    with store.locked():
        assert store.expire(NOW) == 0
        assert store.expire(NOW + timedelta(days=30)) == 1
    assert _rows(store, "event_id") == []
    assert list((store.path / "events").rglob("*.parquet")) == []


def test_fewer_days_drop_what_is_older(store: EventStore, tmp_path: Path) -> None:
    _add(store, write(tmp_path / "a.jsonl", [exchange(1), exchange(2, hours=24 * 15)]))
    with store.locked():
        store.keep_days(5)
        assert store.expire(NOW) == 1
    assert EventStore.open(store.path).catalogue.days == 5


def test_accounts_are_forgotten(store: EventStore, tmp_path: Path) -> None:
    _add(store, write(tmp_path / "a.jsonl", [exchange(n, hours=n) for n in range(50)]))
    with store.locked():
        assert store.forget(["acct-3", "nobody"]) == 10
    kept = _rows(store, "account_id")
    assert len(kept) == 40
    assert {row["account_id"] for row in kept} == {f"acct-{n}" for n in (0, 1, 2, 4)}
    for file in (store.path / "events").rglob("*.parquet"):
        assert b"acct-3" not in file.read_bytes()


def test_a_killed_run_leaves_the_store_as_it_was(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _add(store, write(tmp_path / "a.jsonl", [exchange(1)]))

    def killed(path: Path, catalogue: catalogues.Catalogue) -> None:
        raise KeyboardInterrupt

    second = write(tmp_path / "b.jsonl", [exchange(2, account_id="b")])
    monkeypatch.setattr(catalogues, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        _add(store, second)
    monkeypatch.undo()
    assert len(list((store.path / "events").rglob("*.parquet"))) == 2
    again = EventStore.open(store.path)
    with again.locked():
        assert len(list((store.path / "events").rglob("*.parquet"))) == 1
    assert _add(again, second).rows == 1
    assert len(_rows(again, "event_id")) == 2


def test_one_process_at_a_time(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_WAIT_S", 0.0)
    with (
        store.locked(),
        pytest.raises(ConflictError, match="another"),
        EventStore.open(store.path).locked(),
    ):
        pass


def test_what_is_no_store_is_told(tmp_path: Path, store: EventStore) -> None:
    with pytest.raises(InputError, match="no event store"):
        EventStore.open(tmp_path)
    with pytest.raises(ConflictError):
        EventStore.create(store.path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    with pytest.raises(InputError, match="not empty"):
        EventStore.create(tmp_path / "other")
    with pytest.raises(InputError, match="days"):
        EventStore.create(tmp_path / "none", days=0)


@pytest.mark.parametrize("text", ["", "{}", "[" * 100_000, '{"format":9,"days":1,"texts":false}'])
def test_a_damaged_catalogue_is_told(store: EventStore, text: str) -> None:
    (store.path / catalogues.FILE).write_text(text)
    with pytest.raises((StoreError, InputError), match=r"damaged|format 9"):
        EventStore.open(store.path)


def test_a_damaged_file_is_told(store: EventStore, tmp_path: Path) -> None:
    _add(store, write(tmp_path / "a.jsonl", [exchange(n) for n in range(100)]))
    file = next((store.path / "events").rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(StoreError, match="damaged"):
        _rows(store)


def test_many_days_out_of_order(store: EventStore, tmp_path: Path) -> None:
    store.keep_days(400)
    log = [exchange(n, hours=-24.0 * ((n * 37) % 200)) for n in range(1000)]
    assert _add(store, write(tmp_path / "a.jsonl", log)).rows == 1000
    rows = _rows(store, "event_id", "observed_at")
    assert len({row["event_id"] for row in rows}) == 1000
    for part in store.parts():
        table = pa.Table.from_batches(list(store.read(part, ["observed_at"])))
        micros = table.column("observed_at").cast(pa.int64()).to_pylist()
        assert (min(micros), max(micros), len(micros)) == (part.first, part.last, part.rows)
