"""Accounts with roles, their logins, broken glass; governments, ceilings and clearances."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"

_KEY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_COLUMNS: Final = (
    ("org", "government"),
    ("org", "position"),
    ("token", "account_id"),
    ("token", "position"),
    ("collection", "ceiling"),
    ("collection", "government"),
    ("collection_grant", "clearance"),
)


def upgrade() -> None:
    """Add the columns, with constant defaults that rewrite no row, and the tables."""
    for table, column in (
        ("org", _truth("government")),
        ("org", _position()),
        ("token", sa.Column("account_id", sa.Text)),
        ("token", _position()),
        ("collection", sa.Column("ceiling", sa.Text)),
        ("collection", _truth("government")),
        ("collection_grant", sa.Column("clearance", sa.Text)),
    ):
        op.add_column(table, column)
    for table in ("org", "token"):
        _number(table)
    _accounts()
    op.create_table(
        "break_glass",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("collections", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("seconds", sa.BigInteger, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("witnesses", sa.Text, nullable=False),
        sa.Column("approver", sa.Text),
        sa.Column("opened", sa.BigInteger),
        sa.Column("ended", sa.BigInteger),
        _position(),
        sa.PrimaryKeyConstraint("id", name="pk_break_glass"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_break_glass_account_id"),
        sa.ForeignKeyConstraint(["approver"], ["account.id"], name="fk_break_glass_approver"),
    )
    op.create_table(
        "audit_concern",
        sa.Column("org_id", sa.Text, nullable=False),
        sa.Column("seq", _KEY, nullable=False),
        sa.PrimaryKeyConstraint("org_id", "seq", name="pk_audit_concern"),
        sa.ForeignKeyConstraint(["org_id"], ["org.id"], name="fk_audit_concern_org_id"),
        sa.ForeignKeyConstraint(["seq"], ["audit.seq"], name="fk_audit_concern_seq"),
    )


def downgrade() -> None:
    """Drop them; tokens of accounts become tokens of their organisations, so they are revoked."""
    op.execute(
        "UPDATE token SET revoked = created WHERE account_id IS NOT NULL AND revoked IS NULL"
    )
    for name in ("audit_concern", "break_glass", "login", "account"):
        op.drop_table(name)
    for table, column in reversed(_COLUMNS):
        op.drop_column(table, column)


def _accounts() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("org_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        _position(),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint("org_id", "name", name="uq_account_org_id_name"),
        sa.ForeignKeyConstraint(["org_id"], ["org.id"], name="fk_account_org_id"),
    )
    op.create_table(
        "login",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger),
        _position(),
        sa.PrimaryKeyConstraint("id", name="pk_login"),
        sa.UniqueConstraint("kind", "issuer", "subject", name="uq_login_kind_issuer_subject"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_login_account_id"),
    )


def _truth(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())


def _position() -> sa.Column[int]:
    return sa.Column("position", sa.BigInteger, nullable=False, server_default=sa.text("0"))


def _number(table: str) -> None:
    """Number the rows there are in the order in which they came."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"UPDATE {table} SET position = rowid")
        return
    op.execute(
        f"UPDATE {table} SET position = n.n FROM"
        f" (SELECT id, row_number() OVER (ORDER BY created, id) AS n FROM {table}) n"
        f" WHERE n.id = {table}.id"
    )
