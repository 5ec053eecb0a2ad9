"""Running the packaged migrations from code."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from hub.errors import StoreError


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for one connection, without an ini file."""
    config = Config()
    config.set_main_option("path_separator", "os")
    config.set_main_option("script_location", "hub.store:migrations")
    config.attributes["connection"] = connection
    return config


def upgrade_sqlite(connect: Callable[[], sqlite3.Connection], name: str) -> None:
    """Bring a SQLite database to the newest schema, in one transaction.

    Args:
        connect: opens it in autocommit mode.
        name: what to call the database in errors.
    Raises:
        StoreError: the schema is of a newer release, or the disk fails.
    """
    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # The driver would begin only at the first INSERT; two starting hubs must queue here.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    try:
        with engine.begin() as connection:
            command.upgrade(alembic_config(connection), "head")
    except CommandError as error:
        raise StoreError(
            "the database was made by a newer release",
            where=name,
            hint="install that release, or restore a backup made before the upgrade",
        ) from error
    except DBAPIError as error:
        raise StoreError("the schema cannot be migrated", where=name) from error
    finally:
        engine.dispose()
