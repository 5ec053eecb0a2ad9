"""A migration killed at any moment and started again ends with the same data and schema.

The database is of the first schema, with a channel whose log the second one makes. The digest is
that of a migration which nobody disturbed. The negative control forgets where it was: it marks its
revision before the work is done, and the same check must see it.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow

from hub.errors import StoreError
from hub.store.migrate import state, upgrade
from hub.store.opening import StoreTarget, open_store
from hub.store.transfer import digest
from tests import postgres

_SHORT, _LONG = 4_000, 1_000_000
_MIGRATE = """
import sys
from pathlib import Path
from hub.store.migrate import upgrade
from hub.store.opening import StoreTarget
from hub.store.postgres import migrating
print("begun", flush=True)
upgrade(StoreTarget(url=sys.argv[1], token_key=Path("none")))
print("ended", flush=True)
"""
_FORGETFUL = """
import contextlib
from hub.store.postgres import migrating
whole = migrating.Online.begin
@contextlib.contextmanager
def begin(self):
    with whole(self) as connection:
        yield connection
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0002'")
migrating.Online.begin = begin
"""
_OBJECTS = (
    "INSERT INTO object (collection_key, date_added, object_id, object_type, spec_version, version,"
    " version_text, is_last, body) SELECT 1 + n % 10 / 8, n * 10, 'note--' || n, 'note', '2.1', 0,"
    ' \'\', true, convert_to(\'{{"payload_bin":"AAE\' || chr(65 + n % 26) || \'","x":"\''
    " || repeat('ab', 200) || '\"}}', 'UTF8') FROM generate_series(1, {rows}) n"
)
_COLLECTIONS = (
    "INSERT INTO collection (key, id, kind, title, owner_org, created)"
    " SELECT n, 'c' || n, CASE n WHEN 2 THEN 'plain' ELSE 'channel' END, 't', 'o', 0"
    " FROM generate_series(1, 3) n"
)
_FILL = (
    "INSERT INTO org VALUES ('o', 'Lab', 0, false)",
    _COLLECTIONS,
    "INSERT INTO collection_head SELECT n, 10 * {rows} FROM generate_series(1, 3) n",
    _OBJECTS,
    "ANALYZE",
)
_SCHEMA = (
    """SELECT table_name, column_name, data_type, is_nullable, column_default
    FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2""",
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2""",
    "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2",
    "SELECT version_num FROM alembic_version",
)


def _old(rows: int) -> StoreTarget:
    """A database of the first schema; four of five objects are in a channel."""
    target = StoreTarget(url=postgres.empty_database(), token_key=Path("none"))
    upgrade(target, to="0001")
    with closing(psycopg.connect(target.url or "", autocommit=True)) as connection:
        for statement in _FILL:
            connection.execute(statement.format(rows=rows).encode())
    return target


def _copy(target: StoreTarget) -> StoreTarget:
    name = (target.url or "").partition("@/")[2].partition("?")[0]
    return StoreTarget(url=postgres.server().create(template=name), token_key=target.token_key)


def _started(target: StoreTarget, program: str = _MIGRATE) -> subprocess.Popen[str]:
    """A migrator that is about to begin."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, target.url or ""],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def _killed(target: StoreTarget, kills: int, seconds: float) -> int:
    """Kill a migrator so many times, then let one end; how many kills met it at work."""
    moment = random.Random(5)
    met = 0
    for _ in range(kills):
        process = _started(target)
        time.sleep(moment.uniform(0.0, seconds))
        met += process.poll() is None
        process.kill()
        process.communicate()
        _wait_until_unlocked(target)
    upgrade(target)
    return met


def _wait_until_unlocked(target: StoreTarget) -> None:
    """The server notices a dead client when it next speaks to it."""
    with closing(psycopg.connect(target.url or "", autocommit=True)) as connection:
        while connection.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'stillwatch migrate'"
        ).fetchone():
            time.sleep(0.02)


def _schema(target: StoreTarget) -> list[object]:
    with closing(psycopg.connect(target.url or "")) as connection:
        return [connection.execute(statement.encode()).fetchall() for statement in _SCHEMA]


def _run(rows: int, kills: int) -> None:
    old = _old(rows)
    undisturbed, disturbed = _copy(old), _copy(old)
    began = time.monotonic()
    upgrade(undisturbed)
    seconds = time.monotonic() - began
    met = _killed(disturbed, kills, seconds * 0.9 / max(1, kills // 2))
    assert met >= kills // 2, "the kills came too late to meet anything"
    assert digest(disturbed) == digest(undisturbed)
    assert _schema(disturbed) == _schema(undisturbed)
    assert state(disturbed).pending == ()
    key = postgres.target(Path(postgres.server().folder)).token_key
    with closing(open_store(StoreTarget(url=disturbed.url, token_key=key))) as store:
        assert store.verify_log("c1") == rows * 8 // 10
        assert store.verify_log("c3") == 0
    print(f"{rows:,} rows, {kills} kills, {met} met the migration; alone it takes {seconds:.1f} s")


def test_a_killed_migration_goes_on() -> None:
    _run(_SHORT, 2)


@pytest.mark.drill
@pytest.mark.timeout(3600)
def test_a_killed_migration_goes_on_at_a_million_rows() -> None:
    _run(_LONG, 10)


def test_a_migration_that_forgets_where_it_was_is_caught() -> None:
    old = _old(_SHORT)
    undisturbed, disturbed = _copy(old), _copy(old)
    upgrade(undisturbed)
    process = _started(disturbed, _FORGETFUL + _MIGRATE)
    with closing(psycopg.connect(disturbed.url or "", autocommit=True)) as connection:
        while not _logged(connection):
            time.sleep(0.002)
    process.kill()
    process.communicate()
    _wait_until_unlocked(disturbed)
    upgrade(disturbed)
    assert digest(disturbed) != digest(undisturbed)


def _logged(connection: psycopg.Connection[TupleRow]) -> bool:
    row = connection.execute("SELECT to_regclass('log_head')").fetchone()
    if row is None or row[0] is None:
        return False
    return connection.execute("SELECT 1 FROM log_head WHERE size > 0").fetchone() is not None


def test_one_migrates_at_a_time_while_others_write() -> None:
    """A second migrator is refused; a writer of the old release is not kept waiting."""
    target = _old(_SHORT)
    with closing(psycopg.connect(target.url or "", autocommit=True)) as other:
        waits: list[float] = []
        refused: list[StoreError] = []

        def look(progress: object) -> None:
            began = time.monotonic()
            other.execute(
                "INSERT INTO org SELECT md5(random()::text), md5(random()::text), 0, false"
            )
            other.execute("UPDATE collection_head SET last_added = last_added + 1")
            waits.append(time.monotonic() - began)
            if not refused:
                with pytest.raises(StoreError, match="another process") as caught:
                    upgrade(target)
                refused.append(caught.value)

        upgrade(target, progress=look)
    assert refused
    assert len(waits) >= 8
    assert max(waits) < 5
