"""The migrations make the schema that the metadata states."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine

from hub.errors import StoreError
from hub.store import migrations, schema
from hub.store.migrate import upgrade_sqlite
from hub.store.sqlite import SqliteStore
from hub.store.steps import alembic_config


def _migrated(path: Path) -> Engine:
    upgrade_sqlite(lambda: sqlite3.connect(path, isolation_level=None), path.name)
    return create_engine(f"sqlite:///{path}")


def _layout(path: Path) -> dict[str, object]:
    """Columns, keys and indexes of every table, without the migrations' own."""
    layout: dict[str, object] = {}
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'alembic_version'"
        ).fetchall()
        for (name,) in names:
            indexes = sorted(
                (
                    unique,
                    origin,
                    partial,
                    tuple(row[2] for row in connection.execute(f"PRAGMA index_info({index})")),
                )
                for _, index, unique, origin, partial in connection.execute(
                    f"PRAGMA index_list({name})"
                ).fetchall()
            )
            layout[name] = (
                connection.execute(f"PRAGMA table_info({name})").fetchall(),
                sorted(row[2:] for row in connection.execute(f"PRAGMA foreign_key_list({name})")),
                indexes,
            )
    return layout


def test_metadata_and_migrations_agree(tmp_path: Path) -> None:
    engine = _migrated(tmp_path / "migrated.db")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, schema.metadata) == []
    engine.dispose()
    direct = create_engine(f"sqlite:///{tmp_path / 'direct.db'}")
    schema.metadata.create_all(direct)
    direct.dispose()
    assert _layout(tmp_path / "migrated.db") == _layout(tmp_path / "direct.db")


def test_the_comparison_sees_a_difference(tmp_path: Path) -> None:
    engine = _migrated(tmp_path / "hub.db")
    with engine.connect() as connection:
        connection.execute(text("ALTER TABLE org ADD COLUMN more TEXT"))
        found = compare_metadata(MigrationContext.configure(connection), schema.metadata)
    engine.dispose()
    assert [change[0] for change in found] == ["remove_column"]


def test_the_stated_head_is_the_newest_revision(tmp_path: Path) -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        scripts = ScriptDirectory.from_config(alembic_config(connection))
        assert scripts.get_current_head() == migrations.HEAD
    engine.dispose()


def test_down_and_up_again(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    engine = _migrated(path)
    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), "base")
    assert _layout(path) == {}
    _migrated(path).dispose()
    assert "object" in _layout(path)
    engine.dispose()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    SqliteStore.open(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="newer release") as caught:
        SqliteStore.open(path)
    assert caught.value.hint


def test_a_half_made_schema_is_not_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE status (id TEXT)")
    with pytest.raises(StoreError, match="migrated"):
        upgrade_sqlite(lambda: sqlite3.connect(path, isolation_level=None), path.name)
    assert list(_layout(path)) == ["status"]
