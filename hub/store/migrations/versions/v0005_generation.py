"""A number for each collection that is raised whenever an earlier page of it changes."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0005"
down_revision: Final = "0004"


def upgrade() -> None:
    """Add the column; a constant default rewrites no row."""
    op.add_column(
        "collection_head",
        sa.Column("generation", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    )


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("collection_head", "generation")
