"""Bringing a database to the tables that this code needs.

`upgrade` runs what is missing in one transaction, one upgrader at a time: of two that start together the
second finds nothing to do, and one that is killed half-way leaves the database as it was. Every process that
serves or works asks `state.revisions.require_current` first, so that old tables are named as such and never end in a
strange SQL error.

Migrations only go forward; going back is restoring a backup (docs/operations.md).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from sqlalchemy import inspect

from state.database import Database
from state.errors import SchemaOutdated
from state.locks import Lock, lock
from state.revisions import missing_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["configuration", "upgrade"]

# What ran is shown by the command that upgrades; Alembic's own lines would stand in every process's log.
logging.getLogger("alembic").setLevel(logging.WARNING)


def configuration() -> Config:
    """Alembic's configuration, made here and not in an ini file, so that an installed package has it."""
    config = Config()
    config.set_main_option("script_location", "state:migrations")
    config.set_main_option("path_separator", "os")
    return config


def upgrade(database_url: str) -> list[str]:
    """Run every missing migration; returns those that ran, oldest first, each as `0001 initial`.

    Raises:
        SchemaOutdated: the database was migrated by a newer Muster, or holds tables that no migration made.
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    database = Database(database_url, pool_size=1)
    try:
        with database.engine.begin() as connection:
            lock(connection, Lock.MIGRATION)
            missing = missing_of(connection)
            if missing and _made_otherwise(connection):
                raise SchemaOutdated(
                    "the database holds tables that no migration made; use an empty database, "
                    "or the one Muster was installed with"
                )
            if missing:
                config = configuration()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
            return missing
    finally:
        database.close()


def _made_otherwise(connection: Connection) -> bool:
    """Whether there are tables of ours and no trace of a migration."""
    inspector = inspect(connection)
    return inspector.has_table("organization") and not inspector.has_table("alembic_version")
