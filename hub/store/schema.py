"""The tables, as SQLAlchemy Core metadata. The migrations make them; a test compares the two.

`object.version` is the version in microseconds UTC, `UNVERSIONED` for objects without `modified`
and `created`; `version_text` is what the manifest shows. `is_last` marks, of each object, the
greatest version in its newest specification version, so that the default reading is one index
scan.
`collection_head` holds the last date_added ever given out, so that deletion cannot bring a stamp
back; writers lock its rows in order of collection id. Its `generation` is raised by every commit
that changes what earlier pages show (a deletion, a newer version of an object).
`log_head`, `log_leaf` and `log_node` are the Merkle tree of a channel collection (see `tree`): the
leaves are never deleted, `log_node` holds the complete subtrees above them, `log_head` the number
of leaves and the right edge. They are written by the transaction that writes the objects.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

# SQLite counts rows itself only in a column of type INTEGER; PostgreSQL needs 64 bits.
_Key: Final = BigInteger().with_variant(Integer, "sqlite")


def _truth(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=false())


def _position() -> Column[int]:
    """The order in which rows came, within one second."""
    return Column("position", BigInteger, nullable=False, server_default=text("0"))


meta: Final = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

org: Final = Table(
    "org",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("disabled", Boolean, nullable=False),
    _truth("government"),
    _position(),
    UniqueConstraint("name"),
)

token: Final = Table(
    "token",
    metadata,
    Column("id", Text, primary_key=True),
    Column("org_id", Text, ForeignKey("org.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger),
    Column("successor", Text, ForeignKey("token.id")),
    Column("revoked", BigInteger),
    Column("account_id", Text),
    _position(),
    UniqueConstraint("prefix"),
)

account: Final = Table(
    "account",
    metadata,
    Column("id", Text, primary_key=True),
    Column("org_id", Text, ForeignKey("org.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("disabled", Boolean, nullable=False),
    _position(),
    UniqueConstraint("org_id", "name"),
)

login: Final = Table(
    "login",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("account.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger),
    _position(),
    UniqueConstraint("kind", "issuer", "subject"),
)

break_glass: Final = Table(
    "break_glass",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("account.id"), nullable=False),
    Column("collections", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("seconds", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("witnesses", Text, nullable=False),
    Column("approver", Text, ForeignKey("account.id")),
    Column("opened", BigInteger),
    Column("ended", BigInteger),
    _position(),
)

collection: Final = Table(
    "collection",
    metadata,
    Column("key", _Key, primary_key=True),
    Column("id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text),
    Column("alias", Text),
    Column("owner_org", Text, ForeignKey("org.id"), nullable=False),
    Column("channel_id", Text),
    Column("inbox_of", Text, ForeignKey("collection.id")),
    Column("created", BigInteger, nullable=False),
    Column("ceiling", Text),
    _truth("government"),
    UniqueConstraint("id"),
    UniqueConstraint("alias"),
    UniqueConstraint("channel_id"),
    UniqueConstraint("inbox_of"),
)

collection_head: Final = Table(
    "collection_head",
    metadata,
    Column("collection_key", _Key, ForeignKey("collection.key"), primary_key=True),
    Column("last_added", BigInteger),
    Column("generation", BigInteger, nullable=False, server_default=text("0")),
)

object_: Final = Table(
    "object",
    metadata,
    Column("seq", _Key, primary_key=True),
    Column("collection_key", _Key, ForeignKey("collection.key"), nullable=False),
    Column("date_added", BigInteger, nullable=False),
    Column("object_id", Text, nullable=False),
    Column("object_type", Text, nullable=False),
    Column("spec_version", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("version_text", Text, nullable=False),
    Column("is_last", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ux_object_added", "collection_key", "date_added", unique=True),
    Index(
        "ux_object_version",
        "collection_key",
        "object_id",
        "spec_version",
        "version",
        unique=True,
    ),
    Index(
        "ix_object_last",
        "collection_key",
        "date_added",
        "object_type",
        sqlite_where=text("is_last"),
        postgresql_where=text("is_last"),
    ),
)

log_head: Final = Table(
    "log_head",
    metadata,
    Column("collection_key", _Key, ForeignKey("collection.key"), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("edge", LargeBinary, nullable=False),
)

log_leaf: Final = Table(
    "log_leaf",
    metadata,
    Column("collection_key", _Key, ForeignKey("collection.key"), primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("date_added", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Index("ux_log_leaf_added", "collection_key", "date_added", unique=True),
    sqlite_with_rowid=False,
)

log_node: Final = Table(
    "log_node",
    metadata,
    Column("collection_key", _Key, ForeignKey("collection.key"), primary_key=True),
    Column("level", Integer, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("hash", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

checkpoint: Final = Table(
    "checkpoint",
    metadata,
    Column("collection_id", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("quorum", Boolean, nullable=False),
    Column("raw", Text, nullable=False),
)

status: Final = Table(
    "status",
    metadata,
    Column("id", Text, primary_key=True),
    Column("collection_id", Text, nullable=False),
    Column("org_id", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Index("ix_status_created", "created"),
)

collection_grant: Final = Table(
    "collection_grant",
    metadata,
    Column("org_id", Text, ForeignKey("org.id"), primary_key=True),
    Column("collection_id", Text, ForeignKey("collection.id"), primary_key=True),
    Column("can_read", Boolean, nullable=False),
    Column("can_write", Boolean, nullable=False),
    Column("clearance", Text),
    Index("ix_collection_grant_collection_id", "collection_id"),
)

member_binding: Final = Table(
    "member_binding",
    metadata,
    Column("member", Text, primary_key=True),
    Column("root_id", Text, primary_key=True),
    Column("org_id", Text, ForeignKey("org.id"), nullable=False),
    Column("created", BigInteger, nullable=False),
    Index("ix_member_binding_org_id", "org_id"),
)

challenge: Final = Table(
    "challenge",
    metadata,
    Column("challenge", Text, primary_key=True),
    Column("org_id", Text, ForeignKey("org.id"), nullable=False),
    Column("expires", BigInteger, nullable=False),
)

audit: Final = Table(
    "audit",
    metadata,
    Column("seq", _Key, primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("event", Text, nullable=False),
    Column("org_id", Text),
    Column("token_id", Text),
    Column("collection_id", Text),
    Column("detail", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

audit_concern: Final = Table(
    "audit_concern",
    metadata,
    Column("org_id", Text, ForeignKey("org.id"), primary_key=True),
    Column("seq", _Key, ForeignKey("audit.seq"), primary_key=True),
)
