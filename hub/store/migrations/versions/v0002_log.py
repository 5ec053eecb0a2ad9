"""The Merkle logs of channel collections, with a leaf for each object that is stored."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.engine import Connection

if TYPE_CHECKING:
    from hub.store.postgres.migrating import Online

revision: Final = "0002"
down_revision: Final = "0001"

_KEY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_ROWS: Final = 500
"""Objects to a transaction; as few as their bodies need not much memory."""

_metadata: Final = sa.MetaData()
_collection: Final = sa.Table(
    "collection", _metadata, sa.Column("key", _KEY, primary_key=True), sa.Column("kind", sa.Text)
)
_object: Final = sa.table(
    "object", sa.column("collection_key"), sa.column("date_added"), sa.column("body")
)


def _made(name: str, primary: tuple[str, ...], *columns: sa.Column[Any]) -> sa.Table:
    return sa.Table(
        name,
        _metadata,
        sa.Column("collection_key", _KEY, nullable=False, autoincrement=False),
        *columns,
        sa.PrimaryKeyConstraint(*primary, name=f"pk_{name}"),
        sa.ForeignKeyConstraint(
            ["collection_key"], ["collection.key"], name=f"fk_{name}_collection_key"
        ),
        sqlite_with_rowid=name == "log_head",
    )


_head: Final = _made(
    "log_head",
    ("collection_key",),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("edge", sa.LargeBinary, nullable=False),
)
_leaf: Final = _made(
    "log_leaf",
    ("collection_key", "position"),
    sa.Column("position", sa.BigInteger, nullable=False, autoincrement=False),
    sa.Column("date_added", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
)
sa.Index("ux_log_leaf_added", _leaf.c.collection_key, _leaf.c.date_added, unique=True)
_node: Final = _made(
    "log_node",
    ("collection_key", "level", "position"),
    sa.Column("level", sa.Integer, nullable=False, autoincrement=False),
    sa.Column("position", sa.BigInteger, nullable=False, autoincrement=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
)


def online(work: Online) -> None:
    """On PostgreSQL: make the tables and log what is there, some objects to a transaction."""
    with work.begin() as connection:
        _metadata.create_all(connection, [_head, _leaf, _node])
        keys = _channels(connection)
        counted = sa.select(sa.func.count()).where(_object.c.collection_key.in_(keys))
        total = connection.execute(counted).scalar_one()
    done = 0
    for key in keys:
        more = True
        while more:
            with work.begin() as connection:
                size, more = _fill(connection, key)
            work.report(done + size, total)
        done += size


def upgrade() -> None:
    """Make the tables, and log what channel collections hold (on PostgreSQL, what came since)."""
    connection = op.get_bind()
    _metadata.create_all(connection, [_head, _leaf, _node])
    for key in _channels(connection):
        more = True
        while more:
            _, more = _fill(connection, key)


def downgrade() -> None:
    """Drop the logs."""
    for name in ("log_node", "log_leaf", "log_head"):
        op.drop_table(name)


def _channels(connection: Connection) -> list[int]:
    channels = sa.select(_collection.c.key).where(_collection.c.kind == "channel")
    return list(connection.execute(channels.order_by(_collection.c.key)).scalars())


def _fill(connection: Connection, key: int) -> tuple[int, bool]:
    """Log some more of a collection's objects; the log's size, and whether there may be more."""
    known = connection.execute(
        sa.select(_head.c.size, _head.c.edge).where(_head.c.collection_key == key)
    ).all()
    if not known:
        values = {"collection_key": key, "size": 0, "edge": b""}
        connection.execute(sa.insert(_head), values)
    size, joined = known[0] if known else (0, b"")
    last = -1
    edge = [joined[at : at + 32] for at in range(0, len(joined), 32)]
    if size:
        at_end = (_leaf.c.collection_key == key) & (_leaf.c.position == size - 1)
        last = connection.execute(sa.select(_leaf.c.date_added).where(at_end)).scalar_one()
    rows = connection.execute(
        sa.select(_object.c.date_added, _object.c.body)
        .where(_object.c.collection_key == key, _object.c.date_added > last)
        .order_by(_object.c.date_added)
        .limit(_ROWS)
    ).all()
    leaves, nodes = [], []
    for stamp, body in rows:
        digest = _digest(body)
        leaves.append((key, size, stamp, digest))
        nodes += [(key, *node) for node in _append(edge, size, digest)]
        size += 1
    _insert(connection, _leaf, leaves)
    _insert(connection, _node, nodes)
    connection.execute(
        sa.update(_head).where(_head.c.collection_key == key).values(size=size, edge=b"".join(edge))
    )
    return size, len(rows) == _ROWS


def _insert(connection: Connection, table: sa.Table, rows: list[tuple[Any, ...]]) -> None:
    names = [column.name for column in table.columns]
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        arrays = ", ".join(
            f"%b::{column.type.compile(connection.dialect)}[]" for column in table.columns
        )
        statement = f"INSERT INTO {table.name} ({', '.join(names)}) SELECT * FROM unnest({arrays})"
        columns = tuple(list(column) for column in zip(*rows, strict=True))
        connection.exec_driver_sql(statement, columns)
        return
    connection.execute(sa.insert(table), [dict(zip(names, row, strict=True)) for row in rows])


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
