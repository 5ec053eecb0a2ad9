"""The Merkle logs of channel collections, with a leaf for each object that is stored."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.engine import Connection

revision: Final = "0002"
down_revision: Final = "0001"

_KEY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_ROWS: Final = 100

_collection: Final = sa.table("collection", sa.column("key"), sa.column("kind"))
_object: Final = sa.table(
    "object", sa.column("collection_key"), sa.column("date_added"), sa.column("body")
)


def upgrade() -> None:
    """Make the tables, and log what channel collections hold."""
    for name, columns, primary in (
        (
            "log_head",
            (
                sa.Column("size", sa.BigInteger, nullable=False),
                sa.Column("edge", sa.LargeBinary, nullable=False),
            ),
            ("collection_key",),
        ),
        (
            "log_leaf",
            (
                sa.Column("position", sa.BigInteger, nullable=False),
                sa.Column("date_added", sa.BigInteger, nullable=False),
                sa.Column("digest", sa.LargeBinary, nullable=False),
            ),
            ("collection_key", "position"),
        ),
        (
            "log_node",
            (
                sa.Column("level", sa.Integer, nullable=False),
                sa.Column("position", sa.BigInteger, nullable=False),
                sa.Column("hash", sa.LargeBinary, nullable=False),
            ),
            ("collection_key", "level", "position"),
        ),
    ):
        op.create_table(
            name,
            sa.Column("collection_key", _KEY, nullable=False),
            *columns,
            sa.PrimaryKeyConstraint(*primary, name=f"pk_{name}"),
            sa.ForeignKeyConstraint(
                ["collection_key"], ["collection.key"], name=f"fk_{name}_collection_key"
            ),
            sqlite_with_rowid=name == "log_head",
        )
    op.create_index("ux_log_leaf_added", "log_leaf", ["collection_key", "date_added"], unique=True)
    connection = op.get_bind()
    channels = sa.select(_collection.c.key).where(_collection.c.kind == "channel")
    for key in connection.execute(channels).scalars().all():
        _fill(connection, key)


def downgrade() -> None:
    """Drop the logs."""
    for name in ("log_node", "log_leaf", "log_head"):
        op.drop_table(name)


def _fill(connection: Connection, key: int) -> None:
    """One collection's log, some objects at a time."""
    leaf = _target("log_leaf", "position", "date_added", "digest")
    node = _target("log_node", "level", "position", "hash")
    edge: list[bytes] = []
    size, last = 0, -1
    while True:
        rows = connection.execute(
            sa.select(_object.c.date_added, _object.c.body)
            .where(_object.c.collection_key == key, _object.c.date_added > last)
            .order_by(_object.c.date_added)
            .limit(_ROWS)
        ).all()
        if not rows:
            break
        leaves, nodes = [], []
        for last, body in rows:
            digest = _digest(body)
            leaves.append(
                {"collection_key": key, "position": size, "date_added": last, "digest": digest}
            )
            nodes += [
                {"collection_key": key, "level": level, "position": position, "hash": found}
                for level, position, found in _append(edge, size, digest)
            ]
            size += 1
        connection.execute(sa.insert(leaf), leaves)
        if nodes:
            connection.execute(sa.insert(node), nodes)
    head = _target("log_head", "size", "edge")
    connection.execute(
        sa.insert(head), {"collection_key": key, "size": size, "edge": b"".join(edge)}
    )


def _target(name: str, *columns: str) -> sa.TableClause:
    return sa.table(name, sa.column("collection_key"), *(sa.column(column) for column in columns))


# Written out, so that this step stays what it was when later releases log otherwise.


def _digest(body: bytes) -> bytes:
    try:
        payload = json.loads(body).get("payload_bin")
        carried = base64.b64decode(payload, validate=True) if isinstance(payload, str) else body
    except (ValueError, AttributeError, binascii.Error):
        carried = body
    return hashlib.sha256(carried).digest()


def _append(edge: list[bytes], position: int, digest: bytes) -> list[tuple[int, int, bytes]]:
    made = []
    level, found = 0, hashlib.sha256(b"\x00" + digest).digest()
    while position & 1:
        found = hashlib.sha256(b"\x01" + edge.pop() + found).digest()
        level, position = level + 1, position >> 1
        made.append((level, position, found))
    edge.append(found)
    return made
