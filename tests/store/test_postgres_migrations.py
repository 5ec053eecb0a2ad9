"""PostgreSQL's migrations make the schema that the metadata states, up, down and up again."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from hub.errors import InputError, StoreError
from hub.store import migrate, migrations, schema, steps
from hub.store.keys import key_path, make_key
from hub.store.migrate import BASE, Progress, State, downgrade, state, upgrade
from hub.store.opening import StoreTarget, open_store
from hub.store.records import Kind
from tests import postgres
from tests.store.conftest import make_object

_REVISIONS = ["0001", "0002", "0003", "0004", "0005"]


def _target(kind: str, folder: Path) -> StoreTarget:
    if kind == "sqlite":
        path = folder / "hub.db"
        path.touch()
        make_key(key_path(path))
        return StoreTarget(path=path)
    return postgres.target(folder, postgres.empty_database())


def _differences(target: StoreTarget) -> list[object]:
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(target.url or "")
    )
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), schema.metadata)
    engine.dispose()
    return list(found)


def test_metadata_and_migrations_agree(tmp_path: Path) -> None:
    target = _target("postgres", tmp_path)
    upgrade(target)
    assert _differences(target) == []
    with closing(psycopg.connect(target.url or "", autocommit=True)) as connection:
        connection.execute("ALTER TABLE org ADD COLUMN more TEXT")
    assert len(_differences(target)) == 1


@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_step_by_step_up_and_down(kind: str, tmp_path: Path) -> None:
    target = _target(kind, tmp_path)
    assert state(target).current is None
    told: list[Progress] = []
    for revision in _REVISIONS:
        assert upgrade(target, to=revision, progress=told.append).current == revision
    assert [found.step.revision for found in told] == _REVISIONS
    assert all(found.step.title for found in told)
    assert state(target) == State(migrations.HEAD, migrations.HEAD, ())
    assert upgrade(target, progress=told.append).pending == ()
    assert len(told) == len(_REVISIONS)
    assert downgrade(target, to="0003").current == "0003"
    assert [step.revision for step in state(target).pending] == ["0004", "0005"]
    assert downgrade(target, to="0003").current == "0003"
    for bad in ("0004", "9999"):
        with pytest.raises(InputError):
            downgrade(target, to=bad)
    assert downgrade(target, to=BASE).current is None
    with pytest.raises(InputError):
        downgrade(target, to="0001")
    assert upgrade(target).current == migrations.HEAD


@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_down_and_up_again_keeps_what_both_schemas_hold(kind: str, tmp_path: Path) -> None:
    target = _target(kind, tmp_path)
    upgrade(target)
    with closing(open_store(target)) as store:
        org = store.create_org("Lab").id
        channel = store.create_collection(Kind.CHANNEL, "c", owner_org=org).id
        store.append(channel, [make_object(number) for number in range(700)])
        digests = store.log_digests(channel, 0, 700)
    downgrade(target, to="0001")
    upgrade(target)
    with closing(open_store(target)) as store:
        assert store.verify_log(channel) == 700
        assert store.log_digests(channel, 0, 700) == digests
        assert store.append(channel, [make_object(800)])[0].ok


def test_a_step_without_a_way_back_is_refused_before_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = _target("sqlite", tmp_path)
    upgrade(target)
    reason = "it threw something away"
    # Alembic loads modules anew each time, so a marked one is put in its place.
    marked = SimpleNamespace(revision="0003", doc="x", module=SimpleNamespace(IRREVERSIBLE=reason))
    whole = steps.scripts
    monkeypatch.setattr(
        migrate, "scripts", lambda above, to: [marked] if above == "0002" else whole(above, to)
    )
    with pytest.raises(InputError, match="threw something away") as caught:
        downgrade(target, to="0002")
    assert "back-up" in (caught.value.hint or "")
    monkeypatch.undo()
    assert state(target).current == migrations.HEAD


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    target = StoreTarget(path=tmp_path / "hub.db")
    with pytest.raises(StoreError, match="no database"):
        upgrade(target)
    assert not list(tmp_path.iterdir())
