"""Alembic's entry point: migrate over the connection that the caller made."""

from __future__ import annotations

from alembic import context
from sqlalchemy.engine import Connection

from hub.store.schema import metadata

connection = context.config.attributes["connection"]
assert isinstance(connection, Connection)
context.configure(
    connection=connection,
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=connection.dialect.name == "sqlite",
)
context.run_migrations()
