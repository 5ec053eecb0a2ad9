"""The first schema: objects, statuses, collections, accounts, audit."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None

_KEY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make every table."""
    _accounts()
    _collections()
    _objects()
    _audit()


def downgrade() -> None:
    """Drop every table, with all data."""
    for name in (
        "audit",
        "challenge",
        "member_binding",
        "collection_grant",
        "status",
        "object",
        "collection_head",
        "collection",
        "token",
        "org",
        "meta",
    ):
        op.drop_table(name)


def _accounts() -> None:
    op.create_table(
        "meta",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_meta"),
    )
    op.create_table(
        "org",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_org"),
        sa.UniqueConstraint("name", name="uq_org_name"),
    )
    op.create_table(
        "token",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("org_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger),
        sa.Column("successor", sa.Text),
        sa.Column("revoked", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_token"),
        sa.UniqueConstraint("prefix", name="uq_token_prefix"),
        sa.ForeignKeyConstraint(["org_id"], ["org.id"], name="fk_token_org_id"),
        sa.ForeignKeyConstraint(["successor"], ["token.id"], name="fk_token_successor"),
    )
    op.create_table(
        "member_binding",
        sa.Column("member", sa.Text, nullable=False),
        sa.Column("root_id", sa.Text, nullable=False),
        sa.Column("org_id", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("member", "root_id", name="pk_member_binding"),
        sa.ForeignKeyConstraint(["org_id"], ["org.id"], name="fk_member_binding_org_id"),
    )
    op.create_index("ix_member_binding_org_id", "member_binding", ["org_id"])
    op.create_table(
        "challenge",
        sa.Column("challenge", sa.Text, nullable=False),
        sa.Column("org_id", sa.Text, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("challenge", name="pk_challenge"),
        sa.ForeignKeyConstraint(["org_id"], ["org.id"], name="fk_challenge_org_id"),
    )


def _collections() -> None:
    op.create_table(
        "collection",
        sa.Column("key", _KEY, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("alias", sa.Text),
        sa.Column("owner_org", sa.Text, nullable=False),
        sa.Column("channel_id", sa.Text),
        sa.Column("inbox_of", sa.Text),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_collection"),
        sa.UniqueConstraint("id", name="uq_collection_id"),
        sa.UniqueConstraint("alias", name="uq_collection_alias"),
        sa.UniqueConstraint("channel_id", name="uq_collection_channel_id"),
        sa.UniqueConstraint("inbox_of", name="uq_collection_inbox_of"),
        sa.ForeignKeyConstraint(["owner_org"], ["org.id"], name="fk_collection_owner_org"),
        sa.ForeignKeyConstraint(["inbox_of"], ["collection.id"], name="fk_collection_inbox_of"),
    )
    op.create_table(
        "collection_grant",
        sa.Column("org_id", sa.Text, nullable=False),
        sa.Column("collection_id", sa.Text, nullable=False),
        sa.Column("can_read", sa.Boolean, nullable=False),
        sa.Column("can_write", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("org_id", "collection_id", name="pk_collection_grant"),
        sa.ForeignKeyConstraint(["org_id"], ["org.id"], name="fk_collection_grant_org_id"),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collection.id"], name="fk_collection_grant_collection_id"
        ),
    )
    op.create_index("ix_collection_grant_collection_id", "collection_grant", ["collection_id"])


def _objects() -> None:
    op.create_table(
        "collection_head",
        sa.Column("collection_key", _KEY, nullable=False),
        sa.Column("last_added", sa.BigInteger),
        sa.PrimaryKeyConstraint("collection_key", name="pk_collection_head"),
        sa.ForeignKeyConstraint(
            ["collection_key"], ["collection.key"], name="fk_collection_head_collection_key"
        ),
    )
    op.create_table(
        "object",
        sa.Column("seq", _KEY, nullable=False),
        sa.Column("collection_key", _KEY, nullable=False),
        sa.Column("date_added", sa.BigInteger, nullable=False),
        sa.Column("object_id", sa.Text, nullable=False),
        sa.Column("object_type", sa.Text, nullable=False),
        sa.Column("spec_version", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("version_text", sa.Text, nullable=False),
        sa.Column("is_last", sa.Boolean, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_object"),
        sa.ForeignKeyConstraint(
            ["collection_key"], ["collection.key"], name="fk_object_collection_key"
        ),
    )
    op.create_index("ux_object_added", "object", ["collection_key", "date_added"], unique=True)
    op.create_index(
        "ux_object_version",
        "object",
        ["collection_key", "object_id", "spec_version", "version"],
        unique=True,
    )
    op.create_index(
        "ix_object_last",
        "object",
        ["collection_key", "date_added", "object_type"],
        sqlite_where=sa.text("is_last"),
        postgresql_where=sa.text("is_last"),
    )
    op.create_table(
        "status",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("collection_id", sa.Text, nullable=False),
        sa.Column("org_id", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_status"),
    )
    op.create_index("ix_status_created", "status", ["created"])


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", _KEY, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("org_id", sa.Text),
        sa.Column("token_id", sa.Text),
        sa.Column("collection_id", sa.Text),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
    )
    if op.get_bind().dialect.name == "sqlite":
        # The hash chain shows tampering; the triggers keep our own mistakes from causing it.
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
            )
