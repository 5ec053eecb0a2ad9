"""What `verify_log` catches, and logs of databases that had none."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine

from hub.errors import VerificationError
from hub.store.objects import log_digest
from hub.store.records import Kind
from hub.store.sqlite import SqliteStore
from hub.store.steps import alembic_config
from tests.store.conftest import make_object

_FAULTS = {
    "a leaf changed": "UPDATE log_leaf SET digest = zeroblob(32) WHERE position = 3",
    "a leaf lost": "DELETE FROM log_leaf WHERE position = 3",
    "a node changed": "UPDATE log_node SET hash = zeroblob(32) WHERE level = 2 AND position = 0",
    "a node lost": "DELETE FROM log_node WHERE level = 1 AND position = 1",
    "another edge": "UPDATE log_head SET edge = zeroblob(length(edge))",
    "an object changed": "UPDATE object SET body = x'7b7d' WHERE seq = 2",
    "an object slipped in": (
        "INSERT INTO object SELECT 99, collection_key, date_added + 1000000, object_id || 'x',"
        " object_type, spec_version, version, version_text, is_last, body FROM object LIMIT 1"
    ),
    "an object slipped in before all": (
        "INSERT INTO object SELECT 99, collection_key, date_added - 1000000, object_id || 'x',"
        " object_type, spec_version, version, version_text, is_last, body FROM object LIMIT 1"
    ),
    "an object slipped in between two looks": (
        "UPDATE object SET date_added = date_added + 1000 WHERE seq > 3;"
        "UPDATE log_leaf SET date_added = date_added + 1000 WHERE position > 2;"
        "INSERT INTO object SELECT 99, collection_key, date_added + 10, object_id || 'x',"
        " object_type, spec_version, version, version_text, is_last, body FROM object WHERE seq = 3"
    ),
    "stamps swapped": (
        "UPDATE log_leaf SET date_added = -1 WHERE position = 5;"
        "UPDATE object SET date_added = -1 WHERE seq = 6"
    ),
}


def _channel(path: Path) -> str:
    store = SqliteStore.open(path)
    org = store.create_org("Lab").id
    made = store.create_collection(Kind.CHANNEL, "c", owner_org=org).id
    store.append(made, [make_object(number) for number in range(7)])
    assert store.verify_log(made) == 7
    store.close()
    return made


@pytest.mark.parametrize("fault", list(_FAULTS))
def test_every_disagreement_is_found(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.store.logs._VERIFY_ROWS", 3)
    path = tmp_path / "hub.db"
    collection = _channel(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(_FAULTS[fault])
    store = SqliteStore.open(path)
    with pytest.raises(VerificationError, match=r"leaf|leaves|node|root"):
        store.verify_log(collection)
    store.close()


def _old_database(path: Path) -> None:
    """A database of the first schema, with a channel and a plain collection."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0001")
    engine.dispose()
    path.with_name(path.name + ".token-key").write_bytes(bytes(32))
    bodies = [
        b'{"type":"artifact","payload_bin":"AAEC"}',
        b'{"type":"artifact","payload_bin":"AAED", "x": 1}',
        b'{"type":"note"}',
    ]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("INSERT INTO org VALUES ('o', 'Lab', 0, 0)")
        for key, kind in ((1, "channel"), (2, "plain"), (3, "channel")):
            connection.execute(
                "INSERT INTO collection VALUES (?, ?, ?, 't', NULL, NULL, 'o', NULL, NULL, 0)",
                (key, f"c{key}", kind),
            )
            connection.execute("INSERT INTO collection_head VALUES (?, 3)", (key,))
        for key in (1, 2):
            for number, body in enumerate(bodies * 70):
                connection.execute(
                    "INSERT INTO object (collection_key, date_added, object_id, object_type,"
                    " spec_version, version, version_text, is_last, body)"
                    " VALUES (?, ?, ?, 'artifact', '2.1', 0, '', 1, ?)",
                    (key, number * 10, f"artifact--{number}", body),
                )
        connection.execute("COMMIT")


def test_what_older_releases_stored_is_logged(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    _old_database(path)
    store = SqliteStore.open(path)
    assert store.verify_log("c1") == 210
    assert store.log_size("c3") == 0
    digests = store.log_digests("c1", 0, 3)
    assert digests[0] == log_digest(b'{"payload_bin":"AAEC"}')
    assert len(set(digests)) == 3
    with pytest.raises(Exception, match="no log"):
        store.log_size("c2")
    store.append("c1", [make_object(1)])
    assert store.verify_log("c1") == 211
    store.close()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"\xff", b"{", b'{"payload_bin":7}', b'{"payload_bin":"A"}', b"{}"]
)
def test_a_body_without_a_payload_counts_as_itself(body: bytes) -> None:
    seen = {log_digest(body), log_digest(body + b" ")}
    assert len(seen) == 2
