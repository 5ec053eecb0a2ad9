"""Homes of an earlier release: brought up in one transaction, or left as they were."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from hub.client import schema
from hub.client.state import State
from hub.errors import StoreError
from tests.unit.client.circle import START


def _first_release(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(f"{schema.FIRST}PRAGMA user_version=1;")
    connection.execute("INSERT INTO hub VALUES ('http://127.0.0.1/r/',NULL,x'00',NULL,1,1,NULL)")
    connection.commit()
    connection.close()


def _tables(path: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(path)
    try:
        return [
            (str(name), " ".join(str(sql).split()))
            for name, sql in connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
            )
        ]
    finally:
        connection.close()


def test_a_home_of_the_first_release_gets_the_tables_of_a_new_one(tmp_path: Path) -> None:
    old, new = tmp_path / "old.sqlite", tmp_path / "new.sqlite"
    _first_release(old)
    State.open(new, create=True).close()
    before = _tables(old)
    state = State.open(old)
    assert [row.api_root for row in state.hubs()] == ["http://127.0.0.1/r/"]
    state.close()
    assert _tables(old) == _tables(new)
    assert len(_tables(old)) > len(before)
    # Once more: nothing is left to do.
    State.open(old).close()


def test_a_broken_upgrade_leaves_the_home_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old.sqlite"
    _first_release(old)
    before = _tables(old)
    statements = (*schema._LATER[2], "CREATE TABLE channel (again TEXT) STRICT")
    monkeypatch.setitem(schema._LATER, 2, statements)
    with pytest.raises(StoreError, match="already exists"):
        State.open(old)
    assert _tables(old) == before
    monkeypatch.undo()
    State.open(old).close()


def test_forgetting_a_channel_erases_it_from_every_table(tmp_path: Path) -> None:
    state = State.open(tmp_path / "state.sqlite", create=True)
    tables = [
        str(row[0])
        for row in state.rows("SELECT name FROM sqlite_master WHERE type='table'")
        if "channel_id" in [str(c[1]) for c in state.rows(f"PRAGMA table_info({row[0]})")]
    ]
    assert {"channel", "secret", "log_leaf", "log_head", "alarm"} <= set(tables)
    for table in tables:
        columns = state.rows(f"PRAGMA table_info({table})")
        named = {
            str(c[1]): "of" if c[1] == "channel_id" else _filler(str(c[2]))
            for c in columns
            if c[3] or c[1] == "channel_id"
        }
        state.run(
            f"INSERT INTO {table} ({','.join(named)}) VALUES ({','.join('?' * len(named))})",
            tuple(named.values()),
        )
    state.forget("of")
    assert {t: state.rows(f"SELECT count(*) FROM {t}")[0][0] for t in tables} == dict.fromkeys(
        tables, 0
    )
    state.close()


def _filler(kind: str) -> object:
    return {"TEXT": "text", "INTEGER": START, "BLOB": b"bytes", "REAL": 0.5}[kind]
