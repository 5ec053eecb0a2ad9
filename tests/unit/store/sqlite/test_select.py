"""Pages are read along an index, without sorting or scanning a collection."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.store.select import Selection, select, select_keys
from hub.store.sqlite.database import SqliteDatabase
from hub.taxii.filters import EVERY, SPEC_VERSIONS, Filters, VersionFilter

_FIRST = VersionFilter(first=True, last=False)


@pytest.mark.parametrize("body", [True, False])
@pytest.mark.parametrize("position", [None, 5])
@pytest.mark.parametrize(
    ("filters", "index"),
    [
        (Filters(), "ix_object_last"),
        (Filters(types=frozenset({"indicator", "campaign"})), "ix_object_last"),
        (Filters(spec_versions=frozenset({"2.1"})), "ix_object_last"),
        (Filters(spec_versions=frozenset({"2.0"})), "ux_object_added"),
        (Filters(versions=EVERY), "ux_object_added"),
        (Filters(versions=EVERY, spec_versions=SPEC_VERSIONS), "ux_object_added"),
        (Filters(versions=_FIRST), "ux_object_added"),
        (Filters(versions=VersionFilter(times=frozenset({1, 2}))), "ux_object_added"),
        (Filters(ids=frozenset({"a", "b"})), "ux_object_version"),
    ],
)
def test_the_index_of_a_page(
    tmp_path: Path, filters: Filters, index: str, position: int | None, body: bool
) -> None:
    database = SqliteDatabase.open(tmp_path / "hub.db")
    try:
        statement, values = select(
            Selection(1, position, filters, SqliteDatabase.dialect), 10, body=body
        )
        plan = [row[3] for row in database.rows(f"EXPLAIN QUERY PLAN {statement}", values)]
    finally:
        database.close()
    assert f"INDEX {index}" in plan[0]
    assert plan[0].startswith("SEARCH")
    assert not [step for step in plan if step.startswith("SCAN")]
    sorted_afterwards = any("TEMP B-TREE" in step for step in plan)
    assert sorted_afterwards is (index == "ux_object_version")


def test_nothing_the_client_sends_becomes_sql() -> None:
    hostile = "'; DROP TABLE object; --"
    filters = Filters(
        ids=frozenset({hostile}), types=frozenset({hostile}), spec_versions=frozenset({hostile})
    )
    for statement, values in (
        select(Selection(1, None, filters, SqliteDatabase.dialect), 1, body=True),
        select_keys(Selection(1, None, filters, SqliteDatabase.dialect)),
    ):
        assert "DROP" not in statement
        assert list(values.values()).count(hostile) == 3
